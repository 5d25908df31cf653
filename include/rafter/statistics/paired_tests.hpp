// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: includes Boost.Math's special functions; for those who compare predictors.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rafter/metrics/accurate_sum.hpp"
#include "rafter/metrics/correlation.hpp"
#include "rafter/metrics/metric.hpp"
#include "rafter/statistics/distributions.hpp"
#include "rafter/statistics/hypothesis.hpp"

/// Do two predictors differ on the same rows (or folds)? All tests look at the differences d = first - second and
/// take them as independent: rows of one run are not, folds are nearly so. An empty column, or one value that is not
/// finite, gives NaN.

namespace rafter {

/// What becomes of differences of 0 in the signed-rank test.
enum class zero_differences {
  wilcox,  ///< left out before ranking (Wilcoxon 1945)
  pratt,   ///< ranked, then left out (Pratt 1959; variance of Cureton 1967)
  zsplit,  ///< ranked, their ranks go half to each side
};

struct signed_rank_options {
  zero_differences zeros = zero_differences::wilcox;
  rafter::alternative alternative = rafter::alternative::two_sided;
  p_value_method method = p_value_method::automatic;
  bool continuity_correction = false;  ///< moves W by 1/2 towards its mean; asymptotic only
};

struct signed_rank_test {
  double statistic = detail::no_number;  ///< two-sided: the smaller of both rank sums; one-sided: the positive one
  double p = detail::no_number;
  double positive = detail::no_number;  ///< sum of the ranks of d > 0
  double negative = detail::no_number;  ///< of d < 0
  double z = detail::no_number;         ///< the standardised statistic, NaN when exact
  double rank_biserial =
      detail::no_number;  ///< (positive - negative) / (positive + negative): the effect, in [-1, 1]
  std::size_t pairs = 0;  ///< all differences, zeros included
  std::size_t zeros = 0;  ///< differences of 0
  std::size_t tied = 0;   ///< differences other than 0 that share their |d| with another
  bool exact = false;
};

namespace detail {

inline std::vector<double> differences(std::string_view name, std::span<const double> first,
                                       std::span<const double> second) {
  require_pairs(name, first.size(), second.size());
  std::vector<double> made(first.size());
  for (std::size_t i = 0; i < made.size(); ++i) made[i] = first[i] - second[i];
  return made;
}

/// P(W = w) for w = 0 … n(n+1)/2 of the sum of the positive ranks of n differences whose signs are coins, one rank
/// after the other: P(w) <- (P(w) + P(w - rank)) / 2. All of it are sums of positive numbers, exact up to n = 53.
inline std::vector<double> signed_rank_distribution(std::size_t n) {
  std::vector<double> probability(n * (n + 1) / 2 + 1);
  probability[0] = 1.0;
  std::size_t largest = 0;
  for (std::size_t rank = 1; rank <= n; ++rank) {
    largest += rank;
    for (std::size_t w = largest + 1; w-- > 0;) {
      probability[w] = 0.5 * (probability[w] + (w >= rank ? probability[w - rank] : 0.0));
    }
  }
  return probability;
}

inline double exact_signed_rank_p(std::size_t n, double positive, rafter::alternative against) {
  const std::vector<double> probability = signed_rank_distribution(n);
  const auto w = static_cast<std::size_t>(positive);
  double less = 0.0;
  double greater = 0.0;
  for (std::size_t i = 0; i <= w; ++i) less += probability[i];
  for (std::size_t i = probability.size(); i-- > w;) greater += probability[i];
  if (against == rafter::alternative::less) return std::min(1.0, less);
  if (against == rafter::alternative::greater) return std::min(1.0, greater);
  return std::min(1.0, 2.0 * std::min(less, greater));
}

inline double normal_p(double z, rafter::alternative against) {
  if (against == rafter::alternative::less) return normal_below(z);
  if (against == rafter::alternative::greater) return normal_above(z);
  return 2.0 * normal_above(std::fabs(z));
}

}  // namespace detail

/// Wilcoxon's signed-rank test: are the differences symmetric about 0? Exact without zeros and ties, from the
/// distribution over all 2ⁿ signs (`automatic`: up to n = 50), else by the normal approximation with the variance
/// corrected for ties. Numbers as scipy.stats.wilcoxon, but `automatic` never calls a p value exact that ties made
/// wrong. An exact p value that is asked for takes n³/2 additions.
///
/// No difference but zeros: p is NaN (wilcox, pratt), 1 (zsplit).
/// @throws statistics_error when an exact p value is asked for and there are zeros or ties
inline signed_rank_test wilcoxon_signed_rank(std::span<const double> differences,
                                             const signed_rank_options& options = {}) {
  signed_rank_test test;
  test.pairs = differences.size();
  if (differences.empty() || detail::count_not_finite(differences) > 0) return test;
  std::vector<double> sizes;
  std::vector<double> kept;
  for (const double d : differences) {
    if (d == 0.0) ++test.zeros;
    if (d == 0.0 && options.zeros == zero_differences::wilcox) continue;
    kept.push_back(d);
    sizes.push_back(std::fabs(d));
  }
  const std::vector<double> ranks = average_ranks(sizes);
  accurate_sum positive;
  accurate_sum negative;
  accurate_sum zero;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    (kept[i] > 0.0 ? positive : kept[i] < 0.0 ? negative : zero).add(ranks[i]);
  }
  const double split = options.zeros == zero_differences::zsplit ? 0.5 * zero.value() : 0.0;
  test.positive = positive.value() + split;
  test.negative = negative.value() + split;
  if (test.positive + test.negative > 0.0) {
    test.rank_biserial = (test.positive - test.negative) / (test.positive + test.negative);
  }
  const bool two_sided = options.alternative == rafter::alternative::two_sided;
  test.statistic = two_sided ? std::min(test.positive, test.negative) : test.positive;

