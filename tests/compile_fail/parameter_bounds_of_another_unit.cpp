// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: rafter: bounds and start of a parameter are plain numbers, in base units of its dimension
#include "rafter/expression/parameter.hpp"

using namespace rafter;
using namespace rafter::literals;

#ifdef FIXED
constexpr positive<"overhead", with_unit<units::second>(50e-6_c), units::second> overhead{};
#else
constexpr positive<"overhead", with_unit<units::token>(50_c), units::second> overhead{};
#endif
static_assert(overhead.dimension_v == units::second);
