// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: results of an evaluation as an xtensor, for those who compute with them further.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "rafter/core/error.hpp"
#include "rafter/core/nearest_name.hpp"
#include "rafter/evaluation/report.hpp"
#include "rafter/io/file.hpp"
#include "rafter/io/json.hpp"
#include "rafter/io/npy.hpp"

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

/// What each predictor said of each row that it was tested on, as one array of two axes: values(column, entry). The first
/// columns say what an entry is: the fold (its number in `folds`), the row of the dataset (from 0), the measured time;
/// then one column per predictor with its predictions. Times in seconds, NaN where a predictor was not tested on the row
/// under this fold. Entries are in the order of folds, then rows.
struct prediction_table {
  xt::xtensor<double, 2> values;
  std::vector<std::string> columns;  ///< "fold", "row", "actual", then predictors
  std::vector<std::string> folds;

  double at(std::string_view column, std::size_t entry) const {
    return values(named_tensor::index_in(columns, column, "column"), entry);
  }
};

/// Predictors whose predictions were not kept have no column (evaluate_options::keep_predictions).
inline prediction_table predictions_of(const evaluation_report& report) {
  prediction_table made;
  made.columns = {"fold", "row", "actual"};
  std::vector<std::pair<std::size_t, std::size_t>> entries;  // fold, row
  for (const predictor_result& result : report.results) {
    bool any = false;
    for (const fold_result& one : result.folds) {
      if (one.predictions.rows.empty()) continue;
      any = true;
      auto fold = std::find(made.folds.begin(), made.folds.end(), one.held_out);
      if (fold == made.folds.end()) fold = made.folds.insert(fold, one.held_out);
      const auto number = static_cast<std::size_t>(fold - made.folds.begin());
      one.predictions.rows.for_each([&](std::size_t row) { entries.emplace_back(number, row); });
    }
    if (any) made.columns.push_back(result.predictor);
    std::sort(entries.begin(), entries.end());
    entries.erase(std::unique(entries.begin(), entries.end()), entries.end());
  }
  made.values = xt::xtensor<double, 2>(std::array<std::size_t, 2>{made.columns.size(), entries.size()},
                                       std::numeric_limits<double>::quiet_NaN());
  for (std::size_t e = 0; e < entries.size(); ++e) {
    made.values(0, e) = static_cast<double>(entries[e].first);
    made.values(1, e) = static_cast<double>(entries[e].second);
  }
  std::size_t column = 3;
  for (const predictor_result& result : report.results) {
    bool any = false;
    for (const fold_result& one : result.folds) {
      if (one.predictions.rows.empty()) continue;
      any = true;
      const std::size_t number = named_tensor::index_in(made.folds, one.held_out, "fold");
      std::size_t next = 0;
      one.predictions.rows.for_each([&](std::size_t row) {
        const auto at = std::lower_bound(entries.begin(), entries.end(), std::pair(number, row));
        const auto entry = static_cast<std::size_t>(at - entries.begin());
        made.values(2, entry) = one.predictions.actual[next];
        made.values(column, entry) = one.predictions.predicted[next];
        ++next;
      });
    }
    column += any;
  }
  return made;
}

namespace detail {

struct named_axis {
  const char* name;
  const std::vector<std::string>* labels;  ///< null: numbered
  std::size_t size;
};
template <std::size_t N>
void write_named(const std::string& stem, const xt::xtensor<double, N>& values, const std::array<named_axis, N>& axes,
                 const char* units, nlohmann::ordered_json more) {
  write_npy(stem + ".npy", values);
  nlohmann::ordered_json out = {
      {"schema_version", 1}, {"dtype", "<f8"}, {"units", units}, {"axes", nlohmann::ordered_json::array()}};
  for (const named_axis& one : axes) {
    nlohmann::ordered_json axis = {{"name", one.name}, {"size", one.size}};
    if (one.labels != nullptr) axis["labels"] = *one.labels;
    out["axes"].push_back(std::move(axis));
  }
  out.update(more);
  write_file(stem + ".json", out.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}
template <std::size_t N>
json_value read_named(const std::string& stem, const std::array<const char*, N>& axes,
                      xt::xtensor<double, N>& values) {
  values = read_npy<double, N>(stem + ".npy");
  const file_bytes text = read_file(stem + ".json");
  const json_value names = parse_json(text.view(), stem + ".json");
  if (const json_value version = names.at("schema_version"); version.json() != 1) {
    throw version.error("is not the version that is understood here, 1");
  }
  if (names.at("axes").elements().size() != N) {
    throw names.at("axes").error("are not the " + std::to_string(N) + " axes of the array");
  }
  for (std::size_t a = 0; a < N; ++a) {
    const json_value axis = names.at("axes").element(a);
    if (axis.at("name").text() != axes[a]) {
      throw axis.at("name").error("stands where '" + std::string(axes[a]) + "' is expected");
    }
    if (static_cast<std::size_t>(axis.at("size").integer(0)) != values.shape()[a]) {
      throw axis.at("size").error("is not the size of the array's axis, " + std::to_string(values.shape()[a]));
    }
  }
  return names;
}
/// @param size  how many there must be
inline std::vector<std::string> texts_of(const json_value& list, std::size_t size) {
  std::vector<std::string> made;
  for (const json_value& one : list.elements()) made.push_back(one.text());
  if (made.size() != size) {
    throw list.error("has " + std::to_string(made.size()) + " names, expected " + std::to_string(size));
  }
  return made;
}
}  // namespace detail

/// Writes `stem`.npy (float64, axes predictor, fold, metric) and `stem`.json with the names on each axis, for
///
///   a = numpy.load("results.npy"); names = [axis["labels"] for axis in json.load(open("results.json"))["axes"]]
///
/// @throws io_error when a file cannot be written
inline void write_tensor(const std::string& stem, const named_tensor& results) {
  detail::write_named<3>(stem, results.values,
                         {{{"predictor", &results.predictors, results.predictors.size()},
                           {"fold", &results.folds, results.folds.size()},
                           {"metric", &results.metrics, results.metrics.size()}}},
                         "fractions, not percentages; times in seconds", nlohmann::ordered_json::object());
}
/// Reads what write_tensor has written. @throws io_error when array and names do not belong together
inline named_tensor read_tensor(const std::string& stem) {
  named_tensor made;
  const json_value names = detail::read_named<3>(stem, {"predictor", "fold", "metric"}, made.values);
  std::size_t axis = 0;
  for (auto* labels : {&made.predictors, &made.folds, &made.metrics}) {
    *labels = detail::texts_of(names.at("axes").element(axis).at("labels"), made.values.shape()[axis]);
    ++axis;
  }
  return made;
}

/// Writes `stem`.npy (float64, axes column, entry) and `stem`.json with the names of columns and folds.
inline void write_tensor(const std::string& stem, const prediction_table& predictions) {
  detail::write_named<2>(stem, predictions.values,
                         {{{"column", &predictions.columns, predictions.columns.size()},
                           {"entry", nullptr, predictions.values.shape()[1]}}},
                         "times in seconds", {{"folds", predictions.folds}});
}
/// Reads what write_tensor has written of predictions. @throws io_error
inline prediction_table read_predictions(const std::string& stem) {
  prediction_table made;
  const json_value names = detail::read_named<2>(stem, {"column", "entry"}, made.values);
  made.columns = detail::texts_of(names.at("axes").element(0).at("labels"), made.values.shape()[0]);
  for (const json_value& one : names.at("folds").elements()) made.folds.push_back(one.text());
  return made;
}

}  // namespace rafter
