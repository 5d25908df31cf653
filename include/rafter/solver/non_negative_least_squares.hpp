// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "rafter/solver/linear_solver.hpp"
#include "rafter/solver/solve_least_squares.hpp"

namespace rafter {

/// Least squares with coefficients >= 0, by the active-set method of Lawson and Hanson 1974 (chapter 23).
///
/// With the rows at hand it works on their streamed QR factor, so that the passive set and the coefficients are those
/// of the rows and not of their squared condition number; else on the sums. Coefficients held at zero are listed in
/// `linear_solution::at_bound` and have standard error 0: the standard errors take the passive set as given.
struct non_negative_least_squares {
  bool intercept = true;
  /// Also keeps the intercept >= 0. (When it is not so by itself, the best fit has none at all: the problem is
  /// convex.)
  bool non_negative_intercept = false;

  static constexpr bool needs_rows = false;
  std::string name() const {
    return std::string("non-negative least squares") + (!intercept               ? ", no intercept"
                                                        : non_negative_intercept ? ", non-negative intercept"
                                                                                 : "");
  }
  linear_solution solve(const normal_equations& equations, const design* second_pass = nullptr) const;
};
static_assert(linear_solver<non_negative_least_squares>);

}  // namespace rafter

#if !defined(RAFTER_COMPILED_NUMERICS)
#include "rafter/solver/non_negative_least_squares.ipp"
#endif
