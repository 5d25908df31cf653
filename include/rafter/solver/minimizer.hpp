// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "rafter/solver/residual_model.hpp"

namespace rafter {

/// How a minimisation ended. Never an exception.
enum class minimum_status {
  gradient_small,    ///< converged: the (bound-scaled) gradient is orthogonal to the residuals
  cost_settled,      ///< converged: neither the last step nor a full one lowers the cost by more than the tolerance
  step_small,        ///< converged: the step is below the tolerance (also: at a kink, where no step helps)
  evaluation_limit,  ///< stopped at the limit of evaluations
  non_finite_start,  ///< cost or derivatives are not finite at the start
  ill_conditioned,   ///< stopped where the sums JᵀJ alone, which the caller asked for, cannot tell directions apart
};

constexpr bool is_converged(minimum_status status) {
  return status == minimum_status::gradient_small || status == minimum_status::cost_settled ||
         status == minimum_status::step_small;
}

constexpr std::string_view text_of(minimum_status status) {
  switch (status) {
    case minimum_status::gradient_small:
      return "converged: gradient";
    case minimum_status::cost_settled:
      return "converged: cost";
    case minimum_status::step_small:
      return "converged: step";
    case minimum_status::evaluation_limit:
      return "evaluation limit";
    case minimum_status::non_finite_start:
      return "non-finite start";
    case minimum_status::ill_conditioned:
      return "ill conditioned";
  }
  return "unknown";
}

/// lower <= x <= upper; an empty vector means none, equal bounds hold a parameter fixed.
struct parameter_bounds {
  std::vector<double> lower;
  std::vector<double> upper;

  double low(std::size_t j) const { return lower.empty() ? -std::numeric_limits<double>::infinity() : lower[j]; }
  double high(std::size_t j) const { return upper.empty() ? std::numeric_limits<double>::infinity() : upper[j]; }

  /// @throws solver_error naming the parameter when sizes, bounds or start make no sense
  void check(const std::vector<double>& start) const {
    const auto fail = [](const std::string& what) { throw solver_error("rafter: minimizer: " + what); };
    const auto name = [](std::size_t j) { return "parameter " + std::to_string(j); };
    if ((!lower.empty() && lower.size() != start.size()) || (!upper.empty() && upper.size() != start.size())) {
      fail(std::to_string(start.size()) + " parameters with " + std::to_string(lower.size()) + " lower and " +
           std::to_string(upper.size()) + " upper bounds");
    }
    for (std::size_t j = 0; j < start.size(); ++j) {
      if (!(low(j) <= high(j)) || low(j) == std::numeric_limits<double>::infinity() ||
          high(j) == -std::numeric_limits<double>::infinity()) {
        fail(name(j) + " has bounds [" + std::to_string(low(j)) + ", " + std::to_string(high(j)) + "]");
      }
      if (!std::isfinite(start[j])) fail(name(j) + " starts at " + std::to_string(start[j]));
      if (!(start[j] >= low(j) && start[j] <= high(j))) {
        fail(name(j) + " starts at " + std::to_string(start[j]) + ", outside its bounds [" + std::to_string(low(j)) +
             ", " + std::to_string(high(j)) + "]");
      }
    }
  }
};

/// The end of a bounded minimisation over n parameters. What a derivative-free method does not know is empty.
struct nonlinear_solution {
  std::vector<double> parameters;  ///< n
  double cost = std::numeric_limits<double>::infinity();
  std::vector<double> gradient;  ///< n, of the cost
  std::vector<int> active_mask;  ///< n; −1 at the lower bound, +1 at the upper one, 0 free
  /// Infinity norm of the gradient, each entry times the distance to the bound it points at, where there is one
  /// (Coleman and Li 1996; scipy's `optimality`).
  double optimality = std::numeric_limits<double>::infinity();
  std::size_t evaluations = 0;  ///< of the cost, with or without derivatives
  std::size_t row_passes = 0;   ///< passes over the rows for an orthogonal factor, beside the evaluations
  std::size_t iterations = 0;   ///< accepted steps
  minimum_status status = minimum_status::non_finite_start;

  /// n × n, row-major: s²(JᵀJ)⁻¹ over the free parameters, s² = 2 cost / degrees of freedom, J the loss-scaled
  /// Jacobian at the solution. 0 for parameters at a bound; infinite on the diagonal, and 0 beside it, for parameters
  /// that the data do not determine. Never NaN.
  std::vector<double> covariance;
  std::vector<double> standard_errors;  ///< n, the roots of its diagonal
  /// Of the Jacobian of the free parameters, columns scaled to length 1, descending; 0 for each dead parameter.
  std::vector<double> singular_values;
  /// n × singular_values.size(), column-major: column k is the direction of singular value k in scaled parameters
  /// (x_j times the length of column j). Those of negligible values show which combinations nothing determines.
  std::vector<double> singular_directions;
  std::vector<double> column_norms;          ///< n, of the loss-scaled Jacobian at the solution
  std::vector<std::size_t> dead_parameters;  ///< ascending; no effect on any row at the solution: left at their value
  std::size_t rank = 0;                      ///< of that Jacobian
  double degrees_of_freedom = 0.0;           ///< rows − rank, at least 0

  /// n × n, row-major: JᵀJ of the loss-scaled Jacobian over all parameters, those at bounds included, at the start and
  /// at the solution; empty when a method has no derivatives.
  std::vector<double> start_gram;
  std::vector<double> gram;
  /// (n+1)², column-major: the R of [J, r] at the solution where the rows themselves were visited; else empty.
  std::vector<double> factor;

  std::vector<double> start_costs;  ///< multi_start and cma_es only: the cost that each start led to

  bool converged() const { return is_converged(status); }
};

/// A way to minimise the cost of a residual model within bounds: a tiny value.
///
/// Axioms: the result is within the bounds and its cost is not above the start's; the same arguments give the same
/// bits; only arguments that make no sense throw (solver_error).
/// Shortest model: struct { std::string name() const; nonlinear_solution minimize(const residual_model&,
/// const std::vector<double>& start, const parameter_bounds&) const; }
template <class M>
concept minimizer = std::copyable<M> && requires(const M& method, const residual_model& model,
                                                 const std::vector<double>& start, const parameter_bounds& bounds) {
  { method.name() } -> std::convertible_to<std::string>;
  { method.minimize(model, start, bounds) } -> std::same_as<nonlinear_solution>;
};

namespace detail {
/// @throws solver_error unless model, start and bounds agree
inline void check_problem(const residual_model& model, const std::vector<double>& start,
                          const parameter_bounds& bounds, const robust_loss& loss) {
  if (start.size() != model.parameters()) {
    throw solver_error("rafter: minimizer: a model of " + std::to_string(model.parameters()) + " parameters with " +
                       std::to_string(start.size()) + " start values");
  }
  if (!(loss.scale > 0.0) || !std::isfinite(loss.scale)) {
    throw solver_error("rafter: minimizer: loss scale " + std::to_string(loss.scale) + ", must be positive");
  }
  bounds.check(start);
}
}  // namespace detail

}  // namespace rafter
