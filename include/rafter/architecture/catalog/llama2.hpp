// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "rafter/architecture/dense.hpp"

namespace rafter {

/// Source: Touvron et al. 2023, Llama 2; meta-llama/Llama-2-7b-hf config.json
struct llama2_7b : dense_decoder {
  static constexpr std::string_view name = "llama-2-7b";
  static constexpr int layers = 32, hidden = 4096, heads = 32, kv_heads = 32, head_dim = 128;
  static constexpr int intermediate = 11008, vocabulary = 32000;
};
static_assert(static_architecture<llama2_7b>);

/// Source: Touvron et al. 2023, Llama 2; meta-llama/Llama-2-13b-hf config.json
struct llama2_13b : dense_decoder {
  static constexpr std::string_view name = "llama-2-13b";
  static constexpr int layers = 40, hidden = 5120, heads = 40, kv_heads = 40, head_dim = 128;
  static constexpr int intermediate = 13824, vocabulary = 32000;
};
static_assert(static_architecture<llama2_13b>);

/// Source: Touvron et al. 2023, Llama 2; meta-llama/Llama-2-70b-hf config.json
struct llama2_70b : dense_decoder {
  static constexpr std::string_view name = "llama-2-70b";
  static constexpr int layers = 80, hidden = 8192, heads = 64, kv_heads = 8, head_dim = 128;
  static constexpr int intermediate = 28672, vocabulary = 32000;
};
static_assert(static_architecture<llama2_70b>);

}  // namespace rafter
