// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Definitions for rafter/solver/trust_region.hpp; include that instead.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "rafter/solver/dense.hpp"
#include "rafter/solver/linear_solver.hpp"
#include "rafter/solver/trust_region.hpp"

namespace rafter::detail {

inline constexpr double unbounded = std::numeric_limits<double>::infinity();
inline constexpr double rounding = std::numeric_limits<double>::epsilon();

// Below this pivot of their unit-diagonal form the sums JᵀJ do not say where to go.
inline constexpr double trusted_pivot = 1e-10;
// Where the cost does not follow the model, decreases below this times the cost tolerance are not pursued.
inline constexpr double kink_factor = 100.0;
// Eigenvalues of the unit-diagonal form below this, relative, are rounding: directions that no row determines. With none
// between this and the pivot above the sums tell the two apart.
inline constexpr double rounded_eigenvalue = 1e-13;

// One point: cost, gradient, JᵀJ, and the triangular factor of the rows when they were visited.
struct trust_region_point {
  std::vector<double> x;
  double cost = unbounded;
  std::vector<double> gradient;
  std::vector<double> hessian;  // n × n
  std::vector<double> regular;  // n × n, JᵀJ with curvature along what no row determines; empty: all is determined
  std::vector<double> factor;   // (n+1)², column-major: the R of [J, r]; empty: not asked for
  std::vector<double> length;   // n, of the columns of J
  double gradient_measure = 0.0;       // see trust_region::gradient_tolerance
  std::vector<double> distance;        // n, Coleman and Li's v: to the bound that the gradient points at, else 1
  std::vector<double> distance_slope;  // n, its derivative: −1, 0, 1
};

// The quadratic model in scaled variables, ½ sᵀA s + gᵀs. Where A comes from sums JᵀJ whose pivots can be trusted it is
// factorised as it is; else it is kept diagonal, ½ Σ curvature y² + Σ slope y with y = Vᵀs, so that what is
// rounding can be left out.
struct scaled_model {
  std::size_t n = 0;
  std::vector<double> extra;  // n, the part of the Hessian's diagonal that belongs to the bounds

  bool direct = false;
  std::vector<double> matrix;     // A, n × n (direct)
  std::vector<double> gradient;   // g, n (direct)
  std::vector<std::size_t> live;  // indices that A acts on (direct)

  std::vector<double> basis;      // V, n × n, column-major
  std::vector<double> curvature;  // n
  std::vector<double> slope;      // n
  std::vector<bool> determined;   // n; false: the curvature is rounding

