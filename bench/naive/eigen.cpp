// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "naive/eigen.hpp"

#include <Eigen/Cholesky>
#include <Eigen/Core>

namespace bench::naive {

namespace {
using Eigen::Index;
using matrix_view = Eigen::Map<const Eigen::MatrixXd, 0, Eigen::OuterStride<>>;
using vector_view = Eigen::Map<const Eigen::VectorXd>;

matrix_view view(const double* x, std::size_t rows, std::size_t columns, std::size_t stride) {
  return {x, static_cast<Index>(rows), static_cast<Index>(columns), Eigen::OuterStride<>(static_cast<Index>(stride))};
}
}  // namespace

std::vector<double> eigen_ridge(const double* values, std::size_t rows, std::size_t columns, std::size_t stride,
                                const double* target, double alpha) {
  const matrix_view x = view(values, rows, columns, stride);
  const vector_view y(target, static_cast<Index>(rows));
  const Eigen::RowVectorXd mean = x.colwise().mean();
  Eigen::MatrixXd z = x.rowwise() - mean;
  Eigen::RowVectorXd deviation = (z.colwise().squaredNorm() / static_cast<double>(rows)).cwiseSqrt();
  for (Index k = 0; k < deviation.size(); ++k) {
    if (deviation[k] == 0.0) deviation[k] = 1.0;
  }
  z.array().rowwise() /= deviation.array();
  Eigen::MatrixXd gram = Eigen::MatrixXd::Zero(z.cols(), z.cols());
  gram.selfadjointView<Eigen::Lower>().rankUpdate(z.transpose());
  gram.diagonal().array() += alpha;
  const double target_mean = y.mean();
  const Eigen::VectorXd projections = z.transpose() * (y.array() - target_mean).matrix();
  const Eigen::VectorXd solved = gram.selfadjointView<Eigen::Lower>().llt().solve(projections);
  std::vector<double> coefficients(columns + 1);
  double intercept = target_mean;
  for (Index k = 0; k < solved.size(); ++k) {
    coefficients[static_cast<std::size_t>(k)] = solved[k] / deviation[k];
    intercept -= solved[k] / deviation[k] * mean[k];
  }
  coefficients.back() = intercept;
  return coefficients;
}

void eigen_predict(const double* x, std::size_t rows, std::size_t columns, std::size_t stride,
                   const double* coefficients, double intercept, double* out) {
  Eigen::Map<Eigen::VectorXd> predicted(out, static_cast<Index>(rows));
  predicted.noalias() = view(x, rows, columns, stride) * vector_view(coefficients, static_cast<Index>(columns));
  predicted.array() += intercept;
}

void eigen_gram(const double* x, std::size_t rows, std::size_t columns, std::size_t stride, double* gram) {
  Eigen::Map<Eigen::MatrixXd> products(gram, static_cast<Index>(columns), static_cast<Index>(columns));
  products.setZero();
  products.selfadjointView<Eigen::Lower>().rankUpdate(view(x, rows, columns, stride).transpose());
}

}  // namespace bench::naive
