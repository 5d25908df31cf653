// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: rafter: a per-request and a per-step expression do not mix; reduce the first
#include "rafter/step/observables.hpp"

using namespace rafter;
using namespace rafter::literals;

#ifdef FIXED
constexpr auto excess = max(context_tokens - for_each_request(kv_mean));
#else
constexpr auto excess = max(context_tokens - kv_mean);
#endif
static_assert(excess.level_v == level::step);
