// Can the target be the time of the forward pass at all? SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <string>
#include <string_view>

#include "examples/data/embedded_steps.hpp"
#include "rafter/evaluation/plausibility.hpp"
#include "rafter/io/rafter_steps.hpp"

namespace {

void audit(std::string_view text, const std::string& name) {
  const auto data = rafter::parse_rafter_steps(text, name);
  const rafter::plausibility_report found = rafter::plausibility(data);
  fmt::print("{}, target {}\n  {}\n", name, found.target, found.verdict());
  for (const rafter::plausibility_group& one : found.groups) {
    if (one.below == 0) continue;
    fmt::print("  {:<15} {:>4} of {} rows below; median time / floor = {:.2f}\n", one.label, one.below, one.rows,
               one.median_ratio);
  }
}

}  // namespace

int main() {
  std::string text(rafter_data::embedded_steps());
  audit(text, "as generated");

  // A mistake that a trace can contain: steps of llama-2-7b that say llama-2-70b. No device of the kind named reads
  // those weights in that time.
  for (std::size_t at = 0; (at = text.find(",llama-2-7b,", at)) != std::string::npos;)
    text.replace(at, 12, ",llama-2-70b,");
  audit(text, "model mislabelled");
}
