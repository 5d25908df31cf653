// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#if defined(__AVX__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "rafter/config.hpp"
#include "rafter/solver/tree_ensemble.hpp"

namespace rafter::detail {

/// One byte of a binned row: up to 255 thresholds that an ensemble compares one feature with, all of whose splits
/// send a missing value the same way. bin(x) = how many of them are <= float(x), so x < threshold[i] iff bin(x) <= i:
/// the comparison of bins is exact. A missing value has bin 0 where it goes left and 255 where it goes right. A
/// feature with more thresholds, or whose splits disagree about missing values, takes several slots.
/// Bins are held less 128, because bytes are compared signed.
struct alignas(64) tree_slot {
  static constexpr std::size_t most = 255;
  static constexpr int offset = 128;

  std::array<float, 16> pivots;       ///< thresholds 15, 31, …, 255
  std::array<float, 256> thresholds;  ///< ascending; behind them NaN, which is <= nothing
};

/// What turns rows into bins.
struct binned_slots {
  std::vector<tree_slot> slots = {};
  std::vector<std::uint32_t> features = {};  ///< of each slot
  std::vector<std::int8_t> missing = {};     ///< bin of NaN, of each slot
};

/// The thresholds of an ensemble, and where each is compared.
class threshold_slots {
 public:
  struct place {
    std::size_t slot;
    std::int8_t threshold;  ///< a row goes right iff its bin in the slot is greater
  };

  explicit threshold_slots(const tree_ensemble& ensemble) {
    for (const regression_tree& tree : ensemble.trees) {
      for (const tree_node& node : tree.nodes) {
        if (!node.leaf()) cuts_.push_back(cut_of(node));
      }
    }
    std::sort(cuts_.begin(), cuts_.end(), before);
    cuts_.erase(std::unique(cuts_.begin(), cuts_.end(), same), cuts_.end());
    places_.reserve(cuts_.size());
    std::size_t slot = 0, in_slot = 0;
    for (std::size_t i = 0; i < cuts_.size(); ++i) {
      if (i > 0 && (in_slot == tree_slot::most || cuts_[i].channel != cuts_[i - 1].channel)) {
        ++slot;
        in_slot = 0;
      }
      places_.push_back({slot, static_cast<std::int8_t>(static_cast<int>(in_slot++) - tree_slot::offset)});
    }
  }
  std::size_t slots() const { return places_.empty() ? 0 : places_.back().slot + 1; }

  place of(const tree_node& split) const {
    const auto at = std::lower_bound(cuts_.begin(), cuts_.end(), cut_of(split), before);
    return places_[static_cast<std::size_t>(at - cuts_.begin())];
  }
  binned_slots bins() const {
    binned_slots made;
    for (std::size_t i = 0; i < cuts_.size(); ++i) {
      const std::size_t in_slot = static_cast<std::size_t>(places_[i].threshold + tree_slot::offset);
      if (in_slot == 0) {
        made.slots.emplace_back();
        made.slots.back().pivots.fill(std::numeric_limits<float>::quiet_NaN());
        made.slots.back().thresholds.fill(std::numeric_limits<float>::quiet_NaN());
        made.features.push_back(static_cast<std::uint32_t>(cuts_[i].channel / 2));
        made.missing.push_back(cuts_[i].channel % 2 == 0 ? -tree_slot::offset : tree_slot::offset - 1);
      }
      made.slots.back().thresholds[in_slot] = cuts_[i].threshold;
      if (in_slot % 16 == 15) made.slots.back().pivots[in_slot / 16] = cuts_[i].threshold;
    }
    return made;
  }

 private:
  struct cut {
    std::uint64_t channel;  ///< 2·feature, one more where missing values go right
    float threshold;
  };
  std::vector<cut> cuts_ = {};
  std::vector<place> places_ = {};

  static cut cut_of(const tree_node& split) {
    return {2 * static_cast<std::uint64_t>(split.feature) + (split.missing_left ? 0 : 1), split.threshold};
  }
  static bool before(const cut& a, const cut& b) {
    return a.channel != b.channel ? a.channel < b.channel : a.threshold < b.threshold;
  }
  static bool same(const cut& a, const cut& b) { return a.channel == b.channel && a.threshold == b.threshold; }
};

inline namespace RAFTER_BYTE_ISA {

/// How many of 16 are <= x, at most 15 of which are; ascending, then NaN.
RAFTER_ALWAYS_INLINE unsigned count_of_16(const float* from, float x) {
#if defined(__AVX512BW__) && defined(__AVX512VL__)
  const unsigned below = _mm512_cmp_ps_mask(_mm512_loadu_ps(from), _mm512_set1_ps(x), _CMP_LE_OQ);
  return static_cast<unsigned>(__builtin_ctz(~below));
#elif defined(__AVX__)
  const __m256 value = _mm256_set1_ps(x);
  const int low = _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(from), value, _CMP_LE_OQ));
  const int high = _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(from + 8), value, _CMP_LE_OQ));
  return static_cast<unsigned>(__builtin_ctz(~static_cast<unsigned>(low | (high << 8))));
#elif defined(__SSE2__)
  const __m128 value = _mm_set1_ps(x);
  const auto quarter = [&](int i) RAFTER_INLINE_LAMBDA {
    return _mm_castps_si128(_mm_cmple_ps(_mm_loadu_ps(from + 4 * i), value));
  };
  const __m128i all =
      _mm_packs_epi16(_mm_packs_epi32(quarter(0), quarter(1)), _mm_packs_epi32(quarter(2), quarter(3)));
  return static_cast<unsigned>(__builtin_ctz(~static_cast<unsigned>(_mm_movemask_epi8(all))));
#else
  unsigned count = 0;
  for (std::size_t i = 0; i < 16; ++i) count += from[i] <= x ? 1U : 0U;
  return count;
#endif
}

RAFTER_ALWAYS_INLINE std::int8_t bin_of(const tree_slot& slot, std::int8_t missing, float x) {
  const unsigned block = count_of_16(slot.pivots.data(), x);
  const unsigned bin = 16 * block + count_of_16(slot.thresholds.data() + 16 * std::size_t{block}, x);
  return x == x ? static_cast<std::int8_t>(static_cast<int>(bin) - tree_slot::offset) : missing;
}

/// One row. @param x  feature j is x[j·stride]  @param into  as many bytes as there are slots
RAFTER_ALWAYS_INLINE void bin_row(const binned_slots& bins, const double* x, std::size_t stride, std::int8_t* into) {
  const std::size_t slots = bins.slots.size();
  for (std::size_t s = 0; s < slots; ++s) {
    into[s] = bin_of(bins.slots[s], bins.missing[s], static_cast<float>(x[bins.features[s] * stride]));
  }
}

}  // namespace RAFTER_BYTE_ISA

}  // namespace rafter::detail
