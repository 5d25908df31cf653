// rafter-study: what can be said of predictions, whatever the schema. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "rafter/evaluation/diagnostics/ablation_result.hpp"
#include "rafter/evaluation/diagnostics/hardware_sensitivity.hpp"
#include "rafter/evaluation/diagnostics/importance_stability.hpp"
#include "rafter/evaluation/diagnostics/learning_curve.hpp"
#include "rafter/evaluation/report.hpp"
#include "rafter/evaluation/step_view.hpp"
#include "rafter/evaluation/uncertainty/interval_coverage.hpp"
#include "rafter/validation/fold.hpp"
#include "study.hpp"

namespace study {

/// What predictors were asked beside their predictions.
struct more_results {
  std::vector<rafter::interval_result> intervals;
  std::vector<rafter::sensitivity_report> sensitivities;
  std::vector<std::pair<std::string, rafter::importance_stability_result>> importances;
  std::vector<rafter::learning_curve_result> curves;
  std::vector<rafter::ablation_result> ablations;
};

/// Adds the diagnoses to the report. Compiled once.
/// @param groups_held_out  does the split ask about models, workloads, … never seen?
/// @param training  the data that predictors were fitted on, where that is not the tested data; else null
void diagnose(rafter::evaluation_report& report, const rafter::step_view& view, const rafter::step_view* training,
              const std::vector<rafter::fold>& folds, std::vector<std::size_t> lines, const more_results& more,
              bool groups_held_out, const request& asked);

}  // namespace study
