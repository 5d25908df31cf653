// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "rafter/step/groups.hpp"
#include "rafter/validation/fold.hpp"
#include "rafter/validation/splittable.hpp"

namespace rafter {

/// What a split may see of some rows of a dataset, as a dataset of its own: rows are numbered 0 … size − 1 in
/// ascending order, and groups without a row among them do not exist. Holds copies; the dataset need not outlive it.
class subset_view {
 public:
  template <splittable Data> subset_view(const Data& data, const row_set& rows) : rows_(rows.to_vector()) {
    if (!rows_.empty() && rows_.back() >= static_cast<std::size_t>(data.size())) {
      throw validation_error("row " + std::to_string(rows_.back()) + " is outside the dataset of " +
                             std::to_string(data.size()) + " rows");
    }
    for (std::size_t i = 0; i < group_axes; ++i) {
      const auto axis = static_cast<group>(i);
      has_[i] = data.has_group(axis);
      if (!has_[i]) continue;
      const group_column& labels = data.groups(axis);
      groups_[i].reserve(rows_.size());
      for (const std::size_t row : rows_) groups_[i].push_back(labels.name(row));
    }
    const std::span<const double> step_ids = data.step_ids();
    if (!step_ids.empty()) {
      step_ids_.reserve(rows_.size());
      for (const std::size_t row : rows_) step_ids_.push_back(step_ids[row]);
    }
  }

  std::size_t size() const { return rows_.size(); }
  bool has_group(group axis) const { return has_[static_cast<std::size_t>(axis)]; }
  const group_column& groups(group axis) const {
    if (!has_group(axis)) throw dataset_error("the dataset has no groups of " + std::string(name_of(axis)));
    return groups_[static_cast<std::size_t>(axis)];
  }
  std::span<const double> step_ids() const { return step_ids_; }

  /// The same rows as the dataset numbers them.
  row_set in_dataset(const row_set& rows) const {
    std::vector<std::size_t> original;
    original.reserve(rows.size());
    rows.for_each([&](std::size_t row) { original.push_back(rows_[row]); });
    return row_set::of(std::move(original));
  }
  fold in_dataset(const fold& part) const {
    return {part.held_out, in_dataset(part.train), in_dataset(part.validation), in_dataset(part.test)};
  }

 private:
  std::vector<std::size_t> rows_;
  std::array<bool, group_axes> has_{};
  std::array<group_column, group_axes> groups_;
  std::vector<double> step_ids_;
};
static_assert(splittable<subset_view>);

}  // namespace rafter
