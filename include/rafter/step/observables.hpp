// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rafter/expression/operators.hpp"

namespace rafter {

// The observables of a step and of its requests. Each reads a member of the same name; a record that lacks the member
// lacks the observable, at compile time. One that has a `definition` is computed from the step's requests instead.

#define RAFTER_OBSERVABLE_BODY(member)                       \
  template <class Record>                                    \
  requires requires(const Record& record) { record.member; } \
  static constexpr double read(const Record& record) { return static_cast<double>(record.member); }

// -- of one request ------------------------------------------------------------------------------------------------

/// Tokens of this request that the step processes [token].
struct new_tokens_t : observable<"new_tokens", units::token, level::request> {
  RAFTER_OBSERVABLE_BODY(new_tokens)
};
inline constexpr new_tokens_t new_tokens{};

/// Tokens of this request that are in the KV cache before the step [token].
struct context_tokens_t : observable<"context_tokens", units::token, level::request> {
  RAFTER_OBSERVABLE_BODY(context_tokens)
};
inline constexpr context_tokens_t context_tokens{};

/// KV entries that a decode request attends to, the new token included: context + 1 [token]. Decode requests only.
struct kv_length_t
    : observable<"kv_length", units::token, level::request, provenance::known_before_step, request_domain::decode> {
  using definition = decltype(context_tokens + one_token);
  RAFTER_OBSERVABLE_BODY(kv_length)
};
inline constexpr kv_length_t kv_length{};

// -- batch composition: known before the step ----------------------------------------------------------------------

#define RAFTER_STEP_AGGREGATE(label, unit, ...)              \
  struct label##_t : observable<#label, unit, level::step> { \
    using definition = __VA_ARGS__;                          \
    RAFTER_OBSERVABLE_BODY(label)                            \
  };                                                         \
  inline constexpr label##_t label{};                        \
  template <> struct detail::named_aggregate<label##_t::definition> { using type = label##_t; };

/// Tokens of prefill chunks, tokens of decode requests (one each) [token].
RAFTER_STEP_AGGREGATE(prefill_tokens, units::token,
                      reduction<operation::reduce_sum, request_domain::prefill, new_tokens_t>)
RAFTER_STEP_AGGREGATE(decode_tokens, units::token,
                      reduction<operation::reduce_sum, request_domain::decode, new_tokens_t>)
/// Number of prefill and of decode requests: `count(prefill)`, `count(decode)`.
RAFTER_STEP_AGGREGATE(prefill_requests, units::none,
                      reduction<operation::reduce_count, request_domain::prefill, constant<1, 0>>)
RAFTER_STEP_AGGREGATE(decode_requests, units::none,
                      reduction<operation::reduce_count, request_domain::decode, constant<1, 0>>)
/// Sum, mean, largest, smallest and (population) standard deviation of the decode requests' KV lengths [token].
RAFTER_STEP_AGGREGATE(kv_sum, units::token, reduction<operation::reduce_sum, request_domain::decode, kv_length_t>)
RAFTER_STEP_AGGREGATE(kv_mean, units::token, reduction<operation::reduce_mean, request_domain::decode, kv_length_t>)
RAFTER_STEP_AGGREGATE(kv_max, units::token, reduction<operation::reduce_maximum, request_domain::decode, kv_length_t>)
RAFTER_STEP_AGGREGATE(kv_min, units::token, reduction<operation::reduce_minimum, request_domain::decode, kv_length_t>)
RAFTER_STEP_AGGREGATE(kv_deviation, units::token,
                      reduction<operation::reduce_deviation, request_domain::decode, kv_length_t>)

#undef RAFTER_STEP_AGGREGATE

/// All tokens that the step processes, T [token].
inline constexpr auto scheduled_tokens = prefill_tokens + decode_tokens;

// -- engine state: known before the step ---------------------------------------------------------------------------

#define RAFTER_STEP_OBSERVABLE(label, unit, known)                  \
  struct label##_t : observable<#label, unit, level::step, known> { \
    RAFTER_OBSERVABLE_BODY(label)                                   \
  };                                                                \
  inline constexpr label##_t label{};

RAFTER_STEP_OBSERVABLE(queue_running, units::none, provenance::known_before_step)
RAFTER_STEP_OBSERVABLE(queue_waiting, units::none, provenance::known_before_step)
/// Share of the KV pool in use, its size and what is free, in blocks.
RAFTER_STEP_OBSERVABLE(kv_usage_ratio, units::none, provenance::known_before_step)
RAFTER_STEP_OBSERVABLE(kv_blocks_total, units::none, provenance::known_before_step)
RAFTER_STEP_OBSERVABLE(kv_blocks_free, units::none, provenance::known_before_step)

// -- what the step's time counts: known from how it is measured ------------------------------------------------------

/// 1 where the time that is asked for counts norms, rotary embedding, activation functions and residual additions, 0
/// where it is that of matrix products and attention alone. A record that does not say counts them: whole steps do.
struct elementwise_counted_t : observable<"elementwise_counted", units::none, level::step> {
  using definition = constant<1, 0>;
  RAFTER_OBSERVABLE_BODY(elementwise_counted)
};
inline constexpr elementwise_counted_t elementwise_counted{};
/// 1 where the matrix products come from a library whose time moves in whole waves of tiles, 0 where it is smooth. A
/// record that does not say: smooth.
struct gemm_in_waves_t : observable<"gemm_in_waves", units::none, level::step> {
  using definition = constant<0, 0>;
  RAFTER_OBSERVABLE_BODY(gemm_in_waves)
};
inline constexpr gemm_in_waves_t gemm_in_waves{};

// -- observed after the step: targets and labels, never features ---------------------------------------------------

/// Requests that the step finished or preempted.
RAFTER_STEP_OBSERVABLE(finished_requests, units::none, provenance::observed_after_step)
RAFTER_STEP_OBSERVABLE(preempted_requests, units::none, provenance::observed_after_step)
/// Time on the GPU; start to start of consecutive steps; whatever span the engine's log calls a step's duration [s].
RAFTER_STEP_OBSERVABLE(gpu_step_time, units::second, provenance::observed_after_step)
RAFTER_STEP_OBSERVABLE(step_interval, units::second, provenance::observed_after_step)
RAFTER_STEP_OBSERVABLE(logged_duration, units::second, provenance::observed_after_step)
/// Parts of a step, where they were measured alone [s].
RAFTER_STEP_OBSERVABLE(gemm_time, units::second, provenance::observed_after_step)
RAFTER_STEP_OBSERVABLE(moe_time, units::second, provenance::observed_after_step)
RAFTER_STEP_OBSERVABLE(prefill_attention_time, units::second, provenance::observed_after_step)
RAFTER_STEP_OBSERVABLE(decode_attention_time, units::second, provenance::observed_after_step)
RAFTER_STEP_OBSERVABLE(other_time, units::second, provenance::observed_after_step)
RAFTER_STEP_OBSERVABLE(wall_time, units::second, provenance::observed_after_step)

#undef RAFTER_STEP_OBSERVABLE
#undef RAFTER_OBSERVABLE_BODY

}  // namespace rafter
