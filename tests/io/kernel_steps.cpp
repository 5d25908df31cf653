// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/io/kernel_steps.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "support/data.hpp"
#include "support/message.hpp"

namespace {

using namespace rafter;

const std::string header =
    "hardware,model,tp,workload,gemm_source,attn_source,num_prefill_reqs,prefill_tokens,prefill_len,prefill_kv,"
    "num_decode_reqs,decode_kv,total_tokens,decode_kv_sum,gemm_us,moe_us,prefill_attn_us,decode_attn_us,other_us,"
    "total_us,allreduce_us,gate_up\n";
const std::string good =
    "h100,Llama-2-7b-hf,1,mixed_short,vidur,aic,2,200,100,0,3,16,203,48,4992.0,0.0,10.5,316.058,608.0,5926.558,,"
    "fused\n";

std::string with(std::size_t field, const std::string& text) {
  std::size_t at = 0;
  for (std::size_t i = 0; i < field; ++i) at = good.find(',', at) + 1;
  return good.substr(0, at) + text + good.substr(good.find_first_of(",\n", at));
}
std::string refusal(const std::string& rows) {
  return message_of([&] { parse_kernel_steps(header + rows, "steps.csv"); });
}

TEST(KernelSteps, RequestsAreListedAsTheReadmeSays) {
  const auto data = parse_kernel_steps(header + good, "steps.csv");
  const auto requests = data.requests(0);
  ASSERT_EQ(requests.size(), 5U);
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(requests[i].decode, i >= 2);
    EXPECT_EQ(requests[i].new_tokens, i < 2 ? 100.0 : 1.0);
    EXPECT_EQ(requests[i].context_tokens, i < 2 ? 0.0 : 15.0);  // decode_kv counts the new token
  }
}

TEST(KernelSteps, AggregatesComeFromTheRequests) {
  const auto data = parse_kernel_steps(header + good, "steps.csv");
  EXPECT_EQ(data.column(prefill_tokens)[0], 200.0);
  EXPECT_EQ(data.column(decode_requests)[0], 3.0);
  EXPECT_EQ(data.column(kv_sum)[0], 48.0);
  EXPECT_EQ(data.column(kv_mean)[0], 16.0);
  EXPECT_EQ(data.column(kv_deviation)[0], 0.0);
  EXPECT_EQ(data.column(prefill_attention_pairs)[0], 2.0 * 100.0 * 101.0 / 2.0);
  EXPECT_EQ(data.column(prefill_kv_sum)[0], 200.0);
}

TEST(KernelSteps, TimesAreTheDoublesNearestToTheirSeconds) {
  const auto data = parse_kernel_steps(header + good, "steps.csv");
  EXPECT_EQ(data.column(gpu_step_time)[0], 5926.558e-6);
  EXPECT_EQ(data.column(gemm_time)[0], 4992e-6);
  EXPECT_EQ(data.column(moe_time)[0], 0.0);
  EXPECT_EQ(data.column(prefill_attention_time)[0], 10.5e-6);
  EXPECT_EQ(data.column(decode_attention_time)[0], 316.058e-6);
  EXPECT_EQ(data.column(other_time)[0], 608e-6);
}

TEST(KernelSteps, TheRigIsWhereTheGemmsWereMeasured) {
  const auto data = parse_kernel_steps(header + good, "steps.csv");
  EXPECT_EQ(data.groups(group::rig).name(0), "vidur");
  EXPECT_EQ(data.groups(group::attention_shape).name(0), "q32-kv32-d128");
  EXPECT_EQ(data.groups(group::routing).name(0), "dense");
  EXPECT_FALSE(data.has_group(group::experiment));
  EXPECT_TRUE(data.step_ids().empty());
}

TEST(KernelSteps, PartsThatDoNotAddUpAreRefused) {
  EXPECT_EQ(
      refusal(with(19, "5926.562")),
      "steps.csv:2:98: field 'total_us': '5926.562' is not gemm_us + prefill_attn_us + decode_attn_us + other_us");
  EXPECT_EQ(parse_kernel_steps(header + with(19, "5926.559"), "steps.csv").size(), 1U);  // rounding
}

TEST(KernelSteps, TokensThatDoNotAddUpAreRefused) {
  EXPECT_EQ(refusal(with(7, "199")),
            "steps.csv:2:46: field 'prefill_tokens': '199' is not num_prefill_reqs * prefill_len");
  EXPECT_EQ(refusal(with(12, "204")),
            "steps.csv:2:61: field 'total_tokens': '204' is not prefill_tokens + num_decode_reqs");
  EXPECT_EQ(refusal(with(13, "49")),
            "steps.csv:2:65: field 'decode_kv_sum': '49' is not num_decode_reqs * decode_kv");
}

TEST(KernelSteps, ADecodeAttendsAtLeastToItsOwnToken) {
  std::string none = with(11, "0");
  none.replace(none.find(",48,"), 4, ",0,");
  EXPECT_EQ(refusal(none), "steps.csv:2:58: field 'decode_kv': '0' leaves out the new token itself");
}

