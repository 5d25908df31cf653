// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rafter/feature/feature_set.hpp"

namespace rafter::catalog {
using namespace rafter::literals;

/// What a black box sees: how many tokens of each phase.
struct blackbox_t : decltype(feature_set{"prefill_tokens"_f = prefill_tokens, "decode_tokens"_f = decode_tokens}) {};
inline constexpr blackbox_t blackbox{};

}  // namespace rafter::catalog
