// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>
#include <vector>

namespace rafter {

/// Rows [begin, end).
struct row_range {
  std::size_t begin = 0;
  std::size_t end = 0;
  constexpr std::size_t size() const { return end - begin; }
  friend constexpr bool operator==(const row_range&, const row_range&) = default;
};

/// A set of rows of a dataset: ascending, disjoint, non-adjacent, non-empty ranges. Folds hold whole groups and
/// spans of time, so a set is a few ranges, and evaluation streams over them without gathering.
class row_set {
 public:
  row_set() = default;

  /// All rows of a dataset of `size` rows.
  static row_set all(std::size_t size) {
    row_set rows;
    if (size > 0) rows.ranges_.push_back({0, size});
    return rows;
  }
  /// The given row numbers, in any order; repeated numbers count once.
  static row_set of(std::vector<std::size_t> rows) {
    std::sort(rows.begin(), rows.end());
    row_set set;
    for (const std::size_t row : rows) set.append(row);
    return set;
  }
  /// Ranges that are ascending, disjoint, non-adjacent and not empty.
  static row_set of_ranges(std::vector<row_range> ranges) {
    row_set set;
    set.ranges_ = std::move(ranges);
    return set;
  }
  /// The rows in [0, size) for which `keep(row)` is true.
  template <class Predicate> static row_set where(std::size_t size, Predicate keep) {
    row_set set;
    for (std::size_t row = 0; row < size; ++row) {
      if (keep(row)) set.append(row);
    }
    return set;
  }

  const std::vector<row_range>& ranges() const { return ranges_; }
  bool empty() const { return ranges_.empty(); }
  std::size_t size() const {
    std::size_t total = 0;
    for (const row_range& range : ranges_) total += range.size();
    return total;
  }
  bool contains(std::size_t row) const {
    const auto after = std::upper_bound(ranges_.begin(), ranges_.end(), row,
                                        [](std::size_t r, const row_range& range) { return r < range.begin; });
    return after != ranges_.begin() && row < std::prev(after)->end;
  }
  /// Calls `visit(row)` in ascending order.
  template <class Visit> void for_each(Visit visit) const {
    for (const row_range& range : ranges_) {
      for (std::size_t row = range.begin; row < range.end; ++row) visit(row);
    }
  }
  std::vector<std::size_t> to_vector() const {
    std::vector<std::size_t> rows;
    rows.reserve(size());
    for_each([&](std::size_t row) { rows.push_back(row); });
    return rows;
  }

  /// The rows of [0, size) that are not in this set.
  row_set complement(std::size_t size) const {
    row_set rest;
    std::size_t at = 0;
    for (const row_range& range : ranges_) {
      if (range.begin > at) rest.ranges_.push_back({at, range.begin});
      at = range.end;
    }
    if (at < size) rest.ranges_.push_back({at, size});
    return rest;
  }
  friend row_set operator&(const row_set& left, const row_set& right) {
    row_set both;
    std::size_t i = 0;
    std::size_t j = 0;
    while (i < left.ranges_.size() && j < right.ranges_.size()) {
      const row_range& a = left.ranges_[i];
      const row_range& b = right.ranges_[j];
      const row_range overlap{std::max(a.begin, b.begin), std::min(a.end, b.end)};
      if (overlap.begin < overlap.end) both.ranges_.push_back(overlap);
      (a.end < b.end) ? ++i : ++j;
    }
    return both;
  }
  friend row_set operator|(const row_set& left, const row_set& right) {
    std::vector<row_range> merged;
    merged.reserve(left.ranges_.size() + right.ranges_.size());
    std::merge(left.ranges_.begin(), left.ranges_.end(), right.ranges_.begin(), right.ranges_.end(),
               std::back_inserter(merged), [](const row_range& a, const row_range& b) { return a.begin < b.begin; });
    row_set either;
    for (const row_range& range : merged) {
      if (!either.ranges_.empty() && range.begin <= either.ranges_.back().end) {
        either.ranges_.back().end = std::max(either.ranges_.back().end, range.end);
      } else {
        either.ranges_.push_back(range);
      }
    }
    return either;
  }
  friend bool operator==(const row_set&, const row_set&) = default;

 private:
  void append(std::size_t row) {
    if (ranges_.empty() || row > ranges_.back().end) {
      ranges_.push_back({row, row + 1});
    } else {
      ranges_.back().end = std::max(ranges_.back().end, row + 1);
    }
  }

  std::vector<row_range> ranges_;
};

}  // namespace rafter
