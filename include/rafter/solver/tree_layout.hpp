// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>

#include "rafter/config.hpp"
#include "rafter/solver/tree_batch.hpp"
#include "rafter/solver/tree_binning.hpp"
#include "rafter/solver/tree_blocks.hpp"
#include "rafter/solver/tree_ensemble.hpp"
#include "rafter/solver/tree_row.hpp"
#include "rafter/solver/tree_walk.hpp"

namespace rafter {
inline namespace RAFTER_BYTE_ISA {

/// Which code predicts; the bits are the same.
enum class tree_path : std::uint8_t {
  words,   ///< one row: all splits of a block compared at once, a bit of a word each (AVX2, AVX-512 VBMI)
  blocks,  ///< one row: eight walks at a time on binned splits; many rows: 64 rows at a time, a byte each
  walk     ///< eight walks at a time on the thresholds themselves: more than 256 bytes to a binned row
};

/// A tree ensemble laid out for predicting. Every margin has the bits of tree_ensemble::margin. Made once from an
/// ensemble, of which it keeps nothing but numbers; const and re-entrant; no prediction allocates.
///
/// A binned row has one byte for every 255 different thresholds of a feature (twice, where some of its splits send
/// missing values left and others right). The first six levels of a tree are compared as a whole; deeper ones are
/// walked from there. Above 256 bytes: tree_path::walk.
class tree_layout {
 public:
  /// @throws tree_error from tree_ensemble::check
  explicit tree_layout(const tree_ensemble& ensemble)
      : features_(ensemble.features), base_(ensemble.base), link_(ensemble.link) {
    ensemble.check();
    std::size_t nodes = 0;
    for (const regression_tree& tree : ensemble.trees) nodes += tree.nodes.size() + detail::tree_block::exits;
    if (nodes > std::numeric_limits<std::uint32_t>::max() / 2) {
      throw tree_error("an ensemble of " + std::to_string(ensemble.trees.size()) + " trees is too large to lay out");
    }
    const detail::threshold_slots cuts(ensemble);
    slots_ = cuts.slots();
    if (slots_ <= detail::tree_blocks::most_slots) {
      blocks_ = detail::tree_blocks(ensemble, cuts);
    } else {
      walk_ = detail::tree_walk(ensemble);
    }
  }

  std::size_t features() const { return features_; }
  double base() const { return base_; }
  tree_link link() const { return link_; }
  /// Bytes of a binned row.
  std::size_t slots() const { return slots_; }
  tree_path row_path() const {
    if (slots_ > detail::tree_blocks::most_slots) return tree_path::walk;
    return slots_ <= detail::most_word_slots ? tree_path::words : tree_path::blocks;
  }
  tree_path batch_path() const {
    return slots_ > detail::tree_blocks::most_slots ? tree_path::walk : tree_path::blocks;
  }

  /// @param x  one number for each feature; NaN: missing
  double margin(const double* x) const { return margin_of(x, 1); }
  double predict(const double* x) const { return tree_ensemble::response(link_, margin(x)); }

  /// Margins of many rows.
  /// @param x       column by column: feature j of row i is x[j·stride + i]; NaN: missing
  /// @param stride  numbers from one column to the next, at least `rows`
  /// @param out     one number for each row
  void margins(const double* x, std::size_t stride, std::size_t rows, double* out) const {
    const std::size_t together = rows_together(rows);
    detail::batch_bins bins;
    for (std::size_t first = 0; first < together; first += detail::batch_rows) {
      const std::size_t count = std::min(detail::batch_rows, together - first);
      detail::bin_columns(blocks_.bins, x + first, stride, count, bins);
      finish(bins, count, out + first);
    }
    for (std::size_t i = together; i < rows; ++i) out[i] = margin_of(x + i, stride);
  }
  /// The same of rows that are asked for. @param row  row(i): pointer to the numbers of row i, one for each feature,
  /// which is read before the next call
  template <class Row>
  requires std::is_invocable_r_v<const double*, Row&, std::size_t>
  void margins(Row&& row, std::size_t rows, double* out) const {
    const std::size_t together = rows_together(rows);
    detail::batch_bins bins;
    for (std::size_t first = 0; first < together; first += detail::batch_rows) {
      const std::size_t count = std::min(detail::batch_rows, together - first);
      detail::bin_rows(blocks_.bins, row, first, count, bins);
      finish(bins, count, out + first);
    }
    for (std::size_t i = together; i < rows; ++i) out[i] = margin_of(row(i), 1);
  }

  /// Predictions of many rows: arguments as of `margins`.
  void predict(const double* x, std::size_t stride, std::size_t rows, double* out) const {
    margins(x, stride, rows, out);
    respond(rows, out);
  }
  template <class Row>
  requires std::is_invocable_r_v<const double*, Row&, std::size_t>
  void predict(Row&& row, std::size_t rows, double* out) const {
    margins(row, rows, out);
    respond(rows, out);
  }

 private:
  std::size_t features_ = 0, slots_ = 0;
  double base_ = 0.0;
  tree_link link_ = tree_link::identity;
  detail::tree_blocks blocks_ = {};  ///< unless there are too many slots
  detail::tree_walk walk_ = {};      ///< if there are

  /// @param x  feature j is x[j·stride]
  RAFTER_ALWAYS_INLINE double margin_of(const double* x, std::size_t stride) const {
    detail::tree_parts part{};
    if (row_path() == tree_path::walk) {
      walk_.add_to(part, x, stride);
    } else {
      alignas(64) std::int8_t bins[detail::tree_blocks::most_slots] = {};
      detail::bin_row(blocks_.bins, x, stride, bins);
      detail::add_row(blocks_, bins, part);
    }
    return tree_ensemble::margin_of(base_, part);
  }
  /// How many of `rows` go through the trees in batches: a batch costs what about half its rows cost one by one,
  /// so the last rows go alone if they are fewer.
  std::size_t rows_together(std::size_t rows) const {
    if (batch_path() == tree_path::walk) return 0;
    return rows % detail::batch_rows < detail::batch_rows / 2 ? rows - rows % detail::batch_rows : rows;
  }
  void finish(const detail::batch_bins& bins, std::size_t count, double* out) const {
    alignas(64) double sums[detail::batch_rows];
    detail::sum_batch(blocks_, bins, sums);
    for (std::size_t i = 0; i < count; ++i) out[i] = base_ + sums[i];
  }
  void respond(std::size_t rows, double* out) const {
    if (link_ == tree_link::identity) return;
    for (std::size_t i = 0; i < rows; ++i) out[i] = tree_ensemble::response(link_, out[i]);
  }
};

}  // namespace RAFTER_BYTE_ISA
}  // namespace rafter
