// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "rafter/config.hpp"
#include "rafter/solver/tree_binning.hpp"
#include "rafter/solver/tree_blocks.hpp"

namespace rafter::detail {
inline namespace RAFTER_BYTE_ISA {

using tree_parts = std::array<double, tree_ensemble::partial_sums>;

/// The leaves of eight trees, some of which go on below their blocks.
/// @param at  where each tree's row left its block: 64·tree + exit
RAFTER_ALWAYS_INLINE void follow_tails(const tree_blocks& trees, std::size_t group, const std::int8_t* bins,
                                       const std::size_t* at, float* values) {
  const tree_tail_node* nodes = trees.tail.data();
  std::size_t node[8];
  for (std::size_t k = 0; k < 8; ++k) node[k] = at[k];
  for (std::uint32_t step = trees.group_steps[group]; step > 0; --step) {
    for (std::size_t k = 0; k < 8; ++k) {
      const tree_tail_node& here = nodes[node[k]];
      node[k] = here.left + (bins[here.slot] > here.threshold ? std::size_t{1} : std::size_t{0});
    }
  }
  for (std::size_t k = 0; k < 8; ++k) values[k] = nodes[node[k]].value;
}

/// Of trees at their exits: values of leaves, eight trees at a time.
RAFTER_ALWAYS_INLINE void leaves_at(const tree_blocks& trees, std::size_t group, const std::int8_t* bins,
                                    const std::size_t* at, float* values) {
  if (trees.group_steps[group] > 0) {
    follow_tails(trees, group, bins, at, values);
  } else {
    for (std::size_t k = 0; k < 8; ++k) values[k] = trees.leaves[at[k]];
  }
}

/// Eight interleaved walks over blocks: any number of slots, any processor.
RAFTER_HOT inline void add_row_by_walking(const tree_blocks& trees, const std::int8_t* bins, tree_parts& part) {
  for (std::size_t g = 0; g < trees.group_steps.size(); ++g) {
    const tree_block* block = &trees.blocks[8 * g];
    std::size_t at[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    for (unsigned level = 0; level < tree_block::levels; ++level) {
      for (std::size_t k = 0; k < 8; ++k) {
        const std::int8_t bin = bins[block[k].slots[at[k]]];
        at[k] = 2 * at[k] + (bin > block[k].thresholds[at[k]] ? 1U : 0U);
      }
    }
    float values[8];
    for (std::size_t k = 0; k < 8; ++k) at[k] = (8 * g + k) * tree_block::exits + (at[k] - tree_block::exits);
    leaves_at(trees, g, bins, at, values);
    for (std::size_t k = 0; k < 8; ++k) part[k] += static_cast<double>(values[k]);
  }
}

#if defined(__AVX2__)

#if defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512VBMI__)

/// Bit n of the word of a tree: a row goes right at place n of its block. All 64 comparisons at once.
template <unsigned Registers> class row_words {
 public:
  explicit row_words(const std::int8_t* bins) {
    for (unsigned i = 0; i < Registers; ++i) bins_[i] = _mm512_loadu_si512(bins + 64 * i);
  }
  RAFTER_ALWAYS_INLINE std::uint64_t operator()(const tree_block& block) const {
    const __m512i slots = _mm512_load_si512(block.slots.data());
    __m512i values;
    if constexpr (Registers == 1) {
      values = _mm512_maskz_permutexvar_epi8(~__mmask64{0}, slots, bins_[0]);
    } else {
      values = _mm512_permutex2var_epi8(bins_[0], slots, bins_[1]);
    }
    return _mm512_cmpgt_epi8_mask(values, _mm512_load_si512(block.thresholds.data()));
  }

 private:
  __m512i bins_[Registers];
};
inline constexpr std::size_t slots_in_register = 64, most_word_slots = 128;

#else

/// As above in two halves of 32 places; bins in 16 bytes each, looked up in all of them and picked by bits 4 and 5
/// of the slot.
template <unsigned Registers> class row_words {
 public:
  explicit row_words(const std::int8_t* bins) {
    for (unsigned i = 0; i < Registers; ++i) {
      bins_[i] = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bins + 16 * i)));
    }
  }
  RAFTER_ALWAYS_INLINE std::uint64_t operator()(const tree_block& block) const {
    return std::uint64_t{half(block, 0)} | std::uint64_t{half(block, 32)} << 32;
  }

