// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: rafter: write numbers in expressions with the suffix _c
#include "rafter/step/observables.hpp"

using namespace rafter;
using namespace rafter::literals;

#ifdef FIXED
using doubled = decltype(max(kv_usage_ratio, 1_c));
#else
using doubled = decltype(max(kv_usage_ratio, 1));
#endif
static_assert(doubled::level_v == level::step);
