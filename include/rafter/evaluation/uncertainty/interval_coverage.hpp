// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: compiles Boost.Math; for those who want intervals.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "rafter/config.hpp"
#include "rafter/core/error.hpp"
#include "rafter/core/math.hpp"
#include "rafter/evaluation/uncertainty/interval_calibration.hpp"
#include "rafter/statistics/distributions.hpp"
#include "rafter/statistics/proportion.hpp"
#include "rafter/step/rows.hpp"

/// How often intervals hold what was measured, and what they cost. All shares are fractions.
namespace rafter {

/// Intervals of some rows against their measured times.
struct coverage_summary {
  std::string label;
  std::size_t rows = 0;
  std::size_t covered = 0;
  std::size_t below = 0, above = 0;  ///< measured below the interval, above it
  std::size_t infinite = 0;          ///< intervals without an upper limit: they cover and say nothing
  share_interval limits;             ///< of the coverage, 95 %, as if rows were independent: see interval_result
  double mean_width = 0.0;           ///< (upper - lower) / predicted, mean over the finite intervals; NaN of none
  double median_width = 0.0;         ///< the same, of all intervals: infinite where half are
  double median_factor = 0.0;        ///< upper / lower - 1, of all intervals
  double mean_score = 0.0;           ///< interval score on logarithms (Gneiting and Raftery 2007, eq. 43): width plus
                                     ///< 2 / alpha times the distance of what lies outside; less is better

  double coverage() const {
    return rows == 0 ? std::numeric_limits<double>::quiet_NaN()
                     : static_cast<double>(covered) / static_cast<double>(rows);
  }
};

namespace detail {

inline double median_of(std::vector<double> values) {
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return 0.5 * (*middle + *std::min_element(middle + 1, values.end()));
}

}  // namespace detail

/// @param actual, predicted, lower, upper  [s], one a row; `predicted` is what widths are relative to
RAFTER_COLD inline coverage_summary coverage_of(std::string label, std::span<const double> actual,
                                                std::span<const double> predicted, std::span<const double> lower,
                                                std::span<const double> upper, double level) {
  coverage_summary made;
  made.label = std::move(label);
  made.rows = actual.size();
  std::vector<double> widths, factors;
  double finite = 0.0;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    made.below += actual[i] < lower[i];
    made.above += actual[i] > upper[i];
    made.covered += lower[i] <= actual[i] && actual[i] <= upper[i];
    const bool open = std::isinf(upper[i]);
    made.infinite += open;
    widths.push_back((upper[i] - lower[i]) / predicted[i]);
    factors.push_back(upper[i] / lower[i] - 1.0);
    if (!open) finite += widths.back();
    const double bottom = rafter::log(lower[i]), top = rafter::log(upper[i]), a = rafter::log(actual[i]);
    made.mean_score += top - bottom + 2.0 / (1.0 - level) * (std::max(0.0, bottom - a) + std::max(0.0, a - top));
  }
  made.limits = clopper_pearson(made.covered, made.rows);
  made.mean_width = finite / static_cast<double>(made.rows - made.infinite);
  made.median_width = detail::median_of(std::move(widths));
  made.median_factor = detail::median_of(std::move(factors));
  made.mean_score /= static_cast<double>(made.rows);
  return made;
}

/// Coverage broken down by one partition of the rows.
struct coverage_breakdown {
  std::string by;  ///< "phase"
  std::vector<coverage_summary> parts;
};

/// One predictor's intervals by one method at one level, over the folds of a split.
///
/// The limits of a coverage count rows as if they were independent. Rows of one held-out model are not: they share the
/// predictor's error on that model. `spread_ratio` says by how much: the deviation of the coverage over folds against
/// what independent rows would give; `mean_limits` are honest where folds are what is exchangeable.
struct interval_result {
  std::string predictor;
  std::string calibration;  ///< the inner split
  std::string method;
  conformal_rule rule = conformal_rule::pooled_cdfs;
  std::string exchangeable = "group";  ///< what a new row may be a new one of: "model"
  bool random_calibration = false;     ///< the inner split draws rows by lot
  double level = 0.9;
  std::vector<coverage_summary> folds;
  std::vector<coverage_breakdown> breakdowns;
  coverage_summary all;               ///< every tested row
  std::vector<std::string> findings;  ///< of the calibrations, each once, with the folds that it is true of

