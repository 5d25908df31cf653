// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: rafter: a condition is expected here
#include "rafter/step/observables.hpp"

using namespace rafter;
using namespace rafter::literals;

#ifdef FIXED
constexpr auto either = select(decode_requests > 0_c, kv_mean, kv_max);
#else
constexpr auto either = select(decode_requests, kv_mean, kv_max);
#endif
static_assert(either.level_v == level::step);
