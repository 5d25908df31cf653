// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/metrics/log_ratio.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "../concepts/metric.hpp"

namespace {

using namespace rafter;

TEST(LogRatio, MetricsObeyTheAxioms) {
  check_metric<log_ratio_rmse>();
  check_metric<geometric_mean_ratio>();
}

TEST(LogRatio, ValuesByHand) {
  const std::array<double, 2> actual = {1, 4};
  EXPECT_DOUBLE_EQ(log_ratio_rmse::evaluate(actual, std::array<double, 2>{2, 2}), std::log(2.0));
  EXPECT_DOUBLE_EQ(geometric_mean_ratio::evaluate(actual, std::array<double, 2>{2, 2}), 1.0);
  EXPECT_DOUBLE_EQ(geometric_mean_ratio::evaluate(actual, std::array<double, 2>{3, 12}), 3.0);
}

TEST(LogRatio, IsSymmetricInOverAndUnderPrediction) {
  const auto [a, p] = any_predictions(100, 23);
  EXPECT_EQ(log_ratio_rmse::evaluate(a, p), log_ratio_rmse::evaluate(p, a));
  EXPECT_NEAR(geometric_mean_ratio::evaluate(a, p) * geometric_mean_ratio::evaluate(p, a), 1.0, 1e-15);
}

TEST(LogRatio, IsUndefinedWithARowThatHasNoLogarithm) {
  const std::array<double, 3> positive = {1, 2, 3};
  for (const std::array<double, 3> other : {std::array<double, 3>{1, 0, 3}, std::array<double, 3>{1, 2, -3}}) {
    EXPECT_EQ(non_positive_rows(positive, other), 1U);
    EXPECT_TRUE(std::isnan(log_ratio_rmse::evaluate(positive, other)));
    EXPECT_TRUE(std::isnan(geometric_mean_ratio::evaluate(other, positive)));
  }
}

}  // namespace
