// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/hardware/accelerator.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <string_view>

#include "rafter/hardware/a100.hpp"
#include "rafter/hardware/h100.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;

template <class Action> std::string message_of(Action action) {
  try {
    action();
  } catch (const hardware_error& failure) {
    return failure.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

TEST(PeakTable, HasNothingForAnAbsentPrecision) {
  const peak_table peaks{{precision::bf16, 2_TFLOP_per_s}};
  EXPECT_TRUE(peaks.has(precision::bf16));
  EXPECT_EQ(peaks.at(precision::bf16), 2_TFLOP_per_s);
  EXPECT_FALSE(peaks.has(precision::fp8));
  EXPECT_EQ(peaks.at(precision::fp8), std::nullopt);
  EXPECT_EQ(peaks.size(), 1U);
}

TEST(PeakTable, RefusesAPrecisionGivenTwice) {
  peak_table peaks{{precision::bf16, 2_TFLOP_per_s}};
  EXPECT_THROW(peaks.set(precision::bf16, 3_TFLOP_per_s), hardware_error);
}

TEST(PeakTable, RefusesAPeakThatIsNotPositiveAndFinite) {
  for (const double bad :
       {0.0, -1.0, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    peak_table peaks;
    EXPECT_THROW(peaks.set(precision::bf16, flop_per_second{bad}), hardware_error) << bad;
  }
}

TEST(Accelerator, ReadsTypesAndRecordsAlike) {
  const accelerator_record record = record_of<h100_sxm>();
  EXPECT_EQ(record.name, "H100 SXM5 80GB");
  EXPECT_EQ(peak_of(record, precision::fp8), peak_of(h100_sxm{}, precision::fp8));
  EXPECT_EQ(machine_balance(record, precision::bf16), (machine_balance_of<h100_sxm, precision::bf16>));
  EXPECT_EQ(record_of(record), record);
}

TEST(Accelerator, NamesDeviceAndPrecisionOfAMissingPeak) {
  EXPECT_EQ(message_of([] { peak_of(record_of<a100_sxm_80gb>(), precision::fp8); }),
            "accelerator 'A100 SXM4 80GB' has no peak for precision 'fp8'");
  EXPECT_THROW(machine_balance(a100_sxm_80gb{}, precision::fp4), hardware_error);
}

TEST(Accelerator, BalancesAtPeakOverBandwidth) {
  EXPECT_NEAR((machine_balance_of<h100_sxm, precision::bf16>.value), 989.4 / 3.35, 1e-9);
  EXPECT_NEAR((machine_balance_of<a100_sxm_80gb, precision::bf16>.value), 312 / 2.039, 1e-9);
}

TEST(Accelerator, CheckNamesTheImpossibleFigure) {
  const auto says = [](accelerator_record device, const std::string& field) {
    return message_of([&] { check(device); }).find(field) != std::string::npos;
  };
  const accelerator_record good = record_of<h100_sxm>();
  EXPECT_NO_THROW(check(good));
  accelerator_record bad = good;
  bad.hbm_bandwidth = 0_TB_per_s;
  EXPECT_TRUE(says(bad, "hbm_bandwidth"));
  bad = good;
  bad.hbm_capacity = bytes{std::numeric_limits<double>::quiet_NaN()};
  EXPECT_TRUE(says(bad, "hbm_capacity"));
  bad = good;
  bad.link_bandwidth = byte_per_second{-1};
  EXPECT_TRUE(says(bad, "link_bandwidth"));
  bad = good;
  bad.peak_flops = {};
  EXPECT_TRUE(says(bad, "peak_flops"));
  bad = good;
  bad.name.clear();
  EXPECT_TRUE(says(bad, "name"));
  bad = good;
  bad.multiprocessors = -1;
  EXPECT_TRUE(says(bad, "multiprocessors = -1 is negative"));
  for (const double impossible : {-1.0, std::numeric_limits<double>::quiet_NaN(), 1e301}) {
    bad = good;
    bad.cache_capacity = bytes{impossible};
    EXPECT_TRUE(says(bad, "cache_capacity")) << impossible;
  }
}

TEST(Accelerator, CarriesMultiprocessorsAndCacheIntoItsRecord) {
  const accelerator_record record = record_of<h100_sxm>();
  EXPECT_EQ(record.multiprocessors, 132);
  EXPECT_EQ(record.cache_capacity, 50_MB);
  EXPECT_EQ(record_of(record), record);
}

struct plain_device {  // what a device must say, and no more
  static constexpr std::string_view name = "plain";
  static constexpr std::string_view source = "none: made up";
  static constexpr peak_table peak_flops{{precision::bf16, 1_TFLOP_per_s}};
  static constexpr byte_per_second hbm_bandwidth = 1_TB_per_s;
  static constexpr bytes hbm_capacity = 1_GB;
  static constexpr byte_per_second link_bandwidth{0.0};
};
TEST(Accelerator, MayLeaveOpenHowManyMultiprocessorsAndHowMuchCacheItHas) {
  const accelerator_record record = record_of<plain_device>();
  EXPECT_EQ(record.multiprocessors, 0);
  EXPECT_EQ(record.cache_capacity, bytes{0.0});
  EXPECT_NO_THROW(check(record));
}

}  // namespace
