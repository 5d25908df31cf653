// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: includes Boost.Math's special functions and all diagnoses; for those who want the whole report.
#pragma once

#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "rafter/config.hpp"
#include "rafter/core/progress.hpp"
#include "rafter/evaluation/diagnostics/breakdown.hpp"
#include "rafter/evaluation/diagnostics/error_over_time.hpp"
#include "rafter/evaluation/diagnostics/extreme_errors.hpp"
#include "rafter/evaluation/diagnostics/hardware_sensitivity.hpp"
#include "rafter/evaluation/diagnostics/monotonicity.hpp"
#include "rafter/evaluation/diagnostics/overlap_audit.hpp"
#include "rafter/evaluation/diagnostics/plots.hpp"
#include "rafter/evaluation/diagnostics/probes.hpp"
#include "rafter/evaluation/evaluate.hpp"
#include "rafter/evaluation/report.hpp"
#include "rafter/evaluation/step_view.hpp"
#include "rafter/evaluation/uncertainty/metric_uncertainty.hpp"
#include "rafter/validation/fold.hpp"

namespace rafter {

struct diagnose_options {
  bootstrap_options bootstrap = {};
  /// What the others are compared with; empty: the best worst fold, picked by its errors.
  std::string reference = {};
  std::size_t threads = 1;      ///< 0: all of the machine. Results do not depend on it
  shown_predictors shown = {};  ///< in full, where a section cannot show all
  /// Of the source, one a row of the tested data: names extreme rows; may be empty.
  std::vector<std::size_t> lines = {};
  std::vector<sensitivity_report> parameters = {};  ///< see parameter_sensitivity; shown beside the hardware's
  /// What the predictors of a report of another file (`report.test`) were fitted on; null: what the two files share is
  /// not audited.
  const step_view* training = nullptr;
  progress_callback progress = {};
};

/// What estimators say that they choose by looking at errors, and on which rows. An estimator says it in a static
/// `tuned()`; of one that has none nothing is known.
RAFTER_COLD inline report_section tuning_section(const evaluation_report& report) {
  report_section made{"tuning", "What was tuned on what", "", {}};
  text_table table({"<predictor", "<chosen by looking at errors", "<on"});
  std::string silent;
  std::size_t silent_count = 0;
  for (const predictor_result& one : report.results) {
    if (one.folds.empty()) continue;
    if (one.tuned.empty()) {
      silent += (silent.empty() ? "" : ", ") + one.predictor;
      ++silent_count;
      continue;
    }
    const std::size_t comma = one.tuned.rfind(", ");
    const bool two = comma != std::string::npos;
    table.add({one.predictor, two ? one.tuned.substr(0, comma) : one.tuned, two ? one.tuned.substr(comma + 2) : ""});
  }
  if (!table.empty()) made.blocks.push_back(captioned_table{"what estimators say of themselves", std::move(table)});
  if (silent_count > 0) {
    made.blocks.push_back(paragraph{fmt::format("{} {} not say that anything is chosen by looking at errors.", silent,
                                                silent_count == 1 ? "does" : "do")});
  }
  made.blocks.push_back(
      paragraph{"Choices that the program makes inside a fit see training rows only. Choices made by whoever wrote a "
                "predictor's form, on this data or other, cannot be seen here."});
  return made;
}

/// Adds what can be said of kept predictions to a report: how sure the figures are, where the errors are, what extreme
/// ones have in common, whether they cancel over time, where more work is predicted to take less, what hardware figures
/// weigh, what training and test share, what was tuned on what, and the pictures of a page.
/// @param view   of the tested data
/// @param folds  that the report is of; their training rows are of the same data, or (`report.test`) of other data: then
///               what the two share is told from `options.training`
RAFTER_COLD inline void diagnose(evaluation_report& report, const step_view& view, const std::vector<fold>& folds,
                                 const diagnose_options& options = {}) {
  const plot_options pictures{.shown = options.shown};
  const class_axes classes = classes_of(view);
  constexpr std::size_t stages = 15;
  std::size_t done = 0;
  const auto add = [&](report_section section) {
    report.sections.push_back(std::move(section));
    if (options.progress) options.progress("diagnosing", ++done, stages);
  };
  add(uncertainty_section(metric_uncertainty(report, view, options.bootstrap, options.threads, options.reference)));
  add(predicted_against_measured_section(report, pictures));
  add(error_distribution_section(report, pictures));
  add(fold_section(report, pictures));
  add(roofline_section(view, pictures));
  add(breakdown_section(report, classes, options.shown));
  add(residual_section(report, view, pictures));
  add(extreme_error_section(report, classes, {.lines = options.lines}, options.shown));
  add(error_over_time_section(report, view, {}, options.shown));
  add(monotonicity_section(report, view));
  add(hardware_sensitivity_section(report, options.parameters));
  add(factor_stability_section(report, pictures));
  add(accuracy_against_parameters_section(report));
  if (report.test && options.training != nullptr) {
    add(overlap_section(overlap_audit(*options.training, view), report.split));
  } else if (report.test) {
    add({"overlap-audit",
         "What training and test share",
         "What training and test share was not audited.",
         {paragraph{"Not audited: the predictors were fitted on other data than they were tested on, and those are "
                    "not here to compare (diagnose_options::training)."}}});
  } else {
    add(overlap_section(overlap_audit(folds, view), report.split));
  }
  add(tuning_section(report));
}

/// `evaluate` and `diagnose` in one: the predictors are asked about changed rows too (more load, other hardware).
///
///   const auto report = evaluate_and_diagnose<predictors::roofline9, predictors::kernel9>(data, lomo{});
///   write_file("report.html", html_of(report));
/// @throws as evaluate
template <class... Estimators, dataset_schema Schema, split_policy Split>
RAFTER_COLD auto evaluate_and_diagnose(const dataset<Schema>& data, const Split& split,
                                       const evaluate_options& options = {}, diagnose_options more = {}) {
  const row_set all = row_set::all(data.size());
  probe_set<Schema> asked = load_probes(data, all);
  probe_set<Schema> hardware = hardware_probes(data, all);
  asked.probes.insert(asked.probes.end(), hardware.probes.begin(), hardware.probes.end());
  auto report = evaluate<Estimators...>(data, split, options, asked.probes);
  report.notes.insert(report.notes.end(), asked.notes.begin(), asked.notes.end());
  report.notes.insert(report.notes.end(), hardware.notes.begin(), hardware.notes.end());
  if (more.lines.empty()) {
    for (std::size_t row = 0; row < data.size(); ++row) more.lines.push_back(data.line(row));
  }
  diagnose(report, step_view_of(data), checked_folds(data, split), more);
  return report;
}

}  // namespace rafter
