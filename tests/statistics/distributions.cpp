// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/statistics/distributions.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace {

using namespace rafter::detail;

void expect_relative(double value, double expected, double tolerance) {
  EXPECT_NEAR(value, expected, tolerance * std::fabs(expected));
}

TEST(Distributions, TheNormalTailIsThatOfTheComplementaryErrorFunction) {
  for (const double z : {-30.0, -8.0, -2.5, -0.1, 0.0, 0.7, 1.96, 5.0, 20.0, 37.0}) {
    expect_relative(normal_above(z), 0.5 * std::erfc(z / std::sqrt(2.0)), 1e-13);
    expect_relative(normal_below(z), 0.5 * std::erfc(-z / std::sqrt(2.0)), 1e-13);
  }
}

TEST(Distributions, QuantilesGoBackThroughTheirTails) {
  for (const double p : {1e-300, 1e-12, 1e-3, 0.025, 0.3, 0.5, 0.9, 1.0 - 1e-9}) {
    expect_relative(normal_below(normal_quantile(p)), p, 1e-12);
  }
  for (const double freedom : {1.0, 2.0, 7.0, 59.0, 1000.0}) {
    for (const double p : {1e-9, 0.001, 0.025, 0.2, 0.45}) {
      expect_relative(student_above(student_quantile_above(p, freedom), freedom), p, 1e-12);
      expect_relative(beta_below(freedom, 3.5, beta_quantile(freedom, 3.5, p)), p, 1e-12);
    }
  }
  EXPECT_EQ(normal_quantile(0.0), -INFINITY);
  EXPECT_EQ(normal_quantile(1.0), INFINITY);
  EXPECT_TRUE(std::isnan(normal_quantile(1.5)));
}

// With 1 and 2 degrees of freedom the tails of t, with an even number that of chi-square, are elementary.
TEST(Distributions, TailsOfFewDegreesOfFreedomAreTheirClosedForms) {
  for (const double t : {-40.0, -1.0, 0.0, 0.3, 2.0, 1e4}) {
    expect_relative(student_above(t, 1.0), std::atan2(1.0, t) / std::acos(-1.0), 1e-12);
    const double root = std::sqrt(2.0 + t * t);
    expect_relative(student_above(t, 2.0), t > 0.0 ? 1.0 / (root * (root + t)) : 0.5 * (1.0 - t / root), 1e-12);
  }
  for (const double x : {0.0, 0.5, 9.0, 300.0}) {
    expect_relative(chi_square_above(x, 2.0), std::exp(-x / 2.0), 1e-12);
    expect_relative(chi_square_above(x, 6.0), std::exp(-x / 2.0) * (1.0 + x / 2.0 + x * x / 8.0), 1e-12);
  }
  EXPECT_EQ(student_above(INFINITY, 3.0), 0.0);
  EXPECT_TRUE(std::isnan(student_above(NAN, 3.0)));
  EXPECT_TRUE(std::isnan(chi_square_above(-1.0, 3.0)));
}

}  // namespace
