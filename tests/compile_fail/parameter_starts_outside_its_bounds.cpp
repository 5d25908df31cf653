// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: rafter: a parameter's start must lie within its bounds
#include "rafter/expression/parameter.hpp"

using namespace rafter;
using namespace rafter::literals;

#ifdef FIXED
constexpr bounded<"mfu", 0.01_c, 0.5_c, 1_c> mfu{};
#else
constexpr bounded<"mfu", 0.01_c, 50_c, 1_c> mfu{};
#endif
static_assert(dimensionless<decltype(mfu)>);
