// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/units/dimension.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace {

using rafter::dimension;
namespace units = rafter::units;

TEST(Dimension, MultipliesByAddingExponents) {
  static_assert(units::flop / units::second == units::flop_per_second);
  static_assert(units::flop_per_byte * units::byte == units::flop);
  static_assert(units::token * units::per_token == units::none);
  static_assert(units::flop_per_token == units::flop / units::token &&
                units::byte_per_token == units::byte / units::token);
  static_assert(!(units::flop == units::byte));
}

TEST(Dimension, PowerMultipliesExponents) {
  static_assert(rafter::power(units::flop_per_second, 3) ==
                units::flop_per_second * units::flop_per_second * units::flop_per_second);
  static_assert(rafter::power(units::token, 0) == units::none &&
                rafter::power(units::second, -1) == units::per_second);
}

TEST(Dimension, IsWrittenAsAFraction) {
  EXPECT_EQ(rafter::text_of(units::none).view(), "1");
  EXPECT_EQ(rafter::text_of(units::token).view(), "token");
  EXPECT_EQ(rafter::text_of(rafter::power(units::token, 2)).view(), "token^2");
  EXPECT_EQ(rafter::text_of(units::flop_per_second).view(), "FLOP/s");
  EXPECT_EQ(rafter::text_of(units::flop / units::byte / units::second).view(), "FLOP/(B*s)");
  EXPECT_EQ(rafter::text_of(units::per_second).view(), "1/s");
  EXPECT_EQ(rafter::text_of(units::token * units::flop / rafter::power(units::second, 2)).view(), "token*FLOP/s^2");
}

TEST(Dimension, WritesEveryDigitOfAnExponent) {
  EXPECT_EQ(rafter::text_of(rafter::power(units::second, 12)).view(), "s^12");
  EXPECT_EQ(rafter::text_of(rafter::power(units::byte, -105)).view(), "1/B^105");
  constexpr int most = std::numeric_limits<int>::max();
  EXPECT_EQ(rafter::text_of(dimension{-most, -most, -most, -most}).view(),
            "1/(token^2147483647*FLOP^2147483647*B^2147483647*s^2147483647)");
}

TEST(Dimension, IsATemplateArgumentInAMessage) {
  static_assert(rafter::text_of(units::flop / units::second) == rafter::fixed_string{"FLOP/s"});
  EXPECT_EQ(("in " + rafter::text_of(units::byte) + " each").view(), "in B each");
}

}  // namespace
