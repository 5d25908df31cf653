// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "rafter/estimator/estimator.hpp"
#include "rafter/estimator/fitted_parameters.hpp"
#include "rafter/evaluation/plausibility.hpp"
#include "rafter/evaluation/section.hpp"
#include "rafter/metrics/error_summary.hpp"
#include "rafter/step/rows.hpp"

namespace rafter {

/// What a predictor said of rows, and what was measured: all that a diagnosis of errors looks at.
struct fold_predictions {
  row_set rows;                   ///< of the tested dataset, ascending
  std::vector<double> actual;     ///< [s], one a row
  std::vector<double> predicted;  ///< [s], one a row
};

/// Predictions for rows of a dataset that was made from the tested one by changing something of each row.
struct probe_predictions {
  std::string probe;
  row_set rows;                   ///< some of the fold's tested rows
  std::vector<double> predicted;  ///< [s], of the changed rows
  std::string refused;            ///< why there are none
};

/// One predictor on one fold: what was held out, what the fit said, and the errors on the test rows.
struct fold_result {
  std::string held_out;
  std::size_t train_rows = 0;
  std::size_t rows = 0;
  fit_summary fit;
  error_summary errors;  ///< fractions; of predictions against the measured times of the test rows
  std::vector<fitted_parameter> parameters = {};  ///< of a parametric model; else empty
  std::vector<std::string> findings = {};         ///< what a reader of the fit should know, a line each
  fold_predictions predictions = {};              ///< of the test rows; empty when they were not to be kept
  std::vector<probe_predictions> probes = {};     ///< in the order in which they were asked for
};

/// What the error of a parametric model on held-out rows is made of; see split_errors. All three errors are of the
/// same rows, fractions as in any error_summary.
struct error_split {
  std::string held_out;
  std::size_t rows = 0;
  error_summary transferred;  ///< fitted on the training rows: what the evaluation reports
  error_summary uncorrected;  ///< the same form with every parameter at its start: nothing fitted
  error_summary refitted;     ///< the same form fitted on the tested rows themselves: what it cannot express at all
  std::string refused;        ///< why the form cannot be fitted on the tested rows; `refitted` is undefined then

  double backbone_error() const { return refitted.mape; }
  /// What did not transfer. Negative where the fit on other rows happens to have the lower MAPE, which is not what an
  /// objective makes small.
  double correction_error() const { return transferred.mape - refitted.mape; }
};

/// One predictor under one split. Averages over folds are unweighted; the worst fold comes first.
struct predictor_result {
  std::string predictor;    ///< short name
  std::string description;  ///< what was fitted, in words
  std::vector<fold_result> folds;
  std::string tuned =
      {};  ///< what was chosen by looking at errors, and on which rows, by the estimator's own account; empty: it says nothing
  std::optional<error_split> split = std::nullopt;  ///< of the worst fold, when it was asked for
  std::string refused;  ///< why there are no folds: what the predictor needs and the data or the split denies

  /// Fold with the largest MAPE (a fold with undefined errors is worse than any other); null without folds.
  const fold_result* worst() const {
    const fold_result* found = nullptr;
    for (const fold_result& one : folds) {
      const bool unknown = std::isnan(one.errors.mape);
      if (found == nullptr || (unknown && !std::isnan(found->errors.mape)) || one.errors.mape > found->errors.mape) {
        found = &one;
      }
    }
    return found;
  }
  double worst_mape() const { return folds.empty() ? undefined : worst()->errors.mape; }
  double mean_mape() const {
    double sum = 0.0;
    for (const fold_result& one : folds) sum += one.errors.mape;
    return folds.empty() ? undefined : sum / static_cast<double>(folds.size());
  }
  double median_mape() const {
    std::vector<double> sorted;
    for (const fold_result& one : folds) {
      if (std::isnan(one.errors.mape)) return undefined;
      sorted.push_back(one.errors.mape);
    }
    if (sorted.empty()) return undefined;
    std::sort(sorted.begin(), sorted.end());
    const std::size_t half = sorted.size() / 2;
    return sorted.size() % 2 == 1 ? sorted[half] : 0.5 * (sorted[half - 1] + sorted[half]);
  }
  /// Nominal parameters, and the fewest that any fold's training rows determined.
  std::size_t parameters() const {
    std::size_t most = 0;
    for (const fold_result& one : folds) most = std::max(most, one.fit.parameters);
    return most;
  }
  std::size_t identifiable() const {
    std::size_t fewest = folds.empty() ? 0 : folds.front().fit.identifiable;
    for (const fold_result& one : folds) fewest = std::min(fewest, one.fit.identifiable);
    return fewest;
  }

 private:
  static constexpr double undefined = std::numeric_limits<double>::quiet_NaN();
};

/// What an evaluation was made on and what it found.
struct evaluation_report {
  std::string source;  ///< where the data came from
  std::string schema;
  std::string digest;       ///< SHA-256 of the data's content, wherever it was read from; empty when not asked for
  std::string file_sha256;  ///< of the file that it was read from; empty when not asked for
  std::size_t rows = 0;
  std::size_t idle_rows = 0;
  std::string target;
  std::string split;        ///< short name
  std::string split_title;  ///< in words
  plausibility_report plausibility;
  /// Other data that the predictors were tested on, where that is not a part of the same data.
  struct test_data {
    std::string source;
    std::size_t rows = 0;
    std::string digest;
    std::string file_sha256;
    plausibility_report plausibility;
  };
  std::optional<test_data> test;
  std::vector<predictor_result> results;
  std::vector<report_section> sections;  ///< in the order in which they are shown, after the results
  std::vector<std::string> notes;        ///< of the data: what was left out or merged, and why

  const predictor_result* find(std::string_view predictor) const {
    for (const predictor_result& one : results) {
      if (one.predictor == predictor) return &one;
    }
    return nullptr;
  }
};

}  // namespace rafter
