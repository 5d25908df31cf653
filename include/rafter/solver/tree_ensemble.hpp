// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rafter/core/error.hpp"
#include "rafter/core/math.hpp"

namespace rafter {

/// An ensemble that is no ensemble: a child before its parent, a feature that there is none of; names tree and node.
struct tree_error : error {
  using error::error;
};

/// A node of a regression tree: a split, or a leaf.
struct tree_node {
  std::int32_t left = -1;     ///< index of the child for feature < threshold; -1: a leaf
  std::int32_t right = -1;    ///< index of the other child; -1: a leaf
  std::int32_t feature = -1;  ///< which feature a split asks; -1: a leaf
  float threshold = 0.0F;     ///< compared with the feature as `float`, as XGBoost does
  float value = 0.0F;         ///< of a leaf: what it adds to the margin, the learning rate included
  bool missing_left = false;  ///< where a row goes whose feature is NaN
  double gain = 0.0;          ///< of a split: by how much it lowered the training loss (XGBoost's loss_changes)
  double cover = 0.0;         ///< sum of the hessians of the training rows that came here

  bool leaf() const { return left < 0; }
  friend bool operator==(const tree_node&, const tree_node&) = default;
};

/// nodes[0] is the root; children stand after their parent.
struct regression_tree {
  std::vector<tree_node> nodes;

  /// Index of the leaf of a row. @param x  one number for each feature; NaN: missing
  std::size_t leaf_of(const double* x) const {
    std::size_t at = 0;
    while (!nodes[at].leaf()) {
      const tree_node& node = nodes[at];
      const auto value = static_cast<float>(x[node.feature]);
      const bool left = value == value ? value < node.threshold : node.missing_left;
      at = static_cast<std::size_t>(left ? node.left : node.right);
    }
    return at;
  }
  std::size_t leaves() const { return (nodes.size() + 1) / 2; }
  /// Splits on the longest way from the root to a leaf.
  std::size_t depth() const {
    std::vector<std::size_t> level(nodes.size());
    std::size_t deepest = 0;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      if (level[i] > deepest) deepest = level[i];
      if (nodes[i].leaf()) continue;
      level[static_cast<std::size_t>(nodes[i].left)] = level[static_cast<std::size_t>(nodes[i].right)] = level[i] + 1;
    }
    return deepest;
  }
  friend bool operator==(const regression_tree&, const regression_tree&) = default;
};

/// How a margin becomes a prediction.
enum class tree_link : std::uint8_t { identity, exponential };

/// A sum of regression trees. Each layout of it (tree_layout.hpp) predicts the same bits:
///
///   margin = base + (((s₀ + s₁) + s₂) + … + s₇),   sₖ = the sum of the leaves of trees k, k+8, k+16, …, in double
struct tree_ensemble {
  static constexpr std::size_t partial_sums = 8;

  std::size_t features = 0;
  double base = 0.0;  ///< margin before any tree
  tree_link link = tree_link::identity;
  std::vector<regression_tree> trees = {};
  std::vector<std::string> feature_names = {};  ///< `features` of them, or none

  /// @param x  one number for each feature; NaN: missing
  double margin(const double* x) const {
    std::array<double, partial_sums> part{};
    for (std::size_t t = 0; t < trees.size(); ++t) {
      part[t % partial_sums] += static_cast<double>(trees[t].nodes[trees[t].leaf_of(x)].value);
    }
    return margin_of(base, part);
  }
  double predict(const double* x) const { return response(link, margin(x)); }

  static double margin_of(double base, const std::array<double, partial_sums>& part) {
    double sum = part[0];
    for (std::size_t k = 1; k < partial_sums; ++k) sum += part[k];
    return base + sum;
  }
  static double response(tree_link link, double margin) {
    return link == tree_link::exponential ? rafter::exp(margin) : margin;
  }
  std::size_t leaves() const {
    std::size_t count = 0;
    for (const regression_tree& tree : trees) count += tree.leaves();
    return count;
  }

  /// What everything that walks trees relies on.
  /// @throws tree_error naming the tree and node
  void check() const {
    const auto refuse = [](std::size_t tree, std::size_t node, const char* what) {
      throw tree_error("tree " + std::to_string(tree) + ", node " + std::to_string(node) + ": " + what);
    };
    if (!std::isfinite(base)) throw tree_error("the base of the ensemble is not a finite number");
    if (!feature_names.empty() && feature_names.size() != features) {
      throw tree_error(std::to_string(feature_names.size()) + " names for " + std::to_string(features) + " features");
    }
    for (std::size_t t = 0; t < trees.size(); ++t) {
      const std::vector<tree_node>& nodes = trees[t].nodes;
      if (nodes.empty()) throw tree_error("tree " + std::to_string(t) + " has no nodes");
      std::vector<bool> child(nodes.size());
      for (std::size_t i = 0; i < nodes.size(); ++i) {
        const tree_node& node = nodes[i];
        if (i > 0 && !child[i]) refuse(t, i, "no split leads to it");
        if (node.leaf()) {
          if (node.right >= 0) refuse(t, i, "has one child");
          if (!std::isfinite(node.value)) refuse(t, i, "its value is not a finite number");
          continue;
        }
        for (const std::int32_t to : {node.left, node.right}) {
          if (to <= static_cast<std::int32_t>(i) || static_cast<std::size_t>(to) >= nodes.size()) {
            refuse(t, i, "a child does not stand after it in the tree");
          }
          if (child[static_cast<std::size_t>(to)]) refuse(t, i, "a child has two parents");
          child[static_cast<std::size_t>(to)] = true;
        }
        if (node.feature < 0 || static_cast<std::size_t>(node.feature) >= features) {
          refuse(t, i, "it asks a feature that there is none of");
        }
        if (node.threshold != node.threshold) refuse(t, i, "its threshold is not a number");
      }
    }
  }
};

}  // namespace rafter
