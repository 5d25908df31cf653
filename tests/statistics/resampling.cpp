// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/statistics/resampling.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <vector>

#include "../support/message.hpp"

namespace {

using namespace rafter;
using row_list = std::vector<std::size_t>;

template <resampling Scheme> row_list drawn(const Scheme& scheme, std::size_t which, std::uint64_t seed = 7) {
  row_list rows;
  scheme.draw(seed, which, rows);
  return rows;
}

template <resampling Scheme> void check_resampling(const Scheme& scheme) {
  row_list first = drawn(scheme, 3);
  drawn(scheme, 5);
  EXPECT_EQ(drawn(scheme, 3), first) << "depends on its arguments alone";
  EXPECT_NE(drawn(scheme, 4), first);
  for (const std::size_t row : first) EXPECT_LT(row, scheme.rows());
  for (const std::size_t most : {2U, 3U, 1000U}) {
    const left_out_units units = scheme.left_out(most, 1);
    ASSERT_EQ(units.of_row.size(), scheme.rows());
    EXPECT_LE(units.count, most);
    EXPECT_EQ(std::set<std::size_t>(units.of_row.begin(), units.of_row.end()).size(), units.count);
    EXPECT_EQ(*std::max_element(units.of_row.begin(), units.of_row.end()), units.count - 1);
  }
}

const row_list three_series{10, 1, 9};

TEST(Resampling, SchemesObeyTheAxioms) {
  check_resampling(independent_rows(20));
  check_resampling(grouped_rows(row_list{1, 1, 8, 8, 8, 2, 1, 4, 4, 7}));
  for (const block_kind kind : {block_kind::stationary, block_kind::circular, block_kind::moving}) {
    check_resampling(blocked_rows(three_series, 3.0, kind));
  }
  row_list given;
  for (std::size_t i = 0; i < 60; ++i) given.push_back(i * i % 11 % 6);
  check_resampling(given_rows(given, 6));
}

// The counts of 4 rows over many resamples: multinomial has variance n·p·(1-p) and covariance -n·p².
TEST(Resampling, RowsAreDrawnMultinomially) {
  const independent_rows scheme(4);
  double square = 0.0;
  double product = 0.0;
  const std::size_t times = 20000;
  for (std::size_t b = 0; b < times; ++b) {
    const row_list rows = drawn(scheme, b);
    ASSERT_EQ(rows.size(), 4U);
    const auto zero = static_cast<double>(std::count(rows.begin(), rows.end(), 0U)) - 1.0;
    const auto one = static_cast<double>(std::count(rows.begin(), rows.end(), 1U)) - 1.0;
    square += zero * zero;
    product += zero * one;
  }
  EXPECT_NEAR(square / static_cast<double>(times), 0.75, 0.03);
  EXPECT_NEAR(product / static_cast<double>(times), -0.25, 0.025);
}

TEST(Resampling, GroupsStayWhole) {
  const row_list groups{5, 5, 9, 9, 9, 1};
  const grouped_rows scheme(groups);
  EXPECT_EQ(scheme.units(), 3U);
  std::set<row_list> seen;
  for (std::size_t b = 0; b < 500; ++b) {
    const row_list rows = drawn(scheme, b);
    std::map<std::size_t, std::size_t> times;
    for (const std::size_t row : rows) ++times[row];
    std::size_t drawn_groups = 0;
    for (const row_list& members : {row_list{0, 1}, row_list{2, 3, 4}, row_list{5}}) {
      for (const std::size_t row : members) EXPECT_EQ(times[row], times[members.front()]);
      drawn_groups += times[members.front()];
    }
    EXPECT_EQ(drawn_groups, 3U);
    row_list sorted = rows;
    std::sort(sorted.begin(), sorted.end());
    seen.insert(sorted);
  }
  EXPECT_EQ(static_cast<double>(seen.size()), different_resamples(3));  // 10
  EXPECT_EQ(different_resamples(5), 126.0);
  EXPECT_EQ(different_resamples(10), 92378.0);
  EXPECT_EQ(different_resamples(0), 0.0);
}

TEST(Resampling, BlocksNeverReachIntoAnotherSeries) {
  for (const block_kind kind : {block_kind::stationary, block_kind::circular, block_kind::moving}) {
    const blocked_rows scheme(three_series, 4.0, kind);
    EXPECT_EQ(scheme.rows(), 20U);
    std::vector<std::size_t> times(20, 0);
    std::size_t follows = 0;
    std::size_t crosses = 0;
    for (std::size_t b = 0; b < 2000; ++b) {
      const row_list rows = drawn(scheme, b);
      ASSERT_EQ(rows.size(), 20U);
      for (std::size_t i = 0; i < rows.size(); ++i) {
        ++times[rows[i]];
        if (i == 0) continue;
        follows += rows[i] == rows[i - 1] + 1 ? 1U : 0U;
        crosses += rows[i - 1] == 9 && rows[i] == 10 ? 1U : 0U;
      }
    }
    // Row 9 is followed by row 10 only where a block ends at 9 (or a series goes on at 0) and another begins at 10:
    // one time in some 20, not 3 times in 4 as within a series.
    EXPECT_LT(static_cast<double>(crosses) / static_cast<double>(times[9]), 0.1);
    EXPECT_GT(static_cast<double>(follows) / (2000.0 * 19.0), 0.5);
    if (kind == block_kind::circular) {
      for (std::size_t row = 0; row < 10; ++row) EXPECT_NEAR(static_cast<double>(times[row]), 2100.0, 250.0) << row;
    }
  }
}

// Of one long series: a geometric length of mean 5 ends four blocks in twenty rows.
TEST(Resampling, StationaryBlocksHaveTheirMeanLength) {
  const std::size_t rows = 1000;
  const blocked_rows scheme(rows, 5.0);
  std::size_t ends = 0;
  for (std::size_t b = 0; b < 100; ++b) {
    const row_list list = drawn(scheme, b);
    for (std::size_t i = 1; i < list.size(); ++i) ends += list[i] != (list[i - 1] + 1) % rows ? 1U : 0U;
  }
  EXPECT_NEAR(static_cast<double>(ends) / (100.0 * 999.0), 0.2 * (1.0 - 1.0 / 1000.0), 0.004);
}

TEST(Resampling, ErrorsNameWhatIsWrong) {
  EXPECT_EQ(message_of([] {
              given_rows(row_list{0, 1, 2}, 2);
            }),
            "given resamples: 3 numbers are no multiple of 2 rows");
  EXPECT_EQ(message_of([] {
              given_rows(row_list{0, 1, 1, 2}, 2);
            }),
            "given resamples: number 1 of resample 1 is row 2 of 2");
  EXPECT_EQ(message_of([] { blocked_rows(std::size_t{10}, 0.5); }),
            "block bootstrap: a block length of 0.500000 rows");
}

TEST(Resampling, SeriesAreRunsOfEqualLabels) {
  const std::vector<int> labels{4, 4, 2, 2, 2, 4};
  EXPECT_EQ(series_lengths(std::span<const int>(labels)), (row_list{2, 3, 1}));
  EXPECT_TRUE(series_lengths(std::span<const int>()).empty());
}

}  // namespace
