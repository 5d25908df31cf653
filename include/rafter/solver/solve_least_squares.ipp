// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Definitions for rafter/solver/solve_least_squares.hpp; include that instead.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <vector>

#include "rafter/solver/double_double.hpp"
#include "rafter/solver/solve_least_squares.hpp"

namespace rafter::detail {

inline constexpr double unit_roundoff = std::numeric_limits<double>::epsilon();
inline constexpr double not_determined = std::numeric_limits<double>::infinity();

// Decides which columns vary, from the diagonal of the centred (or raw) sums.
RAFTER_NUMERICS_FUNCTION void find_constants(reduced_problem& problem, const std::vector<double>& squares,
                                             const std::vector<double>& centred_squares,
                                             const std::vector<double>& noise) {
  const std::size_t p = problem.columns;
  problem.constant.assign(p, false);
  problem.constant_columns.clear();
  problem.deviation.assign(p, 1.0);
  for (std::size_t j = 0; j < p; ++j) {
    // Values that differ by a few units in the last place only are one value, rounded.
    const double ulps = 4.0 * unit_roundoff * std::abs(problem.mean[j]);
    const bool varies = centred_squares[j] > problem.weight * ulps * ulps;
    const bool lost = varies && centred_squares[j] <= noise[j];
    problem.constant[j] = problem.centred ? (!varies || lost) : !(squares[j] > noise[j]);
    problem.doubtful = problem.doubtful || (problem.centred && lost);
    if (varies && !lost) problem.deviation[j] = std::sqrt(centred_squares[j] / problem.weight);
    if (problem.constant[j]) problem.constant_columns.push_back(j);
  }
}

RAFTER_NUMERICS_FUNCTION reduced_problem describe(const normal_equations& equations, bool intercept, bool standardise,
                                                  std::vector<double>& s, std::vector<double>& c) {
  const std::size_t p = equations.columns;
  const double weight = equations.sum_of_weights();
  reduced_problem problem;
  problem.columns = p;
  problem.rows = equations.rows;
  problem.weight = weight;
  problem.centred = intercept || standardise;
  problem.mean.assign(p, 0.0);
  problem.constant.assign(p, true);
  problem.deviation.assign(p, 1.0);
  s.assign(p * p, 0.0);
  c.assign(p, 0.0);
  problem.finite =
      std::all_of(equations.gram.begin(), equations.gram.end(), [](double v) { return std::isfinite(v); });
  if (!problem.finite || !(weight > 0.0)) return problem;

  // Offsets of the means from the shift; entry p is the target's.
  std::vector<double> offset(p + 1);
  for (std::size_t j = 0; j <= p; ++j) offset[j] = equations(0, j + 1) / weight;
  for (std::size_t j = 0; j < p; ++j) problem.mean[j] = equations.shift[j] + offset[j];
  problem.target_mean = equations.shift[p] + offset[p];

  const auto centred = [&](std::size_t i, std::size_t j) {
    return equations(i + 1, j + 1) - weight * offset[i] * offset[j];
  };
  // About zero: (x + a)(y + b) summed over rows shifted by a and b.
  const auto raw = [&](std::size_t i, std::size_t j) {
    const double a = equations.shift[i];
    const double b = equations.shift[j];
    return equations(i + 1, j + 1) + a * equations(0, j + 1) + b * equations(0, i + 1) + a * b * weight;
  };
  std::vector<double> squares(p), centred_squares(p), noise(p);
  for (std::size_t j = 0; j < p; ++j) {
    for (std::size_t i = 0; i < p; ++i) s[i * p + j] = problem.centred ? centred(i, j) : raw(i, j);
    c[j] = problem.centred ? centred(j, p) : raw(j, p);
    centred_squares[j] = std::max(0.0, centred(j, j));
    squares[j] = s[j * p + j];
    noise[j] = 256.0 * unit_roundoff * equations.largest[j + 1];
    if (!problem.centred) {
      const double shift = equations.shift[j];
      noise[j] = shift == 0.0 ? 0.0 : noise[j] + 256.0 * unit_roundoff * weight * shift * shift;
    }
  }
  problem.target_squares = std::max(0.0, problem.centred ? centred(p, p) : raw(p, p));
  if (problem.centred && !intercept) problem.target_squares += weight * problem.target_mean * problem.target_mean;
  find_constants(problem, squares, centred_squares, noise);
  for (std::size_t j = 0; j < p; ++j) {
    if (!problem.constant[j]) problem.loss = std::max(problem.loss, noise[j] / (256.0 * unit_roundoff * squares[j]));
  }
  return problem;
}

RAFTER_NUMERICS_FUNCTION double minus_dot(double value, const std::vector<double>& a, const std::vector<double>& b) {
  double_double sum = value;
  for (std::size_t j = 0; j < a.size(); ++j) sum -= double_double::product(a[j], b[j]);
  return static_cast<double>(sum);
}

// The non-constant columns.
RAFTER_NUMERICS_FUNCTION std::vector<std::size_t> active_columns(const reduced_problem& problem) {
  std::vector<std::size_t> active;
  for (std::size_t j = 0; j < problem.columns; ++j) {
    if (!problem.constant[j]) active.push_back(j);
  }
  return active;
}

RAFTER_COLD_FUNCTION reduced_problem reduce_gram(const normal_equations& equations, bool intercept,
                                                 bool standardise) {
  std::vector<double> s, c;
  reduced_problem problem = describe(equations, intercept, standardise, s, c);
  const std::size_t p = problem.columns;
  const std::vector<std::size_t> active = active_columns(problem);
  const std::size_t q = active.size();
  std::vector<double> unit(q), matrix(q * q), values(q), vectors(q * q);
  for (std::size_t a = 0; a < q; ++a) unit[a] = 1.0 / std::sqrt(s[active[a] * p + active[a]]);
  for (std::size_t a = 0; a < q; ++a) {
    for (std::size_t b = 0; b < q; ++b) matrix[a * q + b] = s[active[a] * p + active[b]] * unit[a] * unit[b];
  }
  dense::jacobi_eigen(matrix.data(), q, values.data(), vectors.data());
  std::size_t m = 0;
  const double noise = 64.0 * unit_roundoff * static_cast<double>(q);
  while (m < q && values[m] > noise) ++m;
  problem.height = m;
  problem.t.assign(m * p, 0.0);
  problem.rhs.assign(m, 0.0);
  problem.rest = problem.target_squares;
  for (std::size_t k = 0; k < m; ++k) {
    const double root = std::sqrt(values[k]);
    for (std::size_t a = 0; a < q; ++a) {
      problem.t[active[a] * m + k] = root * vectors[k * q + a] / unit[a];
      problem.rhs[k] += vectors[k * q + a] * c[active[a]] * unit[a] / root;
    }
    problem.rest -= problem.rhs[k] * problem.rhs[k];
  }
  problem.rest = std::max(0.0, problem.rest);
  return problem;
}

RAFTER_COLD_FUNCTION reduced_problem reduce_rows(const design& rows, const normal_equations& equations,
                                                 bool intercept, bool standardise) {
  std::vector<double> s, c;
  reduced_problem problem = describe(equations, intercept, standardise, s, c);
  const std::size_t p = rows.columns();
  if (p != equations.columns) {
    throw solver_error("rafter: least squares: sums of " + std::to_string(equations.columns) +
                       " columns with a design of " + std::to_string(p));
  }
  if (!problem.finite) return problem;
  // Columns [1, x − centre, y − centre]; without centring about zero. A centre is near the mean, so the column of
  // ones is nearly orthogonal to the others, and eliminating it leaves them exactly centred.
  const std::size_t n = p + 2;
  std::vector<double> centre(p + 1, 0.0);
  if (problem.centred) {
    std::copy(problem.mean.begin(), problem.mean.end(), centre.begin());
    centre[p] = problem.target_mean;
    for (const std::size_t j : problem.constant_columns) centre[j] = equations.shift[j];
  }
  std::vector<double> r(n * n, 0.0);
  constexpr std::size_t most = 128;
  std::vector<double> buffer(n * most);
  // A column of equal values is constant whatever the centre that rounding gave it.
  std::vector<double> first(p, 0.0);
  std::vector<bool> varies(p, false);
  bool begun = false;
  rows.for_each_block([&](const design_block& block) {
    for (std::size_t j = 0; j < p && block.rows > 0; ++j) {
      const double* from = block.x + j * block.stride;
      if (!begun) first[j] = from[0];
      if (!varies[j]) varies[j] = std::any_of(from, from + block.rows, [&](double v) { return v != first[j]; });
      if (!varies[j] && block.x_low != nullptr) {
        const double* low = block.x_low + j * block.stride;
        varies[j] = std::any_of(low, low + block.rows, [](double v) { return v != 0.0; });
      }
    }
    begun = begun || block.rows > 0;
    for (std::size_t at = 0; at < block.rows; at += most) {
      const std::size_t count = std::min(most, block.rows - at);
      for (std::size_t j = 0; j < n; ++j) {
        double* column = buffer.data() + j * most;
        if (j == 0) {
          std::fill_n(column, count, 1.0);
        } else {
          const double* from = (j <= p ? block.x + (j - 1) * block.stride : block.y) + at;
          for (std::size_t i = 0; i < count; ++i) column[i] = from[i] - centre[j - 1];
        }
        if (block.weight != nullptr) {
          for (std::size_t i = 0; i < count; ++i) column[i] *= std::sqrt(block.weight[at + i]);
        }
      }
      dense::fold_rows(r.data(), n, buffer.data(), count, most);
    }
  });
  problem.finite = std::all_of(r.begin(), r.end(), [](double v) { return std::isfinite(v); });
  if (!problem.finite || r[0] == 0.0) return problem;

  const std::size_t skip = problem.centred ? 1 : 0;
  const std::size_t m = p + 1 - skip;
  problem.height = m;
  problem.t.assign(m * p, 0.0);
  problem.rhs.assign(m, 0.0);
  std::vector<double> squares(p, 0.0), centred_squares(p, 0.0), noise(p, 0.0);
  problem.target_mean = centre[p] + r[(p + 1) * n] / r[0];
  for (std::size_t j = 0; j < p; ++j) {
    const double* column = r.data() + (j + 1) * n;
    problem.mean[j] = centre[j] + column[0] / r[0];
    for (std::size_t k = skip; k < m + skip; ++k) problem.t[j * m + k - skip] = column[k];
    for (std::size_t k = 1; k <= j + 1 && varies[j]; ++k) centred_squares[j] += column[k] * column[k];
    squares[j] = centred_squares[j] + column[0] * column[0];
  }
  const double* target = r.data() + (p + 1) * n;
  for (std::size_t k = skip; k < m + skip; ++k) problem.rhs[k - skip] = target[k];
  problem.rest = target[p + 1] * target[p + 1];
  if (problem.centred && !intercept) problem.rest += problem.weight * problem.target_mean * problem.target_mean;
  problem.target_squares =
      std::inner_product(problem.rhs.begin(), problem.rhs.end(), problem.rhs.begin(), problem.rest);
  problem.doubtful = false;
  find_constants(problem, squares, centred_squares, noise);
  for (const std::size_t j : problem.constant_columns)
    std::fill_n(problem.t.begin() + static_cast<std::ptrdiff_t>(j * m), m, 0.0);
  return problem;
}

// Cholesky of the unit-diagonal, penalised matrix of the active columns.
struct scaled_factor {
  std::vector<double> factor;  // q × q
  std::vector<double> unit;    // q: 1 / root of the diagonal of H
  double pivot = 1.0;
};
RAFTER_NUMERICS_FUNCTION scaled_factor factorise(const std::vector<double>& h, std::size_t q) {
  scaled_factor made{h, std::vector<double>(q), 1.0};
  for (std::size_t a = 0; a < q; ++a) made.unit[a] = 1.0 / std::sqrt(h[a * q + a]);
  for (std::size_t a = 0; a < q; ++a) {
    for (std::size_t b = 0; b < q; ++b) made.factor[a * q + b] *= made.unit[a] * made.unit[b];
  }
  if (q > 0) made.pivot = dense::cholesky(made.factor.data(), q);
  return made;
}
RAFTER_NUMERICS_FUNCTION void solve_scaled(const scaled_factor& f, std::vector<double>& b) {
  const std::size_t q = f.unit.size();
  for (std::size_t a = 0; a < q; ++a) b[a] *= f.unit[a];
  dense::cholesky_solve(f.factor.data(), q, b.data());
  for (std::size_t a = 0; a < q; ++a) b[a] *= f.unit[a];
}

RAFTER_COLD_FUNCTION double smallest_pivot(const normal_equations& equations, bool intercept, bool standardise) {
  std::vector<double> s, c;
  const reduced_problem problem = describe(equations, intercept, standardise, s, c);
  if (!problem.finite || problem.doubtful) return 0.0;
  const std::vector<std::size_t> active = active_columns(problem);
  const std::size_t q = active.size();
  std::vector<double> h(q * q);
  for (std::size_t a = 0; a < q; ++a) {
    for (std::size_t b = 0; b < q; ++b) h[a * q + b] = s[active[a] * problem.columns + active[b]];
  }
  return factorise(h, q).pivot;
}

RAFTER_NUMERICS_FUNCTION linear_solution begin_solution(const reduced_problem& problem) {
  linear_solution solution;
  solution.coefficients.assign(problem.columns, 0.0);
  solution.standard_errors.assign(problem.columns, not_determined);
  solution.mean = problem.mean;
  solution.deviation = problem.deviation;
  solution.target_mean = problem.target_mean;
  solution.constant_columns = problem.constant_columns;
  solution.rows = problem.rows;
  return solution;
}

// Fills intercept, degrees of freedom and standard errors.
// covariance: of the raw coefficients without sigma², q × q over `active`; empty: not asked for. `determined` q.
RAFTER_NUMERICS_FUNCTION void finish_solution(linear_solution& solution, const reduced_problem& problem,
                                              const least_squares_options& options,
                                              const std::vector<std::size_t>& active,
                                              const std::vector<double>& covariance,
                                              const std::vector<bool>& determined, double parameters,
                                              double at_centre) {
  const std::size_t q = active.size();
  solution.alpha = options.alpha;
  solution.effective_parameters = parameters + (options.intercept ? 1.0 : 0.0);
  solution.degrees_of_freedom = std::max(0.0, static_cast<double>(problem.rows) - solution.effective_parameters);
  solution.intercept = problem.centred ? minus_dot(at_centre, solution.coefficients, problem.mean) : 0.0;
  const bool saturated = options.alpha == 0.0 && problem.rows <= q + (options.intercept ? 1U : 0U);
  if (saturated && solution.status != fit_status::non_finite) solution.status = fit_status::too_few_rows;
  if (!problem.centred) solution.intercept_standard_error = 0.0;
  if (covariance.empty() && q > 0) return;
  // A few units of rounding in the trace are not degrees of freedom.
  if (!(solution.degrees_of_freedom > 1e-9 * static_cast<double>(problem.rows))) return;
  const double sigma2 = solution.residual_sum_of_squares / solution.degrees_of_freedom;
  std::vector<double> mean(q);
  for (std::size_t a = 0; a < q; ++a) mean[a] = problem.mean[active[a]];
  bool all = true;
  double of_mean = 0.0;
  for (std::size_t a = 0; a < q; ++a) {
    all = all && determined[a];
    if (determined[a]) solution.standard_errors[active[a]] = std::sqrt(sigma2 * std::max(0.0, covariance[a * q + a]));
    of_mean += mean[a] * dense::detail::dot(covariance.data() + a * q, mean.data(), q);
  }
  // A penalty settles a constant column's coefficient at exactly 0.
  for (const std::size_t j : problem.constant_columns) {
    if (options.alpha > 0.0)
      solution.standard_errors[j] = 0.0;
    else if (problem.centred && problem.mean[j] != 0.0)
      all = false;
  }
  if (problem.centred && all) {
    const double of_target = options.intercept ? 1.0 / problem.weight : 0.0;
    solution.intercept_standard_error = std::sqrt(sigma2 * std::max(0.0, of_target + of_mean));
  }
}

// H⁻¹ S H⁻¹ (for alpha = 0 just H⁻¹) and the trace of H⁻¹ S; in place in `inverse`.
RAFTER_NUMERICS_FUNCTION double sandwich(std::vector<double>& inverse, const std::vector<double>& s, std::size_t q,
                                         double alpha) {
  if (alpha == 0.0) return static_cast<double>(q);
  // S = H − alpha: H⁻¹ S H⁻¹ = H⁻¹ − alpha H⁻¹H⁻¹, one product instead of two, and a symmetric one.
  std::vector<double> whole(q * q, 0.0);
  double trace = static_cast<double>(q);
  bool cancelled = false;
  for (std::size_t i = 0; i < q; ++i) {
    double* row = whole.data() + i * q;
    dense::detail::add_rows(row, inverse.data() + i * q, 1, inverse.data(), q, 0, q, i + 1);
    for (std::size_t j = 0; j <= i; ++j) row[j] = inverse[i * q + j] - alpha * row[j];
    for (std::size_t j = 0; j < i; ++j) whole[j * q + i] = row[j];
    trace -= alpha * inverse[i * q + i];
    cancelled = cancelled || !(row[i] > 1e-6 * inverse[i * q + i]);
  }
  if (cancelled) {  // a penalty that leaves next to nothing of a column: the two products as they stand
    std::vector<double> half(q * q, 0.0);
    std::fill(whole.begin(), whole.end(), 0.0);
    trace = 0.0;
    for (std::size_t i = 0; i < q; ++i) {
      dense::detail::add_rows(half.data() + i * q, inverse.data() + i * q, 1, s.data(), q, 0, q, q);
      trace += half[i * q + i];
      dense::detail::add_rows(whole.data() + i * q, half.data() + i * q, 1, inverse.data(), q, 0, q, q);
    }
  }
  inverse = std::move(whole);
  return trace;
}

// The reduced problem's columns in units of the penalty, active ones only, m × q column-major.
RAFTER_COLD_FUNCTION std::vector<double> in_penalty_units(const reduced_problem& problem,
                                                          const std::vector<std::size_t>& active,
                                                          const std::vector<double>& scale, std::size_t height) {
  std::vector<double> matrix(height * active.size(), 0.0);
  for (std::size_t a = 0; a < active.size(); ++a) {
    for (std::size_t i = 0; i < problem.height; ++i) {
      matrix[a * height + i] = problem.t[active[a] * problem.height + i] / scale[a];
    }
  }
  return matrix;
}

RAFTER_COLD_FUNCTION double rank_tolerance(const reduced_problem& problem) {
  return 4.0 * unit_roundoff * (static_cast<double>(problem.columns) + std::sqrt(static_cast<double>(problem.rows)));
}

RAFTER_COLD_FUNCTION double residual_squares(const reduced_problem& problem, const std::vector<double>& b) {
  std::vector<double> residual = problem.rhs;
  for (std::size_t j = 0; j < problem.columns; ++j) {
    for (std::size_t i = 0; i < problem.height; ++i) residual[i] -= problem.t[j * problem.height + i] * b[j];
  }
  return std::inner_product(residual.begin(), residual.end(), residual.begin(), problem.rest);
}

RAFTER_COLD_FUNCTION linear_solution solve_by_svd(const reduced_problem& problem,
                                                  const least_squares_options& options, double tolerance) {
  linear_solution solution = begin_solution(problem);
  solution.path = solution_path::svd;
  const std::vector<std::size_t> active = active_columns(problem);
  const std::size_t q = active.size();
  const std::size_t m = std::max(problem.height, q);
  std::vector<double> scale(q, 1.0);
  for (std::size_t a = 0; a < q && options.standardise; ++a) scale[a] = problem.deviation[active[a]];
  std::vector<double> u = in_penalty_units(problem, active, scale, m);
  std::vector<double> sigma(q), v(q * q), b(q, 0.0);
  if (!dense::jacobi_svd(u.data(), m, q, sigma.data(), v.data())) solution.status = fit_status::not_converged;
  std::size_t rank = 0;
  while (rank < q && sigma[rank] > tolerance * sigma[0]) ++rank;
  solution.rank = rank;
  double parameters = 0.0;
  std::vector<double> covariance(q * q, 0.0), known(q, 0.0);
  for (std::size_t k = 0; k < rank; ++k) {
    const double shrunk = sigma[k] * sigma[k] + options.alpha;
    double along = 0.0;
    for (std::size_t i = 0; i < problem.height; ++i) along += u[k * m + i] * problem.rhs[i];
    parameters += sigma[k] * sigma[k] / shrunk;
    for (std::size_t a = 0; a < q; ++a) {
      b[a] += v[k * q + a] * along / shrunk;
      known[a] += v[k * q + a] * v[k * q + a];
      for (std::size_t e = 0; e < q; ++e) {
        covariance[a * q + e] += v[k * q + a] * v[k * q + e] * (sigma[k] / shrunk) * (sigma[k] / shrunk);
      }
    }
  }
  std::vector<bool> determined(q);
  for (std::size_t a = 0; a < q; ++a) {
    determined[a] = options.alpha > 0.0 || rank == q || known[a] > 1.0 - 1e-10;
    solution.coefficients[active[a]] = b[a] / scale[a];
    for (std::size_t e = 0; e < q; ++e) covariance[a * q + e] /= scale[a] * scale[e];
  }
  if (rank < q && options.alpha == 0.0 && solution.status == fit_status::ok) {
    solution.status = fit_status::rank_deficient;
  }
  solution.residual_sum_of_squares = residual_squares(problem, solution.coefficients);
  if (!options.standard_errors) covariance.clear();
  finish_solution(solution, problem, options, active, covariance, determined, parameters,
                  options.intercept ? problem.target_mean : 0.0);
  return solution;
}

RAFTER_COLD_FUNCTION linear_solution solve_by_qr(const reduced_problem& problem, const least_squares_options& options,
                                                 double tolerance) {
  linear_solution solution = begin_solution(problem);
  solution.path = solution_path::qr;
  const std::vector<std::size_t> active = active_columns(problem);
  const std::size_t q = active.size();
  const double root_alpha = std::sqrt(options.alpha);
  const std::size_t m = problem.height + (options.alpha > 0.0 ? q : 0);
  std::vector<double> scale(q, 1.0), unit(q);
  for (std::size_t a = 0; a < q && options.standardise; ++a) scale[a] = problem.deviation[active[a]];
  std::vector<double> x = in_penalty_units(problem, active, scale, m);
  const std::vector<double> unpenalised = x;
  for (std::size_t a = 0; a < q; ++a) {
    if (options.alpha > 0.0) x[a * m + problem.height + a] = root_alpha;
    // Powers of two: equilibrated columns without rounding.
    double length = 0.0;
    for (std::size_t i = 0; i < m; ++i) length += x[a * m + i] * x[a * m + i];
    unit[a] = std::exp2(-std::round(std::log2(length) / 2.0));
    for (std::size_t i = 0; i < m; ++i) x[a * m + i] *= unit[a];
  }
  std::vector<double> tau(q), rhs(m, 0.0);
  std::vector<std::size_t> order(q);
  const std::size_t rank = dense::pivoted_qr(x.data(), m, q, tau.data(), order.data(), tolerance);
  solution.rank = rank;
  std::copy(problem.rhs.begin(), problem.rhs.end(), rhs.begin());
  dense::apply_q(x.data(), m, rank, tau.data(), rhs.data(), true);
  // R z = Qᵀ rhs over the first `rank` columns; every other column of R as a combination of them.
  const auto back_substitute = [&](std::vector<double>& b) {
    for (std::size_t i = rank; i-- > 0;) {
      for (std::size_t j = i + 1; j < rank; ++j) b[i] -= x[j * m + i] * b[j];
      b[i] /= x[i * m + i];
    }
  };
  std::vector<double> b(q, 0.0);
  if (rank == q) {
    std::copy_n(rhs.begin(), q, b.begin());
    back_substitute(b);
    for (std::size_t k = 0; k < q; ++k) {
      solution.coefficients[active[order[k]]] = b[k] * unit[order[k]] / scale[order[k]];
    }
  } else if (rank > 0) {
    // Minimum norm in penalty units: W = [R11 R12] with the equilibration undone, Wᵀ = Q L, b = Q L⁻ᵀ rhs.
    std::vector<double> w(q * rank), factors(rank);
    for (std::size_t k = 0; k < q; ++k) {
      for (std::size_t i = 0; i < rank; ++i) w[i * q + k] = i <= k ? x[k * m + i] / unit[order[k]] : 0.0;
    }
    std::vector<std::size_t> rows(rank);
    dense::pivoted_qr(w.data(), q, rank, factors.data(), rows.data(), 0.0);
    for (std::size_t i = 0; i < rank; ++i) {  // forward substitution with the transposed triangle
      double sum = rhs[rows[i]];
      for (std::size_t k = 0; k < i; ++k) sum -= w[i * q + k] * b[k];
      b[i] = sum / w[i * q + i];
    }
    dense::apply_q(w.data(), q, rank, factors.data(), b.data(), false);
    for (std::size_t k = 0; k < q; ++k) solution.coefficients[active[order[k]]] = b[k] / scale[order[k]];
    solution.status = fit_status::rank_deficient;
  }
  solution.residual_sum_of_squares = residual_squares(problem, solution.coefficients);

  // A coefficient is determined when its column takes no part in a dependency.
  std::vector<bool> determined(q, true);
  for (std::size_t k = rank; k < q; ++k) {
    determined[order[k]] = false;
    std::vector<double> combination(x.begin() + static_cast<std::ptrdiff_t>(k * m),
                                    x.begin() + static_cast<std::ptrdiff_t>(k * m + rank));
    back_substitute(combination);
    for (std::size_t i = 0; i < rank; ++i) {
      if (std::abs(combination[i]) > 1e-8) determined[order[i]] = false;
    }
  }
  double parameters = static_cast<double>(rank);
  std::vector<double> covariance;
  if (options.standard_errors || options.alpha > 0.0) {
    std::vector<double> inverse(rank * rank, 0.0);  // R11⁻¹, column-major
    for (std::size_t j = 0; j < rank; ++j) {
      std::vector<double> column(rank, 0.0);
      column[j] = 1.0;
      back_substitute(column);
      std::copy(column.begin(), column.end(), inverse.begin() + static_cast<std::ptrdiff_t>(j * rank));
    }
    covariance.assign(q * q, 0.0);
    for (std::size_t i = 0; i < rank; ++i) {
      for (std::size_t j = 0; j < rank; ++j) {
        double sum = 0.0;
        for (std::size_t k = std::max(i, j); k < rank; ++k) sum += inverse[k * rank + i] * inverse[k * rank + j];
        covariance[order[i] * q + order[j]] = sum * unit[order[i]] * unit[order[j]];
      }
    }
    if (options.alpha > 0.0) {
      std::vector<double> products(q * q);
      for (std::size_t a = 0; a < q; ++a) {
        for (std::size_t e = 0; e < q; ++e) {
          products[a * q + e] = std::inner_product(unpenalised.begin() + static_cast<std::ptrdiff_t>(a * m),
                                                   unpenalised.begin() + static_cast<std::ptrdiff_t>((a + 1) * m),
                                                   unpenalised.begin() + static_cast<std::ptrdiff_t>(e * m), 0.0);
        }
      }
      parameters = sandwich(covariance, products, q, options.alpha);
    }
    for (std::size_t a = 0; a < q; ++a) {
      for (std::size_t e = 0; e < q; ++e) covariance[a * q + e] /= scale[a] * scale[e];
    }
    if (!options.standard_errors) covariance.clear();
  }
  finish_solution(solution, problem, options, active, covariance, determined, parameters,
                  options.intercept ? problem.target_mean : 0.0);
  return solution;
}

// One or two corrections by residuals that are formed and summed in double-double, solved with the factor of the
// reduced problem. What this adds over the QR alone are the digits that a large residual costs: kappa² times it.
RAFTER_NUMERICS_FUNCTION void refine_by_rows(linear_solution& solution, const reduced_problem& problem,
                                             const least_squares_options& options, const design& rows) {
  const std::vector<std::size_t> active = active_columns(problem);
  const std::size_t q = active.size();
  const bool penalised = options.alpha > 0.0;
  const std::size_t m = problem.height + (penalised ? q : 0);
  std::vector<double> scale(q, 1.0), unit(q), tau(q);
  std::vector<std::size_t> order(q);
  for (std::size_t a = 0; a < q && options.standardise; ++a) scale[a] = problem.deviation[active[a]];
  std::vector<double> x = in_penalty_units(problem, active, scale, m);
  for (std::size_t a = 0; a < q; ++a) {
    if (penalised) x[a * m + problem.height + a] = std::sqrt(options.alpha);
    unit[a] = 1.0 / dense::detail::norm(x.data() + a * m, m);
    for (std::size_t i = 0; i < m; ++i) x[a * m + i] *= unit[a];
  }
  if (dense::pivoted_qr(x.data(), m, q, tau.data(), order.data(), rank_tolerance(problem)) < q) return;

  double at_centre = options.intercept ? problem.target_mean : 0.0;
  double before = std::numeric_limits<double>::infinity();
  for (int pass = 0; pass < 3; ++pass) {
    std::vector<double_double> gradient(q), row(q), offset(q);
    double_double total, squares;
    rows.for_each_block([&](const design_block& block) {
      for (std::size_t i = 0; i < block.rows; ++i) {
        const double weight = block.weight != nullptr ? block.weight[i] : 1.0;
        double_double residual = double_double::sum(block.y[i], -at_centre);
        for (std::size_t a = 0; a < q; ++a) {
          const std::size_t j = active[a];
          row[a] = double_double::sum(block.x[j * block.stride + i], problem.centred ? -problem.mean[j] : 0.0);
          residual -= row[a] * double_double{solution.coefficients[j]};
        }
        const double_double weighted = residual * double_double{weight};
        squares += weighted * residual;
        total += weighted;
        for (std::size_t a = 0; a < q; ++a) {
          gradient[a] += weighted * row[a];
          offset[a] += row[a] * double_double{weight};
        }
      }
    });
    // The centres are rounded means; this takes out what the rounding left of the mean.
    if (problem.centred) {
      const double_double mean_residual = total / double_double{problem.weight};
      for (std::size_t a = 0; a < q; ++a) gradient[a] -= offset[a] * mean_residual;
    }
    solution.residual_sum_of_squares = std::max(0.0, static_cast<double>(squares));
    // RᵀR d = gradient − alpha·b, both in penalty units.
    std::vector<double> d(q);
    for (std::size_t k = 0; k < q; ++k) {
      const std::size_t a = order[k];
      const double_double b = double_double{solution.coefficients[active[a]]} * double_double{scale[a]};
      const double_double g = gradient[a] / double_double{scale[a]} - b * double_double{options.alpha};
      d[k] = static_cast<double>(g) * unit[a];
    }
    for (std::size_t i = 0; i < q; ++i) {
      for (std::size_t k = 0; k < i; ++k) d[i] -= x[i * m + k] * d[k];
      d[i] /= x[i * m + i];
    }
    for (std::size_t i = q; i-- > 0;) {
      for (std::size_t k = i + 1; k < q; ++k) d[i] -= x[k * m + i] * d[k];
      d[i] /= x[i * m + i];
    }
    double change = 0.0;
    double size = 0.0;
    for (std::size_t k = 0; k < q; ++k) {
      const std::size_t a = order[k];
      change = std::max(change, std::abs(d[k]));
      size = std::max(size, std::abs(solution.coefficients[active[a]] * scale[a] / unit[a]));
    }
    if (!(change < 0.5 * before) || !(change <= 0.1 * size)) break;
    before = change;
    for (std::size_t k = 0; k < q; ++k) {
      const std::size_t a = order[k];
      solution.coefficients[active[a]] += d[k] * unit[a] / scale[a];
    }
    if (options.intercept) at_centre += static_cast<double>(total) / problem.weight;
    if (change <= 1e-13 * size) break;
  }
  solution.intercept = problem.centred ? minus_dot(at_centre, solution.coefficients, problem.mean) : 0.0;
}

RAFTER_COLD_FUNCTION linear_solution no_solution(const reduced_problem& problem, fit_status status) {
  linear_solution solution = begin_solution(problem);
  solution.status = status;
  return solution;
}

}  // namespace rafter::detail

