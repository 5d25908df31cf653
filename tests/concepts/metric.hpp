// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "rafter/metrics/metric.hpp"

/// Positive measurements and predictions within a factor of about e^0.3 of them: every metric is defined on these.
inline std::pair<std::vector<double>, std::vector<double>> any_predictions(std::size_t rows, unsigned seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  std::pair<std::vector<double>, std::vector<double>> columns;
  for (std::size_t i = 0; i < rows; ++i) {
    columns.first.push_back(std::exp(1.0 + normal(random)));
    columns.second.push_back(columns.first.back() * std::exp(0.05 + 0.3 * normal(random)));
  }
  return columns;
}

/// The axioms of the concept `metric`, for any model of it.
template <rafter::metric M> void check_metric() {
  SCOPED_TRACE(std::string(M::name));
  const std::vector<double> none;
  EXPECT_TRUE(std::isnan(M::evaluate(none, none))) << "empty input";

  auto [actual, predicted] = any_predictions(101, 3);
  const double value = M::evaluate(actual, predicted);
  ASSERT_TRUE(std::isfinite(value));
  EXPECT_EQ(M::evaluate(actual, predicted), value) << "a pure function";
  EXPECT_NEAR(M::evaluate(actual, actual), M::ideal, 1e-15) << "perfect predictions";
  EXPECT_GE(rafter::distance_from_ideal<M>(value), 0.0);
  EXPECT_TRUE(!M::higher_is_better || value < M::ideal) << "ideal is the top of the scale";

  std::vector<std::size_t> order(actual.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::shuffle(order.begin(), order.end(), std::mt19937_64(11));
  std::vector<double> permuted_actual;
  std::vector<double> permuted_predicted;
  for (const std::size_t i : order) {
    permuted_actual.push_back(actual[i]);
    permuted_predicted.push_back(predicted[i]);
  }
  EXPECT_NEAR(M::evaluate(permuted_actual, permuted_predicted), value, 4e-15 * std::fabs(value)) << "permuted rows";

  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(),
                           -std::numeric_limits<double>::infinity()}) {
    auto spoilt = predicted;
    spoilt[50] = bad;
    EXPECT_TRUE(std::isnan(M::evaluate(actual, spoilt))) << "predicted " << bad;
    spoilt = actual;
    spoilt[50] = bad;
    EXPECT_TRUE(std::isnan(M::evaluate(spoilt, predicted))) << "actual " << bad;
  }
  predicted.pop_back();
  EXPECT_THROW(M::evaluate(actual, predicted), rafter::metric_error) << "different lengths";
}
