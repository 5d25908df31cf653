// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rafter/analytical/pool_state.hpp"
#include "rafter/analytical/roofline.hpp"
#include "rafter/feature/feature_set.hpp"

/// What a step has to do, as numbers that carry over to other models, tensor-parallel degrees and devices: microseconds
/// at the device's roofline, none of them negative, 0 where there is nothing to do. Metrics for a search of formulas
/// (estimator/pmnf.hpp).
namespace rafter::catalog {
using namespace rafter::literals;

namespace detail {
inline constexpr auto one_microsecond = with_unit<units::second>(1e-6_c);
}  // namespace detail

/// For steps whose requests are known.
struct work_metrics_t
    : decltype(feature_set{
          "gemm_us"_f = roofline(analytical::step_gemm) / detail::one_microsecond,
          "prefill_attention_us"_f = roofline(analytical::prefill_attention) / detail::one_microsecond,
          "decode_attention_us"_f = roofline(analytical::decode_attention) / detail::one_microsecond,
          "layers"_f = architecture::layers,
      }) {};
inline constexpr work_metrics_t work_metrics{};

/// For logs of the KV pool's state: the entries in use stand in for those that attention reads.
struct pool_metrics_t
    : decltype(feature_set{
          "gemm_us"_f = roofline(analytical::step_gemm) / detail::one_microsecond,
          "kv_in_use_us"_f = analytical::pool_kv_bytes / hardware::hbm_bandwidth / detail::one_microsecond,
          "requests"_f = prefill_requests + decode_requests,
          "layers"_f = architecture::layers,
      }) {};
inline constexpr pool_metrics_t pool_metrics{};

}  // namespace rafter::catalog
