// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/statistics/ljung_box.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "../support/message.hpp"
#include "rafter/core/random.hpp"

namespace {

using namespace rafter;

TEST(LjungBox, IsItsFormula) {
  const std::vector<double> x{1, 3, 2, 5, 4};  // rho: 0, 0.1, -0.4
  const auto test = ljung_box(x, 2);
  EXPECT_NEAR(test.q, 5 * 7 * (0.0 / 4 + 0.01 / 3), 1e-14);
  EXPECT_EQ(test.degrees_of_freedom, 2.0);
  EXPECT_NEAR(test.p, std::exp(-test.q / 2.0), 1e-14);
  EXPECT_EQ(ljung_box(x, 3, 1).degrees_of_freedom, 2.0);
}

TEST(LjungBox, RefusesIndependentSeriesAsOftenAsItSays) {
  int refused = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    detail::seeded_numbers random(seed);
    std::vector<double> x(200);
    for (double& value : x) value = random.normal();
    refused += ljung_box(x, 8).p < 0.1 ? 1 : 0;
  }
  EXPECT_NEAR(refused, 40, 18);  // three standard deviations
}

TEST(LjungBox, FindsMemory) {
  detail::seeded_numbers random(1);
  std::vector<double> x(300);
  double state = 0.0;
  for (double& value : x) value = state = 0.4 * state + random.normal();
  EXPECT_LT(ljung_box(x, 10).p, 1e-4);
}

TEST(LjungBox, WhatSaysNothingIsNaN) {
  EXPECT_TRUE(std::isnan(ljung_box({}, 3).p));
  EXPECT_TRUE(std::isnan(ljung_box(std::vector<double>(5, 2.0), 3).p));
  EXPECT_TRUE(std::isnan(ljung_box(std::vector<double>{1, 2, 4, 3}, 2, 2).p));
  EXPECT_EQ(message_of([] { ljung_box(std::vector<double>{1, 2}, 2); }), "Ljung-Box test: 2 lags of 2 rows");
}

}  // namespace
