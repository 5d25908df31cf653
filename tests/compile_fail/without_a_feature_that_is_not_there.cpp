// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: rafter: the set has no feature of that name
#include "rafter/feature/catalog/blackbox.hpp"

using namespace rafter;
using namespace rafter::literals;

#ifdef FIXED
constexpr auto rest = without<"decode_tokens">(catalog::blackbox);
#else
constexpr auto rest = without<"decode_token">(catalog::blackbox);
#endif
static_assert(rest.size >= 1);
