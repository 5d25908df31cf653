// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: by name, or all diagnoses with rafter/evaluation/diagnose.hpp.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "rafter/config.hpp"
#include "rafter/evaluation/report.hpp"
#include "rafter/evaluation/step_view.hpp"

/// What diagnoses of errors start from: the errors of a predictor over all folds, and classes of rows.
namespace rafter {

/// What of a predictor was tested: a value for each tested row, fold after fold. A row that several folds test is
/// there several times.
struct tested_errors {
  std::vector<std::size_t> rows;     ///< of the dataset
  std::vector<std::uint32_t> folds;  ///< index into predictor_result::folds
  std::vector<double> actual;        ///< [s]
  std::vector<double> predicted;     ///< [s]
  std::vector<double> relative;      ///< (predicted - actual) / actual
  std::size_t undefined = 0;         ///< tested rows that are not here: a time of 0, or what is not a finite number

  std::size_t size() const { return rows.size(); }
};

/// The errors of the predictions that a result keeps (evaluate_options::keep_predictions).
RAFTER_COLD inline tested_errors tested_errors_of(const predictor_result& result) {
  tested_errors made;
  std::size_t rows = 0;
  for (const fold_result& one : result.folds) rows += one.predictions.actual.size();
  made.rows.reserve(rows);
  made.folds.reserve(rows);
  made.actual.reserve(rows);
  made.predicted.reserve(rows);
  made.relative.reserve(rows);
  for (std::size_t f = 0; f < result.folds.size(); ++f) {
    const fold_predictions& from = result.folds[f].predictions;
    std::size_t i = 0;
    from.rows.for_each([&](std::size_t row) {
      if (i >= from.actual.size() || i >= from.predicted.size()) return;
      const double actual = from.actual[i], predicted = from.predicted[i];
      ++i;
      const double relative = (predicted - actual) / actual;
      if (!std::isfinite(relative)) {
        ++made.undefined;
        return;
      }
      made.rows.push_back(row);
      made.folds.push_back(static_cast<std::uint32_t>(f));
      made.actual.push_back(actual);
      made.predicted.push_back(predicted);
      made.relative.push_back(relative);
    });
  }
  return made;
}

/// Predictors that a section shows in full where it cannot show all.
struct shown_predictors {
  std::size_t most = 4;            ///< as many of the best (by worst fold)
  std::vector<std::string> names;  ///< these instead, in this order, where the report has them
};

namespace detail {

inline bool has_predictions(const predictor_result& result) {
  return std::any_of(result.folds.begin(), result.folds.end(),
                     [](const fold_result& one) { return !one.predictions.actual.empty(); });
}

/// Results with kept predictions, best worst fold first.
RAFTER_COLD inline std::vector<const predictor_result*> results_with_predictions(const evaluation_report& report) {
  std::vector<const predictor_result*> order;
  for (const predictor_result& one : report.results) {
    if (has_predictions(one)) order.push_back(&one);
  }
  std::stable_sort(order.begin(), order.end(), [](const predictor_result* a, const predictor_result* b) {
    const auto key = [](double mape) { return std::isnan(mape) ? std::numeric_limits<double>::infinity() : mape; };
    return key(a->worst_mape()) < key(b->worst_mape());
  });
  return order;
}

RAFTER_COLD inline std::vector<const predictor_result*> selected(const evaluation_report& report,
                                                                 const shown_predictors& which) {
  if (which.names.empty()) {
    std::vector<const predictor_result*> order = results_with_predictions(report);
    order.resize(std::min(order.size(), which.most));
    return order;
  }
  std::vector<const predictor_result*> order;
  for (const std::string& name : which.names) {
    const predictor_result* one = report.find(name);
    if (one != nullptr && has_predictions(*one)) order.push_back(one);
  }
  return order;
}

inline const char* const no_predictions_kept =
    "Not made: no predictor's predictions were kept (evaluate_options::keep_predictions).";

/// Quantile of values in any order, which it reorders (the same numbers as quantile_of_sorted).
RAFTER_HOT inline double quantile_of_unsorted(double* first, std::size_t count, double q) {
  if (count == 0) return std::numeric_limits<double>::quiet_NaN();
  const double rank = q * static_cast<double>(count - 1);
  const auto below = static_cast<std::size_t>(rank);
  std::nth_element(first, first + below, first + count);
  if (below + 1 >= count) return first[below];
  const double high = *std::min_element(first + below + 1, first + count);
  return first[below] + (rank - static_cast<double>(below)) * (high - first[below]);
}

}  // namespace detail

inline constexpr std::uint32_t no_class = 0xffffffffU;

/// Rows sorted into classes: by a label, by what a step is made of, or by the size of something.
struct row_classes {
  std::string axis;                  ///< "phase", "batch size", "model", ...
  std::vector<std::string> labels;   ///< of bins ascending
  std::vector<std::uint32_t> codes;  ///< one a row of the dataset: index into `labels`, or `no_class`
};

/// A bin between powers of two of a count or length: [2^(k-1), 2^k) is k (62 and more: one bin); below 1 is 0. What
/// is negative or not finite has none.
RAFTER_COLD inline row_classes power_of_two_bins(std::string axis, const std::vector<double>& values) {
  row_classes made;
  made.axis = std::move(axis);
  made.codes.assign(values.size(), no_class);
  std::vector<bool> used;
  for (std::size_t row = 0; row < values.size(); ++row) {
    const double value = values[row];
    if (!(value >= 0.0) || !std::isfinite(value)) continue;
    int exponent = 0;
    if (value >= 1.0) std::frexp(value, &exponent);
    const auto bin = static_cast<std::uint32_t>(std::min(exponent, 63));
    if (bin >= used.size()) used.resize(bin + 1, false);
    used[bin] = true;
    made.codes[row] = bin;
  }
  std::vector<std::uint32_t> place(used.size(), no_class);
  for (std::size_t bin = 0; bin < used.size(); ++bin) {
    if (!used[bin]) continue;
    place[bin] = static_cast<std::uint32_t>(made.labels.size());
    const auto power = [](std::size_t k) { return std::to_string(std::uint64_t{1} << k); };
    made.labels.push_back(bin == 0 ? "[0, 1)" : "[" + power(bin - 1) + ", " + power(bin) + ")");
  }
  for (std::uint32_t& code : made.codes) {
    if (code != no_class) code = place[code];
  }
  return made;
}

/// What errors are broken down by: computed once, used for every predictor.
struct class_axes {
  std::vector<row_classes> axes;
  std::vector<std::string> left_out;  ///< what there is not, and why: a sentence each
};

/// Phase; bins of batch size, KV length (mean over the decode requests, else the longest) and scheduled tokens; and
/// each group axis of 2 to `most_labels` labels. Labels of measurements name single rows rather than kinds of steps,
/// and are left to the overlap audit.
RAFTER_COLD inline class_axes classes_of(const step_view& view, std::size_t most_labels = 64) {
  class_axes made;
  if (view.phases.empty()) {
    made.left_out.push_back("phase: the schema has no token counts");
  } else {
    row_classes phases;
    phases.axis = "phase";
    std::array<std::uint32_t, 4> place{no_class, no_class, no_class, no_class};
    for (const step_phase phase : view.phases) {
      std::uint32_t& code = place[static_cast<std::size_t>(phase)];
      if (code == no_class) {
        code = static_cast<std::uint32_t>(phases.labels.size());
        phases.labels.emplace_back(name_of(phase));
      }
      phases.codes.push_back(code);
    }
    made.axes.push_back(std::move(phases));
  }
  const auto bins = [&](const char* axis, const std::vector<double>* values, const char* why_not) {
    if (values != nullptr) {
      made.axes.push_back(power_of_two_bins(axis, *values));
    } else {
      made.left_out.emplace_back(why_not);
    }
  };
  bins("batch size", view.find("batch_size"), "batch size: the schema does not count requests");
  const std::vector<double>*mean = view.find("kv_mean"), *longest = view.find("kv_max");
  bins(mean != nullptr ? "mean KV length" : "longest KV length", mean != nullptr ? mean : longest,
       "KV length: the schema has none");
  bins("scheduled tokens", view.find("scheduled_tokens"), "scheduled tokens: the schema has no token counts");
  for (std::size_t i = 0; i < group_axes; ++i) {
    const auto axis = static_cast<group>(i);
    const group_column* labels = view.labels(axis);
    if (labels == nullptr || labels->count() < 2 || axis >= group::gemm_measurement) continue;
    if (labels->count() > most_labels) {
      made.left_out.push_back(std::string(name_of(axis)) + ": " + std::to_string(labels->count()) + " labels");
      continue;
    }
    made.axes.push_back({std::string(name_of(axis)), labels->names(), labels->codes()});
  }
  return made;
}

}  // namespace rafter
