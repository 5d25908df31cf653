// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: rafter: a parameter inside a min, max or standard_deviation over requests has no derivative here
#include "rafter/estimator/nonlinear.hpp"
#include "rafter/io/kernel_steps.hpp"

using namespace rafter;
using namespace rafter::literals;

inline constexpr positive<"time_per_token", 1e-6_c, units::second / units::token> time_per_token{};
inline constexpr positive<"time_per_context", 1e-9_c, units::second / units::token> time_per_context{};
constexpr auto of_request = time_per_token * new_tokens + time_per_context * context_tokens;

void study(const dataset<kernel_schema>& data) {
#ifdef FIXED
  (void)nonlinear<sum(of_request)>::fit(data, row_set::all(data.size()));
#else
  (void)nonlinear<max(of_request)>::fit(data, row_set::all(data.size()));  // which request is slowest depends on both
#endif
}
