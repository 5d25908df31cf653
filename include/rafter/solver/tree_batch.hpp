// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "rafter/config.hpp"
#include "rafter/solver/tree_binning.hpp"
#include "rafter/solver/tree_blocks.hpp"

namespace rafter::detail {
inline namespace RAFTER_BYTE_ISA {

/// Rows that go through the trees together: one byte of each.
inline constexpr std::size_t batch_rows = 64;

/// Bins of 64 rows, slot by slot.
struct alignas(64) batch_bins {
  std::int8_t values[tree_blocks::most_slots * batch_rows];
};

/// @param x      value of feature j in row i: x[j·stride + i]
/// @param count  rows, at most 64; the bins of the others are those of 0
RAFTER_HOT inline void bin_columns(const binned_slots& bins, const double* x, std::size_t stride, std::size_t count,
                                   batch_bins& into) {
  float values[batch_rows] = {};
  for (std::size_t s = 0; s < bins.slots.size(); ++s) {
    if (s == 0 || bins.features[s] != bins.features[s - 1]) {
      const double* column = x + bins.features[s] * stride;
      for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<float>(column[i]);
    }
    std::int8_t* of_slot = into.values + s * batch_rows;
    for (std::size_t i = 0; i < batch_rows; ++i) of_slot[i] = bin_of(bins.slots[s], bins.missing[s], values[i]);
  }
}

/// @param row  row(i), i < count: numbers of row i, one for each feature
template <class Row>
void bin_rows(const binned_slots& bins, Row&& row, std::size_t first, std::size_t count, batch_bins& into) {
  for (std::size_t i = 0; i < batch_rows; ++i) {
    const double* x = row(first + std::min(i, count - 1));
    for (std::size_t s = 0; s < bins.slots.size(); ++s) {
      into.values[s * batch_rows + i] =
          bin_of(bins.slots[s], bins.missing[s], static_cast<float>(x[bins.features[s]]));
    }
  }
}

/// As many rows as a vector holds. @returns the exit of each below a place: all splits are compared, then the exits
/// of the right child chosen over those of the left one, from the bottom up.
#if defined(__AVX512BW__)

typedef __m512i batch_vector;

template <unsigned Levels, unsigned Level = 0, unsigned Place = 1>
RAFTER_ALWAYS_INLINE __m512i exits_below(const tree_batch_split* splits, const std::int8_t* bins) {
  constexpr unsigned step = 1U << (tree_block::levels - 1 - Level);  // exits below the left child
  const __mmask64 right = _mm512_cmpgt_epi8_mask(_mm512_load_si512(bins + splits[Place].offset),
                                                 _mm512_set1_epi32(static_cast<int>(splits[Place].threshold)));
  const __m512i steps = _mm512_set1_epi8(static_cast<char>(step));
  if constexpr (Level + 1 == Levels) {
    return _mm512_maskz_mov_epi8(right, steps);
  } else {
    const __m512i left_exits = exits_below<Levels, Level + 1, 2 * Place>(splits, bins);
    const __m512i right_exits = exits_below<Levels, Level + 1, 2 * Place + 1>(splits, bins);
    return _mm512_mask_add_epi8(left_exits, right, right_exits, steps);
  }
}

#else

#if defined(__AVX2__)
typedef std::int8_t batch_vector __attribute__((vector_size(32)));
typedef std::uint32_t batch_words __attribute__((vector_size(32)));
#else
typedef std::int8_t batch_vector __attribute__((vector_size(16)));
typedef std::uint32_t batch_words __attribute__((vector_size(16)));
#endif

template <unsigned Levels, unsigned Level = 0, unsigned Place = 1>
RAFTER_ALWAYS_INLINE batch_vector exits_below(const tree_batch_split* splits, const std::int8_t* bins) {
  constexpr std::int8_t step = 1 << (tree_block::levels - 1 - Level);
  const batch_words thresholds = batch_words{} + splits[Place].threshold;
  const batch_vector values = *reinterpret_cast<const batch_vector*>(bins + splits[Place].offset);
  const batch_vector right = values > (batch_vector)thresholds;
  if constexpr (Level + 1 == Levels) {
    return right & step;
  } else {
    const batch_vector left_exits = exits_below<Levels, Level + 1, 2 * Place>(splits, bins);
    const batch_vector right_exits = exits_below<Levels, Level + 1, 2 * Place + 1>(splits, bins) + step;
    return right ? right_exits : left_exits;
  }
}

#endif

template <unsigned Levels>
RAFTER_HOT void exits_of_block(const tree_batch_split* splits, const std::int8_t* bins, std::uint8_t* exits) {
  for (std::size_t i = 0; i < batch_rows; i += sizeof(batch_vector)) {
    const batch_vector found = exits_below<Levels>(splits, bins + i);
    std::memcpy(exits + i, &found, sizeof found);
  }
}

/// part[i] += leaves[exits[i]]
RAFTER_ALWAYS_INLINE void add_leaves(const float* leaves, const std::uint8_t* exits, double* part) {
#if defined(__AVX512BW__)
  const __m512 first = _mm512_loadu_ps(leaves), second = _mm512_loadu_ps(leaves + 16);
  const __m512 third = _mm512_loadu_ps(leaves + 32), fourth = _mm512_loadu_ps(leaves + 48);
  for (std::size_t i = 0; i < batch_rows; i += 16) {
    const __m512i exit =
        _mm512_maskz_cvtepu8_epi32(0xFFFF, _mm_loadu_si128(reinterpret_cast<const __m128i*>(exits + i)));
    const __m512 values = _mm512_mask_blend_ps(_mm512_test_epi32_mask(exit, _mm512_set1_epi32(32)),
                                               _mm512_permutex2var_ps(first, exit, second),
                                               _mm512_permutex2var_ps(third, exit, fourth));
    float lanes[16];
    _mm512_storeu_ps(lanes, values);
    for (std::size_t k = 0; k < 16; k += 8) {
      const __m512d wide = _mm512_maskz_cvtps_pd(0xFF, _mm256_loadu_ps(lanes + k));
      _mm512_storeu_pd(part + i + k, _mm512_add_pd(_mm512_loadu_pd(part + i + k), wide));
    }
  }
#else
  for (std::size_t i = 0; i < batch_rows; ++i) part[i] += static_cast<double>(leaves[exits[i]]);
#endif
}

/// part[i] += the leaf of row i below a block. Sixteen rows walk at a time.
RAFTER_HOT inline void add_batch_tails(const tree_blocks& trees, std::size_t tree, const batch_bins& bins,
                                       const std::uint8_t* exits, double* part) {
  constexpr std::size_t at_a_time = 16;
  const auto first_exit = static_cast<std::uint32_t>(tree * tree_block::exits);
  const tree_tail_node* nodes = trees.tail.data();
  for (std::size_t first = 0; first < batch_rows; first += at_a_time) {
    std::uint32_t at[at_a_time];
    for (std::size_t i = 0; i < at_a_time; ++i) at[i] = first_exit + exits[first + i];
    for (std::uint32_t step = trees.tail_steps[tree]; step > 0; --step) {
      for (std::size_t i = 0; i < at_a_time; ++i) {
        const tree_tail_node& node = nodes[at[i]];
        const std::int8_t bin = bins.values[node.slot * batch_rows + first + i];
        at[i] = node.left + (bin > node.threshold ? 1U : 0U);
      }
    }
    for (std::size_t i = 0; i < at_a_time; ++i) part[first + i] += static_cast<double>(nodes[at[i]].value);
  }
}

/// Sums of the leaves of 64 binned rows, in the order of tree_ensemble.
inline void sum_batch(const tree_blocks& trees, const batch_bins& bins, double* sums) {
  alignas(64) double part[batch_rows];
  alignas(64) std::uint8_t exits[batch_rows];
  std::size_t place = 0;
  for (std::size_t k = 0; k < tree_ensemble::partial_sums; ++k) {
    std::fill_n(part, batch_rows, 0.0);
    for (; place < trees.trees && trees.order[place] % tree_ensemble::partial_sums == k; ++place) {
      const tree_batch_split* splits = trees.batch_splits.data() + place * tree_block::exits;
      switch (trees.batch_levels[place]) {
        case 0:
          std::memset(exits, 0, sizeof exits);
          break;
        case 1:
          exits_of_block<1>(splits, bins.values, exits);
          break;
        case 2:
          exits_of_block<2>(splits, bins.values, exits);
          break;
        case 3:
          exits_of_block<3>(splits, bins.values, exits);
          break;
        case 4:
          exits_of_block<4>(splits, bins.values, exits);
          break;
        case 5:
          exits_of_block<5>(splits, bins.values, exits);
          break;
        default:
          exits_of_block<6>(splits, bins.values, exits);
      }
      const std::size_t tree = trees.order[place];
      if (trees.group_steps[tree / tree_ensemble::partial_sums] > 0) [[unlikely]] {
        add_batch_tails(trees, tree, bins, exits, part);
      } else {
        add_leaves(trees.leaves.data() + tree * tree_block::exits, exits, part);
      }
    }
    for (std::size_t i = 0; i < batch_rows; ++i) sums[i] = k == 0 ? part[i] : sums[i] + part[i];
  }
}

}  // namespace RAFTER_BYTE_ISA
}  // namespace rafter::detail
