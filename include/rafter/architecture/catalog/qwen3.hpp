// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "rafter/architecture/dense.hpp"
#include "rafter/architecture/moe.hpp"

namespace rafter {

/// Source: Qwen Team 2025, Qwen3 technical report, tables 1 and 2; Qwen/Qwen3-0.6B config.json
struct qwen3_0_6b : dense_decoder {
  static constexpr std::string_view name = "qwen3-0.6b";
  static constexpr int layers = 28, hidden = 1024, heads = 16, kv_heads = 8, head_dim = 128;
  static constexpr int intermediate = 3072, vocabulary = 151936;
  static constexpr bool tied_embeddings = true, qk_norm = true;
};
static_assert(static_architecture<qwen3_0_6b>);

/// Source: Qwen Team 2025, Qwen3 technical report, tables 1 and 2; Qwen/Qwen3-1.7B config.json
struct qwen3_1_7b : dense_decoder {
  static constexpr std::string_view name = "qwen3-1.7b";
  static constexpr int layers = 28, hidden = 2048, heads = 16, kv_heads = 8, head_dim = 128;
  static constexpr int intermediate = 6144, vocabulary = 151936;
  static constexpr bool tied_embeddings = true, qk_norm = true;
};
static_assert(static_architecture<qwen3_1_7b>);

/// Source: Qwen Team 2025, Qwen3 technical report, tables 1 and 2; Qwen/Qwen3-4B config.json
struct qwen3_4b : dense_decoder {
  static constexpr std::string_view name = "qwen3-4b";
  static constexpr int layers = 36, hidden = 2560, heads = 32, kv_heads = 8, head_dim = 128;
  static constexpr int intermediate = 9728, vocabulary = 151936;
  static constexpr bool tied_embeddings = true, qk_norm = true;
};
static_assert(static_architecture<qwen3_4b>);

/// Source: Qwen Team 2025, Qwen3 technical report, tables 1 and 2; Qwen/Qwen3-8B config.json
struct qwen3_8b : dense_decoder {
  static constexpr std::string_view name = "qwen3-8b";
  static constexpr int layers = 36, hidden = 4096, heads = 32, kv_heads = 8, head_dim = 128;
  static constexpr int intermediate = 12288, vocabulary = 151936;
  static constexpr bool qk_norm = true;
};
static_assert(static_architecture<qwen3_8b>);

/// Source: Qwen Team 2025, Qwen3 technical report, tables 1 and 2; Qwen/Qwen3-14B config.json
struct qwen3_14b : dense_decoder {
  static constexpr std::string_view name = "qwen3-14b";
  static constexpr int layers = 40, hidden = 5120, heads = 40, kv_heads = 8, head_dim = 128;
  static constexpr int intermediate = 17408, vocabulary = 151936;
  static constexpr bool qk_norm = true;
};
static_assert(static_architecture<qwen3_14b>);

/// Source: Qwen Team 2025, Qwen3 technical report, tables 1 and 2; Qwen/Qwen3-32B config.json
struct qwen3_32b : dense_decoder {
  static constexpr std::string_view name = "qwen3-32b";
  static constexpr int layers = 64, hidden = 5120, heads = 64, kv_heads = 8, head_dim = 128;
  static constexpr int intermediate = 25600, vocabulary = 151936;
  static constexpr bool qk_norm = true;
};
static_assert(static_architecture<qwen3_32b>);

/// Source: Qwen Team 2025, Qwen3 technical report, tables 1 and 2; Qwen/Qwen3-30B-A3B config.json
struct qwen3_30b_a3b : moe_decoder {
  static constexpr std::string_view name = "qwen3-30b-a3b";
  static constexpr int layers = 48, hidden = 2048, heads = 32, kv_heads = 4, head_dim = 128;
  static constexpr int intermediate = 768, experts = 128, experts_per_token = 8, vocabulary = 151936;
  static constexpr bool qk_norm = true;
};
static_assert(static_architecture<qwen3_30b_a3b>);

/// Source: Qwen Team 2025, Qwen3 technical report, tables 1 and 2; Qwen/Qwen3-235B-A22B config.json
struct qwen3_235b_a22b : moe_decoder {
  static constexpr std::string_view name = "qwen3-235b-a22b";
  static constexpr int layers = 94, hidden = 4096, heads = 64, kv_heads = 4, head_dim = 128;
  static constexpr int intermediate = 1536, experts = 128, experts_per_token = 8, vocabulary = 151936;
  static constexpr bool qk_norm = true;
};
static_assert(static_architecture<qwen3_235b_a22b>);

}  // namespace rafter
