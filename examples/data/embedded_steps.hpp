// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

/// The text of examples/data/steps.csv, compiled into the programs: generated steps in rafter's own format.
///   rafter::parse_rafter_steps(rafter_data::embedded_steps(), rafter_data::embedded_steps_name)
namespace rafter_data {

/// Stands for a path in errors and reports.
inline constexpr std::string_view embedded_steps_name = "embedded:steps.csv";
std::string_view embedded_steps();

}  // namespace rafter_data
