// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "rafter/core/nearest_name.hpp"
#include "rafter/io/blis_steps.hpp"
#include "rafter/io/kernel_steps.hpp"
#include "rafter/io/rafter_steps.hpp"

namespace rafter {

/// One format of step data, for lists of what can be read.
struct step_format {
  std::string_view name;     ///< what programs call it: the name of its schema
  std::string_view targets;  ///< what it can teach to predict
  std::string_view about;
};

inline constexpr std::array<step_format, 3> step_formats{
    step_format{rafter_schema::name, "gpu_step_time, wall_time, step_interval",
                "rafter's own: one row per step with its requests (docs/io/rafter_steps.md)"},
    step_format{kernel_schema::name, "gpu_step_time", "steps composed from measured kernels, with their requests"},
    step_format{blis_schema::name, "logged_duration, step_interval", "vLLM scheduler steps, without their requests"}};

/// Reads a file in the format of that name and calls `visit(dataset)`, whose type depends on the format.
/// @throws io_error when there is no such format, or as the format's reader does
template <class Visit>
decltype(auto) with_steps(std::string_view format, const std::string& path, const step_read_options& options,
                          Visit&& visit) {
  if (format == kernel_schema::name) return visit(read_kernel_steps(path, options));
  if (format == blis_schema::name) return visit(read_blis_steps(path, options));
  if (format == rafter_schema::name) return visit(read_rafter_steps(path, options));
  std::array<std::string_view, step_formats.size()> names{};
  for (std::size_t i = 0; i < names.size(); ++i) names[i] = step_formats[i].name;
  throw io_error({path}, {}, format, "is no format of steps" + did_you_mean(format, names));
}

}  // namespace rafter
