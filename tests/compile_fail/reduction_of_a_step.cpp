// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: rafter: a reduction takes a per-request expression; this one is per step already
#include "rafter/step/observables.hpp"

using namespace rafter;
using namespace rafter::literals;

#ifdef FIXED
constexpr auto longest = max(kv_length);
#else
constexpr auto longest = max(kv_sum);
#endif
static_assert(longest.level_v == level::step);
