// A step time with an interval, for a model that was not fitted on, and how often such intervals hold.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <iostream>

#include "examples/data/embedded_steps.hpp"
#include "rafter/estimator/predictors.hpp"
#include "rafter/evaluation.hpp"
#include "rafter/evaluation/uncertainty/conformal.hpp"
#include "rafter/io/rafter_steps.hpp"
#include "rafter/validation.hpp"

int main() {
  using namespace rafter;
  const auto data = parse_rafter_steps(rafter_data::embedded_steps(), "embedded:steps.csv");
  const auto folds = checked_folds(data, lomo{});
  using with_intervals = conformal<predictors::kernel9, lomo>;  // calibrated by models left out in the training rows
  for (const fold& part : folds) {
    const auto fitted = with_intervals::fit(data, part.train);
    const row_set first = row_set::of({part.test.ranges().front().begin});
    double time = 0.0, lower = 0.0, upper = 0.0;
    fitted.predict(data, first, std::span(&time, 1));
    fitted.intervals(data, first, 0.5, std::span(&lower, 1), std::span(&upper, 1));
    std::cout << fmt::format("{}: {:.0f} us, half of such steps between {:.0f} and {:.0f}\n", part.held_out,
                             1e6 * time, 1e6 * lower, 1e6 * upper);
  }
  const auto held = evaluate_intervals<predictors::kernel9, lomo>(data, folds, 0.5);
  std::cout << fmt::format("intervals of 50 % hold {:.1f} % of the held-out steps\n", 100.0 * held.all.coverage());
}
