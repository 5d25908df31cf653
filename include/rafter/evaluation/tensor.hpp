// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: results of an evaluation as an xtensor, for those who compute with them further.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "rafter/core/error.hpp"
#include "rafter/core/nearest_name.hpp"
#include "rafter/evaluation/report.hpp"

namespace rafter {

/// Results as numbers with names: values(predictor, fold, metric). Fractions, not percentages; times in seconds. NaN
/// where a predictor has no such fold or the metric is undefined.
struct named_tensor {
  xt::xtensor<double, 3> values;
  std::vector<std::string> predictors;
  std::vector<std::string> folds;    ///< what each holds out
  std::vector<std::string> metrics;  ///< as in JSON reports, plus train_rows, rows, parameters, identifiable

  /// One number by name: `at("ridge30", "70b", "mape")`. @throws error naming what there is nothing of
  double at(std::string_view predictor, std::string_view fold, std::string_view metric) const {
    return values(index_in(predictors, predictor, "predictor"), index_in(folds, fold, "fold"),
                  index_in(metrics, metric, "metric"));
  }

  /// Where a name stands on its axis. @throws error with the nearest name
  static std::size_t index_in(const std::vector<std::string>& names, std::string_view name, std::string_view axis) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) {
      throw error("rafter: results: there is no " + std::string(axis) + " '" + std::string(name) + "'" +
                  did_you_mean(name, names));
    }
    return static_cast<std::size_t>(found - names.begin());
  }
};

namespace detail {
struct named_metric {
  const char* name;
  double (*of)(const fold_result&);
};
#define RAFTER_ERROR_METRIC(name, member)                       \
  named_metric {                                                \
#name, [](const fold_result& f) { return f.errors.member; } \
  }
inline constexpr std::array<named_metric, 21> fold_metrics{
    RAFTER_ERROR_METRIC(mape, mape),
    RAFTER_ERROR_METRIC(mspe_signed, mean_signed_percentage_error),
    RAFTER_ERROR_METRIC(cancellation, cancellation),
    RAFTER_ERROR_METRIC(median_ape, median_ape),
    RAFTER_ERROR_METRIC(p90_ape, p90_ape),
    RAFTER_ERROR_METRIC(p99_ape, p99_ape),
    RAFTER_ERROR_METRIC(max_ape, max_ape),
    RAFTER_ERROR_METRIC(share_above_50, share_above_half),
    RAFTER_ERROR_METRIC(smape, smape),
    RAFTER_ERROR_METRIC(wape, wape),
    RAFTER_ERROR_METRIC(rmse, rmse),
    RAFTER_ERROR_METRIC(mae, mae),
    RAFTER_ERROR_METRIC(bias, bias),
    RAFTER_ERROR_METRIC(r2, r2),
    RAFTER_ERROR_METRIC(pearson_r, pearson),
    RAFTER_ERROR_METRIC(spearman, spearman),
    RAFTER_ERROR_METRIC(log_ratio_rmse, log_ratio_rmse),
    named_metric{"train_rows", [](const fold_result& f) { return static_cast<double>(f.train_rows); }},
    named_metric{"rows", [](const fold_result& f) { return static_cast<double>(f.rows); }},
    named_metric{"parameters", [](const fold_result& f) { return static_cast<double>(f.fit.parameters); }},
    named_metric{"identifiable", [](const fold_result& f) { return static_cast<double>(f.fit.identifiable); }},
};
#undef RAFTER_ERROR_METRIC
}  // namespace detail

/// The results of a report. Predictors in the report's order, folds in the order of their first appearance. Of two
/// predictors of one name, or two folds of one predictor that hold the same out, `at` sees the first.
inline named_tensor tensor_of(const evaluation_report& report) {
  named_tensor made;
  for (const detail::named_metric& one : detail::fold_metrics) made.metrics.emplace_back(one.name);
  for (const predictor_result& result : report.results) {
    made.predictors.push_back(result.predictor);
    for (const fold_result& one : result.folds) {
      if (std::find(made.folds.begin(), made.folds.end(), one.held_out) == made.folds.end()) {
        made.folds.push_back(one.held_out);
      }
    }
  }
  made.values = xt::xtensor<double, 3>(
      std::array<std::size_t, 3>{made.predictors.size(), made.folds.size(), made.metrics.size()},
      std::numeric_limits<double>::quiet_NaN());
  for (std::size_t p = 0; p < report.results.size(); ++p) {
    const auto& folds = report.results[p].folds;
    for (std::size_t f = folds.size(); f-- > 0;) {  // backwards: the first of equals stays
      const std::size_t at = named_tensor::index_in(made.folds, folds[f].held_out, "fold");
      for (std::size_t m = 0; m < made.metrics.size(); ++m)
        made.values(p, at, m) = detail::fold_metrics[m].of(folds[f]);
    }
  }
  return made;
}

}  // namespace rafter
