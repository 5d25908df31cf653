// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: rafter: an expression over decode requests and one over prefill requests do not mix
#include "rafter/step/observables.hpp"

using namespace rafter;

struct chunk_tokens_t : observable<"chunk_tokens", units::token, level::request, provenance::known_before_step,
                                   request_domain::prefill> {};
constexpr chunk_tokens_t chunk_tokens{};

#ifdef FIXED
constexpr auto both = chunk_tokens + context_tokens;
#else
constexpr auto both = chunk_tokens + kv_length;  // no request has both
#endif
static_assert(both.level_v == level::request);
