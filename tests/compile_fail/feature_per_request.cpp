// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: (?s)(?=.*rafter: a feature is one number per step)(?=.*in_feature<[^\n]*"kv")
#include "rafter/feature/feature_set.hpp"

using namespace rafter;
using namespace rafter::literals;

#ifdef FIXED
constexpr auto lengths = feature_set{"kv"_f = sum(kv_length)};
#else
constexpr auto lengths = feature_set{"kv"_f = kv_length};
#endif
static_assert(lengths.size == 1);
