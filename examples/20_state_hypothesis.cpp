// A claim with what would show it right and what wrong, said before the evaluation. SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include "examples/data/embedded_steps.hpp"
#include "rafter/estimator/predictors.hpp"
#include "rafter/evaluation/evaluate.hpp"
#include "rafter/evaluation/hypothesis.hpp"
#include "rafter/io/rafter_steps.hpp"
#include "rafter/validation.hpp"

int main() {
  using namespace rafter::hypotheses;
  const auto data = rafter::parse_rafter_steps(rafter_data::embedded_steps(), "embedded:steps.csv");
  const auto report =
      rafter::evaluate<rafter::predictors::blackbox, rafter::predictors::roofline9>(data, rafter::lomo{});
  const auto view = rafter::step_view_of(data);

  const hypothesis transfers{
      .name = "transfer",
      .claim = "nine parameters carry over to models never seen",
      .supported_if = under("lomo", of("roofline9", every_fold(mape < 20_pct) && better_than("blackbox") &&
                                                        coefficient_of_variation(factors) < 0.3)),
      .refuted_if = under("lomo", of("roofline9", any_fold(mape > 40_pct))),
      .success_metric = under("lomo", of("roofline9", count_of(labels_of(group::model, group::workload),
                                                               mape < 10_pct && abs(mspe) < 5_pct) >= 12))};
  const verdict found = judge(transfers, evidence{{"lomo", &report, &view}});
  std::cout << rafter::text_of(found);
}
