// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "rafter/config.hpp"
#include "rafter/solver/tree_ensemble.hpp"

namespace rafter::detail {

/// Any ensemble as compact nodes, walked eight trees at a time: what is left for ensembles of too many thresholds.
struct tree_walk {
  /// A leaf leads to itself: its threshold is NaN, and it sends missing values left.
  struct node {
    float threshold = std::numeric_limits<float>::quiet_NaN();
    std::uint32_t feature = 0;
    std::uint32_t left = 0;  ///< the right child stands behind the left one
    std::uint32_t missing_right = 0;
  };
  std::vector<node> nodes = {};
  std::vector<float> values = {};         ///< of each node that is a leaf
  std::vector<std::uint32_t> roots = {};  ///< of each tree; padded with empty trees to a multiple of eight
  std::vector<std::uint32_t> steps = {};  ///< of each eight trees: the levels of the deepest

  tree_walk() = default;
  explicit tree_walk(const tree_ensemble& ensemble) {
    constexpr std::size_t group = tree_ensemble::partial_sums;
    nodes.emplace_back();  // node 0: an empty tree
    values.push_back(0.0F);
    roots.resize((ensemble.trees.size() + group - 1) / group * group);
    steps.resize(roots.size() / group);
    for (std::size_t t = 0; t < ensemble.trees.size(); ++t) {
      const regression_tree& tree = ensemble.trees[t];
      steps[t / group] = std::max(steps[t / group], static_cast<std::uint32_t>(tree.depth()));
      const std::size_t root = nodes.size();
      roots[t] = static_cast<std::uint32_t>(root);
      std::vector<std::size_t> origin{0};
      add();
      for (std::size_t i = 0; i < origin.size(); ++i) {
        const tree_node& from = tree.nodes[origin[i]];
        if (from.leaf()) {
          nodes[root + i].left = static_cast<std::uint32_t>(root + i);
          values[root + i] = from.value;
          continue;
        }
        nodes[root + i] = {from.threshold, static_cast<std::uint32_t>(from.feature),
                           static_cast<std::uint32_t>(nodes.size()), from.missing_left ? 0U : 1U};
        for (const std::int32_t child : {from.left, from.right}) {
          origin.push_back(static_cast<std::size_t>(child));
          add();
        }
      }
    }
  }

  /// @param x  feature j is x[j·stride]
  RAFTER_HOT void add_to(std::array<double, tree_ensemble::partial_sums>& part, const double* x,
                         std::size_t stride = 1) const {
    constexpr std::size_t group = tree_ensemble::partial_sums;
    for (std::size_t g = 0; g < steps.size(); ++g) {
      std::array<std::uint32_t, group> at;
      for (std::size_t k = 0; k < group; ++k) at[k] = roots[g * group + k];
      for (std::uint32_t step = steps[g]; step > 0; --step) {
        for (std::size_t k = 0; k < group; ++k) {
          const node& here = nodes[at[k]];
          const auto value = static_cast<float>(x[here.feature * stride]);
          const std::uint32_t missing = value == value ? 0U : here.missing_right;
          at[k] = here.left + ((value >= here.threshold ? 1U : 0U) | missing);
        }
      }
      for (std::size_t k = 0; k < group; ++k) part[k] += static_cast<double>(values[at[k]]);
    }
  }

 private:
  void add() {
    nodes.emplace_back();
    values.push_back(0.0F);
  }
};

}  // namespace rafter::detail
