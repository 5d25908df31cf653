// Three predictors of step time, each tested on models that it was not fitted on. SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include "examples/data/embedded_steps.hpp"
#include "rafter/estimator/predictors.hpp"
#include "rafter/evaluation.hpp"
#include "rafter/io/rafter_steps.hpp"
#include "rafter/validation.hpp"

int main() {
  using namespace rafter;
  using namespace rafter::predictors;
  const auto data = parse_rafter_steps(rafter_data::embedded_steps(), "embedded:steps.csv");
  std::cout << evaluate<blackbox, ridge30_anonymous, roofline0>(data, lomo{});
}
