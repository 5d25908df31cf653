// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rafter/analytical/roofline.hpp"
#include "rafter/feature/feature_set.hpp"

/// The cost law behind the embedded data: what one step of a serving engine takes on one rank. It is invented, with
/// magnitudes that engines on H100 are known to have; nothing in it was measured. README.md says it in words.
namespace serving_cost {

using namespace rafter;
using namespace rafter::literals;

inline constexpr auto microsecond = with_unit<units::second>(0.000001_c);
inline constexpr auto requests = prefill_requests + decode_requests;

/// Share of the dense peak that a pass over T tokens reaches: 0.7·T/(T + 120); three quarters of it in a mixture of
/// experts, whose GEMMs are smaller.
inline constexpr auto mfu = 0.7_c * (scheduled_tokens / (scheduled_tokens + with_unit<units::token>(120_c))) *
                            select(architecture::experts > 1_c, 0.75_c, 1_c);
/// Device memory delivers four fifths of its bandwidth.
inline constexpr auto memory = hardware::hbm_bandwidth * 0.8_c;

constexpr auto larger_of(work auto w, expression auto fraction) {
  return max(w.flops / (hardware::peak_flops * fraction), w.bytes / memory);
}

/// The parts of a step [s], one after the other.
inline constexpr auto parts = feature_set{
    "projections_and_mlp"_f = larger_of(analytical::step_gemm, mfu),
    "lm_head"_f = larger_of(analytical::lm_head(requests), 0.5_c),
    "prefill_attention"_f = larger_of(analytical::prefill_attention, 0.35_c),
    "decode_attention"_f = analytical::decode_attention.bytes / (hardware::hbm_bandwidth * 0.7_c),
    "kv_write"_f = analytical::kv_write.bytes / memory,
    // Two all-reduces a layer: 8 us each, and seven tenths of one direction of the link.
    "all_reduce"_f = select(tensor_parallel > 1_c,
                            analytical::all_reduce_bytes / (hardware::link_bandwidth * 0.35_c) +
                                architecture::layers * (16_c * microsecond),
                            0_c * microsecond),
    // 3 us a layer; 7 us where a prefill keeps the step out of the captured graph.
    "launch"_f = architecture::layers * select(prefill_requests > 0_c, 7_c * microsecond, 3_c * microsecond),
    "sampling"_f = 150_c * microsecond + requests * (2_c * microsecond),
};

/// No step can be faster [s].
inline constexpr auto floor_of = feature_set{"floor"_f = analytical::floor_time};

}  // namespace serving_cost
