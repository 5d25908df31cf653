// rafter-study: what can be said of predictions, whatever the schema. SPDX-License-Identifier: Apache-2.0
#include "diagnose.hpp"

#include <string>
#include <utility>
#include <vector>

#include "rafter/evaluation/diagnose.hpp"
#include "rafter/evaluation/hypothesis.hpp"
#include "rafter/evaluation/uncertainty/intervals_section.hpp"

namespace study {
namespace {

/// The study's question, asked of each predictor that claims to say something of what it has not seen; thresholds as in
/// its fifth hypothesis (docs/study.md).
rafter::report_section judged(const rafter::evaluation_report& report, const rafter::step_view& view) {
  using namespace rafter::hypotheses;
  std::vector<verdict> verdicts;
  for (const char* name : {"best", "hybrid", "kernel9", "roofline9", "trees"}) {
    if (report.find(name) == nullptr) continue;
    const condition close = every_fold(mape < 20_pct);
    const condition claimed = report.find("blackbox") != nullptr ? close && better_than("blackbox") : close;
    verdicts.push_back(judge({.name = std::string("transfer of ") + name,
                              .claim = std::string("within 20 % on every fold") +
                                       (report.find("blackbox") != nullptr ? ", and better than a blackbox" : ""),
                              .supported_if = under(report.split, of(name, claimed)),
                              .refuted_if = under(report.split, of(name, any_fold(mape > 30_pct)))},
                             evidence{{report.split, &report, &view}}));
  }
  return hypotheses_section(verdicts);
}

/// Predictors of different kinds, for pictures that show some: the best few are often of one kind. None: the best few.
rafter::shown_predictors of_each_kind(const rafter::evaluation_report& report) {
  rafter::shown_predictors shown;
  for (const char* name : {"best", "kernel9", "roofline9", "trees", "ridge30", "blackbox"}) {
    const rafter::predictor_result* const one = report.find(name);
    if (one != nullptr && !one->folds.empty() && shown.names.size() < 4) shown.names.emplace_back(name);
  }
  if (shown.names.size() < 3) shown.names.clear();
  return shown;
}

}  // namespace

void diagnose(rafter::evaluation_report& report, const rafter::step_view& view, const rafter::step_view* training,
              const std::vector<rafter::fold>& folds, std::vector<std::size_t> lines, const more_results& more,
              const request& asked) {
  rafter::report_section verdicts = judged(report, view);
  if (!verdicts.blocks.empty()) report.sections.push_back(std::move(verdicts));
  std::string reference = asked.reference;
  if (const rafter::predictor_result* one = report.find(reference); !reference.empty() && one->folds.empty()) {
    report.notes.push_back("compared with the best worst fold, for " + reference + " was not evaluated");
    reference.clear();
  }
  rafter::diagnose(report, view, folds,
                   {.reference = reference,
                    .threads = asked.threads,
                    .shown = of_each_kind(report),
                    .lines = std::move(lines),
                    .parameters = more.sensitivities,
                    .training = training,
                    .progress = asked.progress});
  if (!more.intervals.empty()) report.sections.push_back(rafter::intervals_section(more.intervals));
  if (!more.importances.empty()) report.sections.push_back(rafter::importance_section(more.importances));
  if (!more.curves.empty()) report.sections.push_back(rafter::learning_curve_section(more.curves));
  if (!more.ablations.empty()) report.sections.push_back(rafter::ablation_section(more.ablations));
}

}  // namespace study
