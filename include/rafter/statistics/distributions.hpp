// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: includes Boost.Math's special functions; what tests and intervals are made of.
#pragma once

#include <boost/math/special_functions/beta.hpp>
#include <boost/math/special_functions/erf.hpp>
#include <boost/math/special_functions/gamma.hpp>
#include <cmath>
#include <limits>
#include <numbers>

/// Tails and quantiles of the distributions that tests and intervals need, by Boost.Math's special functions: lighter
/// to compile than its distributions, and each tail is computed by itself, never as 1 minus the other one.

namespace rafter::detail {

/// All in double; what is not defined is NaN or infinite, never an exception.
using quiet_math =
    boost::math::policies::policy<boost::math::policies::promote_float<false>,
                                  boost::math::policies::promote_double<false>,
                                  boost::math::policies::domain_error<boost::math::policies::ignore_error>,
                                  boost::math::policies::pole_error<boost::math::policies::ignore_error>,
                                  boost::math::policies::overflow_error<boost::math::policies::ignore_error>,
                                  boost::math::policies::evaluation_error<boost::math::policies::ignore_error>>;

/// P(Z <= z) of the normal distribution.
inline double normal_below(double z) { return 0.5 * boost::math::erfc(-z / std::numbers::sqrt2, quiet_math()); }

/// P(Z >= z).
inline double normal_above(double z) { return normal_below(-z); }

/// The z with P(Z <= z) = p; infinite at 0 and 1.
inline double normal_quantile(double p) {
  if (!(p > 0.0 && p < 1.0)) {
    if (p == 0.0) return -std::numeric_limits<double>::infinity();
    if (p == 1.0) return std::numeric_limits<double>::infinity();
    return std::numeric_limits<double>::quiet_NaN();
  }
  return -std::numbers::sqrt2 * boost::math::erfc_inv(2.0 * p, quiet_math());
}

/// P(T >= t) of Student's t with `freedom` degrees of freedom.
inline double student_above(double t, double freedom) {
  if (std::isnan(t) || !(freedom > 0.0)) return std::numeric_limits<double>::quiet_NaN();
  if (std::isinf(t)) return t > 0.0 ? 0.0 : 1.0;
  const double square = t * t;
  // Both forms are the same number; the argument that is small is the exact one.
  const double outside = square < freedom
                             ? boost::math::ibetac(0.5, freedom / 2.0, square / (freedom + square), quiet_math())
                             : boost::math::ibeta(freedom / 2.0, 0.5, freedom / (freedom + square), quiet_math());
  return t >= 0.0 ? 0.5 * outside : 1.0 - 0.5 * outside;
}

/// The t with P(T >= t) = p, for p in (0, 0.5].
inline double student_quantile_above(double p, double freedom) {
  double rest = 0.0;
  const double share = boost::math::ibeta_inv(freedom / 2.0, 0.5, 2.0 * p, &rest, quiet_math());
  return std::sqrt(freedom * rest / share);
}

/// P(X >= x) of chi-square.
inline double chi_square_above(double x, double freedom) {
  if (!(x >= 0.0) || !(freedom > 0.0)) return std::numeric_limits<double>::quiet_NaN();
  return boost::math::gamma_q(freedom / 2.0, x / 2.0, quiet_math());
}

/// P(X <= x) of the beta distribution.
inline double beta_below(double a, double b, double x) { return boost::math::ibeta(a, b, x, quiet_math()); }

/// The x with P(X <= x) = p of the beta distribution.
inline double beta_quantile(double a, double b, double p) { return boost::math::ibeta_inv(a, b, p, quiet_math()); }

}  // namespace rafter::detail
