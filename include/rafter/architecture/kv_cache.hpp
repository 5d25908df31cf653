// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <concepts>
#include <string>
#include <string_view>

#include "rafter/architecture/decoder.hpp"

namespace rafter {

/// An architecture whose cache and weights can be sized: any decoder, and types with their own formulas (mla.hpp).
template <class Architecture>
concept sizable_architecture = requires(const Architecture& a) {
  { a.name } -> std::convertible_to<std::string_view>;
  { kv_bytes_per_token(a) } -> std::same_as<bytes>;
  { weight_bytes(a) } -> std::same_as<bytes>;
};

/// What an engine may use on each of `tp` devices.
/// A datasheet's "80 GB" of HBM is 80 GiB less what the driver keeps (about 79.1 GiB are reported by an H100): give
/// the figure that the device reports when blocks must come out exactly.
struct kv_pool {
  bytes memory_per_device;
  double memory_utilisation = 0.9;  ///< share of the memory that the engine takes, in (0, 1]
  int tp = 1;
  bytes
      activations_per_device{};  ///< peak activations, graphs and other buffers, as the engine's profiling run finds
  int block_tokens = 16;
};

/// KV bytes of one token on one of `tp` ranks: K heads are dealt out, and replicated when there are fewer than ranks;
/// a cache that has no heads (latent attention) is on every rank whole. [B]
constexpr bytes kv_bytes_per_token_per_rank(const sizable_architecture auto& a, int tp) {
  if constexpr (requires { a.kv_heads; }) {
    return kv_bytes_per_token(a) / static_cast<double>(tp < a.kv_heads ? tp : a.kv_heads);
  } else {
    return kv_bytes_per_token(a);
  }
}

/// Blocks of the KV cache that fit after the weights: floor((memory·utilisation − weights/tp − activations) /
/// (KV bytes of a token on one rank · tokens of a block)); for tp ≤ K this is vLLM's
/// (memory·utilisation·tp − weights − activations) / (2·L·K·h·c·block).
/// @returns 0 when the weights alone do not fit
/// @throws architecture_error when a number of the pool is out of range
double kv_blocks(const sizable_architecture auto& a, const kv_pool& pool) {
  const auto refuse = [&](const std::string& what) {
    throw architecture_error("KV pool of '" + std::string(std::string_view(a.name)) + "': " + what);
  };
  if (pool.tp <= 0) refuse("tp = " + std::to_string(pool.tp) + " is not positive");
  if (pool.block_tokens <= 0) refuse("block_tokens = " + std::to_string(pool.block_tokens) + " is not positive");
  if (!(pool.memory_utilisation > 0.0 && pool.memory_utilisation <= 1.0)) {
    refuse("memory_utilisation = " + std::to_string(pool.memory_utilisation) + " is not in (0, 1]");
  }
  if (!(pool.memory_per_device.value > 0.0 && pool.memory_per_device.value < 1e300)) {
    refuse("memory_per_device = " + std::to_string(pool.memory_per_device.value) + " is not positive and finite");
  }
  if (!(pool.activations_per_device.value >= 0.0 && pool.activations_per_device.value < 1e300)) {
    refuse("activations_per_device = " + std::to_string(pool.activations_per_device.value) +
           " is negative or not finite");
  }
  const bytes left = pool.memory_per_device * pool.memory_utilisation -
                     weight_bytes(a) / static_cast<double>(pool.tp) - pool.activations_per_device;
  const bytes block = kv_bytes_per_token_per_rank(a, pool.tp) * static_cast<double>(pool.block_tokens);
  return left.value > 0.0 ? std::floor(left / block) : 0.0;
}

/// Tokens of context that fit: whole blocks only.
double kv_tokens(const sizable_architecture auto& a, const kv_pool& pool) {
  return kv_blocks(a, pool) * pool.block_tokens;
}

}  // namespace rafter
