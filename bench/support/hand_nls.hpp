// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

#include "rafter/solver/moments.hpp"
#include "support/hand.hpp"

/// What somebody would write by hand for the nine-parameter roofline alone (rafter/analytical/corrected.hpp, physical
/// reading) fitted to log(model/target): everything that a deployment and the parameters fix computed beforehand, the
/// derivatives worked out on paper. Rounds in the same order as the library's plan, so that without contraction both
/// give the same bits. The sums of products are the library's.
namespace bench::hand {

inline constexpr std::size_t nls_parameters = 9;  ///< factor and MFU of four components, then the overhead
inline constexpr std::size_t nls_columns = nls_parameters + 1;  ///< of a tile: derivatives, then the residual
using nls_values = std::array<double, nls_parameters>;

/// What a deployment fixes.
struct nls_constants {
  double gemm_flops, dense_bytes, expert_bytes, log_untouched, experts, activations;
  double attention_flops, q_bytes, kv_bytes;
  double peak, per_bandwidth;
  bool moe;
};

inline nls_constants prepare_nls(const rafter::deployment& d) {
  const rafter::decoder& a = d.architecture;
  const double layers = a.layers, hidden = a.hidden, heads = a.heads, kv_heads = a.kv_heads, head = a.head_dim;
  const double k = a.experts_per_token, tp = d.tensor_parallel;
  const double attention = hidden * (heads * head) + (hidden * (heads * head) + 2.0 * (hidden * (head * kv_heads)));
  const double expert = 3.0 * hidden * a.intermediate, shared = 3.0 * hidden * a.shared_intermediate;
  const double layer_bytes = layers * a.bytes_per_weight / tp;
  const double per_rank = head * (heads / tp);
  nls_constants c;
  c.moe = a.experts > k;
  c.experts = a.experts;
  c.gemm_flops = 2.0 * layers * (attention + expert * k + shared) / tp;
  c.expert_bytes = expert * layer_bytes;
  c.dense_bytes = layer_bytes * (attention + shared) + (c.moe ? 0.0 : c.expert_bytes * c.experts);
  c.log_untouched = c.moe ? rafter::log1p(-(k / c.experts)) : 0.0;
  c.activations =
      layers * a.bytes_per_activation *
      (4.0 * hidden +
       (head * (2.0 * (heads + kv_heads)) + k * (3.0 * a.intermediate) + 3.0 * a.shared_intermediate) / tp);
  c.attention_flops = 4.0 * layers * per_rank;
  c.q_bytes = a.bytes_per_activation * (2.0 * layers * per_rank);
  c.kv_bytes = 2.0 * layers * (head * (kv_heads / tp)) * a.bytes_per_kv;
  c.peak = rafter::peak_of(d.hardware, d.math_precision).value;
  c.per_bandwidth = 1.0 / d.hardware.hbm_bandwidth.value;
  return c;
}

struct nls_run {
  nls_constants fixed;
  std::size_t begin, end;
};
inline std::vector<nls_run> nls_runs_of(const reference_data& data) {
  std::vector<nls_run> runs;
  for (const auto& one : data.runs()) {
    runs.push_back({prepare_nls(data.deployment(one.deployment)), one.rows.begin, one.rows.end});
  }
  return runs;
}

/// What a deployment and the parameters fix.
struct nls_bound {
  nls_constants fixed;
  double factor[4], per_rate[4], slope[4];  ///< 1/(peak·mfu) and its derivative by the MFU
  double overhead;
};
inline nls_bound bind_nls(const nls_constants& fixed, const nls_values& at) {
  nls_bound b{.fixed = fixed, .factor = {}, .per_rate = {}, .slope = {}, .overhead = at[8]};
  for (std::size_t k = 0; k < 4; ++k) {
    const double rate = fixed.peak * at[2 * k + 1];
    b.factor[k] = at[2 * k];
    b.per_rate[k] = 1.0 / rate;
    b.slope[k] = fixed.peak * -(b.per_rate[k] / rate);
  }
  return b;
}

/// FLOP and bytes of the four components.
template <class V> struct nls_work { V flops[4], bytes[4]; };

template <bool Moe, class V>
[[gnu::always_inline]] inline nls_work<V> work_at(const columns& from, const nls_constants& c, std::size_t row) {
  const V zero = broadcast<V>(0.0);
  const auto gemm_bytes = [&](V tokens) __attribute__((always_inline)) {
    V weights = broadcast<V>(c.dense_bytes);
    if constexpr (Moe) {
      weights = weights + c.expert_bytes * (c.experts * (1.0 - rafter::exp(tokens * c.log_untouched)));
    }
    return choose(tokens > zero, weights + tokens * c.activations, zero);
  };
  const V prefill = load<V>(from.prefill_tokens + row), decode = load<V>(from.decode_tokens + row);
  const V kv_sum = load<V>(from.kv_sum + row);
  return {{c.gemm_flops * prefill, c.attention_flops * load<V>(from.pairs + row), c.gemm_flops * decode,
           c.attention_flops * kv_sum},
          {gemm_bytes(prefill), prefill * c.q_bytes + c.kv_bytes * load<V>(from.prefill_kv_sum + row),
           gemm_bytes(decode), c.kv_bytes * kv_sum + c.q_bytes * load<V>(from.decode_requests + row)}};
}

/// The model alone [s].
template <bool Moe, class V>
[[gnu::always_inline]] inline V nls_time(const columns& from, const nls_bound& b, std::size_t row) {
  const nls_work<V> work = work_at<Moe, V>(from, b.fixed, row);
  V time[4];
  for (std::size_t k = 0; k < 4; ++k) {
    const V compute = work.flops[k] * b.per_rate[k], memory = work.bytes[k] * b.fixed.per_bandwidth;
    time[k] = b.factor[k] * choose(compute < memory, memory, compute);
  }
  return time[0] + time[1] + time[2] + time[3] + b.overhead;
}

/// Residual and derivatives of the rows from `row` on; `put(column, value)` takes them.
template <bool Moe, class V, class Put>
[[gnu::always_inline]] inline void evaluate_nls(const columns& from, const nls_bound& b, std::size_t row, Put&& put) {
  const V zero = broadcast<V>(0.0);
  const nls_work<V> work = work_at<Moe, V>(from, b.fixed, row);
  V compute[4], memory[4], time[4];
  for (std::size_t k = 0; k < 4; ++k) {
    compute[k] = work.flops[k] * b.per_rate[k];
    memory[k] = work.bytes[k] * b.fixed.per_bandwidth;
    time[k] = choose(compute[k] < memory[k], memory[k], compute[k]);
  }
  const V model =
      b.factor[0] * time[0] + b.factor[1] * time[1] + b.factor[2] * time[2] + b.factor[3] * time[3] + b.overhead;
  put(nls_parameters, rafter::log(model / load<V>(from.target + row)));
  const V per_model = 1.0 / model;
  for (std::size_t k = 0; k < 4; ++k) {
    put(2 * k, time[k] * per_model);
    put(2 * k + 1, choose(compute[k] < memory[k], zero, work.flops[k] * (b.factor[k] * per_model) * b.slope[k]));
  }
  put(nls_parameters - 1, per_model);
}

/// Tiles of `packs` packs, [pack][column][lane], each handed to `done(packs)`; lanes past a run's end are 0.
template <class Done>
[[gnu::always_inline]] inline void nls_tiles(const columns& from, const std::vector<nls_run>& runs,
                                             const nls_values& at, double* tile, std::size_t packs, Done&& done) {
  for (const nls_run& run : runs) {
    const nls_bound bound = bind_nls(run.fixed, at);
    const auto loop = [&]<bool Moe>() __attribute__((always_inline)) {
      for (std::size_t begin = run.begin; begin < run.end; begin += packs * pack_width) {
        const std::size_t end = std::min(run.end, begin + packs * pack_width);
        double* to = tile;
        for (std::size_t row = begin; row < end; row += pack_width, to += nls_columns * pack_width) {
          evaluate_nls<Moe, pack>(
              from, bound, row, [&](std::size_t k, pack value) __attribute__((always_inline)) {
                store(to + k * pack_width, value);
              });
          for (std::size_t lane = end - row; lane < pack_width; ++lane) {
            for (std::size_t k = 0; k < nls_columns; ++k) to[k * pack_width + lane] = 0.0;
          }
        }
        done(static_cast<std::size_t>(to - tile) / (nls_columns * pack_width));
      }
    };
    run.fixed.moe ? loop.template operator()<true>() : loop.template operator()<false>();
  }
}

/// One pass of a fit. @param gram  nls_columns², the sums of products of [J, r]
[[gnu::noinline]] inline void nls_pass(const columns& from, const std::vector<nls_run>& runs, const nls_values& at,
                                       double* gram) {
  constexpr std::size_t packs = 24;
  alignas(64) double tile[packs * nls_columns * pack_width];
  rafter::moments<nls_columns> sums;
  nls_tiles(
      from, runs, at, tile,
      packs, [&](std::size_t filled) __attribute__((always_inline)) { sums.accumulate(tile, filled); });
  sums.copy_to(gram);
}

/// The same to a column-major matrix, row by row or in packs: column k begins at x + k·stride.
template <class V>
[[gnu::noinline]] inline void nls_matrix(const columns& from, const std::vector<nls_run>& runs, const nls_values& at,
                                         double* __restrict x, std::size_t stride) {
  for (const nls_run& run : runs) {
    const nls_bound bound = bind_nls(run.fixed, at);
    const auto loop = [&]<bool Moe>() __attribute__((always_inline)) {
      for (std::size_t row = run.begin; row < run.end; row += rafter::lanes<V>) {
        evaluate_nls<Moe, V>(
            from, bound,
            row, [&](std::size_t k, V value) __attribute__((always_inline)) { store(x + k * stride + row, value); });
      }
    };
    run.fixed.moe ? loop.template operator()<true>() : loop.template operator()<false>();
  }
}

/// The residuals alone, row by row, with the C library's log: what a solver with numerical derivatives calls.
[[gnu::noinline]] inline void nls_residuals(const columns& from, const std::vector<nls_run>& runs,
                                            const nls_values& at, double* residual) {
  for (const nls_run& run : runs) {
    const nls_bound bound = bind_nls(run.fixed, at);
    for (std::size_t row = run.begin; row < run.end; ++row) {
      const double model =
          run.fixed.moe ? nls_time<true, double>(from, bound, row) : nls_time<false, double>(from, bound, row);
      residual[row] = std::log(model / from.target[row]);
    }
  }
}

}  // namespace bench::hand
