// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/statistics/block_length.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "support/autoregressive.hpp"

namespace {

using namespace rafter;
using numbers = std::vector<double>;

// For an AR(1) G/g = 2r/(1 - r²): the best stationary length is (2r/(1-r²))^(2/3) n^(1/3), the circular one (3/2)^(1/3)
// times as long (Patton, Politis and White 2009).
TEST(BlockLength, IsNearTheoryForASeriesOfNeighbours) {
  for (const double coefficient : {0.3, 0.7}) {
    double stationary = 0.0;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      const auto made = automatic_block_length(tiny::autoregressive(5000, coefficient, seed));
      stationary += made.stationary / 20.0;
      EXPECT_NEAR(made.circular / made.stationary, std::cbrt(1.5), 1e-12);
    }
    const double theory =
        std::pow(2.0 * coefficient / (1.0 - coefficient * coefficient), 2.0 / 3.0) * std::cbrt(5000.0);
    RecordProperty("of_theory_" + std::to_string(static_cast<int>(10 * coefficient)),
                   std::to_string(stationary / theory));
    EXPECT_NEAR(stationary / theory, 1.0, 0.2) << coefficient;
  }
}

TEST(BlockLength, OfIndependentRowsIsShort) {
  double mean = 0.0;
  for (std::uint64_t seed = 0; seed < 20; ++seed)
    mean += automatic_block_length(tiny::autoregressive(2000, 0.0, seed)).stationary / 20;
  EXPECT_LT(mean, 4.0);
  EXPECT_GE(mean, 1.0);
}

TEST(BlockLength, IsNoLongerThanTheLongestSeries) {
  const numbers x = tiny::autoregressive(600, 0.95, 2);
  EXPECT_GT(automatic_block_length(x).stationary, 12.0);
  EXPECT_EQ(automatic_block_length(x, std::vector<std::size_t>(50, 12)).stationary, 12.0);
}

TEST(BlockLength, OfAConstantIsOneAndOfNothingUnknown) {
  EXPECT_EQ(automatic_block_length(numbers(9, 0.1)).stationary, 1.0);
  EXPECT_TRUE(std::isnan(automatic_block_length(numbers{}).stationary));
  EXPECT_TRUE(std::isnan(automatic_block_length(numbers{1, NAN, 2}).circular));
}

}  // namespace
