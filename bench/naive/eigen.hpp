// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

/// What a user does without the library: a stored matrix and Eigen. In an object of its own, because Eigen costs more
/// to compile than everything else in the benchmark together. Matrices are column-major: column k at x + k·stride.
namespace bench::naive {

/// Standardised ridge regression: X centred and scaled in a copy, XᵀX by a rank update, LLT.
/// @returns `columns` coefficients in raw units, then the intercept
std::vector<double> eigen_ridge(const double* x, std::size_t rows, std::size_t columns, std::size_t stride,
                                const double* y, double alpha);

/// out = X·coefficients + intercept
void eigen_predict(const double* x, std::size_t rows, std::size_t columns, std::size_t stride,
                   const double* coefficients, double intercept, double* out);

/// gram = XᵀX, lower triangle. @param gram  columns × columns
void eigen_gram(const double* x, std::size_t rows, std::size_t columns, std::size_t stride, double* gram);

struct fit_result {
  std::vector<double> parameters;
  double cost = 0.0;
  std::size_t residual_passes = 0;
};

/// Nonlinear least squares as a textbook has it: a Jacobian by forward differences, stored; JᵀJ by a rank update; steps
/// of Levenberg and Marquardt, clipped to the bounds, until one brings less than 1e-8 of the cost.
fit_result eigen_levenberg_marquardt(const std::function<void(const double* at, double* residual)>& residual,
                                     std::size_t rows, std::vector<double> start, const std::vector<double>& lower,
                                     const std::vector<double>& upper);

}  // namespace bench::naive