  std::vector<double> to_basis(const std::vector<double>& step) const {
    std::vector<double> y(n);
    for (std::size_t k = 0; k < n; ++k) y[k] = dense::detail::dot(basis.data() + k * n, step.data(), n);
    return y;
  }
  // aᵀA b.
  double product(const std::vector<double>& left, const std::vector<double>& right) const {
    double sum = 0.0;
    if (direct) {
      for (std::size_t i = 0; i < n; ++i) {
        if (left[i] != 0.0) sum += left[i] * dense::detail::dot(matrix.data() + i * n, right.data(), n);
      }
      return sum;
    }
    const std::vector<double> a = to_basis(left), b = to_basis(right);
    for (std::size_t k = 0; k < n; ++k) sum += curvature[k] * a[k] * b[k];
    return sum;
  }
  // sᵀA s and gᵀs.
  std::pair<double, double> along(const std::vector<double>& step) const {
    if (direct) return {product(step, step), dense::detail::dot(gradient.data(), step.data(), n)};
    const std::vector<double> y = to_basis(step);
    double q = 0.0, l = 0.0;
    for (std::size_t k = 0; k < n; ++k) {
      q += curvature[k] * y[k] * y[k];
      l += slope[k] * y[k];
    }
    return {q, l};
  }
  // −(A + shift)⁻¹g and, when asked for, gᵀ(A + shift)⁻³g, what the length of the step changes with. Empty when the
  // factorisation fails.
  std::vector<double> shifted_step(double shift, double* slower) const {
    const std::size_t q = live.size();
    std::vector<double> a(q * q), x(q);
    for (std::size_t i = 0; i < q; ++i) {
      for (std::size_t j = 0; j < q; ++j) a[i * q + j] = matrix[live[i] * n + live[j]];
      a[i * q + i] += shift;
      x[i] = -gradient[live[i]];
    }
    if (q > 0 && !(dense::cholesky(a.data(), q) > 0.0)) return {};
    if (q > 0) dense::cholesky_solve(a.data(), q, x.data());
    std::vector<double> step(n, 0.0);
    for (std::size_t i = 0; i < q; ++i) step[live[i]] = x[i];
    if (slower != nullptr) {
      std::vector<double> again = x;
      if (q > 0) dense::cholesky_solve(a.data(), q, again.data());
      *slower = dense::detail::dot(x.data(), again.data(), q);
    }
    return step;
  }
  // The minimum within a ball (Moré 1978; the secular equation by Newton's method, bracketed).
  std::vector<double> minimum_within(double radius) const {
    std::vector<double> y(n, 0.0);
    double derivative = 0.0;
    const auto fill = [&](double shift) {
      if (direct) {
        y = shifted_step(shift, &derivative);
        return y.empty() ? unbounded : dense::detail::norm(y.data(), n);
      }
      double squares = 0.0;
      derivative = 0.0;
      for (std::size_t k = 0; k < n; ++k) {
        y[k] = determined[k] ? -slope[k] / (curvature[k] + shift) : 0.0;
        squares += y[k] * y[k];
        derivative += determined[k] ? y[k] * y[k] / (curvature[k] + shift) : 0.0;
      }
      return std::sqrt(squares);
    };
    double length = fill(0.0);
    if (!(length <= radius)) {
      double high = 0.0;
      if (direct) {
        for (const std::size_t i : live) high += gradient[i] * gradient[i];
      } else {
        for (std::size_t k = 0; k < n; ++k) high += determined[k] ? slope[k] * slope[k] : 0.0;
      }
      high = std::sqrt(high) / radius;
      double low = 0.0;
      double shift = 0.0;
      for (int pass = 0; pass < 60; ++pass) {
        if (pass > 0 && !(shift > low && shift < high)) shift = std::max(1e-3 * high, std::sqrt(low * high));
        length = fill(shift);
        if (std::abs(length - radius) <= 1e-3 * radius) break;
        (length > radius ? low : high) = shift;
        shift += (length / radius - 1.0) * length * length / derivative;
        if (!std::isfinite(shift)) shift = 0.0;
      }
      if (length > 0.0 && std::isfinite(length)) {
        for (double& value : y) value *= std::min(1.0, radius / length);
      } else {
        y.assign(n, 0.0);
      }
    }
    if (direct) return y;
    std::vector<double> step(n, 0.0);
    for (std::size_t k = 0; k < n; ++k) {
      for (std::size_t j = 0; j < n; ++j) step[j] += basis[k * n + j] * y[k];
    }
    return step;
  }
  // What the unconstrained minimum of the model promises.
  double full_decrease() const {
    if (direct) {
      const std::vector<double> step = shifted_step(0.0, nullptr);
      return step.empty() ? unbounded : -0.5 * dense::detail::dot(step.data(), gradient.data(), n);
    }
    double sum = 0.0;
    for (std::size_t k = 0; k < n; ++k) sum += determined[k] ? 0.5 * slope[k] / curvature[k] * slope[k] : 0.0;
    return sum;
  }
};

// One minimisation.
struct trust_region_run {
  const trust_region& options;
  const residual_model& model;
  const parameter_bounds& bounds;
  std::size_t n;
  std::vector<double> scale;  // n: step in scaled variables = step in parameters / scale
  std::vector<double> buffer;
  nonlinear_solution result;

