// rafter-study: what can be said of predictions, whatever the schema. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "rafter/evaluation/report.hpp"
#include "rafter/evaluation/step_view.hpp"
#include "rafter/evaluation/uncertainty/interval_coverage.hpp"
#include "rafter/validation/fold.hpp"
#include "study.hpp"

namespace study {

/// Adds the diagnoses to the report. Compiled once.
void diagnose(rafter::evaluation_report& report, const rafter::step_view& view,
              const std::vector<rafter::fold>& folds, std::vector<std::size_t> lines,
              const std::vector<rafter::interval_result>& intervals, const request& asked);

}  // namespace study