TEST(KernelSteps, AnAbsurdNumberOfRequestsIsRefusedBeforeItFillsTheMemory) {
  EXPECT_EQ(
      refusal(with(10, "9000000000")),
      "steps.csv:2:56: field 'num_decode_reqs': '9000000000' is more than the 1000000 requests that a step may have");
}

TEST(KernelSteps, TimesThatAreNoTimesAreRefused) {
  EXPECT_EQ(refusal(with(14, "-4992.0")), "steps.csv:2:68: field 'gemm_us': '-4992.0' is negative");
  EXPECT_EQ(refusal(with(14, "inf")), "steps.csv:2:68: field 'gemm_us': 'inf' is not a finite number");
  EXPECT_EQ(refusal(with(15, "5000")),
            "steps.csv:2:75: field 'moe_us': '5000' is more than gemm_us, which contains it");
  EXPECT_EQ(refusal(with(19, "1e-400")),
            "steps.csv:2:98: field 'total_us': '1e-400' is outside the range of a double");
  EXPECT_EQ(refusal(with(19, "")), "steps.csv:2:98: field 'total_us': is empty, expected a number");
}

TEST(KernelSteps, AnUnknownAcceleratorIsNamedWithTheNearestOne) {
  const std::string message = refusal(with(0, "h10"));
  EXPECT_TRUE(message.starts_with("steps.csv:2:1: field 'hardware': 'h10' is an unknown accelerator; did you mean '"))
      << message;
}

TEST(KernelSteps, AWrongColumnIsNamedWithTheNearestName) {
  std::string wrong = header;
  wrong.replace(wrong.find("total_us"), 8, "totals_us");
  EXPECT_EQ(message_of([&] { parse_kernel_steps(wrong + good, "steps.csv"); }),
            "steps.csv:1:215: unexpected column 'totals_us'; did you mean 'total_us'?");
}

TEST(KernelSteps, ModelsOfOneShapeAreAliases) {
  const auto data =
      parse_kernel_steps(header + with(1, "Llama-2-70b-hf") + with(1, "Llama-3.1-70B") + good, "steps.csv");
  EXPECT_EQ(data.groups(group::model).names(), (std::vector<std::string>{"Llama-2-70b-hf", "Llama-2-7b-hf"}));
  EXPECT_EQ(data.deployment_of(0).model_code, data.deployment_of(1).model_code);
}

// What data/kernel_steps/README.md says of the files.
TEST(KernelSteps, TheRealH100FileReadsAsItsReadmeSays) {
  const auto path = data_folder() / "kernel_steps" / "steps.csv";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "skipped: " << path << " is absent";
  const auto data = read_kernel_steps(path.string());
  EXPECT_EQ(data.size(), 48028U);
  EXPECT_EQ(data.idle_rows(), 0U);
  EXPECT_EQ(data.total_requests(), 6137674U);         // counted by awk
  EXPECT_EQ(data.groups(group::model).count(), 14U);  // 15 names, two of one shape
  EXPECT_EQ(data.aliases(group::model),
            (std::vector<std::pair<std::string, std::string>>{{"Llama-3.1-70B", "Llama-2-70b-hf"}}));
  EXPECT_EQ(data.groups(group::rig).count(), 2U);
  EXPECT_EQ(data.groups(group::workload).count(), 9U);
  EXPECT_EQ(data.groups(group::routing).count(), 2U);
  // Distinct (source, model, tp, tokens) and (source, shape, requests, length), counted by sort -u; and "none".
  EXPECT_EQ(data.groups(group::gemm_measurement).count(), 1457U);
  EXPECT_EQ(data.groups(group::prefill_attention_measurement).count(), 912U + 1U);
  EXPECT_EQ(data.groups(group::decode_attention_measurement).count(), 1916U + 1U);
  // The README's example: one attention shape for these at the same tp.
  const auto& shapes = data.groups(group::attention_shape);
  EXPECT_EQ(shapes.count(), 18U);
  for (std::size_t row = 0; row < data.size(); ++row) {
    const std::string& model = data.groups(group::model).name(row);
    const bool shared = model == "Llama-3.1-8B" || model == "Qwen3-8B" || model == "Mistral-Nemo-12B" ||
                        model == "Mistral-Small-24B" || model == "Mixtral-8x7B";
    if (shared && data.groups(group::tp).name(row) == "2") {
      ASSERT_EQ(shapes.name(row), "q16-kv4-d128") << model;
    }
  }
}

TEST(KernelSteps, TheRealH200FileReadsAsItsReadmeSays) {
  const auto path = data_folder() / "kernel_steps" / "steps_h200.csv";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "skipped: " << path << " is absent";
  const auto data = read_kernel_steps(path.string());
  EXPECT_EQ(data.size(), 14826U);
  EXPECT_EQ(data.groups(group::model).count(), 11U);
  EXPECT_EQ(data.groups(group::hardware).names(), std::vector<std::string>{"h200"});
  EXPECT_EQ(data.deployment(0).hardware.name, h200_sxm::name);
}

}  // namespace
