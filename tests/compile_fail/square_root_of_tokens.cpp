// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: rafter: the square root of this dimension is not a whole dimension
#include "rafter/step/observables.hpp"

using namespace rafter;
using namespace rafter::literals;

#ifdef FIXED
constexpr auto root = sqrt(kv_sum * kv_max);
#else
constexpr auto root = sqrt(kv_sum);
#endif
static_assert(root.level_v == level::step);
