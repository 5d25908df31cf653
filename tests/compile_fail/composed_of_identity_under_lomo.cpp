// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: identifies_the_held_out_axis<.*"model_code".*in_estimator<.*sum_of<.*under_split<.*lomo>
#include "rafter/estimator/composed.hpp"
#include "rafter/estimator/predictors.hpp"
#include "rafter/evaluation/evaluate.hpp"
#include "rafter/io/blis_steps.hpp"
#include "rafter/validation/leave_one_group_out.hpp"

using namespace rafter;
using namespace rafter::predictors;

void study(const dataset<blis_schema>& data) {
#ifdef FIXED
  (void)evaluate<sum_of<blackbox, ridge30_proxies_anonymous>>(data, lomo{});
#else
  (void)evaluate<sum_of<blackbox, ridge30_proxies>>(data, lomo{});  // its second part tells which model is held out
#endif
}
