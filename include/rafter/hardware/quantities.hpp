// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rafter/expression/operators.hpp"
#include "rafter/hardware/accelerator.hpp"

/// The figures of the device as expressions, read from `deployment.hardware`; the peak is the dense one of
/// `deployment.math_precision`.
namespace rafter::hardware {

/// Dense peak in the precision that the deployment computes in [FLOP/s].
struct peak_flops_t : observable<"peak_flops", units::flop_per_second, level::deployment> {
  template <class Deployment>
  requires requires(const Deployment& d) { peak_of(d.hardware, d.math_precision); }
  static constexpr double read(const Deployment& d) { return peak_of(d.hardware, d.math_precision).value; }
};
inline constexpr peak_flops_t peak_flops{};

/// Bandwidth of the device memory [B/s].
struct hbm_bandwidth_t : observable<"hbm_bandwidth", units::byte_per_second, level::deployment> {
  template <class Deployment>
  requires requires(const Deployment& d) { d.hardware.hbm_bandwidth.value; }
  static constexpr double read(const Deployment& d) { return d.hardware.hbm_bandwidth.value; }
};
inline constexpr hbm_bandwidth_t hbm_bandwidth{};

/// GPU-to-GPU bandwidth, both directions summed [B/s]; 0 where there is no link.
struct link_bandwidth_t : observable<"link_bandwidth", units::byte_per_second, level::deployment> {
  template <class Deployment>
  requires requires(const Deployment& d) { d.hardware.link_bandwidth.value; }
  static constexpr double read(const Deployment& d) { return d.hardware.link_bandwidth.value; }
};
inline constexpr link_bandwidth_t link_bandwidth{};

/// Arithmetic intensity above which work is bound by compute: peak / bandwidth [FLOP/B].
inline constexpr auto machine_balance = peak_flops / hbm_bandwidth;

}  // namespace rafter::hardware
