// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/metrics/percentage_error.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "../concepts/metric.hpp"

namespace {

using namespace rafter;

// Signed errors 0.5, -0.5, 1, 0; the last row has no percentage error.
constexpr std::array<double, 5> actual = {2, 4, 1, 10, 0};
constexpr std::array<double, 5> predicted = {3, 2, 2, 10, 5};

template <class M> void check_scale_invariance() {
  auto [a, p] = any_predictions(200, 17);
  const double value = M::evaluate(a, p);
  for (std::size_t i = 0; i < a.size(); ++i) {
    a[i] *= 1024.0;  // exact, so the value must be exact as well
    p[i] *= 1024.0;
  }
  EXPECT_EQ(M::evaluate(a, p), value) << M::name;
}

TEST(PercentageError, MetricsObeyTheAxioms) {
  check_metric<mape>();
  check_metric<median_ape>();
  check_metric<p90_ape>();
  check_metric<p99_ape>();
  check_metric<mean_signed_percentage_error>();
  check_metric<cancellation>();
  check_metric<share_above_half>();
  check_metric<smape>();
  check_metric<wape>();
}

TEST(PercentageError, DoesNotDependOnTheUnitOfTime) {
  check_scale_invariance<mape>();
  check_scale_invariance<median_ape>();
  check_scale_invariance<p90_ape>();
  check_scale_invariance<p99_ape>();
  check_scale_invariance<mean_signed_percentage_error>();
  check_scale_invariance<cancellation>();
  check_scale_invariance<share_above_half>();
  check_scale_invariance<smape>();
  check_scale_invariance<wape>();
}

TEST(PercentageError, ValuesByHand) {
  EXPECT_EQ(mape::evaluate(actual, predicted), 0.5);
  EXPECT_EQ(mean_signed_percentage_error::evaluate(actual, predicted), 0.25);
  EXPECT_EQ(median_ape::evaluate(actual, predicted), 0.5);
  EXPECT_DOUBLE_EQ(p90_ape::evaluate(actual, predicted), 0.5 + 0.7 * 0.5);
  EXPECT_EQ(share_above_half::evaluate(actual, predicted), 0.25);  // exactly 50 % is not above
  EXPECT_EQ(wape::evaluate(actual, predicted), 9.0 / 17.0);
  EXPECT_DOUBLE_EQ(smape::evaluate(actual, predicted), (2.0 / 5.0 + 4.0 / 6.0 + 2.0 / 3.0 + 0.0 + 2.0) / 5.0);
}

TEST(PercentageError, CancellationSaysHowMuchTheSignedMeanHides) {
  EXPECT_EQ(cancellation::evaluate(actual, predicted), 0.5);
  const std::array<double, 2> a = {1, 1};
  EXPECT_EQ(cancellation::evaluate(a, std::array<double, 2>{2, 0}), 1.0);
  EXPECT_EQ(cancellation::evaluate(a, std::array<double, 2>{2, 3}), 0.0);
  EXPECT_EQ(cancellation::evaluate(a, a), 0.0);
}

TEST(PercentageError, CountsTheRowsItLeavesOut) {
  static_assert(skips_zero_actual<mape> && skips_zero_actual<cancellation>);
  static_assert(!skips_zero_actual<smape> && !skips_zero_actual<wape> && !skips_zero_actual<archetype::metric>);
  EXPECT_EQ(zero_actual_rows(actual), 1U);
  EXPECT_EQ(zero_actual_rows(std::array<double, 3>{0.0, -0.0, 1.0}), 2U);
}

TEST(PercentageError, IsUndefinedWhenEveryMeasurementIsZero) {
  const std::array<double, 2> zeros = {0, 0};
  const std::array<double, 2> ones = {1, 1};
  for (const double value :
       {mape::evaluate(zeros, ones), median_ape::evaluate(zeros, ones), p99_ape::evaluate(zeros, ones),
        mean_signed_percentage_error::evaluate(zeros, ones), cancellation::evaluate(zeros, ones),
        share_above_half::evaluate(zeros, ones), wape::evaluate(zeros, ones)}) {
    EXPECT_TRUE(std::isnan(value));
  }
  EXPECT_EQ(smape::evaluate(zeros, zeros), 0.0);
  EXPECT_EQ(smape::evaluate(zeros, ones), 2.0);
}

TEST(PercentageError, ANonFinitePredictionOfAZeroRowIsNotHidden) {
  EXPECT_TRUE(std::isnan(mape::evaluate(std::array<double, 2>{0, 1}, std::array<double, 2>{std::nan(""), 1})));
}

TEST(PercentageError, QuantilesGrowWithTheirLevel) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    const auto [a, p] = any_predictions(30 + seed, seed);
    EXPECT_LE(median_ape::evaluate(a, p), p90_ape::evaluate(a, p));
    EXPECT_LE(p90_ape::evaluate(a, p), p99_ape::evaluate(a, p));
    EXPECT_LE(std::fabs(mean_signed_percentage_error::evaluate(a, p)), mape::evaluate(a, p));
  }
}

}  // namespace