 private:
  __m256i bins_[Registers];

  RAFTER_ALWAYS_INLINE std::uint32_t half(const tree_block& block, std::size_t from) const {
    const __m256i slots = _mm256_load_si256(reinterpret_cast<const __m256i*>(block.slots.data() + from));
    __m256i values = _mm256_shuffle_epi8(bins_[0], slots);
    if constexpr (Registers > 1) {
      const __m256i odd = _mm256_slli_epi16(slots, 3);
      values = _mm256_blendv_epi8(values, _mm256_shuffle_epi8(bins_[1], slots), odd);
      if constexpr (Registers > 2) {
        const __m256i upper =
            _mm256_blendv_epi8(_mm256_shuffle_epi8(bins_[2], slots), _mm256_shuffle_epi8(bins_[3], slots), odd);
        values = _mm256_blendv_epi8(values, upper, _mm256_slli_epi16(slots, 2));
      }
    }
    const __m256i thresholds = _mm256_load_si256(reinterpret_cast<const __m256i*>(block.thresholds.data() + from));
    return static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_cmpgt_epi8(values, thresholds)));
  }
};
inline constexpr std::size_t slots_in_register = 16, most_word_slots = 64;

#endif

/// Places in the blocks where eight rows of comparisons lead: 64 to 127.
#if defined(__AVX512BW__) && defined(__AVX512VL__)
using eight_places = __m512i;
RAFTER_ALWAYS_INLINE eight_places places_of(const std::uint64_t* words) {
  const __m512i word = _mm512_loadu_si512(words), one = _mm512_set1_epi64(1);
  __m512i at = one;
  for (unsigned level = 0; level < tree_block::levels; ++level) {
    const __m512i right = _mm512_and_si512(_mm512_maskz_srlv_epi64(0xFF, word, at), one);
    at = _mm512_add_epi64(_mm512_add_epi64(at, at), right);
  }
  return at;
}
RAFTER_ALWAYS_INLINE void store_places(eight_places at, std::uint64_t* into) { _mm512_storeu_si512(into, at); }

class leaf_sums {
 public:
  RAFTER_ALWAYS_INLINE void add(const float* leaves, eight_places at) {
    const __m512i from =
        _mm512_add_epi64(at, _mm512_set_epi64(7 * 64, 6 * 64, 5 * 64, 4 * 64, 3 * 64, 2 * 64, 64, 0));
    const __m256 values = _mm512_mask_i64gather_ps(_mm256_setzero_ps(), 0xFF, from, leaves - 64, 4);
    part_ = _mm512_add_pd(part_, _mm512_maskz_cvtps_pd(0xFF, values));
  }
  RAFTER_ALWAYS_INLINE void store(double* part) const { _mm512_storeu_pd(part, part_); }

 private:
  __m512d part_ = _mm512_setzero_pd();
};
#else
struct eight_places {
  __m256i low, high;
};
RAFTER_ALWAYS_INLINE eight_places places_of(const std::uint64_t* words) {
  const __m256i one = _mm256_set1_epi64x(1);
  const __m256i word[2] = {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(words)),
                           _mm256_loadu_si256(reinterpret_cast<const __m256i*>(words + 4))};
  __m256i at[2] = {one, one};
  for (unsigned level = 0; level < tree_block::levels; ++level) {
    for (unsigned i = 0; i < 2; ++i) {
      const __m256i right = _mm256_and_si256(_mm256_srlv_epi64(word[i], at[i]), one);
      at[i] = _mm256_add_epi64(_mm256_add_epi64(at[i], at[i]), right);
    }
  }
  return {at[0], at[1]};
}
RAFTER_ALWAYS_INLINE void store_places(eight_places at, std::uint64_t* into) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(into), at.low);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(into + 4), at.high);
}