  // Ties: t equal ranks take (t³ - t)/48 of the variance. Pratt's zeros are ranked but are none of the ranks that vary.
  std::vector<double> varying;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    if (kept[i] != 0.0 || options.zeros == zero_differences::zsplit) varying.push_back(ranks[i]);
  }
  std::sort(varying.begin(), varying.end());
  double ties = 0.0;
  for (std::size_t begin = 0; begin < varying.size();) {
    std::size_t end = begin + 1;
    while (end < varying.size() && varying[end] == varying[begin]) ++end;
    const auto t = static_cast<double>(end - begin);
    ties += t * t * t - t;
    begin = end;
  }
  std::sort(sizes.begin(), sizes.end());
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const bool same = (i > 0 && sizes[i] == sizes[i - 1]) || (i + 1 < sizes.size() && sizes[i] == sizes[i + 1]);
    if (same && sizes[i] != 0.0) ++test.tied;
  }

  const bool distinct = test.zeros == 0 && test.tied == 0;
  if (options.method == p_value_method::exact && !distinct) {
    throw statistics_error("Wilcoxon signed-rank test: no exact p value with " + std::to_string(test.zeros) +
                           " differences of 0 and " + std::to_string(test.tied) + " tied ones");
  }
  if (distinct && (options.method == p_value_method::exact ||
                   (options.method == p_value_method::automatic && kept.size() <= 50))) {
    test.exact = true;
    test.p = detail::exact_signed_rank_p(kept.size(), test.positive, options.alternative);
    return test;
  }
  const auto n = static_cast<double>(kept.size());
  double mean = n * (n + 1.0) / 4.0;
  double variance = n * (n + 1.0) * (2.0 * n + 1.0);
  if (options.zeros == zero_differences::pratt) {
    const auto z = static_cast<double>(test.zeros);
    mean -= z * (z + 1.0) / 4.0;
    variance -= z * (z + 1.0) * (2.0 * z + 1.0);
  }
  variance = (variance - 0.5 * ties) / 24.0;
  if (!(variance > 0.0)) return test;
  double correction = 0.0;
  if (options.continuity_correction) {
    const double side = test.statistic > mean ? 0.5 : test.statistic < mean ? -0.5 : 0.0;
    correction = two_sided ? side : options.alternative == rafter::alternative::less ? -0.5 : 0.5;
  }
  test.z = (test.statistic - mean - correction) / std::sqrt(variance);
  test.p = std::min(1.0, detail::normal_p(test.z, options.alternative));
  return test;
}

