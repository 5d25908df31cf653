// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rafter/analytical/roofline.hpp"
#include "rafter/feature/feature_set.hpp"

/// The public study's 30 features in six groups, for steps whose per-request lengths are known.
namespace rafter::catalog {
using namespace rafter::literals;

inline constexpr auto batch_tokens = feature_set{
    "prefill_tokens"_f = prefill_tokens,     "decode_tokens"_f = decode_tokens,
    "scheduled_tokens"_f = scheduled_tokens, "prefill_requests"_f = prefill_requests,
    "decode_requests"_f = decode_requests,
};

/// Of the KV lengths of the decode requests; 0 in a step without any.
inline constexpr auto kv_statistics = feature_set{
    "kv_mean"_f = mean(kv_length), "kv_max"_f = max(kv_length),
    "kv_min"_f = min(kv_length),   "kv_deviation"_f = standard_deviation(kv_length),
    "kv_sum"_f = sum(kv_length),
};

inline constexpr auto phase = feature_set{
    "prefill_fraction"_f = prefill_tokens / max(scheduled_tokens, one_token),
    "decode_fraction"_f = decode_tokens / max(scheduled_tokens, one_token),
    "mixed"_f = indicator(prefill_requests > 0_c && decode_requests > 0_c),
    "pure_prefill"_f = indicator(decode_requests == 0_c),
};

namespace detail {
inline constexpr auto gemm_flops = analytical::step_gemm.flops;
inline constexpr auto attention_flops = analytical::prefill_attention.flops + analytical::decode_attention.flops;
inline constexpr auto total_flops = gemm_flops + attention_flops;
inline constexpr auto total_bytes = analytical::step_gemm.bytes + analytical::prefill_attention.bytes +
                                    analytical::decode_attention.bytes + analytical::kv_write.bytes;
inline constexpr auto no_flops = with_unit<units::flop>(0_c);
inline constexpr auto intensity = ratio(total_flops, total_bytes, with_unit<units::flop_per_byte>(0_c));
}  // namespace detail

/// Intensities of a phase are those of its own attention: FLOP per byte of prefill, bytes per FLOP of decode.
inline constexpr auto physics = feature_set{
    "total_flops"_f = detail::total_flops,
    "arithmetic_intensity"_f = detail::intensity,
    "compute_bound"_f = indicator(detail::intensity > hardware::machine_balance),
    "prefill_compute_intensity"_f = ratio(analytical::prefill_attention.flops, analytical::prefill_attention.bytes,
                                          with_unit<units::flop_per_byte>(0_c)),
    "decode_memory_intensity"_f = ratio(analytical::decode_attention.bytes, analytical::decode_attention.flops,
                                        with_unit<dimension{.flop = -1, .byte = 1}>(0_c)),
    "attention_flop_ratio"_f = ratio(detail::attention_flops, detail::total_flops, 0_c),
    "gemm_flop_ratio"_f = ratio(detail::gemm_flops, detail::total_flops, 0_c),
    "active_parameter_ratio"_f =
        (analytical::attention_weights + analytical::expert_weights * architecture::experts_per_token +
         analytical::shared_expert_weights) /
        (analytical::attention_weights + analytical::expert_weights * architecture::experts +
         analytical::shared_expert_weights),
};

inline constexpr auto model_architecture = feature_set{
    "model_code"_f = model_code,
    "tensor_parallel"_f = tensor_parallel,
    "is_moe"_f = architecture::is_moe,
};

inline constexpr auto interactions = feature_set{
    "prefill_tokens*decode_tokens"_f = prefill_tokens * decode_tokens,
    "kv_max*decode_requests"_f = max(kv_length) * decode_requests,
    "arithmetic_intensity*is_moe"_f = detail::intensity * architecture::is_moe,
    "prefill_tokens*kv_mean"_f = prefill_tokens * mean(kv_length),
    "batch_size*kv_max"_f = (prefill_requests + decode_requests) * max(kv_length),
};

/// All 30. `model_code` identifies the model: the set does not compile under a split that holds models out; say
/// `without_identity<"model">(study30)` there.
struct study30_t : decltype(batch_tokens | kv_statistics | phase | physics | model_architecture | interactions) {};
inline constexpr study30_t study30{};
static_assert(study30_t::size == 30);

}  // namespace rafter::catalog
