// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Definitions for rafter/solver/ridge_path.hpp; include that instead.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "rafter/solver/ridge_path.hpp"
#include "rafter/solver/solve_least_squares.ipp"

namespace rafter {

RAFTER_NUMERICS_FUNCTION ridge_path::ridge_path(const normal_equations& equations, const design& rows,
                                                ridge_path_options options)
    : options_(options), pivot_(detail::smallest_pivot(equations, options.intercept, options.standardise)) {
  const bool from_sums = pivot_ >= 1e-7;
  problem_ = from_sums ? detail::reduce_gram(equations, options.intercept, options.standardise)
                       : detail::reduce_rows(rows, equations, options.intercept, options.standardise);
  if (!problem_.finite) {
    active_.clear();
    return;
  }
  tolerance_ = detail::rank_tolerance(problem_);
  active_ = detail::active_columns(problem_);
  const std::size_t q = active_.size();
  const std::size_t m = std::max(problem_.height, q);
  scale_.assign(q, 1.0);
  for (std::size_t a = 0; a < q && options.standardise; ++a) scale_[a] = problem_.deviation[active_[a]];
  std::vector<double> u = detail::in_penalty_units(problem_, active_, scale_, m);
  sigma_.resize(q);
  v_.resize(q * q);
  dense::jacobi_svd(u.data(), m, q, sigma_.data(), v_.data());
  while (rank_ < q && sigma_[rank_] > tolerance_ * sigma_[0]) ++rank_;
  sigma_.resize(rank_);
  v_.resize(q * rank_);
  along_.assign(rank_, 0.0);
  for (std::size_t k = 0; k < rank_; ++k) {
    for (std::size_t i = 0; i < problem_.height; ++i) along_[k] += u[k * m + i] * problem_.rhs[i];
    along_[k] /= sigma_[k];
  }
}

RAFTER_NUMERICS_FUNCTION linear_solution ridge_path::solve(double alpha) const {
  if (!problem_.finite) return detail::no_solution(problem_, fit_status::non_finite);
  linear_solution solution = detail::solve_by_svd(problem_,
                                                  {.intercept = options_.intercept,
                                                   .standardise = options_.standardise,
                                                   .alpha = alpha,
                                                   .method = least_squares_method::svd,
                                                   .standard_errors = true},
                                                  tolerance_);
  solution.smallest_pivot = std::max(0.0, pivot_);
  return solution;
}

RAFTER_NUMERICS_FUNCTION void ridge_path::visit(const design& rows, const std::vector<double>& alphas,
                                                row_visitor each) const {
  const std::size_t q = active_.size();
  // Coefficients in units of V: fitted = Σ_k (zᵀv_k) gamma_k.
  std::vector<double> gamma(alphas.size() * rank_), shrink(alphas.size() * rank_);
  for (std::size_t a = 0; a < alphas.size(); ++a) {
    if (!(alphas[a] >= 0.0) || !std::isfinite(alphas[a])) {
      throw solver_error("rafter: ridge path: alpha is " + std::to_string(alphas[a]) + ", not >= 0 and finite");
    }
    for (std::size_t k = 0; k < rank_; ++k) {
      const double denominator = sigma_[k] * sigma_[k] + alphas[a];
      gamma[a * rank_ + k] = sigma_[k] * along_[k] / denominator;
      shrink[a * rank_ + k] = 1.0 / denominator;
    }
  }
  const double at_centre = options_.intercept ? problem_.target_mean : 0.0;
  std::vector<double> z(q), w(rank_);
  std::size_t row = 0;
  rows.for_each_block([&](const design_block& block) {
    for (std::size_t i = 0; i < block.rows; ++i, ++row) {
      const double weight = block.weight != nullptr ? block.weight[i] : 1.0;
      for (std::size_t a = 0; a < q; ++a) {
        const std::size_t j = active_[a];
        z[a] = (block.x[j * block.stride + i] - (problem_.centred ? problem_.mean[j] : 0.0)) / scale_[a];
      }
      for (std::size_t k = 0; k < rank_; ++k) w[k] = dense::detail::dot(v_.data() + k * q, z.data(), q);
      for (std::size_t a = 0; a < alphas.size(); ++a) {
        double residual = block.y[i] - at_centre;
        double leverage = options_.intercept ? weight / problem_.weight : 0.0;
        for (std::size_t k = 0; k < rank_; ++k) {
          residual -= w[k] * gamma[a * rank_ + k];
          leverage += weight * w[k] * w[k] * shrink[a * rank_ + k];
        }
        each(a, row, residual, 1.0 - leverage, weight);
      }
    }
  });
}

RAFTER_NUMERICS_FUNCTION std::vector<double> ridge_path::leave_one_out_errors(const design& rows,
                                                                              double alpha) const {
  std::vector<double> errors(rows.rows());
  visit(rows, {alpha}, [&](std::size_t, std::size_t i, double residual, double rest, double) {
    errors[i] = rest > 0.0 ? residual / rest : std::numeric_limits<double>::infinity();
  });
  return errors;
}

RAFTER_NUMERICS_FUNCTION std::vector<ridge_score> ridge_path::score(const design& rows,
                                                                    const std::vector<double>& alphas) const {
  std::vector<ridge_score> scores(alphas.size());
  visit(rows, alphas, [&](std::size_t a, std::size_t, double residual, double rest, double weight) {
    const double error = rest > 0.0 ? residual / rest : std::numeric_limits<double>::infinity();
    scores[a].mean_squared_leave_one_out += weight * error * error;
    scores[a].residual_sum_of_squares += weight * residual * residual;
  });
  const double n = static_cast<double>(problem_.rows);
  for (std::size_t a = 0; a < alphas.size(); ++a) {
    scores[a].alpha = alphas[a];
    scores[a].mean_squared_leave_one_out /= problem_.weight;
    double parameters = options_.intercept ? 1.0 : 0.0;
    for (const double s : sigma_) parameters += s * s / (s * s + alphas[a]);
    scores[a].effective_parameters = parameters;
    const double left = n - parameters;
    scores[a].generalised_cross_validation = left > 1e-9 * n ? n * scores[a].residual_sum_of_squares / (left * left)
                                                             : std::numeric_limits<double>::infinity();
  }
  return scores;
}

}  // namespace rafter
