// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/solver/dense.hpp"

#include <gtest/gtest.h>

#include <Eigen/Core>
#include <cmath>
#include <random>
#include <vector>

namespace {

namespace dense = rafter::dense;
using matrix = Eigen::MatrixXd;  // column-major, as the functions want it

matrix random_matrix(Eigen::Index rows, Eigen::Index columns, unsigned seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  matrix made(rows, columns);
  for (Eigen::Index k = 0; k < made.size(); ++k) made.data()[k] = normal(random);
  return made;
}

TEST(Dense, CholeskyFactorsSolvesAndInverts) {
  const matrix x = random_matrix(20, 7, 1);
  const matrix a = x.transpose() * x;
  matrix l = a;
  EXPECT_GT(dense::cholesky(l.data(), 7), 0.0);
  const matrix lower = matrix(l.transpose().triangularView<Eigen::Lower>());  // row-major in memory
  EXPECT_LT((lower * lower.transpose() - a).norm(), 1e-14 * a.norm());
  Eigen::VectorXd b = random_matrix(7, 1, 2);
  const Eigen::VectorXd rhs = b;
  dense::cholesky_solve(l.data(), 7, b.data());
  EXPECT_LT((a * b - rhs).norm(), 1e-13 * rhs.norm());
  matrix inverse(7, 7);
  dense::cholesky_inverse(l.data(), 7, inverse.data());
  EXPECT_LT((a * inverse - matrix::Identity(7, 7)).norm(), 1e-13);
  Eigen::VectorXd diagonal(7);
  dense::cholesky_inverse_diagonal(l.data(), 7, diagonal.data());
  EXPECT_LT((diagonal - inverse.diagonal()).norm(), 1e-15);
}

TEST(Dense, CholeskyReportsAPivotThatIsNotPositive) {
  std::vector<double> a = {1.0, 2.0, 2.0, 1.0};
  EXPECT_EQ(dense::cholesky(a.data(), 2), -3.0);
}

TEST(Dense, PivotedQrFindsTheRankAndReproducesTheMatrix) {
  matrix a = random_matrix(12, 6, 3);
  a.col(4) = a.col(0) - 2.0 * a.col(2);
  matrix qr = a;
  std::vector<double> tau(6);
  std::vector<std::size_t> order(6);
  const std::size_t rank = dense::pivoted_qr(qr.data(), 12, 6, tau.data(), order.data(), 1e-13);
  EXPECT_EQ(rank, 5U);
  for (std::size_t k = 0; k < 6; ++k) {
    Eigen::VectorXd column = Eigen::VectorXd::Zero(12);
    for (std::size_t i = 0; i <= std::min<std::size_t>(k, rank - 1); ++i) {
      column(static_cast<Eigen::Index>(i)) = qr(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(k));
    }
    dense::apply_q(qr.data(), 12, rank, tau.data(), column.data(), false);
    EXPECT_LT((column - a.col(static_cast<Eigen::Index>(order[k]))).norm(), 1e-13);
  }
}

TEST(Dense, FoldedRowsHaveTheGramMatrixOfAllRows) {
  const matrix x = random_matrix(50, 4, 5);
  matrix r = matrix::Zero(4, 4);
  for (Eigen::Index at = 0; at < 50; at += 7) {
    matrix block = x.middleRows(at, std::min<Eigen::Index>(7, 50 - at));
    dense::fold_rows(r.data(), 4, block.data(), static_cast<std::size_t>(block.rows()),
                     static_cast<std::size_t>(block.rows()));
  }
  const matrix upper = r.triangularView<Eigen::Upper>();
  EXPECT_EQ((r - upper).norm(), 0.0);
  EXPECT_LT((upper.transpose() * upper - x.transpose() * x).norm(), 1e-13 * (x.transpose() * x).norm());
}

TEST(Dense, FoldingKeepsAZeroColumnExactlyZero) {
  matrix x = random_matrix(9, 3, 6);
  x.col(1).setZero();
  matrix r = matrix::Zero(3, 3);
  dense::fold_rows(r.data(), 3, x.data(), 9, 9);
  EXPECT_EQ(r.col(1).norm(), 0.0);
}

TEST(Dense, JacobiSvdGivesSmallSingularValuesTheirDigits) {
  // Graded by columns: an SVD that is only normwise accurate would lose the last ones.
  matrix a = random_matrix(8, 4, 7);
  const Eigen::VectorXd scale = (Eigen::VectorXd(4) << 1.0, 1e-6, 1e-12, 1e-18).finished();
  const matrix graded = a * scale.asDiagonal();
  matrix u = graded;
  matrix v(4, 4);
  std::vector<double> sigma(4);
  EXPECT_TRUE(dense::jacobi_svd(u.data(), 8, 4, sigma.data(), v.data()));
  EXPECT_LT((v.transpose() * v - matrix::Identity(4, 4)).norm(), 1e-14);
  EXPECT_LT(((u * v.transpose() - graded) * scale.cwiseInverse().asDiagonal()).norm(), 1e-13 * a.norm());
  // The root of the Gram matrix's determinant, without the grading, is the product of the singular values.
  matrix l = a.transpose() * a;
  dense::cholesky(l.data(), 4);
  const double expected = l.diagonal().prod() * scale.prod();
  EXPECT_NEAR(sigma[0] * sigma[1] * sigma[2] * sigma[3] / expected, 1.0, 1e-12);
}

TEST(Dense, JacobiEigenDiagonalises) {
  const matrix x = random_matrix(9, 6, 8);
  const matrix a = x.transpose() * x;
  matrix work = a;
  matrix vectors(6, 6);
  Eigen::VectorXd values(6);
  EXPECT_TRUE(dense::jacobi_eigen(work.data(), 6, values.data(), vectors.data()));
  EXPECT_LT((vectors.transpose() * vectors - matrix::Identity(6, 6)).norm(), 1e-14);
  EXPECT_LT((a * vectors - vectors * values.asDiagonal()).norm(), 1e-13 * a.norm());
  for (Eigen::Index k = 1; k < 6; ++k) EXPECT_GE(values(k - 1), values(k));
}

}  // namespace
