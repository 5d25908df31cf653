// A report as the files that programs write. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace rafter {
struct evaluation_report;
}

namespace programs {

// In a translation unit of their own: nlohmann-json and fmt take seconds to compile.
/// @param colour  ANSI colours, see wants_colour()
std::string text_of(const rafter::evaluation_report& report, bool colour = false);
std::string json_of(const rafter::evaluation_report& report);
std::string markdown_of(const rafter::evaluation_report& report);
/// With plots where gnuplot is there.
std::string html_of(const rafter::evaluation_report& report);
/// Results and predictions as arrays with names: `stem`.npy, `stem`.json, `stem`_predictions.npy, `stem`_predictions.json.
void write_arrays(const rafter::evaluation_report& report, const std::string& stem);

}  // namespace programs
