// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "rafter/core/nearest_name.hpp"
#include "rafter/hardware/a10.hpp"
#include "rafter/hardware/a100.hpp"
#include "rafter/hardware/accelerator.hpp"
#include "rafter/hardware/b200.hpp"
#include "rafter/hardware/h100.hpp"
#include "rafter/hardware/h20.hpp"
#include "rafter/hardware/h200.hpp"
#include "rafter/hardware/l4.hpp"
#include "rafter/hardware/l40s.hpp"
#include "rafter/hardware/mi300x.hpp"

namespace rafter {

namespace detail {

struct accelerator_alias {
  std::string_view alias;  // as `plain_device_name` leaves it
  accelerator_record (*make)();
};

/// Names as users, CUDA and data sets write them. A family alone means its SXM part with the largest memory, which is
/// what the data sets mean by it.
inline constexpr std::array accelerator_aliases{
    accelerator_alias{"h100", &record_of<h100_sxm>},
    accelerator_alias{"h100sxm", &record_of<h100_sxm>},
    accelerator_alias{"h100sxm5", &record_of<h100_sxm>},
    accelerator_alias{"h100sxm80gb", &record_of<h100_sxm>},
    accelerator_alias{"h100sxm580gb", &record_of<h100_sxm>},
    accelerator_alias{"h10080gb", &record_of<h100_sxm>},
    accelerator_alias{"h10080gbhbm3", &record_of<h100_sxm>},
    accelerator_alias{"h100dgx", &record_of<h100_sxm>},
    accelerator_alias{"h100pcie", &record_of<h100_pcie>},
    accelerator_alias{"h100pcie80gb", &record_of<h100_pcie>},
    accelerator_alias{"h100nvl", &record_of<h100_nvl>},
    accelerator_alias{"h100nvl94gb", &record_of<h100_nvl>},
    accelerator_alias{"h200", &record_of<h200_sxm>},
    accelerator_alias{"h200sxm", &record_of<h200_sxm>},
    accelerator_alias{"h200sxm141gb", &record_of<h200_sxm>},
    accelerator_alias{"h200141gb", &record_of<h200_sxm>},
    accelerator_alias{"a100", &record_of<a100_sxm_80gb>},
    accelerator_alias{"a100sxm", &record_of<a100_sxm_80gb>},
    accelerator_alias{"a100sxm4", &record_of<a100_sxm_80gb>},
    accelerator_alias{"a100dgx", &record_of<a100_sxm_80gb>},
    accelerator_alias{"a10080", &record_of<a100_sxm_80gb>},
    accelerator_alias{"a10080gb", &record_of<a100_sxm_80gb>},
    accelerator_alias{"a100sxm80gb", &record_of<a100_sxm_80gb>},
    accelerator_alias{"a100sxm480gb", &record_of<a100_sxm_80gb>},
    accelerator_alias{"a10040gb", &record_of<a100_sxm_40gb>},
    accelerator_alias{"a100sxm40gb", &record_of<a100_sxm_40gb>},
    accelerator_alias{"a100sxm440gb", &record_of<a100_sxm_40gb>},
    accelerator_alias{"a100pcie80gb", &record_of<a100_pcie_80gb>},
    accelerator_alias{"a10080gbpcie", &record_of<a100_pcie_80gb>},
    accelerator_alias{"b200", &record_of<b200_sxm>},
    accelerator_alias{"b200sxm", &record_of<b200_sxm>},
    accelerator_alias{"b200sxm180gb", &record_of<b200_sxm>},
    accelerator_alias{"l40s", &record_of<l40s>},
    accelerator_alias{"l40s48gb", &record_of<l40s>},
    accelerator_alias{"l4", &record_of<l4>},
    accelerator_alias{"l424gb", &record_of<l4>},
    accelerator_alias{"a10", &record_of<a10>},
    accelerator_alias{"a1024gb", &record_of<a10>},
    accelerator_alias{"h20", &record_of<h20>},
    accelerator_alias{"h2096gb", &record_of<h20>},
    accelerator_alias{"mi300x", &record_of<mi300x>},
    accelerator_alias{"mi300x192gb", &record_of<mi300x>},
};

/// Lower case, without blanks, '-', '_' and the maker's name.
inline std::string plain_device_name(std::string_view name) {
  std::string plain;
  for (const char c : name) {
    if (c == ' ' || c == '-' || c == '_') continue;
    plain += (c >= 'A' && c <= 'Z') ? static_cast<char>(c - 'A' + 'a') : c;
  }
  for (const std::string_view maker : {"nvidia", "amd", "instinct"}) {
    if (plain.starts_with(maker)) plain.erase(0, maker.size());
  }
  return plain;
}

}  // namespace detail

/// The names of the devices that `find_accelerator` knows, in a fixed order.
inline std::vector<std::string_view> accelerator_names() {
  return {
      h100_sxm::name,       h100_pcie::name, h100_nvl::name, h200_sxm::name, a100_sxm_80gb::name, a100_sxm_40gb::name,
      a100_pcie_80gb::name, b200_sxm::name,  l40s::name,     l4::name,       a10::name,           h20::name,
      mi300x::name};
}

/// A device by name, tolerant of case, blanks, '-', '_' and the maker: "h100", "H100 SXM5 80GB", "NVIDIA H100 80GB
/// HBM3", "a100_sxm_40gb", "h200". "a100" is the SXM part with 80 GB.
/// @throws hardware_error with the nearest known name
inline accelerator_record find_accelerator(std::string_view name) {
  const std::string plain = detail::plain_device_name(name);
  std::vector<std::string_view> known;
  for (const detail::accelerator_alias& entry : detail::accelerator_aliases) {
    if (entry.alias == plain) return entry.make();
    known.push_back(entry.alias);
  }
  std::string message = "unknown accelerator '" + std::string(name) + "'";
  if (const std::string_view near = nearest_name(plain, known); !near.empty()) {
    for (const detail::accelerator_alias& entry : detail::accelerator_aliases) {
      if (entry.alias == near) message += "; did you mean '" + entry.make().name + "'?";
    }
  }
  message += " (known:";
  const char* separator = " ";
  for (const std::string_view device : accelerator_names()) {
    message.append(separator).append(device);
    separator = ", ";
  }
  throw hardware_error(message + ")");
}

}  // namespace rafter
