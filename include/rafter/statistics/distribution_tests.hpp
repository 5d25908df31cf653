// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: includes Boost.Math's special functions; for those who test distributions and correlations.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <numbers>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "rafter/metrics/accurate_sum.hpp"
#include "rafter/metrics/correlation.hpp"
#include "rafter/metrics/metric.hpp"
#include "rafter/statistics/distributions.hpp"
#include "rafter/statistics/hypothesis.hpp"

/// Do two samples come from one distribution, and is a correlation more than chance? All p values are two-sided and
/// take the rows as independent. An empty column, or one value that is not finite, gives NaN.

namespace rafter {

namespace detail {

/// P(D⁺ >= d) of n values, the one-sided distance (Birnbaum and Tingey 1951): a sum of positive terms.
inline double one_sided_distance_above(std::size_t n, double d) {
  const auto size = static_cast<double>(n);
  double sum = 0.0;
  const double log_factorial = boost::math::lgamma(size + 1.0, quiet_math());
  for (std::size_t j = 0; j <= n; ++j) {
    const auto k = static_cast<double>(j);
    const double below = 1.0 - d - k / size;
    if (below < 0.0 || (below == 0.0 && j < n)) break;
    const double choose = log_factorial - boost::math::lgamma(k + 1.0, quiet_math()) -
                          boost::math::lgamma(size - k + 1.0, quiet_math());
    const double rest = j == n ? 0.0 : (size - k) * std::log(below);
    sum += std::exp(choose + (k - 1.0) * std::log(d + k / size) + rest);
  }
  return std::min(1.0, d * sum);
}

/// P(D < d) of n values, exact: the matrix power of Marsaglia, Tsang and Wang 2003.
inline double distance_below(std::size_t n, double d) {
  const double scaled = static_cast<double>(n) * d;
  const auto k = static_cast<std::size_t>(scaled) + 1;
  const std::size_t m = 2 * k - 1;
  const double h = static_cast<double>(k) - scaled;
  using matrix = std::vector<double>;
  matrix base(m * m, 0.0);
  for (std::size_t i = 0; i < m; ++i) {
    for (std::size_t j = 0; j < m && j <= i + 1; ++j) base[i * m + j] = 1.0;
  }
  for (std::size_t i = 0; i < m; ++i) {
    base[i * m] -= std::pow(h, static_cast<double>(i + 1));
    base[(m - 1) * m + i] -= std::pow(h, static_cast<double>(m - i));
  }
  if (2.0 * h - 1.0 > 0.0) base[(m - 1) * m] += std::pow(2.0 * h - 1.0, static_cast<double>(m));
  for (std::size_t i = 0; i < m; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      for (std::size_t g = 1; g <= i - j + 1; ++g) base[i * m + j] /= static_cast<double>(g);
    }
  }
  const auto product = [m](const matrix& a, const matrix& b) {
    matrix made(m * m, 0.0);
    for (std::size_t i = 0; i < m; ++i) {
      for (std::size_t l = 0; l < m; ++l) {
        const double factor = a[i * m + l];
        for (std::size_t j = 0; j < m; ++j) made[i * m + j] += factor * b[l * m + j];
      }
    }
    return made;
  };
  // base^n by squaring; powers of 2^256 are kept aside.
  const auto rescaled = [&](matrix& a, int& exponent) {
    if (a[(k - 1) * m + k - 1] <= 0x1p256) return;
    for (double& value : a) value *= 0x1p-256;
    exponent += 256;
  };
  matrix power(m * m, 0.0);
  for (std::size_t i = 0; i < m; ++i) power[i * m + i] = 1.0;
  int exponent = 0;
  int base_exponent = 0;
  for (std::size_t left = n; left > 0; left >>= 1) {
    if (left & 1U) {
      power = product(power, base);
      exponent += base_exponent;
      rescaled(power, exponent);
    }
    if (left > 1) {
      base = product(base, base);
      base_exponent *= 2;
      rescaled(base, base_exponent);
    }
  }
  double probability = power[(k - 1) * m + k - 1];
  for (std::size_t i = 1; i <= n; ++i) {
    probability *= static_cast<double>(i) / static_cast<double>(n);
    if (probability < 0x1p-256) {
      probability *= 0x1p256;
      exponent -= 256;
    }
  }
  return std::ldexp(probability, exponent);
}

/// P(√n·D >= z) for n -> infinity: 2·Σ(-1)^(k-1)·exp(-2k²z²), or for small z 1 minus the other form of the same theta
/// function.
inline double limiting_distance_above(double z) {
  if (!(z > 0.0)) return 1.0;
  if (z < 1.0) {
    double sum = 0.0;
    for (int k = 1; k <= 9; k += 2) sum += std::exp(-k * k * std::numbers::pi * std::numbers::pi / (8.0 * z * z));
    return 1.0 - std::sqrt(2.0 * std::numbers::pi) / z * sum;
  }
  double sum = 0.0;
  for (int k = 5; k >= 1; --k)
    sum = std::exp(-2.0 * (2 * k - 1) * z * z) * (1.0 - sum);  // Horner: k² - (k-1)² = 2k-1
  return 2.0 * sum;
}

/// The first three terms of Pelz and Good 1976 in 1/√n.
inline double distance_below_by_series(std::size_t n, double d) {
  constexpr double pi = std::numbers::pi;
  const double root = std::sqrt(static_cast<double>(n));
  const double z = root * d;
  const double z2 = z * z;
  const double z4 = z2 * z2;
  double first = 0.0;
  double second = 0.0;
  double whole = 0.0;
  for (int k = 10; k >= 0; --k) {
    const double half = (k + 0.5) * (k + 0.5) * pi * pi;  // k and -k-1 are alike
    const double decay = std::exp(-half / (2.0 * z2));
    first += 2.0 * (half - z2) * decay;
    second +=
        2.0 * (6.0 * z4 * z2 + 2.0 * z4 + (2.0 * z4 - 5.0 * z2) * half + (1.0 - 2.0 * z2) * half * half) * decay;
    whole += 2.0 * k * k * pi * pi * std::exp(-k * k * pi * pi / (2.0 * z2));
  }
  const double scale = std::sqrt(pi / 2.0);
  const double k1 = scale / (6.0 * z4) * first;
  const double k2 = scale / (72.0 * z4 * z2 * z) * second - scale / (36.0 * z2 * z) * whole;
  return 1.0 - limiting_distance_above(z) + k1 / root + k2 / static_cast<double>(n);
}

/// P(D >= d) of n values from a continuous distribution. Where n·d² >= 4 twice the one-sided tail (both sides at once
/// is below 4e-11 of it); below, exact up to n = 2000 and the series of Pelz and Good from there (off by less than 1e-6).
inline double distance_above(std::size_t n, double d) {
  const auto size = static_cast<double>(n);
  if (!(2.0 * size * d > 1.0)) return 1.0;
  if (d >= 1.0) return 0.0;
  if (size * d * d >= 4.0) return std::min(1.0, 2.0 * one_sided_distance_above(n, d));
  const double below = n <= 2000 ? distance_below(n, d) : distance_below_by_series(n, d);
  return std::clamp(1.0 - below, 0.0, 1.0);
}

/// P(D >= distance / (n·m)) of two samples without ties. A path of all ways to merge the samples that ends in (i, j)
/// came from (i-1, j) with chance i/(i+j): sums of positive numbers only, n·m of them.
inline double exact_two_sample_p(std::size_t n, std::size_t m, std::int64_t distance) {
  if (distance <= 0) return 1.0;
  std::vector<double> outside(m + 1, 0.0);  // chance to have been outside, row by row
  for (std::size_t i = 0; i <= n; ++i) {
    for (std::size_t j = 0; j <= m; ++j) {
      const auto gap = static_cast<std::int64_t>(i * m) - static_cast<std::int64_t>(j * n);
      if (std::llabs(gap) >= distance) {
        outside[j] = 1.0;
        continue;
      }
      if (i + j == 0) continue;
      const double from_left = j > 0 ? static_cast<double>(j) * outside[j - 1] : 0.0;
      outside[j] = (static_cast<double>(i) * outside[j] + from_left) / static_cast<double>(i + j);
    }
  }
  return outside[m];
}

}  // namespace detail

