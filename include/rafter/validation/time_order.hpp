// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rafter/step/groups.hpp"
#include "rafter/validation/fold.hpp"
#include "rafter/validation/splittable.hpp"

namespace rafter {

/// The rows of one experiment, earliest first.
struct time_ordered_rows {
  std::string experiment;
  std::vector<std::size_t> rows;
};

/// Each experiment's rows by ascending step id (rows of equal id in row order); experiments by first appearance.
/// Throws `validation_error` naming `policy` when the data has no step ids, `dataset_error` when it has no
/// experiments.
template <splittable Data> std::vector<time_ordered_rows> in_time_order(const Data& data, std::string_view policy) {
  const std::span<const double> step_ids = data.step_ids();
  if (step_ids.size() != static_cast<std::size_t>(data.size()) || step_ids.empty()) {
    throw validation_error(std::string(policy) + " needs steps in order of time; this dataset has no step ids");
  }
  const group_column& experiments = data.groups(group::experiment);
  std::vector<time_ordered_rows> ordered(experiments.count());
  for (std::size_t code = 0; code < ordered.size(); ++code) ordered[code].experiment = experiments.names()[code];
  for (std::size_t row = 0; row < experiments.size(); ++row) ordered[experiments.code(row)].rows.push_back(row);
  for (time_ordered_rows& experiment : ordered) {
    std::stable_sort(experiment.rows.begin(), experiment.rows.end(),
                     [&](std::size_t left, std::size_t right) { return step_ids[left] < step_ids[right]; });
  }
  return ordered;
}

}  // namespace rafter
