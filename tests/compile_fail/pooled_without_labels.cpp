// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: rafter: partially_pooled<...> takes a parameter with one value per label
#include "rafter/expression/parameter.hpp"

using namespace rafter;
using namespace rafter::literals;

inline constexpr positive<"factor", 1_c> factor{};
#ifdef FIXED
constexpr auto pooled = partially_pooled<4_c>(per_label<"model">(factor));
#else
constexpr auto pooled = partially_pooled<4_c>(factor);
#endif
static_assert(pooled.fact.pooling == 4.0);
