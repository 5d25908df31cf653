// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/validation/random_order.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace {

using rafter::random_order;

TEST(RandomOrder, IsFisherYatesOverThePublishedSplitMix64Numbers) {
  // The first numbers of the reference implementation (Vigna, splitmix64.c) from the seed 1234567.
  const std::uint64_t published[] = {6457827717110365317U, 3203168211198807973U, 9817491932198370423U,
                                     4593380528125082431U, 16408922859458223821U};
  std::vector<std::size_t> expected{0, 1, 2, 3, 4, 5};
  for (std::size_t i = 0; i < 5; ++i) std::swap(expected[5 - i], expected[published[i] % (6 - i)]);
  EXPECT_EQ(random_order(6, 1234567), expected);
}

TEST(RandomOrder, HoldsEachNumberOnceForAnySize) {
  for (const std::size_t size : {0U, 1U, 2U, 17U, 1000U}) {
    std::vector<std::size_t> order = random_order(size, 3);
    ASSERT_EQ(order.size(), size);
    std::sort(order.begin(), order.end());
    for (std::size_t i = 0; i < size; ++i) ASSERT_EQ(order[i], i);
  }
}

TEST(RandomOrder, MakesEachOrderOfThreeEquallyLikely) {
  std::map<std::vector<std::size_t>, int> seen;
  constexpr int draws = 6000;
  for (int seed = 0; seed < draws; ++seed) ++seen[random_order(3, static_cast<std::uint64_t>(seed))];
  ASSERT_EQ(seen.size(), 6U);
  double chi_squared = 0.0;
  for (const auto& [order, count] : seen) chi_squared += (count - 1000.0) * (count - 1000.0) / 1000.0;
  EXPECT_LT(chi_squared, 20.5);  // 5 degrees of freedom: exceeded by chance once in 1,000
}

}  // namespace
