// Two feature sets: how well they carry over to a model never seen, and what one prediction costs.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <string_view>
#include <vector>

#include "examples/data/embedded_steps.hpp"
#include "rafter/estimator/predictors.hpp"
#include "rafter/evaluation.hpp"
#include "rafter/io/rafter_steps.hpp"
#include "rafter/validation.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;

// The same objective and penalty on both, so that the features are what differs: log(time / roofline).
template <auto Features>
using correction = linear<Features, ridge<1>, objective::log_ratio_to<analytical::roofline_step_time>>;

constexpr auto small = feature_set{
    "has_prefill"_f = indicator(prefill_requests > 0_c),
    "layers_per_roofline_us"_f =
        log1p(architecture::layers * with_unit<units::second>(1e-6_c) / analytical::roofline_step_time),
};

struct step {
  std::vector<request> requests;
};

/// Nanoseconds for one prediction: the median of nine passes over the steps, each bound predictor called once a step.
template <class Bound> double nanoseconds(const Bound& step_time, const std::vector<step>& steps) {
  std::array<double, 9> passes{};
  double sum = 0.0;  // used below, so that no call is left out
  for (double& pass : passes) {
    const auto began = std::chrono::steady_clock::now();
    for (const step& one : steps) sum += step_time(one).value;
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - began;
    pass = took.count() / static_cast<double>(steps.size());
  }
  std::sort(passes.begin(), passes.end());
  return sum > 0.0 ? passes[4] : 0.0;
}

template <auto Features, class Data>
void compare(std::string_view name, const Data& data, const std::vector<step>& steps) {
  using estimator = correction<Features>;
  const auto report = evaluate<estimator>(data, lomo{});
  const auto fitted = estimator::fit(data, row_set::all(data.size()));
  const double cost = nanoseconds(fitted.template bind<step>(data.deployment(0)), steps);
  fmt::print("{:<12} {:>8} {:>10} {:>17.2f} {:>12.2f} {:>9.0f}\n", name, Features.size, Features.plan_size,
             100.0 * report.results[0].worst_mape(), 100.0 * report.results[0].mean_mape(), cost);
}

}  // namespace

int main() {
  const auto data = parse_rafter_steps(rafter_data::embedded_steps(), "embedded:steps.csv");
  std::vector<step> steps;
  for (std::size_t row = 0; row < data.size(); ++row) {
    if (data[row].deployment() == data.deployment(0)) {
      steps.push_back({{data.requests(row).begin(), data.requests(row).end()}});
    }
  }
  fmt::print("{:<12} {:>8} {:>10} {:>17} {:>12} {:>9}\n", "features", "number", "plan size", "worst fold MAPE %",
             "mean MAPE %", "ns/step");
  compare<small>("small", data, steps);
  compare<catalog::scale_free>("scale_free", data, steps);
  fmt::print("leave one model out on the embedded (generated) steps; one thread, {} steps, this build\n",
             steps.size());
}
