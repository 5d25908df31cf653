// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: rafter: write numbers in expressions with the suffix _c
#include "rafter/feature/feature_set.hpp"

using namespace rafter;
using namespace rafter::literals;

#ifdef FIXED
constexpr auto one = "one"_f = 1_c;
#else
constexpr auto one = "one"_f = 1;
#endif
static_assert(one.name == "one");
