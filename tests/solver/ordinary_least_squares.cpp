// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/solver/ordinary_least_squares.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "../support/random_rows.hpp"

namespace {

TEST(OrdinaryLeastSquares, IsTheTextbookLineWithItsStandardErrors) {
  // Five points; slope, intercept and errors by the closed formulas of simple regression.
  const double x[] = {1.0, 2.0, 3.0, 4.0, 5.0};
  const double y[] = {2.1, 3.9, 6.2, 7.8, 10.1};
  const rafter::array_design rows(5, 1, x, y);
  const auto fit = rafter::ordinary_least_squares{}.solve(rafter::normal_equations::of(rows), &rows);
  double sxx = 0.0, sxy = 0.0, rss = 0.0;
  for (int i = 0; i < 5; ++i) sxx += (x[i] - 3.0) * (x[i] - 3.0), sxy += (x[i] - 3.0) * (y[i] - 6.02);
  const double slope = sxy / sxx;
  const double intercept = 6.02 - 3.0 * slope;
  for (int i = 0; i < 5; ++i) rss += std::pow(y[i] - intercept - slope * x[i], 2);
  const double sigma = std::sqrt(rss / 3.0);
  EXPECT_NEAR(fit.coefficients[0], slope, 1e-14);
  EXPECT_NEAR(fit.intercept, intercept, 1e-13);
  EXPECT_NEAR(fit.residual_sum_of_squares, rss, 1e-12);
  EXPECT_NEAR(fit.standard_errors[0], sigma / std::sqrt(sxx), 1e-12);
  EXPECT_NEAR(fit.intercept_standard_error, sigma * std::sqrt(1.0 / 5.0 + 9.0 / sxx), 1e-12);
  EXPECT_EQ(fit.degrees_of_freedom, 3.0);
  EXPECT_NEAR(fit.predict(x), intercept + slope, 1e-13);
}

TEST(OrdinaryLeastSquares, WithoutAnInterceptAConstantColumnTakesItsPlace) {
  random_rows data(50, 2, 1);
  for (std::size_t i = 0; i < 50; ++i) data.column(1)[i] = 1.0;
  const auto rows = data.design();
  const auto sums = rafter::normal_equations::of(rows);
  const auto with = rafter::ordinary_least_squares{}.solve(sums, &rows);
  const auto without = rafter::ordinary_least_squares{.intercept = false}.solve(sums, &rows);
  EXPECT_EQ(without.intercept, 0.0);
  EXPECT_NEAR(without.coefficients[0], with.coefficients[0], 1e-12);
  EXPECT_NEAR(without.coefficients[1], with.intercept, 1e-12);
  EXPECT_NEAR(
      without.standard_errors[1] /
          std::sqrt(with.residual_sum_of_squares / 48.0 *
                    (1.0 / 50.0 + with.mean[0] * with.mean[0] / (50.0 * with.deviation[0] * with.deviation[0]))),
      1.0, 1e-10);
}

TEST(OrdinaryLeastSquares, ResidualsAreOrthogonalToTheColumns) {
  const random_rows data(500, 4, 2, 1.0);
  const auto rows = data.design();
  const auto fit = rafter::ordinary_least_squares{}.solve(rafter::normal_equations::of(rows));
  const std::vector<double> zero(4, 0.0);
  std::vector<double> gradient(5);
  rows.gradient(fit.coefficients.data(), fit.intercept, zero.data(), gradient.data());
  for (const double each : gradient) EXPECT_NEAR(each, 0.0, 1e-10);
}

TEST(OrdinaryLeastSquares, SaysItsName) {
  EXPECT_EQ(rafter::ordinary_least_squares{}.name(), "ordinary least squares");
  EXPECT_EQ(rafter::ordinary_least_squares{.intercept = false}.name(), "ordinary least squares, no intercept");
}

}  // namespace
