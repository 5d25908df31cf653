// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Parameters inside sums over the requests of a step: nothing can be reduced before the fit.
#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <random>
#include <string>
#include <vector>

#include "rafter/estimator/nonlinear.hpp"
#include "support/steps.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;

// Each decode request reads its KV entries at a rate, or waits for the shortest read: smooth, and per request.
inline constexpr bounded<"launch", 1e-6_c, 1e-3_c, 1_c, units::second> launch{};
inline constexpr bounded<"per_kv", 1e-10_c, 1e-6_c, 1e-2_c, units::second / units::token> per_kv{};
inline constexpr bounded<"least", 1e-7_c, 1e-4_c, 1_c, units::second> least{};
inline constexpr auto model = launch + sum(sqrt(square(least) + square(per_kv * kv_length)));

double by_hand(const tiny::step& s, double launch_s, double kv_s, double least_s) {
  double time = launch_s;
  for (const request& r : s.requests) {
    if (r.decode) time += std::hypot(least_s, kv_s * (r.context_tokens + 1));
  }
  return time;
}
struct made_steps {
  std::vector<tiny::step> steps;
  dataset<tiny::listed> data;
};
made_steps make(std::size_t count, double noise) {
  std::mt19937_64 random(3);
  std::normal_distribution<double> normal;
  dataset_builder<tiny::listed> build("lists");
  build.add_deployment(deployment_of(static_deployment<tiny::dense, tiny::memory_bound>{}));
  build.add_deployment(deployment_of(static_deployment<tiny::moe, tiny::memory_bound>{}));
  std::vector<tiny::step> steps;
  for (std::size_t i = 0; i < count; ++i) {
    steps.push_back(tiny::random_step(random));
    build.begin_row(i / 9 % 2, i + 2);
    for (const request& one : steps.back().requests) build.add(one);
    build.set(kv_usage_ratio, 0.5);
    build.set(gpu_step_time, by_hand(steps.back(), 1e-3, 3e-7, 4e-4) * std::exp(noise * normal(random)));
    build.label(group::workload, i % 2 == 0 ? "a" : "b");
    build.end_row();
  }
  return {steps, build.finish()};
}

TEST(NonlinearOfRequests, RecoversParametersInsideASum) {
  const auto [steps, data] = make(200, 0.0);
  const auto fitted = nonlinear<model>::fit(data, row_set::all(200));
  EXPECT_NEAR(fitted.parameter("launch"), 1e-3, 1e-11);
  EXPECT_NEAR(fitted.parameter("per_kv"), 3e-7, 1e-15);
  EXPECT_NEAR(fitted.parameter("least"), 4e-4, 1e-12);
}
TEST(NonlinearOfRequests, HasTheDerivativesOfItsResiduals) {
  const auto [steps, data] = make(60, 0.3);
  const auto problem = nonlinear<model>::problem(data, row_set::all(60));
  const double at[] = {2e-3, 1e-4, 5e-7};  // launch, least, per_kv: as the model mentions them
  EXPECT_LT(check_jacobian(problem.model(), at).worst, 1e-8);
}
TEST(NonlinearOfRequests, PredictsTheSameBitsFromColumnsAndFromRecords) {
  const auto [steps, data] = make(100, 0.2);
  const row_set rows = row_set::where(100, [](std::size_t row) { return row % 4 != 1; });
  const auto fitted = nonlinear<model>::fit(data, rows);
  std::vector<double> column(100);
  fitted.predict(data, row_set::all(100), std::span<double>(column));
  for (std::size_t i = 0; i < 100; ++i) {
    EXPECT_EQ(fitted.predict(steps[i], data.deployment_of(i)).value, column[i]);
    const double formula =
        by_hand(steps[i], fitted.parameter("launch"), fitted.parameter("per_kv"), fitted.parameter("least"));
    EXPECT_NEAR(column[i], formula, 1e-14 * formula);
  }
}
TEST(NonlinearOfRequests, MayHaveAValuePerLabelInsideTheSum) {
  const auto [steps, data] = make(200, 0.1);
  constexpr auto labelled = launch + sum(sqrt(square(least) + square(per_label<"workload">(per_kv) * kv_length)));
  const auto fitted = nonlinear<labelled>::fit(data, row_set::all(200));
  EXPECT_EQ(fitted.layout().size(), 4U);
  std::vector<double> column(200);
  fitted.predict(data, row_set::all(200), std::span<double>(column));
  double cost = 0;
  for (std::size_t i = 0; i < 200; ++i) {
    const double formula =
        by_hand(steps[i], fitted.parameter("launch"), fitted.parameter(i % 2 == 0 ? "per_kv[a]" : "per_kv[b]"),
                fitted.parameter("least"));
    EXPECT_NEAR(column[i], formula, 1e-14 * formula);
    cost += 0.5 * std::pow(std::log(formula / data.target()[i]), 2);
  }
  EXPECT_NEAR(fitted.solution().cost, cost, 1e-12 * cost);
}
TEST(NonlinearOfRequests, SaysWhatIsZeroOnAllRowsWhereAParameterHasNoEffect) {
  dataset_builder<tiny::listed> build("prompts");
  build.add_deployment(deployment_of(static_deployment<tiny::dense, tiny::memory_bound>{}));
  for (std::size_t i = 0; i < 30; ++i) {
    build.begin_row(0).add(request::prefilling(static_cast<double>(10 + i)));
    build.set(kv_usage_ratio, 0.5).set(gpu_step_time, 1e-3 * static_cast<double>(1 + i));
    build.end_row();
  }
  constexpr bounded<"per_kv", 1e-10_c, 1e-6_c, 1e-2_c, units::second / units::token> each{};
  const auto fitted = nonlinear<launch + each * kv_sum>::fit(build.finish(), row_set::all(30));
  ASSERT_EQ(fitted.findings().size(), 2U);
  EXPECT_EQ(fitted.findings()[0], "2 parameters, of which the training rows determine 1");
  EXPECT_EQ(fitted.findings()[1], "per_kv has no effect on any training row: kv_sum 0 on every training row");
  EXPECT_EQ(fitted.parameters()[1].state, parameter_state::dead);
  EXPECT_EQ(fitted.parameter("per_kv"), 1e-6);  // left at its start
  EXPECT_TRUE(std::isinf(fitted.parameters()[1].standard_error));
}

}  // namespace
