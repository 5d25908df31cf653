// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/io/mfu_points.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "rafter/hardware/h100.hpp"
#include "support/data.hpp"
#include "support/message.hpp"

namespace {

using namespace rafter;

const std::string vidur_header =
    "tp,num_tokens,n_head,n_kv_head,n_embd,n_expanded_embd,vocab_size,use_gated_mlp,emb_ms,input_layernorm_ms,"
    "attn_pre_proj_ms,attn_rope_ms,attn_post_proj_ms,post_attention_layernorm_ms,mlp_up_proj_ms,mlp_act_ms,"
    "mlp_down_proj_ms,add_ms\n";
const std::string vidur_good =
    "2,16,64,8,8192,22016,32768,True,0.003,0.006,0.065,0.004,0.048,0.006,0.2405,0.012,0.125,0.001\n";
const std::string kernel_header = "kernel_source,gemm_dtype,m,n,k,latency_us\n";

/// The row with another text in a field.
std::string with(const std::string& row, std::size_t field, const std::string& text) {
  std::size_t at = 0;
  for (std::size_t i = 0; i < field; ++i) at = row.find(',', at) + 1;
  return row.substr(0, at) + text + row.substr(row.find_first_of(",\n", at));
}
std::string vidur_refusal(std::size_t field, const std::string& text) {
  return message_of([&] { parse_vidur_gemms(vidur_header + vidur_good + with(vidur_good, field, text), "mlp.csv"); });
}
std::string kernel_refusal(const std::string& rows) {
  return message_of([&] { parse_aiconfigurator_gemms(kernel_header + rows, "gemm.csv"); });
}
void expect_is(const measured_gemm& got, const std::string& kernel, double m, double n, double k, double seconds) {
  EXPECT_EQ(got.kernel, kernel);
  EXPECT_EQ(got.m, m);
  EXPECT_EQ(got.n, n);
  EXPECT_EQ(got.k, k);
  EXPECT_DOUBLE_EQ(got.seconds, seconds);
}

TEST(VidurGemms, ShapesAreThoseOfOneRank) {
  const auto gemms = parse_vidur_gemms(vidur_header + vidur_good, "mlp.csv");
  ASSERT_EQ(gemms.size(), 4U);
  expect_is(gemms[0], "attn_pre_proj", 16, (64 + 2 * 8) * 128 / 2, 8192, 65e-6);
  expect_is(gemms[1], "attn_post_proj", 16, 8192, 8192 / 2, 48e-6);
  expect_is(gemms[2], "mlp_up_proj", 16, 2 * 22016 / 2, 8192, 240.5e-6);
  expect_is(gemms[3], "mlp_down_proj", 16, 8192, 22016 / 2, 125e-6);
  for (const measured_gemm& one : gemms) EXPECT_EQ(one.format, precision::fp16);
}

TEST(VidurGemms, WithoutAGateTheMlpIsHalfAsWideAndAColumnMayBeAbsent) {
  const std::string header =
      "tp,num_tokens,n_head,n_kv_head,n_embd,n_expanded_embd,vocab_size,use_gated_mlp,emb_ms,input_layernorm_ms,"
      "attn_pre_proj_ms,attn_rope_ms,attn_post_proj_ms,mlp_up_proj_ms,mlp_act_ms,mlp_down_proj_ms,add_ms\n";
  const auto gemms = parse_vidur_gemms(
      header + "1,1,32,32,2560,10240,51200,False,0.002,0.006,0.016,0.003,0.009,0.022,0.001,0.023,0.002\n", "mlp.csv");
  ASSERT_EQ(gemms.size(), 4U);
  expect_is(gemms[0], "attn_pre_proj", 1, 3 * 2560, 2560, 16e-6);
  expect_is(gemms[2], "mlp_up_proj", 1, 10240, 2560, 22e-6);
}

TEST(VidurGemms, BadRowsNamePlaceFieldAndText) {
  EXPECT_EQ(vidur_refusal(0, "3"), "mlp.csv:3:6: field 'n_head': '64' is not divided by tp = 3");
  EXPECT_EQ(vidur_refusal(1, "0"), "mlp.csv:3:3: field 'num_tokens': '0' is no size of a matrix");
  EXPECT_EQ(vidur_refusal(1, "1.5"), "mlp.csv:3:3: field 'num_tokens': '1.5' is not an integer");
  EXPECT_EQ(vidur_refusal(2, "62"), "mlp.csv:3:6: field 'n_head': '62' does not divide n_embd");
  EXPECT_EQ(vidur_refusal(3, "-8"), "mlp.csv:3:9: field 'n_kv_head': '-8' is negative");
  EXPECT_EQ(vidur_refusal(7, "yes"), "mlp.csv:3:28: field 'use_gated_mlp': 'yes' is neither True nor False");
  EXPECT_EQ(vidur_refusal(10, "0.000"),
            "mlp.csv:3:45: field 'attn_pre_proj_ms': '0.000' is not a time that a kernel can take");
  EXPECT_EQ(vidur_refusal(16, "nan"), "mlp.csv:3:82: field 'mlp_down_proj_ms': 'nan' is not a finite number");
  EXPECT_EQ(vidur_refusal(16, ""), "mlp.csv:3:82: field 'mlp_down_proj_ms': is empty, expected a number");
}

TEST(VidurGemms, ARefusedRowLeavesNoneOfItsProducts) {
  bad_row_report bad;
  const auto gemms = parse_vidur_gemms(vidur_header + with(vidur_good, 16, "?") + vidur_good, "mlp.csv",
                                       csv_options{.bad_rows = &bad});
  EXPECT_EQ(gemms.size(), 4U);
  EXPECT_EQ(bad.rows.refused, 1U);
}

TEST(VidurGemms, AnotherTableIsRefusedByItsHeader) {
  EXPECT_EQ(message_of([&] { parse_vidur_gemms(kernel_header + "a,bfloat16,1,2,3,4\n", "gemm.csv"); }),
            "gemm.csv:1:1: unexpected column 'kernel_source'");
  EXPECT_EQ(message_of([&] { parse_vidur_gemms("tp,num_token\n1,1\n", "mlp.csv"); }),
            "mlp.csv:1:4: unexpected column 'num_token'; did you mean 'num_tokens'?");
}

TEST(AiconfiguratorGemms, AreReadAsTheyStand) {
  const auto gemms = parse_aiconfigurator_gemms(
      kernel_header + "linear,bfloat16,8,32,64,4.728\nscaled,fp8,1,2,3,5\nblocks,fp8_block,1,2,3,6\n", "gemm.csv");
  ASSERT_EQ(gemms.size(), 3U);
  expect_is(gemms[0], "linear", 8, 32, 64, 4.728e-6);
  EXPECT_EQ(gemms[0].format, precision::bf16);
  EXPECT_EQ(gemms[1].format, precision::fp8);
  EXPECT_EQ(gemms[2].format, precision::fp8);
}

TEST(AiconfiguratorGemms, BadRowsNamePlaceFieldAndText) {
  EXPECT_EQ(kernel_refusal("linear,float7,8,32,64,4\n"),
            "gemm.csv:2:8: field 'gemm_dtype': 'float7' is not one of bfloat16, fp8, fp8_block");
  EXPECT_EQ(kernel_refusal("linear,fp8,8,0,64,4\n"), "gemm.csv:2:14: field 'n': '0' is no size of a matrix");
  EXPECT_EQ(kernel_refusal("linear,fp8,8,32,64,-4\n"),
            "gemm.csv:2:20: field 'latency_us': '-4' is not a time that a kernel can take");
  EXPECT_EQ(kernel_refusal(",fp8,8,32,64,4\n"), "gemm.csv:2:1: field 'kernel_source': is empty, expected a text");
}

const std::vector<measured_gemm> three{{"up", precision::bf16, 10, 20, 30, 2.0},
                                       {"up", precision::bf16, 5, 20, 30, 1.5},
                                       {"down", precision::bf16, 10, 30, 20, 3.0}};
constexpr flop_per_second peak{8000.0};

TEST(MfuPoints, AreFlopOverTimeAndPeak) {
  const std::vector<curve_point> expected{{12000, 0.75}, {6000, 0.5}, {12000, 0.5}};
  EXPECT_EQ(mfu_points(three, peak), expected);
}

TEST(MfuPoints, AgainstTokensOrIntensityOrAnythingElse) {
  EXPECT_EQ(mfu_points(three, peak, &measured_gemm::m)[1], (curve_point{5, 0.5}));
  EXPECT_EQ(mfu_points(three, peak, &measured_gemm::intensity)[0].x, 12000.0 / (2 * (300 + 600 + 200)));
  EXPECT_EQ(mfu_points(three, peak, [](const measured_gemm& one) { return one.n; })[2].x, 30.0);
  const measured_gemm bytes{"up", precision::fp8, 10, 20, 30, 2.0};
  EXPECT_EQ(bytes.intensity(), 12000.0 / (300 + 600 + 2 * 200));
}

TEST(MfuPoints, OfOneWeightMatrix) {
  const auto found = of_shape(three, 20, 30);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[1].m, 5.0);
  EXPECT_TRUE(of_shape(three, 30, 30).empty());
}