  double mean_coverage = 0.0;  ///< over folds, each alike: what the rules for new groups promise
  double worst_coverage = 0.0, best_coverage = 0.0;
  double coverage_deviation = 0.0;  ///< over folds; NaN of one
  double binomial_deviation = 0.0;  ///< of folds of independent rows, all covered with `mean_coverage`
  share_interval mean_limits;  ///< of the mean, 95 %, by Student's t over folds; within [0, 1]; [0, 1] of one fold
  double spread_ratio() const { return coverage_deviation / binomial_deviation; }
};

/// Out-of-fold predictions of one outer fold: those of its training rows by fits that did not see them, and those of
/// its test rows by the fit on all training rows.
struct nested_fold {
  std::string held_out;
  std::size_t train_rows = 0;
  std::vector<std::size_t> calibration_rows;
  prediction_bands calibration;
  std::vector<std::size_t> test_rows;
  prediction_bands test;
};
/// All that intervals by any method are made of: no fit is needed any more.
struct nested_predictions {
  std::string predictor;
  std::string calibration;          ///< the inner split
  bool random_calibration = false;  ///< it draws rows by lot
  double band_level = 0.0;          ///< of the bands, where they are quantiles; else 0
  std::vector<nested_fold> folds;
  std::size_t asked = 0;   ///< fits that the folds need
  std::size_t fitted = 0;  ///< fits that were made: the same training rows are fitted once
};

/// What is known of all rows of the data that predictions are of. Codes and scales are one a row of the data; empty:
/// one group, one cell, no spread, scale 1.
struct interval_rows {
  std::vector<double> times;           ///< [s]
  row_cells groups;                    ///< what is exchangeable: models
  std::string exchangeable = "group";  ///< what those are called: "model"
  row_cells cells;                     ///< quantiles of their own (Mondrian)
  row_cells spread;                    ///< spreads of their own (normalised)
  std::vector<double> scale;           ///< how hard a row is, given
  std::vector<std::pair<std::string, row_cells>> breakdowns;
};

namespace detail {

template <class Value>
std::vector<Value> of_rows(const std::vector<Value>& all, const std::vector<std::size_t>& rows) {
  std::vector<Value> some;
  if (all.empty()) return some;
  some.reserve(rows.size());
  for (const std::size_t row : rows) some.push_back(all[row]);
  return some;
}

RAFTER_COLD inline interval_calibration calibrate(const interval_method& method, std::vector<double> levels,
                                                  const nested_fold& part, const interval_rows& known) {
  calibration_rows rows;
  rows.actual = of_rows(known.times, part.calibration_rows);
  rows.bands = part.calibration;
  rows.groups = of_rows(known.groups.codes, part.calibration_rows);
  rows.cells = of_rows(known.cells.codes, part.calibration_rows);
  rows.spread_cells = of_rows(known.spread.codes, part.calibration_rows);
  rows.scale = of_rows(known.scale, part.calibration_rows);
  return {method, std::move(levels), known.cells.names, known.spread.names, rows};
}

/// Means and deviations over folds.
RAFTER_COLD inline void summarise_folds(interval_result& made) {
  const auto folds = static_cast<double>(made.folds.size());
  double sum = 0.0, squares = 0.0, variance = 0.0;
  made.worst_coverage = 1.0, made.best_coverage = 0.0;
  for (const coverage_summary& one : made.folds) {
    sum += one.coverage();
    made.worst_coverage = std::min(made.worst_coverage, one.coverage());
    made.best_coverage = std::max(made.best_coverage, one.coverage());
  }
  made.mean_coverage = sum / folds;
  for (const coverage_summary& one : made.folds) {
    squares += (one.coverage() - made.mean_coverage) * (one.coverage() - made.mean_coverage);
    variance += made.mean_coverage * (1.0 - made.mean_coverage) / static_cast<double>(one.rows) / folds;
  }
  made.binomial_deviation = std::sqrt(variance);
  made.coverage_deviation =
      made.folds.size() > 1 ? std::sqrt(squares / (folds - 1.0)) : std::numeric_limits<double>::quiet_NaN();
  if (made.folds.size() < 2) return;
  const double half = student_quantile_above(0.025, folds - 1.0) * made.coverage_deviation / std::sqrt(folds);
  made.mean_limits = {made.mean_coverage, std::max(0.0, made.mean_coverage - half),
                      std::min(1.0, made.mean_coverage + half)};
}

}  // namespace detail

