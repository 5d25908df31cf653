// One factor per model: the same for all, each on its own, or each pulled towards a common one.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cstddef>
#include <iostream>
#include <string>
#include <string_view>

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

constexpr bounded<"compute_factor", 0.1_c, 1_c, 10_c> compute_factor{};
constexpr bounded<"memory_factor", 0.1_c, 1_c, 10_c> memory_factor{};
constexpr bounded<"layer_time", 1e-6_c, 10e-6_c, 1e-3_c, units::second> layer_time{};

// A step's time, given one of its parameters.
constexpr auto step_time(expression auto factor) {
  return max(factor * (analytical::step_gemm.flops / hardware::peak_flops),
             memory_factor * (analytical::step_gemm.bytes / hardware::hbm_bandwidth)) +
         roofline(analytical::prefill_attention) + roofline(analytical::decode_attention) +
         layer_time * architecture::layers;
}
constexpr auto per_model = per_label<"model">(compute_factor);

struct one_for_all : nonlinear<step_time(compute_factor)> {
  static constexpr std::string_view label = "global";
};
struct separate : nonlinear<step_time(per_model)> {
  static constexpr std::string_view label = "separate";
};
// The weight counts rows: a model's value is held to the common one as if 0.05 of its rows, in which it explains the
// whole time, agreed on that. With few rows a model stays near the others, with many it goes its own way.
struct pooled_models : nonlinear<step_time(partially_pooled<0.05_c>(per_model))> {
  static constexpr std::string_view label = "pooled";
};

// evaluate<separate>(data, lomo{}) does not compile: "rafter: this estimator fits one model per group of the axis that
// the split holds out, so it has nothing to say of a held-out group".
static_assert(!transfers_under<separate, lomo>);
static_assert(transfers_under<pooled_models, lomo>);  // a model never seen gets the common value

template <class Estimator, class Data> std::string error_of(const Data& data, const holdout<>& split) {
  return fmt::format("{:.2f}", 100.0 * evaluate<Estimator>(data, split).results[0].worst_mape());
}

}  // namespace

int main() {
  const auto data = parse_rafter_steps(rafter_data::embedded_steps(), "embedded:steps.csv");
  const row_set newcomer = data.groups(group::model).rows_of(3);
  std::cout << "mixtral-8x7b: MAPE % of its steps when all other models and so many of its steps are known\n";
  text_table table({"known", "global", "separate", "pooled"});
  constexpr std::size_t sizes[] = {0, 4, 16, 64, 256};
  for (const std::size_t known : sizes) {
    std::size_t seen = 0;
    const row_set test =
        row_set::where(data.size(), [&](std::size_t row) { return newcomer.contains(row) && ++seen > known; });
    const holdout split{test.complement(data.size()), test};
    table.add({std::to_string(known), error_of<one_for_all>(data, split),
               known == 0 ? "nothing fitted" : error_of<separate>(data, split),
               error_of<pooled_models>(data, split)});
  }
  std::cout << table.plain() << "\n"
            << parameter_inference(pooled_models::fit(data, row_set::all(data.size()))) << "\n"
            << evaluate<one_for_all, pooled_models>(data, lomo{});
}
