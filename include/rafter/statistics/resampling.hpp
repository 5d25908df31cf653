// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "rafter/core/math.hpp"
#include "rafter/core/random.hpp"
#include "rafter/statistics/error.hpp"

/// What "another sample like this one" means. Rows are resampled one by one where they are independent, in blocks
/// where neighbours are alike, in groups where the question is about other groups (models, folds, requests).

namespace rafter {

/// Which rows are left out together to see what the statistic owes to them.
struct left_out_units {
  std::vector<std::size_t> of_row;  ///< the unit of each row
  std::size_t count = 0;
};

/// A way to draw rows. Shortest model: `independent_rows`. Axioms:
/// - `draw(seed, which, rows)` fills `rows` with numbers below `rows()`, and depends on its arguments alone: resamples
///   may be drawn in any order, by any thread;
/// - `resamples(asked)` is how many there are, `asked` unless they are given;
/// - `units()` is how many things are drawn independently; below 2 a resample says nothing of the spread;
/// - `left_out(most, seed)` divides the rows into at most `most` units.
template <class R>
concept resampling = requires(const R& scheme, std::size_t number, std::uint64_t seed, std::vector<std::size_t>& to) {
  { scheme.rows() } -> std::convertible_to<std::size_t>;
  { scheme.units() } -> std::convertible_to<std::size_t>;
  { scheme.resamples(number) } -> std::convertible_to<std::size_t>;
  scheme.draw(seed, number, to);
  { scheme.left_out(number, seed) } -> std::same_as<left_out_units>;
};

namespace detail {

/// Numbers of their own for each resample: its place in SplitMix64's sequence is a hash of both.
inline seeded_numbers numbers_of_resample(std::uint64_t seed, std::uint64_t which) {
  std::uint64_t z = seed * 0xd1342543de82ef95U + (which + 1) * 0x9e3779b97f4a7c15U;
  z = (z ^ (z >> 32)) * 0xd6e8feb86659fd93U;
  z = (z ^ (z >> 32)) * 0xd6e8feb86659fd93U;
  return seeded_numbers(z ^ (z >> 32));
}

inline std::uint32_t countable_rows(std::size_t rows) {
  if (rows <= std::numeric_limits<std::uint32_t>::max()) return static_cast<std::uint32_t>(rows);
  throw statistics_error("resampling: " + std::to_string(rows) + " rows are more than 2^32 - 1");
}

/// Each row a unit, or `most` units of rows drawn by lot.
inline left_out_units rows_left_out(std::size_t rows, std::size_t most, std::uint64_t seed) {
  left_out_units units{std::vector<std::size_t>(rows), std::min(rows, std::max<std::size_t>(most, 2))};
  std::iota(units.of_row.begin(), units.of_row.end(), std::size_t{0});
  if (units.count == rows) return units;
  for (std::size_t& unit : units.of_row) unit %= units.count;
  seeded_numbers numbers = numbers_of_resample(seed, std::numeric_limits<std::uint64_t>::max());
  for (std::size_t left = rows; left > 1; --left) {
    std::swap(units.of_row[left - 1], units.of_row[numbers.below(left)]);
  }
  return units;
}

}  // namespace detail

/// Rows one by one, each equally likely each time: a multinomial draw.
class independent_rows {
 public:
  explicit independent_rows(std::size_t rows) : rows_(detail::countable_rows(rows)) {}
  std::size_t rows() const { return rows_; }
  std::size_t units() const { return rows_; }
  std::size_t resamples(std::size_t asked) const { return asked; }
  void draw(std::uint64_t seed, std::size_t which, std::vector<std::size_t>& to) const {
    detail::seeded_numbers numbers = detail::numbers_of_resample(seed, which);
    to.resize(rows_);
    for (std::size_t& row : to) row = numbers.quick_below(rows_);
  }
  left_out_units left_out(std::size_t most, std::uint64_t seed) const {
    return detail::rows_left_out(rows_, most, seed);
  }

