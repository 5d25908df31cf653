// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "rafter/solver/linear_solver.hpp"
#include "rafter/solver/solve_least_squares.hpp"

namespace rafter {

/// Ordinary least squares in double-double: sums, Cholesky factor, residuals and refinement carry about 32 digits, so
/// that the coefficients and standard errors of the rows as given are correct to (nearly) all digits of a double.
///
/// For certification and for checking other solvers; ten to twenty times the time of the ordinary one. A design
/// whose values are not doubles (decimal fractions, powers) supplies the rest in `design_block::x_low` and `y_low`:
/// of NIST's Filip polynomial this solver gets 14 certified digits so, and 7.7 from data and powers rounded to
/// double. Where even this finds the columns dependent it returns the minimum-norm solution of `solve_least_squares`.
/// Source of the refinement idea: Björck 1967, "Iterative refinement of linear least squares solutions".
struct least_squares_extended {
  bool intercept = true;

  static constexpr bool needs_rows = true;
  std::string name() const {
    return intercept ? "least squares, extended precision" : "least squares, extended precision, no intercept";
  }
  /// @throws solver_error without rows
  linear_solution solve(const normal_equations& equations, const design* second_pass) const;
};
static_assert(linear_solver<least_squares_extended>);

}  // namespace rafter

#if !defined(RAFTER_COMPILED_NUMERICS)
#include "rafter/solver/extended_least_squares.ipp"
#endif
