// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "rafter/core/diagnostic.hpp"
#include "rafter/core/error.hpp"
#include "rafter/units/quantity.hpp"

namespace rafter {

/// A device that is unknown, has impossible figures, or lacks a peak that is asked for at run time.
struct hardware_error : error {
  using error::error;
};

/// The number formats that devices publish a peak for. `fp32` is the vector (non-tensor) peak; all others are the
/// matrix units'. `fp8` covers both e4m3 and e5m2, `fp4` is block-scaled.
enum class precision : unsigned char { fp32, tf32, fp16, bf16, fp8, int8, fp4 };

inline constexpr std::size_t precision_count = 7;

constexpr std::string_view text_of(precision p) {
  constexpr std::array<std::string_view, precision_count> texts{"fp32", "tf32", "fp16", "bf16", "fp8", "int8", "fp4"};
  return texts[static_cast<std::size_t>(p)];
}

/// One row of a datasheet: the dense peak in one format.
struct precision_peak {
  precision format;
  flop_per_second peak;
};

/// Dense peaks by format; a format that the device does not have is absent, never zero.
/// `peak_table{{precision::bf16, 989.4_TFLOP_per_s}, {precision::fp8, 1978.9_TFLOP_per_s}}`.
class peak_table {
 public:
  constexpr peak_table() = default;
  /// @throws hardware_error when a peak is not a positive finite number or a format is given twice
  ///         (in a constant expression: does not compile)
  constexpr peak_table(std::initializer_list<precision_peak> peaks) {
    for (const precision_peak& row : peaks) set(row.format, row.peak);
  }

  /// Adds the peak of one format. @throws hardware_error as the constructor.
  constexpr void set(precision format, flop_per_second peak) {
    if (!(peak.value > 0.0 && peak.value < 1e300))
      throw hardware_error("peak_table: a peak is not positive and finite");
    double& slot = peaks_[static_cast<std::size_t>(format)];
    if (slot != 0.0) throw hardware_error("peak_table: a precision is given twice");
    slot = peak.value;
  }

  constexpr bool has(precision format) const { return peaks_[static_cast<std::size_t>(format)] != 0.0; }
  /// The peak, or nothing when the device has none in that format.
  constexpr std::optional<flop_per_second> at(precision format) const {
    if (!has(format)) return std::nullopt;
    return flop_per_second{peaks_[static_cast<std::size_t>(format)]};
  }
  /// How many formats have a peak.
  constexpr std::size_t size() const {
    std::size_t count = 0;
    for (const double peak : peaks_) count += peak != 0.0 ? 1U : 0U;
    return count;
  }
  friend constexpr bool operator==(const peak_table&, const peak_table&) = default;

