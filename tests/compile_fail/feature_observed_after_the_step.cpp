// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: (?s)(?=.*rafter: this feature reads an observable that is known only after the step)(?=.*observed_only_after_the_step<[^\n]*"finished_requests"[^\n]*in_feature<[^\n]*"finished")
#include "rafter/feature/feature_set.hpp"

using namespace rafter;
using namespace rafter::literals;

#ifdef FIXED
constexpr auto leak = feature_set{"waiting"_f = queue_waiting};
#else
constexpr auto leak = feature_set{"finished"_f = finished_requests * kv_mean};
#endif
static_assert(leak.size == 1);