  trust_region_run(const trust_region& options_, const residual_model& model_, const parameter_bounds& bounds_);
  bool evaluate(const std::vector<double>& x, trust_region_point& point);
  void visit_rows(trust_region_point& point);
  void prepare(trust_region_point& point);
  double smallest_pivot(const trust_region_point& point) const;
  bool regularise(trust_region_point& point) const;
  scaled_model scaled(const trust_region_point& point, const std::vector<double>& d) const;
  double room(const std::vector<double>& x, const std::vector<double>& step, std::vector<bool>* hits) const;
  std::vector<double> choose(const scaled_model& quadratic, const trust_region_point& point,
                             const std::vector<double>& d, double radius) const;
  std::vector<double> moved(const std::vector<double>& x, const std::vector<double>& step) const;
  void settle_on_bounds(trust_region_point& point);
  void describe(trust_region_point& point);
  void run(const std::vector<double>& start);
};

RAFTER_NUMERICS_FUNCTION trust_region_run::trust_region_run(const trust_region& options_,
                                                            const residual_model& model_,
                                                            const parameter_bounds& bounds_)
    : options(options_), model(model_), bounds(bounds_), n(model_.parameters()), scale(n, 1.0) {
  for (std::size_t j = 0; j < options.parameter_scale.size(); ++j) scale[j] = options.parameter_scale[j];
}

// False when anything is not finite.
RAFTER_NUMERICS_FUNCTION bool trust_region_run::evaluate(const std::vector<double>& x, trust_region_point& point) {
  point.x = x;
  point.gradient.resize(n);
  point.hessian.resize(n * n);
  point.factor.clear();
  ++result.evaluations;
  model.accumulate(x.data(), options.loss, point.cost, point.gradient.data(), point.hessian.data());
  const auto finite = [](double value) { return std::isfinite(value); };
  return finite(point.cost) && std::all_of(point.gradient.begin(), point.gradient.end(), finite) &&
         std::all_of(point.hessian.begin(), point.hessian.end(), finite);
}

RAFTER_NUMERICS_FUNCTION void trust_region_run::visit_rows(trust_region_point& point) {
  const std::size_t width = n + 1;
  point.factor.assign(width * width, 0.0);
  ++result.row_passes;
  model.for_each_scaled(point.x.data(), options.loss, buffer, [&](double* columns, std::size_t count, double) {
    dense::fold_rows(point.factor.data(), width, columns, count, count);
  });
}

// Smallest Cholesky pivot of the unit-diagonal JᵀJ of the columns that are not zero.
RAFTER_NUMERICS_FUNCTION double trust_region_run::smallest_pivot(const trust_region_point& point) const {
  std::vector<std::size_t> live;
  for (std::size_t j = 0; j < n; ++j) {
    if (point.length[j] > 0.0) live.push_back(j);
  }
  const std::size_t q = live.size();
  if (q == 0) return 1.0;
  std::vector<double> unit(q * q);
  for (std::size_t a = 0; a < q; ++a) {
    for (std::size_t b = 0; b < q; ++b) {
      unit[a * q + b] = point.hessian[live[a] * n + live[b]] / point.length[live[a]] / point.length[live[b]];
    }
  }
  return dense::cholesky(unit.data(), q);
}

// Where some directions have no effect at all and all others are clearly determined: gives the former the curvature of
// one column, so that JᵀJ can be factorised; the gradient has no part along them, and no step moves along them. False
// when the sums cannot tell which is which.
RAFTER_NUMERICS_FUNCTION bool trust_region_run::regularise(trust_region_point& point) const {
  std::vector<std::size_t> live;
  for (std::size_t j = 0; j < n; ++j) {
    if (point.length[j] > 0.0) live.push_back(j);
  }
  const std::size_t q = live.size();
  std::vector<double> unit(q * q), values(q), vectors(q * q);
  for (std::size_t a = 0; a < q; ++a) {
    for (std::size_t b = 0; b < q; ++b) {
      unit[a * q + b] = point.hessian[live[a] * n + live[b]] / point.length[live[a]] / point.length[live[b]];
    }
  }
  if (!dense::jacobi_eigen(unit.data(), q, values.data(), vectors.data())) return false;
  std::size_t rank = 0;
  while (rank < q && values[rank] > rounded_eigenvalue * values[0]) ++rank;
  if (rank == q || rank == 0 || !(values[rank - 1] >= trusted_pivot * values[0])) return false;
  point.regular = point.hessian;
  for (std::size_t k = rank; k < q; ++k) {
    for (std::size_t a = 0; a < q; ++a) {
      for (std::size_t b = 0; b < q; ++b) {
        point.regular[live[a] * n + live[b]] +=
            vectors[k * q + a] * vectors[k * q + b] * point.length[live[a]] * point.length[live[b]];
      }
    }
  }
  return true;
}

// What steps from a point need: column lengths, scale, distances to the bounds, the factor.
RAFTER_NUMERICS_FUNCTION void trust_region_run::prepare(trust_region_point& point) {
  point.length.resize(n);
  for (std::size_t j = 0; j < n; ++j) point.length[j] = std::sqrt(std::max(0.0, point.hessian[j * n + j]));
  if (options.parameter_scale.empty()) {
    for (std::size_t j = 0; j < n; ++j) {
      if (!(point.length[j] > 0.0)) continue;
      const double mine = 1.0 / point.length[j];
      scale[j] = result.iterations == 0 && scale[j] == 1.0 ? mine : std::min(scale[j], mine);
    }
  }
  const bool small = model.rows() * (n + 1) * (n + 1) <= least_squares_options::small_problem;
  point.regular.clear();
  if (options.path == jacobian_path::rows ||
      (options.path == jacobian_path::automatic &&
       (small || (!(smallest_pivot(point) >= trusted_pivot) && !regularise(point))))) {
    visit_rows(point);
  }
  point.distance.assign(n, 1.0);
  point.distance_slope.assign(n, 0.0);
  point.gradient_measure = 0.0;
  const double residual = std::sqrt(2.0 * point.cost);
  for (std::size_t j = 0; j < n; ++j) {
    const double low = bounds.low(j);
    const double high = bounds.high(j);
    double weight = 1.0;
    if (low == high) {
      point.distance[j] = 0.0;
      continue;
    }
    if (point.gradient[j] < 0.0 && high < unbounded) {
      point.distance[j] = high - point.x[j];
      point.distance_slope[j] = -1.0;
    } else if (point.gradient[j] > 0.0 && low > -unbounded) {
      point.distance[j] = point.x[j] - low;
      point.distance_slope[j] = 1.0;
    }
    if (!(point.length[j] > 0.0) || residual == 0.0) continue;
    if (point.distance_slope[j] != 0.0) weight = std::min(1.0, point.distance[j] * point.length[j] / residual);
    point.gradient_measure =
        std::max(point.gradient_measure, weight * std::abs(point.gradient[j]) / point.length[j] / residual);
  }
}

RAFTER_NUMERICS_FUNCTION scaled_model trust_region_run::scaled(const trust_region_point& point,
                                                               const std::vector<double>& d) const {
  scaled_model made;
  made.n = n;
  made.extra.assign(n, 0.0);
  for (std::size_t j = 0; j < n; ++j) {
    if (bounds.low(j) == bounds.high(j)) continue;
    made.extra[j] = std::abs(point.gradient[j] * point.distance_slope[j]) * scale[j] * scale[j];
  }
  made.direct = point.factor.empty() && options.path == jacobian_path::automatic;
  std::vector<double> a;
  if (point.factor.empty()) {
    const std::vector<double>& hessian = point.regular.empty() ? point.hessian : point.regular;
    a.resize(n * n);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) a[i * n + j] = d[i] * hessian[i * n + j] * d[j];
      a[i * n + i] += made.extra[i];
    }
  }
  if (made.direct) {
    made.gradient.resize(n);
    for (std::size_t i = 0; i < n; ++i) {
      made.gradient[i] = d[i] * point.gradient[i];
      if (a[i * n + i] > 0.0) made.live.push_back(i);
    }
    made.matrix = std::move(a);
    return made;
  }
  made.basis.resize(n * n);
  made.curvature.resize(n);
  made.slope.assign(n, 0.0);
  made.determined.assign(n, false);
  if (point.factor.empty()) {
    dense::jacobi_eigen(a.data(), n, made.curvature.data(), made.basis.data());
    for (std::size_t k = 0; k < n; ++k) {
      for (std::size_t j = 0; j < n; ++j) made.slope[k] += made.basis[k * n + j] * d[j] * point.gradient[j];
    }
  } else {
    // The rows R·D over the roots of the extra diagonal: their singular values squared are the curvatures.
    a.assign(2 * n * n, 0.0);
    std::vector<double> sigma(n);
    for (std::size_t j = 0; j < n; ++j) {
      for (std::size_t i = 0; i <= j; ++i) a[j * 2 * n + i] = point.factor[j * (n + 1) + i] * d[j];
      a[j * 2 * n + n + j] = std::sqrt(made.extra[j]);
    }
    dense::jacobi_svd(a.data(), 2 * n, n, sigma.data(), made.basis.data());
    const double* projected = point.factor.data() + n * (n + 1);
    for (std::size_t k = 0; k < n; ++k) {
      made.curvature[k] = sigma[k] * sigma[k];
      made.slope[k] = dense::detail::dot(a.data() + k * 2 * n, projected, n);
    }
  }
  // The sums got here only with a pivot that makes their graded eigenvalues accurate; those of a forced `gram` may
  // not.
  const double relative = rounding * static_cast<double>(2 * n);
  const double least =
      point.factor.empty() ? (options.path == jacobian_path::gram ? relative : 1e-30) : relative * relative;
  for (std::size_t k = 0; k < n; ++k) {
    made.determined[k] = made.curvature[k] > least * made.curvature[0] && made.curvature[k] > 0.0;
  }
  return made;
}

