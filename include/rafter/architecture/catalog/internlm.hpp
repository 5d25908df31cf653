// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "rafter/architecture/dense.hpp"

namespace rafter {

/// Source: internlm/internlm-20b config.json (bias: false)
struct internlm_20b : dense_decoder {
  static constexpr std::string_view name = "internlm-20b";
  static constexpr int layers = 60, hidden = 5120, heads = 40, kv_heads = 40, head_dim = 128;
  static constexpr int intermediate = 13824, vocabulary = 103168;
};
static_assert(static_architecture<internlm_20b>);

}  // namespace rafter
