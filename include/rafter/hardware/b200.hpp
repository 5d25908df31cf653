// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "rafter/hardware/accelerator.hpp"

namespace rafter {

namespace devices {
using namespace literals;

/// The 1,000 W HGX part; figures are published to two digits only. 14.4 TB/s NVLink over 8 GPUs.
struct b200_sxm {
  static constexpr std::string_view name = "B200 SXM 180GB";
  static constexpr std::string_view source =
      "NVIDIA Blackwell Architecture Technical Brief, HGX B200 per GPU (dense); memory: NVIDIA DGX "
      "B200 datasheet, 1,440 GB and 64 TB/s over 8 GPUs";
  static constexpr peak_table peak_flops{{precision::fp32, 80_TFLOP_per_s},   {precision::tf32, 1100_TFLOP_per_s},
                                         {precision::fp16, 2250_TFLOP_per_s}, {precision::bf16, 2250_TFLOP_per_s},
                                         {precision::fp8, 4500_TFLOP_per_s},  {precision::int8, 4500_TFLOP_per_s},
                                         {precision::fp4, 9000_TFLOP_per_s}};
  static constexpr byte_per_second hbm_bandwidth = 8_TB_per_s;
  static constexpr bytes hbm_capacity = 180_GB;
  static constexpr byte_per_second link_bandwidth = 1800_GB_per_s;
  static constexpr int multiprocessors = 148;
  static constexpr bytes cache_capacity = 126_MB;
};
static_assert(static_accelerator<b200_sxm>);

}  // namespace devices

using devices::b200_sxm;

}  // namespace rafter
