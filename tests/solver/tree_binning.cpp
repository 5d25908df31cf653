// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/solver/tree_binning.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

namespace {

using rafter::tree_ensemble;
using rafter::tree_node;
using rafter::detail::binned_slots;
using rafter::detail::threshold_slots;

constexpr double missing = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

// One stump for each threshold.
void add_split(tree_ensemble& to, std::int32_t feature, float threshold, bool missing_left) {
  const tree_node root{
      .left = 1, .right = 2, .feature = feature, .threshold = threshold, .missing_left = missing_left};
  to.trees.push_back({{root, tree_node{}, tree_node{}}});
}
int bin(const binned_slots& bins, std::size_t slot, double x) {
  return rafter::detail::bin_of(bins.slots[slot], bins.missing[slot], static_cast<float>(x)) + 128;
}

TEST(TreeBinning, ABinCountsTheThresholdsThatAreNotAbove) {
  for (const int count : {1, 2, 15, 16, 17, 31, 32, 100, 240, 241, 254, 255}) {
    tree_ensemble ensemble{.features = 1};
    std::set<float> thresholds;
    for (int i = 0; i < count; ++i) {
      const float threshold = std::sin(static_cast<float>(i)) * 100.0F;  // in no order
      thresholds.insert(threshold);
      add_split(ensemble, 0, threshold, true);
    }
    ASSERT_EQ(thresholds.size(), static_cast<std::size_t>(count));
    const binned_slots bins = threshold_slots(ensemble).bins();
    ASSERT_EQ(bins.slots.size(), 1U);
    int below = 0;
    EXPECT_EQ(bin(bins, 0, -infinity), 0);
    for (const float threshold : thresholds) {
      EXPECT_EQ(bin(bins, 0, static_cast<double>(std::nextafter(threshold, -HUGE_VALF))), below);
      EXPECT_EQ(bin(bins, 0, static_cast<double>(threshold)), ++below);
    }
    EXPECT_EQ(bin(bins, 0, infinity), count);
  }
}

TEST(TreeBinning, ASplitSendsRightWhatHasAGreaterBin) {
  tree_ensemble ensemble{.features = 1};
  for (int i = 0; i < 700; ++i) add_split(ensemble, 0, 0.5F * static_cast<float>(i), true);
  const threshold_slots cuts(ensemble);
  const binned_slots bins = cuts.bins();
  ASSERT_EQ(cuts.slots(), 3U);
  for (int i = 0; i < 700; ++i) {
    const auto [slot, threshold] = cuts.of(ensemble.trees[static_cast<std::size_t>(i)].nodes[0]);
    EXPECT_EQ(slot, static_cast<std::size_t>(i) / 255);
    for (int j = -1; j < 701; j += 3) {
      EXPECT_EQ(bin(bins, slot, 0.5 * j) - 128 > threshold, j >= i) << i << ' ' << j;
    }
  }
}

TEST(TreeBinning, AMissingValueIsBelowOrAboveEveryThreshold) {
  tree_ensemble ensemble{.features = 2};
  add_split(ensemble, 1, 1.0F, true);
  add_split(ensemble, 1, 2.0F, false);
  const binned_slots bins = threshold_slots(ensemble).bins();
  ASSERT_EQ(bins.features, (std::vector<std::uint32_t>{1, 1}));
  EXPECT_EQ(bin(bins, 0, missing), 0);
  EXPECT_EQ(bin(bins, 1, missing), 255);
}

TEST(TreeBinning, BothZerosAreOneThreshold) {
  tree_ensemble ensemble{.features = 1};
  add_split(ensemble, 0, 0.0F, true);
  add_split(ensemble, 0, -0.0F, true);
  const binned_slots bins = threshold_slots(ensemble).bins();
  EXPECT_EQ(bin(bins, 0, 1.0), 1);
  EXPECT_EQ(bin(bins, 0, -0.0), 1);
  EXPECT_EQ(bin(bins, 0, -1e-45), 0);
}

}  // namespace
