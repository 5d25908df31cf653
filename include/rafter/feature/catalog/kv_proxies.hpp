// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rafter/analytical/deployment.hpp"
#include "rafter/feature/feature_set.hpp"

/// The public study's 30 features where per-request KV lengths were not logged: the state of the KV pool stands in for
/// them. Kept exactly as the study computed them, simplifications included, to reproduce its figures.
namespace rafter::catalog {
using namespace rafter::literals;

namespace proxy {
using namespace rafter::architecture;
inline constexpr auto two_flop_per_token = with_unit<units::flop_per_token>(2_c);
inline constexpr auto tokens = prefill_tokens + decode_tokens;
/// Share of the experts that a token uses, k/E: the study scaled the MLP by it; a dense model has 1.
inline constexpr auto active = experts_per_token / experts;
inline constexpr auto kv_hidden = kv_heads * hidden / heads;

/// The study's GEMM FLOP: (2T(d² + 2d·d_kv) + 2T·d² + 6T·d·f·moe)·L/tp.
constexpr auto flops(expression auto t) {
  return (two_flop_per_token * t * (hidden * hidden + 2_c * hidden * kv_hidden) +
          two_flop_per_token * t * (hidden * hidden) +
          with_unit<units::flop_per_token>(6_c) * t * hidden * intermediate * active) *
         layers / tensor_parallel;
}
/// The study's weight bytes: (d(d + 2d_kv) + d² + 3d·f)·2L/tp.
inline constexpr auto weight_bytes =
    (hidden * (hidden + 2_c * kv_hidden) + hidden * hidden + 3_c * hidden * intermediate) *
    with_unit<units::byte>(2_c) * layers / tensor_parallel;
inline constexpr auto intensity = flops(tokens) / weight_bytes;
/// H100, with 82 % of the memory bandwidth taken as achievable.
inline constexpr auto peak = with_unit<units::flop_per_second>(989.5e12_c);
inline constexpr auto bandwidth = with_unit<units::byte_per_second>(0.82_c * 3.35e12_c);
inline constexpr auto used_blocks = kv_blocks_total - kv_blocks_free;
inline constexpr auto pressure = used_blocks / max(kv_blocks_total, 1_c);
inline constexpr auto no_tokens = with_unit<units::token>(0_c);
}  // namespace proxy

struct kv_proxies_t : decltype(feature_set{
                          "prefill_tokens"_f = prefill_tokens,
                          "decode_tokens"_f = decode_tokens,
                          "scheduled_tokens"_f = proxy::tokens,
                          "prefill_requests"_f = prefill_requests,
                          "decode_requests"_f = decode_requests,

                          "kv_usage_ratio"_f = kv_usage_ratio,
                          "kv_blocks_used"_f = proxy::used_blocks,
                          "kv_blocks_free"_f = kv_blocks_free,
                          "queue_running"_f = queue_running,
                          "kv_pressure"_f = proxy::pressure,

                          "prefill_fraction"_f = prefill_tokens / max(proxy::tokens, one_token),
                          "decode_fraction"_f = decode_tokens / max(proxy::tokens, one_token),
                          "mixed"_f = indicator(prefill_requests > 0_c && decode_requests > 0_c),
                          "pure_prefill"_f = indicator(decode_requests == 0_c),

                          "total_flops"_f = proxy::flops(proxy::tokens),
                          "arithmetic_intensity"_f = proxy::intensity,
                          "compute_bound"_f = indicator(proxy::intensity > proxy::peak / proxy::bandwidth),
                          "prefill_compute_intensity"_f = select(prefill_tokens > proxy::no_tokens,
                                                                 proxy::flops(prefill_tokens) / proxy::weight_bytes,
                                                                 with_unit<units::flop_per_byte>(0_c)),
                          "decode_memory_intensity"_f = select(decode_tokens > proxy::no_tokens,
                                                               proxy::weight_bytes / proxy::flops(decode_tokens),
                                                               with_unit<dimension{.flop = -1, .byte = 1}>(0_c)),
                          "attention_flop_ratio"_f = 0_c,
                          "gemm_flop_ratio"_f = 1_c,
                          "active_parameter_ratio"_f = proxy::active,

                          "model_code"_f = model_code,
                          "tensor_parallel"_f = tensor_parallel,
                          "is_moe"_f = architecture::is_moe,

                          "prefill_tokens*decode_tokens"_f = prefill_tokens * decode_tokens,
                          "kv_pressure*decode_requests"_f = proxy::pressure * decode_requests,
                          "arithmetic_intensity*is_moe"_f = proxy::intensity * architecture::is_moe,
                          "prefill_tokens*kv_usage_ratio"_f = prefill_tokens * kv_usage_ratio,
                          "batch_size*kv_pressure"_f = (prefill_requests + decode_requests) * proxy::pressure,
                      }) {};
inline constexpr kv_proxies_t kv_proxies{};
static_assert(kv_proxies_t::size == 30);

}  // namespace rafter::catalog
