// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/solver/non_negative_least_squares.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "../support/random_rows.hpp"
#include "rafter/solver/ordinary_least_squares.hpp"

namespace {

using rafter::non_negative_least_squares;
using rafter::normal_equations;

// Coefficients 1, −2, 3, −4, … of random_rows.
random_rows of_both_signs(std::size_t n, std::size_t p, unsigned seed) {
  random_rows data(n, p, seed, 1.0);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 1; j < p; j += 2) data.y[i] -= 2.0 * static_cast<double>(j + 1) * data.x[j * n + i];
  }
  return data;
}

TEST(NonNegativeLeastSquares, EqualsOrdinaryLeastSquaresWhereThatIsPositive) {
  const random_rows data(100, 3, 1);
  const auto rows = data.design();
  const auto sums = normal_equations::of(rows);
  const auto plain = rafter::ordinary_least_squares{}.solve(sums, &rows);
  for (const rafter::design* second :
       {static_cast<const rafter::design*>(&rows), static_cast<const rafter::design*>(nullptr)}) {
    const auto fit = non_negative_least_squares{}.solve(sums, second);
    EXPECT_EQ(fit.path, rafter::solution_path::active_set);
    EXPECT_TRUE(fit.at_bound.empty());
    EXPECT_NEAR(fit.intercept, plain.intercept, 1e-11);
    for (std::size_t j = 0; j < 3; ++j) {
      EXPECT_NEAR(fit.coefficients[j], plain.coefficients[j], 1e-11);
      EXPECT_NEAR(fit.standard_errors[j] / plain.standard_errors[j], 1.0, 1e-9);
    }
  }
}

TEST(NonNegativeLeastSquares, MeetsTheOptimalityConditionsWithAndWithoutTheRows) {
  const random_rows data = of_both_signs(200, 8, 2);
  const auto rows = data.design();
  const auto sums = normal_equations::of(rows);
  for (const bool intercept : {true, false}) {
    for (const bool with_rows : {true, false}) {
      const auto fit = non_negative_least_squares{.intercept = intercept}.solve(sums, with_rows ? &rows : nullptr);
      EXPECT_GE(fit.at_bound.size(), 2U);
      EXPECT_LE(fit.at_bound.size(), 6U);
      std::vector<double> gradient(9);
      const std::vector<double> zero(8, 0.0);
      rows.gradient(fit.coefficients.data(), fit.intercept, zero.data(), gradient.data());
      for (std::size_t j = 0; j < 8; ++j) {
        EXPECT_GE(fit.coefficients[j], 0.0);
        if (fit.coefficients[j] > 0.0) {
          EXPECT_NEAR(gradient[j], 0.0, 1e-9);
        } else {
          EXPECT_LE(gradient[j], 1e-9);
          EXPECT_EQ(fit.standard_errors[j], 0.0);
        }
      }
      if (intercept) {
        EXPECT_NEAR(gradient[8], 0.0, 1e-9);
      }
    }
  }
}

TEST(NonNegativeLeastSquares, ANegativeInterceptMayBeForbidden) {
  random_rows data(50, 1, 3, 0.1);
  for (std::size_t i = 0; i < 50; ++i) data.x[i] += 10.0, data.y[i] = data.x[i] - 2.0;
  const auto rows = data.design();
  const auto sums = normal_equations::of(rows);
  EXPECT_NEAR(non_negative_least_squares{}.solve(sums, &rows).intercept, -2.0, 1e-10);
  const auto fit = non_negative_least_squares{.non_negative_intercept = true}.solve(sums, &rows);
  EXPECT_EQ(fit.intercept, 0.0);
  EXPECT_GT(fit.coefficients[0], 0.7);
}

TEST(NonNegativeLeastSquares, DependentColumnsDoNotMakeItCycle) {
  random_rows data = of_both_signs(60, 6, 4);
  for (std::size_t i = 0; i < 60; ++i) data.column(4)[i] = data.column(0)[i] + data.column(2)[i];
  const auto rows = data.design();
  const auto fit = non_negative_least_squares{}.solve(normal_equations::of(rows), &rows);
  EXPECT_NE(fit.status, rafter::fit_status::not_converged);
  for (const double b : fit.coefficients) EXPECT_GE(b, 0.0);
}

}  // namespace