 private:
  std::array<double, precision_count> peaks_{};  // 0: absent; positive otherwise
};

/// A device as datasheets describe it: an empty type with static members, or a record with the same members.
/// Figures are the published dense peaks in base units (FLOP/s, B/s, B; GB = 1e9 B). `hbm_…` is the device memory of
/// whatever kind; `link_bandwidth` is GPU to GPU, both directions summed, 0 B/s when there is no such link. A device may
/// also say `multiprocessors` (how many SMs or compute units share its work) and `cache_capacity` (the last cache on the
/// chip); models that count waves of work or data that stays in the cache need them.
/// Axioms: members never change; peaks, bandwidth and capacity are positive; `source` names where they were
/// published.
template <class Device>
concept accelerator = requires(const Device& device) {
  { device.name } -> std::convertible_to<std::string_view>;
  { device.source } -> std::convertible_to<std::string_view>;
  { device.peak_flops } -> std::convertible_to<peak_table>;
  { device.hbm_bandwidth } -> std::convertible_to<byte_per_second>;
  { device.hbm_capacity } -> std::convertible_to<bytes>;
  { device.link_bandwidth } -> std::convertible_to<byte_per_second>;
};

/// An accelerator whose figures are known to the compiler: empty, default-constructible, all members static.
template <class Device>
concept static_accelerator = accelerator<Device> && std::is_empty_v<Device> && requires {
  Device::name;
  Device::peak_flops;
  Device::hbm_bandwidth;
};

// Tags for messages (core/diagnostic.hpp).
template <precision Format> struct needs_peak_for;
template <class Device> struct which_device_does_not_have;

namespace detail {

template <static_accelerator Device, precision Format> constexpr flop_per_second static_peak() {
  constexpr bool present = Device::peak_flops.has(Format);
  if constexpr (present) {
    return *Device::peak_flops.at(Format);
  } else {
    static_assert(satisfied<needs_peak_for<Format>, which_device_does_not_have<Device>>,
                  "rafter: this device has no peak for that precision");
    return flop_per_second{};
  }
}

}  // namespace detail

/// Dense peak of a static device. Asking for a precision that the device lacks does not compile.
template <static_accelerator Device, precision Format>
inline constexpr flop_per_second peak_of_device = detail::static_peak<Device, Format>();

/// Machine balance of a static device: dense peak ÷ memory bandwidth [FLOP/B]. Work with a lower arithmetic intensity
/// is bound by memory. Asking for a precision that the device lacks does not compile.
template <static_accelerator Device, precision Format>
inline constexpr flop_per_byte machine_balance_of = detail::static_peak<Device, Format>() / Device::hbm_bandwidth;

/// Dense peak of any device. @throws hardware_error naming device and precision when the device has none.
constexpr flop_per_second peak_of(const accelerator auto& device, precision format) {
  const std::optional<flop_per_second> peak = device.peak_flops.at(format);
  if (!peak) {
    throw hardware_error("accelerator '" + std::string(std::string_view(device.name)) +
                         "' has no peak for precision '" + std::string(text_of(format)) + "'");
  }
  return *peak;
}

/// Dense peak ÷ memory bandwidth of any device [FLOP/B]. @throws hardware_error as `peak_of`.
constexpr flop_per_byte machine_balance(const accelerator auto& device, precision format) {
  return peak_of(device, format) / device.hbm_bandwidth;
}

/// A device known only at run time: the same members as a static one, as values.
struct accelerator_record {
  std::string name;
  std::string source;
  peak_table peak_flops;
  byte_per_second hbm_bandwidth;
  bytes hbm_capacity;
  byte_per_second link_bandwidth;
  int multiprocessors = 0;    ///< 0: not known
  bytes cache_capacity = {};  ///< 0: not known

  friend bool operator==(const accelerator_record&, const accelerator_record&) = default;
};
static_assert(accelerator<accelerator_record> && !static_accelerator<accelerator_record>);

/// The run-time record of any device.
accelerator_record record_of(const accelerator auto& device) {
  accelerator_record made{.name = std::string(std::string_view(device.name)),
                          .source = std::string(std::string_view(device.source)),
                          .peak_flops = device.peak_flops,
                          .hbm_bandwidth = device.hbm_bandwidth,
                          .hbm_capacity = device.hbm_capacity,
                          .link_bandwidth = device.link_bandwidth};
  if constexpr (requires { device.multiprocessors; }) made.multiprocessors = device.multiprocessors;
  if constexpr (requires { device.cache_capacity; }) made.cache_capacity = device.cache_capacity;
  return made;
}

template <static_accelerator Device> accelerator_record record_of() { return record_of(Device{}); }

/// Refuses impossible figures. @throws hardware_error naming the device and the first field that is not a positive
/// finite number (link bandwidth: not negative), or that the device has no name or no peak at all.
inline void check(const accelerator_record& device) {
  const auto refuse = [&](const std::string& what) {
    throw hardware_error("accelerator '" + device.name + "': " + what);
  };
  const auto positive = [&](const char* field, double value) {
    if (!(value > 0.0 && value < 1e300)) {
      refuse(std::string(field) + " = " + std::to_string(value) + " is not positive and finite");
    }
  };
  if (device.name.empty()) refuse("name is empty");
  if (device.peak_flops.size() == 0) refuse("peak_flops has no precision");
  positive("hbm_bandwidth", device.hbm_bandwidth.value);
  positive("hbm_capacity", device.hbm_capacity.value);
  if (!(device.link_bandwidth.value >= 0.0 && device.link_bandwidth.value < 1e300)) {
    refuse("link_bandwidth = " + std::to_string(device.link_bandwidth.value) + " is negative or not finite");
  }
  if (device.multiprocessors < 0)
    refuse("multiprocessors = " + std::to_string(device.multiprocessors) + " is negative");
  if (!(device.cache_capacity.value >= 0.0 && device.cache_capacity.value < 1e300)) {
    refuse("cache_capacity = " + std::to_string(device.cache_capacity.value) + " is negative or not finite");
  }
}

}  // namespace rafter
