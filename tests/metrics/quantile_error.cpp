// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/metrics/quantile_error.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "../concepts/metric.hpp"

namespace {

using namespace rafter;

constexpr std::array<double, 4> actual = {1, 5, 9, 12};
constexpr std::array<double, 4> lower = {1, 2, 10, 5};
constexpr std::array<double, 4> upper = {3, 5, 12, 10};

TEST(Pinball, ObeysTheAxioms) {
  check_metric<pinball<10>>();
  check_metric<pinball<50>>();
  check_metric<pinball<99>>();
}

TEST(Pinball, IsNamedAfterItsLevel) {
  EXPECT_EQ(pinball<5>::name, "pinball_5");
  EXPECT_EQ(pinball<90>::label, "pinball p90");
}

TEST(Pinball, WeighsUnderPredictionByTheLevel) {
  const std::array<double, 1> a = {10};
  EXPECT_DOUBLE_EQ(pinball<90>::evaluate(a, std::array<double, 1>{8}), 1.8);
  EXPECT_DOUBLE_EQ(pinball<90>::evaluate(a, std::array<double, 1>{12}), 0.2);
}

TEST(Pinball, IsSmallestAtTheQuantile) {
  std::vector<double> column(101);
  for (std::size_t i = 0; i < column.size(); ++i) column[i] = static_cast<double>(i * i);
  const auto loss = [&](double guess) {
    return pinball<80>::evaluate(column, std::vector<double>(column.size(), guess));
  };
  for (const double other : {0.0, 5000.0, 6300.0, 6500.0, 9000.0}) EXPECT_LT(loss(6400.0), loss(other));
}

TEST(Interval, CoverageCountsBothEnds) { EXPECT_EQ(interval_coverage::evaluate(actual, lower, upper), 0.5); }

TEST(Interval, WidthIsTheMean) { EXPECT_EQ(interval_width::evaluate(actual, lower, upper), 3.0); }

TEST(Interval, ScoreAddsAPenaltyForEveryRowOutside) {
  EXPECT_DOUBLE_EQ(interval_score<80>::evaluate(actual, lower, upper), 3.0 + (10.0 * 1.0 + 10.0 * 2.0) / 4.0);
  EXPECT_EQ(interval_score<90>::name, "interval_score_90");
}

TEST(Interval, ScoreIsTwoPinballLossesOverAlphaHalves) {
  const auto [a, p] = any_predictions(100, 8);
  std::vector<double> low(a.size());
  std::vector<double> high(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    low[i] = 0.7 * p[i];
    high[i] = 1.3 * p[i];
  }
  const double score = interval_score<80>::evaluate(a, low, high);
  EXPECT_NEAR(score, 10.0 * (pinball<10>::evaluate(a, low) + pinball<90>::evaluate(a, high)), 1e-13 * score);
}

TEST(Interval, EmptyNonFiniteAndUnequalColumnsFollowTheMetrics) {
  EXPECT_TRUE(std::isnan(interval_coverage::evaluate({}, {}, {})));
  auto spoilt = upper;
  spoilt[2] = std::nan("");
  EXPECT_TRUE(std::isnan(interval_coverage::evaluate(actual, lower, spoilt)));
  EXPECT_TRUE(std::isnan(interval_width::evaluate(actual, spoilt, upper)));
  EXPECT_TRUE(std::isnan(interval_score<80>::evaluate(spoilt, lower, upper)));
  EXPECT_THROW(interval_width::evaluate(actual, lower, std::array<double, 2>{1, 2}), metric_error);
  EXPECT_THROW(interval_width::evaluate(actual, std::array<double, 2>{1, 2}, upper), metric_error);
}

}  // namespace
