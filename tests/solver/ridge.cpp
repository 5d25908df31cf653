// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/solver/ridge.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "../support/random_rows.hpp"
#include "rafter/solver/ordinary_least_squares.hpp"

namespace {

using rafter::normal_equations;
using rafter::ridge_with;

struct thousandth {
  constexpr explicit operator double() const { return 0.001; }
};

TEST(Ridge, IsOrdinaryLeastSquaresWithAnArtificialRowPerColumn) {
  // Raw columns, no intercept: rows sqrt(alpha)·e_j with target 0.
  random_rows data(40, 3, 1);
  random_rows longer = data;
  longer.rows = 43;
  longer.x.clear();
  for (std::size_t j = 0; j < 3; ++j) {
    longer.x.insert(longer.x.end(), data.column(j), data.column(j) + 40);
    for (std::size_t k = 0; k < 3; ++k) longer.x.push_back(j == k ? std::sqrt(7.0) : 0.0);
  }
  longer.y.insert(longer.y.end(), 3, 0.0);
  const auto ridge = ridge_with{7.0, false, false}.solve(normal_equations::of(data.design()));
  const auto plain = rafter::ordinary_least_squares{.intercept = false}.solve(normal_equations::of(longer.design()));
  for (std::size_t j = 0; j < 3; ++j) EXPECT_NEAR(ridge.coefficients[j], plain.coefficients[j], 1e-13);
}

TEST(Ridge, LeavesTheInterceptUnpenalised) {
  const random_rows data(80, 3, 2);
  const auto fit = ridge_with{1e12}.solve(normal_equations::of(data.design()));
  double mean = 0.0;
  for (const double y : data.y) mean += y / 80.0;
  for (const double b : fit.coefficients) EXPECT_NEAR(b, 0.0, 1e-8);
  EXPECT_NEAR(fit.intercept, mean, 1e-8);
  EXPECT_NEAR(fit.effective_parameters, 1.0, 1e-8);
}

TEST(Ridge, StandardisedFitsDoNotDependOnUnits) {
  random_rows data(80, 3, 3);
  const auto before = ridge_with{5.0}.solve(normal_equations::of(data.design()));
  for (std::size_t i = 0; i < 80; ++i) data.column(1)[i] *= 1024.0;
  const auto after = ridge_with{5.0}.solve(normal_equations::of(data.design()));
  EXPECT_NEAR(after.coefficients[1] * 1024.0, before.coefficients[1], 1e-12);
  EXPECT_NEAR(after.standardised_coefficient(1), before.standardised_coefficient(1), 1e-12);
  EXPECT_NEAR(after.intercept, before.intercept, 1e-12);
}

TEST(Ridge, StandardErrorsShrinkWithThePenaltyAndMatchTheSandwich) {
  // One standardised column: variance sigma² S/(S+alpha)², S = n in standardised units.
  random_rows data(60, 1, 4, 0.5);
  const auto fit = ridge_with{20.0}.solve(normal_equations::of(data.design()));
  const double effective = 60.0 / 80.0 + 1.0;
  EXPECT_NEAR(fit.effective_parameters, effective, 1e-12);
  const double sigma = std::sqrt(fit.residual_sum_of_squares / (60.0 - effective));
  EXPECT_NEAR(fit.standard_errors[0], sigma * std::sqrt(60.0) / 80.0 / fit.deviation[0], 1e-12);
}

TEST(Ridge, EffectiveParametersDoNotNeedStandardErrors) {
  const random_rows data(60, 4, 5);
  const auto sums = normal_equations::of(data.design());
  const auto with = ridge_with{20.0}.solve(sums);
  const auto without = ridge_with{.alpha = 20.0, .standard_errors = false}.solve(sums);
  EXPECT_NEAR(with.effective_parameters, without.effective_parameters, 1e-12);
  EXPECT_EQ(with.coefficients, without.coefficients);
  EXPECT_TRUE(std::isinf(without.standard_errors[0]));
}

TEST(Ridge, ThePenaltyMayBeInTheType) {
  const random_rows data(60, 2, 6);
  const auto sums = normal_equations::of(data.design());
  EXPECT_EQ(rafter::ridge<thousandth{}>{}.solve(sums).coefficients, ridge_with{0.001}.solve(sums).coefficients);
  EXPECT_EQ(rafter::ridge<thousandth{}>{}.name(), "ridge, alpha 0.001");
  EXPECT_EQ((rafter::ridge<2, false, false>{}.name()), "ridge, alpha 2, raw columns, no intercept");
}

}  // namespace
