// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: identifies_the_held_out_axis<.*"model_code".*in_estimator<.*ridge30_proxies>.*under_split<.*lomo>
#include "rafter/estimator/predictors.hpp"
#include "rafter/evaluation/stacked.hpp"
#include "rafter/io/blis_steps.hpp"
#include "rafter/validation/leave_one_group_out.hpp"

using namespace rafter;
using namespace rafter::predictors;

void study(const dataset<blis_schema>& data) {
#ifdef FIXED
  (void)stacked<lomo, blackbox, ridge30_proxies_anonymous>::fit(data, row_set::all(data.size()));
#else
  (void)stacked<lomo, blackbox, ridge30_proxies>::fit(data, row_set::all(data.size()));  // a leak
#endif
}
