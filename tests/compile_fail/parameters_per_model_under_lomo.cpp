// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: nothing_is_fitted_for_a_held_out_label_of<.*"model".*under_split<.*lomo>
#include "rafter/estimator/nonlinear.hpp"
#include "rafter/evaluation/evaluate.hpp"
#include "rafter/io/blis_steps.hpp"
#include "rafter/validation/leave_one_group_out.hpp"

using namespace rafter;
using namespace rafter::literals;

inline constexpr positive<"time_per_token", 1e-6_c, units::second / units::token> time_per_token{};
inline constexpr auto per_model = per_label<"model">(time_per_token);

void study(const dataset<blis_schema>& data) {
#ifdef FIXED
  (void)evaluate<nonlinear<partially_pooled<4_c>(per_model) * prefill_tokens>>(data, lomo{});  // has a common value
#else
  (void)evaluate<nonlinear<per_model * prefill_tokens>>(data, lomo{});
#endif
}
