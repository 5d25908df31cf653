// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "rafter/solver/dense.hpp"
#include "rafter/solver/minimizer.hpp"

namespace rafter {

/// Where the trust-region step comes from. `automatic` takes the orthogonal factor of the rows of a small
/// problem (least_squares_options::small_problem), and else the sums JᵀJ while the smallest pivot of their
/// unit-diagonal form is >= 1e-10 (the iteration itself refines the step), the rows below that.
enum class jacobian_path { automatic, gram, rows };

/// Bounded nonlinear least squares by the trust-region reflective method: Branch, Coleman and Li 1999, "A subspace,
/// interior, and conjugate gradient method for large-scale bound-constrained minimization problems", with exact
/// solutions of the subproblem.
///
/// Every iterate is strictly inside the bounds; the end is moved onto those that hold it. Each point costs one fused
/// evaluation of cost, gradient and JᵀJ; J is never stored. Parameters without effect stay at their start. Once the
/// cost can no longer tell two points apart, steps go on while the decrease that they promise falls: with all
/// tolerances 0 the gradient is zero to rounding at the end.
struct trust_region {
  robust_loss loss = {};
  /// Converged when a full Gauss-Newton step promises, and the last step brought, less than this times the cost. Where
  /// the cost has kinks and does not follow the model, two steps in a row that promise less than 100 times this end it.
  double cost_tolerance = 1e-10;
  /// Converged when the (scaled) step is shorter than this times the (scaled) parameters.
  double step_tolerance = 1e-10;
  /// Converged when each column of J is this orthogonal to the residuals (the cosine, free of units), or its
  /// parameter this near to the bound that its gradient points at.
  double gradient_tolerance = 1e-10;
  /// 0: 100 per parameter. One more may follow, to put parameters onto their bounds.
  std::size_t max_evaluations = 0;
  /// Typical sizes of the parameters, n values > 0; empty: from the lengths of the Jacobian's columns, as largest so
  /// far (Moré 1978).
  std::vector<double> parameter_scale = {};
  jacobian_path path = jacobian_path::automatic;

  std::string name() const;
  /// @param start  n, within the bounds (a start on a bound is moved inside by 1e-10, relative)
  /// @throws solver_error for arguments that make no sense, an infeasible start among them; non-convergence is
  ///         nonlinear_solution::status
  nonlinear_solution minimize(const residual_model& model, const std::vector<double>& start,
                              const parameter_bounds& bounds = {}) const;
};
static_assert(minimizer<trust_region>);

}  // namespace rafter

#if !defined(RAFTER_COMPILED_NUMERICS)
#include "rafter/solver/trust_region.ipp"
#endif