/// Intervals by one method from predictions that are there: calibrated in each fold by its training rows, tested on its
/// test rows.
/// @throws error when the bands are to stand as predicted, and are not of this level
RAFTER_COLD inline interval_result evaluate_intervals(const nested_predictions& predictions,
                                                      const interval_rows& known, const interval_method& method,
                                                      double level) {
  if (method.rule == conformal_rule::as_predicted && !(std::abs(predictions.band_level - level) < 1e-9)) {
    throw error("predictor '" + predictions.predictor + "' predicts no intervals of level " + std::to_string(level) +
                (predictions.band_level > 0.0 ? ", but of " + std::to_string(predictions.band_level) : ""));
  }
  interval_result made;
  made.predictor = predictions.predictor;
  made.calibration = predictions.calibration;
  made.method = method.text();
  made.rule = method.rule;
  made.exchangeable = known.exchangeable;
  made.random_calibration = predictions.random_calibration;
  made.level = level;
  std::vector<double> actual, predicted, lower, upper;
  std::vector<std::size_t> rows;
  std::vector<std::pair<std::string, std::vector<std::string>>> told;
  for (const nested_fold& part : predictions.folds) {
    const interval_calibration calibration = detail::calibrate(method, {level}, part, known);
    const std::size_t first = actual.size();
    for (std::size_t i = 0; i < part.test_rows.size(); ++i) {
      const std::size_t row = part.test_rows[i];
      const double scale = (known.scale.empty() ? 1.0 : known.scale[row]) *
                           calibration.spread(known.spread.codes.empty() ? 0 : known.spread.codes[row]);
      const time_limits limits = calibration.limits(part.test.lower[i], part.test.upper[i], scale,
                                                    known.cells.codes.empty() ? 0 : known.cells.codes[row], 0);
      rows.push_back(row);
      actual.push_back(known.times[row]);
      predicted.push_back(part.test.predicted[i]);
      lower.push_back(limits.lower);
      upper.push_back(limits.upper);
    }
    const auto tail = [&](const std::vector<double>& of) { return std::span<const double>(of).subspan(first); };
    made.folds.push_back(coverage_of(part.held_out, tail(actual), tail(predicted), tail(lower), tail(upper), level));
    for (const std::string& line : calibration.findings(false)) {
      const auto same = std::find_if(told.begin(), told.end(), [&](const auto& one) { return one.first == line; });
      if (same == told.end()) {
        told.push_back({line, {part.held_out}});
      } else {
        same->second.push_back(part.held_out);
      }
    }
  }
  for (const auto& [line, folds] : told) {
    std::string where;
    for (const std::string& one : folds) where += (where.empty() ? "held out: " : ", ") + one;
    made.findings.push_back(line + " (" + (folds.size() == predictions.folds.size() ? "every fold" : where) + ")");
  }
  made.all = coverage_of("all", actual, predicted, lower, upper, level);
  for (const auto& [by, cells] : known.breakdowns) {
    coverage_breakdown parts{by, {}};
    for (std::uint32_t code = 0; code < cells.names.size(); ++code) {
      std::vector<double> a, p, l, u;
      for (std::size_t i = 0; i < rows.size(); ++i) {
        if (cells.codes[rows[i]] != code) continue;
        a.push_back(actual[i]), p.push_back(predicted[i]), l.push_back(lower[i]), u.push_back(upper[i]);
      }
      if (!a.empty()) parts.parts.push_back(coverage_of(cells.names[code], a, p, l, u, level));
    }
    made.breakdowns.push_back(std::move(parts));
  }
  detail::summarise_folds(made);
  return made;
}

}  // namespace rafter
