// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: rafter: this function takes a pure number; divide by a reference quantity
#include "rafter/step/observables.hpp"

using namespace rafter;
using namespace rafter::literals;

#ifdef FIXED
constexpr auto digits = log(magnitude(kv_sum));
#else
constexpr auto digits = log(kv_sum);
#endif
static_assert(digits.level_v == level::step);
