// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// What the objectives of parametric models promise: balance, weights, robust losses, measured parts.
#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <random>
#include <string>
#include <vector>

#include "rafter/estimator/nonlinear.hpp"
#include "rafter/solver/nelder_mead.hpp"
#include "support/engine_steps.hpp"
#include "support/message.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;
using tiny::engine_step;

inline constexpr bounded<"launch", 1e-6_c, 1e-3_c, 1_c, units::second> launch{};
inline constexpr bounded<"per_token", 1e-9_c, 1e-6_c, 1_c, units::second / units::token> per_token{};
inline constexpr auto model = sqrt(square(launch) + square(per_token * (prefill_tokens + decode_tokens)));

std::vector<double> noisy_times(const std::vector<engine_step>& steps, unsigned seed, double noise = 0.3) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  std::vector<double> made;
  for (const engine_step& s : steps) {
    made.push_back(std::hypot(2e-3, 2e-5 * (s.prefill_tokens + s.decode_tokens)) * std::exp(noise * normal(random)));
  }
  return made;
}
dataset<tiny::aggregated> of(const std::vector<engine_step>& steps, const std::vector<double>& times) {
  return tiny::dataset_of(steps, [&](const engine_step&, std::size_t i) { return times[i]; });
}
template <class A, class B> void expect_same_parameters(const A& a, const B& b, double tolerance) {
  EXPECT_NEAR(a.parameter("launch"), b.parameter("launch"), tolerance * b.parameter("launch"));
  EXPECT_NEAR(a.parameter("per_token"), b.parameter("per_token"), tolerance * b.parameter("per_token"));
}

TEST(NonlinearObjectives, BalancedDoesNotMindThatOneGroupIsThereTwice) {
  auto steps = tiny::random_engine_steps(120, 3);
  auto times = noisy_times(steps, 4);
  const auto once = of(steps, times);
  for (std::size_t i = 0; i < 120; ++i) {
    if (steps[i].engine != 1) continue;
    steps.push_back(steps[i]);
    times.push_back(times[i]);
  }
  const auto twice = of(steps, times);
  using balanced = nonlinear<model, objective::balanced<group::model, objective::log_ratio>>;
  expect_same_parameters(balanced::fit(twice, row_set::all(twice.size())), balanced::fit(once, row_set::all(120)),
                         1e-9);
  const auto plain = nonlinear<model>::fit(once, row_set::all(120));
  const auto doubled = nonlinear<model>::fit(twice, row_set::all(twice.size()));
  EXPECT_GT(std::abs(plain.parameter("launch") / doubled.parameter("launch") - 1), 1e-4);  // which plain fits do mind
  EXPECT_EQ(balanced::name(), "2 parameters, log ratio, each model alike, trust region");
}

// The weight is the number of decode tokens, 1 to 3; the same rows that often.
TEST(NonlinearObjectives, IntegerWeightsAreRepeatedRows) {
  auto steps = tiny::random_engine_steps(90, 5);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    steps[i].decode_requests = steps[i].decode_tokens = static_cast<double>(1 + i % 3);
  }
  auto times = noisy_times(steps, 6);
  const auto once = of(steps, times);
  for (std::size_t i = 0; i < 90; ++i) {
    for (std::size_t more = i % 3; more > 0; --more) {
      steps.push_back(steps[i]);
      times.push_back(times[i]);
    }
  }
  const auto often = of(steps, times);
  using weighted = objective::weighted_by<objective::log_ratio, decode_requests>;
  expect_same_parameters(nonlinear<model, weighted>::fit(once, row_set::all(90)),
                         nonlinear<model>::fit(often, row_set::all(often.size())), 1e-9);
  // Under a loss that is no square too.
  using robust = objective::robust<objective::log_ratio, loss_kind::huber, 0.2_c>;
  expect_same_parameters(
      nonlinear<model, objective::weighted_by<robust, decode_requests>>::fit(once, row_set::all(90)),
      nonlinear<model, robust>::fit(often, row_set::all(often.size())), 1e-7);
}
TEST(NonlinearObjectives, ARowWithoutWeightIsNotThere) {
  auto steps = tiny::random_engine_steps(90, 5);
  auto times = noisy_times(steps, 6);
  for (std::size_t i = 0; i < 90; i += 4) {
    steps[i].prefill_requests = steps[i].prefill_tokens = 0;
    times[i] *= 50;
  }
  const auto data = of(steps, times);
  using weighted = objective::weighted_by<objective::log_ratio, indicator(prefill_requests > 0_c)>;
  const auto all = nonlinear<model, weighted>::fit(data, row_set::all(90));
  const auto some =
      nonlinear<model>::fit(data, row_set::where(90, [&](auto row) { return steps[row].prefill_requests > 0; }));
  expect_same_parameters(all, some, 1e-9);
  EXPECT_EQ(all.solution().degrees_of_freedom, some.solution().degrees_of_freedom);
  for (std::size_t j = 0; j < some.solution().standard_errors.size(); ++j) {
    EXPECT_NEAR(all.solution().standard_errors[j], some.solution().standard_errors[j],
                1e-6 * some.solution().standard_errors[j]);
  }
}
TEST(NonlinearObjectives, NameTheRowOfANegativeWeight) {
  auto steps = tiny::random_engine_steps(60, 5);
  for (engine_step& s : steps) s.decode_requests = s.decode_tokens = 2;
  steps[41].decode_requests = steps[41].decode_tokens = 9;
  const auto data = of(steps, noisy_times(steps, 6));
  using weighted = objective::weighted_by<objective::log_ratio, 5_c - decode_requests>;
  EXPECT_EQ(message_of([&] { nonlinear<model, weighted>::fit(data, row_set::all(60)); }),
            "the weight is negative on row 41 (made.csv:43)");
  EXPECT_EQ(message_of([&] { nonlinear<model, weighted, nelder_mead>::fit(data, row_set::all(60)); }),
            "the weight is negative on row 41 (made.csv:43)");
}

