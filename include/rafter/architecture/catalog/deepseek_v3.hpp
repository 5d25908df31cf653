// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rafter/architecture/mla.hpp"

namespace rafter {

/// DeepSeek-V3 (and R1), stored in fp8; the multi-token-prediction module is not counted.
/// Source: DeepSeek-AI 2024, DeepSeek-V3 Technical Report, section 4.2; deepseek-ai/DeepSeek-V3 config.json
struct deepseek_v3 : latent_decoder {
  constexpr deepseek_v3()
      : latent_decoder{.name = "deepseek-v3",
                       .layers = 61,
                       .hidden = 7168,
                       .heads = 128,
                       .query_rank = 1536,
                       .kv_rank = 512,
                       .nope_dim = 128,
                       .rope_dim = 64,
                       .value_dim = 128,
                       .dense_layers = 3,
                       .dense_intermediate = 18432,
                       .intermediate = 2048,
                       .experts = 256,
                       .experts_per_token = 8,
                       .shared_experts = 1,
                       .vocabulary = 129280,
                       .bytes_per_weight = 1.0} {}
};
static_assert(!decoder_architecture<deepseek_v3>);

}  // namespace rafter