// How far, in multiples of step, x may go.
RAFTER_NUMERICS_FUNCTION double trust_region_run::room(const std::vector<double>& x, const std::vector<double>& step,
                                                       std::vector<bool>* hits) const {
  std::vector<double> each(n, unbounded);
  for (std::size_t j = 0; j < n; ++j) {
    if (step[j] > 0.0) each[j] = (bounds.high(j) - x[j]) / step[j];
    if (step[j] < 0.0) each[j] = (bounds.low(j) - x[j]) / step[j];
  }
  const double least = n == 0 ? unbounded : *std::min_element(each.begin(), each.end());
  if (hits != nullptr) {
    hits->assign(n, false);
    for (std::size_t j = 0; j < n; ++j) (*hits)[j] = each[j] == least && least < unbounded;
  }
  return std::max(0.0, least);
}

// The best, by the model, of three ways to stay inside: the step cut short, the step reflected where it meets the
// bounds, and steepest descent in scaled variables.
RAFTER_NUMERICS_FUNCTION std::vector<double> trust_region_run::choose(const scaled_model& quadratic,
                                                                      const trust_region_point& point,
                                                                      const std::vector<double>& d,
                                                                      double radius) const {
  const auto unscaled = [&](std::vector<double> step) {
    for (std::size_t j = 0; j < n; ++j) step[j] *= d[j];
    return step;
  };
  const auto best_along = [](double q, double l, double low, double high) {
    double t = q > 0.0                                                   ? std::clamp(-l / q, low, high)
               : (0.5 * q * high + l) * high < (0.5 * q * low + l) * low ? high
                                                                         : low;
    return std::pair<double, double>{t, (0.5 * q * t + l) * t};
  };
  const std::vector<double> full = quadratic.minimum_within(radius);
  const std::vector<double> full_step = unscaled(full);
  std::vector<bool> hits;
  const double to_bound = room(point.x, full_step, &hits);
  if (to_bound > 1.0) return full;
  const double inside = std::max(0.995, 1.0 - point.gradient_measure);

  const auto [full_q, full_l] = quadratic.along(full);
  std::vector<double> best = full;
  const double cut = inside * to_bound;
  for (double& value : best) value *= cut;
  double best_value = (0.5 * full_q * cut + full_l) * cut;

  // From the point on the bound, on along the reflected direction, to the ball or the next bound.
  std::vector<double> reflected = full;
  std::vector<double> on_bound = point.x;
  std::vector<double> arm(n);
  for (std::size_t j = 0; j < n; ++j) {
    if (hits[j]) reflected[j] = -reflected[j];
    arm[j] = to_bound * full[j];
    on_bound[j] = std::clamp(on_bound[j] + to_bound * full_step[j], bounds.low(j), bounds.high(j));
  }
  const double rr = dense::detail::dot(reflected.data(), reflected.data(), n);
  const double ar = dense::detail::dot(arm.data(), reflected.data(), n);
  const double aa = dense::detail::dot(arm.data(), arm.data(), n);
  const double to_ball = rr > 0.0 ? (std::sqrt(std::max(0.0, ar * ar + rr * (radius * radius - aa))) - ar) / rr : 0.0;
  const double to_next = room(on_bound, unscaled(reflected), nullptr);
  const double furthest = std::min(to_ball, inside * to_next);
  const double nearest = (1.0 - inside) * to_bound;
  if (furthest > nearest) {
    const auto [q, l] = quadratic.along(reflected);
    const auto [t, gain] = best_along(q, l + quadratic.product(arm, reflected), nearest, furthest);
    const double value = (0.5 * full_q * to_bound + full_l) * to_bound + gain;
    if (value < best_value) {
      best_value = value;
      for (std::size_t j = 0; j < n; ++j) best[j] = arm[j] + t * reflected[j];
    }
  }

  std::vector<double> descent(n);
  for (std::size_t j = 0; j < n; ++j) descent[j] = -d[j] * point.gradient[j];
  const double length = dense::detail::norm(descent.data(), n);
  if (length > 0.0) {
    const double limit = std::min(radius / length, inside * room(point.x, unscaled(descent), nullptr));
    const auto [q, l] = quadratic.along(descent);
    const auto [t, value] = best_along(q, l, 0.0, limit);
    if (value < best_value) {
      for (std::size_t j = 0; j < n; ++j) best[j] = t * descent[j];
    }
  }
  return best;
}

