// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: rafter: this expression is not defined for the requests that it is reduced over
#include "rafter/step/observables.hpp"

using namespace rafter;
using namespace rafter::literals;

#ifdef FIXED
constexpr auto lengths = sum(context_tokens + new_tokens, prefill);
#else
constexpr auto lengths = sum(kv_length, prefill);  // the KV length of a decode request
#endif
static_assert(lengths.level_v == level::step);
