// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Definitions for rafter/solver/tree_bins.hpp; include that instead.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "rafter/config.hpp"
#include "rafter/solver/linear_solver.hpp"
#include "rafter/solver/thread_team.hpp"
#include "rafter/solver/tree_bins.hpp"

namespace rafter::detail {

// Twice this is finite, so that the sentinel is.
inline constexpr float largest_feature = 0.5F * std::numeric_limits<float>::max();

// Unsigned integers in the order of the numbers; -0 and 0 are one.
RAFTER_ALWAYS_INLINE std::uint32_t ordered_bits(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x + 0.0F);
  return bits ^ ((bits >> 31) != 0 ? 0xffffffffU : 0x80000000U);
}
RAFTER_ALWAYS_INLINE float from_ordered_bits(std::uint32_t bits) {
  return std::bit_cast<float>(bits ^ ((bits >> 31) != 0 ? 0x80000000U : 0xffffffffU));
}

// Radix sort by the upper 32 bits of Key, least significant of three digits first.
template <class Key> void sort_by_digits(std::vector<Key>& keys, std::vector<Key>& spare) {
  constexpr int low = 8 * static_cast<int>(sizeof(Key)) - 32;
  constexpr std::array<int, 3> shift{low, low + 11, low + 22};
  constexpr std::size_t digits = 2048;
  std::vector<std::uint32_t> count(3 * digits);
  for (const Key key : keys) {
    for (std::size_t d = 0; d < 3; ++d)
      ++count[d * digits + static_cast<std::size_t>((key >> shift[d]) & (digits - 1))];
  }
  spare.resize(keys.size());
  for (std::size_t d = 0; d < 3; ++d) {
    std::uint32_t* const at = count.data() + d * digits;
    if (keys.empty() || at[(keys.front() >> shift[d]) & (digits - 1)] == keys.size()) continue;
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < digits; ++i) sum += std::exchange(at[i], sum);
    for (const Key key : keys) spare[at[(key >> shift[d]) & (digits - 1)]++] = key;
    keys.swap(spare);
  }
}

// A value of a quantile summary, with the weight of everything below it, up to it, and its own.
struct summary_entry {
  float value = 0.0F;
  double below = 0.0, through = 0.0, own = 0.0;
};

// XGBoost's WQSummary::SetPrune: `size` entries at equal steps of rank, the first and the last among them.
RAFTER_NUMERICS_FUNCTION std::vector<summary_entry> pruned(const std::vector<summary_entry>& from, std::size_t size) {
  if (from.size() <= size) return from;
  const double begin = from.front().through;
  const double range = from.back().below - begin;
  const std::size_t steps = size - 1;
  std::vector<summary_entry> kept{from.front()};
  std::size_t i = 1, last = 0;
  for (std::size_t k = 1; k < steps; ++k) {
    const double twice = 2.0 * (static_cast<double>(k) * range / static_cast<double>(steps) + begin);
    while (i + 1 < from.size() && twice >= from[i + 1].through + from[i + 1].below) ++i;
    if (i + 1 == from.size()) break;
    const double between = from[i].below + from[i].own + (from[i + 1].through - from[i + 1].own);
    const std::size_t nearest = twice < between ? i : i + 1;
    if (nearest != last) kept.push_back(from[nearest]);
    last = nearest;
  }
  if (last != from.size() - 1) kept.push_back(from.back());
  return kept;
}

// How many entries XGBoost's sketch of so many rows keeps (WQSketch::LimitSizeLevel at eps = 1/(8·bins)).
RAFTER_NUMERICS_FUNCTION std::size_t sketch_size(std::size_t rows, std::size_t bins) {
  for (std::size_t level = 1;; ++level) {
    const std::size_t size = std::min(rows, level * 8 * bins + 1);
    if ((size << level) >= rows) return std::max<std::size_t>(size, 2);
  }
}