/// The same of first - second. @throws statistics_error also when the columns differ in length
inline signed_rank_test wilcoxon_signed_rank(std::span<const double> first, std::span<const double> second,
                                             const signed_rank_options& options = {}) {
  return wilcoxon_signed_rank(detail::differences("Wilcoxon signed-rank test", first, second), options);
}

struct paired_t_test {
  double t = detail::no_number;
  double degrees_of_freedom = detail::no_number;
  double p = detail::no_number;
  double mean = detail::no_number;            ///< of the differences
  double standard_error = detail::no_number;  ///< of that mean
  double lower = detail::no_number;           ///< two-sided confidence interval of the mean
  double upper = detail::no_number;
};

/// Student's t test that the mean difference is 0. Fewer than two differences: NaN. All differences equal: t is
/// infinite and p is 0 (NaN when they are 0).
/// @throws statistics_error when the confidence is not in (0, 1)
inline paired_t_test t_test(std::span<const double> differences,
                            rafter::alternative against = rafter::alternative::two_sided, double confidence = 0.95) {
  detail::require_confidence("paired t test", confidence);
  paired_t_test test;
  if (differences.empty() || detail::count_not_finite(differences) > 0) return test;
  const bool constant =
      std::all_of(differences.begin(), differences.end(), [&](double d) { return d == differences.front(); });
  test.mean = constant ? differences.front() : accurate_mean(differences);
  if (differences.size() < 2) return test;
  const auto n = static_cast<double>(differences.size());
  accurate_sum squares;
  for (const double d : differences) squares.add((d - test.mean) * (d - test.mean));
  test.degrees_of_freedom = n - 1.0;
  test.standard_error = std::sqrt(squares.value() / (n - 1.0) / n);
  const double half = test.standard_error * detail::student_quantile_above((1.0 - confidence) / 2.0, n - 1.0);
  test.lower = test.mean - half;
  test.upper = test.mean + half;
  test.t = test.mean / test.standard_error;
  if (against == rafter::alternative::two_sided) {
    test.p = 2.0 * detail::student_above(std::fabs(test.t), n - 1.0);
  } else {
    test.p = detail::student_above(against == rafter::alternative::greater ? test.t : -test.t, n - 1.0);
  }
  return test;
}

/// The same of first - second. @throws statistics_error also when the columns differ in length
inline paired_t_test t_test(std::span<const double> first, std::span<const double> second,
                            rafter::alternative against = rafter::alternative::two_sided, double confidence = 0.95) {
  return t_test(detail::differences("paired t test", first, second), against, confidence);
}

struct signs_test {
  std::size_t positive = 0;
  std::size_t negative = 0;
  std::size_t zeros = 0;  ///< left out
  double p = detail::no_number;
};

/// The sign test: is a difference other than 0 as often positive as negative? Exact binomial p value; NaN when no
/// difference is other than 0.
inline signs_test sign_test(std::span<const double> differences,
                            rafter::alternative against = rafter::alternative::two_sided) {
  signs_test test;
  for (const double d : differences) ++(d > 0.0 ? test.positive : d < 0.0 ? test.negative : test.zeros);
  const auto n = static_cast<double>(test.positive + test.negative);
  if (n == 0.0 || detail::count_not_finite(differences) > 0) return test;
  // P(X >= k) of n coins is the beta distribution's I_{1/2}(k, n - k + 1).
  const auto at_least = [&](std::size_t k) {
    return k == 0 ? 1.0 : detail::beta_below(static_cast<double>(k), n - static_cast<double>(k) + 1.0, 0.5);
  };
  const double greater = at_least(test.positive);
  const double less = at_least(test.negative);
  test.p = against == rafter::alternative::less      ? less
           : against == rafter::alternative::greater ? greater
                                                     : std::min(1.0, 2.0 * std::min(less, greater));
  return test;
}

}  // namespace rafter
