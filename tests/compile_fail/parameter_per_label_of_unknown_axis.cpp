// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: rafter: per_label<...> names an axis that datasets do not have
#include "rafter/estimator/nonlinear.hpp"
#include "rafter/step/observables.hpp"

using namespace rafter;
using namespace rafter::literals;

inline constexpr positive<"time_per_token", 1e-6_c, units::second / units::token> time_per_token{};
#ifdef FIXED
using model = nonlinear<per_label<"model">(time_per_token) * prefill_tokens>;
#else
using model = nonlinear<per_label<"modle">(time_per_token) * prefill_tokens>;
#endif
static_assert(!model::fitted_per(group::workload));
