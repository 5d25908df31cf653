// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "rafter/hardware/accelerator.hpp"

namespace rafter {

namespace devices {
using namespace literals;

/// 304 compute units, HBM3. The link is 7 Infinity Fabric links of 128 GB/s to the other GPUs of a platform.
struct mi300x {
  static constexpr std::string_view name = "MI300X 192GB";
  static constexpr std::string_view source = "AMD Instinct MI300X accelerator data sheet (dense peak theoretical)";
  static constexpr peak_table peak_flops{
      {precision::fp32, 163.4_TFLOP_per_s},  {precision::tf32, 653.7_TFLOP_per_s},
      {precision::fp16, 1307.4_TFLOP_per_s}, {precision::bf16, 1307.4_TFLOP_per_s},
      {precision::fp8, 2614.9_TFLOP_per_s},  {precision::int8, 2614.9_TFLOP_per_s}};
  static constexpr byte_per_second hbm_bandwidth = 5.3_TB_per_s;
  static constexpr bytes hbm_capacity = 192_GB;
  static constexpr byte_per_second link_bandwidth = 896_GB_per_s;
  static constexpr int multiprocessors = 304;
  static constexpr bytes cache_capacity = 256_MB;
};
static_assert(static_accelerator<mi300x>);

}  // namespace devices

using devices::mi300x;

}  // namespace rafter
