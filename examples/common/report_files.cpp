// A report as the files that programs write. SPDX-License-Identifier: Apache-2.0
#include "report_files.hpp"

#include "rafter/evaluation/html.hpp"
#include "rafter/evaluation/json.hpp"
#include "rafter/evaluation/rendering/gnuplot_process.hpp"
#include "rafter/evaluation/tensor.hpp"
#include "rafter/evaluation/text.hpp"

namespace programs {

std::string text_of(const rafter::evaluation_report& report, bool colour) {
  return rafter::text_of(report, {.columns = 100, .colour = colour});
}
std::string json_of(const rafter::evaluation_report& report) {
  // A label that is not UTF-8 must not cost the report: JSON cannot hold it, so its bytes become U+FFFD.
  return rafter::json_of(report).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}
std::string markdown_of(const rafter::evaluation_report& report) { return rafter::markdown_of(report); }
std::string html_of(const rafter::evaluation_report& report) {
  return rafter::html_of(report, {.draw = rafter::gnuplot_renderer()});
}
void write_arrays(const rafter::evaluation_report& report, const std::string& stem) {
  rafter::write_tensor(stem, rafter::tensor_of(report));
  rafter::write_tensor(stem + "_predictions", rafter::predictions_of(report));
}

}  // namespace programs
