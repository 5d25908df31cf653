// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/analytical/roofline.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "rafter/architecture/catalog.hpp"
#include "rafter/hardware/a100.hpp"
#include "rafter/hardware/h100.hpp"
#include "support/tiny.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;
using tiny::value;

/// T = 4; see tests/analytical/work.cpp for the counts.
const tiny::step mixed{{request::prefilling(2, 1), request::decoding(3), request::decoding(6)}};
const tiny::step empty{};

// FLOP: GEMM 2·2·4·120 = 1920, prefill 160, decode 352. Bytes: 480 + 46·16 = 1216, 112, 240, KV write 64.
TEST(Roofline, BytesBoundWhenBandwidthIsScarce) {
  const static_deployment<tiny::dense, tiny::memory_bound> engine{};  // 100 FLOP/s, 10 B/s
  EXPECT_DOUBLE_EQ(value(roofline(analytical::step_gemm), mixed, engine), 121.6);
  EXPECT_DOUBLE_EQ(value(roofline(analytical::prefill_attention), mixed, engine), 11.2);
  EXPECT_DOUBLE_EQ(value(roofline(analytical::decode_attention), mixed, engine), 24.0);
  EXPECT_DOUBLE_EQ(value(analytical::roofline_step_time, mixed, engine), 121.6 + 11.2 + 24.0 + 6.4);
}

TEST(Roofline, FlopsBoundWhenThePeakIsLow) {
  const static_deployment<tiny::dense, tiny::compute_bound> engine{};  // 10 FLOP/s, 100 B/s
  EXPECT_DOUBLE_EQ(value(analytical::roofline_step_time, mixed, engine), 192.0 + 16.0 + 35.2 + 0.64);
}

TEST(Roofline, AnMfuScalesTheComputeSideOnly) {
  const auto halved = [](auto work) { return roofline(work.flops, work.bytes, 0.5_c); };
  EXPECT_DOUBLE_EQ(value(halved(analytical::step_gemm), mixed, static_deployment<tiny::dense, tiny::compute_bound>{}),
                   384.0);
  EXPECT_DOUBLE_EQ(value(halved(analytical::step_gemm), mixed, static_deployment<tiny::dense, tiny::memory_bound>{}),
                   121.6);
}

TEST(Roofline, AllReduceTimeUsesOneDirectionOfTheLink) {
  // 128 bytes (tests/analytical/work.cpp) over 8/2 = 4 B/s.
  EXPECT_DOUBLE_EQ(value(analytical::all_reduce_time, mixed, static_deployment<tiny::dense, tiny::memory_bound, 2>{}),
                   32.0);
  EXPECT_EQ(value(analytical::all_reduce_time, mixed, static_deployment<tiny::dense, tiny::memory_bound>{}), 0.0);
}

TEST(Roofline, OneRankNeedsNoLink) {
  deployment alone = deployment_of(static_deployment<tiny::dense, tiny::memory_bound>{});
  alone.hardware.link_bandwidth = byte_per_second{0.0};
  EXPECT_EQ(value(analytical::all_reduce_time, mixed, alone), 0.0);
}

TEST(Roofline, FloorOfAStepWithoutTokensIsZero) {
  const static_deployment<tiny::dense, tiny::memory_bound> engine{};
  EXPECT_EQ(value(analytical::floor_time, empty, engine), 0.0);
  EXPECT_EQ(value(analytical::roofline_step_time, empty, engine), 0.0);
  EXPECT_DOUBLE_EQ(value(analytical::floor_time, mixed, engine), 48.0);  // 480 B / 10 B/s
}

// 80·2·(2·8192² + 2·8192·1024 + 3·8192·28672)/4 = 34,225,520,640 B over 3.35 TB/s.
TEST(Roofline, FloorOfLlama2With70BOnFourH100) {
  const static_deployment<llama2_70b, h100_sxm, 4> engine{};
  EXPECT_DOUBLE_EQ(value(analytical::least_weight_bytes, mixed, engine), 34225520640.0);
  EXPECT_NEAR(value(analytical::floor_time, mixed, engine), 10.2166e-3, 5e-8);
}

TEST(Roofline, TheFloorIsNeverAboveTheRoofline) {
  std::mt19937_64 random(11);
  const deployment engines[] = {deployment_of(static_deployment<llama2_7b, h100_sxm>{}),
                                deployment_of(static_deployment<llama2_70b, h100_sxm, 4>{}),
                                deployment_of(static_deployment<mixtral_8x7b, a100_sxm_80gb, 2>{}),
                                deployment_of(static_deployment<tiny::moe, tiny::memory_bound>{}),
                                deployment_of(static_deployment<tiny::dense, tiny::compute_bound>{})};
  for (int i = 0; i < 400; ++i) {
    const tiny::step step = i % 8 == 0 ? tiny::step{{request::decoding(0)}} : tiny::random_step(random);
    for (const deployment& engine : engines) {
      const double least = value(analytical::floor_time, step, engine);
      EXPECT_LE(least, value(analytical::roofline_step_time, step, engine));
      EXPECT_EQ(least > 0.0, !step.requests.empty());
    }
  }
}

TEST(Roofline, IsAtLeastBothOfItsSides) {
  std::mt19937_64 random(12);
  const static_deployment<llama2_70b, h100_sxm, 4> engine{};
  const auto gemm = analytical::step_gemm;
  bool compute = false;
  bool memory = false;
  for (int i = 0; i < 200; ++i) {
    const tiny::step step = tiny::random_step(random, 12, i % 2 == 0 ? 1.0 : 0.3);
    const double time = value(roofline(gemm), step, engine);
    const double by_flops = value(gemm.flops / hardware::peak_flops, step, engine);
    const double by_bytes = value(gemm.bytes / hardware::hbm_bandwidth, step, engine);
    EXPECT_EQ(time, std::fmax(by_flops, by_bytes));
    compute = compute || by_flops > by_bytes;
    memory = memory || by_bytes > by_flops;
  }
  EXPECT_TRUE(compute && memory);  // the sample saw both regimes
}

}  // namespace
