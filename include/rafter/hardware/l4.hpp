// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "rafter/hardware/accelerator.hpp"

namespace rafter {

namespace devices {
using namespace literals;

/// GDDR6; PCIe only, no NVLink.
struct l4 {
  static constexpr std::string_view name = "L4 24GB";
  static constexpr std::string_view source =
      "NVIDIA L4 Tensor Core GPU datasheet (dense = half the sparse figures 120, 242 and 485)";
  static constexpr peak_table peak_flops{{precision::fp32, 30.3_TFLOP_per_s}, {precision::tf32, 60_TFLOP_per_s},
                                         {precision::fp16, 121_TFLOP_per_s},  {precision::bf16, 121_TFLOP_per_s},
                                         {precision::fp8, 242.5_TFLOP_per_s}, {precision::int8, 242.5_TFLOP_per_s}};
  static constexpr byte_per_second hbm_bandwidth = 300_GB_per_s;
  static constexpr bytes hbm_capacity = 24_GB;
  static constexpr byte_per_second link_bandwidth = 0_GB_per_s;
  static constexpr int multiprocessors = 58;
  static constexpr bytes cache_capacity = 48_MB;
};
static_assert(static_accelerator<l4>);

}  // namespace devices

using devices::l4;

}  // namespace rafter