// The sums that the fused pass makes against central differences of the cost alone, and against the blocks of rows.
template <class Objective> void check_gradient(const char* what) {
  const auto steps = tiny::random_engine_steps(101, 7);
  auto times = noisy_times(steps, 8, 0.8);
  const auto data = of(steps, times);
  const auto problem = nonlinear<model, Objective>::problem(data, row_set::all(101));
  const robust_loss loss = problem.loss();
  const residual_model& rows = problem.model();
  const double at[] = {1.7e-3, 2.9e-5};
  double cost = 0.0, gradient[2], hessian[4];
  rows.accumulate(at, loss, cost, gradient, hessian);
  const auto cost_at = [&](double a, double b) {
    const double x[] = {a, b};
    double value = 0.0, unused[2], products[4];
    rows.accumulate(x, loss, value, unused, products);
    EXPECT_NEAR(rows.cost(x, loss), value, 1e-12 * value) << what;
    return value;
  };
  for (std::size_t j = 0; j < 2; ++j) {
    const double step = 1e-5 * at[j];
    const double slope = (cost_at(at[0] + (j == 0 ? step : 0), at[1] + (j == 1 ? step : 0)) -
                          cost_at(at[0] - (j == 0 ? step : 0), at[1] - (j == 1 ? step : 0))) /
                         (2 * step);
    EXPECT_NEAR(gradient[j], slope, 1e-7 * cost / at[j]) << what << ", parameter " << j;
  }
  // The default pass over blocks does the same sums.
  double again = 0.0, other[2], products[4];
  rows.residual_model::accumulate(at, loss, again, other, products);
  EXPECT_NEAR(again, cost, 1e-12 * cost) << what;
  for (std::size_t j = 0; j < 2; ++j) EXPECT_NEAR(other[j], gradient[j], 1e-12 * cost / at[j]) << what;
  for (std::size_t j = 0; j < 4; ++j) {
    EXPECT_NEAR(products[j], hessian[j], 1e-11 * std::sqrt(hessian[0] * hessian[3]) * at[0] / at[1]) << what;
  }
  EXPECT_LT(check_jacobian(rows, at).worst, 1e-8) << what;
}
using log_ratio = objective::log_ratio;
TEST(NonlinearObjectives, HaveTheDerivativesOfTheirCost) {
  check_gradient<log_ratio>("squares");
  check_gradient<objective::robust<log_ratio, loss_kind::soft_l1, 0.3_c>>("soft L1");
  check_gradient<objective::robust<log_ratio, loss_kind::huber, 0.3_c>>("Huber");
  check_gradient<objective::robust<log_ratio, loss_kind::cauchy, 0.3_c>>("Cauchy");
}
TEST(NonlinearObjectives, HaveThemWhereRowsWeigh) {
  check_gradient<objective::weighted_by<log_ratio, decode_requests>>("weighted");
  check_gradient<objective::weighted_by<objective::robust<log_ratio, loss_kind::soft_l1, 0.3_c>, decode_requests>>(
      "weighted soft L1");
  check_gradient<objective::balanced<group::model, objective::robust<log_ratio, loss_kind::soft_l1, 0.3_c>>>(
      "balanced soft L1");
}
TEST(NonlinearObjectives, RobustOnesAreNotMovedByOutliers) {
  const auto steps = tiny::random_engine_steps(300, 3);
  auto times = noisy_times(steps, 4, 0.05);
  for (std::size_t i = 0; i < 300; i += 10) times[i] *= 8;
  const auto data = of(steps, times);
  const row_set all = row_set::all(300);
  const auto plain = nonlinear<model>::fit(data, all);
  const auto robust = nonlinear<model, objective::robust<log_ratio, loss_kind::cauchy, 0.1_c>>::fit(data, all);
  EXPECT_NEAR(robust.parameter("per_token"), 2e-5, 0.03 * 2e-5);
  EXPECT_GT(std::abs(plain.parameter("per_token") / 2e-5 - 1), 0.1);
}

}  // namespace
