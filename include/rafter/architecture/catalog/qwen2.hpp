// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "rafter/architecture/dense.hpp"

namespace rafter {

/// Source: Qwen Team 2024, Qwen2.5 technical report; Qwen/Qwen2.5-0.5B config.json
struct qwen2_5_0_5b : dense_decoder {
  static constexpr std::string_view name = "qwen2.5-0.5b";
  static constexpr int layers = 24, hidden = 896, heads = 14, kv_heads = 2, head_dim = 64;
  static constexpr int intermediate = 4864, vocabulary = 151936;
  static constexpr bool tied_embeddings = true, qkv_bias = true;
};
static_assert(static_architecture<qwen2_5_0_5b>);

/// Source: Qwen Team 2024, Qwen2.5 technical report; Qwen/Qwen2.5-1.5B config.json
struct qwen2_5_1_5b : dense_decoder {
  static constexpr std::string_view name = "qwen2.5-1.5b";
  static constexpr int layers = 28, hidden = 1536, heads = 12, kv_heads = 2, head_dim = 128;
  static constexpr int intermediate = 8960, vocabulary = 151936;
  static constexpr bool tied_embeddings = true, qkv_bias = true;
};
static_assert(static_architecture<qwen2_5_1_5b>);

/// Source: Qwen Team 2024, Qwen2.5 technical report; Qwen/Qwen2.5-3B config.json
struct qwen2_5_3b : dense_decoder {
  static constexpr std::string_view name = "qwen2.5-3b";
  static constexpr int layers = 36, hidden = 2048, heads = 16, kv_heads = 2, head_dim = 128;
  static constexpr int intermediate = 11008, vocabulary = 151936;
  static constexpr bool tied_embeddings = true, qkv_bias = true;
};
static_assert(static_architecture<qwen2_5_3b>);

/// Source: Qwen Team 2024, Qwen2.5 technical report; Qwen/Qwen2.5-7B config.json
struct qwen2_5_7b : dense_decoder {
  static constexpr std::string_view name = "qwen2.5-7b";
  static constexpr int layers = 28, hidden = 3584, heads = 28, kv_heads = 4, head_dim = 128;
  static constexpr int intermediate = 18944, vocabulary = 152064;
  static constexpr bool qkv_bias = true;
};
static_assert(static_architecture<qwen2_5_7b>);

/// Source: Qwen Team 2024, Qwen2.5 technical report; Qwen/Qwen2.5-14B config.json
struct qwen2_5_14b : dense_decoder {
  static constexpr std::string_view name = "qwen2.5-14b";
  static constexpr int layers = 48, hidden = 5120, heads = 40, kv_heads = 8, head_dim = 128;
  static constexpr int intermediate = 13824, vocabulary = 152064;
  static constexpr bool qkv_bias = true;
};
static_assert(static_architecture<qwen2_5_14b>);

/// Source: Qwen Team 2024, Qwen2.5 technical report; Qwen/Qwen2.5-32B config.json
struct qwen2_5_32b : dense_decoder {
  static constexpr std::string_view name = "qwen2.5-32b";
  static constexpr int layers = 64, hidden = 5120, heads = 40, kv_heads = 8, head_dim = 128;
  static constexpr int intermediate = 27648, vocabulary = 152064;
  static constexpr bool qkv_bias = true;
};
static_assert(static_architecture<qwen2_5_32b>);

/// Source: Qwen Team 2024, Qwen2.5 technical report; Qwen/Qwen2.5-72B config.json
struct qwen2_5_72b : dense_decoder {
  static constexpr std::string_view name = "qwen2.5-72b";
  static constexpr int layers = 80, hidden = 8192, heads = 64, kv_heads = 8, head_dim = 128;
  static constexpr int intermediate = 29568, vocabulary = 152064;
  static constexpr bool qkv_bias = true;
};
static_assert(static_architecture<qwen2_5_72b>);

}  // namespace rafter
