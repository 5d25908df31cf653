// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "rafter/architecture/dense.hpp"

namespace rafter {

/// Source: Jiang et al. 2023, Mistral 7B, table 1; mistralai/Mistral-7B-v0.1 config.json (v0.3: vocabulary 32768).
/// Its sliding window of 4096 tokens (v0.1 only) is not modelled.
struct mistral_7b : dense_decoder {
  static constexpr std::string_view name = "mistral-7b";
  static constexpr int layers = 32, hidden = 4096, heads = 32, kv_heads = 8, head_dim = 128;
  static constexpr int intermediate = 14336, vocabulary = 32000;
};
static_assert(static_architecture<mistral_7b>);

/// Source: mistralai/Mistral-Nemo-Base-2407 config.json; head_dim is not hidden/heads
struct mistral_nemo_12b : dense_decoder {
  static constexpr std::string_view name = "mistral-nemo-12b";
  static constexpr int layers = 40, hidden = 5120, heads = 32, kv_heads = 8, head_dim = 128;
  static constexpr int intermediate = 14336, vocabulary = 131072;
};
static_assert(static_architecture<mistral_nemo_12b>);

/// Source: mistralai/Mistral-Small-24B-Base-2501 config.json; head_dim is not hidden/heads
struct mistral_small_24b : dense_decoder {
  static constexpr std::string_view name = "mistral-small-24b";
  static constexpr int layers = 40, hidden = 5120, heads = 32, kv_heads = 8, head_dim = 128;
  static constexpr int intermediate = 32768, vocabulary = 131072;
};
static_assert(static_architecture<mistral_small_24b>);

}  // namespace rafter