 private:
  std::uint32_t rows_;
};

/// Resamples that were drawn elsewhere: `chosen` holds them one after the other, `rows` numbers each. It is a view.
class given_rows {
 public:
  /// @throws statistics_error when the numbers are no whole resamples, or one is no row
  given_rows(std::span<const std::size_t> chosen, std::size_t rows) : chosen_(chosen), rows_(rows) {
    if (rows == 0 || chosen.size() % rows != 0) {
      throw statistics_error("given resamples: " + std::to_string(chosen.size()) + " numbers are no multiple of " +
                             std::to_string(rows) + " rows");
    }
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      if (chosen[i] < rows) continue;
      throw statistics_error("given resamples: number " + std::to_string(i % rows) + " of resample " +
                             std::to_string(i / rows) + " is row " + std::to_string(chosen[i]) + " of " +
                             std::to_string(rows));
    }
  }
  std::size_t rows() const { return rows_; }
  std::size_t units() const { return rows_; }
  std::size_t resamples(std::size_t) const { return chosen_.size() / rows_; }
  void draw(std::uint64_t, std::size_t which, std::vector<std::size_t>& to) const {
    const auto part = chosen_.subspan(which * rows_, rows_);
    to.assign(part.begin(), part.end());
  }
  left_out_units left_out(std::size_t most, std::uint64_t seed) const {
    return detail::rows_left_out(rows_, most, seed);
  }

 private:
  std::span<const std::size_t> chosen_;
  std::size_t rows_;
};

/// Whole groups, as many as there are, each equally likely each time; a resample has the rows of its groups. The
/// interval is then about other groups of this kind, and knows only as many as there are: of g groups there are
/// C(2g-1, g) different resamples (126 of 5), and with fewer than ten intervals cover less often than they say.
class grouped_rows {
 public:
  /// @param group_of_row  any numbers; equal ones are one group, wherever they stand
  explicit grouped_rows(std::span<const std::size_t> group_of_row) : group_of_row_(group_of_row.size()) {
    std::unordered_map<std::size_t, std::size_t> numbers;
    for (std::size_t row = 0; row < group_of_row.size(); ++row) {
      const std::size_t group = numbers.try_emplace(group_of_row[row], numbers.size()).first->second;
      if (group == members_.size()) members_.emplace_back();
      members_[group].push_back(row);
      group_of_row_[row] = group;
    }
  }
  std::size_t rows() const { return group_of_row_.size(); }
  std::size_t units() const { return members_.size(); }
  std::size_t resamples(std::size_t asked) const { return asked; }
  void draw(std::uint64_t seed, std::size_t which, std::vector<std::size_t>& to) const {
    detail::seeded_numbers numbers = detail::numbers_of_resample(seed, which);
    to.clear();
    for (std::size_t i = 0; i < members_.size(); ++i) {
      const std::vector<std::size_t>& group = members_[numbers.below(members_.size())];
      to.insert(to.end(), group.begin(), group.end());
    }
  }
  /// Each group a unit; more than `most` are joined.
  left_out_units left_out(std::size_t most, std::uint64_t seed) const {
    const left_out_units joined = detail::rows_left_out(members_.size(), most, seed);
    left_out_units units{group_of_row_, joined.count};
    for (std::size_t& unit : units.of_row) unit = joined.of_row[unit];
    return units;
  }

 private:
  std::vector<std::vector<std::size_t>> members_;
  std::vector<std::size_t> group_of_row_;
};

/// How many different resamples there are of so many units, C(2u-1, u), as a double: few make an interval coarse.
inline double different_resamples(std::size_t units) {
  double count = units > 0 ? 1.0 : 0.0;
  for (std::size_t k = 1; k < units; ++k) count = count * static_cast<double>(units + k) / static_cast<double>(k);
  return units > 52 ? count : std::nearbyint(count);
}

enum class block_kind {
  stationary,  ///< lengths from a geometric distribution (Politis and Romano 1994)
  circular,    ///< one length; each row begins a block equally likely (Politis and Romano 1992)
  moving,      ///< one length; blocks begin where they fit (Künsch 1989), so rows at the ends come less often
};