TEST(MfuPoints, APeakThatCannotBeIsRefused) {
  EXPECT_EQ(message_of([&] { mfu_points(three, flop_per_second{5000.0}); }),
            "mfu_points: product 1 (up) has the MFU 1.200000; above 1 the peak is not that of the device and format");
  EXPECT_EQ(message_of([&] { mfu_points(three, flop_per_second{0.0}); }),
            "mfu_points: product 1 (up) has the MFU inf; above 1 the peak is not that of the device and format");
  auto mixed = three;
  mixed[2].format = precision::fp8;
  EXPECT_EQ(message_of([&] { mfu_points(mixed, peak); }),
            "mfu_points: product 3 (down) is in fp8, the first in bf16; each has a peak of its own");
  EXPECT_TRUE(mfu_points({}, peak).empty());
}

TEST(MfuPoints, MeasuredKernelsAreBelowThePeak) {
  const std::filesystem::path root = data_folder();
  const std::filesystem::path path = root / "vidur" / "h100" / "Llama-2-7b-hf" / "mlp.csv";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no vidur under RAFTER_DATA: measured kernels are not read";
  const auto gemms = read_vidur_gemms(path.string());
  EXPECT_EQ(gemms.size(), 4U * 1044U);
  const auto points = mfu_points(gemms, peak_of_device<h100_sxm, precision::fp16>);
  EXPECT_EQ(points.size(), gemms.size());
}

}  // namespace
