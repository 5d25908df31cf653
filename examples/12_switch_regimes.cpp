// Pure decode steps and steps with prompts are different programs to an engine: parameters of their own for each.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <iostream>
#include <string>

#include "examples/data/embedded_steps.hpp"
#include "rafter/analytical.hpp"
#include "rafter/estimator.hpp"
#include "rafter/evaluation.hpp"
#include "rafter/io/rafter_steps.hpp"
#include "rafter/validation.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;

constexpr bounded<"mfu", 0.01_c, 0.5_c, 1_c> mfu{};
constexpr bounded<"memory_factor", 0.1_c, 1_c, 10_c> memory_factor{};
constexpr bounded<"layer_time", 0_c, 5e-6_c, 1e-3_c, units::second> layer_time{};

constexpr auto rest = roofline(analytical::prefill_attention) + roofline(analytical::decode_attention) +
                      layer_time * architecture::layers;
constexpr auto gemm(expression auto reached) {
  return max(analytical::step_gemm.flops / (hardware::peak_flops * reached),
             memory_factor * (analytical::step_gemm.bytes / hardware::hbm_bandwidth));
}
constexpr auto one_regime = gemm(mfu) + rest;

// A jump at a condition: each parameter once for steps with prompts and once for those without, fitted together.
constexpr auto two_regimes = with_parameters_by<"_prompts", "_decode">(prefill_requests > 0_c, one_regime);

// A gradual switch: more tokens share the same weights, and arithmetic gets nearer to its peak. Where half of it is
// reached is a parameter like any other; at a jump it would have no derivative.
constexpr bounded<"half_at", 1_c, 100_c, 2000_c, units::token> half_at{};
constexpr auto gradual = gemm(mfu * (scheduled_tokens / (scheduled_tokens + half_at))) + rest;

struct unswitched : nonlinear<one_regime> {
  static constexpr std::string_view label = "one regime";
};
struct switched : nonlinear<two_regimes> {
  static constexpr std::string_view label = "two regimes";
};
struct gradually : nonlinear<gradual> {
  static constexpr std::string_view label = "gradual";
};

}  // namespace

int main() {
  const auto data = parse_rafter_steps(rafter_data::embedded_steps(), "embedded:steps.csv");
  const auto report = evaluate<unswitched, switched, gradually>(data, lomo{});
  for (const predictor_result& one : report.results) {
    std::cout << fmt::format("{}: MAPE {:.2f} % in the worst fold ({}), {:.2f} % on average\n", one.predictor,
                             100.0 * one.worst_mape(), one.worst()->held_out, 100.0 * one.mean_mape());
    std::cout << parameter_table(one).plain();
    for (const std::string& line : findings_of(one).every_fold) std::cout << "  in every fold: " << line << "\n";
  }
}
