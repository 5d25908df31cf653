// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/solver/double_double.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace {

using rafter::double_double;
// 113 bits where the target has them in hardware or software: the second opinion.
#if defined(__SIZEOF_FLOAT128__)
__extension__ typedef __float128 wide;
#else
typedef long double wide;
#endif

wide wide_of(double_double a) { return static_cast<wide>(a.high) + static_cast<wide>(a.low); }
double relative(wide got, wide expected) { return std::abs(static_cast<double>((got - expected) / expected)); }

TEST(DoubleDouble, SumsAndProductsOfDoublesAreExact) {
  std::mt19937_64 random(3);
  std::uniform_real_distribution<double> near_one(-1.0, 1.0);
  for (int k = 0; k < 1000; ++k) {
    const double a = std::ldexp(near_one(random), static_cast<int>(random() % 20));
    const double b = near_one(random);
    EXPECT_TRUE(wide_of(double_double::product(a, b)) == static_cast<wide>(a) * static_cast<wide>(b));
    EXPECT_TRUE(wide_of(double_double::sum(a, b)) == static_cast<wide>(a) + static_cast<wide>(b));
  }
}

TEST(DoubleDouble, ArithmeticKeepsThirtyDigits) {
  std::mt19937_64 random(4);
  std::uniform_real_distribution<double> positive(0.5, 2.0);
  for (int k = 0; k < 1000; ++k) {
    const double_double a = double_double{positive(random)} / double_double{3.0};
    const double_double b = double_double{positive(random)} / double_double{7.0};
    EXPECT_LT(relative(wide_of(a + b), wide_of(a) + wide_of(b)), 1e-30);
    EXPECT_LT(relative(wide_of(a * b), wide_of(a) * wide_of(b)), 1e-30);
    EXPECT_LT(relative(wide_of(a / b), wide_of(a) / wide_of(b)), 1e-30);
    const double_double root = sqrt(a);
    EXPECT_LT(relative(wide_of(root) * wide_of(root), wide_of(a)), 1e-30);
  }
}

TEST(DoubleDouble, CancellationKeepsTheLowPart) {
  const double_double difference = (double_double{1.0} + double_double{1e-25}) - double_double{1.0};
  EXPECT_NEAR(static_cast<double>(difference) / 1e-25, 1.0, 1e-6);
}

TEST(DoubleDouble, TheRootOfZeroIsZero) { EXPECT_EQ(sqrt(double_double{0.0}).high, 0.0); }

}  // namespace
