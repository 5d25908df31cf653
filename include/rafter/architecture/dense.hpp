// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rafter/architecture/decoder.hpp"

namespace rafter {

/// Base of dense decoders in 16 bits without biases: what most have in common. A model hides the members that differ.
/// `struct tiny : dense_decoder { static constexpr std::string_view name = "tiny"; static constexpr int layers = 2,
/// …; };`
struct dense_decoder {
  static constexpr int experts = 1;
  static constexpr int experts_per_token = 1;
  static constexpr int shared_intermediate = 0;
  static constexpr double bytes_per_weight = 2.0;
  static constexpr double bytes_per_kv = 2.0;
  static constexpr double bytes_per_activation = 2.0;
  static constexpr bool tied_embeddings = false;
  static constexpr bool qkv_bias = false;
  static constexpr bool qk_norm = false;
};

}  // namespace rafter
