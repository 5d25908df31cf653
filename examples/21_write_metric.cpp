// A metric of your own in the report: by how much would a deadline be missed? SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include "examples/data/embedded_steps.hpp"
#include "rafter/estimator/predictors.hpp"
#include "rafter/evaluation.hpp"
#include "rafter/io/rafter_steps.hpp"
#include "rafter/validation.hpp"

struct late_steps {  // share of the steps that take over 10 % longer than predicted
  static constexpr std::string_view name = "late_steps", label = "steps that are late by more than 10 %";
  static constexpr bool higher_is_better = false;
  static constexpr double ideal = 0.0;
  static constexpr auto unit = rafter::metric_unit::percent;
  static double evaluate(std::span<const double> actual, std::span<const double> predicted) {
    double late = 0.0;
    for (std::size_t i = 0; i < actual.size(); ++i) late += actual[i] > 1.1 * predicted[i];
    return late / static_cast<double>(actual.size());
  }
};
static_assert(rafter::metric<late_steps>);

int main() {
  const auto data = rafter::parse_rafter_steps(rafter_data::embedded_steps(), "embedded:steps.csv");
  auto report = rafter::evaluate<rafter::predictors::blackbox, rafter::predictors::best>(data, rafter::lomo{});
  report.sections.push_back(rafter::metric_section<late_steps, rafter::log_ratio_rmse>(report));
  std::cout << report;
}
