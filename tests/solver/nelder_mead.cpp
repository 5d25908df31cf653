// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/solver/nelder_mead.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace {

using rafter::minimum_status;
using rafter::nelder_mead;

double rosenbrock(const double* x) {
  return 100.0 * (x[1] - x[0] * x[0]) * (x[1] - x[0] * x[0]) + (1.0 - x[0]) * (1.0 - x[0]);
}

TEST(NelderMead, FindsTheMinimumOfACurvedValley) {
  const auto fit = nelder_mead{}.minimize(rosenbrock, {-1.2, 1.0});
  EXPECT_TRUE(fit.converged());
  EXPECT_NEAR(fit.parameters[0], 1.0, 1e-6);
  EXPECT_NEAR(fit.parameters[1], 1.0, 1e-6);
}

TEST(NelderMead, MinimisesTheCostOfAResidualModel) {
  const rafter::array_residuals model(
      2, 2, [](const double* x, double* r) { r[0] = 10.0 * (x[1] - x[0] * x[0]), r[1] = 1.0 - x[0]; });
  const auto fit = nelder_mead{}.minimize(model, {-1.2, 1.0});
  EXPECT_NEAR(fit.parameters[0], 1.0, 1e-6);
  EXPECT_NEAR(fit.cost, 0.0, 1e-12);
}

TEST(NelderMead, StaysWithinTheBoundsAndNamesTheActiveOnes) {
  const auto watched = [](const double* x) {
    EXPECT_LE(x[0], 0.8);
    EXPECT_GE(x[0], -1.0);
    return rosenbrock(x);
  };
  const auto fit = nelder_mead{}.minimize(watched, {-0.9, 0.4}, {{-1.0, -1.5}, {0.8, 2.0}});
  EXPECT_TRUE(fit.converged());
  EXPECT_EQ(fit.parameters[0], 0.8);
  EXPECT_NEAR(fit.parameters[1], 0.64, 1e-6);
  EXPECT_EQ(fit.active_mask, (std::vector<int>{1, 0}));
}

TEST(NelderMead, HandlesAKink) {
  const auto kinked = [](const double* x) { return std::abs(x[0] - 3.0) + 2.0 * std::abs(x[1] + 1.0) + 0.5; };
  const auto fit = nelder_mead{}.minimize(kinked, {1.0, 1.0});
  EXPECT_NEAR(fit.cost, 0.5, 1e-6);
}

TEST(NelderMead, AHeldParameterStays) {
  const auto fit = nelder_mead{}.minimize(rosenbrock, {0.5, 2.0}, {{0.5, -9.0}, {0.5, 9.0}});
  EXPECT_EQ(fit.parameters[0], 0.5);
  EXPECT_NEAR(fit.parameters[1], 0.25, 1e-6);
}

TEST(NelderMead, AvoidsValuesThatAreNotFinite) {
  const auto fit = nelder_mead{}.minimize([](const double* x) { return x[0] - std::log(x[0]); }, {0.05});
  EXPECT_NEAR(fit.parameters[0], 1.0, 1e-5);
}

TEST(NelderMead, StopsAtTheLimitAndSaysSo) {
  const auto fit = nelder_mead{.max_evaluations = 30}.minimize(rosenbrock, {-1.2, 1.0});
  EXPECT_EQ(fit.status, minimum_status::evaluation_limit);
  EXPECT_LE(fit.evaluations, 32u);  // a started move is finished
  EXPECT_LE(fit.cost, 24.2);
}

TEST(NelderMead, ANonFiniteStartIsAStatus) {
  const auto fit = nelder_mead{}.minimize([](const double*) { return NAN; }, {1.0});
  EXPECT_EQ(fit.status, minimum_status::non_finite_start);
}

TEST(NelderMead, RefusesAnInfeasibleStart) {
  EXPECT_THROW(nelder_mead{}.minimize(rosenbrock, {3.0, 0.0}, {{}, {2.0, 2.0}}), rafter::solver_error);
}

}  // namespace
