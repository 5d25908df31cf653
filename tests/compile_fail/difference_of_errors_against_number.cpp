// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: rafter: a relative error and a share are compared with a percentage: write 20_pct
#include "rafter/evaluation/hypothesis/condition.hpp"
#include "rafter/evaluation/hypothesis/quantity.hpp"

using namespace rafter::hypotheses;

const auto points = of("a", mean_over_folds(mape)) - of("b", mean_over_folds(mape));
#ifdef FIXED
const condition alike = points <= 2_pct;
#else
const condition alike = points <= 0.02;
#endif