RAFTER_NUMERICS_FUNCTION std::string feature_text(std::size_t feature, const std::vector<std::string>& names) {
  const std::string number = "feature " + std::to_string(feature);
  return feature < names.size() ? number + " (" + names[feature] + ")" : number;
}

[[noreturn]] RAFTER_COLD_FUNCTION void refuse_feature(std::size_t feature, const std::vector<std::string>& names,
                                                      const std::string& what) {
  throw solver_error("rafter: tree_bins: " + feature_text(feature, names) + what);
}

// The distinct values of a column with their weights. False: a value is too large, at row *bad.
template <class Value>
bool summarise(const Value* column, std::size_t rows, std::span<const double> weights,
               std::vector<summary_entry>& entries, bool& missing, std::size_t* bad) {
  entries.clear();
  missing = false;
  const auto each = [&](auto&& take) {
    for (std::size_t row = 0; row < rows; ++row) {
      const auto value = static_cast<float>(column[row]);
      if (value != value) {
        missing = true;
      } else if (std::abs(value) <= largest_feature) {
        take(row, value);
      } else {
        *bad = row;
        return false;
      }
    }
    return true;
  };
  const auto add = [&](std::uint32_t key, double weight) {
    const float value = from_ordered_bits(key);
    if (entries.empty() || entries.back().value != value) entries.push_back({.value = value});
    entries.back().own += weight;
  };
  if (weights.empty()) {
    std::vector<std::uint32_t> keys, spare;
    keys.reserve(rows);
    if (!each([&](std::size_t, float value) { keys.push_back(ordered_bits(value)); })) return false;
    sort_by_digits(keys, spare);
    for (std::size_t i = 0; i < keys.size();) {
      std::size_t end = i + 1;
      while (end < keys.size() && keys[end] == keys[i]) ++end;
      add(keys[i], static_cast<double>(end - i));
      i = end;
    }
  } else {
    std::vector<std::uint64_t> keys, spare;
    keys.reserve(rows);
    if (!each([&](std::size_t row, float value) {
          keys.push_back((static_cast<std::uint64_t>(ordered_bits(value)) << 32) | row);
        })) {
      return false;
    }
    sort_by_digits(keys, spare);
    for (const std::uint64_t key : keys) add(static_cast<std::uint32_t>(key >> 32), weights[key & 0xffffffffU]);
  }
  double sum = 0.0;
  for (summary_entry& entry : entries) {
    entry.below = sum;
    sum += entry.own;
    entry.through = sum;
  }
  return true;
}

RAFTER_NUMERICS_FUNCTION tree_cuts find_tree_cuts(const feature_columns& x, std::span<const double> weights,
                                                  std::size_t max_bins, thread_team& team,
                                                  const std::vector<std::string>& names) {
  if (max_bins < 2 || max_bins > binned_features::most_bins) {
    throw solver_error("rafter: tree_bins: max_bins " + std::to_string(max_bins) + ", must be 2 to 256");
  }
  if (!weights.empty() && weights.size() != x.rows()) {
    throw solver_error("rafter: tree_bins: " + std::to_string(weights.size()) + " weights for " +
                       std::to_string(x.rows()) + " rows");
  }
  tree_cuts cuts;
  cuts.upper.resize(x.features());
  team.run(x.features(), [&](std::size_t feature) {
    std::vector<summary_entry> entries;
    bool missing = false;
    std::size_t bad = 0;
    if (!x.column(feature,
                  [&](const auto* column) { return summarise(column, x.rows(), weights, entries, missing, &bad); })) {
      refuse_feature(feature, names, ", row " + std::to_string(bad) + ": not a finite number as float");
    }
    if (entries.empty()) return;
    const std::size_t bins = missing ? std::min(max_bins, binned_features::most_bins - 1) : max_bins;
    const float largest = entries.back().value;
    if (entries.size() > bins)
      entries = pruned(pruned(pruned(entries, sketch_size(x.rows(), bins)), 8 * bins), bins + 1);
    std::vector<float>& upper = cuts.upper[feature];
    for (std::size_t i = 1; i < std::min(entries.size(), bins); ++i) upper.push_back(entries[i].value);
    upper.push_back(largest + (std::abs(largest) + 1e-5F));
  });
  return cuts;
}

