// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "rafter/architecture/decoder.hpp"

namespace rafter {

/// A decoder with multi-head latent attention (DeepSeek-V2, 2024, section 2.1): the cache holds, per token and layer,
/// one latent of `kv_rank` and one rotary key of `rope_dim`, shared by all heads. The first `dense_layers` layers
/// have a dense MLP, the others `experts` routed experts (`experts_per_token` of them per token) and `shared_experts`
/// more. It deliberately does not model `decoder_architecture`: the work of its attention is not that of K heads of
/// width h, so formulas for grouped attention do not compile for it. What it stores and weighs it says itself, as
/// hidden friends.
struct latent_decoder {
  std::string_view name;
  int layers = 0;
  int hidden = 0;
  int heads = 0;
  int query_rank = 0;
  int kv_rank = 0;
  int nope_dim = 0;
  int rope_dim = 0;
  int value_dim = 0;
  int dense_layers = 0;
  int dense_intermediate = 0;
  int intermediate = 0;
  int experts = 0;
  int experts_per_token = 0;
  int shared_experts = 0;
  int vocabulary = 0;
  double bytes_per_weight = 2.0;
  double bytes_per_kv = 2.0;
  double bytes_per_activation = 2.0;

  /// L·(kv_rank + rope_dim)·c; the latent cannot be split over heads, so every tensor-parallel rank stores all of it.
  friend constexpr bytes kv_bytes_per_token(const latent_decoder& a) {
    return bytes{static_cast<double>(a.layers) * (a.kv_rank + a.rope_dim) * a.bytes_per_kv};
  }
  friend constexpr double weight_count(const latent_decoder& a) { return a.weights(a.experts); }
  friend constexpr double active_weight_count(const latent_decoder& a) { return a.weights(a.experts_per_token); }

 private:
  /// The router's E correction biases are counted with the router; embedding and LM head are separate tables.
  constexpr double weights(double routed) const {
    const double d = hidden;
    const double query =
        d * query_rank + query_rank + static_cast<double>(query_rank) * heads * (nope_dim + rope_dim);
    const double key_value =
        d * (kv_rank + rope_dim) + kv_rank + static_cast<double>(kv_rank) * heads * (nope_dim + value_dim);
    const double attention = query + key_value + static_cast<double>(heads) * value_dim * d;
    const double dense = 3.0 * d * dense_intermediate;
    const double sparse = 3.0 * d * intermediate * (routed + shared_experts) + d * experts + experts;
    return layers * (attention + 2.0 * d) + dense_layers * dense + (layers - dense_layers) * sparse + d +
           2.0 * d * vocabulary;
  }
};

}  // namespace rafter
