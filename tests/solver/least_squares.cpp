// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/solver/least_squares.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "../support/random_rows.hpp"
#include "rafter/solver/moments.hpp"

namespace {

using rafter::normal_equations;

TEST(NormalEquations, HoldShiftedSumsOfProducts) {
  const random_rows data(700, 2, 1);
  const auto sums = normal_equations::of(data.design());
  EXPECT_EQ(sums.rows, 700U);
  EXPECT_EQ(sums(0, 0), 700.0);
  EXPECT_EQ(sums.shift[1], data.x[700]);
  double expected = 0.0;
  for (std::size_t i = 0; i < 700; ++i) expected += (data.x[i] - data.x[0]) * (data.y[i] - data.y[0]);
  EXPECT_NEAR(sums(1, 3), expected, 1e-10);
  EXPECT_EQ(sums(1, 3), sums(3, 1));
}

TEST(NormalEquations, FromMomentsEqualThoseOfTheRows) {
  const random_rows data(64, 2, 2);
  const auto expected = normal_equations::of(data.design());
  const std::size_t width = rafter::pack_width;
  std::vector<double> tile(64 * 4);
  for (std::size_t i = 0; i < 64; ++i) {
    const auto at = [&](std::size_t column) -> double& { return tile[(i / width * 4 + column) * width + i % width]; };
    at(0) = 1.0;
    at(1) = data.x[i] - expected.shift[0];
    at(2) = data.x[64 + i] - expected.shift[1];
    at(3) = data.y[i] - expected.shift[2];
  }
  rafter::moments<4> moments;
  moments.accumulate(tile.data(), 64 / width);
  const auto made = normal_equations::from(moments, expected.shift, 64);
  for (std::size_t k = 0; k < made.gram.size(); ++k) EXPECT_NEAR(made.gram[k], expected.gram[k], 1e-11);
  EXPECT_THROW(normal_equations::from(moments, {0.0, 0.0}, 64), rafter::solver_error);
}

TEST(NormalEquations, MergeAndSubtractAcrossDifferentShifts) {
  const random_rows a(40, 3, 3), b(50, 3, 4);
  const auto of_a = normal_equations::of(a.design());
  const auto of_b = normal_equations::of(b.design());
  const auto both = of_a + of_b;
  EXPECT_EQ(both.rows, 90U);
  auto again = both - of_a;
  EXPECT_EQ(again.rows, 50U);
  again.move_to(of_b.shift);
  for (std::size_t k = 0; k < again.gram.size(); ++k) EXPECT_NEAR(again.gram[k], of_b.gram[k], 1e-10);
  EXPECT_THROW(of_a + normal_equations(2), rafter::solver_error);
}

TEST(NormalEquations, AConstantColumnHasExactlyZeroSums) {
  random_rows data(100, 2, 5);
  for (std::size_t i = 0; i < 100; ++i) data.column(1)[i] = 0.1;
  const auto sums = normal_equations::of(data.design());
  for (std::size_t k = 0; k < 4; ++k) EXPECT_EQ(sums(2, k), 0.0);
}

TEST(Design, GradientIsTheResidualTimesTheCentredColumns) {
  const random_rows data(600, 2, 6);
  const double b[] = {0.5, -1.0};
  const double centre[] = {0.25, 2.0};
  double gradient[3];
  const double squares = data.weighted().gradient(b, 1.5, centre, gradient);
  double expected[3] = {};
  double expected_squares = 0.0;
  for (std::size_t i = 0; i < 600; ++i) {
    const double u = data.x[i] - 0.25;
    const double v = data.x[600 + i] - 2.0;
    const double residual = data.y[i] - 1.5 - 0.5 * u + v;
    expected[0] += data.weight[i] * u * residual;
    expected[1] += data.weight[i] * v * residual;
    expected[2] += data.weight[i] * residual;
    expected_squares += data.weight[i] * residual * residual;
  }
  for (int k = 0; k < 3; ++k) EXPECT_NEAR(gradient[k], expected[k], 1e-9);
  EXPECT_NEAR(squares, expected_squares, 1e-8);
}

TEST(Design, FillCopiesEveryBlockInOrder) {
  const random_rows data(600, 2, 7);
  std::vector<double> x(1200), y(600), weight(600);
  data.weighted().fill(x.data(), y.data(), weight.data());
  EXPECT_EQ(x, data.x);
  EXPECT_EQ(y, data.y);
  EXPECT_EQ(weight, data.weight);
  data.design().fill(x.data(), y.data(), weight.data());
  EXPECT_EQ(weight, std::vector<double>(600, 1.0));
}

TEST(LinearSolution, EveryStatusAndPathHasItsOwnText) {
  using enum rafter::fit_status;
  std::vector<std::string_view> texts;
  for (const auto status : {ok, refined, rank_deficient, ill_conditioned, too_few_rows, non_finite, not_converged}) {
    for (const auto& other : texts) EXPECT_NE(other, text_of(status));
    texts.push_back(text_of(status));
  }
  EXPECT_EQ(text_of(rafter::solution_path::gram_refined), "gram, refined");
}

}  // namespace