// How many of the 2^Steps - 1 ascending cuts are <= x, for 64 rows or less, without a branch; missing ones get `none`.
template <int Steps, class Value>
void bins_of(const Value* column, std::size_t count, const float* cuts, std::uint8_t none, std::uint8_t* by_column,
             std::uint8_t* by_row, std::size_t stride) {
  for (std::size_t i = 0; i < count; ++i) {
    const auto value = static_cast<float>(column[i]);
    std::uint32_t bin = 0;
    for (int step = Steps - 1; step >= 0; --step) {
      bin += static_cast<std::uint32_t>(cuts[bin + (1U << step) - 1] <= value) << step;
    }
    const std::uint8_t found = value == value ? static_cast<std::uint8_t>(bin) : none;
    by_column[i] = found;
    by_row[i * stride] = found;
  }
}

template <class Value>
void bins_of(int steps, const Value* column, std::size_t count, const float* cuts, std::uint8_t none,
             std::uint8_t* by_column, std::uint8_t* by_row, std::size_t stride) {
  switch (steps) {
    case 0:
      return bins_of<0>(column, count, cuts, none, by_column, by_row, stride);
    case 1:
      return bins_of<1>(column, count, cuts, none, by_column, by_row, stride);
    case 2:
      return bins_of<2>(column, count, cuts, none, by_column, by_row, stride);
    case 3:
      return bins_of<3>(column, count, cuts, none, by_column, by_row, stride);
    case 4:
      return bins_of<4>(column, count, cuts, none, by_column, by_row, stride);
    case 5:
      return bins_of<5>(column, count, cuts, none, by_column, by_row, stride);
    case 6:
      return bins_of<6>(column, count, cuts, none, by_column, by_row, stride);
    case 7:
      return bins_of<7>(column, count, cuts, none, by_column, by_row, stride);
    default:
      return bins_of<8>(column, count, cuts, none, by_column, by_row, stride);
  }
}

