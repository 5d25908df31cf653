// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Definitions for rafter/solver/extended_least_squares.hpp; include that instead.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "rafter/solver/double_double.hpp"
#include "rafter/solver/extended_least_squares.hpp"
#include "rafter/solver/solve_least_squares.ipp"

namespace rafter::detail {

// Rows of [1, (x − centre)·unit, y] in double-double, one after the other: each(row, weight).
struct extended_rows {
  const design& rows;
  bool ones;
  const std::vector<std::size_t>& active;
  const std::vector<double>& centre;  // q; 0 when not centred
  const std::vector<double>& unit;    // q, powers of two

  using row_visitor = function_ref<void(const std::vector<double_double>&, double)>;
  void for_each(row_visitor each) const {
    const std::size_t first = ones ? 1 : 0;
    std::vector<double_double> row(active.size() + first + 1);
    rows.for_each_block([&](const design_block& block) {
      for (std::size_t i = 0; i < block.rows; ++i) {
        if (ones) row[0] = 1.0;
        for (std::size_t a = 0; a < active.size(); ++a) {
          const std::size_t at = active[a] * block.stride + i;
          double_double x = block.x[at];
          if (block.x_low != nullptr) x += block.x_low[at];
          row[first + a] = (x - double_double{centre[a]}) * double_double{unit[a]};
        }
        double_double y = block.y[i];
        if (block.y_low != nullptr) y += block.y_low[i];
        row.back() = y;
        each(row, block.weight != nullptr ? block.weight[i] : 1.0);
      }
    });
  }
};

// In-place Cholesky, row-major lower; returns the smallest pivot relative to its diagonal entry.
RAFTER_NUMERICS_FUNCTION double extended_cholesky(std::vector<double_double>& a, std::size_t n) {
  double smallest = 1.0;
  for (std::size_t i = 0; i < n; ++i) {
    const double diagonal = a[i * n + i].high;
    for (std::size_t j = 0; j <= i; ++j) {
      double_double rest = a[i * n + j];
      for (std::size_t k = 0; k < j; ++k) rest -= a[i * n + k] * a[j * n + k];
      if (j < i) {
        a[i * n + j] = rest / a[j * n + j];
      } else {
        smallest = std::min(smallest, diagonal > 0.0 ? rest.high / diagonal : 0.0);
        if (!(rest.high > 0.0)) return 0.0;
        a[i * n + i] = sqrt(rest);
      }
    }
  }
  return smallest;
}

RAFTER_NUMERICS_FUNCTION void extended_solve(const std::vector<double_double>& l, std::size_t n,
                                             std::vector<double_double>& b) {
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < i; ++j) b[i] -= l[i * n + j] * b[j];
    b[i] = b[i] / l[i * n + i];
  }
  for (std::size_t i = n; i-- > 0;) {
    for (std::size_t j = i + 1; j < n; ++j) b[i] -= l[j * n + i] * b[j];
    b[i] = b[i] / l[i * n + i];
  }
}

}  // namespace rafter::detail

