// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/solver/tree_attribution.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <vector>

#include "rafter/core/random.hpp"

namespace {

using rafter::interventional_attributions;
using rafter::regression_tree;
using rafter::tree_attributions;
using rafter::tree_ensemble;
using rafter::tree_error;
using rafter::tree_node;

constexpr double missing = std::numeric_limits<double>::quiet_NaN();

// Random splits of few features, so that paths ask the same ones again; covers that add up only nearly, as in files.
tree_ensemble random_ensemble(std::size_t features, std::size_t trees, std::size_t depth, std::uint64_t seed) {
  rafter::detail::seeded_numbers random(seed);
  tree_ensemble made{.features = features, .base = 0.75};
  for (std::size_t t = 0; t < trees; ++t) {
    regression_tree tree;
    tree.nodes.push_back({.cover = 1000.0});
    std::vector<std::size_t> level{0};
    for (std::size_t i = 0; i < tree.nodes.size(); ++i) {
      if (level[i] == depth || (i > 0 && random.uniform() < 0.15)) {
        tree.nodes[i].value = static_cast<float>(random.normal());
        continue;
      }
      const double part = random.uniform();
      const auto next = static_cast<std::int32_t>(tree.nodes.size());
      tree.nodes[i].left = next;
      tree.nodes[i].right = next + 1;
      tree.nodes[i].feature = static_cast<std::int32_t>(random.below(features));
      tree.nodes[i].threshold = static_cast<float>(random.uniform());
      tree.nodes[i].missing_left = random.uniform() < 0.5;
      const double cover = tree.nodes[i].cover;
      tree.nodes.push_back({.cover = cover * part});
      tree.nodes.push_back({.cover = cover * (1.0 - part) * 1.0000001});
      level.insert(level.end(), 2, level[i] + 1);
    }
    made.trees.push_back(tree);
  }
  return made;
}
std::vector<double> random_rows(std::size_t rows, std::size_t features, std::uint64_t seed) {
  rafter::detail::seeded_numbers random(seed);
  std::vector<double> x(rows * features);
  for (double& each : x) each = random.uniform() < 0.1 ? missing : random.uniform();
  return x;
}

/// Shapley's formula: all subsets of all features.
std::vector<double> brute_force(std::size_t features, const std::function<double(unsigned)>& value) {
  std::vector<double> values(std::size_t{1} << features), phi(features);
  for (unsigned s = 0; s < values.size(); ++s) values[s] = value(s);
  for (std::size_t i = 0; i < features; ++i) {
    for (unsigned s = 0; s < values.size(); ++s) {
      if ((s >> i & 1U) != 0) continue;
      const int size = std::popcount(s);
      const double weight = std::tgamma(size + 1.0) * std::tgamma(static_cast<double>(features) - size) /
                            std::tgamma(static_cast<double>(features) + 1.0);
      phi[i] += weight * (values[s | 1U << i] - values[s]);
    }
  }
  return phi;
}
double follow(const regression_tree& tree, std::size_t at, const double* x, unsigned known) {
  const tree_node& node = tree.nodes[at];
  if (node.leaf()) return static_cast<double>(node.value);
  const auto left = static_cast<std::size_t>(node.left), right = static_cast<std::size_t>(node.right);
  if ((known >> node.feature & 1U) == 0) {
    return (tree.nodes[left].cover * follow(tree, left, x, known) +
            tree.nodes[right].cover * follow(tree, right, x, known)) /
           node.cover;
  }
  const auto value = static_cast<float>(x[node.feature]);
  const bool goes_left = std::isnan(value) ? node.missing_left : value < node.threshold;
  return follow(tree, goes_left ? left : right, x, known);
}
std::vector<double> path_dependent_by_subsets(const tree_ensemble& ensemble, const double* x) {
  return brute_force(ensemble.features, [&](unsigned known) {
    double sum = 0.0;
    for (const regression_tree& tree : ensemble.trees) sum += follow(tree, 0, x, known);
    return sum;
  });
}

TEST(TreeAttribution, OneSplitGivesItsFeatureAllOfTheDifference) {
  tree_ensemble one{.features = 2, .base = 5.0};
  one.trees.push_back({{{.left = 1, .right = 2, .feature = 1, .threshold = 0.5F, .cover = 4.0},
                        {.value = 8.0F, .cover = 1.0},
                        {.value = 0.0F, .cover = 3.0}}});
  const tree_attributions attributions = rafter::explain(one);
  auto work = attributions.make_workspace();
  EXPECT_EQ(attributions.expected(), 7.0);
  double phi[2];
  attributions.explain(std::array{9.0, 0.0}.data(), phi, work);
  EXPECT_EQ(phi[0], 0.0);
  EXPECT_NEAR(phi[1], 6.0, 1e-15);
  attributions.explain(std::array{9.0, 1.0}.data(), phi, work);
  EXPECT_NEAR(phi[1], -2.0, 1e-15);
}

TEST(TreeAttribution, EqualsTheSumOverAllSubsets) {
  for (std::size_t depth = 1; depth <= 9; ++depth) {
    const tree_ensemble ensemble = random_ensemble(6, 5, depth, depth);
    const tree_attributions attributions(ensemble);
    auto work = attributions.make_workspace();
    const std::vector<double> x = random_rows(7, 6, 100 + depth);
    std::vector<double> phi(x.size());
    attributions.explain(x.data(), 7, phi.data(), work);
    for (std::size_t r = 0; r < 7; ++r) {
      const std::vector<double> wanted = path_dependent_by_subsets(ensemble, x.data() + r * 6);
      for (std::size_t f = 0; f < 6; ++f) EXPECT_NEAR(phi[r * 6 + f], wanted[f], 1e-12);
    }
  }
}

TEST(TreeAttribution, AddsUpToTheMargin) {
  for (const auto& [features, depth] : {std::pair<std::size_t, std::size_t>{30, 6}, {40, 12}, {3, 10}}) {
    const tree_ensemble ensemble = random_ensemble(features, 40, depth, 7);
    const tree_attributions attributions(ensemble);
    auto work = attributions.make_workspace();
    const std::vector<double> x = random_rows(70, features, 8);
    std::vector<double> phi(x.size());
    attributions.explain(x.data(), 70, phi.data(), work);
    for (std::size_t r = 0; r < 70; ++r) {
      const auto first = phi.begin() + static_cast<std::ptrdiff_t>(r * features);
      const double sum = std::accumulate(first, first + static_cast<std::ptrdiff_t>(features), 0.0);
      EXPECT_NEAR(attributions.expected() + sum, ensemble.margin(x.data() + r * features), 1e-10);
    }
  }
}

TEST(TreeAttribution, RowsAloneAndTogetherGiveTheSameBits) {
  const tree_ensemble ensemble = random_ensemble(9, 20, 11, 3);
  const tree_attributions attributions(ensemble);
  auto work = attributions.make_workspace();
  const std::vector<double> x = random_rows(67, 9, 4);
  std::vector<double> together(x.size()), alone(9);
  attributions.explain(x.data(), 67, together.data(), work);
  for (std::size_t r = 0; r < 67; ++r) {
    attributions.explain(x.data() + r * 9, alone.data(), work);
    for (std::size_t f = 0; f < 9; ++f) EXPECT_EQ(alone[f], together[r * 9 + f]);
  }
}

TEST(TreeAttribution, BranchesThatNoTrainingRowTookAreNoTrouble) {
  tree_ensemble ensemble = random_ensemble(4, 6, 6, 11);
  for (auto& tree : ensemble.trees) {
    const auto root = tree.nodes[0];
    if (tree.nodes[static_cast<std::size_t>(root.left)].leaf()) {
      tree.nodes[static_cast<std::size_t>(root.left)].cover = 0.0;
    }
    for (auto& node : tree.nodes) {  // every split whose children are leaves sends all rows right
      if (node.leaf()) continue;
      auto &left = tree.nodes[static_cast<std::size_t>(node.left)],
           &right = tree.nodes[static_cast<std::size_t>(node.right)];
      if (left.leaf() && right.leaf()) left.cover = 0.0, right.cover = node.cover;
    }
  }
  const tree_attributions attributions(ensemble);
  auto work = attributions.make_workspace();
  const std::vector<double> x = random_rows(20, 4, 12);
  std::vector<double> phi(4);
  for (std::size_t r = 0; r < 20; ++r) {
    attributions.explain(x.data() + r * 4, phi.data(), work);
    const std::vector<double> wanted = path_dependent_by_subsets(ensemble, x.data() + r * 4);
    for (std::size_t f = 0; f < 4; ++f) EXPECT_NEAR(phi[f], wanted[f], 1e-12);
  }
}

TEST(TreeAttribution, ComparesInSinglePrecision) {
  tree_ensemble one{.features = 1};
  one.trees.push_back({{{.left = 1, .right = 2, .feature = 0, .threshold = 0.1F, .cover = 2.0},
                        {.value = 1.0F, .cover = 1.0},
                        {.value = 2.0F, .cover = 1.0}}});
  const tree_attributions attributions(one);
  auto work = attributions.make_workspace();
  double phi = 0.0;
  attributions.explain(std::array{0.1}.data(), &phi, work);  // as double below 0.1f, as float equal to it
  EXPECT_NEAR(phi, 0.5, 1e-15);
}

TEST(TreeAttribution, NeedsCovers) {
  tree_ensemble bare = random_ensemble(3, 2, 3, 5);
  for (auto& node : bare.trees[1].nodes) node.cover = 0.0;
  try {
    static_cast<void>(rafter::explain(bare));
    FAIL();
  } catch (const tree_error& why) {
    EXPECT_EQ(std::string(why.what()).substr(0, 15), "tree 1, node 0:");
  }
}

TEST(TreeAttribution, AnEnsembleOfLeavesExplainsNothing) {
  tree_ensemble flat{.features = 2, .base = 1.0};
  flat.trees.push_back({{{.value = 3.0F}}});
  const tree_attributions attributions(flat);
  auto work = attributions.make_workspace();
  double phi[2] = {9.0, 9.0};
  attributions.explain(std::array{0.0, 0.0}.data(), phi, work);
  EXPECT_EQ(attributions.expected(), 4.0);
  EXPECT_EQ(phi[0], 0.0);
  EXPECT_EQ(phi[1], 0.0);
}

TEST(InterventionalAttribution, EqualsTheSumOverAllSubsets) {
  for (std::size_t depth = 1; depth <= 8; ++depth) {
    const tree_ensemble ensemble = random_ensemble(6, 5, depth, 20 + depth);
    const std::vector<double> background = random_rows(4, 6, 30 + depth), x = random_rows(5, 6, 40 + depth);
    const interventional_attributions attributions(ensemble, background.data(), 4);
    auto work = attributions.make_workspace();
    std::vector<double> phi(6);
    for (std::size_t r = 0; r < 5; ++r) {
      const double* const row = x.data() + r * 6;
      attributions.explain(row, phi.data(), work);
      const std::vector<double> wanted = brute_force(6, [&](unsigned known) {
        double sum = 0.0;
        for (std::size_t b = 0; b < 4; ++b) {
          std::vector<double> mixed(6);
          for (std::size_t f = 0; f < 6; ++f) mixed[f] = (known >> f & 1U) != 0 ? row[f] : background[b * 6 + f];
          sum += ensemble.margin(mixed.data());
        }
        return sum / 4;
      });
      for (std::size_t f = 0; f < 6; ++f) EXPECT_NEAR(phi[f], wanted[f], 1e-12);
      EXPECT_NEAR(attributions.expected() + std::accumulate(phi.begin(), phi.end(), 0.0), ensemble.margin(row),
                  1e-10);
    }
  }
}

TEST(InterventionalAttribution, NeedsABackground) {
  const double none = 0.0;
  EXPECT_THROW(interventional_attributions(random_ensemble(3, 2, 3, 5), &none, 0), tree_error);
}

// ∫₀¹ t^k dt = 1 / (k + 1) up to degree 2n - 1.
TEST(GaussLegendre, IntegratesPolynomialsExactly) {
  for (std::size_t n = 1; n <= 40; ++n) {
    const auto [points, weights] = rafter::detail::gauss_legendre(n);
    for (std::size_t k = 0; k < 2 * n; ++k) {
      double sum = 0.0;
      for (std::size_t g = 0; g < n; ++g) sum += weights[g] * std::pow(points[g], k);
      EXPECT_NEAR(sum, 1.0 / static_cast<double>(k + 1), 1e-14);
    }
  }
}

}  // namespace
