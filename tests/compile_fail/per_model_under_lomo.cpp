// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: nothing_is_fitted_for_a_held_out_label_of<.*"model".*under_split<.*lomo>
#include "rafter/estimator/per.hpp"
#include "rafter/estimator/predictors.hpp"
#include "rafter/evaluation/evaluate.hpp"
#include "rafter/io/blis_steps.hpp"
#include "rafter/validation/leave_one_group_out.hpp"

using namespace rafter;

void study(const dataset<blis_schema>& data) {
#ifdef FIXED
  (void)evaluate<per<group::workload, predictors::blackbox>>(data, lomo{});
#else
  (void)evaluate<per<group::model, predictors::blackbox>>(data, lomo{});  // nothing is fitted for the held-out model
#endif
}
