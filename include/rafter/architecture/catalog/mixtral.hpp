// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "rafter/architecture/moe.hpp"

namespace rafter {

/// Source: Jiang et al. 2024, Mixtral of Experts, table 1; mistralai/Mixtral-8x7B-v0.1 config.json
struct mixtral_8x7b : moe_decoder {
  static constexpr std::string_view name = "mixtral-8x7b";
  static constexpr int layers = 32, hidden = 4096, heads = 32, kv_heads = 8, head_dim = 128;
  static constexpr int intermediate = 14336, experts = 8, experts_per_token = 2, vocabulary = 32000;
};
static_assert(static_architecture<mixtral_8x7b>);

/// Source: mistralai/Mixtral-8x22B-v0.1 config.json
struct mixtral_8x22b : moe_decoder {
  static constexpr std::string_view name = "mixtral-8x22b";
  static constexpr int layers = 56, hidden = 6144, heads = 48, kv_heads = 8, head_dim = 128;
  static constexpr int intermediate = 16384, experts = 8, experts_per_token = 2, vocabulary = 32000;
};
static_assert(static_architecture<mixtral_8x22b>);

}  // namespace rafter
