// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/solver/tree_ensemble.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace {

using rafter::regression_tree;
using rafter::tree_ensemble;
using rafter::tree_error;
using rafter::tree_node;

tree_node leaf(float value) { return {.value = value}; }
tree_node split(std::int32_t feature, float threshold, std::int32_t left, std::int32_t right, bool missing_left) {
  return {.left = left, .right = right, .feature = feature, .threshold = threshold, .missing_left = missing_left};
}
// x0 < 1 ? (x1 < 0.1f ? 1 : 2) : 4
tree_ensemble small() {
  tree_ensemble made{.features = 2, .base = 0.5};
  made.trees.push_back({{split(0, 1.0F, 1, 4, true), split(1, 0.1F, 2, 3, false), leaf(1), leaf(2), leaf(4)}});
  return made;
}
std::string complaint(const tree_ensemble& ensemble) {
  try {
    ensemble.check();
  } catch (const tree_error& why) {
    return why.what();
  }
  return "none";
}

TEST(TreeEnsemble, SendsRowsBelowTheThresholdLeft) {
  const tree_ensemble one = small();
  EXPECT_EQ(one.predict(std::array{0.0, 0.0}.data()), 1.5);
  EXPECT_EQ(one.predict(std::array{0.0, 5.0}.data()), 2.5);
  EXPECT_EQ(one.predict(std::array{1.0, 0.0}.data()), 4.5);
}

TEST(TreeEnsemble, SendsMissingValuesWhereTheSplitSays) {
  const double missing = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(small().predict(std::array{missing, missing}.data()), 2.5);
}

// 0.1f = 0.100000001490116…: as doubles, 0.1 is below it; as floats they are equal.
TEST(TreeEnsemble, ComparesInSinglePrecision) { EXPECT_EQ(small().predict(std::array{0.0, 0.1}.data()), 2.5); }

TEST(TreeEnsemble, AddsTreesInEightPartialSums) {
  tree_ensemble many{.features = 1, .base = 0.25};
  double part[8] = {};
  for (int t = 0; t < 21; ++t) {
    const float value = 1.0F / static_cast<float>(t + 3);
    many.trees.push_back({{leaf(value)}});
    part[t % 8] += static_cast<double>(value);
  }
  const double x = 0.0;
  EXPECT_EQ(many.margin(&x),
            0.25 + (((((((part[0] + part[1]) + part[2]) + part[3]) + part[4]) + part[5]) + part[6]) + part[7]));
}

TEST(TreeEnsemble, ALogarithmicLinkPredictsTheExponential) {
  tree_ensemble one = small();
  one.link = rafter::tree_link::exponential;
  EXPECT_NEAR(one.predict(std::array{0.0, 0.0}.data()), std::exp(1.5), 1e-14);
}

TEST(TreeEnsemble, KnowsItsLeavesAndDepth) {
  EXPECT_EQ(small().leaves(), 3U);
  EXPECT_EQ(small().trees[0].depth(), 2U);
  EXPECT_EQ(regression_tree{{leaf(1)}}.depth(), 0U);
}

TEST(TreeEnsemble, RefusesWhatIsNoTree) {
  EXPECT_EQ(complaint(small()), "none");
  tree_ensemble bad = small();
  bad.trees[0].nodes[1].feature = 2;
  EXPECT_EQ(complaint(bad), "tree 0, node 1: it asks a feature that there is none of");
  bad = small();
  bad.trees[0].nodes[1].left = 0;
  EXPECT_EQ(complaint(bad), "tree 0, node 1: a child does not stand after it in the tree");
  bad = small();
  bad.trees[0].nodes[1].right = 2;
  EXPECT_EQ(complaint(bad), "tree 0, node 1: a child has two parents");
  bad = small();
  bad.trees[0].nodes.push_back(leaf(9));
  EXPECT_EQ(complaint(bad), "tree 0, node 5: no split leads to it");
  bad = small();
  bad.trees[0].nodes[4].value = std::numeric_limits<float>::infinity();
  EXPECT_EQ(complaint(bad), "tree 0, node 4: its value is not a finite number");
  bad = small();
  bad.trees.push_back({});
  EXPECT_EQ(complaint(bad), "tree 1 has no nodes");
  bad = small();
  bad.feature_names = {"one"};
  EXPECT_EQ(complaint(bad), "1 names for 2 features");
}

}  // namespace
