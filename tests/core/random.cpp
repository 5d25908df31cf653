// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/core/random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace {

using rafter::detail::seeded_numbers;

// The reference outputs of SplitMix64 for seed 1234567 begin 6457827717110365317, 3203168211198807973.
TEST(Random, TheGeneratorIsSplitMix64) {
  seeded_numbers random(1234567);
  EXPECT_EQ(random.uniform(), static_cast<double>(6457827717110365317ULL >> 11) * 0x1p-53);
  EXPECT_EQ(random.uniform(), static_cast<double>(3203168211198807973ULL >> 11) * 0x1p-53);
}

// The same method written in Python 3.11, with its math.log and math.sqrt.
TEST(Random, NormalNumbersAreThoseOfThePolarMethod) {
  seeded_numbers random(1234567);
  EXPECT_DOUBLE_EQ(random.normal(), -0.48024295503152287);
  EXPECT_DOUBLE_EQ(random.normal(), -1.0454218558291988);
  EXPECT_DOUBLE_EQ(random.normal(), 0.21006674945905973);
  EXPECT_DOUBLE_EQ(random.normal(), -1.6370555402784703);
}

// Kolmogorov and Smirnov's distance to the normal distribution: 1.63/√m is exceeded by one sample in a hundred.
TEST(Random, NormalNumbersAreNormallyDistributed) {
  seeded_numbers random(7);
  const std::size_t m = 20000;
  std::vector<double> drawn(m);
  double together = 0.0;
  for (std::size_t i = 0; i < m; ++i) {
    drawn[i] = random.normal();
    if (i > 0) together += drawn[i] * drawn[i - 1];
  }
  EXPECT_LT(std::abs(together) / std::sqrt(static_cast<double>(m)), 3.0);
  std::sort(drawn.begin(), drawn.end());
  double distance = 0.0;
  for (std::size_t i = 0; i < m; ++i) {
    const double expected = 0.5 * std::erfc(-drawn[i] / std::sqrt(2.0));
    distance = std::max({distance, std::abs(static_cast<double>(i) / static_cast<double>(m) - expected),
                         std::abs(static_cast<double>(i + 1) / static_cast<double>(m) - expected)});
  }
  EXPECT_LT(distance, 1.63 / std::sqrt(static_cast<double>(m)));
}

TEST(Random, EachIntegerBelowIsDrawnEquallyOften) {
  seeded_numbers random(3);
  std::vector<int> count(6);
  for (int i = 0; i < 60000; ++i) ++count.at(random.below(6));
  for (const int times : count) EXPECT_NEAR(times, 10000, 400);  // 4.4 standard deviations
}

TEST(Random, EachIntegerBelowIsQuicklyDrawnEquallyOften) {
  seeded_numbers random(3);
  std::vector<int> count(6);
  for (int i = 0; i < 60000; ++i) ++count.at(random.quick_below(6));
  for (const int times : count) EXPECT_NEAR(times, 10000, 400);
  EXPECT_EQ(random.quick_below(1), 0U);
}

// 3·2³⁰ is three quarters of 2³²: multiplied down without a rejection, one number in three would come twice as often.
TEST(Random, AnIntegerQuicklyDrawnIsRejectedWhereItWouldComeMoreOften) {
  seeded_numbers random(5);
  std::vector<int> count(3);
  for (int i = 0; i < 30000; ++i) ++count.at(random.quick_below(3U << 30) % 3);
  for (const int times : count) EXPECT_NEAR(times, 10000, 360);
}

}  // namespace
