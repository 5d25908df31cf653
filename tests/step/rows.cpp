// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/step/rows.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace {

using rafter::row_range;
using rafter::row_set;
using rows = std::vector<std::size_t>;
using ranges = std::vector<row_range>;

TEST(RowSet, AllIsOneRangeAndOfNothingIsEmpty) {
  EXPECT_EQ(row_set::all(5).ranges(), (ranges{{0, 5}}));
  EXPECT_TRUE(row_set::all(0).empty());
  EXPECT_EQ(row_set::all(0).size(), 0U);
}

TEST(RowSet, OfSortsMergesAndCountsRepeatedRowsOnce) {
  EXPECT_EQ(row_set::of({7, 3, 4, 3, 9, 8}).ranges(), (ranges{{3, 5}, {7, 10}}));
  EXPECT_EQ(row_set::of({7, 3, 4, 3, 9, 8}).size(), 5U);
}

TEST(RowSet, WhereTakesARowPredicate) {
  EXPECT_EQ(row_set::where(7, [](std::size_t row) { return row % 3 != 1; }).ranges(),
            (ranges{{0, 1}, {2, 4}, {5, 7}}));
}

TEST(RowSet, VisitsInAscendingOrder) { EXPECT_EQ(row_set::of({5, 1, 2}).to_vector(), (rows{1, 2, 5})); }

TEST(RowSet, ContainsItsRowsOnly) {
  const row_set set = row_set::of({2, 3, 7});
  for (std::size_t row = 0; row < 9; ++row) EXPECT_EQ(set.contains(row), row == 2 || row == 3 || row == 7) << row;
}

TEST(RowSet, UnionJoinsAdjacentRanges) {
  EXPECT_EQ((row_set::of({0, 1}) | row_set::of({2, 3})).ranges(), (ranges{{0, 4}}));
}

/// The set operations against bit masks, and the invariant of `ranges`.
TEST(RowSet, AgreesWithBitMasks) {
  std::mt19937_64 random(5);
  const std::size_t n = 40;
  const auto set_of = [&](std::uint64_t bits) {
    return row_set::where(n, [&](std::size_t row) { return ((bits >> row) & 1U) != 0; });
  };
  const std::uint64_t every = (std::uint64_t{1} << n) - 1;
  for (int i = 0; i < 300; ++i) {
    const std::uint64_t a = random() & random() & every;
    const std::uint64_t b = (random() | random()) & every;
    EXPECT_EQ(set_of(a) & set_of(b), set_of(a & b));
    EXPECT_EQ(set_of(a) | set_of(b), set_of(a | b));
    EXPECT_EQ(set_of(a).complement(n), set_of(~a & every));
    EXPECT_EQ(set_of(a).complement(n).complement(n), set_of(a));
    const row_set either = set_of(a) | set_of(b);
    for (std::size_t r = 0; r < either.ranges().size(); ++r) {
      EXPECT_LT(either.ranges()[r].begin, either.ranges()[r].end);
      if (r > 0) {
        EXPECT_LT(either.ranges()[r - 1].end, either.ranges()[r].begin);
      }
    }
  }
}

}  // namespace
