// Physics corrected by trees, beside trees alone: where a model, and where a workload was never seen. SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include "examples/data/embedded_steps.hpp"
#include "rafter/evaluation/evaluate.hpp"
#include "rafter/evaluation/hybrid.hpp"
#include "rafter/evaluation/tree_predictors.hpp"
#include "rafter/io/rafter_steps.hpp"
#include "rafter/validation/leave_one_group_out.hpp"

using namespace rafter;

// Nine parameters leave structure that trees can learn. The inner split asks, within the training rows, what the outer
// one will ask: does the correction carry over to models, or to workloads, that it did not see? If not, it is not used.
struct for_models : hybrid<predictors::roofline9, catalog::correction, correcting_boosting, lomo> {
  static constexpr std::string_view label = "corrected";
};
struct for_workloads : hybrid<predictors::roofline9, catalog::correction, correcting_boosting, lowo> {
  static constexpr std::string_view label = "corrected";
};
// Trees on a feature that names the model do not compile under lomo: "rafter: this feature identifies the groups that
// the split holds out; say without_identity<"model">(set), or that axis".
static_assert(!transfers_under<predictors::trees30, lomo> && transfers_under<for_models, lomo>);

template <class Report> void tell(const Report& report) {
  fmt::print("{}\n", report.split);
  for (const predictor_result& one : report.results) {
    fmt::print("  {}: worst fold {:.2f} %, mean {:.2f} %\n", one.predictor, 100 * one.worst_mape(),
               100 * one.mean_mape());
  }
  for (const fold_result& fold : report.results.back().folds) {
    fmt::print("    without {}: {}\n", fold.held_out, fold.findings.front());
  }
}

int main() {
  const auto data = parse_rafter_steps(rafter_data::embedded_steps(), "embedded:steps.csv");
  tell(evaluate<predictors::trees30_anonymous, predictors::roofline9, for_models>(data, lomo{}));
  tell(evaluate<predictors::trees30, predictors::roofline9, for_workloads>(data, lowo{}));
}
