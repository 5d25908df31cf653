// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/core/nearest_name.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr std::array<std::string_view, 5> columns = {"kv_sum", "kv_max", "prefill_tokens", "decode_tokens", "tp"};

TEST(EditDistance, CountsInsertionsDeletionsAndSubstitutions) {
  EXPECT_EQ(rafter::edit_distance("kitten", "sitting"), 3U);
  EXPECT_EQ(rafter::edit_distance("", "abc"), 3U);
  EXPECT_EQ(rafter::edit_distance("abc", ""), 3U);
  EXPECT_EQ(rafter::edit_distance("same", "same"), 0U);
  EXPECT_EQ(rafter::edit_distance("flaw", "lawn"), rafter::edit_distance("lawn", "flaw"));
}

TEST(NearestName, FindsAMisspelling) {
  EXPECT_EQ(rafter::nearest_name("kv_smu", columns), "kv_sum");
  EXPECT_EQ(rafter::nearest_name("prefil_token", columns), "prefill_tokens");
  EXPECT_EQ(rafter::nearest_name("decode_tokens", columns), "decode_tokens");
  EXPECT_EQ(rafter::nearest_name("t", columns), "tp");
}

TEST(NearestName, IsSilentWhenNothingIsClose) {
  EXPECT_EQ(rafter::nearest_name("temperature", columns), "");
  EXPECT_EQ(rafter::nearest_name("xy", columns), "");
  EXPECT_EQ(rafter::nearest_name("", columns), "");
  EXPECT_EQ(rafter::nearest_name(std::string(257, 'k'), columns), "");
  EXPECT_EQ(rafter::nearest_name("kv_sum", std::vector<std::string>{}), "");
}

TEST(NearestName, PrefersTheFirstOfEquallyCloseNames) {
  EXPECT_EQ(rafter::nearest_name("kv_mum", columns), "kv_sum");
  EXPECT_EQ(rafter::nearest_name("ab_1", std::vector<std::string>{"ab_2", "ab_3"}), "ab_2");
}

TEST(NearestName, WritesTheFragmentOfAMessage) {
  EXPECT_EQ(rafter::did_you_mean("kv_maxx", columns), "; did you mean 'kv_max'?");
  EXPECT_EQ(rafter::did_you_mean("unrelated", columns), "");
}

}  // namespace
