// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/analytical/deployment.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <random>

#include "rafter/analytical/roofline.hpp"
#include "rafter/architecture/catalog.hpp"
#include "rafter/hardware/h100.hpp"
#include "rafter/hardware/h200.hpp"
#include "support/tiny.hpp"

namespace {

using namespace rafter;
using tiny::value;

TEST(Deployment, RecordOfAStaticOneSaysTheSame) {
  const deployment record = deployment_of(static_deployment<mixtral_8x7b, h100_sxm, 2, precision::fp8>{});
  EXPECT_EQ(record.architecture, decoder_of<mixtral_8x7b>());
  EXPECT_EQ(record.hardware, record_of<h100_sxm>());
  EXPECT_EQ(record.tensor_parallel, 2.0);
  EXPECT_EQ(record.math_precision, precision::fp8);
}

TEST(Deployment, ThePeakIsThatOfThePrecision) {
  const tiny::step any{};
  EXPECT_EQ(value(hardware::peak_flops, any, static_deployment<llama2_7b, h100_sxm>{}), 989.4e12);
  EXPECT_EQ(value(hardware::peak_flops, any, static_deployment<llama2_7b, h100_sxm, 1, precision::fp8>{}), 1978.9e12);
}

TEST(Deployment, AMissingPeakOfARecordIsAnErrorAtRunTime) {
  deployment record = deployment_of(static_deployment<llama2_7b, h100_sxm>{});
  record.math_precision = precision::fp4;
  EXPECT_THROW(value(hardware::peak_flops, tiny::step{}, record), hardware_error);
}

TEST(Deployment, TheArchitectureIsReadFromIt) {
  const tiny::step any{};
  const static_deployment<tiny::moe, tiny::memory_bound, 2> engine{};
  EXPECT_EQ(value(architecture::layers, any, engine), 2.0);
  EXPECT_EQ(value(architecture::hidden, any, engine), 4.0);
  EXPECT_EQ(value(architecture::heads, any, engine), 2.0);
  EXPECT_EQ(value(architecture::kv_heads, any, engine), 1.0);
  EXPECT_EQ(value(architecture::head_dim, any, engine), 2.0);
  EXPECT_EQ(value(architecture::intermediate, any, engine), 6.0);
  EXPECT_EQ(value(architecture::shared_intermediate, any, engine), 0.0);
  EXPECT_EQ(value(architecture::experts, any, engine), 4.0);
  EXPECT_EQ(value(architecture::experts_per_token, any, engine), 2.0);
  EXPECT_EQ(value(architecture::vocabulary, any, engine), 10.0);
  EXPECT_EQ(value(architecture::bytes_per_weight, any, engine), 2.0);
  EXPECT_EQ(value(architecture::is_moe, any, engine), 1.0);
  EXPECT_EQ(value(architecture::is_moe, any, static_deployment<tiny::dense, tiny::memory_bound>{}), 0.0);
  EXPECT_EQ(value(tensor_parallel, any, engine), 2.0);
  EXPECT_EQ(value(hardware::machine_balance, any, engine), 10.0);
}

/// An empty type that the compiler folds and a record read at run time give the same bits.
template <class Architecture, class Device, int Ranks> void expect_same_bits(std::uint64_t seed) {
  const static_deployment<Architecture, Device, Ranks> folded{};
  const deployment record = deployment_of(folded);
  std::mt19937_64 random(seed);
  const auto compare = [&](auto expression, const tiny::step& step) {
    const double expected = value(expression, step, folded);
    const double got = value(expression, step, record);
    EXPECT_EQ(std::bit_cast<std::uint64_t>(expected), std::bit_cast<std::uint64_t>(got)) << expected << " " << got;
  };
  for (int i = 0; i < 50; ++i) {
    const tiny::step step = tiny::random_step(random);
    compare(analytical::roofline_step_time, step);
    compare(analytical::floor_time, step);
    compare(analytical::all_reduce_time, step);
    compare(analytical::arithmetic_intensity(analytical::step_gemm), step);
    compare(analytical::experts_touched(scheduled_tokens), step);
  }
}

TEST(Deployment, StaticAndRunTimeOnesGiveTheSameBits) {
  expect_same_bits<llama2_70b, h100_sxm, 4>(1);
  expect_same_bits<mixtral_8x7b, h200_sxm, 2>(2);
  expect_same_bits<tiny::moe, tiny::compute_bound, 2>(3);
}

}  // namespace
