// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "rafter/architecture/dense.hpp"

namespace rafter {

/// Source: Grattafiori et al. 2024, The Llama 3 Herd of Models, table 3; meta-llama/Llama-3.1-8B config.json
struct llama3_8b : dense_decoder {
  static constexpr std::string_view name = "llama-3.1-8b";
  static constexpr int layers = 32, hidden = 4096, heads = 32, kv_heads = 8, head_dim = 128;
  static constexpr int intermediate = 14336, vocabulary = 128256;
};
static_assert(static_architecture<llama3_8b>);

/// Source: Grattafiori et al. 2024, The Llama 3 Herd of Models, table 3; meta-llama/Llama-3.1-70B config.json
struct llama3_70b : dense_decoder {
  static constexpr std::string_view name = "llama-3.1-70b";
  static constexpr int layers = 80, hidden = 8192, heads = 64, kv_heads = 8, head_dim = 128;
  static constexpr int intermediate = 28672, vocabulary = 128256;
};
static_assert(static_architecture<llama3_70b>);

/// Source: Grattafiori et al. 2024, The Llama 3 Herd of Models, table 3; meta-llama/Llama-3.1-405B config.json
struct llama3_405b : dense_decoder {
  static constexpr std::string_view name = "llama-3.1-405b";
  static constexpr int layers = 126, hidden = 16384, heads = 128, kv_heads = 8, head_dim = 128;
  static constexpr int intermediate = 53248, vocabulary = 128256;
};
static_assert(static_architecture<llama3_405b>);

/// Source: meta-llama/Llama-3.2-1B config.json
struct llama3_2_1b : dense_decoder {
  static constexpr std::string_view name = "llama-3.2-1b";
  static constexpr int layers = 16, hidden = 2048, heads = 32, kv_heads = 8, head_dim = 64;
  static constexpr int intermediate = 8192, vocabulary = 128256;
  static constexpr bool tied_embeddings = true;
};
static_assert(static_architecture<llama3_2_1b>);

/// Source: meta-llama/Llama-3.2-3B config.json
struct llama3_2_3b : dense_decoder {
  static constexpr std::string_view name = "llama-3.2-3b";
  static constexpr int layers = 28, hidden = 3072, heads = 24, kv_heads = 8, head_dim = 128;
  static constexpr int intermediate = 8192, vocabulary = 128256;
  static constexpr bool tied_embeddings = true;
};
static_assert(static_architecture<llama3_2_3b>);

}  // namespace rafter
