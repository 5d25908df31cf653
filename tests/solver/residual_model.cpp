// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/solver/residual_model.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace {

using rafter::array_residuals;
using rafter::loss_kind;
using rafter::residual_block;

// r_i = a exp(-b t_i) - y_i in blocks of `size` rows, with weights.
struct decay final : rafter::residual_model {
  std::size_t size;
  std::vector<double> weight;
  explicit decay(std::size_t block, bool weighted = false) : size(block) {
    for (std::size_t i = 0; i < 700 && weighted; ++i) weight.push_back(0.5 + 0.001 * static_cast<double>(i));
  }
  std::size_t rows() const override { return 700; }
  std::size_t parameters() const override { return 2; }
  static double time(std::size_t i) { return 0.01 * static_cast<double>(i); }
  void for_each_block(const double* at, block_visitor visit) const override {
    std::vector<double> r(size), j(2 * size);
    for (std::size_t first = 0; first < rows(); first += size) {
      const std::size_t count = std::min(size, rows() - first);
      for (std::size_t i = 0; i < count; ++i) {
        const double t = time(first + i);
        const double e = std::exp(-at[1] * t);
        r[i] = at[0] * e - 1.0 / (1.0 + t);
        j[i] = e;
        j[size + i] = -at[0] * t * e;
      }
      visit({count, r.data(), j.data(), size, weight.empty() ? nullptr : weight.data() + first});
    }
  }
};

TEST(ResidualModel, AccumulatesTheSumsOfItsRows) {
  const decay model(700, true);
  const rafter::robust_loss loss{loss_kind::cauchy, 0.1};
  const double at[] = {0.9, 0.4};
  double cost = -1.0, gradient[2] = {7.0, 7.0}, hessian[4] = {7.0, 7.0, 7.0, 7.0};
  model.accumulate(at, loss, cost, gradient, hessian);
  double c = 0.0, g[2] = {}, h[4] = {};
  for (std::size_t i = 0; i < model.rows(); ++i) {
    const double t = decay::time(i), e = std::exp(-at[1] * t), w = model.weight[i];
    const double row[] = {e, -at[0] * t * e};
    const double r = at[0] * e - 1.0 / (1.0 + t);
    const auto by = loss(r);
    c += w * by.cost;
    for (int a = 0; a < 2; ++a) {
      g[a] += w * by.residual * by.jacobian * r * row[a];
      for (int b = 0; b < 2; ++b) h[2 * a + b] += w * by.jacobian * by.jacobian * row[a] * row[b];
    }
  }
  EXPECT_NEAR(cost, c, 1e-13 * c);
  EXPECT_NEAR(model.cost(at, loss), c, 1e-13 * c);
  for (int a = 0; a < 2; ++a) EXPECT_NEAR(gradient[a], g[a], 1e-12 * std::abs(g[a]));
  for (int a = 0; a < 4; ++a) EXPECT_NEAR(hessian[a], h[a], 1e-12 * std::abs(h[a]));
}

TEST(ResidualModel, TheGradientIsThatOfTheCost) {
  const decay model(100, true);
  const rafter::robust_loss loss{loss_kind::soft_l1, 0.05};
  const double at[] = {0.9, 0.4};
  double cost = 0.0, gradient[2], hessian[4];
  model.accumulate(at, loss, cost, gradient, hessian);
  for (int j = 0; j < 2; ++j) {
    double up[] = {at[0], at[1]}, down[] = {at[0], at[1]};
    up[j] += 1e-5;
    down[j] -= 1e-5;
    EXPECT_NEAR(gradient[j], (model.cost(up, loss) - model.cost(down, loss)) / 2e-5, 1e-7 * std::abs(gradient[j]));
  }
}

TEST(ResidualModel, TheSizeOfTheBlocksDoesNotMatter) {
  const double at[] = {0.9, 0.4};
  double cost[2], gradient[2][2], hessian[2][4];
  decay(700).accumulate(at, {}, cost[0], gradient[0], hessian[0]);
  decay(33).accumulate(at, {}, cost[1], gradient[1], hessian[1]);
  EXPECT_NEAR(cost[0], cost[1], 1e-12 * cost[0]);
  for (int k = 0; k < 2; ++k) EXPECT_NEAR(gradient[0][k], gradient[1][k], 1e-12 * std::abs(gradient[0][k]));
  for (int k = 0; k < 4; ++k) EXPECT_NEAR(hessian[0][k], hessian[1][k], 1e-12 * std::abs(hessian[0][k]));
}

TEST(ResidualModel, CheckFindsRightDerivativesRight) {
  const double at[] = {0.9, 0.4};
  EXPECT_LT(rafter::check_jacobian(decay(64), at).worst, 1e-8);
}

TEST(ResidualModel, CheckNamesTheWrongDerivative) {
  const array_residuals wrong(
      3, 2, [](const double* x, double* r) { r[0] = x[0], r[1] = x[1] * x[1], r[2] = x[0] * x[1]; },
      [](const double* x, double* j) {
        const double right[] = {1.0, 0.0, x[1], 0.0, 2.0 * x[1], x[0] + 1.0};  // the last one is not
        std::copy(right, right + 6, j);
      });
  const double at[] = {2.0, 3.0};
  const auto found = rafter::check_jacobian(wrong, at);
  EXPECT_EQ(found.row, 2u);
  EXPECT_EQ(found.parameter, 1u);
  EXPECT_DOUBLE_EQ(found.derivative, 3.0);
  EXPECT_NEAR(found.difference, 2.0, 1e-8);
}

TEST(ResidualModel, DifferencesStayWithinTheBounds) {
  const double low[] = {0.0}, high[] = {2.0};
  for (const double at : {0.0, 1e-9, 2.0, 1.0}) {
    double slope = 0.0;
    rafter::numerical_jacobian(
        [&](const double* x, double* r) {
          EXPECT_GE(x[0], 0.0);
          EXPECT_LE(x[0], 2.0);
          r[0] = std::sin(x[0]);
        },
        1, 1, &at, &slope, low, high);
    EXPECT_NEAR(slope, std::cos(at), 1e-8) << at;
  }
}

TEST(ResidualModel, WithoutDerivativesTheyAreDifferenced) {
  const array_residuals model(2, 1, [](const double* x, double* r) { r[0] = x[0] * x[0], r[1] = std::exp(x[0]); });
  const double at = 1.5;
  double cost = 0.0, gradient = 0.0, hessian = 0.0;
  model.accumulate(&at, {}, cost, &gradient, &hessian);
  EXPECT_NEAR(gradient, 2.0 * at * at * at + std::exp(2.0 * at), 1e-8);
}

TEST(ResidualModel, NeedsAResidualFunction) { EXPECT_THROW(array_residuals(1, 1, {}), rafter::solver_error); }

}  // namespace
