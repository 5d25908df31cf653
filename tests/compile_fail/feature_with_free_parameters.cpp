// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: (?s)(?=.*rafter: this expression has free parameters: fit them with nonlinear<...>)(?=.*in_feature<[^\n]*"scaled")
#include "rafter/feature/feature_set.hpp"
#include "rafter/step/observables.hpp"

using namespace rafter;
using namespace rafter::literals;

inline constexpr positive<"factor", 1_c> factor{};
#ifdef FIXED
constexpr auto features = feature_set{"scaled"_f = held<2_c>(factor) * prefill_tokens};
#else
constexpr auto features = feature_set{"scaled"_f = factor * prefill_tokens};
#endif
static_assert(features.size == 1);
