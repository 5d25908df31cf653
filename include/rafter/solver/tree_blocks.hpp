// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "rafter/solver/tree_binning.hpp"
#include "rafter/solver/tree_ensemble.hpp"

namespace rafter::detail {

/// The first six levels of a tree as a complete tree over binned rows: 63 splits numbered as in a heap (the root 1,
/// the children of n at 2n and 2n+1), 64 ways out. Where the tree is shallower, splits that send nothing right fill
/// it up. Place 0 is not used.
struct alignas(64) tree_block {
  static constexpr unsigned levels = 6;
  static constexpr std::size_t exits = 64;
  static constexpr std::int8_t never = std::numeric_limits<std::int8_t>::max();  ///< no bin is greater

  std::array<std::uint8_t, exits> slots{};
  std::array<std::int8_t, exits> thresholds = filled();

 private:
  static std::array<std::int8_t, exits> filled() {
    std::array<std::int8_t, exits> made;
    made.fill(never);
    return made;
  }
};

/// A split of a block, as predicting many rows reads it.
struct tree_batch_split {
  std::uint32_t threshold;  ///< the byte four times: to load it into all bytes of a vector takes one instruction
  std::uint32_t offset;     ///< 64·slot
};

/// A node below a block. A leaf leads to itself.
struct tree_tail_node {
  std::uint32_t left = 0;  ///< the right child stands behind the left one
  float value = 0.0F;      ///< of a leaf
  std::uint8_t slot = 0;
  std::int8_t threshold = tree_block::never;
};

/// An ensemble of at most 256 slots, as blocks and what hangs below them. Trees are padded with empty ones to a
/// multiple of eight.
struct tree_blocks {
  static constexpr std::size_t most_slots = 256;

  std::size_t trees = 0;  ///< without the padding
  binned_slots bins = {};
  std::vector<tree_block> blocks = {};
  std::vector<float> leaves = {};               ///< of tree t at exit e: [64·t + e]; where it has no tail
  std::vector<std::uint32_t> tail_steps = {};   ///< of each tree: levels below its block
  std::vector<std::uint32_t> group_steps = {};  ///< of each eight trees: the most; 0: no tails
  std::vector<tree_tail_node> tail = {};  ///< first those at exits, as `leaves`, in groups that have tails; or none

  // For many rows: trees in the order 0, 8, 16, …, 1, 9, …
  std::vector<std::uint32_t> order = {};
  std::vector<std::uint8_t> batch_levels = {};      ///< of the block, in that order: 0 to 6
  std::vector<tree_batch_split> batch_splits = {};  ///< 64 for each tree, in that order

  tree_blocks() = default;
  tree_blocks(const tree_ensemble& ensemble, const threshold_slots& cuts)
      : trees(ensemble.trees.size()), bins(cuts.bins()) {
    constexpr std::size_t group = tree_ensemble::partial_sums;
    const std::size_t padded = (trees + group - 1) / group * group;
    blocks.resize(padded);
    leaves.resize(padded * tree_block::exits);
    tail_steps.resize(padded);
    group_steps.resize(padded / group);
    std::vector<std::size_t> depths;
    for (const regression_tree& tree : ensemble.trees) depths.push_back(tree.depth());
    for (std::size_t t = 0; t < trees; ++t) {
      if (depths[t] <= tree_block::levels) continue;
      tail_steps[t] = static_cast<std::uint32_t>(depths[t] - tree_block::levels);
      group_steps[t / group] = std::max(group_steps[t / group], tail_steps[t]);
    }
    if (std::any_of(tail_steps.begin(), tail_steps.end(), [](std::uint32_t steps) { return steps > 0; })) {
      tail.resize(leaves.size());
      for (std::size_t i = 0; i < tail.size(); ++i) tail[i].left = static_cast<std::uint32_t>(i);
    }
    for (std::size_t t = 0; t < trees; ++t) fill(cuts, ensemble.trees[t].nodes, t);
    for (std::size_t k = 0; k < group; ++k) {
      for (std::size_t t = k; t < trees; t += group) {
        order.push_back(static_cast<std::uint32_t>(t));
        batch_levels.push_back(static_cast<std::uint8_t>(std::min<std::size_t>(depths[t], tree_block::levels)));
        for (std::size_t i = 0; i < tree_block::exits; ++i) {
          batch_splits.push_back({static_cast<std::uint8_t>(blocks[t].thresholds[i]) * 0x01010101U,
                                  blocks[t].slots[i] * static_cast<std::uint32_t>(tree_block::exits)});
        }
      }
    }
  }

 private:
  void fill(const threshold_slots& cuts, const std::vector<tree_node>& nodes, std::size_t tree) {
    std::array<std::size_t, 2 * tree_block::exits>
        which{};  // node of the tree + 1 at each place of the heap; 0: none
    which[1] = 1;
    for (std::size_t place = 1; place < tree_block::exits; ++place) {
      if (which[place] == 0) continue;
      const tree_node& node = nodes[which[place] - 1];
      if (node.leaf()) {
        which[2 * place] = which[place];
        continue;
      }
      const auto [slot, threshold] = cuts.of(node);
      blocks[tree].slots[place] = static_cast<std::uint8_t>(slot);
      blocks[tree].thresholds[place] = threshold;
      which[2 * place] = static_cast<std::size_t>(node.left) + 1;
      which[2 * place + 1] = static_cast<std::size_t>(node.right) + 1;
    }
    const bool has_tails = group_steps[tree / tree_ensemble::partial_sums] > 0;
    for (std::size_t exit = 0; exit < tree_block::exits; ++exit) {
      if (which[tree_block::exits + exit] == 0) continue;
      const std::size_t node = which[tree_block::exits + exit] - 1, at = tree * tree_block::exits + exit;
      if (has_tails) {
        hang(cuts, nodes, node, at);
      } else {
        leaves[at] = nodes[node].value;
      }
    }
  }

  /// Copies a node to a place in the tail, and what is below it behind everything else.
  void hang(const threshold_slots& cuts, const std::vector<tree_node>& nodes, std::size_t top, std::size_t place) {
    struct copy {
      std::size_t from, to;
    };
    std::vector<copy> copies{{top, place}};
    for (std::size_t i = 0; i < copies.size(); ++i) {
      const auto [from, to] = copies[i];
      const tree_node& node = nodes[from];
      if (node.leaf()) {
        tail[to] = {.left = static_cast<std::uint32_t>(to), .value = node.value};
        continue;
      }
      const auto [slot, threshold] = cuts.of(node);
      tail[to] = {.left = static_cast<std::uint32_t>(tail.size()),
                  .slot = static_cast<std::uint8_t>(slot),
                  .threshold = threshold};
      for (const std::int32_t child : {node.left, node.right}) {
        copies.push_back({static_cast<std::size_t>(child), tail.size()});
        tail.emplace_back();
      }
    }
  }
};

}  // namespace rafter::detail
