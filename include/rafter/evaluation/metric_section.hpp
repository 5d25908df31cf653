// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rafter/config.hpp"
#include "rafter/evaluation/report.hpp"
#include "rafter/evaluation/section.hpp"
#include "rafter/evaluation/text.hpp"
#include "rafter/metrics/metric.hpp"

namespace rafter {

/// A metric of one predictor: over its folds, unweighted, and where it is worst. NaN where a fold's value is undefined.
struct metric_result {
  std::string predictor;
  double mean = 0.0, worst = 0.0;
  std::string worst_fold;
};

/// Any metric (yours, too) of every predictor whose predictions were kept, in the report's order.
template <metric M> RAFTER_COLD std::vector<metric_result> metric_of(const evaluation_report& report) {
  std::vector<metric_result> made;
  for (const predictor_result& result : report.results) {
    metric_result one{result.predictor, 0.0, std::numeric_limits<double>::quiet_NaN(), {}};
    std::size_t folds = 0;
    double farthest = -1.0;
    for (const fold_result& fold : result.folds) {
      if (fold.predictions.rows.empty()) continue;
      const double value = M::evaluate(fold.predictions.actual, fold.predictions.predicted);
      const double distance =
          std::isnan(value) ? std::numeric_limits<double>::infinity() : distance_from_ideal<M>(value);
      one.mean += value;
      ++folds;
      if (distance > farthest) {
        farthest = distance;
        one.worst = value;
        one.worst_fold = fold.held_out;
      }
    }
    if (folds == 0) continue;
    one.mean /= static_cast<double>(folds);
    made.push_back(std::move(one));
  }
  return made;
}

/// A section with one table per metric: `report.sections.push_back(metric_section<log_ratio_rmse, mine>(report))`. Fractions
/// are shown as percentages and times in microseconds.
template <metric... Ms> RAFTER_COLD report_section metric_section(const evaluation_report& report) {
  report_section section{"metrics", "Metrics", "", {}};
  const auto add = [&]<class M>() {
    constexpr metric_unit unit = M::unit;
    constexpr double scale = unit == metric_unit::percent ? 100.0 : unit == metric_unit::target_unit ? 1e6 : 1.0;
    const std::string suffix = unit == metric_unit::percent ? " %" : unit == metric_unit::target_unit ? " us" : "";
    text_table table({"<predictor", "worst fold" + suffix, "<worst fold", "mean" + suffix});
    const auto cell = [&](double value) {
      return table_cell(std::isnan(value) ? "n/a" : fmt::format("{:.4g}", scale * value), scale * value);
    };
    for (const metric_result& one : metric_of<M>(report)) {
      table.add({one.predictor, cell(one.worst), one.worst_fold, cell(one.mean)});
    }
    if (table.empty()) {
      section.blocks.emplace_back(paragraph{std::string(M::label) + ": no predictions were kept."});
    } else {
      section.blocks.emplace_back(captioned_table{
          std::string(M::label) + (M::higher_is_better ? " (higher is better)" : ""), std::move(table)});
    }
  };
  (add.template operator()<Ms>(), ...);
  return section;
}

}  // namespace rafter
