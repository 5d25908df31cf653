// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/core/fixed_string.hpp"

#include <gtest/gtest.h>

#include <type_traits>

namespace {

using rafter::fixed_string;

template <fixed_string Name> struct named { static constexpr std::string_view name = Name.view(); };

constexpr auto padded = [] {
  fixed_string<16> text;
  text.data[0] = 'k';
  text.data[1] = 'v';
  return text;
}();

TEST(FixedString, IsATemplateArgument) {
  EXPECT_EQ(named<"kv_sum">::name, "kv_sum");
  EXPECT_TRUE((std::is_same_v<named<"kv_sum">, named<fixed_string{"kv_sum"}>>));
  EXPECT_FALSE((std::is_same_v<named<"kv_sum">, named<"kv_max">>));
}

TEST(FixedString, EndsAtTheFirstTerminator) {
  static_assert(padded.size() == 2);
  EXPECT_EQ(padded.view(), "kv");
  EXPECT_EQ(fixed_string{""}.size(), 0U);
}

TEST(FixedString, ComparesTextNotPadding) {
  static_assert(padded == fixed_string{"kv"});
  static_assert(!(padded == fixed_string{"kw"}));
  static_assert(!(fixed_string{"kv"} == fixed_string{"kv_"}));
}

TEST(FixedString, JoinsWithoutPaddingInBetween) {
  static_assert((padded + "_sum").view() == "kv_sum");
  static_assert(("mfu_" + fixed_string{"gemm"}).view() == "mfu_gemm");
  static_assert((fixed_string{"a"} + fixed_string{"b"}).size() == 2);
  EXPECT_EQ((std::is_same_v<decltype(fixed_string{"mfu_"} + fixed_string{"gemm"}), fixed_string<9>>), true);
}

}  // namespace