/// Blocks of consecutive rows, for series whose neighbours are alike. Blocks are drawn from all series, never reach
/// from one into another (`stationary` and `circular` go on at the beginning of the same one) and are no longer than
/// their series. The resample has as many rows as there are: its last block is cut.
class blocked_rows {
 public:
  /// @param lengths  rows of each series, which stand one after the other; @param mean_length  of the blocks, in rows
  /// @throws statistics_error when the blocks are shorter than one row or not a number
  blocked_rows(std::span<const std::size_t> lengths, double mean_length, block_kind kind = block_kind::stationary)
      : kind_(kind), mean_length_(mean_length) {
    if (!(mean_length >= 1.0) || !std::isfinite(mean_length)) {
      throw statistics_error("block bootstrap: a block length of " + std::to_string(mean_length) + " rows");
    }
    for (const std::size_t length : lengths) {
      for (std::size_t i = 0; i < length; ++i) series_.push_back({rows_, length});
      const auto whole = static_cast<std::size_t>(std::min(std::ceil(mean_length), static_cast<double>(length)));
      if (kind == block_kind::moving) {
        for (std::size_t i = 0; i + whole <= length && length > 0; ++i) starts_.push_back(rows_ + i);
      }
      rows_ += length;
      // Left out are pieces of about a block.
      const auto pieces =
          static_cast<std::size_t>(std::max(1.0, std::nearbyint(static_cast<double>(length) / mean_length)));
      for (std::size_t i = 0; i < length; ++i) piece_of_row_.push_back(pieces_ + i * pieces / length);
      if (length > 0) pieces_ += pieces;
    }
    detail::countable_rows(rows_);
  }
  /// Of one series.
  blocked_rows(std::size_t rows, double mean_length, block_kind kind = block_kind::stationary)
      : blocked_rows(std::span<const std::size_t>(&rows, 1), mean_length, kind) {}

  std::size_t rows() const { return rows_; }
  double mean_length() const { return mean_length_; }
  std::size_t units() const { return pieces_; }
  std::size_t resamples(std::size_t asked) const { return asked; }
  void draw(std::uint64_t seed, std::size_t which, std::vector<std::size_t>& to) const {
    detail::seeded_numbers numbers = detail::numbers_of_resample(seed, which);
    to.resize(rows_);
    const double stop =
        kind_ == block_kind::stationary && mean_length_ > 1.0 ? rafter::log1p(-1.0 / mean_length_) : 0.0;
    for (std::size_t filled = 0; filled < rows_;) {
      const std::size_t start = kind_ == block_kind::moving
                                    ? starts_[numbers.quick_below(static_cast<std::uint32_t>(starts_.size()))]
                                    : numbers.quick_below(static_cast<std::uint32_t>(rows_));
      const series& home = series_[start];
      double length = std::ceil(mean_length_);
      if (kind_ == block_kind::stationary) {
        length = 1.0;
        if (stop < 0.0) length += std::floor(rafter::log(1.0 - numbers.uniform()) / stop);
      }
      const double room = static_cast<double>(std::min(home.length, rows_ - filled));
      const auto take = static_cast<std::size_t>(std::min(length, room));
      for (std::size_t i = 0, row = start; i < take; ++i) {
        to[filled++] = row;
        if (++row == home.begin + home.length) row = home.begin;
      }
    }
  }
  left_out_units left_out(std::size_t most, std::uint64_t) const {
    left_out_units units{piece_of_row_, std::min(pieces_, std::max<std::size_t>(most, 2))};
    for (std::size_t& unit : units.of_row) unit = unit * units.count / pieces_;
    return units;
  }

 private:
  struct series {
    std::size_t begin = 0;
    std::size_t length = 0;
  };
  block_kind kind_;
  double mean_length_;
  std::size_t rows_ = 0;
  std::size_t pieces_ = 0;
  std::vector<series> series_;       // of each row
  std::vector<std::size_t> starts_;  // of moving blocks
  std::vector<std::size_t> piece_of_row_;
};

/// Lengths of the runs of equal labels: the series of rows that stand together.
template <class Label> std::vector<std::size_t> series_lengths(std::span<const Label> labels) {
  std::vector<std::size_t> lengths;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (i == 0 || !(labels[i] == labels[i - 1])) lengths.push_back(0);
    ++lengths.back();
  }
  return lengths;
}

static_assert(resampling<independent_rows> && resampling<given_rows> && resampling<grouped_rows> &&
              resampling<blocked_rows>);

}  // namespace rafter
