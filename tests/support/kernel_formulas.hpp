// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "rafter/analytical/deployment.hpp"
#include "rafter/step/record.hpp"

/// The parametric models written again in plain double arithmetic, from their definitions and not from the library.
/// Requests come as lists; all times in seconds.
namespace by_hand {

/// A step with what its time counts. Also a record that models are bound for.
struct step {
  std::vector<rafter::request> requests;
  double elementwise_counted = 1.0;
  double gemm_in_waves = 0.0;

  double tokens(bool decode) const {
    double sum = 0.0;
    for (const auto& r : requests) sum += r.decode == decode ? r.new_tokens : 0.0;
    return sum;
  }
  double count(bool decode) const {
    return static_cast<double>(std::count_if(requests.begin(), requests.end(),
                                             [&](const rafter::request& r) { return r.decode == decode; }));
  }
};

/// One rank's share of a decoder, and its device.
struct rank {
  double L, d, H, K, h, f, E, k, fs, tp, b, c, a;  // H, K, f, fs: of the whole layer
  double F, Bw, SM, L2;
  explicit rank(const rafter::deployment& on)
      : L(on.architecture.layers),
        d(on.architecture.hidden),
        H(on.architecture.heads),
        K(on.architecture.kv_heads),
        h(on.architecture.head_dim),
        f(on.architecture.intermediate),
        E(on.architecture.experts),
        k(on.architecture.experts_per_token),
        fs(on.architecture.shared_intermediate),
        tp(on.tensor_parallel),
        b(on.architecture.bytes_per_weight),
        c(on.architecture.bytes_per_kv),
        a(on.architecture.bytes_per_activation),
        F(on.hardware.peak_flops.at(on.math_precision)->value),
        Bw(on.hardware.hbm_bandwidth.value),
        SM(on.hardware.multiprocessors),
        L2(on.hardware.cache_capacity.value) {}

