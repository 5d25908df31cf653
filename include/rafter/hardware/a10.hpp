// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "rafter/hardware/accelerator.hpp"

namespace rafter {

namespace devices {
using namespace literals;

/// GDDR6; PCIe only, no NVLink. The A10G of some clouds is another part with lower peaks.
struct a10 {
  static constexpr std::string_view name = "A10 24GB";
  static constexpr std::string_view source = "NVIDIA A10 Tensor Core GPU datasheet (dense figures)";
  static constexpr peak_table peak_flops{{precision::fp32, 31.2_TFLOP_per_s},
                                         {precision::tf32, 62.5_TFLOP_per_s},
                                         {precision::fp16, 125_TFLOP_per_s},
                                         {precision::bf16, 125_TFLOP_per_s},
                                         {precision::int8, 250_TFLOP_per_s}};
  static constexpr byte_per_second hbm_bandwidth = 600_GB_per_s;
  static constexpr bytes hbm_capacity = 24_GB;
  static constexpr byte_per_second link_bandwidth = 0_GB_per_s;
  static constexpr int multiprocessors = 72;
  static constexpr bytes cache_capacity = 6_MB;
};
static_assert(static_accelerator<a10>);

}  // namespace devices

using devices::a10;

}  // namespace rafter
