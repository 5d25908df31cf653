// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

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

namespace detail {
/// A figure that a record may not know. @throws hardware_error naming the device
template <class Device> constexpr double known(const Device& device, double value, const char* figure) {
  if (!(value > 0.0)) {
    throw hardware_error("accelerator '" + std::string(std::string_view(device.name)) + "': its " + figure +
                         " is not known, and the model needs it");
  }
  return value;
}
}  // namespace detail

/// Streaming multiprocessors (compute units) that share the work.
struct multiprocessors_t : observable<"multiprocessors", units::none, level::deployment> {
  template <class Deployment>
  requires requires(const Deployment& d) { d.hardware.multiprocessors; }
  static constexpr double read(const Deployment& d) {
    return detail::known(d.hardware, static_cast<double>(d.hardware.multiprocessors), "number of multiprocessors");
  }
};
inline constexpr multiprocessors_t multiprocessors{};

/// Capacity of the last cache on the chip [B].
struct cache_capacity_t : observable<"cache_capacity", units::byte, level::deployment> {
  template <class Deployment>
  requires requires(const Deployment& d) { d.hardware.cache_capacity.value; }
  static constexpr double read(const Deployment& d) {
    return detail::known(d.hardware, d.hardware.cache_capacity.value, "cache capacity");
  }
};
inline constexpr cache_capacity_t cache_capacity{};

/// Arithmetic intensity above which work is bound by compute: peak / bandwidth [FLOP/B].
inline constexpr auto machine_balance = peak_flops / hbm_bandwidth;

}  // namespace rafter::hardware
