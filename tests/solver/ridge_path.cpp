// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/solver/ridge_path.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "../support/random_rows.hpp"
#include "rafter/solver/ridge.hpp"

namespace {

using rafter::normal_equations;

random_rows without(const random_rows& data, std::size_t row) {
  random_rows rest(0, data.columns, 0);
  rest.rows = data.rows - 1;
  for (std::size_t j = 0; j < data.columns; ++j) {
    for (std::size_t i = 0; i < data.rows; ++i) {
      if (i != row) rest.x.push_back(data.x[j * data.rows + i]);
    }
  }
  for (std::size_t i = 0; i < data.rows; ++i) {
    if (i != row) rest.y.push_back(data.y[i]), rest.weight.push_back(data.weight[i]);
  }
  return rest;
}

TEST(RidgePath, EveryPenaltyEqualsItsOwnFit) {
  const random_rows data(90, 4, 1, 1.0);
  const auto rows = data.design();
  const auto sums = normal_equations::of(rows);
  const rafter::ridge_path path(sums, rows);
  for (const double alpha : {0.0, 0.3, 50.0}) {
    const auto expected = rafter::ridge_with{alpha}.solve(sums);
    const auto fit = path.solve(alpha);
    for (std::size_t j = 0; j < 4; ++j) {
      EXPECT_NEAR(fit.coefficients[j], expected.coefficients[j], 1e-12);
      EXPECT_NEAR(fit.standard_errors[j] / expected.standard_errors[j], 1.0, 1e-10);
    }
    EXPECT_NEAR(fit.effective_parameters, expected.effective_parameters, 1e-11);
  }
}

TEST(RidgePath, LeaveOneOutErrorsEqualBruteForceRefits) {
  // Raw columns: leaving a row out changes no scaling, so refits are exactly comparable.
  const random_rows data(25, 3, 2, 1.0);
  const auto rows = data.weighted();
  const rafter::ridge_path path(normal_equations::of(rows), rows, {.standardise = false});
  const auto errors = path.leave_one_out_errors(rows, 2.0);
  for (std::size_t i = 0; i < 25; ++i) {
    const random_rows rest = without(data, i);
    const auto fit = rafter::ridge_with{2.0, false}.solve(normal_equations::of(rest.weighted()));
    const double x[] = {data.x[i], data.x[25 + i], data.x[50 + i]};
    EXPECT_NEAR(errors[i], data.y[i] - fit.predict(x), 1e-11) << "row " << i;
  }
}

TEST(RidgePath, ScoresAreTheMeansOfThoseErrors) {
  const random_rows data(40, 3, 3, 1.0);
  const auto rows = data.design();
  const rafter::ridge_path path(normal_equations::of(rows), rows);
  const auto scores = path.score(rows, {0.1, 10.0});
  for (const auto& score : scores) {
    double mean = 0.0;
    for (const double e : path.leave_one_out_errors(rows, score.alpha)) mean += e * e / 40.0;
    EXPECT_NEAR(score.mean_squared_leave_one_out, mean, 1e-12 * mean);
    const auto fit = path.solve(score.alpha);
    EXPECT_NEAR(score.residual_sum_of_squares / fit.residual_sum_of_squares, 1.0, 1e-12);
    const double left = 40.0 - fit.effective_parameters;
    EXPECT_NEAR(score.generalised_cross_validation, 40.0 * fit.residual_sum_of_squares / (left * left), 1e-10);
  }
}

TEST(RidgePath, DependentColumnsAreTakenFromTheRows) {
  random_rows data(50, 3, 4, 1.0);
  for (std::size_t i = 0; i < 50; ++i) data.column(2)[i] = data.column(0)[i] + 1e-9 * data.column(2)[i];
  const auto rows = data.design();
  const rafter::ridge_path path(normal_equations::of(rows), rows);
  EXPECT_LT(path.smallest_pivot(), 1e-7);
  const auto fit = path.solve(1.0);
  const auto expected = rafter::ridge_with{.alpha = 1.0, .method = rafter::least_squares_method::qr}.solve(
      normal_equations::of(rows), &rows);
  for (std::size_t j = 0; j < 3; ++j) EXPECT_NEAR(fit.coefficients[j], expected.coefficients[j], 1e-12);
}

TEST(RidgeByCrossValidation, TakesALargePenaltyWhereTheTargetIsNoise) {
  random_rows data(30, 10, 5, 1.0);
  const random_rows noise(30, 1, 6, 0.0);
  data.y = noise.x;
  const auto rows = data.design();
  const auto sums = normal_equations::of(rows);
  const rafter::ridge_by_cross_validation solver{.alphas = {1e-3, 1e3}};
  const auto expected = rafter::ridge_with{1e3}.solve(sums);
  const auto fit = solver.solve(sums, &rows);
  for (std::size_t j = 0; j < 10; ++j) EXPECT_NEAR(fit.coefficients[j], expected.coefficients[j], 1e-12);
  EXPECT_THROW(static_cast<void>(solver.solve(sums, nullptr)), rafter::solver_error);
}

TEST(RidgePath, RefusesAnEmptyGridAndANegativePenalty) {
  const random_rows data(10, 2, 7);
  const auto rows = data.design();
  const rafter::ridge_path path(normal_equations::of(rows), rows);
  EXPECT_THROW(path.score(rows, {-1.0}), rafter::solver_error);
  EXPECT_THROW(rafter::best_by_leave_one_out({}), rafter::solver_error);
}

}  // namespace
