// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rafter/analytical/work.hpp"

namespace rafter {

/// Roofline time of a piece of work at a fraction `mfu` of the dense peak: max(FLOP/(peak·mfu), bytes/bandwidth) [s].
/// Source: Williams, Waterman, Patterson 2009, "Roofline: an insightful visual performance model".
template <expression Flops, expression Bytes, expression Mfu>
constexpr auto roofline(Flops work_flops, Bytes work_bytes, Mfu mfu) {
  return max(work_flops / (hardware::peak_flops * mfu), work_bytes / hardware::hbm_bandwidth);
}
/// At the peak itself.
constexpr auto roofline(work auto w) {
  return max(w.flops / hardware::peak_flops, w.bytes / hardware::hbm_bandwidth);
}

namespace analytical {

/// All tokens go through one pass of the projections and the MLP.
inline constexpr auto step_gemm = projections_and_mlp(scheduled_tokens);

/// Time of one rank's share of the ring all-reduces at the link's one-directional bandwidth (half of the figure that
/// datasheets print, which sums both directions) [s]; 0 for tp = 1.
inline constexpr auto all_reduce_time =
    select(tensor_parallel > symbols::number<1>, all_reduce_bytes / (hardware::link_bandwidth / symbols::number<2>),
           constant<0, 0, units::second>{});

/// Step time with every component at its roofline and nothing fitted: projections and MLP, then prefill attention, then
/// decode attention, then the KV write. They run one after the other on one stream.
inline constexpr auto roofline_step_time = roofline(step_gemm) + roofline(prefill_attention) +
                                           roofline(decode_attention) + kv_write.bytes / hardware::hbm_bandwidth;

/// The weakest floor, which surely holds for any pass over at least one token: the time to read from memory, once, the
/// weights that the pass must touch, and nothing else. 0 for a step without tokens. Nothing measured on the GPU can be
/// below it; what is, is not GPU time. (Weights that stay in an on-chip cache between steps would be an exception; the
/// caches are tens of megabytes.)
inline constexpr auto floor_time =
    select(scheduled_tokens > constant<0, 0, units::token>{}, least_weight_bytes / hardware::hbm_bandwidth,
           constant<0, 0, units::second>{});

}  // namespace analytical
}  // namespace rafter
