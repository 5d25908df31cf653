// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rafter/analytical/roofline.hpp"
#include "rafter/expression/parameter.hpp"

/// A step of a serving engine that logs the state of its KV pool instead of the requests' KV lengths, start to start of
/// consecutive steps: reading the weights, the arithmetic of all tokens, reading the KV entries that the pool holds, and
/// what host and launches cost per layer, per request and per step with prompts in it. Linear in its six parameters.
namespace rafter::analytical {

/// Tokens of one block of the KV pool, as vLLM's default has it; another size scales `kv_factor`.
inline constexpr constant<16, 0> kv_block_tokens{};

/// Bytes per rank of the KV entries in use, whoever owns them: an upper bound of what decode attention reads.
inline constexpr auto pool_kv_bytes = symbols::number<2> * architecture::layers *
                                      ((architecture::kv_heads / tensor_parallel) * architecture::head_dim) *
                                      architecture::bytes_per_kv *
                                      (kv_block_tokens * (kv_blocks_total - kv_blocks_free));

namespace pool {
inline constexpr bounded<"weight_factor", constant<0, 0>{}, constant<1, 0>{}, constant<10, 0>{}> weight_factor{};
inline constexpr bounded<"compute_factor", constant<0, 0>{}, constant<1, 0>{}, constant<100, 0>{}> compute_factor{};
inline constexpr bounded<"kv_factor", constant<0, 0>{}, constant<1, 0>{}, constant<100, 0>{}> kv_factor{};
inline constexpr bounded<"layer_floor", constant<0, 0>{}, constant<50, -6>{}, constant<1, -2>{}, units::second>
    layer_floor{};
inline constexpr bounded<"request_time", constant<0, 0>{}, constant<1, -6>{}, constant<1, -2>{}, units::second>
    request_time{};
inline constexpr bounded<"prompt_time", constant<0, 0>{}, constant<1, -6>{}, constant<1, -1>{}, units::second>
    prompt_time{};
}  // namespace pool

inline constexpr auto pool_state_step_time =
    pool::weight_factor * (least_weight_bytes / hardware::hbm_bandwidth) +
    pool::compute_factor * (step_gemm.flops / hardware::peak_flops) +
    pool::kv_factor * (pool_kv_bytes / hardware::hbm_bandwidth) + pool::layer_floor * architecture::layers +
    pool::request_time * (prefill_requests + decode_requests) +
    pool::prompt_time * indicator(prefill_tokens > constant<0, 0, units::token>{});

}  // namespace rafter::analytical
