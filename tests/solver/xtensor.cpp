// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/solver/xtensor.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <xtensor/xtensor.hpp>

#include "rafter/solver/ordinary_least_squares.hpp"

namespace {

TEST(XtensorNeighbour, FitsAColumnMajorTensorInPlace) {
  xt::xtensor<double, 2, xt::layout_type::column_major> x(std::array<std::size_t, 2>{40, 2});
  xt::xtensor<double, 1> y(std::array<std::size_t, 1>{40});
  for (std::size_t i = 0; i < 40; ++i) {
    x(i, 0) = static_cast<double>(i);
    x(i, 1) = std::cos(static_cast<double>(i));
    y(i) = 4.0 + 2.0 * x(i, 0) - 3.0 * x(i, 1);
  }
  const auto rows = rafter::design_of_tensors(x, y);
  rows.for_each_block([&](const rafter::design_block& each) { EXPECT_EQ(each.x, x.data()); });
  const auto fit = rafter::ordinary_least_squares{}.solve(rafter::normal_equations::of(rows), &rows);
  const auto b = rafter::tensor_of(fit.coefficients);
  EXPECT_NEAR(b(0), 2.0, 1e-13);
  EXPECT_NEAR(b(1), -3.0, 1e-13);
  EXPECT_NEAR(fit.intercept, 4.0, 1e-12);
  EXPECT_EQ(b.data(), fit.coefficients.data());
}

TEST(XtensorNeighbour, RefusesRowMajorStorage) {
  const xt::xtensor<double, 2> x(std::array<std::size_t, 2>{4, 2}, 1.0);
  const xt::xtensor<double, 1> y(std::array<std::size_t, 1>{4}, 1.0);
  EXPECT_THROW(rafter::design_of_tensors(x, y), rafter::solver_error);
}

}  // namespace