// x + step, strictly inside.
RAFTER_NUMERICS_FUNCTION std::vector<double> trust_region_run::moved(const std::vector<double>& x,
                                                                     const std::vector<double>& step) const {
  std::vector<double> to(n);
  for (std::size_t j = 0; j < n; ++j) {
    const double low = bounds.low(j);
    const double high = bounds.high(j);
    to[j] = x[j] + step[j];
    if (to[j] <= low) to[j] = std::nextafter(low, unbounded);
    if (to[j] >= high) to[j] = std::nextafter(high, -unbounded);
    if (!(to[j] > low && to[j] < high)) to[j] = low == high ? low : 0.5 * (low + high);
  }
  return to;
}

// Puts parameters that a bound holds onto it, unless the cost minds.
RAFTER_NUMERICS_FUNCTION void trust_region_run::settle_on_bounds(trust_region_point& point) {
  result.active_mask.assign(n, 0);
  const double residual = std::sqrt(2.0 * point.cost);
  std::vector<double> x = point.x;
  std::vector<int> mask(n, 0);
  for (std::size_t j = 0; j < n; ++j) {
    if (bounds.low(j) == bounds.high(j)) {
      mask[j] = result.active_mask[j] = -1;
      continue;
    }
    if (point.distance_slope[j] == 0.0) continue;
    const double bound = point.distance_slope[j] > 0.0 ? bounds.low(j) : bounds.high(j);
    const bool no_matter = point.distance[j] * point.length[j] <= 1e-7 * residual;
    if (!no_matter && !(point.distance[j] <= 1e-12 * std::max(1.0, std::abs(bound)))) continue;
    x[j] = bound;
    mask[j] = point.distance_slope[j] > 0.0 ? -1 : 1;
  }
  if (x == point.x) return;
  trust_region_point at;
  if (evaluate(x, at) && at.cost <= point.cost * (1.0 + 4.0 * rounding)) {
    prepare(at);
    point = std::move(at);
    result.active_mask = std::move(mask);
    return;
  }
  // The model does not like the bound itself: report those that are at it to rounding.
  for (std::size_t j = 0; j < n; ++j) {
    const double bound = mask[j] < 0 ? bounds.low(j) : bounds.high(j);
    if (mask[j] != 0 && point.distance[j] <= 1e-12 * std::max(1.0, std::abs(bound))) result.active_mask[j] = mask[j];
  }
}

