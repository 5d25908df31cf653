// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>

#include "rafter/core/pack.hpp"

namespace rafter {

/// Sums of products of the columns of streamed tiles: everything that a linear fit needs to know about its rows.
///
/// A tile holds whole packs of rows as `[pack][column][lane]` of doubles, so that the kernel reads short runs of
/// neighbouring packs. By convention column 0 is the column of ones (for weighted rows: the square root of the
/// weight, and every other column is multiplied by it too), then the features, and the target comes last: counts,
/// sums and products are then all entries of one matrix. The features and the target are already shifted by one
/// row of the data (`normal_equations::shift`), which saves the digits that a large mean would cost. Lanes beyond
/// the last row are zero in every column, the column of ones included. Align tiles to the pack (64 bytes): loads that
/// cross cache lines cost the kernel a third of its speed.
///
/// The sums stay packs until they are read; reading adds the lanes in order. They therefore depend, in the last
/// digits, on the width of the target's packs. Two moments may be added and subtracted when their shifts are equal.
///
/// Upper-triangular loop of register blocks; PERFORMANCE.md §2 has the measurements behind the block sizes.
template <std::size_t Columns, std::size_t Width = pack_width> class moments {
  static_assert(Columns > 0, "rafter: moments need at least one column");
  static_assert(Width == pack_width, "rafter: the width names the target and cannot be chosen");

 public:
  static constexpr std::size_t columns = Columns;
  /// Doubles in one pack of rows of a tile.
  static constexpr std::size_t tile_stride = Columns * pack_width;

  /// Adds `packs` packs of rows. @param tile  packs × Columns × pack_width doubles.
  RAFTER_ALWAYS_INLINE void accumulate(const double* tile, std::size_t packs) {
    std::size_t i = 0;
    for (; i + block_rows <= Columns; i += block_rows) block_row<block_rows>(tile, packs, i);
    if constexpr (Columns % block_rows != 0) block_row<Columns % block_rows>(tile, packs, i);
  }

  void reset() { *this = moments{}; }

  moments& operator+=(const moments& other) {
    for (std::size_t k = 0; k < Columns * Columns; ++k) sums_[k] = sums_[k] + other.sums_[k];
    return *this;
  }
  /// Takes rows out again (down-dating). Loses digits where `other` holds nearly all of a column's variation.
  moments& operator-=(const moments& other) {
    for (std::size_t k = 0; k < Columns * Columns; ++k) sums_[k] = sums_[k] - other.sums_[k];
    return *this;
  }

  /// Σ over rows of column i times column j.
  double gram(std::size_t i, std::size_t j) const {
    return horizontal_sum(i < j ? sums_[i * Columns + j] : sums_[j * Columns + i]);
  }

  /// The whole symmetric matrix. @param out  Columns × Columns doubles, row-major.
  void copy_to(double* out) const {
    for (std::size_t i = 0; i < Columns; ++i) {
      for (std::size_t j = i; j < Columns; ++j) {
        out[i * Columns + j] = out[j * Columns + i] = horizontal_sum(sums_[i * Columns + j]);
      }
    }
  }

 private:
  // 32 vector registers hold 16 sums and 8 operands; 16 registers hold 8 sums and 6 operands.
  static constexpr std::size_t block_rows = std::min<std::size_t>(pack_width == 8 ? 4 : 2, Columns);
  static constexpr std::size_t block_columns = std::min<std::size_t>(4, Columns);

  // Blocks of columns start at the row's own diagonal, so less than one block of the lower triangle is computed.
  template <std::size_t Rows>
  RAFTER_ALWAYS_INLINE void block_row(const double* tile, std::size_t packs, std::size_t i) {
    std::size_t j = i;
    for (; j + block_columns <= Columns; j += block_columns) block<Rows, block_columns>(tile, packs, i, j);
    switch (Columns - j) {
      case 1:
        block<Rows, 1>(tile, packs, i, j);
        break;
      case 2:
        block<Rows, 2>(tile, packs, i, j);
        break;
      case 3:
        block<Rows, 3>(tile, packs, i, j);
        break;
      default:
        break;
    }
  }

  template <std::size_t Rows, std::size_t Across>
  RAFTER_ALWAYS_INLINE void block(const double* tile, std::size_t packs, std::size_t i, std::size_t j) {
    pack sum[Rows][Across] = {};
    const double* left = tile + i * pack_width;
    const double* right = tile + j * pack_width;
    for (std::size_t at = 0; at < packs; ++at, left += tile_stride, right += tile_stride) {
      pack y[Across];
      for (std::size_t b = 0; b < Across; ++b) y[b] = load<pack>(right + b * pack_width);
      for (std::size_t a = 0; a < Rows; ++a) {
        const pack x = load<pack>(left + a * pack_width);
        for (std::size_t b = 0; b < Across; ++b) sum[a][b] = sum[a][b] + x * y[b];
      }
    }
    pack* into = sums_ + i * Columns + j;
    for (std::size_t a = 0; a < Rows; ++a) {
      for (std::size_t b = 0; b < Across; ++b) into[a * Columns + b] = into[a * Columns + b] + sum[a][b];
    }
  }

  pack sums_[Columns * Columns] = {};
};

}  // namespace rafter
