// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Every layout predicts the bits of tree_ensemble::margin. Built once more for each instruction set.
#include "rafter/solver/tree_layout.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "rafter/core/random.hpp"

namespace {

using rafter::regression_tree;
using rafter::tree_ensemble;
using rafter::tree_layout;
using rafter::tree_node;
using rafter::tree_path;
using rafter::detail::seeded_numbers;

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double missing = std::numeric_limits<double>::quiet_NaN();

enum class directions { left, right, mixed };

struct shape {
  std::size_t trees = 0, features = 1;
  std::size_t depth = 6;       // at most
  double stop = 0.0;           // chance that a node above that depth is a leaf
  std::size_t thresholds = 9;  // different ones of each feature
  directions missing_goes = directions::mixed;
};

// Thresholds that are awkward on purpose: infinities, both zeros, denormals, decimal fractions.
float threshold_of(std::size_t i, std::size_t feature) {
  switch (i) {
    case 0:
      return 0.0F;
    case 1:
      return -0.0F;
    case 2:
      return 0.1F;
    case 3:
      return std::numeric_limits<float>::denorm_min();
    case 4:
      return -3e-41F;
    case 5:
      return feature % 3 == 0 ? std::numeric_limits<float>::infinity() : 1e30F;
    case 6:
      return feature % 3 == 1 ? -std::numeric_limits<float>::infinity() : -1e30F;
    default:
      return 0.37F * static_cast<float>(i) - 1.5F;
  }
}

void grow(regression_tree& tree, std::size_t at, std::size_t level, const shape& of, seeded_numbers& random) {
  if (level == of.depth || random.uniform() < of.stop) {
    tree.nodes[at].value = static_cast<float>(random.normal());
    return;
  }
  const std::size_t feature = random.below(of.features);
  const auto left = static_cast<std::int32_t>(tree.nodes.size());
  tree.nodes[at].left = left;
  tree.nodes[at].right = left + 1;
  tree.nodes[at].feature = static_cast<std::int32_t>(feature);
  tree.nodes[at].threshold = threshold_of(random.below(of.thresholds), feature);
  tree.nodes[at].missing_left =
      of.missing_goes == directions::mixed ? random.below(2) == 0 : of.missing_goes == directions::left;
  tree.nodes.resize(tree.nodes.size() + 2);
  grow(tree, static_cast<std::size_t>(left), level + 1, of, random);
  grow(tree, static_cast<std::size_t>(left) + 1, level + 1, of, random);
}
tree_ensemble ensemble_of(const shape& of, std::uint64_t seed) {
  seeded_numbers random(seed);
  tree_ensemble made{.features = of.features, .base = random.normal()};
  for (std::size_t t = 0; t < of.trees; ++t) {
    made.trees.push_back({{tree_node{}}});
    grow(made.trees.back(), 0, 0, of, random);
  }
  return made;
}

// Values on thresholds, a double beside them (which rounds to them), a float beside them, far away, missing.
double value_of(const shape& of, std::size_t feature, seeded_numbers& random) {
  const double at = static_cast<double>(threshold_of(random.below(of.thresholds), feature));
  switch (random.below(10)) {
    case 0:
      return at;
    case 1:
      return std::nextafter(at, infinity);
    case 2:
      return std::nextafter(at, -infinity);
    case 3:
      return static_cast<double>(std::nextafter(static_cast<float>(at), HUGE_VALF));
    case 4:
      return static_cast<double>(std::nextafter(static_cast<float>(at), -HUGE_VALF));
    case 5:
      return missing;
    case 6:
      return random.below(2) == 0 ? infinity : -infinity;
    case 7:
      return random.below(2) == 0 ? 5e-324 : 1e300;
    default:
      return 0.4 * static_cast<double>(of.thresholds) * random.uniform() - 2.0;
  }
}

void expect_bits(double got, double wanted, std::size_t row) {
  ASSERT_EQ(std::bit_cast<std::uint64_t>(got), std::bit_cast<std::uint64_t>(wanted)) << "row " << row;
}

// One row, many column by column, many row by row.
void expect_same_margins(const tree_ensemble& ensemble, const shape& of, std::size_t rows, std::uint64_t seed) {
  seeded_numbers random(seed);
  const tree_layout layout(ensemble);
  const std::size_t features = ensemble.features, stride = rows + 3;
  std::vector<double> by_row(rows * features), by_column(stride * features, -7.0);
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < features; ++j) {
      by_row[i * features + j] = by_column[j * stride + i] = value_of(of, j, random);
    }
  }
  std::vector<double> columns(rows + 1, 1234.5), asked(rows + 1, 1234.5);
  const auto row = [&](std::size_t i) { return by_row.data() + i * features; };
  layout.margins(by_column.data(), stride, rows, columns.data());
  layout.margins(row, rows, asked.data());
  for (std::size_t i = 0; i < rows; ++i) {
    const double wanted = ensemble.margin(row(i));
    expect_bits(layout.margin(row(i)), wanted, i);
    expect_bits(columns[i], wanted, i);
    expect_bits(asked[i], wanted, i);
  }
  EXPECT_EQ(columns[rows], 1234.5) << "wrote behind the last row";
  EXPECT_EQ(asked[rows], 1234.5) << "wrote behind the last row";
}
void expect_same_margins(const shape& of, std::size_t rows = 130, std::uint64_t seed = 1) {
  expect_same_margins(ensemble_of(of, seed), of, rows, seed + 100);
}

