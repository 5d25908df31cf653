// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: rafter: this parameter already has one value for each label of another axis
#include "rafter/expression/parameter.hpp"

using namespace rafter;
using namespace rafter::literals;

inline constexpr positive<"factor", 1_c> factor{};
#ifdef FIXED
constexpr auto both = per_label<"workload">(factor);
#else
constexpr auto both = per_label<"model">(per_label<"workload">(factor));
#endif
static_assert(dimensionless<decltype(both)>);
