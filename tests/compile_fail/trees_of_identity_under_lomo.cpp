// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: identifies_the_held_out_axis<.*"model_code".*in_estimator<.*trees<.*under_split<.*lomo>
#include "rafter/estimator/identity_allowed.hpp"
#include "rafter/estimator/trees.hpp"
#include "rafter/evaluation/evaluate.hpp"
#include "rafter/feature/catalog/study30.hpp"
#include "rafter/io/kernel_steps.hpp"
#include "rafter/validation/leave_one_group_out.hpp"

using namespace rafter;

void study(const dataset<kernel_schema>& data) {
#ifdef FIXED
  (void)evaluate<trees<without_identity<"model">(catalog::study30)>>(data, lomo{});
  (void)evaluate<identity_allowed<trees<catalog::study30>>>(data, lomo{});  // the leak, measured on purpose
#else
  (void)evaluate<trees<catalog::study30>>(data, lomo{});
#endif
}