struct distance_test {
  double distance = detail::no_number;  ///< D, the largest difference of the distribution functions
  double p = detail::no_number;
  bool exact = false;
};

/// Kolmogorov and Smirnov: does a sample come from the distribution with the function `cdf`, all of whose parameters
/// were known beforehand? (Estimated from the same sample, p is far too large: Lilliefors 1967.) Exact by default (see
/// `detail::distance_above`: from n = 2001 on by a series where p > 7e-4); `asymptotic` is the limit for n -> infinity.
template <class Distribution>
requires std::is_invocable_r_v<double, const Distribution&, double> distance_test kolmogorov_smirnov(
    std::span<const double> sample, const Distribution& cdf, p_value_method method = p_value_method::automatic) {
  distance_test test;
  if (sample.empty() || detail::count_not_finite(sample) > 0) return test;
  std::vector<double> ascending(sample.begin(), sample.end());
  std::sort(ascending.begin(), ascending.end());
  const auto n = static_cast<double>(ascending.size());
  test.distance = 0.0;
  for (std::size_t i = 0; i < ascending.size(); ++i) {
    const double expected = cdf(ascending[i]);
    test.distance =
        std::max({test.distance, static_cast<double>(i + 1) / n - expected, expected - static_cast<double>(i) / n});
  }
  test.exact = method != p_value_method::asymptotic;
  test.p = test.exact ? detail::distance_above(ascending.size(), test.distance)
                      : detail::limiting_distance_above(std::sqrt(n) * test.distance);
  return test;
}

