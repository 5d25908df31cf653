// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/solver/solve_least_squares.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "../support/random_rows.hpp"

namespace {

using rafter::fit_status;
using rafter::least_squares_method;
using rafter::least_squares_options;
using rafter::normal_equations;
using rafter::solution_path;
using rafter::solve_least_squares;

rafter::linear_solution solve(const random_rows& data, const least_squares_options& options = {}) {
  const auto rows = data.design();
  return solve_least_squares(normal_equations::of(rows), &rows, options);
}

// More rows than a small problem has, which takes the QR whatever its columns are.
constexpr std::size_t many_rows = 2 * least_squares_options::small_problem / 16;

// The second of two equal columns, moved by `distance` deviations.
random_rows nearly_collinear(double distance, std::size_t rows = 400) {
  random_rows data(rows, 3, 11);
  for (std::size_t i = 0; i < rows; ++i) {
    data.column(1)[i] = data.column(0)[i] + distance * data.column(1)[i];
    data.y[i] = data.column(0)[i] + 2.0 * data.column(1)[i] - data.column(2)[i];
  }
  return data;
}

TEST(SolveLeastSquares, AllPathsAgreeOnPlainData) {
  const random_rows data(300, 5, 1);
  for (const double alpha : {0.0, 2.5}) {
    const auto gram = solve(data, {.alpha = alpha, .method = least_squares_method::gram});
    EXPECT_EQ(gram.path, solution_path::gram);
    for (const auto method : {least_squares_method::qr, least_squares_method::svd}) {
      const auto other = solve(data, {.alpha = alpha, .method = method});
      EXPECT_EQ(other.path, method == least_squares_method::qr ? solution_path::qr : solution_path::svd);
      EXPECT_EQ(other.status, fit_status::ok);
      EXPECT_NEAR(other.intercept, gram.intercept, 1e-12);
      EXPECT_NEAR(other.intercept_standard_error / gram.intercept_standard_error, 1.0, 1e-11);
      EXPECT_NEAR(other.effective_parameters, gram.effective_parameters, 1e-11);
      EXPECT_NEAR(other.residual_sum_of_squares / gram.residual_sum_of_squares, 1.0, 1e-9);
      for (std::size_t j = 0; j < 5; ++j) {
        EXPECT_NEAR(other.coefficients[j], gram.coefficients[j], 1e-12);
        EXPECT_NEAR(other.standard_errors[j] / gram.standard_errors[j], 1.0, 1e-11);
      }
    }
  }
}

TEST(SolveLeastSquares, ASmallProblemTakesTheQrAtOnce) {
  EXPECT_EQ(solve(nearly_collinear(1e-2)).path, solution_path::qr);
}

TEST(SolveLeastSquares, TheSmallestPivotChoosesThePath) {
  EXPECT_EQ(solve(nearly_collinear(1e-2, many_rows)).path, solution_path::gram);
  const auto refined = solve(nearly_collinear(1e-4, many_rows));
  EXPECT_LT(refined.smallest_pivot, 1e-7);
  EXPECT_GE(refined.smallest_pivot, 1e-10);
  EXPECT_EQ(refined.path, solution_path::gram_refined);
  EXPECT_EQ(refined.status, fit_status::refined);
  EXPECT_EQ(solve(nearly_collinear(1e-6, many_rows)).path, solution_path::qr);
}

TEST(SolveLeastSquares, RefinementAndQrKeepTheDigitsThatTheirRangePromises) {
  for (const double distance : {1e-4, 1e-6}) {
    const auto fit = solve(nearly_collinear(distance));
    EXPECT_NEAR(fit.coefficients[0], 1.0, 1e-9);
    EXPECT_NEAR(fit.coefficients[1], 2.0, 1e-9);
    EXPECT_NEAR(fit.coefficients[2], -1.0, 1e-12);
  }
}

TEST(SolveLeastSquares, WithoutASecondPassNearCollinearityIsReported) {
  const auto data = nearly_collinear(1e-4);
  const auto fit = solve_least_squares(normal_equations::of(data.design()), nullptr, {});
  EXPECT_EQ(fit.status, fit_status::ill_conditioned);
  EXPECT_EQ(fit.path, solution_path::gram);
  EXPECT_NEAR(fit.coefficients[0] + fit.coefficients[1], 3.0, 1e-7);
}

TEST(SolveLeastSquares, DependentColumnsShareTheCoefficientAndTheOthersKeepTheirErrors) {
  random_rows data(200, 3, 2);
  for (std::size_t i = 0; i < 200; ++i) data.column(2)[i] = data.column(0)[i];
  const auto fit = solve(data);
  EXPECT_EQ(fit.status, fit_status::rank_deficient);
  EXPECT_EQ(fit.rank, 2U);
  EXPECT_NEAR(fit.coefficients[0], fit.coefficients[2], 1e-12);
  EXPECT_TRUE(std::isinf(fit.standard_errors[0]));
  EXPECT_TRUE(std::isinf(fit.standard_errors[2]));
  random_rows reduced = data;
  reduced.columns = 2;
  const auto without = solve(reduced);
  EXPECT_NEAR(fit.standard_errors[1] / without.standard_errors[1], 1.0, 1e-10);
  EXPECT_NEAR(fit.residual_sum_of_squares / without.residual_sum_of_squares, 1.0, 1e-10);
  // The sums alone come to the same end.
  const auto blind = solve_least_squares(normal_equations::of(data.design()), nullptr, {});
  EXPECT_EQ(blind.status, fit_status::rank_deficient);
  EXPECT_NEAR(blind.coefficients[0], fit.coefficients[0], 1e-9);
}

TEST(SolveLeastSquares, AConstantColumnGetsZeroAndIsNamed) {
  random_rows data(100, 3, 3);
  for (std::size_t i = 0; i < 100; ++i) data.column(1)[i] = 0.1 + 0.2;
  data.column(1)[50] = 0.3;  // one unit in the last place away
  for (const auto method : {least_squares_method::automatic, least_squares_method::qr, least_squares_method::svd}) {
    const auto fit = solve(data, {.method = method});
    EXPECT_EQ(fit.status, fit_status::ok);
    EXPECT_EQ(fit.constant_columns, std::vector<std::size_t>{1});
    EXPECT_EQ(fit.coefficients[1], 0.0);
    EXPECT_EQ(fit.deviation[1], 1.0);
    EXPECT_EQ(fit.rank, 2U);
    EXPECT_TRUE(std::isinf(fit.standard_errors[1]));
  }
}

TEST(SolveLeastSquares, ATinyButRealVariationIsNotConstant) {
  random_rows data(100, 2, 4);
  for (std::size_t i = 0; i < 100; ++i) data.column(1)[i] = 1.0 + 1e-9 * data.column(1)[i];
  EXPECT_TRUE(solve(data).constant_columns.empty());
}

TEST(SolveLeastSquares, WhatDownDatingLeavesOfAColumnIsCheckedAgainstTheRows) {
  // All variation of column 1 is in the second half; without it the column is constant.
  random_rows first(60, 2, 5), second(60, 2, 6);
  for (std::size_t i = 0; i < 60; ++i) first.column(1)[i] = 1.0;
  for (std::size_t i = 0; i < 60; ++i) second.column(1)[i] = 1e6 * second.column(1)[i] / 3.0;
  const auto of_second = normal_equations::of(second.design());
  const auto rest = (of_second + normal_equations::of(first.design())) - of_second;
  const auto rows = first.design();
  const auto direct = solve(first);
  const auto fit = solve_least_squares(rest, &rows, {});
  EXPECT_EQ(fit.constant_columns, std::vector<std::size_t>{1});
  EXPECT_NEAR(fit.coefficients[0], direct.coefficients[0], 1e-12);
  EXPECT_EQ(solve_least_squares(rest, nullptr, {}).constant_columns, std::vector<std::size_t>{1});
}

TEST(SolveLeastSquares, LargeMeansCostNoDigits) {
  random_rows data(300, 3, 7);
  const auto plain = solve(data);
  for (std::size_t i = 0; i < 300; ++i) data.column(0)[i] += 1048576.0;
  const auto moved = solve(data);
  for (std::size_t j = 0; j < 3; ++j) EXPECT_NEAR(moved.coefficients[j], plain.coefficients[j], 1e-9);
  EXPECT_NEAR(moved.standard_errors[0] / plain.standard_errors[0], 1.0, 1e-8);
}

TEST(SolveLeastSquares, IntegerWeightsCountAsRepeatedRows) {
  random_rows data(30, 2, 8);
  random_rows repeated(0, 2, 0);
  std::vector<std::size_t> which;
  for (std::size_t i = 0; i < 30; ++i) {
    data.weight[i] = static_cast<double>(i % 3);
    for (std::size_t k = 0; k < i % 3; ++k) which.push_back(i);
  }
  for (std::size_t j = 0; j < 2; ++j) {
    for (const std::size_t i : which) repeated.x.push_back(data.column(j)[i]);
  }
  for (const std::size_t i : which) repeated.y.push_back(data.y[i]);
  repeated.rows = which.size();
  const auto rows = data.weighted();
  for (const auto method : {least_squares_method::gram, least_squares_method::qr}) {
    const auto weighted = solve_least_squares(normal_equations::of(rows), &rows, {.alpha = 0.5, .method = method});
    const auto expected = solve(repeated, {.alpha = 0.5, .method = method});
    for (std::size_t j = 0; j < 2; ++j) EXPECT_NEAR(weighted.coefficients[j], expected.coefficients[j], 1e-12);
    EXPECT_NEAR(weighted.intercept, expected.intercept, 1e-12);
  }
}

TEST(SolveLeastSquares, TooFewRowsAndNonFiniteSumsAreStatuses) {
  EXPECT_EQ(solve(random_rows(4, 5, 9)).status, fit_status::too_few_rows);
  const auto saturated = solve(random_rows(4, 3, 9));
  EXPECT_EQ(saturated.status, fit_status::too_few_rows);
  EXPECT_TRUE(std::isinf(saturated.standard_errors[0]));
  random_rows bad(20, 2, 10);
  bad.y[3] = std::numeric_limits<double>::quiet_NaN();
  const auto fit = solve(bad);
  EXPECT_EQ(fit.status, fit_status::non_finite);
  EXPECT_EQ(fit.coefficients, std::vector<double>(2, 0.0));
  EXPECT_EQ(solve_least_squares(normal_equations(2), nullptr, {}).status, fit_status::too_few_rows);
}

TEST(SolveLeastSquares, ANegativePenaltyIsRefused) {
  EXPECT_THROW(solve(random_rows(9, 2, 1), {.alpha = -1.0}), rafter::solver_error);
}

}  // namespace
