// rafter-study: what can be said of predictions, whatever the schema. SPDX-License-Identifier: Apache-2.0
#include "diagnose.hpp"

#include <utility>

#include "rafter/evaluation/diagnose.hpp"
#include "rafter/evaluation/uncertainty/intervals_section.hpp"

namespace study {

void diagnose(rafter::evaluation_report& report, const rafter::step_view& view,
              const std::vector<rafter::fold>& folds, std::vector<std::size_t> lines, const more_results& more,
              const request& asked) {
  rafter::diagnose(report, view, folds,
                   {.threads = asked.threads,
                    .lines = std::move(lines),
                    .parameters = more.sensitivities,
                    .progress = asked.progress});
  if (!more.intervals.empty()) report.sections.push_back(rafter::intervals_section(more.intervals));
  if (!more.importances.empty()) report.sections.push_back(rafter::importance_section(more.importances));
  if (!more.curves.empty()) report.sections.push_back(rafter::learning_curve_section(more.curves));
  if (!more.ablations.empty()) report.sections.push_back(rafter::ablation_section(more.ablations));
}

}  // namespace study
