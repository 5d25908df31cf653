// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rafter/metrics/accurate_sum.hpp"
#include "rafter/metrics/metric.hpp"
#include "rafter/statistics/error.hpp"

/// How alike neighbours are in a series (the errors of consecutive steps), and what that does to sums and means. The
/// p value of Ljung and Box is in ljung_box.hpp. `lengths` are the rows of each series where several stand one after
/// the other: pairs never reach from one into another, and deviations are from the mean of all rows, so series that
/// differ in level are autocorrelated. No rows, a value that is not finite, or a constant column give NaN.

namespace rafter {

namespace detail {

inline std::vector<std::size_t> one_series(std::size_t rows) { return {rows}; }

/// Deviations from the mean of all rows. A constant column has none, whatever its mean is rounded to.
inline std::vector<double> deviations(std::span<const double> values) {
  std::vector<double> made(values.begin(), values.end());
  if (made.empty()) return made;
  for (double& value : made) value -= values.front();
  const double mean = accurate_mean(made);
  for (double& value : made) value -= mean;
  return made;
}

inline void require_lengths(std::string_view name, std::size_t rows, std::span<const std::size_t> lengths) {
  const std::size_t sum = std::accumulate(lengths.begin(), lengths.end(), std::size_t{0});
  if (sum == rows) return;
  throw statistics_error(std::string(name) + ": " + std::to_string(lengths.size()) + " series of " +
                         std::to_string(sum) + " rows together, " + std::to_string(rows) + " values");
}

/// Σ x_t x_(t+lag) over the pairs within a series.
inline double lagged_sum(std::span<const double> deviations, std::span<const std::size_t> lengths, std::size_t lag) {
  accurate_sum sum;
  std::size_t begin = 0;
  for (const std::size_t length : lengths) {
    for (std::size_t t = 0; t + lag < length; ++t) sum.add(deviations[begin + t] * deviations[begin + t + lag]);
    begin += length;
  }
  return sum.value();
}

inline std::size_t lagged_pairs(std::span<const std::size_t> lengths, std::size_t lag) {
  std::size_t pairs = 0;
  for (const std::size_t length : lengths) pairs += length > lag ? length - lag : 0;
  return pairs;
}

inline bool varies(std::span<const double> deviations) {
  return count_not_finite(deviations) == 0 &&
         std::any_of(deviations.begin(), deviations.end(), [](double d) { return d != 0.0; });
}

}  // namespace detail

/// Autocorrelations of one series at lags 0 … `lags`: Σ x_t x_(t+k) / Σ x_t², the usual estimate (divisor n at every
/// lag), which shrinks towards 0 at long lags. 0 where the lag is no shorter than the series.
inline std::vector<double> autocorrelation(std::span<const double> values, std::size_t lags) {
  const std::vector<double> x = detail::deviations(values);
  std::vector<double> made(lags + 1, detail::undefined);
  if (!detail::varies(x)) return made;
  const std::vector<std::size_t> lengths = detail::one_series(x.size());
  const double variance = detail::lagged_sum(x, lengths, 0);
  for (std::size_t k = 0; k <= lags; ++k) made[k] = detail::lagged_sum(x, lengths, k) / variance;
  return made;
}

struct pooled_correlations {
  std::vector<double> at_lag;      ///< from lag 0; NaN where no series is long enough
  std::vector<std::size_t> pairs;  ///< how many rows are compared at each lag
};

/// Autocorrelations of several series, pooled: mean of x_t x_(t+k) over the pairs within a series, over the mean of x_t²
/// over all rows. The divisor is the number of pairs, which many short series make much smaller than n; an estimate
/// may then lie outside [-1, 1].
/// @throws statistics_error when the lengths do not sum to the number of rows
inline pooled_correlations pooled_autocorrelation(std::span<const double> values,
                                                  std::span<const std::size_t> lengths, std::size_t lags) {
  detail::require_lengths("autocorrelation", values.size(), lengths);
  const std::vector<double> x = detail::deviations(values);
  pooled_correlations made{std::vector<double>(lags + 1, detail::undefined), std::vector<std::size_t>(lags + 1, 0)};
  for (std::size_t k = 0; k <= lags; ++k) made.pairs[k] = detail::lagged_pairs(lengths, k);
  if (!detail::varies(x)) return made;
  const double variance = detail::lagged_sum(x, lengths, 0) / static_cast<double>(x.size());
  for (std::size_t k = 0; k <= lags; ++k) {
    if (made.pairs[k] == 0) continue;
    made.at_lag[k] = detail::lagged_sum(x, lengths, k) / static_cast<double>(made.pairs[k]) / variance;
  }
  return made;
}

struct effective_sample {
  double size = detail::undefined;  ///< independent rows whose mean would be as uncertain
  double time = detail::undefined;  ///< n / size = 1 + 2 Σ rho_k, the integrated autocorrelation time
  std::size_t lags = 0;             ///< summed
};

/// Effective sample size of the mean by Geyer's initial positive, monotone sequence (1992): pairs rho_2k + rho_2k+1 are
/// added until one is not positive, none counting more than the one before. Autocorrelations have the divisor n. The
/// time is kept at 1/log10(n) or above (Vehtari et al. 2021): where neighbours cancel, the sum may fall to 0.
/// @throws statistics_error when the lengths do not sum to the number of rows
inline effective_sample effective_sample_size(std::span<const double> values, std::span<const std::size_t> lengths) {
  detail::require_lengths("effective sample size", values.size(), lengths);
  const std::vector<double> x = detail::deviations(values);
  effective_sample made;
  if (!detail::varies(x)) return made;
  const double variance = detail::lagged_sum(x, lengths, 0);
  const std::size_t longest = *std::max_element(lengths.begin(), lengths.end());
  double sum = 0.0;
  double before = 0.0;
  for (std::size_t k = 0; k < longest; k += 2) {
    double pair = (detail::lagged_sum(x, lengths, k) + detail::lagged_sum(x, lengths, k + 1)) / variance;
    if (!(pair > 0.0)) break;
    if (k > 0) pair = std::min(pair, before);
    before = pair;
    sum += pair;
    made.lags = k + 1;
  }
  const auto n = static_cast<double>(x.size());
  made.time = std::max(2.0 * sum - 1.0, 1.0 / std::log10(std::max(n, 10.0)));
  made.size = n / made.time;
  return made;
}

inline effective_sample effective_sample_size(std::span<const double> values) {
  return effective_sample_size(values, detail::one_series(values.size()));
}

/// Do errors cancel or compound over m consecutive rows?
struct sum_of_consecutive {
  double variance_inflation = detail::undefined;  ///< Var(sum of m) / (m·Var): 1 independent, below 1 they cancel
                                                  ///< around their mean, m they are all alike
  double square_inflation = detail::undefined;  ///< E[(sum of m)²] / (m·E[e²]): the same around 0, so that a bias
                                                ///< compounds too
  std::size_t windows = 0;                      ///< of m rows, overlapping, that were there
};

/// From all windows of m consecutive rows within a series; means and variance are those of all rows. NaN without a
/// window. Overlapping windows are few independent ones: of one series, n/m.
/// @throws statistics_error when the lengths do not sum to the number of rows, or m is 0
inline sum_of_consecutive variance_inflation(std::span<const double> values, std::span<const std::size_t> lengths,
                                             std::size_t m) {
  detail::require_lengths("variance inflation", values.size(), lengths);
  if (m == 0) throw statistics_error("variance inflation: sums of 0 rows");
  sum_of_consecutive made;
  const std::vector<double> x = detail::deviations(values);
  accurate_sum central;
  accurate_sum raw;
  std::size_t begin = 0;
  for (const std::size_t length : lengths) {
    accurate_sum window;
    for (std::size_t t = 0; t < length; ++t) {
      window.add(x[begin + t]);
      if (t >= m) window.add(-x[begin + t - m]);
      if (t + 1 < m) continue;
      central.add(window.value() * window.value());
      ++made.windows;
    }
    begin += length;
  }
  if (made.windows == 0 || detail::count_not_finite(values) > 0) return made;
  begin = 0;
  for (const std::size_t length : lengths) {
    accurate_sum window;
    for (std::size_t t = 0; t < length; ++t) {
      window.add(values[begin + t]);
      if (t >= m) window.add(-values[begin + t - m]);
      if (t + 1 >= m) raw.add(window.value() * window.value());
    }
    begin += length;
  }
  const auto scale = static_cast<double>(made.windows) * static_cast<double>(m) / static_cast<double>(x.size());
  accurate_sum squares;
  for (const double value : values) squares.add(value * value);
  if (detail::varies(x)) {
    const double variance = detail::lagged_sum(x, detail::one_series(x.size()), 0);
    made.variance_inflation = central.value() / (scale * variance);
  }
  if (squares.value() > 0.0) made.square_inflation = raw.value() / (scale * squares.value());
  return made;
}

inline sum_of_consecutive variance_inflation(std::span<const double> values, std::size_t m) {
  return variance_inflation(values, detail::one_series(values.size()), m);
}

/// What autocorrelations (from lag 0) say of the same: 1 + 2 Σ (1 - k/m) rho_k over k < m. NaN when they are too few.
inline double variance_inflation_of(std::span<const double> correlations, std::size_t m) {
  if (m == 0 || correlations.size() < m) return detail::undefined;
  double sum = 1.0;
  for (std::size_t k = 1; k < m; ++k) {
    sum += 2.0 * (1.0 - static_cast<double>(k) / static_cast<double>(m)) * correlations[k];
  }
  return sum;
}

}  // namespace rafter
