// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "rafter/hardware/accelerator.hpp"

namespace rafter {

namespace devices {
using namespace literals;

/// 132 SMs, HBM3; 18 NVLink 4 links.
struct h100_sxm {
  static constexpr std::string_view name = "H100 SXM5 80GB";
  static constexpr std::string_view source =
      "NVIDIA H100 Tensor Core GPU Architecture white paper, H100 specification table (dense figures)";
  static constexpr peak_table peak_flops{{precision::fp32, 66.9_TFLOP_per_s},  {precision::tf32, 494.7_TFLOP_per_s},
                                         {precision::fp16, 989.4_TFLOP_per_s}, {precision::bf16, 989.4_TFLOP_per_s},
                                         {precision::fp8, 1978.9_TFLOP_per_s}, {precision::int8, 1978.9_TFLOP_per_s}};
  static constexpr byte_per_second hbm_bandwidth = 3.35_TB_per_s;
  static constexpr bytes hbm_capacity = 80_GB;
  static constexpr byte_per_second link_bandwidth = 900_GB_per_s;
  static constexpr int multiprocessors = 132;
  static constexpr bytes cache_capacity = 50_MB;
};
static_assert(static_accelerator<h100_sxm>);

/// 114 SMs, HBM2e. The link is the NVLink bridge of a pair; without a bridge set it to 0 in a record.
struct h100_pcie {
  static constexpr std::string_view name = "H100 PCIe 80GB";
  static constexpr std::string_view source =
      "NVIDIA H100 Tensor Core GPU Architecture white paper, H100 specification table (dense figures); "
      "bandwidth as printed there, 2.0 TB/s";
  static constexpr peak_table peak_flops{{precision::fp32, 51.2_TFLOP_per_s}, {precision::tf32, 378_TFLOP_per_s},
                                         {precision::fp16, 756_TFLOP_per_s},  {precision::bf16, 756_TFLOP_per_s},
                                         {precision::fp8, 1513_TFLOP_per_s},  {precision::int8, 1513_TFLOP_per_s}};
  static constexpr byte_per_second hbm_bandwidth = 2.0_TB_per_s;
  static constexpr bytes hbm_capacity = 80_GB;
  static constexpr byte_per_second link_bandwidth = 600_GB_per_s;
  static constexpr int multiprocessors = 114;
  static constexpr bytes cache_capacity = 50_MB;
};
static_assert(static_accelerator<h100_pcie>);

/// One card; HBM3. The link is the NVLink bridge.
struct h100_nvl {
  static constexpr std::string_view name = "H100 NVL 94GB";
  static constexpr std::string_view source =
      "NVIDIA H100 Tensor Core GPU datasheet, H100 NVL column (one card; dense = half the sparse "
      "figures 1,671 and 3,341)";
  static constexpr peak_table peak_flops{{precision::fp32, 60_TFLOP_per_s},    {precision::tf32, 417.5_TFLOP_per_s},
                                         {precision::fp16, 835.5_TFLOP_per_s}, {precision::bf16, 835.5_TFLOP_per_s},
                                         {precision::fp8, 1670.5_TFLOP_per_s}, {precision::int8, 1670.5_TFLOP_per_s}};
  static constexpr byte_per_second hbm_bandwidth = 3.9_TB_per_s;
  static constexpr bytes hbm_capacity = 94_GB;
  static constexpr byte_per_second link_bandwidth = 600_GB_per_s;
  static constexpr int multiprocessors = 132;
  static constexpr bytes cache_capacity = 50_MB;
};
static_assert(static_accelerator<h100_nvl>);

}  // namespace devices

using devices::h100_nvl;
using devices::h100_pcie;
using devices::h100_sxm;

static_assert(machine_balance_of<h100_sxm, precision::bf16>.value > 295.0);

}  // namespace rafter