namespace rafter {

RAFTER_NUMERICS_FUNCTION linear_solution least_squares_extended::solve(const normal_equations& equations,
                                                                       const design* second_pass) const {
  if (second_pass == nullptr)
    throw solver_error("rafter: least squares, extended precision: needs the rows of the fit");
  std::vector<double> s, c;
  const detail::reduced_problem problem = detail::describe(equations, intercept, false, s, c);
  if (!problem.finite) return detail::no_solution(problem, fit_status::non_finite);
  if (problem.rows == 0) return detail::no_solution(problem, fit_status::too_few_rows);
  const std::vector<std::size_t> active = detail::active_columns(problem);
  const std::size_t p = problem.columns;
  const std::size_t q = active.size();
  const std::size_t first = intercept ? 1 : 0;
  const std::size_t n = q + first;
  std::vector<double> centre(q, 0.0), unit(q);
  for (std::size_t a = 0; a < q; ++a) {
    if (intercept) centre[a] = problem.mean[active[a]];
    unit[a] = std::exp2(-std::round(std::log2(s[active[a] * p + active[a]] / problem.weight) / 2.0));
  }
  const detail::extended_rows rows{*second_pass, intercept, active, centre, unit};

  std::vector<double_double> gram(n * n), b(n);
  rows.for_each([&](const std::vector<double_double>& row, double weight) {
    for (std::size_t i = 0; i < n; ++i) {
      const double_double scaled = row[i] * double_double{weight};
      for (std::size_t j = 0; j <= i; ++j) gram[i * n + j] += scaled * row[j];
      b[i] += scaled * row[n];
    }
  });
  const double pivot = detail::extended_cholesky(gram, n);
  const bool dependent = problem.doubtful || !(pivot > 1e-26 * static_cast<double>(n)) || problem.rows < n;
  if (dependent) {
    return solve_least_squares(
        equations, second_pass,
        {.intercept = intercept, .standardise = intercept, .method = least_squares_method::qr});
  }
  detail::extended_solve(gram, n, b);

  linear_solution solution = detail::begin_solution(problem);
  solution.path = solution_path::extended;
  solution.rank = q;
  solution.smallest_pivot = pivot;
  double_double squares;
  double before = std::numeric_limits<double>::infinity();
  for (int pass = 0; pass < 10; ++pass) {
    std::vector<double_double> gradient(n);
    squares = 0.0;
    rows.for_each([&](const std::vector<double_double>& row, double weight) {
      double_double residual = row[n];
      for (std::size_t i = 0; i < n; ++i) residual -= b[i] * row[i];
      const double_double weighted = residual * double_double{weight};
      squares += weighted * residual;
      for (std::size_t i = 0; i < n; ++i) gradient[i] += weighted * row[i];
    });
    detail::extended_solve(gram, n, gradient);
    double change = 0.0;
    for (std::size_t i = 0; i < n; ++i) {
      if (b[i].high != 0.0) change = std::max(change, std::abs(gradient[i].high / b[i].high));
    }
    if (!(change < 0.5 * before)) break;  // at the limit of the arithmetic, where every pass repeats the same noise
    before = change;
    for (std::size_t i = 0; i < n; ++i) b[i] += gradient[i];
    if (change < 1e-28) break;
  }
  if (!(before < 1e-13)) solution.status = fit_status::not_converged;

  // b₀ at x = 0 and its variance: a linear form t of the coefficients at the centre.
  std::vector<double_double> form(n);
  if (intercept) form[0] = 1.0;
  for (std::size_t a = 0; a < q; ++a) {
    solution.coefficients[active[a]] = static_cast<double>(b[first + a] * double_double{unit[a]});
    if (intercept) form[first + a] = double_double::product(-centre[a], unit[a]);
  }
  double_double at_zero;
  for (std::size_t i = 0; i < n; ++i) at_zero += form[i] * b[i];
  solution.intercept = static_cast<double>(at_zero);
  solution.residual_sum_of_squares = std::max(0.0, static_cast<double>(squares));
  solution.effective_parameters = static_cast<double>(n);
  solution.degrees_of_freedom = std::max(0.0, static_cast<double>(problem.rows) - solution.effective_parameters);
  if (!intercept) solution.intercept_standard_error = 0.0;
  if (!(solution.degrees_of_freedom > 0.0)) {
    solution.status = fit_status::too_few_rows;
    return solution;
  }
  const double_double sigma2 = squares / double_double{solution.degrees_of_freedom};
  const auto deviation_of = [&](const std::vector<double_double>& t) {
    std::vector<double_double> solved = t;
    detail::extended_solve(gram, n, solved);
    double_double variance;
    for (std::size_t i = 0; i < n; ++i) variance += t[i] * solved[i];
    return static_cast<double>(sqrt(sigma2 * variance));
  };
  for (std::size_t a = 0; a < q; ++a) {
    std::vector<double_double> t(n);
    t[first + a] = unit[a];
    solution.standard_errors[active[a]] = deviation_of(t);
  }
  if (intercept && problem.constant_columns.empty()) solution.intercept_standard_error = deviation_of(form);
  return solution;
}

}  // namespace rafter
