// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: rafter: the model has no parameter of that name
#include "rafter/expression/parameter.hpp"
#include "rafter/step/observables.hpp"

using namespace rafter;
using namespace rafter::literals;

inline constexpr bounded<"gemm_mfu", 0.01_c, 0.5_c, 1_c> gemm_mfu{};
constexpr auto work = prefill_tokens / gemm_mfu;
#ifdef FIXED
constexpr auto at_peak = with_held<"gemm_mfu", 1_c>(work);
#else
constexpr auto at_peak = with_held<"mfu_gemm", 1_c>(work);
#endif
static_assert(at_peak.level_v == level::step);
