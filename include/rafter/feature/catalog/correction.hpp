// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rafter/feature/catalog/scale_free.hpp"

namespace rafter::catalog {

/// What a correction to a physical model may depend on: where the time of the step goes, by rooflines; logarithms of how
/// much there is of each kind of work; and how attention is shaped on a rank. Several models share each of these numbers,
/// and the gate of a hybrid leaves alone what has others: routing, so that what was learnt of dense models is not
/// applied to mixtures of experts.
struct correction_t
    : decltype(feature_set{
          "gemm_share"_f = scaled::share(scaled::gemm),
          "prefill_attention_share"_f = scaled::share(scaled::prefill_attention),
          "decode_attention_share"_f = scaled::share(scaled::decode_attention),
          "roofline_us_per_layer"_f = log1p(scaled::total / scaled::microsecond / architecture::layers),
          "scheduled_tokens"_f = log1p(scheduled_tokens / one_token),
          "kv_mean"_f = log1p(ratio(kv_sum / one_token, decode_requests, 0_c)),
          "decode_requests"_f = log1p(decode_requests),
          "prompt_length"_f = log1p(ratio(prefill_tokens / one_token, prefill_requests, 0_c)),
          "prefill_requests"_f = log1p(prefill_requests),
          "is_moe"_f = architecture::is_moe,
          "head_dim"_f = architecture::head_dim,
          "heads_per_kv_head"_f = architecture::heads / architecture::kv_heads,
          "kv_heads_of_rank"_f = architecture::kv_heads / tensor_parallel,
          "heads_of_rank"_f = architecture::heads / tensor_parallel,
          "gemm_in_waves"_f = gemm_in_waves,
      }) {};
inline constexpr correction_t correction{};

/// Those that only rise, or stay, as batches become heavier.
struct monotone_correction_t
    : decltype(feature_set{
          "roofline_us_per_layer"_f = log1p(scaled::total / scaled::microsecond / architecture::layers),
          "scheduled_tokens"_f = log1p(scheduled_tokens / one_token),
          "kv_sum"_f = log1p(kv_sum / one_token),
          "decode_requests"_f = log1p(decode_requests),
          "prefill_tokens"_f = log1p(prefill_tokens / one_token),
          "prefill_requests"_f = log1p(prefill_requests),
          "is_moe"_f = architecture::is_moe,
          "head_dim"_f = architecture::head_dim,
          "heads_per_kv_head"_f = architecture::heads / architecture::kv_heads,
          "kv_heads_of_rank"_f = architecture::kv_heads / tensor_parallel,
          "heads_of_rank"_f = architecture::heads / tensor_parallel,
          "gemm_in_waves"_f = gemm_in_waves,
      }) {};
inline constexpr monotone_correction_t monotone_correction{};

/// The same idea for logs without KV lengths: the batch, and the state of the KV pool.
struct pool_correction_t : decltype(feature_set{
                               "scheduled_tokens"_f = log1p(scheduled_tokens / one_token),
                               "prefill_tokens"_f = log1p(prefill_tokens / one_token),
                               "prefill_requests"_f = log1p(prefill_requests),
                               "decode_requests"_f = log1p(decode_requests),
                               "kv_usage_ratio"_f = kv_usage_ratio,
                               "queue_waiting"_f = log1p(queue_waiting),
                               "is_moe"_f = architecture::is_moe,
                           }) {};
inline constexpr pool_correction_t pool_correction{};

}  // namespace rafter::catalog