/// The same of two samples. `automatic` is exact while n·m <= 10⁷; `asymptotic` is the exact one-sample distribution at
/// n·m/(n + m), rounded, as in scipy 1.10. Ties make p too large: the distribution is that of samples without any.
inline distance_test kolmogorov_smirnov(std::span<const double> first, std::span<const double> second,
                                        p_value_method method = p_value_method::automatic) {
  distance_test test;
  if (first.empty() || second.empty()) return test;
  if (detail::count_not_finite(first) > 0 || detail::count_not_finite(second) > 0) return test;
  std::vector<double> a(first.begin(), first.end());
  std::vector<double> b(second.begin(), second.end());
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  const std::size_t n = a.size();
  const std::size_t m = b.size();
  std::int64_t largest = 0;
  for (std::size_t i = 0, j = 0; i < n && j < m;) {
    const double at = std::min(a[i], b[j]);
    while (i < n && a[i] == at) ++i;
    while (j < m && b[j] == at) ++j;
    largest = std::max<std::int64_t>(largest,
                                     std::llabs(static_cast<std::int64_t>(i * m) - static_cast<std::int64_t>(j * n)));
  }
  const double product = static_cast<double>(n) * static_cast<double>(m);
  test.distance = static_cast<double>(largest) / product;
  test.exact = method == p_value_method::exact || (method == p_value_method::automatic && product <= 1e7);
  if (test.exact) {
    test.p = detail::exact_two_sample_p(n, m, largest);
  } else {
    const double size = std::nearbyint(product / static_cast<double>(n + m));
    test.p = detail::distance_above(static_cast<std::size_t>(std::max(1.0, size)), test.distance);
  }
  return test;
}

struct correlation_test {
  double coefficient = detail::no_number;
  double p = detail::no_number;
  bool exact = false;
};

