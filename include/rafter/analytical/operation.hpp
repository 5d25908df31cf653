// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string_view>

#include "rafter/hardware/accelerator.hpp"

/// The operations of a step that benchmarks measure one by one: what identifies a measured series (its shape), what
/// varies within it (one or two coordinates), and how much work a call is.
namespace rafter {

/// What one call of one operation does on one rank.
struct operation_work {
  double flops = 0.0;         ///< in `format`
  double memory_bytes = 0.0;  ///< each operand once
  double link_bytes = 0.0;    ///< sent to other GPUs by one rank
  precision format = precision::bf16;
  double blocks = 0.0;  ///< thread blocks: tiles of 128 of the result or, of split sums, of the operand; 0: many
};

/// Roofline time of it on a device: the longest of compute at the peak, memory, and link at half its bandwidth (which
/// is both directions summed) [s]. Not a number where the device has no such peak or link.
inline double roofline_seconds(const operation_work& work, const accelerator_record& device) {
  const auto peak = device.peak_flops.at(work.format);
  const double link = device.link_bandwidth.value / 2.0;
  if ((work.flops > 0.0 && !peak) || (work.link_bytes > 0.0 && !(link > 0.0))) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  const double compute = work.flops > 0.0 ? work.flops / peak->value : 0.0;
  const double sent = work.link_bytes > 0.0 ? work.link_bytes / link : 0.0;
  return std::max({compute, work.memory_bytes / device.hbm_bandwidth.value, sent});
}

/// Each has `shape_names`, of which nothing else stands in for the first `exact`, `coordinate_names`, and `work`.
/// Heads, widths and experts are those of one rank. Number formats are shape members in bits: 16 (bf16 and fp16,
/// which have one peak) or 8.
namespace operations {

/// Tiles of 128 that cover so many rows, at least one.
inline double tiles(double rows) { return std::max(std::ceil(rows / 128.0), 1.0); }

constexpr precision format_of(double bits) { return bits == 8.0 ? precision::fp8 : precision::bf16; }

/// C[tokens,n] = A[tokens,k]·B[k,n]; C in 16 bits.
struct matrix_product {
  static constexpr std::string_view name = "matrix product";
  static constexpr std::array<std::string_view, 3> shape_names{"bits", "n", "k"};
  static constexpr std::array<std::string_view, 1> coordinate_names{"tokens"};
  static constexpr std::size_t exact = 1;
  static operation_work work(const std::array<double, 3>& shape, const std::array<double, 1>& at) {
    const auto [bits, n, k] = shape;
    const double m = at[0];
    return {2.0 * m * n * k, bits / 8.0 * (m * k + k * n) + 2.0 * m * n, 0.0, format_of(bits),
            tiles(n) * std::max(tiles(m), tiles(k))};
  }
};

/// Causal attention of `requests` prompts of `tokens` each, without past KV, in 16 bits; the cache has `kv_bits`.
struct prompt_attention {
  static constexpr std::string_view name = "prefill attention";
  static constexpr std::array<std::string_view, 4> shape_names{"kv_bits", "heads", "kv_heads", "head_dim"};
  static constexpr std::array<std::string_view, 2> coordinate_names{"requests", "tokens"};
  static constexpr std::size_t exact = 1;
  static operation_work work(const std::array<double, 4>& shape, const std::array<double, 2>& at) {
    const auto [kv_bits, heads, kv_heads, head_dim] = shape;
    const auto [requests, n] = at;
    return {4.0 * requests * (n * (n + 1.0) / 2.0) * heads * head_dim,
            requests * n * (2.0 * heads * head_dim * 2.0 + 2.0 * kv_heads * head_dim * kv_bits / 8.0), 0.0,
            precision::bf16, requests * heads * tiles(n)};
  }
};

/// Attention of `requests` single new tokens over `kv` entries each, the new one included.
struct decode_attention {
  static constexpr std::string_view name = "decode attention";
  static constexpr std::array<std::string_view, 4> shape_names{"kv_bits", "heads", "kv_heads", "head_dim"};
  static constexpr std::array<std::string_view, 2> coordinate_names{"requests", "kv"};
  static constexpr std::size_t exact = 1;
  static operation_work work(const std::array<double, 4>& shape, const std::array<double, 2>& at) {
    const auto [kv_bits, heads, kv_heads, head_dim] = shape;
    const auto [requests, kv] = at;
    return {4.0 * requests * kv * heads * head_dim,
            requests * (2.0 * kv * kv_heads * head_dim * kv_bits / 8.0 + 2.0 * heads * head_dim * 2.0), 0.0,
            precision::bf16, requests * kv_heads * tiles(kv)};
  }
};

/// The routed experts of a layer, fused: `width` is that of one expert on one rank, `experts_here` of `experts` live
/// on it. `routing` tells distributions of tokens over experts apart (io/kernel_tables.hpp numbers them).
struct expert_products {
  static constexpr std::string_view name = "experts";
  static constexpr std::array<std::string_view, 7> shape_names{"bits",  "routing", "hidden",      "width",
                                                               "top_k", "experts", "experts_here"};
  static constexpr std::array<std::string_view, 1> coordinate_names{"tokens"};
  static constexpr std::size_t exact = 2;
  static operation_work work(const std::array<double, 7>& shape, const std::array<double, 1>& at) {
    const auto [bits, routing, hidden, width, top_k, experts, experts_here] = shape;
    const double here = at[0] * top_k * experts_here / experts;  // (token, expert) pairs on this rank, spread evenly
    const double touched = std::min(experts_here, here);
    return {6.0 * here * hidden * width,
            bits / 8.0 * 3.0 * hidden * width * touched + 2.0 * here * (2.0 * hidden + 3.0 * width), 0.0,
            format_of(bits), touched * std::max(tiles(here / touched), tiles(hidden)) * tiles(2.0 * width)};
  }
};

/// Sum over `ranks` of a message of so many bytes, left with all of them (ring traffic).
struct all_reduce {
  static constexpr std::string_view name = "all-reduce";
  static constexpr std::array<std::string_view, 1> shape_names{"ranks"};
  static constexpr std::array<std::string_view, 1> coordinate_names{"bytes"};
  static constexpr std::size_t exact = 0;
  static operation_work work(const std::array<double, 1>& shape, const std::array<double, 1>& at) {
    return {0.0, 2.0 * at[0], 2.0 * (shape[0] - 1.0) / shape[0] * at[0], precision::bf16};
  }
};

/// What runs between the products of one layer, summed: two norms, rotary embedding, activation, residual addition.
/// Heads and width are those of one rank.
struct elementwise {
  static constexpr std::string_view name = "elementwise kernels";
  static constexpr std::array<std::string_view, 5> shape_names{"hidden", "heads", "kv_heads", "head_dim", "width"};
  static constexpr std::array<std::string_view, 1> coordinate_names{"tokens"};
  static constexpr std::size_t exact = 0;
  static operation_work work(const std::array<double, 5>& shape, const std::array<double, 1>& at) {
    const auto [hidden, heads, kv_heads, head_dim, width] = shape;
    return {0.0, 2.0 * at[0] * (7.0 * hidden + 2.0 * (heads + kv_heads) * head_dim + 3.0 * width), 0.0,
            precision::bf16};
  }
};

/// All matrix products of one layer of one rank together, as logs that split a step into parts have them: attention
/// projections, `top_k` of `experts` gated MLPs `width` wide (dense: 1 of 1) and one `shared` by all tokens.
/// `library` tells GEMM libraries apart.
struct layer_products {
  static constexpr std::string_view name = "matrix products of a layer";
  static constexpr std::array<std::string_view, 9> shape_names{"library", "hidden", "heads",   "kv_heads", "head_dim",
                                                               "width",   "top_k",  "experts", "shared"};
  static constexpr std::array<std::string_view, 1> coordinate_names{"tokens"};
  static constexpr std::size_t exact = 1;
  static operation_work work(const std::array<double, 9>& shape, const std::array<double, 1>& at) {
    const auto [library, d, heads, kv_heads, head_dim, width, top_k, experts, shared] = shape;
    const double m = at[0];
    const double attention = d * (2.0 * heads + 2.0 * kv_heads) * head_dim + 3.0 * d * shared;
    const double touched = std::min(experts, m * top_k);
    const double across =  // mean over QKV, O, gate and up, down
        (tiles((heads + 2.0 * kv_heads) * head_dim) + 2.0 * tiles(d) + tiles(2.0 * width)) / 4.0;
    return {2.0 * m * (attention + 3.0 * d * width * top_k),
            2.0 * (attention + 3.0 * d * width * touched) +
                2.0 * m * (4.0 * d + 2.0 * (heads + kv_heads) * head_dim + 3.0 * width * top_k + 3.0 * shared),
            0.0, precision::bf16, std::max(tiles(m), tiles(d)) * across};
  }
};

}  // namespace operations
}  // namespace rafter
