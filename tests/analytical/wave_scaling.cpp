// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/analytical/wave_scaling.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "rafter/hardware/a100.hpp"
#include "rafter/hardware/h100.hpp"
#include "rafter/hardware/h200.hpp"

namespace {

using namespace rafter;

const accelerator_record h100 = record_of<h100_sxm>(), h200 = record_of<h200_sxm>(),
                         a100 = record_of<a100_sxm_80gb>();

TEST(WaveScaling, MemoryBoundednessFallsFromOneToAHalfAtTheBalanceAndThenAsOneOverIntensity) {
  const wave_device to = wave_device_of(h100, precision::bf16);
  EXPECT_DOUBLE_EQ(to.balance, 989.4e12 / 3.35e12);
  EXPECT_EQ(memory_boundedness(0.0, to), 1.0);
  EXPECT_DOUBLE_EQ(memory_boundedness(to.balance / 2, to), 0.75);
  EXPECT_DOUBLE_EQ(memory_boundedness(to.balance, to), 0.5);
  EXPECT_DOUBLE_EQ(memory_boundedness(to.balance * 5, to), 0.1);
}

TEST(WaveScaling, BoundByMemoryOnlyBandwidthCounts) {
  const wave_device from{2e12, 100, 1e9, 300}, to{5e12, 50, 3e9, 300};
  EXPECT_NEAR(scaled_by_waves(1.0, from, to, 1.0), 0.4, 1e-15);
}

TEST(WaveScaling, BoundByComputeWavesAndRateCount) {
  const wave_device from{2e12, 100, 1e9, 300}, to{5e12, 50, 3e9, 300};
  EXPECT_NEAR(scaled_by_waves(1.0, from, to, 0.0), 2.0 / 3.0, 1e-15);
}

TEST(WaveScaling, CountingWavesAgreesWithManyWavesWhereTheBlocksFillThem) {
  const wave_device from{2e12, 100, 1e9, 300}, to{5e12, 50, 3e9, 300};
  for (const double gamma : {0.0, 0.3, 1.0}) {
    const double many = scaled_by_waves(1.0, from, to, gamma);
    EXPECT_NEAR(scaled_by_waves(1.0, from, to, gamma, 700.0), many, 1e-12 * many) << gamma;
  }
}

TEST(WaveScaling, TheLastWaveIsWaitedForWhole) {
  const wave_device from{1e12, 100, 1e9, 300}, to{1e12, 120, 1e9, 300};
  EXPECT_NEAR(scaled_by_waves(1.0, from, to, 0.0, 240.0), 2.0 / 3.0, 1e-15);  // 3 waves, then 2
  EXPECT_NEAR(scaled_by_waves(1.0, from, to, 0.0, 241.0), 1.0, 1e-15);        // 3 waves, then 3
}

TEST(WaveScaling, AKernelOfLessThanAWaveGainsNothingFromMoreMultiprocessors) {
  const wave_device from{1e12, 100, 1e9, 300}, to{1e12, 200, 1e9, 300};
  EXPECT_EQ(scaled_by_waves(1.0, from, to, 0.4, 64.0), 1.0);
}

TEST(WaveScaling, ThereAndBackIsTheSameTime) {
  const wave_device from = wave_device_of(h100, precision::bf16), to = wave_device_of(a100, precision::bf16);
  EXPECT_NEAR(scaled_by_waves(scaled_by_waves(1.0, from, to, 0.6), to, from, 0.6), 1.0, 1e-14);
}

TEST(WaveScaling, FromH100ToH200AMemoryBoundOperationGainsTheRatioOfBandwidths) {
  const operation_work read_only{0.0, 1e9, 0.0, precision::bf16};
  EXPECT_NEAR(scaled_to_device(1.0, read_only, h100, h200), 3.35 / 4.8, 1e-14);
  EXPECT_NEAR(scaled_by_roofline(1.0, read_only, h100, h200), 3.35 / 4.8, 1e-14);
}

TEST(WaveScaling, TrafficBetweenDevicesScalesWithTheLink) {
  const operation_work sent{0.0, 1e6, 1e6, precision::bf16};
  EXPECT_DOUBLE_EQ(scaled_to_device(1.0, sent, h100, a100), 1.5);
  accelerator_record alone = a100;
  alone.link_bandwidth = {};
  EXPECT_TRUE(std::isnan(scaled_to_device(1.0, sent, h100, alone)));
}

TEST(WaveScaling, AFigureThatIsNotKnownGivesNoNumber) {
  accelerator_record unknown = a100;
  unknown.multiprocessors = 0;
  const operation_work some{1e9, 1e9, 0.0, precision::bf16};
  EXPECT_TRUE(std::isnan(scaled_to_device(1.0, some, h100, unknown)));
  EXPECT_TRUE(std::isnan(scaled_to_device(1.0, {1e9, 1e9, 0.0, precision::fp8}, h100, a100)));
}

}  // namespace
