// A power law: does the time per token grow in proportion to the active parameters? SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include "examples/data/embedded_steps.hpp"
#include "rafter/analytical.hpp"
#include "rafter/estimator.hpp"
#include "rafter/evaluation.hpp"
#include "rafter/evaluation/inference.hpp"
#include "rafter/evaluation/profile_likelihood.hpp"
#include "rafter/io/rafter_steps.hpp"
#include "rafter/validation.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;

constexpr bounded<"token_time", 1e-8_c, 3e-6_c, 1e-3_c, units::second / units::token> token_time{};
constexpr bounded<"exponent", 0_c, 1_c, 2_c> exponent{};
constexpr bounded<"memory_factor", 0.1_c, 1_c, 10_c> memory_factor{};
constexpr bounded<"layer_time", 0_c, 10e-6_c, 1e-3_c, units::second> layer_time{};

// Parameters that a token passes through on one rank, in units of 1e9: a pure number, so that it has a logarithm.
constexpr auto size = analytical::least_weight_bytes / architecture::bytes_per_weight / 1e9_c;
constexpr auto arithmetic = token_time * exp(exponent * log(size)) * scheduled_tokens;
constexpr auto memory = memory_factor * (analytical::step_gemm.bytes / hardware::hbm_bandwidth);
constexpr auto step_time = max(arithmetic, memory) + roofline(analytical::prefill_attention) +
                           roofline(analytical::decode_attention) + layer_time * architecture::layers;

struct power_law : nonlinear<step_time> {
  static constexpr std::string_view label = "power_law";
};
struct proportional : nonlinear<with_held<"exponent", 1_c>(step_time)> {
  static constexpr std::string_view label = "proportional";
};

}  // namespace

int main() {
  const auto data = parse_rafter_steps(rafter_data::embedded_steps(), "embedded:steps.csv");
  const auto all = row_set::all(data.size());
  std::cout << "standard errors (Student's t)\n" << parameter_inference(power_law::fit(data, all));
  std::cout << "profile likelihood\n" << profile_table(profile_likelihoods<power_law>(data, all)).plain();
  std::cout << evaluate<power_law, proportional>(data, lomo{});
}
