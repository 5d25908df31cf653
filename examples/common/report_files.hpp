// A report as the files that programs write. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace rafter {
struct evaluation_report;
}

namespace programs {

// In a translation unit of their own: nlohmann-json and fmt take seconds to compile.
std::string text_of(const rafter::evaluation_report& report);
std::string json_of(const rafter::evaluation_report& report);
std::string markdown_of(const rafter::evaluation_report& report);
std::string html_of(const rafter::evaluation_report& report);

}  // namespace programs