  double expected_experts(double T) const { return E > 1 ? E * (1 - std::pow(1 - k / E, T)) : 1.0; }
};

struct amount {
  double flops = 0, bytes = 0;
  double roofline(const rank& on, double mfu = 1.0) const { return std::max(flops / (on.F * mfu), bytes / on.Bw); }
};

/// Projections and MLP of T tokens.
inline amount gemm(const rank& m, double T) {
  if (T == 0) return {};
  const double attention = m.d * m.H * m.h + 2 * m.d * m.K * m.h + m.H * m.h * m.d;
  const double weights = attention + 3 * m.d * m.f * (m.E > 1 ? m.expected_experts(T) : 1.0) + 3 * m.d * m.fs;
  const double inner = (2 * (m.H + m.K) * m.h + 3 * m.f * m.k + 3 * m.fs) / m.tp;
  return {m.L * 2 * T * (attention + 3 * m.d * m.f * m.k + 3 * m.d * m.fs) / m.tp,
          m.L * m.b * weights / m.tp + m.L * T * m.a * (4 * m.d + inner)};
}
inline amount prefill_attention(const rank& m, const step& s) {
  amount sum;
  for (const auto& r : s.requests) {
    if (r.decode) continue;
    const double n = r.new_tokens, past = r.context_tokens;
    sum.flops += 4 * m.L * (m.H / m.tp) * m.h * (n * past + n * (n + 1) / 2);
    sum.bytes += m.L * (2 * n * (m.H / m.tp) * m.h * m.a + 2 * (past + n) * (m.K / m.tp) * m.h * m.c);
  }
  return sum;
}
inline amount decode_attention(const rank& m, const step& s) {
  amount sum;
  for (const auto& r : s.requests) {
    if (!r.decode) continue;
    const double kv = r.context_tokens + 1;
    sum.flops += 4 * m.L * (m.H / m.tp) * m.h * kv;
    sum.bytes += m.L * (2 * (m.K / m.tp) * m.h * m.c * kv + 2 * (m.H / m.tp) * m.h * m.a);
  }
  return sum;
}

/// Prefill GEMM, prefill attention, decode GEMM and decode attention: factor, MFU; the overhead.
using nine = std::array<double, 9>;
inline double roofline9(const nine& p, const rank& m, const step& s) {
  return p[0] * gemm(m, s.tokens(false)).roofline(m, p[1]) + p[2] * prefill_attention(m, s).roofline(m, p[3]) +
         p[4] * gemm(m, s.tokens(true)).roofline(m, p[5]) + p[6] * decode_attention(m, s).roofline(m, p[7]) + p[8];
}
/// FLOP at the peak alone, prompts of equal length without a past, no decode attention.
inline double study_roofline9(const nine& p, const rank& m, const step& s) {
  const double P = s.tokens(false), n = s.count(false);
  const double pairs = P * ((n > 0 ? P / n : 0.0) + 1) / 2;
  return p[0] * gemm(m, P).flops / (m.F * p[1]) + p[2] * 4 * m.L * (m.H / m.tp) * m.h * pairs / (m.F * p[3]) +
         p[4] * gemm(m, s.tokens(true)).flops / (m.F * p[5]) + p[8];
}
/// Sixteen: per component factor when bound by compute, factor when bound by memory, MFU, threshold.
using sixteen = std::array<double, 16>;
inline double roofline16(const sixteen& p, const rank& m, const step& s) {
  const amount parts[] = {gemm(m, s.tokens(false)), prefill_attention(m, s), gemm(m, s.tokens(true)),
                          decode_attention(m, s)};
  double sum = 0;
  for (int i = 0; i < 4; ++i) {
    const double* of = p.data() + 4 * i;
    const double intensity = parts[i].bytes != 0 ? parts[i].flops / parts[i].bytes : 1.0;
    const double share = 1 / (1 + std::pow(of[3] / intensity, 4));
    sum += share * of[0] * parts[i].flops / (m.F * of[2]) + (1 - share) * of[1] * parts[i].bytes / m.Bw;
  }
  return sum;
}

/// One matrix product of a layer: per-rank sizes, copies of each token, weight matrices that are read.
struct product {
  double n, k, copies, read;
};
inline std::vector<product> products(const rank& m, double experts) {
  const double Kr = std::max(m.K / m.tp, 1.0), Hr = m.H / m.tp, f = m.f / m.tp, fs = m.fs / m.tp;
  std::vector<product> made{
      {(Hr + 2 * Kr) * m.h, m.d, 1, 1}, {m.d, Hr * m.h, 1, 1}, {2 * f, m.d, m.k, experts}, {m.d, f, m.k, experts}};
  if (m.fs > 0) {
    made.push_back({2 * fs, m.d, 1, 1});
    made.push_back({m.d, fs, 1, 1});
  }
  return made;
}
inline double elementwise_bytes(const rank& m, double T) {
  const double Kr = std::max(m.K / m.tp, 1.0), Hr = m.H / m.tp;
  return m.a * T * (7 * m.d + 2 * (Hr + Kr) * m.h + 3 * m.f / m.tp);
}

/// gemm_prefill, gemm_decode, prefill_attention, decode_attention factors; layer, prefill, decode floors; elementwise
/// factor and floor.
inline double kernel9(const nine& p, const rank& m, const step& s) {
  const double T = s.tokens(false) + s.tokens(true);
  double R = 0;
  for (const product& g : products(m, m.expected_experts(T))) {
    const double compute = 2 * T * g.copies * g.n * g.k / m.F;
    R += std::max(compute, (m.b * g.n * g.k * g.read + m.a * T * g.copies * (g.n + g.k)) / m.Bw);
  }
  double time = (s.tokens(false) > 0 ? p[0] : p[1]) * m.L * R + p[2] * prefill_attention(m, s).roofline(m) +
                p[3] * decode_attention(m, s).roofline(m) + m.L * p[4];
  if (s.tokens(false) > 0) time += m.L * p[5];
  if (s.count(true) > 0) time += m.L * p[6];
  if (s.elementwise_counted > 0) time += m.L * (p[7] * elementwise_bytes(m, T) / m.Bw + p[8]);
  return time;
}

/// In the order of `best`'s definition: compute, weights, floor, waves, routing, activations, prefill, attention floor,
/// KV read, item, ungrouped, split.
using twelve = std::array<double, 12>;
struct parts {
  double gemm = 0, elementwise = 0, prefill = 0, decode = 0;
  double sum() const { return gemm + elementwise + prefill + decode; }
};
/// @param benchmark  even routing, small KV sets in the cache
inline parts best(const twelve& p, const rank& m, const step& s, bool benchmark) {
  const auto [c, w, floor, cv, t_moe, act, c_p, t_a, m_d, item, r, l] = p;
  const double B2 = 41'667e6 * m.SM, X = 28'080e6 * m.SM;
  const double T = s.tokens(false) + s.tokens(true);
  const double Kr = std::max(m.K / m.tp, 1.0), Hr = m.H / m.tp, f = m.f / m.tp;
  const double experts = m.E > 1 ? (benchmark ? std::min(m.E, T * m.k) : m.expected_experts(T)) : 1.0;
  parts made;
  for (const product& g : products(m, experts)) {
    const auto waves = [&](double x) {
      const double tiles = std::ceil(T / x) * std::ceil(g.n / x);
      return std::ceil(tiles / m.SM) * m.SM * x * x * 2 * g.k / m.F;
    };
    const double compute =
        s.gemm_in_waves > 0 ? cv * std::min(waves(128), 4.0 / 3.0 * waves(64)) : 2 * T * g.copies * g.n * g.k / m.F;
    const double A = m.a * T * g.copies * (g.n + g.k);
    const double memory = w * m.b * g.n * g.k * g.read / m.Bw + act * A / B2;
    made.gemm +=
        floor + std::cbrt(std::pow(c * compute, 3) + std::pow(memory, 3)) + w * std::max(0.0, A - m.L2) / m.Bw;
  }
  if (m.E > 1) made.gemm += t_moe + act * m.a * (T * m.k * (3 * f + m.d) + 2 * T * m.d) / B2;
  if (s.elementwise_counted > 0) {
    made.elementwise = std::hypot(5 * floor, act * elementwise_bytes(m, T) / B2);
  }
  double pairs = 0, tile = 0, moved = 0, kv = 0;
  for (const auto& q : s.requests) {
    if (q.decode) {
      kv += q.context_tokens + 1;
      continue;
    }
    const double n = q.new_tokens, past = q.context_tokens;
    pairs += Hr * (n * past + n * (n + 1) / 2);
    tile = std::max(tile, std::min(128.0, n) * (past + n));
    moved += 2 * n * Hr * m.h * m.a + 2 * (past + n) * (m.K / m.tp) * m.h * m.c;
  }
  if (s.tokens(false) > 0) {
    made.prefill = t_a + c_p * (4 * m.h / m.F + 1 / X) * std::hypot(pairs, m.SM * tile) + act * moved / B2;
  }
  if (const double n = s.count(true); n > 0) {
    const double V = item * (m.H == m.K ? r : 1.0) * n * Kr / m.SM;
    const double N = 2 * Kr * m.h * m.c * kv;
    const double M = benchmark && N <= m.L2 ? N / B2 : m_d * N / m.Bw;
    made.decode =
        t_a + std::pow(std::pow(V, 1.5) + std::pow(M, 1.5), 2.0 / 3.0) + l * std::log1p(kv / n * m.h / 16384);
  }
  for (double* one : {&made.gemm, &made.elementwise, &made.prefill, &made.decode}) *one *= m.L;
  return made;
}

/// Weights, compute, KV, layer, request, prompt.
struct pool_state {
  double prefill_tokens = 0, decode_tokens = 0, prefill_requests = 0, decode_requests = 0, kv_blocks_total = 0,
         kv_blocks_free = 0;
};
inline double pool_state_time(const std::array<double, 6>& p, const rank& m, const pool_state& s) {
  const double per_layer =
      m.d * m.H * m.h + 2 * m.d * m.K * m.h + m.H * m.h * m.d + 3 * m.d * m.f * m.k + 3 * m.d * m.fs;
  const double T = s.prefill_tokens + s.decode_tokens;
  const double kv = 2 * m.L * m.K / m.tp * m.h * m.c * 16 * (s.kv_blocks_total - s.kv_blocks_free);
  return p[0] * m.L * m.b * per_layer / m.tp / m.Bw + p[1] * m.L * 2 * T * per_layer / m.tp / m.F + p[2] * kv / m.Bw +
         p[3] * m.L + p[4] * (s.prefill_requests + s.decode_requests) + p[5] * (s.prefill_tokens > 0 ? 1.0 : 0.0);
}

}  // namespace by_hand
