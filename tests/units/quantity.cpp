// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/units/quantity.hpp"

#include <gtest/gtest.h>

#include <type_traits>

namespace {

using namespace rafter::literals;
namespace units = rafter::units;
using rafter::bytes;
using rafter::seconds;

template <class A, class B>
concept addable = requires(A a, B b) {
  a + b;
};
template <class A, class B>
concept comparable = requires(A a, B b) {
  a < b;
};

TEST(Quantity, AddsOnlyWhatHasOneDimension) {
  static_assert(addable<seconds, seconds> && !addable<seconds, bytes> && !addable<seconds, double>);
  static_assert(comparable<seconds, seconds> && !comparable<seconds, bytes> && !comparable<seconds, double>);
  static_assert(!std::is_convertible_v<double, seconds> && !std::is_convertible_v<seconds, double>);
  EXPECT_EQ((2_s + 0.5_s - 1_s).value, 1.5);
}

TEST(Quantity, ProductsAndQuotientsCarryTheirDimension) {
  static_assert(std::is_same_v<decltype(1_B / 1_s), rafter::byte_per_second>);
  static_assert(std::is_same_v<decltype(1_FLOP_per_B * 1_GB_per_s), rafter::flop_per_second>);
  EXPECT_EQ((80_GB / 3.2_TB_per_s).value, 0.025);
}

TEST(Quantity, QuotientOfOneDimensionIsANumber) {
  static_assert(std::is_same_v<decltype(1_s / 1_ms), double>);
  EXPECT_EQ(1_s / 4_ms, 250.0);
}

TEST(Quantity, LiteralsUseDecimalPrefixes) {
  EXPECT_EQ((80_GB).value, 80e9);
  EXPECT_EQ((1.5_GB).value, 1.5e9);
  EXPECT_EQ((3.35_TB_per_s).value, 3.35e12);
  EXPECT_EQ((50_us).value, 50e-6);
  EXPECT_EQ(4_ms, 4.0_ms);
  EXPECT_EQ((0.1_ms).value, 0.0001);
}

TEST(Quantity, ScalesAndCompares) {
  EXPECT_EQ((2.0 * 3_s).value, 6.0);
  EXPECT_EQ(3_s * 2.0, 6_s);
  EXPECT_EQ(3_s / 2.0, 1.5_s);
  EXPECT_LT(3_ms, 1_s);
  EXPECT_GE(1_s, 1000_ms);
}

}  // namespace
