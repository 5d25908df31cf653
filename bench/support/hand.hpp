// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <vector>

#include "rafter/core/math.hpp"
#include "support/workload.hpp"

/// What somebody who has only this one model in mind would write by hand: the study's 30 features with everything that
/// a deployment fixes computed beforehand, their sums of products in register blocks, a Cholesky factorisation. No
/// expression, plan, column_evaluation, moments or solver of the library is used (its vector type and its exp are:
/// the C library's exp would leave the loop scalar).
#if defined(__clang__)
#define BENCH_INDEPENDENT_ITERATIONS  // clang 16 does not vectorise this loop, asked to or not
#else
#define BENCH_INDEPENDENT_ITERATIONS _Pragma("GCC ivdep")
#endif

namespace bench::hand {

using rafter::broadcast;
using rafter::choose;
using rafter::load;
using rafter::pack;
using rafter::pack_width;
using rafter::store;

inline constexpr std::size_t features = 30;

/// What is fixed by a deployment.
struct constants {
  double gemm_flops, weights, expert_bytes, log_untouched, experts, activations;
  double prefill_flops, prefill_q_bytes, kv_bytes, decode_flops, decode_q_bytes, balance;
  double active_ratio, model_code, tensor_parallel, moe;
};

inline constants prepare(const rafter::deployment& d) {
  const rafter::decoder& a = d.architecture;
  const double layers = a.layers, hidden = a.hidden, heads = a.heads, kv_heads = a.kv_heads, head = a.head_dim;
  const double attention = 2.0 * hidden * heads * head + 2.0 * hidden * kv_heads * head;
  const double expert = 3.0 * hidden * a.intermediate, shared = 3.0 * hidden * a.shared_intermediate;
  const double k = a.experts_per_token, e = a.experts, tp = d.tensor_parallel;
  constants c;
  c.moe = e > 1.0 ? 1.0 : 0.0;
  c.gemm_flops = 2.0 * layers * (attention + expert * k + shared) / tp;
  c.weights = layers * a.bytes_per_weight * (attention + shared + (e > 1.0 ? 0.0 : expert)) / tp;
  c.expert_bytes = layers * a.bytes_per_weight * expert * e / tp;
  c.log_untouched = e > 1.0 ? std::log1p(-k / e) : 0.0;
  c.experts = e;
  c.activations = layers * a.bytes_per_activation *
                  (4.0 * hidden +
                   (2.0 * (heads + kv_heads) * head + 3.0 * a.intermediate * k + 3.0 * a.shared_intermediate) / tp);
  c.prefill_flops = c.decode_flops = 4.0 * layers * heads / tp * head;
  c.prefill_q_bytes = c.decode_q_bytes = 2.0 * layers * heads / tp * head * a.bytes_per_activation;
  c.kv_bytes = 2.0 * layers * kv_heads / tp * head * a.bytes_per_kv;
  c.balance = rafter::peak_of(d.hardware, d.math_precision).value / d.hardware.hbm_bandwidth.value;
  c.active_ratio = (attention + expert * k + shared) / (attention + expert * e + shared);
  c.model_code = d.model_code;
  c.tensor_parallel = tp;
  return c;
}

/// The raw columns that the features read.
struct columns {
  const double *prefill_tokens, *decode_tokens, *prefill_requests, *decode_requests;
  const double *kv_sum, *kv_mean, *kv_max, *kv_min, *kv_deviation, *pairs, *prefill_kv_sum, *target;
};
inline columns columns_of(const reference_data& data) {
  return {data.column<rafter::prefill_tokens_t>().data(),   data.column<rafter::decode_tokens_t>().data(),
          data.column<rafter::prefill_requests_t>().data(), data.column<rafter::decode_requests_t>().data(),
          data.column<rafter::kv_sum_t>().data(),           data.column<rafter::kv_mean_t>().data(),
          data.column<rafter::kv_max_t>().data(),           data.column<rafter::kv_min_t>().data(),
          data.column<rafter::kv_deviation_t>().data(),     data.column<rafter::prefill_attention_pairs_t>().data(),
          data.column<rafter::prefill_kv_sum_t>().data(),   data.column<rafter::gpu_step_time_t>().data()};
}

/// One record as columns of one row.
inline columns columns_of(const aggregate_record& one) {
  return {&one.prefill_tokens,   &one.decode_tokens,
          &one.prefill_requests, &one.decode_requests,
          &one.kv_sum,           &one.kv_mean,
          &one.kv_max,           &one.kv_min,
          &one.kv_deviation,     &one.prefill_attention_pairs,
          &one.prefill_kv_sum,   nullptr};
}

/// All 30 features of the rows from `row` on, in the order of the catalogue; `put(k, value)` takes them. Moe: does the
/// deployment route tokens to experts (a dense one needs no exp).
template <bool Moe, class V, class Put>
[[gnu::always_inline]] inline void evaluate(const columns& from, const constants& c, std::size_t row, Put&& put) {
  const V zero = broadcast<V>(0.0), one = broadcast<V>(1.0);
  const V prefill = load<V>(from.prefill_tokens + row), decode = load<V>(from.decode_tokens + row);
  const V prefills = load<V>(from.prefill_requests + row), decodes = load<V>(from.decode_requests + row);
  const V kv_sum = load<V>(from.kv_sum + row), kv_mean = load<V>(from.kv_mean + row);
  const V kv_max = load<V>(from.kv_max + row), kv_min = load<V>(from.kv_min + row);
  const V tokens = prefill + decode;
  put(0, prefill), put(1, decode), put(2, tokens), put(3, prefills), put(4, decodes);
  put(5, kv_mean), put(6, kv_max), put(7, kv_min), put(8, load<V>(from.kv_deviation + row)), put(9, kv_sum);
  const V some = choose(tokens < one, one, tokens);
  put(10, prefill / some), put(11, decode / some);
  put(12, choose(prefills > zero, choose(decodes > zero, one, zero), zero));
  put(13, choose(decodes == zero, one, zero));
  const V gemm_flops = tokens * c.gemm_flops;
  V weights = broadcast<V>(c.weights);
  if constexpr (Moe) weights = weights + c.expert_bytes * (one - rafter::exp(tokens * c.log_untouched));
  const V gemm_bytes = choose(tokens > zero, weights + tokens * c.activations, zero);
  const V prefill_flops = load<V>(from.pairs + row) * c.prefill_flops;
  const V prefill_bytes = prefill * c.prefill_q_bytes + load<V>(from.prefill_kv_sum + row) * c.kv_bytes;
  const V decode_flops = kv_sum * c.decode_flops;
  const V decode_bytes = kv_sum * c.kv_bytes + decodes * c.decode_q_bytes;
  const V attention_flops = prefill_flops + decode_flops;
  const V flops = gemm_flops + attention_flops;
  const V bytes = gemm_bytes + prefill_bytes + decode_bytes + tokens * c.kv_bytes;
  const V intensity = choose(bytes == zero, zero, flops / bytes);
  put(14, flops), put(15, intensity), put(16, choose(intensity > broadcast<V>(c.balance), one, zero));
  put(17, choose(prefill_bytes == zero, zero, prefill_flops / prefill_bytes));
  put(18, choose(decode_flops == zero, zero, decode_bytes / decode_flops));
  put(19, choose(flops == zero, zero, attention_flops / flops));
  put(20, choose(flops == zero, zero, gemm_flops / flops));
  put(21, broadcast<V>(c.active_ratio)), put(22, broadcast<V>(c.model_code));
  put(23, broadcast<V>(c.tensor_parallel)), put(24, broadcast<V>(c.moe));
  put(25, prefill * decode), put(26, kv_max * decodes), put(27, intensity * c.moe);
  put(28, prefill * kv_mean), put(29, (prefills + decodes) * kv_max);
}

/// One run of rows of one deployment into a column-major matrix: column k begins at x + k·stride.
template <class V>
[[gnu::noinline]] inline void to_matrix(const columns& from, const constants& c, std::size_t begin, std::size_t end,
                                        double* __restrict x, std::size_t stride) {
  const auto loop = [&]<bool Moe>() __attribute__((always_inline)) {
    BENCH_INDEPENDENT_ITERATIONS
    for (std::size_t row = begin; row < end; row += rafter::lanes<V>) {
      evaluate<Moe, V>(
          from, c,
          row, [&](std::size_t k, V value) __attribute__((always_inline)) { store(x + k * stride + row, value); });
    }
  };
  c.moe != 0.0 ? loop.template operator()<true>() : loop.template operator()<false>();
}

/// Rows [begin, end) of one deployment as a tile [pack][feature][lane]; whole packs.
[[gnu::always_inline]] inline void to_tile(const columns& from, const constants& c, std::size_t begin,
                                           std::size_t end, double* tile) {
  const auto loop = [&]<bool Moe>() __attribute__((always_inline)) {
    for (std::size_t row = begin; row < end; row += pack_width, tile += features * pack_width) {
      evaluate<Moe, pack>(
          from, c, row, [&](std::size_t k, pack value) __attribute__((always_inline)) {
            store(tile + k * pack_width, value);
          });
    }
  };
  c.moe != 0.0 ? loop.template operator()<true>() : loop.template operator()<false>();
}

/// Sum over the features of coefficient · feature.
[[gnu::noinline]] inline void predict(const columns& from, const constants& c, std::size_t begin, std::size_t end,
                                      const double* coefficients, double intercept, double* out) {
  const auto loop = [&]<bool Moe>() __attribute__((always_inline)) {
    for (std::size_t row = begin; row < end; row += pack_width) {
      pack partial[4] = {broadcast<pack>(intercept), pack{}, pack{}, pack{}};
      evaluate<Moe, pack>(
          from, c, row, [&](std::size_t k, pack value) __attribute__((always_inline)) {
            partial[k % 4] = partial[k % 4] + coefficients[k] * value;
          });
      const pack sum = (partial[0] + partial[1]) + (partial[2] + partial[3]);
      const std::size_t count = std::min(pack_width, end - row);
      for (std::size_t lane = 0; lane < count; ++lane) out[row + lane] = sum[lane];
    }
  };
  c.moe != 0.0 ? loop.template operator()<true>() : loop.template operator()<false>();
}

// -- raw columns to ridge coefficients -----------------------------------------------------------------------------

/// 26 features that vary within a deployment, a column of ones and the target.
inline constexpr std::size_t varying = 26;
inline constexpr std::size_t wide = varying + 2;
inline constexpr std::size_t full = features + 2;
inline constexpr std::size_t block_i = pack_width == 8 ? 4 : 2;
inline constexpr std::size_t block_j = 4;
static_assert(wide % block_i == 0 && wide % block_j == 0);

/// sums[i][j] += Σ over the tile of column i · column j, for blocks on and above the diagonal.
[[gnu::noinline]] inline void add_products(const double* tile, std::size_t packs, pack (*sums)[wide]) {
  for (std::size_t i = 0; i < wide; i += block_i) {
    for (std::size_t j = i / block_j * block_j; j < wide; j += block_j) {
      pack sum[block_i][block_j];
      for (std::size_t a = 0; a < block_i; ++a) {
        for (std::size_t b = 0; b < block_j; ++b) sum[a][b] = sums[i + a][j + b];
      }
      for (std::size_t p = 0; p < packs; ++p) {
        const double* at = tile + p * wide * pack_width;
        pack y[block_j];
        for (std::size_t b = 0; b < block_j; ++b) y[b] = load<pack>(at + (j + b) * pack_width);
        for (std::size_t a = 0; a < block_i; ++a) {
          const pack x = load<pack>(at + (i + a) * pack_width);
          for (std::size_t b = 0; b < block_j; ++b) sum[a][b] = sum[a][b] + x * y[b];
        }
      }
      for (std::size_t a = 0; a < block_i; ++a) {
        for (std::size_t b = 0; b < block_j; ++b) sums[i + a][j + b] = sum[a][b];
      }
    }
  }
}

/// Where feature k stands in a tile: 1 + its number among the varying ones; 0 for what a deployment fixes.
inline constexpr std::array<std::size_t, features> place = [] {
  std::array<std::size_t, features> places{};
  std::size_t next = 1;
  for (std::size_t k = 0; k < features; ++k) places[k] = k >= 21 && k <= 24 ? 0 : next++;
  return places;
}();

struct ridge_fit {
  std::array<double, features> coefficients{};
  double intercept = 0.0;
};

/// Standardised ridge regression from the sums of [1, x − shift, y − shift].
inline ridge_fit solve(const std::array<std::array<double, full>, full>& gram, const double* shift, double alpha) {
  const double n = gram[0][0];
  std::array<double, features> mean, deviation, b;
  double a[features][features];
  for (std::size_t k = 0; k < features; ++k) {
    mean[k] = gram[0][k + 1] / n;
    const double variance = gram[k + 1][k + 1] / n - mean[k] * mean[k];
    deviation[k] = variance > 1e-24 * gram[k + 1][k + 1] ? std::sqrt(variance) : 1.0;
  }
  const double target_mean = gram[0][full - 1] / n;
  for (std::size_t i = 0; i < features; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      a[i][j] = (gram[j + 1][i + 1] - n * mean[i] * mean[j]) / (deviation[i] * deviation[j]) + (i == j ? alpha : 0.0);
    }
    b[i] = (gram[i + 1][full - 1] - n * mean[i] * target_mean) / deviation[i];
  }
  for (std::size_t i = 0; i < features; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      double sum = a[i][j];
      for (std::size_t k = 0; k < j; ++k) sum -= a[i][k] * a[j][k];
      a[i][j] = i == j ? std::sqrt(sum) : sum / a[j][j];
    }
    for (std::size_t k = 0; k < i; ++k) b[i] -= a[i][k] * b[k];
    b[i] /= a[i][i];
  }
  for (std::size_t i = features; i-- > 0;) {
    for (std::size_t k = i + 1; k < features; ++k) b[i] -= a[k][i] * b[k];
    b[i] /= a[i][i];
  }
  ridge_fit fitted;
  fitted.intercept = shift[features] + target_mean;
  for (std::size_t k = 0; k < features; ++k) {
    fitted.coefficients[k] = b[k] / deviation[k];
    fitted.intercept -= fitted.coefficients[k] * (shift[k] + mean[k]);
  }
  return fitted;
}

