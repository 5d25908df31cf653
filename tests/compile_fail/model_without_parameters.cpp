// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: rafter: this model has no parameter to fit
#include "rafter/estimator/nonlinear.hpp"
#include "rafter/step/observables.hpp"

using namespace rafter;
using namespace rafter::literals;

inline constexpr positive<"time_per_token", 1e-6_c, units::second / units::token> time_per_token{};
constexpr auto step_time = time_per_token * prefill_tokens;
#ifdef FIXED
using model = nonlinear<step_time>;
#else
using model = nonlinear<with_held<"time_per_token", 2e-6_c>(step_time)>;  // nothing is left to fit
#endif
static_assert(!model::fitted_per(group::model));
