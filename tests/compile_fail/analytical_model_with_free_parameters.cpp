// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: rafter: this expression has free parameters: fit them with nonlinear<...>
#include "rafter/estimator/analytical_model.hpp"
#include "rafter/step/observables.hpp"

using namespace rafter;
using namespace rafter::literals;

inline constexpr positive<"time_per_token", 1e-6_c, units::second / units::token> time_per_token{};
constexpr auto step_time = time_per_token * prefill_tokens;
#ifdef FIXED
using model = analytical_model<with_held<"time_per_token", 2e-6_c>(step_time)>;
#else
using model = analytical_model<step_time>;
#endif
static_assert(!model::fitted_per(group::model));
