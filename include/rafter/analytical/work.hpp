// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rafter/analytical/deployment.hpp"
#include "rafter/step/observables.hpp"

namespace rafter {

/// What a component of a step has to do on one rank: FLOP and bytes moved, as expressions.
template <expression Flops, expression Bytes> struct work_of {
  static_assert(Flops::dimension_v == units::flop, "rafter: the first part of work is in FLOP");
  static_assert(Bytes::dimension_v == units::byte, "rafter: the second part of work is in bytes");
  [[no_unique_address]] Flops flops;
  [[no_unique_address]] Bytes bytes;
  constexpr work_of(Flops f, Bytes b) : flops(f), bytes(b) {}
};

/// A pair (flops, bytes) of expressions.
template <class W>
concept work = requires(W w) {
  requires expression<decltype(w.flops)>;
  requires expression<decltype(w.bytes)>;
};

/// Two pieces of work done one after the other, or by one kernel.
template <work A, work B> constexpr auto operator+(A a, B b) { return work_of{a.flops + b.flops, a.bytes + b.bytes}; }

// ---------------------------------------------------------------------------------------------------------------
// Work of a decoder's forward pass on one tensor-parallel rank, 2 FLOP per multiply-add. Softmax, norms, rotary
// embedding and sampling are not counted. Symbols: L layers, d hidden, H query and K KV heads of dimension h, f the
// intermediate size (of one expert), E experts of which k per token, V vocabulary; b, c, a bytes per weight, KV element
// and activation; n new and c context tokens of a request; T scheduled tokens. Counted by hand in
// tests/analytical/work.cpp.
// ---------------------------------------------------------------------------------------------------------------

/// The symbols of the formulas below.
namespace analytical::symbols {
using namespace rafter::architecture;
template <std::int64_t N> inline constexpr constant<N, 0> number{};

/// 2 FLOP for each multiply-add of one token with one weight.
inline constexpr constant<2, 0, units::flop_per_token> two_flop_per_token{};
/// QKᵀ and AV: two products of 2 FLOP for each pair of tokens.
inline constexpr constant<4, 0, dimension{.token = -2, .flop = 1}> four_flop_per_pair{};
inline constexpr constant<1, 0, units::per_token> per_token{};
}  // namespace analytical::symbols

namespace analytical {

/// Weights of one layer's attention projections, Q, K, V and O: d·Hh + 2d·Kh + Hh·d.
inline constexpr auto attention_weights =
    architecture::hidden * (architecture::heads * architecture::head_dim) +
    symbols::number<2> * (architecture::hidden * (architecture::kv_heads * architecture::head_dim)) +
    (architecture::heads * architecture::head_dim) * architecture::hidden;

/// Weights of one expert's gated MLP (dense: the MLP): 3d·f.
inline constexpr auto expert_weights = symbols::number<3> * architecture::hidden * architecture::intermediate;

/// Weights of the MLP that every token runs beside its experts: 3d·f_shared, 0 where there is none.
inline constexpr auto shared_expert_weights =
    symbols::number<3> * architecture::hidden * architecture::shared_intermediate;

/// Expected number of distinct experts that T tokens touch in one layer when routing is uniform and independent:
/// E*(T) = E·(1 − (1 − k/E)^T). When every token runs all of them (k = E; dense: 1) it is E, whatever T is.
constexpr auto experts_touched(expression auto tokens) {
  using namespace symbols;
  const auto exponent = (tokens * per_token) * log1p(-(experts_per_token / experts));
  return select(experts > experts_per_token, experts * (number<1> - exp(exponent)), experts);
}

/// Projections and MLP over `tokens` tokens.
/// FLOP: L·2T·(d·Hh + 2d·Kh + Hh·d + 3d·f·k)/tp.
/// Bytes: weights L·b·(d·Hh + 2d·Kh + Hh·d + 3d·f·E*(T))/tp, read once, and the activations in and out of the four
/// GEMMs: d in, (H + 2K)h/tp out; Hh/tp in, d out; d in, 2f·k/tp out; f·k/tp in, d out, i.e.
/// L·T·a·(4d + (2(H + K)h + 3f·k)/tp). Nothing when there are no tokens.
constexpr auto projections_and_mlp(expression auto tokens) {
  using namespace symbols;
  // What the deployment fixes is multiplied out first: it is then computed once, and a step costs one product of it.
  const auto flops = two_flop_per_token * layers *
                     (analytical::attention_weights + analytical::expert_weights * experts_per_token +
                      analytical::shared_expert_weights) /
                     tensor_parallel * tokens;
  const auto layer_bytes = layers * bytes_per_weight / tensor_parallel;
  const auto weights = layer_bytes * (analytical::attention_weights + analytical::shared_expert_weights) +
                       layer_bytes * analytical::expert_weights * experts_touched(tokens);
  const auto activations =
      layers * bytes_per_activation *
      (number<4> * hidden + (number<2> * (heads + kv_heads) * head_dim +
                             number<3> * intermediate * experts_per_token + number<3> * shared_intermediate) /
                                tensor_parallel) *
      (tokens * per_token);
  return work_of{
      flops, select(tokens > constant<0, 0, units::token>{}, weights + activations, constant<0, 0, units::byte>{})};
}

/// Bytes of the weights that any pass over at least one token must read once: every layer's projections and k experts
/// (a token cannot touch fewer), over tp ranks. The surest lower bound: no activations, KV, embeddings or LM head.
inline constexpr auto least_weight_bytes = [] {
  using namespace symbols;
  return architecture::layers * bytes_per_weight *
         (analytical::attention_weights + analytical::expert_weights * experts_per_token +
          analytical::shared_expert_weights) /
         tensor_parallel;
}();

}  // namespace analytical

/// Token pairs of causal prefill attention, Σ n·c + n(n+1)/2 over the prefill requests [token²]. A step record may
/// carry it; else it is reduced from the requests.
struct prefill_attention_pairs_t : observable<"prefill_attention_pairs", dimension{.token = 2}, level::step> {
  using definition =
      reduction<operation::reduce_sum, request_domain::prefill,
                decltype(new_tokens * context_tokens + new_tokens * (new_tokens + one_token) / constant<2, 0>{})>;
  template <class Record>
  requires requires(const Record& record) { record.prefill_attention_pairs; }
  static constexpr double read(const Record& record) { return static_cast<double>(record.prefill_attention_pairs); }
};
inline constexpr prefill_attention_pairs_t prefill_attention_pairs{};
template <> struct detail::named_aggregate<prefill_attention_pairs_t::definition> {
  using type = prefill_attention_pairs_t;
};

/// KV entries that prefill attention reads, Σ c + n over the prefill requests [token].
struct prefill_kv_sum_t : observable<"prefill_kv_sum", units::token, level::step> {
  using definition = reduction<operation::reduce_sum, request_domain::prefill, decltype(context_tokens + new_tokens)>;
  template <class Record>
  requires requires(const Record& record) { record.prefill_kv_sum; }
  static constexpr double read(const Record& record) { return static_cast<double>(record.prefill_kv_sum); }
};
inline constexpr prefill_kv_sum_t prefill_kv_sum{};
template <> struct detail::named_aggregate<prefill_kv_sum_t::definition> { using type = prefill_kv_sum_t; };

namespace analytical {

/// Attention of the prefill chunks over their past and themselves (causal).
/// FLOP: 4·L·(H/tp)·h·Σ(n·c + n(n+1)/2). Kernels that compute the full square do about twice this; that belongs to
/// the MFU. Bytes: L·Σ[2n(H/tp)h·a + 2(c + n)(K/tp)h·c]: Q in, O out, K and V read once.
inline constexpr auto prefill_attention = [] {
  using namespace symbols;
  return work_of{four_flop_per_pair * layers * ((heads / tensor_parallel) * head_dim) * prefill_attention_pairs,
                 number<2> * layers * ((heads / tensor_parallel) * head_dim) * bytes_per_activation *
                         (prefill_tokens * per_token) +
                     number<2> * layers * ((kv_heads / tensor_parallel) * head_dim) * bytes_per_kv *
                         (prefill_kv_sum * per_token)};
}();

/// Attention of the decode requests over their KV caches.
/// FLOP: 4·L·(H/tp)·h·Σkv. Bytes: L·Σ[2(K/tp)h·c·kv + 2(H/tp)h·a].
inline constexpr auto decode_attention = [] {
  using namespace symbols;
  return work_of{
      four_flop_per_pair * one_token * layers * ((heads / tensor_parallel) * head_dim) * kv_sum,
      number<2> * layers * ((kv_heads / tensor_parallel) * head_dim) * bytes_per_kv * (kv_sum * per_token) +
          number<2> * layers * ((heads / tensor_parallel) * head_dim) * bytes_per_activation * decode_requests};
}();

/// Keys and values of all new tokens written to the cache: 2L(K/tp)h·c·T bytes.
inline constexpr auto kv_write = [] {
  using namespace symbols;
  return work_of{constant<0, 0, units::flop>{}, number<2> * layers * ((kv_heads / tensor_parallel) * head_dim) *
                                                    bytes_per_kv * (scheduled_tokens * per_token)};
}();

/// LM head for `sequences` sampled sequences: 2·S·d·V/tp FLOP; b·d·V/tp bytes where S > 0.
constexpr auto lm_head(expression auto sequences) {
  using namespace symbols;
  return work_of{constant<2, 0, units::flop>{} * sequences * hidden * vocabulary / tensor_parallel,
                 select(sequences > number<0>, bytes_per_weight * hidden * vocabulary / tensor_parallel,
                        constant<0, 0, units::byte>{})};
}

/// Bytes that one rank sends for the two all-reduces of each layer (ring): 2L · T·d·a · 2(tp − 1)/tp; 0 for tp = 1.
inline constexpr auto all_reduce_bytes = [] {
  using namespace symbols;
  return number<2> * layers * ((scheduled_tokens * per_token) * hidden * bytes_per_activation) *
         (number<2> * (tensor_parallel - number<1>) / tensor_parallel);
}();

/// FLOP per byte of a piece of work.
constexpr auto arithmetic_intensity(work auto w) { return w.flops / w.bytes; }

}  // namespace analytical
}  // namespace rafter