namespace rafter {

RAFTER_NUMERICS_FUNCTION linear_solution solve_least_squares(const normal_equations& equations,
                                                             const design* second_pass,
                                                             const least_squares_options& options) {
  using method = least_squares_method;
  if (!(options.alpha >= 0.0) || !std::isfinite(options.alpha)) {
    throw solver_error("rafter: least squares: alpha is " + std::to_string(options.alpha) + ", not >= 0 and finite");
  }
  std::vector<double> s, c;
  const detail::reduced_problem problem = detail::describe(equations, options.intercept, options.standardise, s, c);
  if (!problem.finite) return detail::no_solution(problem, fit_status::non_finite);
  if (problem.rows == 0 || !(problem.weight > 0.0)) return detail::no_solution(problem, fit_status::too_few_rows);

  // H = S in penalty units plus alpha.
  const std::size_t p = problem.columns;
  const std::vector<std::size_t> active = detail::active_columns(problem);
  const std::size_t q = active.size();
  std::vector<double> scale(q, 1.0), products(q * q);
  for (std::size_t a = 0; a < q && options.standardise; ++a) scale[a] = problem.deviation[active[a]];
  std::vector<double> per_scale(q);
  for (std::size_t a = 0; a < q; ++a) per_scale[a] = 1.0 / scale[a];
  for (std::size_t a = 0; a < q; ++a) {
    double* to = products.data() + a * q;
    const double* row = s.data() + active[a] * p;
    for (std::size_t b = 0; b < q; ++b) to[b] = q == p ? row[b] : row[active[b]];
    for (std::size_t b = 0; b < q; ++b) to[b] *= per_scale[a] * per_scale[b];
  }
  std::vector<double> h = products;
  for (std::size_t a = 0; a < q; ++a) h[a * q + a] += options.alpha;
  const detail::scaled_factor factor = detail::factorise(h, q);

  // Sums that lost more than three digits in cancellation count as that much nearer to singular.
  const double trusted = factor.pivot * std::min(1.0, 1e3 / problem.loss);
  const bool hopeless = problem.doubtful || !(trusted >= 1e-10);
  const bool small =
      second_pass != nullptr && problem.rows * (p + 1) * (p + 1) <= least_squares_options::small_problem;
  const bool to_rows = options.method == method::qr || options.method == method::svd ||
                       (options.method == method::automatic && (hopeless || small));
  if (to_rows || !(factor.pivot > 0.0)) {
    linear_solution solution;
    const bool by_svd = options.method == method::svd;
    if (second_pass != nullptr && to_rows) {
      const detail::reduced_problem reduced =
          detail::reduce_rows(*second_pass, equations, options.intercept, options.standardise);
      if (!reduced.finite) return detail::no_solution(reduced, fit_status::non_finite);
      const double tolerance = detail::rank_tolerance(reduced);
      solution = by_svd ? detail::solve_by_svd(reduced, options, tolerance)
                        : detail::solve_by_qr(reduced, options, tolerance);
      if (solution.rank == reduced.columns - reduced.constant_columns.size()) {
        detail::refine_by_rows(solution, reduced, options, *second_pass);
      }
    } else {
      // Only the sums: the directions they lost are already gone from the reduced problem.
      const detail::reduced_problem reduced = detail::reduce_gram(equations, options.intercept, options.standardise);
      const double tolerance = std::sqrt(detail::unit_roundoff * static_cast<double>(p));
      solution = by_svd ? detail::solve_by_svd(reduced, options, tolerance)
                        : detail::solve_by_qr(reduced, options, tolerance);
      if (solution.status == fit_status::ok && hopeless) solution.status = fit_status::ill_conditioned;
      if (!by_svd) solution.path = solution_path::gram;
    }
    solution.smallest_pivot = std::max(0.0, factor.pivot);
    return solution;
  }

  linear_solution solution = detail::begin_solution(problem);
  solution.path = solution_path::gram;
  solution.smallest_pivot = factor.pivot;
  solution.rank = q;
  std::vector<double> b(q);
  for (std::size_t a = 0; a < q; ++a) b[a] = c[active[a]] / scale[a];
  const std::vector<double> projections = b;
  detail::solve_scaled(factor, b);
  const auto publish = [&] {
    for (std::size_t a = 0; a < q; ++a) solution.coefficients[active[a]] = b[a] / scale[a];
  };
  publish();
  double at_centre = options.intercept ? problem.target_mean : 0.0;
  // ‖y‖² − 2 bᵀc + bᵀSb
  double squares = problem.target_squares;
  for (std::size_t a = 0; a < q; ++a) {
    const double fitted = dense::detail::dot(products.data() + a * q, b.data(), q);
    squares += b[a] * (fitted - 2.0 * projections[a]);
  }
  solution.residual_sum_of_squares = std::max(0.0, squares);

  if (options.method == method::automatic && !(trusted >= 1e-7)) {
    if (second_pass == nullptr) {
      solution.status = fit_status::ill_conditioned;
    } else {
      solution.path = solution_path::gram_refined;
      solution.status = fit_status::refined;
      std::vector<double> gradient(p + 1), correction(q), centre(p, 0.0);
      if (problem.centred) centre = problem.mean;
      double before = std::numeric_limits<double>::infinity();
      for (int pass = 0; pass < 4; ++pass) {
        solution.residual_sum_of_squares =
            second_pass->gradient(solution.coefficients.data(), at_centre, centre.data(), gradient.data());
        double size = 0.0;
        double change = 0.0;
        for (std::size_t a = 0; a < q; ++a) correction[a] = gradient[active[a]] / scale[a] - options.alpha * b[a];
        detail::solve_scaled(factor, correction);
        for (std::size_t a = 0; a < q; ++a) {
          size = std::max(size, std::abs(b[a] / factor.unit[a]));
          change = std::max(change, std::abs(correction[a] / factor.unit[a]));
        }
        if (!(change < before)) break;
        before = change;
        for (std::size_t a = 0; a < q; ++a) b[a] += correction[a];
        if (options.intercept) at_centre += gradient[p] / problem.weight;
        publish();
        if (change <= 1e-11 * size) break;
      }
    }
  }

  std::vector<double> covariance;
  double parameters = static_cast<double>(q);
  if (options.standard_errors) {
    covariance.resize(q * q);
    dense::cholesky_inverse(factor.factor.data(), q, covariance.data());
    for (std::size_t a = 0; a < q; ++a) {
      for (std::size_t e = 0; e < q; ++e) covariance[a * q + e] *= factor.unit[a] * factor.unit[e];
    }
    parameters = detail::sandwich(covariance, products, q, options.alpha);
    for (std::size_t a = 0; a < q; ++a) {
      for (std::size_t e = 0; e < q; ++e) covariance[a * q + e] *= per_scale[a] * per_scale[e];
    }
  } else if (options.alpha > 0.0) {  // trace of H⁻¹S = q − alpha · trace of H⁻¹
    std::vector<double> diagonal(q);
    dense::cholesky_inverse_diagonal(factor.factor.data(), q, diagonal.data());
    for (std::size_t a = 0; a < q; ++a) parameters -= options.alpha * diagonal[a] * factor.unit[a] * factor.unit[a];
    parameters = std::max(0.0, parameters);
  }
  detail::finish_solution(solution, problem, options, active, covariance, std::vector<bool>(q, true), parameters,
                          at_centre);
  return solution;
}

}  // namespace rafter