// Rank, singular values and covariance of the free parameters.
RAFTER_NUMERICS_FUNCTION void trust_region_run::describe(trust_region_point& point) {
  result.parameters = point.x;
  result.cost = point.cost;
  result.gradient = point.gradient;
  result.column_norms = point.length;
  result.gram = point.hessian;
  result.factor = point.factor;
  result.optimality = 0.0;
  std::vector<std::size_t> live;
  std::vector<std::size_t> free;
  for (std::size_t j = 0; j < n; ++j) {
    if (result.active_mask[j] == 0) {
      result.optimality = std::max(result.optimality, point.distance[j] * std::abs(point.gradient[j]));
      free.push_back(j);
      if (point.length[j] > 0.0) live.push_back(j);
    }
    if (!(point.length[j] > 0.0)) result.dead_parameters.push_back(j);
  }
  const std::size_t q = live.size();
  const std::size_t m = model.observations();
  std::vector<double> sigma(q), v(q * q);
  double least = rounding * static_cast<double>(std::max(m, n));
  if (point.factor.empty()) {
    std::vector<double> a(q * q), values(q);
    for (std::size_t i = 0; i < q; ++i) {
      for (std::size_t j = 0; j < q; ++j) {
        a[i * q + j] = point.hessian[live[i] * n + live[j]] / point.length[live[i]] / point.length[live[j]];
      }
    }
    dense::jacobi_eigen(a.data(), q, values.data(), v.data());
    for (std::size_t k = 0; k < q; ++k) sigma[k] = std::sqrt(std::max(0.0, values[k]));
    least = std::sqrt(10.0 * rounded_eigenvalue);
  } else {
    std::vector<double> a(n * q, 0.0);
    for (std::size_t k = 0; k < q; ++k) {
      const double* column = point.factor.data() + live[k] * (n + 1);
      const double length = dense::detail::norm(column, live[k] + 1);
      for (std::size_t i = 0; i <= live[k]; ++i) a[k * n + i] = column[i] / length;
    }
    dense::jacobi_svd(a.data(), n, q, sigma.data(), v.data());
  }
  while (result.rank < q && sigma[result.rank] > least * sigma[0]) ++result.rank;
  result.degrees_of_freedom = m > result.rank ? static_cast<double>(m - result.rank) : 0.0;
  const std::size_t count = free.size();
  result.singular_values = sigma;
  result.singular_values.resize(count, 0.0);
  result.singular_directions.assign(n * count, 0.0);
  for (std::size_t k = 0; k < q; ++k) {
    for (std::size_t a = 0; a < q; ++a) result.singular_directions[k * n + live[a]] = v[k * q + a];
  }
  std::size_t next = q;
  for (const std::size_t j : free) {
    if (!(point.length[j] > 0.0)) result.singular_directions[next++ * n + j] = 1.0;
  }

  result.covariance.assign(n * n, 0.0);
  result.standard_errors.assign(n, 0.0);
  std::vector<bool> known(n, false);
  for (std::size_t a = 0; a < q; ++a) {
    double outside = 0.0;
    for (std::size_t k = result.rank; k < q; ++k) outside = std::max(outside, std::abs(v[k * q + a]));
    known[live[a]] = outside <= 1e-6 && result.degrees_of_freedom > 0.0;
  }
  const double variance = result.degrees_of_freedom > 0.0 ? 2.0 * point.cost / result.degrees_of_freedom : 0.0;
  for (std::size_t a = 0; a < q; ++a) {
    for (std::size_t b = 0; b < q && known[live[a]]; ++b) {
      if (!known[live[b]]) continue;
      double sum = 0.0;
      for (std::size_t k = 0; k < result.rank; ++k) sum += v[k * q + a] / sigma[k] * (v[k * q + b] / sigma[k]);
      result.covariance[live[a] * n + live[b]] = variance * sum / point.length[live[a]] / point.length[live[b]];
    }
  }
  for (const std::size_t j : free) {
    if (!known[j]) result.covariance[j * n + j] = unbounded;
  }
  for (std::size_t j = 0; j < n; ++j) result.standard_errors[j] = std::sqrt(result.covariance[j * n + j]);
}