TEST(TreeLayout, PredictsTheSameBitsAtEveryDepth) {
  for (std::size_t depth = 0; depth <= 10; ++depth) {
    SCOPED_TRACE(depth);
    expect_same_margins({.trees = 21, .features = 5, .depth = depth}, 130, depth);
  }
}

TEST(TreeLayout, PredictsTheSameBitsFromIrregularTrees) {
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    SCOPED_TRACE(seed);
    expect_same_margins({.trees = 37, .features = 7, .depth = 4 + seed, .stop = 0.3}, 100, seed);
  }
}

// Leaf by leaf, as loss-guided growth does at its worst: each split has a leaf on one side.
TEST(TreeLayout, PredictsTheSameBitsFromChains) {
  const shape of{.trees = 9, .features = 3, .thresholds = 20};
  tree_ensemble ensemble = ensemble_of({.trees = 3, .features = 3}, 5);
  seeded_numbers random(6);
  for (std::size_t t = 0; t < 6; ++t) {
    regression_tree chain{{tree_node{}}};
    std::size_t at = 0;
    for (std::size_t level = 0; level < 40; ++level) {
      const std::size_t feature = random.below(3), from = chain.nodes.size();
      tree_node& split = chain.nodes[at];
      split.left = static_cast<std::int32_t>(from);
      split.right = static_cast<std::int32_t>(from + 1);
      split.feature = static_cast<std::int32_t>(feature);
      split.threshold = threshold_of(random.below(20), feature);
      split.missing_left = t % 2 == 0;
      chain.nodes.resize(from + 2);
      at = from + (t < 3 ? 0 : 1);
      chain.nodes[from + (t < 3 ? 1 : 0)].value = static_cast<float>(random.normal());
    }
    chain.nodes[at].value = 0.125F;
    ensemble.trees.push_back(chain);
  }
  ensemble.check();
  expect_same_margins(ensemble, of, 200, 7);
}

TEST(TreeLayout, PredictsTheSameBitsForAnyNumberOfFeatures) {
  for (const std::size_t features : {1U, 2U, 15U, 16U, 17U, 30U, 32U, 33U, 63U, 64U, 65U, 70U}) {
    SCOPED_TRACE(features);
    expect_same_margins({.trees = 40, .features = features, .depth = 6}, 70, features);
    expect_same_margins({.trees = 40, .features = features, .depth = 6, .missing_goes = directions::left}, 70);
    expect_same_margins({.trees = 40, .features = features, .depth = 6, .missing_goes = directions::right}, 70);
  }
}

TEST(TreeLayout, PredictsTheSameBitsForAnyNumberOfTrees) {
  for (const std::size_t trees : {0U, 1U, 7U, 8U, 9U, 255U, 256U, 257U, 300U}) {
    SCOPED_TRACE(trees);
    expect_same_margins({.trees = trees, .features = 4, .depth = 3}, 66, trees);
  }
}