class leaf_sums {
 public:
  RAFTER_ALWAYS_INLINE void add(const float* leaves, eight_places at) {
    low_ = _mm256_add_pd(low_, four(leaves - 64, at.low));
    high_ = _mm256_add_pd(high_, four(leaves + 3 * 64, at.high));
  }
  RAFTER_ALWAYS_INLINE void store(double* part) const {
    _mm256_storeu_pd(part, low_);
    _mm256_storeu_pd(part + 4, high_);
  }

 private:
  __m256d low_ = _mm256_setzero_pd(), high_ = _mm256_setzero_pd();

  RAFTER_ALWAYS_INLINE static __m256d four(const float* leaves, __m256i at) {
    const __m256i from = _mm256_add_epi64(at, _mm256_set_epi64x(3 * 64, 2 * 64, 64, 0));
    return _mm256_cvtps_pd(_mm256_i64gather_ps(leaves, from, 4));
  }
};
#endif

inline constexpr std::size_t groups_at_a_time = 32;

/// Where trees go on below their blocks. Each kind of work has a loop of its own, because what was written piece by
/// piece cannot be read at once as a whole.
RAFTER_HOT inline void add_words_with_tails(const tree_blocks& trees, std::size_t first, std::size_t count,
                                            const std::int8_t* bins, const std::uint64_t* words, double* part) {
  alignas(64) std::uint64_t places[8 * groups_at_a_time];
  float values[8 * groups_at_a_time];
  for (std::size_t g = 0; g < count; ++g) store_places(places_of(words + 8 * g), places + 8 * g);
  for (std::size_t g = 0; g < count; ++g) {
    std::size_t at[8];
    for (std::size_t k = 0; k < 8; ++k) at[k] = ((first + g) * 8 + k - 1) * tree_block::exits + places[8 * g + k];
    leaves_at(trees, first + g, bins, at, values + 8 * g);
  }
  for (std::size_t g = 0; g < count; ++g) {
    for (std::size_t k = 0; k < 8; ++k) part[k] += static_cast<double>(values[8 * g + k]);
  }
}

/// First the words of many trees, then eight at a time the leaves: words just written cannot yet be read as a vector.
template <unsigned Registers>
RAFTER_HOT void add_row_by_words(const tree_blocks& trees, const std::int8_t* bins, tree_parts& part) {
  const row_words<Registers> word(bins);
  leaf_sums sums;
  alignas(64) std::uint64_t words[8 * groups_at_a_time];
  const std::size_t groups = trees.group_steps.size();
  for (std::size_t first = 0; first < groups; first += groups_at_a_time) {
    const std::size_t count = std::min(groups_at_a_time, groups - first);
    const tree_block* blocks = &trees.blocks[8 * first];
    for (std::size_t t = 0; t < 8 * count; ++t) words[t] = word(blocks[t]);
    if (trees.tail.empty()) {
      const float* leaves = trees.leaves.data() + first * 8 * tree_block::exits;
      for (std::size_t g = 0; g < count; ++g) sums.add(leaves + g * 8 * tree_block::exits, places_of(words + 8 * g));
    } else {
      add_words_with_tails(trees, first, count, bins, words, part.data());
    }
  }
  if (trees.tail.empty()) sums.store(part.data());
}

#else
inline constexpr std::size_t most_word_slots = 0;
#endif

/// The eight partial sums of one binned row. @param bins  as many bytes as there are slots, and at least 128
inline void add_row(const tree_blocks& trees, const std::int8_t* bins, tree_parts& part) {
#if defined(__AVX2__)
  const std::size_t slots = trees.bins.slots.size();
  if (slots <= slots_in_register) return add_row_by_words<1>(trees, bins, part);
  if (slots <= 2 * slots_in_register) return add_row_by_words<2>(trees, bins, part);
  if constexpr (slots_in_register == 16) {
    if (slots <= most_word_slots) return add_row_by_words<4>(trees, bins, part);
  }
#endif
  add_row_by_walking(trees, bins, part);
}

}  // namespace RAFTER_BYTE_ISA
}  // namespace rafter::detail
