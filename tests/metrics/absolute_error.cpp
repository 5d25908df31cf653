// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/metrics/absolute_error.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "../concepts/metric.hpp"

namespace {

using namespace rafter;

constexpr std::array<double, 4> actual = {1, 2, 3, 6};
constexpr std::array<double, 4> predicted = {2, 2, 1, 9};  // errors 1, 0, -2, 3

TEST(AbsoluteError, MetricsObeyTheAxioms) {
  check_metric<rmse>();
  check_metric<mae>();
  check_metric<median_ae>();
  check_metric<max_error>();
  check_metric<bias>();
  check_metric<r2>();
  check_metric<explained_variance>();
}

TEST(AbsoluteError, ValuesByHand) {
  EXPECT_EQ(rmse::evaluate(actual, predicted), std::sqrt(14.0 / 4.0));
  EXPECT_EQ(mae::evaluate(actual, predicted), 1.5);
  EXPECT_EQ(median_ae::evaluate(actual, predicted), 1.5);
  EXPECT_EQ(max_error::evaluate(actual, predicted), 3.0);
  EXPECT_EQ(bias::evaluate(actual, predicted), 0.5);
  EXPECT_EQ(r2::evaluate(actual, predicted), 0.0);  // SSE = SST = 14
  EXPECT_EQ(explained_variance::evaluate(actual, predicted), 1.0 - 13.0 / 14.0);
}

TEST(AbsoluteError, ScalesWithTheUnit) {
  auto [a, p] = any_predictions(100, 9);
  const double root_mean_square = rmse::evaluate(a, p);
  const double share = r2::evaluate(a, p);
  for (std::size_t i = 0; i < a.size(); ++i) {
    a[i] *= 0.125;
    p[i] *= 0.125;
  }
  EXPECT_EQ(rmse::evaluate(a, p), 0.125 * root_mean_square);
  EXPECT_EQ(r2::evaluate(a, p), share);
}

TEST(AbsoluteError, R2IsNegativeWhenAConstantIsBetter) {
  EXPECT_EQ(r2::evaluate(std::array<double, 2>{1, 3}, std::array<double, 2>{3, 1}), -3.0);
}

TEST(AbsoluteError, R2KeepsItsDigitsFarFromZero) {
  auto [a, p] = any_predictions(100, 4);
  for (std::size_t i = 0; i < a.size(); ++i) {
    a[i] = std::round(a[i] * 1024.0);
    p[i] = std::round(p[i] * 1024.0);
  }
  const double near_zero = r2::evaluate(a, p);
  for (std::size_t i = 0; i < a.size(); ++i) {
    a[i] += 1e12;
    p[i] += 1e12;
  }
  EXPECT_NEAR(r2::evaluate(a, p), near_zero, 1e-10);
}

TEST(AbsoluteError, ExplainedVarianceForgivesAConstantBias) {
  const std::array<double, 3> a = {1, 2, 3};
  EXPECT_EQ(explained_variance::evaluate(a, std::array<double, 3>{11, 12, 13}), 1.0);
}

TEST(AbsoluteError, VarianceSharesOfAConstantAreUndefined) {
  const std::array<double, 3> a = {2, 2, 2};
  EXPECT_TRUE(std::isnan(r2::evaluate(a, a)));
  EXPECT_TRUE(std::isnan(explained_variance::evaluate(a, a)));
}

}  // namespace
