// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: (?s)(?=.*rafter: only quantities of one dimension can be added)(?=.*left_has_dimension<[^\n]*"s"[^\n]*right_has_dimension<[^\n]*"token")
#include "rafter/expression/parameter.hpp"
#include "rafter/step/observables.hpp"

using namespace rafter;
using namespace rafter::literals;

inline constexpr bounded<"overhead", 0_c, 50e-6_c, 1_c, units::second> overhead{};
inline constexpr positive<"time_per_token", 1e-6_c, units::second / units::token> time_per_token{};

#ifdef FIXED
constexpr auto step_time = overhead + time_per_token * prefill_tokens;
#else
constexpr auto step_time = overhead + prefill_tokens;
#endif
static_assert(step_time.level_v == level::step);
