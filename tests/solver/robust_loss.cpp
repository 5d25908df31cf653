// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/solver/robust_loss.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace {

using rafter::loss_kind;
using rafter::robust_loss;

constexpr loss_kind all[] = {loss_kind::linear, loss_kind::soft_l1, loss_kind::huber, loss_kind::cauchy,
                             loss_kind::arctan};

TEST(RobustLoss, HasTheCostsOfItsDefinitions) {
  const double c = 0.5;
  for (const double r : {0.0, 0.3, -0.4, 2.0, -30.0}) {
    const double z = r * r / (c * c);
    EXPECT_DOUBLE_EQ(robust_loss{}(r).cost, 0.5 * r * r);
    EXPECT_NEAR((robust_loss{loss_kind::soft_l1, c}(r).cost), c * c * (std::sqrt(1.0 + z) - 1.0), 1e-13);
    EXPECT_NEAR((robust_loss{loss_kind::huber, c}(r).cost), 0.5 * c * c * (z <= 1.0 ? z : 2.0 * std::sqrt(z) - 1.0),
                1e-13);
    EXPECT_NEAR((robust_loss{loss_kind::cauchy, c}(r).cost), 0.5 * c * c * std::log(1.0 + z), 1e-13);
    EXPECT_NEAR((robust_loss{loss_kind::arctan, c}(r).cost), 0.5 * c * c * std::atan(z), 1e-13);
  }
}

// d cost / d r is the product of the two factors with r, whatever the row was scaled by.
TEST(RobustLoss, ScaledRowsKeepTheGradient) {
  for (const loss_kind kind : all) {
    const robust_loss loss{kind, 0.7};
    for (const double r : {-5.0, -0.71, -0.2, 0.01, 0.3, 0.9, 12.0}) {
      const double h = 1e-6;
      const double slope = (loss(r + h).cost - loss(r - h).cost) / (2.0 * h);
      const auto row = loss(r);
      EXPECT_NEAR(row.residual * row.jacobian * r, slope, 1e-8 * (1.0 + std::abs(r))) << text_of(kind) << ' ' << r;
    }
  }
}

TEST(RobustLoss, ScaledRowsKeepTheCurvatureWhereItIsPositive) {
  for (const loss_kind kind : all) {
    const robust_loss loss{kind, 0.7};
    for (const double r : {0.0, 0.1, -0.3, 0.4}) {
      const double h = 1e-4;
      const double curvature = (loss(r + h).cost - 2.0 * loss(r).cost + loss(r - h).cost) / (h * h);
      const auto row = loss(r);
      EXPECT_NEAR(row.jacobian * row.jacobian, curvature, 1e-5) << text_of(kind) << ' ' << r;
    }
  }
}

TEST(RobustLoss, HoldsTheCurvatureAboveZeroFarOut) {
  for (const loss_kind kind : {loss_kind::huber, loss_kind::cauchy, loss_kind::arctan}) {
    const auto row = robust_loss{kind, 1.0}(1e3);
    EXPECT_GT(row.jacobian, 0.0);
    EXPECT_NEAR(row.jacobian / row.residual, 1e-6, 1e-15);  // a millionth of the slope's weight
  }
}

}  // namespace
