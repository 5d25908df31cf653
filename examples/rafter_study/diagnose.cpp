// rafter-study: what can be said of predictions, whatever the schema. SPDX-License-Identifier: Apache-2.0
#include "diagnose.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "rafter/evaluation/diagnose.hpp"
#include "rafter/evaluation/hypothesis.hpp"
#include "rafter/evaluation/uncertainty/intervals_section.hpp"

namespace study {
namespace {

/// A rule of thumb for predictors that are asked about groups never seen: thresholds as in the fifth hypothesis of a
/// public study (docs/study.md). Claims of your own: docs/evaluation/hypotheses.md.
rafter::report_section judged(const rafter::evaluation_report& report, const rafter::step_view& view) {
  using namespace rafter::hypotheses;
  std::vector<verdict> verdicts;
  for (const char* name : {"best", "hybrid", "kernel9", "roofline9", "trees"}) {
    if (report.find(name) == nullptr) continue;
    const condition close = every_fold(mape < 20_pct);
    const condition claimed = report.find("blackbox") != nullptr ? close && better_than("blackbox") : close;
    verdicts.push_back(judge({.name = std::string("rule of thumb, ") + name,
                              .claim = std::string("within 20 % on every fold") +
                                       (report.find("blackbox") != nullptr ? ", and better than a blackbox" : ""),
                              .supported_if = under(report.split, of(name, claimed)),
                              .refuted_if = under(report.split, of(name, any_fold(mape > 30_pct)))},
                             evidence{{report.split, &report, &view}}));
  }
  return hypotheses_section(verdicts);
}

/// The best worst fold and predictors of other kinds, for pictures that show some: the best few are often of one kind.
/// None: the best few.
rafter::shown_predictors of_each_kind(const rafter::evaluation_report& report) {
  rafter::shown_predictors shown;
  const auto add = [&](const rafter::predictor_result* one) {
    if (one == nullptr || one->folds.empty() || shown.names.size() == 4) return;
    if (std::find(shown.names.begin(), shown.names.end(), one->predictor) == shown.names.end()) {
      shown.names.push_back(one->predictor);
    }
  };
  const rafter::predictor_result* winner = nullptr;
  for (const rafter::predictor_result& one : report.results) {
    if (!one.folds.empty() && (winner == nullptr || one.worst_mape() < winner->worst_mape())) winner = &one;
  }
  add(winner);
  for (const char* name : {"best", "kernel9", "roofline9", "trees", "ridge30", "blackbox"}) add(report.find(name));
  if (shown.names.size() < 3) shown.names.clear();
  return shown;
}

}  // namespace

void diagnose(rafter::evaluation_report& report, const rafter::step_view& view, const rafter::step_view* training,
              const std::vector<rafter::fold>& folds, std::vector<std::size_t> lines, const more_results& more,
              bool groups_held_out, const request& asked) {
  if (groups_held_out) report.sections.push_back(judged(report, view));
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