RAFTER_NUMERICS_FUNCTION binned_features bin_features(const feature_columns& x, tree_cuts cuts, thread_team& team,
                                                      const std::vector<std::string>& names) {
  const std::size_t rows = x.rows(), features = x.features();
  if (cuts.upper.size() != features) {
    throw solver_error("rafter: tree_bins: cuts of " + std::to_string(cuts.upper.size()) + " features for " +
                       std::to_string(features));
  }
  // Per feature: the smallest and the largest value; what is wrong.
  std::vector<float> least(features), largest(features);
  std::vector<std::uint8_t> missing(features);
  constexpr float no_value = std::numeric_limits<float>::infinity();
  team.run(features, [&](std::size_t feature) {
    constexpr std::size_t lanes = 8;
    std::array<float, lanes> lows, highs;
    std::array<std::uint32_t, lanes> absent{};
    lows.fill(no_value);
    highs.fill(-no_value);
    x.column(feature, [&](const auto* column) {
      const auto look = [&](std::size_t row, std::size_t lane) RAFTER_INLINE_LAMBDA {
        const auto value = static_cast<float>(column[row]);
        lows[lane] = value < lows[lane] ? value : lows[lane];
        highs[lane] = value > highs[lane] ? value : highs[lane];
        absent[lane] |= value != value ? 1U : 0U;
      };
      std::size_t row = 0;
      for (; row + lanes <= rows; row += lanes) {
        for (std::size_t lane = 0; lane < lanes; ++lane) look(row + lane, lane);
      }
      for (std::size_t lane = 0; row < rows; ++row, ++lane) look(row, lane);
    });
    const float low = *std::min_element(lows.begin(), lows.end());
    const float high = *std::max_element(highs.begin(), highs.end());
    const bool present = std::count(absent.begin(), absent.end(), 0U) == lanes;
    least[feature] = low;
    largest[feature] = high;
    missing[feature] = present ? 0 : 1;
  });
  for (std::size_t feature = 0; feature < features; ++feature) {
    const std::vector<float>& upper = cuts.upper[feature];
    for (std::size_t i = 0; i < upper.size(); ++i) {
      if (!(std::abs(upper[i]) < no_value) || (i > 0 && !(upper[i - 1] < upper[i]))) {
        refuse_feature(feature, names, ", cut " + std::to_string(i) + ": cuts must be finite and ascend");
      }
    }
    const std::size_t most = binned_features::most_bins - missing[feature];
    if (upper.size() > most) {
      refuse_feature(feature, names,
                     ": " + std::to_string(upper.size()) + " cuts, at most " + std::to_string(most) +
                         (missing[feature] != 0 ? " where values are missing" : ""));
    }
    if (least[feature] == no_value) continue;
    if (least[feature] < -largest_feature || largest[feature] > largest_feature) {
      for (std::size_t row = 0; row < rows; ++row) {
        if (std::abs(x.at(row, feature)) > largest_feature) {
          refuse_feature(feature, names, ", row " + std::to_string(row) + ": not a finite number as float");
        }
      }
    }
    if (upper.empty() || !(largest[feature] < upper.back())) {
      refuse_feature(feature, names,
                     ": value " + number_text(static_cast<double>(largest[feature])) + " is not below the last cut");
    }
  }

  binned_features made;
  made.rows = rows;
  made.features = features;
  made.stride = (features + 7) / 8 * 8;
  made.by_row.resize(rows * made.stride);
  made.by_column.resize(rows * features);
  std::vector<float> table(features * binned_features::most_bins, no_value);
  std::vector<int> steps(features);
  for (std::size_t feature = 0; feature < features; ++feature) {
    const std::vector<float>& upper = cuts.upper[feature];
    const float low = least[feature] == no_value ? 0.0F : least[feature];
    made.below.push_back(low - (std::abs(low) + 1e-5F));
    made.has_missing.push_back(missing[feature] != 0);
    if (upper.empty()) continue;
    // No value reaches the last cut: it need not be looked at.
    std::copy(upper.begin(), upper.end() - 1, table.begin() + static_cast<std::ptrdiff_t>(feature * 256));
    steps[feature] = static_cast<int>(std::bit_width(upper.size() - 1));
  }
  made.cuts = std::move(cuts);
  constexpr std::size_t block = 64, blocks_per_task = 64;
  const std::size_t blocks = (rows + block - 1) / block;
  team.run((blocks + blocks_per_task - 1) / blocks_per_task, [&](std::size_t task) {
    for (std::size_t b = task * blocks_per_task; b < std::min(blocks, (task + 1) * blocks_per_task); ++b) {
      const std::size_t begin = b * block, count = std::min(block, rows - begin);
      for (std::size_t feature = 0; feature < features; ++feature) {
        const auto none = static_cast<std::uint8_t>(made.cuts.upper[feature].size());
        x.column(feature, [&](const auto* column) {
          bins_of(steps[feature], column + begin, count, table.data() + feature * 256, none,
                  made.by_column.data() + feature * rows + begin, made.by_row.data() + begin * made.stride + feature,
                  made.stride);
        });
      }
    }
  });
  return made;
}

}  // namespace rafter::detail

namespace rafter {

RAFTER_NUMERICS_FUNCTION tree_cuts find_tree_cuts(const feature_columns& x, std::span<const double> weights,
                                                  std::size_t max_bins, std::size_t threads,
                                                  const std::vector<std::string>& names) {
  detail::thread_team team(threads);
  return detail::find_tree_cuts(x, weights, max_bins, team, names);
}

RAFTER_NUMERICS_FUNCTION binned_features bin_features(const feature_columns& x, tree_cuts cuts, std::size_t threads,
                                                      const std::vector<std::string>& names) {
  detail::thread_team team(threads);
  return detail::bin_features(x, std::move(cuts), team, names);
}

}  // namespace rafter
