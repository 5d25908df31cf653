// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/estimator/per_op.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "rafter/hardware/h100.hpp"
#include "rafter/io/kernel_steps.hpp"
#include "support/message.hpp"

namespace {

using namespace rafter;

const std::string header =
    "hardware,model,tp,workload,gemm_source,attn_source,num_prefill_reqs,prefill_tokens,prefill_len,prefill_kv,"
    "num_decode_reqs,decode_kv,total_tokens,decode_kv_sum,gemm_us,moe_us,prefill_attn_us,decode_attn_us,other_us,"
    "total_us\n";
/// A step of Llama-3.1-8B (32 layers) with its parts in microseconds.
std::string step(int prompts, int length, int decodes, int kv, double gemm, double prompt, double decode,
                 const std::string& hardware = "h100") {
  const auto text = [](double v) { return std::to_string(v); };
  return hardware + ",Llama-3.1-8B,1,w,aic_x,aic_x," + std::to_string(prompts) + "," +
         std::to_string(prompts * length) + "," + std::to_string(length) + ",0," + std::to_string(decodes) + "," +
         std::to_string(kv) + "," + std::to_string(prompts * length + decodes) + "," + std::to_string(decodes * kv) +
         "," + text(gemm) + ",0," + text(prompt) + "," + text(decode) + ",0," + text(gemm + prompt + decode) + "\n";
}
dataset<kernel_schema> steps(const std::string& rows) { return parse_kernel_steps(header + rows, "steps.csv"); }

/// Made-up tables of the H100 for that model: every product takes n·k/1e12 s whatever the tokens, attention of
/// prompts 1 us for each request, of decodes 2 ns for each entry.
struct made_tables {
  static constexpr std::string_view name = "made up";
  static const operation_tables& tables() {
    static const operation_tables made = [] {
      operation_points points;
      for (const auto& [n, k] : {std::pair(6144.0, 4096.0), {4096.0, 4096.0}, {28672.0, 4096.0}, {4096.0, 14336.0}}) {
        for (const double m : {1.0, 4096.0}) points.products.push_back({{16, n, k}, {m}, n * k / 1e12});
      }
      for (const double requests : {1.0, 8.0}) {
        for (const double tokens : {1.0, 1024.0}) {
          points.prompt_attention.push_back({{16, 32, 8, 128}, {requests, tokens}, 1e-6 * requests});
          points.decode_attention.push_back({{16, 32, 8, 128}, {requests, tokens}, 2e-9 * requests * tokens});
        }
      }
      return operation_tables(points, record_of<h100_sxm>(), beyond_measured::refuse);
    }();
    return made;
  }
};
constexpr double products_of_8b = 32.0 * (6144.0 * 4096 + 4096.0 * 4096 + 28672.0 * 4096 + 4096.0 * 14336) / 1e12;
using sums = per_op<made_tables, per_op_options{.overhead = false}>;
static_assert(estimator_on<sums, dataset<kernel_schema>> && estimator_on<per_op_fitted, dataset<kernel_schema>>);

TEST(PerOp, IsLayersTimesTheSumOfTheOperations) {
  EXPECT_EQ(sums::name(), "operations measured one by one (made up)");
  const auto data = steps(step(3, 100, 5, 60, 100, 10, 10) + step(0, 0, 2, 40, 100, 0, 10));
  std::vector<double> out(2);
  const auto fitted = sums::fit(data, row_set::all(2));
  fitted.predict(data, row_set::all(2), std::span<double>(out));
  EXPECT_EQ(fitted.parts(data, 0).sum(), out[0]);
  EXPECT_NEAR(fitted.parts(data, 0).prompt_attention, 32 * 3e-6, 1e-15);
  EXPECT_NEAR(out[0], products_of_8b + 32 * (3e-6 + 2e-9 * 5 * 60), 1e-15);
  EXPECT_NEAR(out[1], products_of_8b + 32 * (2e-9 * 2 * 40), 1e-15);
}

TEST(PerOp, ARecordGivesTheSameAsARow) {
  struct record {
    std::vector<request> requests;
  };
  const auto data = steps(step(1, 100, 1, 60, 100, 10, 10));
  const auto fitted = sums::fit(data, row_set::all(1));
  std::vector<double> out(1);
  fitted.predict(data, row_set::all(1), std::span<double>(out));
  const record one{{request::prefilling(100), request::decoding(59)}};
  EXPECT_EQ(fitted.predict(one, data.deployment(0)).value, out[0]);
}

TEST(PerOp, RaggedPromptsAreTheUniformBatchOfAsManyPairs) {
  EXPECT_EQ(prompt_length_of(4 * 1000.0 * 1001 / 2, 4), 1000.0);
  const double mixed = prompt_length_of(100.0 * 101 / 2 + 300.0 * 301 / 2, 2);
  EXPECT_NEAR(mixed * (mixed + 1), (100.0 * 101 + 300.0 * 301) / 2, 1e-6);
  EXPECT_EQ(prompt_length_of(0, 0), 0.0);
}

TEST(PerOp, TheOverheadIsRecoveredAndNeverNegative) {
  std::string rows;
  for (int decodes = 1; decodes <= 8; ++decodes) {
    const double kernels = (products_of_8b + 32 * 2e-9 * decodes * 64) * 1e6;
    rows += step(0, 0, decodes, 64, kernels + 500 + 20 * decodes, 0, 0);
  }
  const auto data = steps(rows);
  const auto fitted = per_op<made_tables>::fit(data, row_set::all(8));
  EXPECT_NEAR(fitted.overhead_per_step(), 500e-6, 1e-9);
  EXPECT_NEAR(fitted.overhead_per_request(), 20e-6, 1e-9);
  const auto shorter = steps(step(0, 0, 1, 64, 100, 0, 10) + step(0, 0, 8, 64, 100, 0, 10));
  const auto none = per_op<made_tables>::fit(shorter, row_set::all(2));
  EXPECT_EQ(none.overhead_per_step(), 0.0);
  EXPECT_EQ(none.overhead_per_request(), 0.0);
}

TEST(PerOp, AFactorOnTheOperationsIsRecoveredBesideTheOverhead) {
  std::string rows;
  for (int decodes = 1; decodes <= 8; ++decodes) {
    for (const int kv : {16, 1024}) {
      const double kernels = (products_of_8b + 32 * 2e-9 * decodes * kv) * 1e6;
      rows += step(0, 0, decodes, kv, 0.8 * kernels + 500 + 20 * decodes, 0, 0);
    }
  }
  const auto data = steps(rows);
  const auto fitted = per_op<made_tables, per_op_options{.factor = true}>::fit(data, row_set::all(16));
  EXPECT_NEAR(fitted.factor(), 0.8, 1e-5);
  EXPECT_NEAR(fitted.overhead_per_step(), 500e-6, 1e-7);
  EXPECT_NEAR(fitted.overhead_per_request(), 20e-6, 1e-8);
  EXPECT_EQ(fitted.summary().parameters, 3U);
}

TEST(PerOp, AnErrorNamesTheRowAndTheOperationThatIsNotMeasured) {
  const auto data = steps(step(0, 0, 1, 64, 100, 0, 10) + step(0, 0, 9, 64, 100, 0, 10));
  const std::string text = message_of([&] { per_op<made_tables>::fit(data, row_set::all(2)); });
  EXPECT_NE(text.find("steps.csv:3"), std::string::npos) << text;
  EXPECT_NE(text.find("decode attention (kv_bits 16, heads 32, kv_heads 8, head_dim 128) at requests 9, kv 64"),
            std::string::npos)
      << text;
}

struct absent_tables {
  static constexpr std::string_view name = "absent";
  static const operation_tables& tables() { throw error("no such folder"); }
};

TEST(PerOp, TablesThatCannotBeHadAreAnErrorOfTheFit) {
  EXPECT_NE(per_op<absent_tables>::name().find("(absent)"), std::string::npos);
  const auto data = steps(step(0, 0, 1, 64, 100, 0, 10));
  EXPECT_THROW(per_op<absent_tables>::fit(data, row_set::all(1)), fit_error);
}

TEST(PerOp, AnotherDeviceIsScaledByWavesOrRefused) {
  const auto data = steps(step(0, 0, 1, 64, 100, 0, 10, "a100"));
  std::vector<double> out(1);
  sums::fit(data, row_set::all(1)).predict(data, row_set::all(1), std::span<double>(out));
  const auto from = record_of<h100_sxm>(), to = data.deployment(0).hardware;
  double layer = scaled_to_device(2e-9 * 64, operations::decode_attention::work({16, 32, 8, 128}, {1, 64}), from, to);
  for (const auto& [n, k] : {std::pair(6144.0, 4096.0), {4096.0, 4096.0}, {28672.0, 4096.0}, {4096.0, 14336.0}}) {
    layer += scaled_to_device(n * k / 1e12, operations::matrix_product::work({16, n, k}, {1}), from, to);
  }
  EXPECT_NEAR(out[0], 32 * layer, 1e-12 * out[0]);
  using strict = per_op<made_tables, per_op_options{.overhead = false, .scale_devices = false}>;
  const auto refusing = strict::fit(data, row_set::all(1));
  EXPECT_THROW(refusing.predict(data, row_set::all(1), std::span<double>(out)), fit_error);
}

TEST(PerOpFitted, GivesBackThePartsOfShapesThatItSaw) {
  const auto data =
      steps(step(2, 128, 4, 64, 3200, 64, 96) + step(0, 0, 1, 64, 1600, 0, 32) + step(0, 0, 4, 64, 1600, 0, 96));
  const auto fitted = per_op_fitted::fit(data, row_set::all(3));
  std::vector<double> out(3);
  fitted.predict(data, row_set::all(3), std::span<double>(out));
  for (std::size_t row = 0; row < 3; ++row) EXPECT_NEAR(out[row], data.target()[row], 1e-15) << row;
}

/// Steps without lists or parts.
struct plain_schema {
  static constexpr std::string_view name = "plain";
  using columns = column_list<prefill_tokens_t, decode_tokens_t, prefill_requests_t, decode_requests_t,
                              kv_blocks_total_t, kv_blocks_free_t, gpu_step_time_t>;
  using targets = column_list<gpu_step_time_t>;
  static constexpr bool lists_requests = false;
  using deployment_type = rafter::deployment;
};

TEST(PerOpFitted, NeedsThePartsOfTheSteps) {
  EXPECT_EQ(per_op_fitted::missing_on<kernel_schema>(), "");
  EXPECT_EQ(per_op_fitted::missing_on<plain_schema>(), "gemm_time");
}

TEST(PerOp, WithoutKvLengthsTheRequestsShareWhatThePoolHolds) {
  EXPECT_EQ(per_op<made_tables>::missing_on<plain_schema>(), "");
  dataset_builder<plain_schema> build("made up");
  const std::size_t engine = build.add_deployment(steps(step(0, 0, 1, 64, 1, 0, 1)).deployment(0));
  build.begin_row(engine).set(prefill_tokens, 200).set(prefill_requests, 2).set(decode_tokens, 3);
  build.set(decode_requests, 3).set(kv_blocks_total, 100).set(kv_blocks_free, 75).set(gpu_step_time, 0.01);
  build.end_row();
  const auto data = build.finish();
  std::vector<double> out(1);
  sums::fit(data, row_set::all(1)).predict(data, row_set::all(1), std::span<double>(out));
  EXPECT_NEAR(out[0], products_of_8b + 32 * (2e-6 + 2e-9 * 3 * (16.0 * 25 / 5)), 1e-15);
}

}  // namespace
