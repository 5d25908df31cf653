// rafter-study: what can be said of predictions, whatever the schema. SPDX-License-Identifier: Apache-2.0
#include "diagnose.hpp"

#include <utility>

#include "rafter/evaluation/diagnose.hpp"
#include "rafter/evaluation/uncertainty/intervals_section.hpp"

namespace study {

void diagnose(rafter::evaluation_report& report, const rafter::step_view& view,
              const std::vector<rafter::fold>& folds, std::vector<std::size_t> lines,
              const std::vector<rafter::interval_result>& intervals, const request& asked) {
  if (!intervals.empty()) report.sections.push_back(rafter::intervals_section(intervals));
  rafter::diagnose(report, view, folds,
                   {.threads = asked.threads, .lines = std::move(lines), .progress = asked.progress});
}

}  // namespace study
