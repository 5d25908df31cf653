// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: rafter: two different parameters of these expressions have one name
#include "rafter/expression/tape.hpp"
#include "rafter/step/observables.hpp"

using namespace rafter;
using namespace rafter::literals;

inline constexpr positive<"factor", 1_c> factor{};
#ifdef FIXED
inline constexpr positive<"decode_factor", 2_c> decode_factor{};
#else
inline constexpr positive<"factor", 2_c> decode_factor{};
#endif
constexpr auto work = factor * prefill_tokens + decode_factor * decode_tokens;
static_assert(parameter_count<work> == 2);
