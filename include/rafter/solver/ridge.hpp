// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "rafter/solver/linear_solver.hpp"
#include "rafter/solver/solve_least_squares.hpp"

namespace rafter {

/// Ridge regression with a penalty known at run time: min ‖y − b₀ − X b‖² + alpha ‖D b‖² (sum, not mean, of squares;
/// b₀ not penalised), D the population deviations when `standardise`, else 1. Hoerl and Kennard 1970; scikit-learn's
/// convention.
struct ridge_with {
  double alpha = 1.0;
  bool standardise = true;
  bool intercept = true;
  bool standard_errors = true;
  least_squares_method method = least_squares_method::automatic;

  static constexpr bool needs_rows = false;
  std::string name() const {
    return "ridge, alpha " + detail::number_text(alpha) + (standardise ? "" : ", raw columns") +
           (intercept ? "" : ", no intercept");
  }
  linear_solution solve(const normal_equations& equations, const design* second_pass = nullptr) const {
    return solve_least_squares(equations, second_pass,
                               {.intercept = intercept,
                                .standardise = standardise,
                                .alpha = alpha,
                                .method = method,
                                .standard_errors = standard_errors});
  }
};
static_assert(linear_solver<ridge_with>);

/// The same with the penalty in the type: `ridge<1>`, or any constant with a conversion to double (`ridge<0.001_c>`).
template <auto Alpha, bool Standardise = true, bool Intercept = true> struct ridge {
  static constexpr double alpha = static_cast<double>(Alpha);
  static_assert(alpha >= 0.0, "rafter: the penalty of a ridge regression is not negative");
  static constexpr bool needs_rows = false;
  std::string name() const { return ridge_with{alpha, Standardise, Intercept}.name(); }
  linear_solution solve(const normal_equations& equations, const design* second_pass = nullptr) const {
    return ridge_with{alpha, Standardise, Intercept}.solve(equations, second_pass);
  }
};
static_assert(linear_solver<ridge<1>>);

}  // namespace rafter
