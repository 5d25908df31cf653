// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: (?s)(?=.*rafter: only quantities of one dimension can be added)(?=.*left_has_dimension<[^\n]*"token"[^\n]*right_has_dimension<[^\n]*"B")
#include "rafter/architecture/quantities.hpp"
#include "rafter/step/observables.hpp"

using namespace rafter;
using namespace rafter::literals;

#ifdef FIXED
constexpr auto sum_of_both = prefill_tokens * architecture::bytes_per_kv;
#else
constexpr auto sum_of_both = prefill_tokens + architecture::bytes_per_kv;
#endif
static_assert(sum_of_both.level_v == level::step);
