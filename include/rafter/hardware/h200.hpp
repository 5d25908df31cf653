// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "rafter/hardware/accelerator.hpp"

namespace rafter {

namespace devices {
using namespace literals;

/// The compute of the H100 SXM with HBM3e.
struct h200_sxm {
  static constexpr std::string_view name = "H200 SXM 141GB";
  static constexpr std::string_view source =
      "NVIDIA H200 Tensor Core GPU datasheet (dense = half the sparse figure); peaks of the H100 SXM "
      "white paper";
  static constexpr peak_table peak_flops{{precision::fp32, 66.9_TFLOP_per_s},  {precision::tf32, 494.7_TFLOP_per_s},
                                         {precision::fp16, 989.4_TFLOP_per_s}, {precision::bf16, 989.4_TFLOP_per_s},
                                         {precision::fp8, 1978.9_TFLOP_per_s}, {precision::int8, 1978.9_TFLOP_per_s}};
  static constexpr byte_per_second hbm_bandwidth = 4.8_TB_per_s;
  static constexpr bytes hbm_capacity = 141_GB;
  static constexpr byte_per_second link_bandwidth = 900_GB_per_s;
  static constexpr int multiprocessors = 132;
  static constexpr bytes cache_capacity = 50_MB;
};
static_assert(static_accelerator<h200_sxm>);

}  // namespace devices

using devices::h200_sxm;

}  // namespace rafter
