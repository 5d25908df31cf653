// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "rafter/hardware/accelerator.hpp"

namespace rafter {

namespace devices {
using namespace literals;

/// 78 SMs, HBM3.
struct h20 {
  static constexpr std::string_view name = "H20 96GB";
  static constexpr std::string_view source =
      "Figures as reported in the trade press (148 TFLOP/s fp16, 296 int8, 4.0 TB/s, 96 GB); NVIDIA "
      "publishes no datasheet";
  static constexpr peak_table peak_flops{{precision::fp32, 44_TFLOP_per_s},  {precision::tf32, 74_TFLOP_per_s},
                                         {precision::fp16, 148_TFLOP_per_s}, {precision::bf16, 148_TFLOP_per_s},
                                         {precision::fp8, 296_TFLOP_per_s},  {precision::int8, 296_TFLOP_per_s}};
  static constexpr byte_per_second hbm_bandwidth = 4.0_TB_per_s;
  static constexpr bytes hbm_capacity = 96_GB;
  static constexpr byte_per_second link_bandwidth = 900_GB_per_s;
  static constexpr int multiprocessors = 78;
  static constexpr bytes cache_capacity = 60_MB;
};
static_assert(static_accelerator<h20>);

}  // namespace devices

using devices::h20;

}  // namespace rafter
