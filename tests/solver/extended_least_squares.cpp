// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/solver/extended_least_squares.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "../support/random_rows.hpp"
#include "rafter/solver/double_double.hpp"
#include "rafter/solver/ordinary_least_squares.hpp"

namespace {

using rafter::normal_equations;

TEST(ExtendedLeastSquares, AgreesWithTheOrdinaryOneOnPlainData) {
  const random_rows data(120, 4, 1);
  for (const bool intercept : {true, false}) {
    const auto rows = data.weighted();
    const auto sums = normal_equations::of(rows);
    const auto fit = rafter::least_squares_extended{intercept}.solve(sums, &rows);
    const auto plain = rafter::ordinary_least_squares{.intercept = intercept}.solve(sums, &rows);
    EXPECT_EQ(fit.path, rafter::solution_path::extended);
    EXPECT_NEAR(fit.intercept, plain.intercept, 1e-12);
    EXPECT_NEAR(fit.intercept_standard_error, plain.intercept_standard_error, 1e-11);
    EXPECT_NEAR(fit.residual_sum_of_squares / plain.residual_sum_of_squares, 1.0, 1e-10);
    for (std::size_t j = 0; j < 4; ++j) {
      EXPECT_NEAR(fit.coefficients[j], plain.coefficients[j], 1e-12);
      EXPECT_NEAR(fit.standard_errors[j] / plain.standard_errors[j], 1.0, 1e-11);
    }
  }
}

TEST(ExtendedLeastSquares, RecoversIntegerCoefficientsOfAHilbertMatrix) {
  // Columns 1/(i+j+1) in double-double; the target is their sum with coefficients 1 … 8. Condition about 1e10.
  const std::size_t n = 12, p = 8;
  std::vector<double> x(n * p), x_low(n * p), y(n), y_low(n);
  for (std::size_t i = 0; i < n; ++i) {
    rafter::double_double sum;
    for (std::size_t j = 0; j < p; ++j) {
      const auto entry = rafter::double_double{1.0} / rafter::double_double{static_cast<double>(i + j + 1)};
      x[j * n + i] = entry.high;
      x_low[j * n + i] = entry.low;
      sum += entry * rafter::double_double{static_cast<double>(j + 1)};
    }
    y[i] = sum.high;
    y_low[i] = sum.low;
  }
  const rafter::array_design rows(n, p, x.data(), y.data(), nullptr, 0, x_low.data(), y_low.data());
  const auto fit = rafter::least_squares_extended{.intercept = false}.solve(normal_equations::of(rows), &rows);
  EXPECT_EQ(fit.path, rafter::solution_path::extended);
  for (std::size_t j = 0; j < p; ++j) EXPECT_NEAR(fit.coefficients[j], static_cast<double>(j + 1), 1e-10);
}

TEST(ExtendedLeastSquares, DependentColumnsEndInTheMinimumNormSolution) {
  random_rows data(60, 2, 2);
  for (std::size_t i = 0; i < 60; ++i) data.column(1)[i] = data.column(0)[i];
  const auto rows = data.design();
  const auto fit = rafter::least_squares_extended{}.solve(normal_equations::of(rows), &rows);
  EXPECT_EQ(fit.status, rafter::fit_status::rank_deficient);
  EXPECT_NEAR(fit.coefficients[0], fit.coefficients[1], 1e-12);
}

TEST(ExtendedLeastSquares, NeedsTheRows) {
  const random_rows data(9, 2, 3);
  EXPECT_THROW(
      static_cast<void>(rafter::least_squares_extended{}.solve(normal_equations::of(data.design()), nullptr)),
      rafter::solver_error);
}

}  // namespace
