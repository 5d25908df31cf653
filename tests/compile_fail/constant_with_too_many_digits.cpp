// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: rafter: a constant takes at most 15 significant decimal digits
#include "rafter/step/observables.hpp"

using namespace rafter;
using namespace rafter::literals;

#ifdef FIXED
constexpr auto third = 1_c / 3_c;
#else
constexpr auto third = 0.33333333333333333333_c;
#endif
static_assert(third.level_v == level::constant);
