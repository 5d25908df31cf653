// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "rafter/hardware/accelerator.hpp"

namespace rafter {

namespace devices {
using namespace literals;

/// 108 SMs, HBM2e. No FP8.
struct a100_sxm_80gb {
  static constexpr std::string_view name = "A100 SXM4 80GB";
  static constexpr std::string_view source = "NVIDIA A100 Tensor Core GPU datasheet (dense figures)";
  static constexpr peak_table peak_flops{{precision::fp32, 19.5_TFLOP_per_s},
                                         {precision::tf32, 156_TFLOP_per_s},
                                         {precision::fp16, 312_TFLOP_per_s},
                                         {precision::bf16, 312_TFLOP_per_s},
                                         {precision::int8, 624_TFLOP_per_s}};
  static constexpr byte_per_second hbm_bandwidth = 2.039_TB_per_s;
  static constexpr bytes hbm_capacity = 80_GB;
  static constexpr byte_per_second link_bandwidth = 600_GB_per_s;
  static constexpr int multiprocessors = 108;
  static constexpr bytes cache_capacity = 40_MB;
};
static_assert(static_accelerator<a100_sxm_80gb>);

/// 108 SMs, HBM2. No FP8.
struct a100_sxm_40gb {
  static constexpr std::string_view name = "A100 SXM4 40GB";
  static constexpr std::string_view source = "NVIDIA A100 Tensor Core GPU datasheet (dense figures)";
  static constexpr peak_table peak_flops{{precision::fp32, 19.5_TFLOP_per_s},
                                         {precision::tf32, 156_TFLOP_per_s},
                                         {precision::fp16, 312_TFLOP_per_s},
                                         {precision::bf16, 312_TFLOP_per_s},
                                         {precision::int8, 624_TFLOP_per_s}};
  static constexpr byte_per_second hbm_bandwidth = 1.555_TB_per_s;
  static constexpr bytes hbm_capacity = 40_GB;
  static constexpr byte_per_second link_bandwidth = 600_GB_per_s;
  static constexpr int multiprocessors = 108;
  static constexpr bytes cache_capacity = 40_MB;
};
static_assert(static_accelerator<a100_sxm_40gb>);

/// HBM2e. The link is the NVLink bridge of a pair; without a bridge set it to 0 in a record.
struct a100_pcie_80gb {
  static constexpr std::string_view name = "A100 PCIe 80GB";
  static constexpr std::string_view source = "NVIDIA A100 Tensor Core GPU datasheet (dense figures)";
  static constexpr peak_table peak_flops{{precision::fp32, 19.5_TFLOP_per_s},
                                         {precision::tf32, 156_TFLOP_per_s},
                                         {precision::fp16, 312_TFLOP_per_s},
                                         {precision::bf16, 312_TFLOP_per_s},
                                         {precision::int8, 624_TFLOP_per_s}};
  static constexpr byte_per_second hbm_bandwidth = 1.935_TB_per_s;
  static constexpr bytes hbm_capacity = 80_GB;
  static constexpr byte_per_second link_bandwidth = 600_GB_per_s;
  static constexpr int multiprocessors = 108;
  static constexpr bytes cache_capacity = 40_MB;
};
static_assert(static_accelerator<a100_pcie_80gb>);

}  // namespace devices

using devices::a100_pcie_80gb;
using devices::a100_sxm_40gb;
using devices::a100_sxm_80gb;

}  // namespace rafter
