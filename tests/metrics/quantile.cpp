// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/metrics/quantile.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

namespace {

using rafter::quantile_of_sorted;

constexpr std::array<double, 5> column = {1.0, 2.0, 4.0, 8.0, 16.0};

TEST(Quantile, InterpolatesAtRankQTimesNMinusOne) {
  EXPECT_EQ(quantile_of_sorted(column, 0.5), 4.0);
  EXPECT_EQ(quantile_of_sorted(column, 0.25), 2.0);
  EXPECT_EQ(quantile_of_sorted(column, 0.875), 12.0);  // rank 3.5
  EXPECT_DOUBLE_EQ(quantile_of_sorted(column, 0.9), 8.0 + 0.6 * 8.0);
}

TEST(Quantile, EndsAreTheSmallestAndTheLargest) {
  EXPECT_EQ(quantile_of_sorted(column, 0.0), 1.0);
  EXPECT_EQ(quantile_of_sorted(column, 1.0), 16.0);
  EXPECT_EQ(quantile_of_sorted(column, -1.0), 1.0);
  EXPECT_EQ(quantile_of_sorted(column, 2.0), 16.0);
  EXPECT_EQ(quantile_of_sorted(std::array{7.0}, 0.3), 7.0);
}

TEST(Quantile, NeverLeavesItsNeighbours) {
  for (int i = 0; i <= 1000; ++i) {
    const double q = i / 1000.0;
    const auto below = static_cast<std::size_t>(q * 4.0);
    EXPECT_GE(quantile_of_sorted(column, q), column[below]);
    EXPECT_LE(quantile_of_sorted(column, q), column[std::min<std::size_t>(below + 1, 4)]);
  }
}

TEST(Quantile, OfNothingIsNaN) {
  EXPECT_TRUE(std::isnan(quantile_of_sorted({}, 0.5)));
  EXPECT_TRUE(std::isnan(quantile_of_sorted(column, std::nan(""))));
}

}  // namespace
