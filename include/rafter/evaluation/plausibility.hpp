// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rafter/analytical/roofline.hpp"
#include "rafter/estimator/analytical_model.hpp"
#include "rafter/step/dataset.hpp"

namespace rafter {

/// How a group's measured times stand to the floor (idle rows not counted: their floor is 0).
struct plausibility_group {
  std::string label;
  std::size_t rows = 0;
  std::size_t below = 0;      ///< rows whose time is less than the floor
  double lowest_ratio = 0.0;  ///< smallest time / floor
  double median_ratio = 0.0;  ///< median time / floor
  double median_floor = 0.0;  ///< median floor [s]

  double share_below() const { return rows == 0 ? 0.0 : static_cast<double>(below) / static_cast<double>(rows); }
};

/// A row far below its floor.
struct implausible_row {
  std::size_t row = 0;
  std::size_t line = 0;  ///< in the data's source
  double time = 0.0;     ///< [s]
  double floor = 0.0;    ///< [s]
};

/// The share of rows below the floor up to which a target may still be what it says: some rows are mismeasured or
/// mislabelled (a clock that stepped, a step that failed). More is systematic, and the target is another quantity.
inline constexpr double tolerated_share_below_floor = 0.01;

/// Can the target be GPU time at all? Compares it, row by row, with the weakest floor that surely holds: the time to
/// read the weights that the step touches once (analytical::floor_time).
struct plausibility_report {
  bool audited = false;
  std::string why_not;  ///< the observable that the schema lacks, when it could not be audited
  std::string target;
  std::string axis;  ///< what `groups` are labels of
  plausibility_group all;
  std::vector<plausibility_group> groups;
  std::vector<implausible_row> worst;  ///< lowest time / floor first; empty when no row is below
  std::size_t idle = 0;                ///< rows without tokens, which have no floor

  /// At most `tolerated_share_below_floor` of the rows are below the floor, so the target may be the step's time.
  bool plausible() const { return audited && all.rows > 0 && all.share_below() <= tolerated_share_below_floor; }
  /// One sentence for a report's first line, in three grades: no row below, a few to look at, too many.
  std::string verdict() const {
    if (!audited) return "not audited: the schema lacks '" + why_not + "', so no floor can be computed";
    if (all.rows == 0) return "not audited: no row has a floor";
    if (all.below == 0) return "plausible: no row is below the time to read the weights once";
    std::array<char, 32> share{};
    std::snprintf(share.data(), share.size(), "%.2f", 100.0 * all.share_below());
    const std::string percentage = std::string(share.data()) + " %";
    if (plausible()) {
      return "plausible as a target, but " + std::to_string(all.below) + " of " + std::to_string(all.rows) +
             " rows (" + percentage + ") are below the floor: look at them";
    }
    return "IMPLAUSIBLE: " + percentage + " of the rows are below the time to read the weights once; '" + target +
           "' cannot be the time of the forward pass";
  }
};

namespace detail {
template <class Schema> constexpr std::string_view floor_needs() {
  return analytical_model<analytical::floor_time>::template missing_on<Schema>();
}

RAFTER_COLD inline plausibility_group audit_rows(std::string label,
                                                 const std::vector<std::pair<double, double>>& times_and_floors) {
  plausibility_group found{.label = std::move(label), .rows = times_and_floors.size()};
  if (times_and_floors.empty()) return found;
  std::vector<double> ratios;
  std::vector<double> floors;
  for (const auto& [time, floor] : times_and_floors) {
    found.below += time < floor;
    ratios.push_back(time / floor);
    floors.push_back(floor);
  }
  const auto median = [](std::vector<double>& values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    const double upper = *middle;
    return values.size() % 2 == 1 ? upper : 0.5 * (upper + *std::max_element(values.begin(), middle));
  };
  found.lowest_ratio = *std::min_element(ratios.begin(), ratios.end());
  found.median_ratio = median(ratios);
  found.median_floor = median(floors);
  return found;
}
}  // namespace detail

/// Audits the selected target of every row, as it was measured. Groups are experiments where the data has them, else models.
/// @param worst_rows  how many of the most implausible rows to name
template <dataset_schema Schema>
RAFTER_COLD plausibility_report plausibility(const dataset<Schema>& data, std::size_t worst_rows = 5) {
  plausibility_report report;
  report.target = std::string(data.measured_name());
  if constexpr (!detail::floor_needs<Schema>().empty()) {
    report.why_not = std::string(detail::floor_needs<Schema>());
  } else {
    report.audited = true;
    std::vector<double> floors(data.size());
    const row_set all = row_set::all(data.size());
    const auto model = analytical_model<analytical::floor_time>::fit(data, all);
    model.predict(data, all, floors);
    const auto times = data.measured_target();
    std::vector<std::pair<double, double>> pairs;
    std::vector<implausible_row> below;
    for (std::size_t row = 0; row < data.size(); ++row) {
      if (!(floors[row] > 0.0)) {
        ++report.idle;
        continue;
      }
      pairs.emplace_back(times[row], floors[row]);
      if (times[row] < floors[row]) below.push_back({row, data.line(row), times[row], floors[row]});
    }
    report.all = detail::audit_rows("all", pairs);
    const std::size_t named = std::min(worst_rows, below.size());
    std::partial_sort(below.begin(), below.begin() + static_cast<std::ptrdiff_t>(named), below.end(),
                      [](const implausible_row& a, const implausible_row& b) {
                        return a.time * b.floor < b.time * a.floor ||
                               (a.time * b.floor == b.time * a.floor && a.row < b.row);
                      });
    report.worst.assign(below.begin(), below.begin() + static_cast<std::ptrdiff_t>(named));
    for (const group axis : {group::experiment, group::model}) {
      if (!data.has_group(axis)) continue;
      const group_column& labels = data.groups(axis);
      report.axis = std::string(name_of(axis));
      std::vector<std::vector<std::pair<double, double>>> own(labels.count());
      for (std::size_t row = 0; row < data.size(); ++row) {
        if (floors[row] > 0.0) own[labels.code(row)].emplace_back(times[row], floors[row]);
      }
      for (std::size_t code = 0; code < own.size(); ++code) {
        report.groups.push_back(detail::audit_rows(labels.names()[code], own[code]));
      }
      break;
    }
  }
  return report;
}

}  // namespace rafter
