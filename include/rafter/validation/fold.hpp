// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rafter/core/error.hpp"
#include "rafter/step/groups.hpp"
#include "rafter/step/rows.hpp"

namespace rafter {

/// A split that cannot be made of the data at hand, or folds that break their own rules; names the policy or fold.
struct validation_error : error {
  using error::error;
};

/// One round of fitting and testing. `validation` rows (possibly none) are for tuning: neither fitted nor tested.
struct fold {
  std::string held_out;  ///< what is tested, in the words of the data: a group label, an experiment, "fold 2 of 5"
  row_set train;
  row_set validation;
  row_set test;

  friend bool operator==(const fold&, const fold&) = default;
};

namespace detail {

inline void refuse_outside(const fold& part, const row_set& rows, std::string_view name, std::size_t size) {
  if (rows.empty() || rows.ranges().back().end <= size) return;
  throw validation_error("fold '" + part.held_out + "': " + std::string(name) + " row " +
                         std::to_string(rows.ranges().back().end - 1) + " is outside the dataset of " +
                         std::to_string(size) + " rows");
}

inline void refuse_overlap(const fold& part, const row_set& left, std::string_view left_name, const row_set& right,
                           std::string_view right_name) {
  const row_set both = left & right;
  if (both.empty()) return;
  throw validation_error("fold '" + part.held_out + "': row " + std::to_string(both.ranges().front().begin) +
                         " is in " + std::string(left_name) + " and in " + std::string(right_name));
}

}  // namespace detail

/// Throws `validation_error`, naming the fold, unless train and test have rows, the three parts share none and all
/// rows are within a dataset of `size` rows. What every split policy promises and `evaluate` relies on.
inline void check_fold(const fold& part, std::size_t size) {
  if (part.train.empty()) throw validation_error("fold '" + part.held_out + "': no rows to train on");
  if (part.test.empty()) throw validation_error("fold '" + part.held_out + "': no rows to test on");
  detail::refuse_outside(part, part.train, "train", size);
  detail::refuse_outside(part, part.validation, "validation", size);
  detail::refuse_outside(part, part.test, "test", size);
  detail::refuse_overlap(part, part.train, "train", part.test, "test");
  detail::refuse_overlap(part, part.train, "train", part.validation, "validation");
  detail::refuse_overlap(part, part.validation, "validation", part.test, "test");
}

/// `check_fold` on each; a split without any fold is an error too.
inline void check_folds(const std::vector<fold>& folds, std::size_t size) {
  if (folds.empty())
    throw validation_error("the split made no folds of a dataset of " + std::to_string(size) + " rows");
  for (const fold& part : folds) check_fold(part, size);
}

/// True when each row of [0, size) is tested in exactly one fold, so that the tests together are the dataset.
inline bool tests_partition(const std::vector<fold>& folds, std::size_t size) {
  row_set tested;
  std::size_t total = 0;
  for (const fold& part : folds) {
    tested = tested | part.test;
    total += part.test.size();
  }
  return total == size && tested == row_set::all(size);
}

/// A label that occurs among the rows tested and also among those trained on or tuned with; nothing when the fold
/// holds the axis out. The first such label in test order.
inline std::optional<std::string> shared_label(const fold& part, const group_column& labels) {
  std::vector<bool> seen(labels.count(), false);
  const auto mark = [&](std::size_t row) { seen[labels.code(row)] = true; };
  part.train.for_each(mark);
  part.validation.for_each(mark);
  std::optional<std::string> shared;
  part.test.for_each([&](std::size_t row) {
    if (!shared && seen[labels.code(row)]) shared = labels.name(row);
  });
  return shared;
}

}  // namespace rafter
