// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/statistics/proportion.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "../support/message.hpp"

namespace {

using namespace rafter;

double at_least(int k, int n, double share) {
  double sum = 0.0;
  double term = std::pow(1.0 - share, n);
  for (int i = 0; i <= n; ++i) {
    if (i >= k) sum += term;
    term *= static_cast<double>(n - i) / (i + 1) * share / (1.0 - share);
  }
  return sum;
}

TEST(Proportion, ClopperAndPearsonLeaveHalfTheRestInEachBinomialTail) {
  for (const int n : {1, 5, 29, 148}) {
    for (int k = 0; k <= n; k += 1 + n / 6) {
      const auto made = clopper_pearson(static_cast<std::size_t>(k), static_cast<std::size_t>(n), 0.9);
      EXPECT_DOUBLE_EQ(made.share, static_cast<double>(k) / n);
      if (k == 0) {
        EXPECT_EQ(made.lower, 0.0);
      } else {
        EXPECT_NEAR(at_least(k, n, made.lower), 0.05, 1e-12);
      }
      if (k == n) {
        EXPECT_EQ(made.upper, 1.0);
      } else {
        EXPECT_NEAR(1.0 - at_least(k + 1, n, made.upper), 0.05, 1e-12);
      }
    }
  }
}

// Newcombe 1998, table I: methods 3 (score) and 5 (exact).
TEST(Proportion, HasThePublishedLimits) {
  const auto near = [](const share_interval& made, double lower, double upper) {
    EXPECT_NEAR(made.lower, lower, 5e-5);
    EXPECT_NEAR(made.upper, upper, 5e-5);
  };
  near(wilson(81, 263), 0.2553, 0.3662);
  near(wilson(15, 148), 0.0624, 0.1605);
  near(wilson(0, 20), 0.0, 0.1611);
  near(wilson(1, 29), 0.0061, 0.1718);
  near(clopper_pearson(81, 263), 0.2527, 0.3676);
  near(clopper_pearson(15, 148), 0.0578, 0.1617);
  near(clopper_pearson(0, 20), 0.0, 0.1684);
  near(clopper_pearson(1, 29), 0.0009, 0.1776);
}

TEST(Proportion, WilsonsLimitsAreOneScoreAway) {
  const auto made = wilson(7, 40, 0.9);
  for (const double limit : {made.lower, made.upper}) {
    EXPECT_NEAR(std::fabs(7.0 / 40.0 - limit) / std::sqrt(limit * (1.0 - limit) / 40.0), 1.6448536269514722, 1e-12);
  }
  EXPECT_EQ(wilson(40, 40).upper, 1.0);
}

TEST(Proportion, OfNothingNothingIsKnown) {
  for (const auto& made : {wilson(0, 0), clopper_pearson(0, 0)}) {
    EXPECT_TRUE(std::isnan(made.share));
    EXPECT_EQ(made.lower, 0.0);
    EXPECT_EQ(made.upper, 1.0);
  }
  EXPECT_EQ(message_of([] { wilson(3, 2); }), "interval of a share: 3 successes in 2 trials");
  EXPECT_EQ(message_of([] { clopper_pearson(1, 2, 0.0); }),
            "interval of a share: a confidence of 0.000000 is not in (0, 1)");
}

}  // namespace