RAFTER_NUMERICS_FUNCTION void trust_region_run::run(const std::vector<double>& start) {
  const std::size_t limit =
      options.max_evaluations == 0 ? 100 * std::max<std::size_t>(1, n) : options.max_evaluations;
  std::vector<double> x = start;
  for (std::size_t j = 0; j < n; ++j) {
    const double low = bounds.low(j);
    const double high = bounds.high(j);
    const double gap = std::min(0.25 * (high - low), 1e-10 * std::max(1.0, std::abs(x[j])));
    if (low < high) x[j] = std::max(x[j], low == x[j] ? low + gap : low);
    if (low < high) x[j] = std::min(x[j], high == x[j] ? high - gap : high);
  }
  trust_region_point point, trial, before;
  result.parameters = start;
  result.active_mask.assign(n, 0);
  const bool finite = evaluate(x, point);
  result.cost = point.cost;
  result.start_gram = point.hessian;
  if (!finite) {
    result.status = minimum_status::non_finite_start;
    return;
  }
  prepare(point);

  std::vector<double> d(n);
  const auto roots = [&](const trust_region_point& of) {
    for (std::size_t j = 0; j < n; ++j) d[j] = std::sqrt(of.distance[j]) * scale[j];
  };
  roots(point);
  double radius = 0.0;
  for (std::size_t j = 0; j < n; ++j) radius += d[j] > 0.0 ? point.x[j] / d[j] * (point.x[j] / d[j]) : 0.0;
  radius = radius > 0.0 && std::isfinite(radius) ? std::sqrt(radius) : 1.0;

  int slight = 0;                      // trials in a row that promised, and so brought, next to nothing
  bool misled = false;                 // in one of them the cost did not do what the model promised: a kink
  double promised_before = unbounded;  // in the regime where the cost cannot tell
  double blindness = 32.0 * rounding;  // relative; grows once the residuals prove to be noisier than their last bit
  result.status = minimum_status::evaluation_limit;
  for (bool going = true; going;) {
    if (point.cost == 0.0 || point.gradient_measure <= options.gradient_tolerance) {
      result.status = minimum_status::gradient_small;
      break;
    }
    roots(point);
    const scaled_model quadratic = scaled(point, d);
    const double full = quadratic.full_decrease();
    for (bool accepted = false; !accepted;) {
      const std::vector<double> step = choose(quadratic, point, d, radius);
      const auto [q, l] = quadratic.along(step);
      double bounds_part = 0.0;
      for (std::size_t j = 0; j < n; ++j) bounds_part += 0.5 * quadratic.extra[j] * step[j] * step[j];
      const double modelled = -(0.5 * q + l);
      const double promised = modelled + bounds_part;
      const double length = dense::detail::norm(step.data(), n);
      bool blind = full <= blindness * point.cost;
      if (!(modelled > 0.0) || (blind && !(promised <= 0.8 * promised_before))) {
        result.status = minimum_status::cost_settled;
        if (blind && promised > promised_before) point = std::move(before);
        going = false;
        break;
      }
      if (result.evaluations >= limit) {
        going = false;
        break;
      }
      std::vector<double> by(n);
      for (std::size_t j = 0; j < n; ++j) by[j] = d[j] * step[j];
      const std::vector<double> to = moved(point.x, by);
      const bool usable = evaluate(to, trial);
      const double actual = usable ? point.cost - trial.cost : -unbounded;
      if (actual <= 0.0 && full <= 1e-10 * point.cost && -actual <= 1e-10 * point.cost) {
        blind = true;
        blindness = 1e-10;
      }
      accepted = actual > 0.0 || (blind && -actual <= blindness * point.cost);
      if (blind && !accepted) {
        result.status = minimum_status::cost_settled;
        going = false;
        break;
      }
      if (blind) promised_before = promised;
      const double ratio = usable ? actual / promised : -1.0;
      if (!usable || (ratio < 0.25 && !blind)) {
        radius = 0.25 * length;
      } else if (ratio > 0.75 && length > 0.95 * radius) {
        radius *= 2.0;
      }
      // The tests of the tolerances, on steps and parameters in scaled units.
      double moved_by = 0.0;
      double size = 0.0;
      for (std::size_t j = 0; j < n; ++j) {
        moved_by += (by[j] / scale[j]) * (by[j] / scale[j]);
        size += (point.x[j] / scale[j]) * (point.x[j] / scale[j]);
      }
      const bool settled = usable && ratio > 0.25 && std::abs(actual) <= options.cost_tolerance * point.cost &&
                           full <= options.cost_tolerance * point.cost;
      // At a kink the model promises the same small decrease for ever and the cost does not follow: two such trials.
      slight = promised <= kink_factor * options.cost_tolerance * point.cost ? slight + 1 : 0;
      misled = slight > 0 && (misled || !usable || ratio < 0.25);
      const bool at_kink = slight >= 2 && misled && accepted && options.cost_tolerance > 0.0;
      const bool tiny =
          std::sqrt(moved_by) <= options.step_tolerance * (options.step_tolerance + std::sqrt(size)) || to == point.x;
      if (accepted) {
        std::swap(before, point);
        std::swap(point, trial);
        ++result.iterations;
        prepare(point);
      }
      if (settled || tiny || at_kink) {
        result.status = settled ? minimum_status::cost_settled : minimum_status::step_small;
        going = false;
        break;
      }
    }
  }
  settle_on_bounds(point);
  describe(point);
  if (options.path == jacobian_path::gram && result.converged() && !(smallest_pivot(point) >= trusted_pivot)) {
    result.status = minimum_status::ill_conditioned;
  }
}

}  // namespace rafter::detail

