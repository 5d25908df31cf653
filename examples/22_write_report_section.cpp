// A section of your own: a table and a plot that every kind of report shows. SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include "examples/data/embedded_steps.hpp"
#include "rafter/estimator/predictors.hpp"
#include "rafter/evaluation.hpp"
#include "rafter/io/rafter_steps.hpp"
#include "rafter/validation.hpp"

int main() {
  using namespace rafter;
  const auto data = parse_rafter_steps(rafter_data::embedded_steps(), "embedded:steps.csv");
  evaluation_report report = evaluate<predictors::blackbox, predictors::kernel9>(data, lomo{});
  text_table table({"<predictor", "<held out", "longest step us", "predicted us"});
  plot picture{"longest", "Longest steps", {"measured [us]"}, {"predicted [us]"}, {}, {}, ""};
  for (const predictor_result& one : report.results) {
    picture.series.push_back({one.predictor, series_style::points, {}, {}});
    for (const fold_result& fold : one.folds) {
      const auto& [rows, actual, predicted] = fold.predictions;
      const auto at = std::max_element(actual.begin(), actual.end()) - actual.begin();
      const double took = std::round(1e6 * actual.begin()[at]), said = std::round(1e6 * predicted.begin()[at]);
      table.add({one.predictor, fold.held_out, fmt::format("{}", took), fmt::format("{}", said)});
      picture.series.back().x.push_back(took);
      picture.series.back().y.push_back(said);
    }
  }
  report.sections.push_back({"longest", "Longest steps", "", {captioned_table{"", table}, picture}});
  std::cout << report;  // html_of, markdown_of and json_of show it too
}
