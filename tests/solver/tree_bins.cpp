// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/solver/tree_bins.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include "../support/message.hpp"
#include "rafter/core/random.hpp"

namespace {

using rafter::bin_features;
using rafter::binned_features;
using rafter::feature_columns;
using rafter::find_tree_cuts;
using rafter::tree_cuts;

constexpr float missing = std::numeric_limits<float>::quiet_NaN();

std::vector<float> drawn(std::size_t rows, std::uint64_t seed) {
  rafter::detail::seeded_numbers random(seed);
  std::vector<float> values(rows);
  for (float& each : values) each = static_cast<float>(random.normal());
  return values;
}
binned_features binned(const std::vector<float>& column, std::size_t max_bins = 256) {
  const feature_columns x(column.data(), column.size(), 1);
  return bin_features(x, find_tree_cuts(x, {}, max_bins));
}

TEST(TreeBins, CutAtEveryValueButTheSmallestAndAtASentinel) {
  const std::vector<float> column{3, 1, 2, 3, 1, 2};
  const tree_cuts cuts = find_tree_cuts({column.data(), column.size(), 1});
  EXPECT_EQ(cuts.upper[0], (std::vector<float>{2, 3, 3.0F + (3.0F + 1e-5F)}));
}

TEST(TreeBins, SortNegativeNumbersAndTakeBothZerosForOne) {
  const std::vector<float> column{-0.0F, 5, -2, 0.0F, -7.5F};
  const tree_cuts cuts = find_tree_cuts({column.data(), column.size(), 1});
  EXPECT_EQ(cuts.upper[0], (std::vector<float>{-2, 0, 5, 5.0F + (5.0F + 1e-5F)}));
  const std::vector<float> below{-3, -1};
  EXPECT_EQ(find_tree_cuts({below.data(), 2, 1}).upper[0], (std::vector<float>{-1, -1.0F + (1.0F + 1e-5F)}));
}

// A second way to the bin: count the cuts that are not above the value.
TEST(TreeBins, HoldTheNumberOfCutsNotAboveTheValue) {
  for (const std::size_t rows : {1U, 2U, 63U, 64U, 65U, 300U, 5000U}) {
    const std::size_t features = 11;
    std::vector<float> x = drawn(rows * features, rows);
    for (std::size_t i = 0; i < x.size(); i += 7) x[i] = std::round(x[i]);
    for (std::size_t i = 0; i < 5 * rows; i += 3) x[i] = missing;
    const feature_columns columns(x.data(), rows, features);
    const binned_features made = bin_features(columns, find_tree_cuts(columns));
    EXPECT_EQ(made.stride, 16U);
    for (std::size_t f = 0; f < features; ++f) {
      const std::vector<float>& cuts = made.cuts.upper[f];
      for (std::size_t row = 0; row < rows; ++row) {
        const float value = columns.at(row, f);
        const auto want = value == value
                              ? std::count_if(cuts.begin(), cuts.end(), [&](float cut) { return cut <= value; })
                              : static_cast<std::ptrdiff_t>(cuts.size());
        ASSERT_EQ(static_cast<std::ptrdiff_t>(made.by_column[f * rows + row]), want);
        ASSERT_EQ(made.by_row[row * made.stride + f], made.by_column[f * rows + row]);
      }
    }
  }
}

TEST(TreeBins, TakeDoublesAsFloats) {
  const std::vector<float> single = drawn(3000, 5);
  const std::vector<double> twice(single.begin(), single.end());
  const feature_columns a(single.data(), 1000, 3), b(twice.data(), 1000, 3);
  EXPECT_EQ(find_tree_cuts(a), find_tree_cuts(b));
  EXPECT_EQ(bin_features(a, find_tree_cuts(a)).by_row, bin_features(b, find_tree_cuts(b)).by_row);
}

TEST(TreeBins, SpreadManyValuesEvenly) {
  for (const std::size_t max_bins : {2U, 3U, 16U, 255U, 256U}) {
    const binned_features made = binned(drawn(50'000, 9), max_bins);
    ASSERT_LE(made.cuts.upper[0].size(), max_bins);
    ASSERT_GE(made.cuts.upper[0].size() + 1, max_bins);
    std::vector<double> count(256);
    for (const std::uint8_t bin : made.by_column) ++count[bin];
    const double even = 50'000.0 / static_cast<double>(max_bins);
    // The first bin may hold two steps of rank: the smallest entry of the summary is no cut.
    for (const double each : count) EXPECT_LE(each, 2.3 * even) << max_bins;
  }
}

TEST(TreeBins, WeighRowsWhereTheyCut) {
  const std::size_t rows = 20'000;
  std::vector<float> x(rows);
  std::vector<double> weight(rows);
  for (std::size_t i = 0; i < rows; ++i) {
    x[i] = static_cast<float>(i);
    weight[i] = i < rows / 2 ? 9.0 : 1.0;
  }
  const tree_cuts cuts = find_tree_cuts({x.data(), rows, 1}, weight, 100);
  const auto low =
      std::count_if(cuts.upper[0].begin(), cuts.upper[0].end(), [](float cut) { return cut < 10'000.0F; });
  EXPECT_NEAR(static_cast<double>(low), 90.0, 2.0);
}

TEST(TreeBins, SpreadAMillionDifferentValues) {
  std::vector<float> x(1'000'000);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>((i * 7919) % x.size());
  const binned_features made = binned(x);
  EXPECT_EQ(made.cuts.upper[0].size(), 256U);
  std::vector<double> count(256);
  for (const std::uint8_t bin : made.by_column) ++count[bin];
  for (const double each : count) EXPECT_NEAR(each, 1e6 / 256.0, 0.15 * 1e6 / 256.0);
}

TEST(TreeBins, KeepABinForMissingValues) {
  std::vector<float> x = drawn(5000, 3);
  EXPECT_EQ(binned(x).cuts.upper[0].size(), 256U);
  x[17] = missing;
  const binned_features made = binned(x);
  EXPECT_EQ(made.cuts.upper[0].size(), 255U);
  EXPECT_EQ(made.by_column[17], 255);
  EXPECT_TRUE(made.has_missing[0]);
}

TEST(TreeBins, HaveOneBinForAConstantAndNoneForNothing) {
  const binned_features constant = binned({4, 4, 4});
  EXPECT_EQ(constant.cuts.upper[0], (std::vector<float>{4.0F + (4.0F + 1e-5F)}));
  EXPECT_EQ(constant.by_column, (std::vector<std::uint8_t>{0, 0, 0}));
  const binned_features nothing = binned({missing, missing});
  EXPECT_TRUE(nothing.cuts.upper[0].empty());
  EXPECT_EQ(nothing.by_column, (std::vector<std::uint8_t>{0, 0}));
  EXPECT_TRUE(nothing.has_missing[0]);
}

TEST(TreeBins, AreTheSameForAnyNumberOfThreads) {
  const std::vector<float> x = drawn(9000 * 7, 11);
  const feature_columns columns(x.data(), 9000, 7);
  const tree_cuts one = find_tree_cuts(columns);
  for (const std::size_t threads : {2U, 3U}) {
    EXPECT_EQ(find_tree_cuts(columns, {}, 256, threads), one);
    EXPECT_EQ(bin_features(columns, one, threads).by_row, bin_features(columns, one).by_row);
  }
}

TEST(TreeBins, RefuseInfinitiesNamingFeatureAndRow) {
  std::vector<float> x{1, 2, 3, 4, 5, std::numeric_limits<float>::infinity()};
  const feature_columns columns(x.data(), 3, 2);
  EXPECT_EQ(message_of([&] {
              find_tree_cuts(columns, {}, 256, 1, {"tokens", "kv_mean"});
            }),
            "rafter: tree_bins: feature 1 (kv_mean), row 2: not a finite number as float");
  EXPECT_EQ(message_of([&] {
              bin_features(columns, {{{2, 9}, {5, 9}}});
            }),
            "rafter: tree_bins: feature 1, row 2: not a finite number as float");
  const std::vector<double> large{1e39};
  EXPECT_EQ(message_of([&] {
              find_tree_cuts({large.data(), 1, 1});
            }),
            "rafter: tree_bins: feature 0, row 0: not a finite number as float");
}

TEST(TreeBins, RefuseWhatMakesNoSense) {
  const std::vector<float> x{1, 2, 3};
  const feature_columns columns(x.data(), 3, 1);
  const std::vector<double> weight{1, 2};
  EXPECT_EQ(message_of([&] { find_tree_cuts(columns, {}, 1); }), "rafter: tree_bins: max_bins 1, must be 2 to 256");
  EXPECT_EQ(message_of([&] { find_tree_cuts(columns, {}, 257); }),
            "rafter: tree_bins: max_bins 257, must be 2 to 256");
  EXPECT_EQ(message_of([&] { find_tree_cuts(columns, weight); }), "rafter: tree_bins: 2 weights for 3 rows");
  EXPECT_EQ(message_of([&] { bin_features(columns, {}); }), "rafter: tree_bins: cuts of 0 features for 1");
  EXPECT_EQ(message_of([&] {
              bin_features(columns, {{{2, 2}}});
            }),
            "rafter: tree_bins: feature 0, cut 1: cuts must be finite and ascend");
  EXPECT_EQ(message_of([&] {
              bin_features(columns, {{{2, 3}}});
            }),
            "rafter: tree_bins: feature 0: value 3 is not below the last cut");
  std::vector<float> many(257);
  for (std::size_t i = 0; i < many.size(); ++i) many[i] = static_cast<float>(i);
  EXPECT_EQ(message_of([&] { bin_features(columns, {{many}}); }),
            "rafter: tree_bins: feature 0: 257 cuts, at most 256");
}

}  // namespace
