// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "rafter/hardware/accelerator.hpp"

namespace rafter {

namespace devices {
using namespace literals;

/// GDDR6; PCIe only, no NVLink.
struct l40s {
  static constexpr std::string_view name = "L40S 48GB";
  static constexpr std::string_view source = "NVIDIA L40S datasheet (dense figures, the smaller of each pair)";
  static constexpr peak_table peak_flops{{precision::fp32, 91.6_TFLOP_per_s},   {precision::tf32, 183_TFLOP_per_s},
                                         {precision::fp16, 362.05_TFLOP_per_s}, {precision::bf16, 362.05_TFLOP_per_s},
                                         {precision::fp8, 733_TFLOP_per_s},     {precision::int8, 733_TFLOP_per_s}};
  static constexpr byte_per_second hbm_bandwidth = 864_GB_per_s;
  static constexpr bytes hbm_capacity = 48_GB;
  static constexpr byte_per_second link_bandwidth = 0_GB_per_s;
  static constexpr int multiprocessors = 142;
  static constexpr bytes cache_capacity = 96_MB;
};
static_assert(static_accelerator<l40s>);

}  // namespace devices

using devices::l40s;

}  // namespace rafter