TEST(TreeLayout, PredictsTheSameBitsForAnyNumberOfRows) {
  for (const std::size_t rows : {0U, 1U, 2U, 31U, 32U, 33U, 63U, 64U, 65U, 95U, 96U, 128U, 129U, 200U}) {
    SCOPED_TRACE(rows);
    expect_same_margins({.trees = 20, .features = 6}, rows, rows);
  }
}

TEST(TreeLayout, TellsApartMoreThan255ThresholdsOfAFeature) {
  for (const std::size_t thresholds : {14U, 15U, 16U, 17U, 240U, 254U, 255U, 256U, 257U, 511U, 900U}) {
    SCOPED_TRACE(thresholds);
    const shape of{.trees = 64, .features = 1, .thresholds = thresholds, .missing_goes = directions::left};
    expect_same_margins(of, 400, thresholds);
  }
}

// 300 features, some of them with thresholds of both kinds: more than 256 bytes to a row.
TEST(TreeLayout, WalksTheThresholdsThemselvesWhereTooManyBytesWouldBeNeeded) {
  const shape of{.trees = 70, .features = 300, .depth = 7, .stop = 0.05};
  const tree_ensemble ensemble = ensemble_of(of, 3);
  EXPECT_GT(tree_layout(ensemble).slots(), 256U);
  EXPECT_EQ(tree_layout(ensemble).row_path(), tree_path::walk);
  EXPECT_EQ(tree_layout(ensemble).batch_path(), tree_path::walk);
  expect_same_margins(ensemble, of, 70, 4);
}

TEST(TreeLayout, CountsOneByteForEveryFeatureThatIsAsked) {
  const shape of{.trees = 60, .features = 30, .missing_goes = directions::left};
  const tree_layout layout(ensemble_of(of, 1));
  EXPECT_EQ(layout.slots(), 30U);
  EXPECT_EQ(layout.batch_path(), tree_path::blocks);
#if defined(__AVX2__)
  EXPECT_EQ(layout.row_path(), tree_path::words);
#else
  EXPECT_EQ(layout.row_path(), tree_path::blocks);
#endif
  EXPECT_EQ(tree_layout(tree_ensemble{.features = 3}).slots(), 0U);
}

TEST(TreeLayout, SendsAMissingValueTwoWaysInOneTree) {
  tree_ensemble ensemble{.features = 1};
  for (const bool left : {false, true, true, false}) {
    tree_node root{.left = 1, .right = 2, .feature = 0, .threshold = 1.0F, .missing_left = left};
    ensemble.trees.push_back({{root, tree_node{.value = 1.0F}, tree_node{.value = 10.0F}}});
  }
  EXPECT_EQ(tree_layout(ensemble).margin(&missing), 22.0);
  EXPECT_EQ(tree_layout(ensemble).slots(), 2U);
}

TEST(TreeLayout, AppliesTheLinkInEveryPrediction) {
  const shape of{.trees = 10, .features = 2, .depth = 3};
  tree_ensemble ensemble = ensemble_of(of, 8);
  ensemble.link = rafter::tree_link::exponential;
  const tree_layout layout(ensemble);
  const double x[2] = {0.3, 0.7};
  double of_columns = 0.0, of_rows = 0.0;
  layout.predict(x, 1, 1, &of_columns);
  layout.predict([&](std::size_t) { return x; }, 1, &of_rows);
  EXPECT_EQ(layout.predict(x), ensemble.predict(x));
  EXPECT_EQ(of_columns, ensemble.predict(x));
  EXPECT_EQ(of_rows, ensemble.predict(x));
  EXPECT_NE(ensemble.predict(x), ensemble.margin(x));
}

TEST(TreeLayout, RefusesWhatIsNoEnsemble) {
  tree_ensemble bad{.features = 1};
  bad.trees.push_back({{tree_node{.left = 1, .right = 2, .feature = 1}, tree_node{}, tree_node{}}});
  EXPECT_THROW(tree_layout{bad}, rafter::tree_error);
}

}  // namespace
