// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "rafter/config.hpp"
#include "rafter/evaluation/parameter_table.hpp"
#include "rafter/evaluation/report.hpp"
#include "rafter/evaluation/table.hpp"

namespace rafter {

/// One predictor's accuracy against its number of parameters. Errors are fractions; NaN where nothing can be said.
struct efficiency_row {
  std::string predictor;
  std::size_t parameters = 0, identifiable = 0;
  double mean_mape = 0.0, worst_mape = 0.0;
  double per_parameter = 0.0;  ///< see parameter_efficiency
  double ratio = 0.0;          ///< see parameter_efficiency
};

struct efficiency_report {
  std::string baseline;   ///< empty: the report has none
  std::string reference;  ///< empty: the report has none
  std::vector<efficiency_row> rows;
};

/// Accuracy against number of parameters, fewest identifiable first. With E the mean over folds of the MAPE,
///
///   per_parameter(p) = (E(baseline) − E(p)) / identifiable(p)       how much error each identifiable parameter removed
///   ratio(p)         = per_parameter(p) / per_parameter(reference)  > 1: each removes more than the reference's do
///
/// Both are negative where a predictor is worse than the baseline. `per_parameter` is NaN without a baseline, without
/// identifiable parameters and where an error is undefined; `ratio` also where the reference removes no error, for
/// then there is nothing to compare with. The ratio says nothing of how good a predictor is: few parameters that do
/// little may each do more than many that do much, so read it beside the errors.
/// @param baseline, reference  names of predictors of the report; without such a one nothing is made up
RAFTER_COLD inline efficiency_report parameter_efficiency(const evaluation_report& report, std::string_view reference,
                                                          std::string_view baseline = "mean") {
  constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
  efficiency_report made;
  double from = unknown;
  if (const predictor_result* base = report.find(baseline); base != nullptr && !base->folds.empty()) {
    made.baseline = std::string(baseline);
    from = base->mean_mape();
  }
  const auto per_parameter = [&](const predictor_result& one) {
    const auto count = static_cast<double>(one.identifiable());
    return count > 0.0 ? (from - one.mean_mape()) / count : unknown;
  };
  double against = unknown;
  if (const predictor_result* other = report.find(reference); other != nullptr && !other->folds.empty()) {
    made.reference = std::string(reference);
    if (const double each = per_parameter(*other); each > 0.0) against = each;
  }
  for (const predictor_result& one : report.results) {
    if (one.folds.empty()) continue;
    const double each = one.predictor == baseline ? unknown : per_parameter(one);
    made.rows.push_back({.predictor = one.predictor,
                         .parameters = one.parameters(),
                         .identifiable = one.identifiable(),
                         .mean_mape = one.mean_mape(),
                         .worst_mape = one.worst_mape(),
                         .per_parameter = each,
                         .ratio = each / against});
  }
  std::stable_sort(made.rows.begin(), made.rows.end(),
                   [](const efficiency_row& a, const efficiency_row& b) { return a.identifiable < b.identifiable; });
  return made;
}

}  // namespace rafter
