// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

#include "rafter/solver/dense.hpp"
#include "rafter/solver/least_squares.hpp"

namespace rafter {

/// Ordinary and ridge least squares from sums of products, with the rows as second opinion.
///
/// min ‖y − b₀ − X b‖² + alpha ‖D b‖², D = deviations when `standardise`, else 1. Follows the rule of
/// `least_squares_method`. A column without variation gets coefficient 0 and is listed; when columns depend on each
/// other the solution of least ‖D b‖ is returned and the status says so.
/// @param second_pass  null: only the sums; then nearly dependent columns end as `ill_conditioned`
RAFTER_NUMERICS_FUNCTION linear_solution solve_least_squares(const normal_equations& equations,
                                                             const design* second_pass,
                                                             const least_squares_options& options);

namespace detail {

/// A least-squares problem of few rows that has the solutions of the whole one: ‖y − b₀ − X b‖² = ‖rhs − T b‖² +
/// rest, b₀ eliminated where the columns are centred.
struct reduced_problem {
  std::size_t columns = 0;  ///< p
  std::size_t height = 0;   ///< m, rows of T
  std::vector<double> t;    ///< m × p, column-major, raw units
  std::vector<double> rhs;  ///< m
  double rest = 0.0;

  std::size_t rows = 0;  ///< of the whole problem
  double weight = 0.0;   ///< their sum of weights
  bool centred = true;
  std::vector<double> mean;       ///< p, raw
  std::vector<double> deviation;  ///< p, 1 where constant
  double target_mean = 0.0;
  double target_squares = 0.0;  ///< the whole sum of squares that a model of no columns leaves
  std::vector<std::size_t> constant_columns;
  std::vector<bool> constant;
  /// How far the largest sum of squares ever held exceeds the variation that is left of it, worst column: the sums
  /// have lost that many digits (a shift far from the mean, a group taken out that held nearly all variation).
  double loss = 1.0;
  bool doubtful = false;  ///< a column's variation was lost in rounding: only the rows can tell
  bool finite = true;
};

/// Means, deviations and constant columns of a Gram matrix; fills S = centred (or raw) XᵀX (p × p) and c = Xᵀy.
RAFTER_NUMERICS_FUNCTION reduced_problem describe(const normal_equations& equations, bool intercept, bool standardise,
                                                  std::vector<double>& s, std::vector<double>& c);

/// The reduced problem by an eigendecomposition of the (unit-diagonal) Gram matrix. Keeps half the digits of a
/// nearly dependent direction.
RAFTER_COLD_FUNCTION reduced_problem reduce_gram(const normal_equations& equations, bool intercept, bool standardise);

/// The reduced problem by a streamed Householder QR of the rows: one pass, nothing materialised, no squared
/// condition number. The sums only supply centres to shift by.
RAFTER_COLD_FUNCTION reduced_problem reduce_rows(const design& rows, const normal_equations& equations,
                                                 bool intercept, bool standardise);

/// Smallest Cholesky pivot of the unit-diagonal Gram matrix of the non-constant columns, <= 0 if it has none.
RAFTER_COLD_FUNCTION double smallest_pivot(const normal_equations& equations, bool intercept, bool standardise);

/// Solves a reduced problem; minimum norm where `tolerance` finds it rank deficient.
RAFTER_COLD_FUNCTION linear_solution solve_by_qr(const reduced_problem& problem, const least_squares_options& options,
                                                 double tolerance);
RAFTER_COLD_FUNCTION linear_solution solve_by_svd(const reduced_problem& problem,
                                                  const least_squares_options& options, double tolerance);
RAFTER_COLD_FUNCTION linear_solution no_solution(const reduced_problem& problem, fit_status status);
RAFTER_NUMERICS_FUNCTION std::vector<std::size_t> active_columns(const reduced_problem& problem);
/// Below this, relative, a pivot of the QR of the reduced problem is rounding.
RAFTER_COLD_FUNCTION double rank_tolerance(const reduced_problem& problem);

/// value − Σ a[j]·b[j] with the products and the sum exact to one rounding or so.
RAFTER_NUMERICS_FUNCTION double minus_dot(double value, const std::vector<double>& a, const std::vector<double>& b);

}  // namespace detail
}  // namespace rafter

#if !defined(RAFTER_COMPILED_NUMERICS)
#include "rafter/solver/solve_least_squares.ipp"
#endif
