// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "rafter/architecture/decoder.hpp"

namespace rafter {

/// Base of mixture-of-experts decoders: as `dense_decoder`, but `experts` and `experts_per_token` must be given, or
/// the type does not model `decoder_architecture`. `intermediate` is the width of one expert; every layer has all
/// experts.
struct moe_decoder {
  static constexpr int shared_intermediate = 0;
  static constexpr double bytes_per_weight = 2.0;
  static constexpr double bytes_per_kv = 2.0;
  static constexpr double bytes_per_activation = 2.0;
  static constexpr bool tied_embeddings = false;
  static constexpr bool qkv_bias = false;
  static constexpr bool qk_norm = false;
};

/// Expected number of the E experts of a layer that T tokens touch, when each token picks k of them uniformly and
/// independently: E·(1 − (1 − k/E)^T); 1 for a dense decoder.
/// @param tokens  T ≥ 0; need not be whole
double experts_touched(const decoder_architecture auto& a, double tokens) {
  if (a.experts <= 1) return 1.0;
  const double share = static_cast<double>(a.experts_per_token) / a.experts;
  return a.experts * (1.0 - std::pow(1.0 - share, tokens));
}

}  // namespace rafter
