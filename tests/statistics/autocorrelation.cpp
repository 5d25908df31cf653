// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/statistics/autocorrelation.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "../support/message.hpp"
#include "rafter/core/random.hpp"
#include "support/autoregressive.hpp"

namespace {

using namespace rafter;
using numbers = std::vector<double>;
using row_counts = std::vector<std::size_t>;

TEST(Autocorrelation, IsItsDefinition) {
  const numbers x{1, 3, 2, 5, 4};  // deviations -2 0 -1 2 1
  const numbers rho = autocorrelation(x, 5);
  EXPECT_DOUBLE_EQ(rho[0], 1.0);
  EXPECT_DOUBLE_EQ(rho[1], (0 + 0 - 2 + 2) / 10.0);
  EXPECT_DOUBLE_EQ(rho[2], (2 + 0 - 1) / 10.0);
  EXPECT_DOUBLE_EQ(rho[3], (-4 + 0) / 10.0);
  EXPECT_DOUBLE_EQ(rho[4], -2 / 10.0);
  EXPECT_EQ(rho[5], 0.0);
}

TEST(Autocorrelation, PooledPairsStayWithinTheirSeries) {
  const numbers x{1, 3, 2, 5, 4};
  const auto rho = pooled_autocorrelation(x, row_counts{2, 3}, 3);
  EXPECT_EQ(rho.pairs, (row_counts{5, 3, 1, 0}));
  EXPECT_DOUBLE_EQ(rho.at_lag[0], 1.0);
  EXPECT_DOUBLE_EQ(rho.at_lag[1], (0 - 2 + 2) / 3.0 / 2.0);
  EXPECT_DOUBLE_EQ(rho.at_lag[2], -1 / 1.0 / 2.0);
  EXPECT_TRUE(std::isnan(rho.at_lag[3]));
}

TEST(Autocorrelation, ASeriesOfNeighboursHasThePowersOfItsCoefficient) {
  const numbers rho = autocorrelation(tiny::autoregressive(40000, 0.8, 3), 5);
  for (std::size_t k = 1; k <= 5; ++k) EXPECT_NEAR(rho[k], std::pow(0.8, static_cast<double>(k)), 0.025) << k;
}

TEST(Autocorrelation, TheEffectiveSizeIsThatOfTheory) {
  for (const double coefficient : {0.0, 0.5, 0.9, -0.4}) {
    const auto made = effective_sample_size(tiny::autoregressive(40000, coefficient, 5));
    const double time = (1.0 + coefficient) / (1.0 - coefficient);
    EXPECT_NEAR(made.time / time, 1.0, 0.15) << coefficient;
    EXPECT_NEAR(made.size * made.time, 40000.0, 1e-6);
  }
  // One value per series, repeated: as many as there are series.
  detail::seeded_numbers random(6);
  numbers x;
  row_counts lengths;
  for (int s = 0; s < 400; ++s) {
    const double level = random.normal();
    for (int i = 0; i < 20; ++i) x.push_back(level);
    lengths.push_back(20);
  }
  EXPECT_NEAR(effective_sample_size(x, lengths).size, 400.0, 1e-6);
  // Values that alternate cancel: the time has its floor.
  numbers alternating;
  for (int i = 0; i < 1000; ++i) alternating.push_back(i % 2 == 0 ? 1.0 : -1.0);
  EXPECT_DOUBLE_EQ(effective_sample_size(alternating).time, 1.0 / 3.0);
}

TEST(Autocorrelation, InflationIsItsDefinition) {
  const numbers x{2, 4, 3, 6, 5};  // mean 4; windows of 2 in series of 2 and 3: 6 | 9, 11
  const auto made = variance_inflation(x, row_counts{2, 3}, 2);
  EXPECT_EQ(made.windows, 3U);
  EXPECT_DOUBLE_EQ(made.variance_inflation, ((4 + 1 + 9) / 3.0) / (2 * 2.0));
  EXPECT_DOUBLE_EQ(made.square_inflation, ((36 + 81 + 121) / 3.0) / (2 * 18.0));
  EXPECT_DOUBLE_EQ(variance_inflation(x, row_counts{2, 3}, 1).variance_inflation, 1.0);
}

TEST(Autocorrelation, ErrorsThatAreAlikeCompoundAndThoseThatAlternateCancel) {
  numbers alike;
  numbers alternating;
  row_counts lengths;
  for (int s = 0; s < 10; ++s) {
    for (int i = 0; i < 8; ++i) {
      alike.push_back(s % 2 == 0 ? 1.0 : -1.0);
      alternating.push_back(i % 2 == 0 ? 1.0 : -1.0);
    }
    lengths.push_back(8);
  }
  EXPECT_NEAR(variance_inflation(alike, lengths, 8).variance_inflation, 8.0, 1e-12);
  EXPECT_NEAR(variance_inflation(alternating, lengths, 8).variance_inflation, 0.0, 1e-12);
  // A bias does not vary but compounds.
  numbers biased(80, 0.5);
  EXPECT_TRUE(std::isnan(variance_inflation(biased, lengths, 8).variance_inflation));
  EXPECT_NEAR(variance_inflation(biased, lengths, 8).square_inflation, 8.0, 1e-12);
}

// Windows against the sum over autocorrelations, and both against theory.
TEST(Autocorrelation, InflationOfWindowsIsTheSumOfCorrelations) {
  const numbers x = tiny::autoregressive(40000, 0.6, 9);
  const std::size_t m = 30;
  double theory = 1.0;
  for (std::size_t k = 1; k < m; ++k) {
    const auto lag = static_cast<double>(k);
    theory += 2.0 * (1.0 - lag / static_cast<double>(m)) * std::pow(0.6, lag);
  }
  const double windows = variance_inflation(x, m).variance_inflation;
  const double correlations = variance_inflation_of(autocorrelation(x, m), m);
  EXPECT_NEAR(windows, correlations, 0.005);
  EXPECT_NEAR(windows / theory, 1.0, 0.06);
  EXPECT_TRUE(std::isnan(variance_inflation_of(autocorrelation(x, 3), 30)));
}

TEST(Autocorrelation, WhatSaysNothingIsNaN) {
  const numbers flat(5, 0.1);
  EXPECT_TRUE(std::isnan(autocorrelation(flat, 2)[0]));
  EXPECT_TRUE(std::isnan(autocorrelation({}, 2)[1]));
  EXPECT_TRUE(std::isnan(autocorrelation(numbers{1.0, NAN}, 1)[0]));
  EXPECT_TRUE(std::isnan(effective_sample_size(flat).size));
  EXPECT_TRUE(std::isnan(effective_sample_size(numbers{}).size));
  EXPECT_TRUE(std::isnan(variance_inflation(numbers{1.0, 2.0}, 3).variance_inflation));
  EXPECT_TRUE(std::isnan(variance_inflation(numbers{1.0, INFINITY}, 1).square_inflation));
  EXPECT_EQ(message_of([&] {
              pooled_autocorrelation(flat, row_counts{2, 2}, 1);
            }),
            "autocorrelation: 2 series of 4 rows together, 5 values");
  EXPECT_EQ(message_of([&] { variance_inflation(flat, 0); }), "variance inflation: sums of 0 rows");
}

}  // namespace
