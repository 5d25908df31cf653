// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/solver/eigen.hpp"

#include <gtest/gtest.h>

#include <Eigen/QR>
#include <cmath>

#include "rafter/solver/ordinary_least_squares.hpp"

namespace {

Eigen::MatrixXd some_matrix(Eigen::Index rows, Eigen::Index columns) {
  Eigen::MatrixXd x(rows, columns);
  for (Eigen::Index i = 0; i < rows; ++i) {
    for (Eigen::Index j = 0; j < columns; ++j) {
      x(i, j) = std::sin(static_cast<double>((i + 1) * (j + 3))) + 0.1 * static_cast<double>(j);
    }
  }
  return x;
}

TEST(EigenNeighbour, AgreesWithEigensOwnQrThroughMaps) {
  const Eigen::MatrixXd x = some_matrix(60, 5);
  const Eigen::VectorXd y = some_matrix(60, 1).col(0).array().square();
  const auto rows = rafter::design_of(x, y);
  const auto fit =
      rafter::ordinary_least_squares{.intercept = false, .method = rafter::least_squares_method::qr}.solve(
          rafter::normal_equations::of(rows), &rows);
  const Eigen::VectorXd expected = x.colPivHouseholderQr().solve(y);
  EXPECT_LT((rafter::map_of(fit.coefficients) - expected).norm(), 1e-13 * expected.norm());
}

TEST(EigenNeighbour, ReadsABlockOfALargerMatrixInPlace) {
  const Eigen::MatrixXd big = some_matrix(80, 6);
  const Eigen::VectorXd y = some_matrix(80, 1).col(0);
  const auto block = big.block(10, 1, 50, 3);
  const auto rows = rafter::design_of(block, y.segment(10, 50));
  rows.for_each_block([&](const rafter::design_block& each) {
    EXPECT_EQ(each.x, &big(10, 1));
    EXPECT_EQ(each.stride, 80U);
    EXPECT_EQ(each.y, &y(10));
  });
  const auto sums = rafter::normal_equations::of(rows);
  const Eigen::VectorXd shifted = block.col(1).array() - sums.shift[1];
  EXPECT_NEAR(rafter::gram_of(sums)(2, 2), shifted.squaredNorm(), 1e-12);
}

TEST(EigenNeighbour, RefusesSizesThatDisagree) {
  const Eigen::MatrixXd x = some_matrix(6, 2);
  const Eigen::VectorXd y = some_matrix(5, 1).col(0);
  EXPECT_THROW(rafter::design_of(x, y), rafter::solver_error);
}

}  // namespace
