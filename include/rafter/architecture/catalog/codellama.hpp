// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "rafter/architecture/dense.hpp"

namespace rafter {

/// Source: Rozière et al. 2023, Code Llama; codellama/CodeLlama-34b-Instruct-hf config.json
struct codellama_34b : dense_decoder {
  static constexpr std::string_view name = "codellama-34b";
  static constexpr int layers = 48, hidden = 8192, heads = 64, kv_heads = 8, head_dim = 128;
  static constexpr int intermediate = 22016, vocabulary = 32000;
};
static_assert(static_architecture<codellama_34b>);

}  // namespace rafter
