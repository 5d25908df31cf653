// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: (?s)(?=.*rafter: two features of a set have one name)(?=.*two_features_have_the_name<[^\n]*"tokens")
#include "rafter/feature/feature_set.hpp"

using namespace rafter;
using namespace rafter::literals;

#ifdef FIXED
constexpr auto set = feature_set{"tokens"_f = prefill_tokens} | feature_set{"decodes"_f = decode_tokens};
#else
constexpr auto set = feature_set{"tokens"_f = prefill_tokens} | feature_set{"tokens"_f = decode_tokens};
#endif
static_assert(set.size == 2);
