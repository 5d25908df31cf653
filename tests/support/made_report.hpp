// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <limits>
#include <string>
#include <utility>

#include "rafter/evaluation/report.hpp"

/// A report whose numbers are simple binary fractions, with everything in it that a report can say.
namespace tiny {

inline rafter::fold_result fold_of(std::string held_out, double mape) {
  rafter::fold_result made;
  made.held_out = std::move(held_out);
  made.train_rows = 12345;
  made.rows = 678;
  made.fit.rows = 12345;
  made.fit.parameters = 31;
  made.fit.identifiable = 21;
  made.errors.rows = 678;
  made.errors.mape = mape;
  made.errors.mean_signed_percentage_error = mape / 4;
  made.errors.cancellation = 0.75;
  made.errors.median_ape = mape / 2;
  made.errors.p90_ape = mape * 2;
  made.errors.p99_ape = mape * 4;
  made.errors.share_above_half = 0.125;
  made.errors.pearson = 0.5;
  made.errors.rmse = 1.5e-3;
  made.errors.mae = 1e-3;
  return made;
}

inline rafter::fitted_parameter parameter_of(std::string name, std::string unit, double value, double standard_error,
                                             rafter::parameter_state state, std::string note = {}) {
  return {.name = std::move(name),
          .unit = std::move(unit),
          .value = value,
          .standard_error = standard_error,
          .lower = 0.0,
          .upper = 100.0,
          .state = state,
          .note = std::move(note)};
}

/// A parametric predictor on two folds, the second of them the worse.
inline rafter::predictor_result parametric_result(std::string name = "roofline") {
  using enum rafter::parameter_state;
  constexpr double infinite = std::numeric_limits<double>::infinity();
  rafter::predictor_result made;
  made.predictor = std::move(name);
  made.description = "5 parameters, log ratio, trust region";
  made.folds = {fold_of("chat|7b", 0.25), fold_of("code", 0.5)};
  for (rafter::fold_result& one : made.folds) {
    one.fit.parameters = 5;
    one.fit.identifiable = 4;
    one.fit.status = "converged: cost; 4 of 5 parameters identifiable";
  }
  made.folds[1].fit.identifiable = 3;
  made.folds[0].parameters = {parameter_of("steady", "1", 0.75, 0.01, determined),
                              parameter_of("wild", "1", 1.0, 0.01, determined),
                              parameter_of("overhead", "s", 250e-6, 1e-6, determined),
                              parameter_of("limited", "1", 100.0, 0.0, at_upper_bound),
                              parameter_of("gone", "1", 0.5, infinite, dead, "kv_sum 0 on every training row")};
  made.folds[1].parameters = {parameter_of("steady", "1", 0.5, 0.01, determined),
                              parameter_of("wild", "1", 4.0, 0.01, determined),
                              parameter_of("overhead", "s", 750e-6, 1e-6, determined),
                              parameter_of("limited", "1", 60.0, infinite, undetermined),
                              parameter_of("gone", "1", 0.5, infinite, dead, "kv_sum 0 on every training row")};
  made.folds[0].findings = {"gone has no effect on any training row", "limited is at its upper bound 100"};
  made.folds[1].findings = {"gone has no effect on any training row", "only wild/limited is determined"};
  rafter::error_split split;
  split.held_out = "code";
  split.rows = 678;
  split.transferred = made.folds[1].errors;
  split.uncorrected = fold_of("code", 2.0).errors;
  split.refitted = fold_of("code", 0.125).errors;
  made.split = split;
  return made;
}

inline rafter::evaluation_report made_report() {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  rafter::evaluation_report report;
  report.source = "steps.csv";
  report.schema = "blis_steps";
  report.rows = 20112;
  report.idle_rows = 2;
  report.target = "logged_duration";
  report.split = "temporal";
  report.split_title = "later steps of the same experiment";
  report.plausibility.audited = true;
  report.plausibility.target = "logged_duration";
  report.plausibility.axis = "experiment";
  report.plausibility.all = {"all", 20110, 100, 0.5, 4.0, 0.0125};
  report.plausibility.groups = {{"chat|7b", 10055, 100, 0.5, 3.0, 0.0125}, {"code", 10055, 0, 1.5, 5.0, 0.00005}};
  report.plausibility.worst = {{17, 19, 0.0001, 0.0125}};
  report.plausibility.idle = 2;

  rafter::predictor_result good;
  good.predictor = "ridge30";
  good.description = "ridge, alpha 1 on 30 features";
  good.folds = {fold_of("chat|7b", 0.25), fold_of("code", 0.5)};
  rafter::predictor_result hidden;
  hidden.predictor = "blackbox";
  hidden.description = "ordinary least squares on 2 features";
  hidden.folds = {fold_of("chat|7b", 1.0), fold_of("code", 0.125)};
  hidden.folds[0].errors.cancellation = 0.96875;
  hidden.folds[0].errors.mean_signed_percentage_error = -0.03125;
  hidden.folds[1].fit.healthy = false;
  hidden.folds[1].fit.status = "rank deficient";
  rafter::predictor_result broken;
  broken.predictor = "broken";
  broken.description = "predicts what is not a number";
  broken.folds = {fold_of("chat|7b", 0.0625), fold_of("code", nan)};
  broken.folds[1].errors = {};
  broken.folds[1].errors.not_finite = 3;
  rafter::predictor_result refused;
  refused.predictor = "roofline9";
  refused.refused = "the schema lacks 'requests'";
  report.results = {broken, refused, hidden, good};
  report.notes = {"2 rows were refused and are not in the data"};
  return report;
}

/// A section with a block of each kind, and texts as files have them.
inline rafter::report_section made_section(const std::string& hostile = "a <b>bold</b> & \"quoted\" 'name'") {
  using namespace rafter;
  text_table table({"<" + hostile, "MAPE %"});
  table.add({hostile, table_cell("12.50", 12.5)});
  table.add({"total", "-"});
  plot scatter;
  scatter.id = "predicted-measured";
  scatter.title = "Predicted against measured: " + hostile;
  scatter.x = {"measured [ms] " + hostile, true};
  scatter.y = {"predicted [ms]", true};
  scatter.series = {{hostile, series_style::points, {1.0, 2.0, 4.123456789}, {1.5, 2.5, 3.5}},
                    {"as measured", series_style::lines, {1.0, 4.0}, {1.0, 4.0}}};
  scatter.note = "3 of 3 points " + hostile;
  plot bars;
  bars.id = "folds";
  bars.title = "MAPE of each fold";
  bars.y = {"MAPE [%]", false};
  bars.series = {{"ridge30", series_style::bars, {}, {25.0, 50.0}}, {"best", series_style::bars, {}, {5.0, 10.0}}};
  bars.categories = {"chat|7b", hostile};
  return {"made",
          "Made " + hostile,
          "One sentence: " + hostile,
          {paragraph{hostile}, bullet_list{{"first", hostile}}, captioned_table{hostile, table, false},
           captioned_table{"a wide one", table, true}, scatter, bars}};
}

}  // namespace tiny
