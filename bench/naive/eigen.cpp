// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "naive/eigen.hpp"

#include <Eigen/Cholesky>
#include <Eigen/Core>

#include <algorithm>
#include <cmath>

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

fit_result eigen_levenberg_marquardt(const std::function<void(const double* at, double* residual)>& residual,
                                     std::size_t rows, std::vector<double> start, const std::vector<double>& lower,
                                     const std::vector<double>& upper) {
  const auto n = static_cast<Index>(start.size());
  fit_result fit{.parameters = std::move(start), .cost = 0.0, .residual_passes = 0};
  Eigen::MatrixXd jacobian(static_cast<Index>(rows), n);
  Eigen::VectorXd here(static_cast<Index>(rows)), there(static_cast<Index>(rows));
  const auto at = [&](const std::vector<double>& x, Eigen::VectorXd& out) {
    residual(x.data(), out.data());
    ++fit.residual_passes;
    return 0.5 * out.squaredNorm();
  };
  fit.cost = at(fit.parameters, here);
  double damping = 1e-3;
  for (int iteration = 0; iteration < 100; ++iteration) {
    std::vector<double> x = fit.parameters;
    for (Index j = 0; j < n; ++j) {
      const auto k = static_cast<std::size_t>(j);
      const double size = std::max(std::abs(x[k]), 1e-8) * 1.5e-8;
      const double step = x[k] + size <= upper[k] ? size : -size;
      x[k] += step;
      at(x, there);
      jacobian.col(j) = (there - here) / (x[k] - fit.parameters[k]);
      x[k] = fit.parameters[k];
    }
    Eigen::MatrixXd products = Eigen::MatrixXd::Zero(n, n);
    products.selfadjointView<Eigen::Lower>().rankUpdate(jacobian.transpose());
    const Eigen::VectorXd gradient = jacobian.transpose() * here;
    const double before = fit.cost;
    bool better = false;
    while (!better && damping < 1e12) {
      Eigen::MatrixXd damped = products;
      for (Index j = 0; j < n; ++j) damped(j, j) += damping * std::max(products(j, j), 1e-30);
      const Eigen::VectorXd step = damped.selfadjointView<Eigen::Lower>().ldlt().solve(-gradient);
      for (Index j = 0; j < n; ++j) {
        const auto k = static_cast<std::size_t>(j);
        x[k] = std::clamp(fit.parameters[k] + step[j], lower[k], upper[k]);
      }
      const double cost = at(x, there);
      better = cost < fit.cost;
      damping *= better ? 0.1 : 10.0;
      if (!better) continue;
      fit.cost = cost;
      fit.parameters = x;
      here.swap(there);
    }
    if (!better || before - fit.cost <= 1e-8 * before) break;
  }
  return fit;
}

}  // namespace bench::naive
