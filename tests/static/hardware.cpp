// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/hardware.hpp"

namespace rafter_static_tests {

using namespace rafter;
using namespace rafter::literals;

static_assert(machine_balance_of<h100_sxm, precision::bf16> > 295_FLOP_per_B);
static_assert(machine_balance_of<h200_sxm, precision::bf16> < machine_balance_of<h100_sxm, precision::bf16>);
static_assert(peak_of(h100_sxm{}, precision::fp8) == 1978.9_TFLOP_per_s);
static_assert(!a100_sxm_80gb::peak_flops.has(precision::fp8));
static_assert(!h100_sxm::peak_flops.at(precision::fp4));
static_assert(b200_sxm::peak_flops.has(precision::fp4));
static_assert(l40s::link_bandwidth == 0_GB_per_s);
static_assert(text_of(precision::bf16) == "bf16");
static_assert(text_of(precision::fp4) == "fp4");

/// The shortest accelerator.
struct archetype {
  static constexpr std::string_view name = "archetype";
  static constexpr std::string_view source = "none: made up";
  static constexpr peak_table peak_flops{{precision::bf16, 1_TFLOP_per_s}};
  static constexpr byte_per_second hbm_bandwidth = 1_TB_per_s;
  static constexpr bytes hbm_capacity = 1_GB;
  static constexpr byte_per_second link_bandwidth = 0_GB_per_s;
};
static_assert(static_accelerator<archetype>);
static_assert(machine_balance_of<archetype, precision::bf16> == 1_FLOP_per_B);

struct without_a_source {
  static constexpr std::string_view name = "x";
  static constexpr peak_table peak_flops{{precision::bf16, 1_TFLOP_per_s}};
  static constexpr byte_per_second hbm_bandwidth = 1_TB_per_s;
  static constexpr bytes hbm_capacity = 1_GB;
  static constexpr byte_per_second link_bandwidth = 0_GB_per_s;
};
static_assert(!accelerator<without_a_source>);
static_assert(!accelerator<int>);
static_assert(accelerator<accelerator_record> && !static_accelerator<accelerator_record>);

}  // namespace rafter_static_tests