namespace rafter {

RAFTER_NUMERICS_FUNCTION std::string trust_region::name() const {
  if (loss.kind == loss_kind::linear) return "trust region";
  return "trust region, " + std::string(text_of(loss.kind)) + " loss at " + detail::number_text(loss.scale);
}

RAFTER_NUMERICS_FUNCTION nonlinear_solution trust_region::minimize(const residual_model& model,
                                                                   const std::vector<double>& start,
                                                                   const parameter_bounds& bounds) const {
  detail::check_problem(model, start, bounds, loss);
  const auto fail = [](const std::string& what) { throw solver_error("rafter: trust_region: " + what); };
  if (!parameter_scale.empty() && parameter_scale.size() != start.size()) {
    fail(std::to_string(start.size()) + " parameters with " + std::to_string(parameter_scale.size()) + " scales");
  }
  for (const double each : parameter_scale) {
    if (!(each > 0.0) || !std::isfinite(each)) fail("parameter scale " + std::to_string(each) + ", must be positive");
  }
  for (const double tolerance : {cost_tolerance, step_tolerance, gradient_tolerance}) {
    if (!(tolerance >= 0.0)) fail("tolerance " + std::to_string(tolerance) + ", must not be negative");
  }
  detail::trust_region_run run(*this, model, bounds);
  run.run(start);
  return std::move(run.result);
}

}  // namespace rafter
