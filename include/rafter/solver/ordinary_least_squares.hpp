// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "rafter/solver/linear_solver.hpp"
#include "rafter/solver/solve_least_squares.hpp"

namespace rafter {

/// Ordinary least squares; dependent columns get the solution of least norm in standardised units.
struct ordinary_least_squares {
  bool intercept = true;
  bool standard_errors = true;
  least_squares_method method = least_squares_method::automatic;

  static constexpr bool needs_rows = false;
  std::string name() const { return intercept ? "ordinary least squares" : "ordinary least squares, no intercept"; }
  /// Without an intercept the columns stay raw: they are only centred where a constant can make up for it.
  linear_solution solve(const normal_equations& equations, const design* second_pass = nullptr) const {
    return solve_least_squares(equations, second_pass,
                               {.intercept = intercept,
                                .standardise = intercept,
                                .alpha = 0.0,
                                .method = method,
                                .standard_errors = standard_errors});
  }
};
static_assert(linear_solver<ordinary_least_squares>);

}  // namespace rafter
