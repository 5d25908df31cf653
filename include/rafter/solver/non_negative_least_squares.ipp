// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Definitions for rafter/solver/non_negative_least_squares.hpp; include that instead.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "rafter/solver/non_negative_least_squares.hpp"
#include "rafter/solver/solve_least_squares.ipp"

namespace rafter::detail {

// Least squares over some columns of a (m × q, column-major, unit columns); empty when they are dependent.
RAFTER_COLD_FUNCTION std::vector<double> solve_subset(const std::vector<double>& a, std::size_t m,
                                                      const std::vector<double>& rhs,
                                                      const std::vector<std::size_t>& columns, double tolerance) {
  const std::size_t q = columns.size();
  if (q > m) return {};
  std::vector<double> x(m * q), tau(q), b = rhs, solution(q);
  std::vector<std::size_t> order(q);
  for (std::size_t k = 0; k < q; ++k) std::copy_n(a.data() + columns[k] * m, m, x.data() + k * m);
  if (dense::pivoted_qr(x.data(), m, q, tau.data(), order.data(), tolerance) < q) return {};
  dense::apply_q(x.data(), m, q, tau.data(), b.data(), true);
  for (std::size_t i = q; i-- > 0;) {
    for (std::size_t j = i + 1; j < q; ++j) b[i] -= x[j * m + i] * b[j];
    b[i] /= x[i * m + i];
  }
  for (std::size_t k = 0; k < q; ++k) solution[order[k]] = b[k];
  return solution;
}

// Lawson-Hanson over unit columns: which of them are positive. @returns false at the iteration limit.
RAFTER_COLD_FUNCTION bool find_passive(const std::vector<double>& a, std::size_t m, std::size_t q,
                                       const std::vector<double>& rhs, double tolerance,
                                       std::vector<std::size_t>& passive) {
  passive.clear();
  std::vector<double> x(q, 0.0), gradient(q), residual(m);
  std::vector<bool> refused(q, false);
  const double negligible = 8.0 * unit_roundoff * static_cast<double>(q + 1) * dense::detail::norm(rhs.data(), m);
  for (std::size_t step = 0; step < 30 * (q + 1); ++step) {
    residual = rhs;
    for (std::size_t j = 0; j < q; ++j) {
      for (std::size_t i = 0; i < m && x[j] != 0.0; ++i) residual[i] -= a[j * m + i] * x[j];
    }
    std::size_t enter = q;
    for (std::size_t j = 0; j < q; ++j) {
      gradient[j] = dense::detail::dot(a.data() + j * m, residual.data(), m);
      const bool is_passive = std::find(passive.begin(), passive.end(), j) != passive.end();
      if (is_passive || refused[j] || !(gradient[j] > negligible)) continue;
      if (enter == q || gradient[j] > gradient[enter]) enter = j;
    }
    if (enter == q) return true;
    passive.push_back(enter);
    std::vector<double> target = solve_subset(a, m, rhs, passive, tolerance);
    // Dependent on the others, or driven by rounding only: not this column, until another one has changed things.
    if (target.empty() || !(target.back() > 0.0)) {
      passive.pop_back();
      refused[enter] = true;
      continue;
    }
    std::fill(refused.begin(), refused.end(), false);
    while (std::any_of(target.begin(), target.end(), [](double v) { return !(v > 0.0); })) {
      double step_length = 1.0;
      std::size_t leaves = 0;
      for (std::size_t k = 0; k < passive.size(); ++k) {
        if (target[k] > 0.0) continue;
        const double ratio = x[passive[k]] / (x[passive[k]] - target[k]);
        if (ratio <= step_length) step_length = ratio, leaves = k;
      }
      for (std::size_t k = 0; k < passive.size(); ++k) {
        x[passive[k]] += step_length * (target[k] - x[passive[k]]);
      }
      x[passive[leaves]] = 0.0;
      for (const std::size_t j : passive) x[j] = std::max(0.0, x[j]);
      passive.erase(std::remove_if(passive.begin(), passive.end(), [&](std::size_t j) { return x[j] == 0.0; }),
                    passive.end());
      target = solve_subset(a, m, rhs, passive, tolerance);
    }
    for (std::size_t k = 0; k < passive.size(); ++k) x[passive[k]] = target[k];
  }
  return false;
}

}  // namespace rafter::detail

namespace rafter {

RAFTER_COLD_FUNCTION linear_solution non_negative_least_squares::solve(const normal_equations& equations,
                                                                       const design* second_pass) const {
  detail::reduced_problem problem = second_pass != nullptr
                                        ? detail::reduce_rows(*second_pass, equations, intercept, false)
                                        : detail::reduce_gram(equations, intercept, false);
  if (!problem.finite) return detail::no_solution(problem, fit_status::non_finite);
  if (problem.rows == 0) return detail::no_solution(problem, fit_status::too_few_rows);
  const double tolerance = second_pass != nullptr
                               ? detail::rank_tolerance(problem)
                               : std::sqrt(detail::unit_roundoff * static_cast<double>(problem.columns));
  const std::vector<std::size_t> active = detail::active_columns(problem);
  const std::size_t m = problem.height;
  std::vector<double> unit(active.size() * m);
  for (std::size_t a = 0; a < active.size(); ++a) {
    const double* column = problem.t.data() + active[a] * m;
    const double length = dense::detail::norm(column, m);
    for (std::size_t i = 0; i < m; ++i) unit[a * m + i] = column[i] / length;
  }
  std::vector<std::size_t> passive;
  const bool done = detail::find_passive(unit, m, active.size(), problem.rhs, tolerance, passive);

  // The fit over the passive columns only; the others are out of the model.
  detail::reduced_problem of_passive = problem;
  std::fill(of_passive.constant.begin(), of_passive.constant.end(), true);
  for (const std::size_t a : passive) of_passive.constant[active[a]] = false;
  linear_solution solution =
      detail::solve_by_qr(of_passive, {.intercept = intercept, .standardise = false}, tolerance);
  solution.path = solution_path::active_set;
  for (std::size_t a = 0; a < active.size(); ++a) {
    const std::size_t j = active[a];
    // A passive coefficient is positive; another sequence of roundings may leave -1e-17 of it.
    solution.coefficients[j] = std::max(0.0, solution.coefficients[j]);
    if (of_passive.constant[j]) {
      solution.at_bound.push_back(j);
      solution.standard_errors[j] = 0.0;
    }
  }
  solution.smallest_pivot = std::max(0.0, detail::smallest_pivot(equations, intercept, false));
  if (!done) solution.status = fit_status::not_converged;
  if (intercept && non_negative_intercept && solution.intercept < 0.0) {
    return non_negative_least_squares{.intercept = false}.solve(equations, second_pass);
  }
  return solution;
}

}  // namespace rafter
