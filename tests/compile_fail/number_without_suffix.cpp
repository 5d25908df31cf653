// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: rafter: write numbers in expressions with the suffix _c
#include "rafter/step/observables.hpp"

using namespace rafter;
using namespace rafter::literals;

#ifdef FIXED
constexpr auto doubled = prefill_tokens * 2_c;
#else
constexpr auto doubled = prefill_tokens * 2.0;
#endif
static_assert(doubled.level_v == level::step);