namespace detail {

/// p of r with n - 2 degrees of freedom: t = r·√((n-2)/(1-r²)).
inline correlation_test correlation_by_t(double r, std::size_t n) {
  correlation_test test{.coefficient = r};
  if (n < 3 || std::isnan(r)) return test;
  const double freedom = static_cast<double>(n) - 2.0;
  const double rest = (1.0 - r) * (1.0 + r);
  test.p = rest > 0.0 ? std::min(1.0, 2.0 * student_above(std::fabs(r) * std::sqrt(freedom / rest), freedom)) : 0.0;
  return test;
}

/// P(at most `exchanges` inversions) of a random order of n: values come one by one, the i-th makes 0 … i-1 new ones.
inline double inversions_at_most(std::size_t n, std::uint64_t exchanges) {
  const auto size = static_cast<std::size_t>(exchanges) + 1;
  std::vector<double> probability(size, 0.0);
  std::vector<double> next(size, 0.0);
  probability[0] = 1.0;
  for (std::size_t i = 2; i <= n; ++i) {
    accurate_sum window;
    for (std::size_t k = 0; k < size; ++k) {
      window.add(probability[k]);
      if (k >= i) window.add(-probability[k - i]);
      next[k] = std::max(0.0, window.value()) / static_cast<double>(i);
    }
    probability.swap(next);
  }
  accurate_sum sum;
  for (const double one : probability) sum.add(one);
  return sum.value();
}

struct tie_moments {
  double pairs = 0.0;   ///< Σ t(t-1)/2
  double threes = 0.0;  ///< Σ t(t-1)(t-2)
  double spread = 0.0;  ///< Σ t(t-1)(2t+5)
};

inline tie_moments ties_of(std::span<const double> column) {
  std::vector<double> ascending(column.begin(), column.end());
  std::sort(ascending.begin(), ascending.end());
  tie_moments sums;
  for (std::size_t begin = 0; begin < ascending.size();) {
    std::size_t end = begin + 1;
    while (end < ascending.size() && ascending[end] == ascending[begin]) ++end;
    const auto t = static_cast<double>(end - begin);
    sums.pairs += t * (t - 1.0) / 2.0;
    sums.threes += t * (t - 1.0) * (t - 2.0);
    sums.spread += t * (t - 1.0) * (2.0 * t + 5.0);
    begin = end;
  }
  return sums;
}

}  // namespace detail

/// Pearson's r and the chance of a larger |r| between independent normal columns. NaN p for n < 3.
inline correlation_test pearson_test(std::span<const double> first, std::span<const double> second) {
  return detail::correlation_by_t(pearson::evaluate(first, second), first.size());
}

/// Spearman's rho and its p by Student's t, as scipy's default: rough for n < 20.
inline correlation_test spearman_test(std::span<const double> first, std::span<const double> second) {
  return detail::correlation_by_t(spearman::evaluate(first, second), first.size());
}

/// Kendall's tau-b and its p. Exact (by the number of inversions of a random order) without ties when n <= 33 or at
/// most one pair disagrees (or agrees), as scipy's default; else normal, with the variance corrected for ties (Kendall
/// 1970).
/// @throws statistics_error when an exact p value is asked for and there are ties
inline correlation_test kendall_test(std::span<const double> first, std::span<const double> second,
                                     p_value_method method = p_value_method::automatic) {
  correlation_test test{.coefficient = kendall_tau_b::evaluate(first, second)};
  const std::size_t n = first.size();
  if (std::isnan(test.coefficient) || n < 2) return test;
  const detail::tie_moments x = detail::ties_of(first);
  const detail::tie_moments y = detail::ties_of(second);
  const auto size = static_cast<double>(n);
  const double pairs = size * (size - 1.0) / 2.0;
  const double balance = std::nearbyint(test.coefficient * std::sqrt(pairs - x.pairs) * std::sqrt(pairs - y.pairs));
  const bool ties = x.pairs > 0.0 || y.pairs > 0.0;
  if (ties && method == p_value_method::exact) {
    throw statistics_error("Kendall's tau: no exact p value with " + std::to_string(static_cast<long long>(x.pairs)) +
                           " and " + std::to_string(static_cast<long long>(y.pairs)) + " tied pairs");
  }
  const double fewer = std::min(pairs - balance, pairs + balance) / 2.0;  // pairs that disagree, or that agree
  if (!ties &&
      (method == p_value_method::exact || (method == p_value_method::automatic && (n <= 33 || fewer <= 1.0)))) {
    test.exact = true;
    test.p = std::min(1.0, 2.0 * detail::inversions_at_most(n, static_cast<std::uint64_t>(fewer)));
    return test;
  }
  if (n < 3) return test;
  const double m = size * (size - 1.0);
  const double variance = (m * (2.0 * size + 5.0) - x.spread - y.spread) / 18.0 + 2.0 * x.pairs * y.pairs / m +
                          x.threes * y.threes / (9.0 * m * (size - 2.0));
  test.p = std::min(1.0, 2.0 * detail::normal_above(std::fabs(balance) / std::sqrt(variance)));
  return test;
}

}  // namespace rafter
