// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: intervals for a new group need a calibration that holds whole groups out
#include "rafter/estimator/predictors.hpp"
#include "rafter/evaluation/uncertainty/conformal.hpp"
#include "rafter/io/blis_steps.hpp"
#include "rafter/validation/k_fold.hpp"
#include "rafter/validation/leave_one_group_out.hpp"

using namespace rafter;
using namespace rafter::predictors;

void study(const dataset<blis_schema>& data) {
#ifdef FIXED
  (void)conformal<blackbox, lomo>::fit(data, row_set::all(data.size()));
#else
  (void)conformal<blackbox, k_fold>::fit(data, row_set::all(data.size()));  // errors on models that the fit has seen
#endif
}