/// Runs of one deployment: its constants and rows [begin, end).
struct run {
  constants fixed;
  std::size_t begin, end;
};
inline std::vector<run> runs_of(const reference_data& data) {
  std::vector<run> runs;
  for (const auto& one : data.runs()) {
    runs.push_back({prepare(data.deployment(one.deployment)), one.rows.begin, one.rows.end});
  }
  return runs;
}

[[gnu::noinline]] inline ridge_fit fit(const columns& from, const std::vector<run>& runs, double alpha) {
  constexpr std::size_t packs = 8;
  alignas(64) double tile[packs * wide * pack_width];
  alignas(64) pack sums[wide][wide];
  double shift[features + 1];
  std::array<std::array<double, full>, full> gram{};
  evaluate<true, double>(from, runs[0].fixed, runs[0].begin, [&](std::size_t k, double value) { shift[k] = value; });
  shift[features] = from.target[runs[0].begin];
  for (const run& one : runs) {
    for (auto& row : sums) std::fill(std::begin(row), std::end(row), pack{});
    const auto loop = [&]<bool Moe>() __attribute__((always_inline)) {
      for (std::size_t begin = one.begin; begin < one.end; begin += packs * pack_width) {
        const std::size_t end = std::min(one.end, begin + packs * pack_width);
        double* at = tile;
        for (std::size_t row = begin; row < end; row += pack_width, at += wide * pack_width) {
          store(at, broadcast<pack>(1.0));
          evaluate<Moe, pack>(
              from, one.fixed, row, [&](std::size_t k, pack value) __attribute__((always_inline)) {
                if (place[k] != 0) store(at + place[k] * pack_width, value - shift[k]);
              });
          store(at + (wide - 1) * pack_width, load<pack>(from.target + row) - shift[features]);
          for (std::size_t lane = end - row; lane < pack_width; ++lane) {
            for (std::size_t column = 0; column < wide; ++column) at[column * pack_width + lane] = 0.0;
          }
        }
        add_products(tile, static_cast<std::size_t>(at - tile) / (wide * pack_width), sums);
      }
    };
    one.fixed.moe != 0.0 ? loop.template operator()<true>() : loop.template operator()<false>();
    const double fixed[4] = {one.fixed.active_ratio, one.fixed.model_code, one.fixed.tensor_parallel, one.fixed.moe};
    std::size_t column[full];
    double factor[full];
    column[0] = 0, factor[0] = 1.0;
    column[full - 1] = wide - 1, factor[full - 1] = 1.0;
    for (std::size_t k = 0; k < features; ++k) {
      column[k + 1] = place[k];
      factor[k + 1] = place[k] != 0 ? 1.0 : fixed[k - 21] - shift[k];
    }
    double small[wide][wide];
    for (std::size_t i = 0; i < wide; ++i) {
      for (std::size_t j = i; j < wide; ++j) {
        double sum = 0.0;
        for (std::size_t lane = 0; lane < pack_width; ++lane) sum += sums[i][j][lane];
        small[i][j] = small[j][i] = sum;
      }
    }
    for (std::size_t i = 0; i < full; ++i) {
      for (std::size_t j = i; j < full; ++j) gram[i][j] += factor[i] * factor[j] * small[column[i]][column[j]];
    }
  }
  return solve(gram, shift, alpha);
}

}  // namespace bench::hand
