// A model of your own: overhead or arithmetic, whichever is longer. SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include "examples/data/embedded_steps.hpp"
#include "rafter/analytical.hpp"
#include "rafter/estimator.hpp"
#include "rafter/evaluation.hpp"
#include "rafter/evaluation/inference.hpp"
#include "rafter/io/rafter_steps.hpp"
#include "rafter/validation.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;

// Name, lower bound, start, upper bound and unit of what is fitted.
constexpr bounded<"memory_factor", 0.1_c, 1_c, 10_c> memory_factor{};
constexpr bounded<"layer_time", 0_c, 5e-6_c, 1e-3_c, units::second> layer_time{};
constexpr bounded<"mfu", 0.01_c, 0.5_c, 1_c> mfu{};
constexpr bounded<"kv_factor", 0.1_c, 1_c, 10_c> kv_factor{};

// What a step costs however little arithmetic is in it: weights are read, every layer's kernels are launched.
constexpr auto overhead =
    memory_factor * (analytical::step_gemm.bytes / hardware::hbm_bandwidth) + layer_time * architecture::layers;
constexpr auto compute = analytical::step_gemm.flops / (hardware::peak_flops * mfu);
constexpr auto step_time = max(overhead, compute) + kv_factor * roofline(analytical::decode_attention);

struct floor_model : nonlinear<step_time, objective::log_ratio, trust_region> {
  static constexpr std::string_view label = "overhead_floor";
};

}  // namespace

int main() {
  const auto data = parse_rafter_steps(rafter_data::embedded_steps(), "embedded:steps.csv");
  const auto report = evaluate<predictors::blackbox, floor_model>(data, lomo{});
  std::cout << report << parameter_inference(report.fit<floor_model>("llama-2-7b"));
}
