// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Non-negative least squares against scipy's passive sets polished in 50-digit arithmetic, for every problem of
// fixtures/nnls/expected.json. Coefficients are compared only where the solution is unique.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "../support/csv.hpp"
#include "../support/data.hpp"
#include "rafter/solver/non_negative_least_squares.hpp"

namespace {

TEST(NonNegativeLeastSquaresFixtures, EveryProblemWithinItsTolerance) {
  const auto root = data_folder() / "fixtures" / "nnls";
  if (!std::filesystem::exists(root / "expected.json")) {
    GTEST_SKIP() << "no fixtures/nnls under RAFTER_DATA: reference non-negative fits are not checked";
  }
  std::ifstream in(root / "expected.json");
  const nlohmann::json expected = nlohmann::json::parse(in);
  ASSERT_FALSE(expected.empty());
  for (const auto& each : expected) {
    const std::string name = each.at("name");
    SCOPED_TRACE(name);
    const csv_table table(root / (name + ".csv"));
    const std::size_t n = table.rows.size();
    const std::size_t p = table.names.size() - 1;
    ASSERT_EQ(p, each.at("cols").get<std::size_t>());
    std::vector<double> a(n * p), b(n);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < p; ++j) a[j * n + i] = table.number(i, "a" + std::to_string(j));
      b[i] = table.number(i, "b");
    }
    const rafter::array_design rows(n, p, a.data(), b.data());
    const auto fit =
        rafter::non_negative_least_squares{.intercept = false}.solve(rafter::normal_equations::of(rows), &rows);
    ASSERT_EQ(fit.coefficients.size(), p);
    EXPECT_NE(fit.status, rafter::fit_status::not_converged);
    EXPECT_EQ(fit.intercept, 0.0);

    std::vector<double> residual = b;
    const std::vector<double> fitted = each.at("fitted");
    double largest_fitted = 0.0;
    double worst_fitted = 0.0;
    double squares = 0.0;
    for (std::size_t i = 0; i < n; ++i) {
      double sum = 0.0;
      for (std::size_t j = 0; j < p; ++j) sum += a[j * n + i] * fit.coefficients[j];
      residual[i] -= sum;
      squares += residual[i] * residual[i];
      largest_fitted = std::max(largest_fitted, std::abs(fitted[i]));
      worst_fitted = std::max(worst_fitted, std::abs(sum - fitted[i]));
    }
    const double rnorm = each.at("rnorm");
    EXPECT_NEAR(std::sqrt(squares), rnorm, 1e-12 * rnorm);
    EXPECT_NEAR(std::sqrt(fit.residual_sum_of_squares), rnorm, 1e-12 * rnorm);
    EXPECT_LE(worst_fitted, 1e-10 * largest_fitted);

    double of_b = 0.0;
    std::vector<double> dual(p, 0.0);
    for (std::size_t j = 0; j < p; ++j) {
      double product = 0.0;
      for (std::size_t i = 0; i < n; ++i) {
        product += a[j * n + i] * b[i];
        dual[j] += a[j * n + i] * residual[i];
      }
      of_b += product * product;
    }
    of_b = std::sqrt(of_b);
    for (std::size_t j = 0; j < p; ++j) {
      EXPECT_GE(fit.coefficients[j], 0.0);
      EXPECT_LE(dual[j], 1e-9 * of_b) << "column " << j;
      if (fit.coefficients[j] > 0.0) {
        EXPECT_GE(dual[j], -1e-9 * of_b) << "column " << j;
      }
    }
    const std::vector<double> x = each.at("x");
    double worst_x = 0.0;
    double largest_x = 0.0;
    for (std::size_t j = 0; j < p; ++j) {
      worst_x = std::max(worst_x, std::abs(fit.coefficients[j] - x[j]));
      largest_x = std::max(largest_x, std::abs(x[j]));
    }
    if (each.at("solution_unique").get<bool>()) {
      const auto& condition = each.at("cond_passive");
      const double tolerance = std::max(1e-11, condition.is_number() ? 1e-13 * condition.get<double>() : 0.0);
      EXPECT_LE(worst_x, tolerance * largest_x);
      const std::vector<std::size_t> passive = each.at("passive_set");
      for (std::size_t j = 0; j < p; ++j) {
        const bool is_passive = std::find(passive.begin(), passive.end(), j) != passive.end();
        EXPECT_EQ(fit.coefficients[j] > 0.0, is_passive) << "column " << j;
      }
    }
    std::printf("nnls  %-20s rnorm %.1e  fitted %.1e  x %.1e (relative; x counts where unique: %d)\n", name.c_str(),
                rnorm > 0.0 ? std::abs(std::sqrt(squares) / rnorm - 1.0) : std::sqrt(squares),
                largest_fitted > 0.0 ? worst_fitted / largest_fitted : worst_fitted,
                largest_x > 0.0 ? worst_x / largest_x : worst_x, each.at("solution_unique").get<bool>() ? 1 : 0);
  }
}

}  // namespace
