// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "rafter/evaluation/parameter_table.hpp"
#include "rafter/evaluation/report.hpp"

namespace rafter {

/// The report as JSON; percentages as numbers (10.0 = 10 %), times in microseconds, undefined values as null:
///
///   {"data": {"path", "rows", "schema", "sha256" (of the file), "content_sha256", "plausibility": {"audited", "share_below_floor", "groups": […], …}},
///    "split", "target",
///    "results": [{"predictor", "description", "parameters", "identifiable", "folds": [{"held_out", "rows", "mape",
///      "mspe_signed", "median_ape", "p90_ape", "p99_ape", "share_above_50", "pearson_r", …}],
///      "worst_fold_mape", "mean_fold_mape", "median_fold_mape"}], "not_evaluated": […], "notes": […]}
///
/// Results of parametric predictors have more. Each fold: "fitted_parameters": [{"name", "unit", "value",
/// "standard_error", "state"}] and "findings". The result: "stability": [{"name", "unit", "mean",
/// "standard_deviation", "coefficient_of_variation", "smallest", "largest", "stable", "state"}], "findings":
/// {"every_fold", "worst_fold"} and, where it was asked for, "worst_fold_split": {"held_out", "rows", "mape",
/// "mspe_signed", "uncorrected_mape", …, "refitted_mape", …, "correction_mape"}. Values of parameters are in base units
/// (seconds), not in microseconds; "stable" is null where the data do not say. Other predictors that have something to say
/// of their fits have "findings" too.
inline nlohmann::ordered_json json_of(const evaluation_report& report) {
  using json = nlohmann::ordered_json;
  const auto number = [](double value) { return std::isfinite(value) ? json(value) : json(nullptr); };
  const auto percent = [&](double fraction) { return number(100.0 * fraction); };

  const auto audit_of = [&](const plausibility_report& audit) {
    json plausibility = {{"audited", audit.audited}, {"verdict", audit.verdict()}};
    if (audit.audited) {
      plausibility["share_below_floor"] = percent(audit.all.share_below());
      plausibility["rows"] = audit.all.rows;
      plausibility["rows_below_floor"] = audit.all.below;
      plausibility["lowest_time_over_floor"] = number(audit.all.lowest_ratio);
      plausibility["median_time_over_floor"] = number(audit.all.median_ratio);
      plausibility["idle_rows"] = audit.idle;
      plausibility["groups"] = json::array();
      for (const plausibility_group& group : audit.groups) {
        plausibility["groups"].push_back({{"label", group.label},
                                          {"rows", group.rows},
                                          {"share_below_floor", percent(group.share_below())},
                                          {"lowest_time_over_floor", number(group.lowest_ratio)},
                                          {"median_time_over_floor", number(group.median_ratio)},
                                          {"median_floor_us", number(group.median_floor * 1e6)}});
      }
      plausibility["worst_rows"] = json::array();
      for (const implausible_row& row : audit.worst) {
        plausibility["worst_rows"].push_back(
            {{"row", row.row}, {"line", row.line}, {"time_us", row.time * 1e6}, {"floor_us", row.floor * 1e6}});
      }
    } else {
      plausibility["missing_observable"] = audit.why_not;
    }
    return plausibility;
  };

  json out = {{"data",
               {{"path", report.source},
                {"rows", report.rows},
                {"schema", report.schema},
                {"sha256", report.file_sha256},
                {"content_sha256", report.digest},
                {"plausibility", audit_of(report.plausibility)}}},
              {"split", report.split},
              {"target", report.target},
              {"results", json::array()},
              {"not_evaluated", json::array()},
              {"notes", report.notes}};
  if (report.test) {
    out["data"]["test"] = {{"path", report.test->source},
                           {"rows", report.test->rows},
                           {"sha256", report.test->file_sha256},
                           {"content_sha256", report.test->digest},
                           {"plausibility", audit_of(report.test->plausibility)}};
  }
  for (const predictor_result& result : report.results) {
    if (result.folds.empty()) {
      out["not_evaluated"].push_back({{"predictor", result.predictor}, {"reason", result.refused}});
      continue;
    }
    json folds = json::array();
    for (const fold_result& one : result.folds) {
      const error_summary& e = one.errors;
      folds.push_back({{"held_out", one.held_out},
                       {"rows", one.rows},
                       {"train_rows", one.train_rows},
                       {"mape", percent(e.mape)},
                       {"mspe_signed", percent(e.mean_signed_percentage_error)},
                       {"median_ape", percent(e.median_ape)},
                       {"p90_ape", percent(e.p90_ape)},
                       {"p99_ape", percent(e.p99_ape)},
                       {"share_above_50", percent(e.share_above_half)},
                       {"pearson_r", number(e.pearson)},
                       {"spearman", number(e.spearman)},
                       {"r2", number(e.r2)},
                       {"rmse_us", number(e.rmse * 1e6)},
                       {"mae_us", number(e.mae * 1e6)},
                       {"log_ratio_rmse", number(e.log_ratio_rmse)},
                       {"cancellation", percent(e.cancellation)},
                       {"zero_times_left_out", e.zero_actual},
                       {"not_finite", e.not_finite},
                       {"parameters", one.fit.parameters},
                       {"identifiable", one.fit.identifiable},
                       {"status", one.fit.status}});
      json& fold = folds.back();
      if (!one.parameters.empty()) fold["fitted_parameters"] = json::array();
      for (const fitted_parameter& each : one.parameters) {
        fold["fitted_parameters"].push_back({{"name", each.name},
                                             {"unit", each.unit},
                                             {"value", number(each.value)},
                                             {"standard_error", number(each.standard_error)},
                                             {"state", std::string(text_of(each.state))}});
      }
      if (!one.parameters.empty() || !one.findings.empty()) fold["findings"] = one.findings;
    }
    out["results"].push_back({{"predictor", result.predictor},
                              {"description", result.description},
                              {"parameters", result.parameters()},
                              {"identifiable", result.identifiable()},
                              {"folds", folds},
                              {"worst_fold", result.worst()->held_out},
                              {"worst_fold_mape", percent(result.worst_mape())},
                              {"mean_fold_mape", percent(result.mean_mape())},
                              {"median_fold_mape", percent(result.median_mape())}});
    json& made = out["results"].back();
    const fit_findings found = findings_of(result);
    if (is_parametric(result)) made["stability"] = json::array();
    for (const parameter_stability& one : stability_of(result)) {
      made["stability"].push_back({{"name", one.name},
                                   {"unit", one.unit},
                                   {"mean", number(one.mean)},
                                   {"standard_deviation", number(one.deviation)},
                                   {"coefficient_of_variation", number(one.variation)},
                                   {"smallest", number(one.smallest)},
                                   {"largest", number(one.largest)},
                                   {"stable", one.comparable() ? json(one.stable()) : json(nullptr)},
                                   {"state", one.states()}});
    }
    if (is_parametric(result) || !found.every_fold.empty() || !found.worst.empty()) {
      made["findings"] = {{"every_fold", found.every_fold}, {"worst_fold", found.worst}};
    }
    if (result.split) {
      const error_split& split = *result.split;
      made["worst_fold_split"] = {
          {"held_out", split.held_out},
          {"rows", split.rows},
          {"mape", percent(split.transferred.mape)},
          {"mspe_signed", percent(split.transferred.mean_signed_percentage_error)},
          {"uncorrected_mape", percent(split.uncorrected.mape)},
          {"uncorrected_mspe_signed", percent(split.uncorrected.mean_signed_percentage_error)},
          {"refitted_mape", percent(split.refitted.mape)},
          {"refitted_mspe_signed", percent(split.refitted.mean_signed_percentage_error)},
          {"correction_mape", percent(split.correction_error())}};
      if (!split.refused.empty()) made["worst_fold_split"]["refused"] = split.refused;
    }
  }
  return out;
}

}  // namespace rafter
