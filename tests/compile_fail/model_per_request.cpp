// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: rafter: a step-time model is one number per step
#include "rafter/estimator/nonlinear.hpp"
#include "rafter/step/observables.hpp"

using namespace rafter;
using namespace rafter::literals;

inline constexpr positive<"time_per_token", 1e-6_c, units::second / units::token> time_per_token{};
#ifdef FIXED
using model = nonlinear<time_per_token * sum(new_tokens)>;
#else
using model = nonlinear<time_per_token * new_tokens>;
#endif
static_assert(!model::fitted_per(group::model));
