// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/metrics/accurate_sum.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace {

using rafter::accurate_sum;

TEST(AccurateSum, KeepsWhatAPlainSumLoses) {
  accurate_sum sum;
  for (const double term : {1.0, 1e100, 1.0, -1e100}) sum.add(term);
  EXPECT_EQ(sum.value(), 2.0);
}

TEST(AccurateSum, DoesNotDriftOverManyTerms) {
  accurate_sum sum;
  double plain = 0.0;
  for (int i = 0; i < 1000000; ++i) {
    sum.add(0.1);
    plain += 0.1;
  }
  EXPECT_EQ(sum.value(), 100000.0);
  EXPECT_NE(plain, 100000.0);
}

TEST(AccurateSum, MergesInAnyGrouping) {
  std::mt19937_64 random(5);
  std::normal_distribution<double> normal(0.0, 1e6);
  accurate_sum all;
  std::array<accurate_sum, 7> parts;
  long double reference = 0.0L;
  for (int i = 0; i < 7000; ++i) {
    const double term = normal(random);
    all.add(term);
    parts[static_cast<std::size_t>(i % 7)].add(term);
    reference += term;
  }
  accurate_sum left;
  for (const accurate_sum& part : parts) left.merge(part);
  accurate_sum right;
  for (std::size_t i = parts.size(); i-- > 0;) right.merge(parts[i]);
  const double expected = static_cast<double>(reference);
  const double last_place = std::ldexp(1.0, std::ilogb(expected) - 52);
  EXPECT_NEAR(all.value(), expected, last_place);
  EXPECT_NEAR(left.value(), expected, last_place);
  EXPECT_NEAR(right.value(), expected, last_place);
}

TEST(AccurateSum, OverflowIsInfinityAndNaNStaysNaN) {
  accurate_sum sum;
  sum.add(1e308);
  sum.add(1e308);
  EXPECT_EQ(sum.value(), std::numeric_limits<double>::infinity());
  sum.add(std::nan(""));
  EXPECT_TRUE(std::isnan(sum.value()));
}

TEST(AccurateSum, MeanOfNothingIsNaN) {
  EXPECT_TRUE(std::isnan(rafter::accurate_mean({})));
  EXPECT_EQ(rafter::accurate_mean(std::vector<double>{1.0, 2.0, 6.0}), 3.0);
}

}  // namespace
