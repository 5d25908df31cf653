// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "rafter/solver/linear_solver.hpp"
#include "rafter/solver/solve_least_squares.hpp"

namespace rafter {

/// What one penalty costs on rows that were not fitted.
struct ridge_score {
  double alpha = 0.0;
  double mean_squared_leave_one_out = 0.0;    ///< (weighted) mean of (y_i − ŷ_(−i))²
  double generalised_cross_validation = 0.0;  ///< n·RSS/(n − trace of the hat matrix)²; infinite when saturated
  double effective_parameters = 0.0;          ///< trace of the hat matrix, the intercept included
  double residual_sum_of_squares = 0.0;
};

struct ridge_path_options {
  bool intercept = true;
  bool standardise = true;
};

/// All ridge fits of one problem: one decomposition, then every penalty costs p² and its leave-one-out errors one
/// matrix product with the rows. min ‖y − b₀ − X b‖² + alpha‖D b‖² as in `ridge_with`.
///
/// The decomposition is of the sums where their smallest pivot keeps half the digits (>= 1e-7), else of the streamed
/// QR of the rows. Leave-one-out by e_i / (1 − h_i) (Allen 1974; Golub, Heath and Wahba 1979 for the generalised
/// one); centring and scaling are those of all rows, as in scikit-learn's RidgeCV.
class ridge_path {
 public:
  ridge_path(const normal_equations& equations, const design& rows, ridge_path_options options = {});

  /// The fit for one penalty. alpha = 0: the minimum-norm solution.
  linear_solution solve(double alpha) const;
  /// y_i − ŷ_(−i), row by row, in the design's order.
  std::vector<double> leave_one_out_errors(const design& rows, double alpha) const;
  /// One pass over the rows for all penalties.
  std::vector<ridge_score> score(const design& rows, const std::vector<double>& alphas) const;
  double smallest_pivot() const { return pivot_; }

 private:
  // Calls each(k, i, residual, 1 − leverage, weight) for every alpha k and row i.
  using row_visitor = detail::function_ref<void(std::size_t, std::size_t, double, double, double)>;
  void visit(const design& rows, const std::vector<double>& alphas, row_visitor each) const;

  ridge_path_options options_;
  detail::reduced_problem problem_;
  double pivot_ = 0.0;
  double tolerance_ = 0.0;
  std::vector<std::size_t> active_;
  std::vector<double> scale_;  // q: deviations or 1
  std::size_t rank_ = 0;
  std::vector<double> sigma_;  // rank
  std::vector<double> v_;      // q × rank, column-major
  std::vector<double> along_;  // rank: uᵀ rhs
};

/// The penalty with the least leave-one-out error; the first of equals.
inline ridge_score best_by_leave_one_out(const std::vector<ridge_score>& scores) {
  if (scores.empty()) throw solver_error("rafter: ridge path: no penalties to choose from");
  ridge_score best = scores.front();
  for (const ridge_score& each : scores) {
    if (each.mean_squared_leave_one_out < best.mean_squared_leave_one_out) best = each;
  }
  return best;
}
/// The penalty with the least generalised cross-validation error; the first of equals.
inline ridge_score best_by_generalised_cross_validation(const std::vector<ridge_score>& scores) {
  if (scores.empty()) throw solver_error("rafter: ridge path: no penalties to choose from");
  ridge_score best = scores.front();
  for (const ridge_score& each : scores) {
    if (each.generalised_cross_validation < best.generalised_cross_validation) best = each;
  }
  return best;
}

/// Ridge regression that chooses its own penalty from a grid (default 1e-3 … 1e3 by decades) by leave-one-out or
/// generalised cross-validation over the rows of the fit. Needs the rows.
struct ridge_by_cross_validation {
  enum class criterion { leave_one_out, generalised };
  std::vector<double> alphas = {1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3};
  criterion by = criterion::leave_one_out;
  bool standardise = true;
  bool intercept = true;

  static constexpr bool needs_rows = true;
  std::string name() const { return "ridge, alpha by cross-validation"; }
  /// What the fit chose, in words.
  std::string choice(const linear_solution& solution) const {
    return "alpha " + detail::number_text(solution.alpha) +
           (by == criterion::leave_one_out ? " by leave-one-out" : " by generalised cross-validation");
  }
  /// @throws solver_error without rows
  linear_solution solve(const normal_equations& equations, const design* second_pass) const {
    if (second_pass == nullptr) throw solver_error("rafter: ridge by cross-validation: needs the rows of the fit");
    const ridge_path path(equations, *second_pass, {.intercept = intercept, .standardise = standardise});
    const std::vector<ridge_score> scores = path.score(*second_pass, alphas);
    return path.solve((by == criterion::leave_one_out ? best_by_leave_one_out(scores)
                                                      : best_by_generalised_cross_validation(scores))
                          .alpha);
  }
};
static_assert(linear_solver<ridge_by_cross_validation>);

}  // namespace rafter

#if !defined(RAFTER_COMPILED_NUMERICS)
#include "rafter/solver/ridge_path.ipp"
#endif
