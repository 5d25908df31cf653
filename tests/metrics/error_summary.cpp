// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/metrics/error_summary.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "../concepts/metric.hpp"

namespace {

using rafter::summarize_errors;

TEST(ErrorSummary, IsBitForBitWhatEachMetricSays) {
  auto [a, p] = any_predictions(500, 41);
  const rafter::error_summary s = summarize_errors(a, p);
  EXPECT_EQ(s.rows, 500U);
  EXPECT_EQ(s.mape, rafter::mape::evaluate(a, p));
  EXPECT_EQ(s.mean_signed_percentage_error, rafter::mean_signed_percentage_error::evaluate(a, p));
  EXPECT_EQ(s.cancellation, rafter::cancellation::evaluate(a, p));
  EXPECT_EQ(s.median_ape, rafter::median_ape::evaluate(a, p));
  EXPECT_EQ(s.p90_ape, rafter::p90_ape::evaluate(a, p));
  EXPECT_EQ(s.p99_ape, rafter::p99_ape::evaluate(a, p));
  EXPECT_EQ(s.share_above_half, rafter::share_above_half::evaluate(a, p));
  EXPECT_EQ(s.smape, rafter::smape::evaluate(a, p));
  EXPECT_EQ(s.wape, rafter::wape::evaluate(a, p));
  EXPECT_EQ(s.rmse, rafter::rmse::evaluate(a, p));
  EXPECT_EQ(s.mae, rafter::mae::evaluate(a, p));
  EXPECT_EQ(s.bias, rafter::bias::evaluate(a, p));
  EXPECT_EQ(s.max_error, rafter::max_error::evaluate(a, p));
  EXPECT_EQ(s.r2, rafter::r2::evaluate(a, p));
  EXPECT_EQ(s.pearson, rafter::pearson::evaluate(a, p));
  EXPECT_EQ(s.spearman, rafter::spearman::evaluate(a, p));
  EXPECT_EQ(s.log_ratio_rmse, rafter::log_ratio_rmse::evaluate(a, p));
  EXPECT_EQ(s.geometric_mean_ratio, rafter::geometric_mean_ratio::evaluate(a, p));
  EXPECT_GE(s.max_ape, s.p99_ape);
}

TEST(ErrorSummary, CountsZeroAndNonPositiveRows) {
  const auto s = summarize_errors(std::array<double, 4>{0, 2, 4, 1}, std::array<double, 4>{1, 3, -4, 1});
  EXPECT_EQ(s.rows, 4U);
  EXPECT_EQ(s.zero_actual, 1U);
  EXPECT_EQ(s.not_positive, 2U);
  EXPECT_EQ(s.not_finite, 0U);
  EXPECT_DOUBLE_EQ(s.mape, 2.5 / 3.0);
  EXPECT_TRUE(std::isnan(s.log_ratio_rmse));
  EXPECT_TRUE(std::isnan(s.geometric_mean_ratio));
  EXPECT_EQ(s.max_ape, 2.0);
}

TEST(ErrorSummary, OneNonFiniteRowIsCountedAndLeavesNoValue) {
  const auto s = summarize_errors(std::array<double, 3>{1, 2, 3}, std::array<double, 3>{1, std::nan(""), 3});
  EXPECT_EQ(s.rows, 3U);
  EXPECT_EQ(s.not_finite, 1U);
  for (const double value : {s.mape, s.p99_ape, s.rmse, s.r2, s.spearman, s.wape, s.cancellation, s.max_error}) {
    EXPECT_TRUE(std::isnan(value));
  }
}

TEST(ErrorSummary, OfNothingHasNoValues) {
  const auto s = summarize_errors({}, {});
  EXPECT_EQ(s.rows, 0U);
  EXPECT_TRUE(std::isnan(s.mape) && std::isnan(s.rmse) && std::isnan(s.bias));
}

TEST(ErrorSummary, LeavesSpearmanOutWhenAsked) {
  const auto [a, p] = any_predictions(50, 6);
  const auto s = summarize_errors(a, p, {.spearman = false});
  EXPECT_TRUE(std::isnan(s.spearman));
  EXPECT_FALSE(std::isnan(s.pearson));
}

TEST(ErrorSummary, ThrowsOnDifferentLengths) {
  EXPECT_THROW(summarize_errors(std::array<double, 2>{1, 2}, std::array<double, 1>{1}), rafter::metric_error);
}

}  // namespace
