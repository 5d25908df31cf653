// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "rafter/statistics/autocorrelation.hpp"

namespace rafter {

/// Mean lengths of blocks for `blocked_rows`, in rows.
struct block_lengths {
  double stationary = detail::undefined;
  double circular = detail::undefined;  ///< also for moving blocks
  std::size_t lags = 0;                 ///< of autocovariance that were used
};

/// The block length that makes the bootstrap's variance of a mean most accurate, from the autocovariances: Politis and
/// White 2004 with the correction of Patton, Politis and White 2009. b = (2 G²/D)^(1/3) n^(1/3), where G sums |k| R(k)
/// and D = 2 g² (stationary) or 4/3 g² (circular), g the sum of R(k), under a flat-top window of twice the lag from
/// which on max(5, log10 n) autocorrelations lie within 2 √(log10(n)/n), counted as in the authors' program. Between 1
/// and min(3 √n, n/3), rounded up, and no longer than the longest series. Several series are one sample: pairs within
/// a series only, deviations from the mean of all rows. NaN without rows or with a value that is not finite; 1 for a
/// constant column.
/// @throws statistics_error when the lengths do not sum to the number of rows
inline block_lengths automatic_block_length(std::span<const double> values, std::span<const std::size_t> lengths) {
  detail::require_lengths("block length", values.size(), lengths);
  block_lengths made;
  if (values.empty() || detail::count_not_finite(values) > 0) return made;
  made.stationary = made.circular = 1.0;
  const std::vector<double> x = detail::deviations(values);
  if (!detail::varies(x) || x.size() < 3) return made;
  const auto n = static_cast<double>(x.size());
  const auto longest = static_cast<double>(*std::max_element(lengths.begin(), lengths.end()));
  const auto run = static_cast<std::size_t>(std::max(5.0, std::floor(std::log10(n))));
  const std::size_t most = static_cast<std::size_t>(std::ceil(std::sqrt(n))) + run;
  const double limit = 2.0 * std::sqrt(std::log10(n) / n);

  // The first lag that begins a run of small autocorrelations; `most` where there is none.
  std::vector<double> covariance{detail::lagged_sum(x, lengths, 0) / n};
  std::size_t first = most;
  std::size_t small = 0;
  for (std::size_t k = 1; k <= most + run && first == most; ++k) {
    covariance.push_back(detail::lagged_sum(x, lengths, k) / n);
    small = std::fabs(covariance[k]) < limit * covariance[0] ? small + 1 : 0;
    if (small == run) first = k + 1 - run;
  }
  made.lags = std::min(2 * first, most);
  while (covariance.size() <= made.lags) {
    covariance.push_back(detail::lagged_sum(x, lengths, covariance.size()) / n);
  }
  double slope = 0.0;
  double total = covariance[0];
  for (std::size_t k = 1; k <= made.lags; ++k) {
    const double share = static_cast<double>(k) / static_cast<double>(made.lags);
    const double window = share <= 0.5 ? 1.0 : 2.0 * (1.0 - share);
    slope += 2.0 * window * static_cast<double>(k) * covariance[k];
    total += 2.0 * window * covariance[k];
  }
  const double largest = std::min({std::ceil(std::min(3.0 * std::sqrt(n), n / 3.0)), longest});
  const auto length = [&](double factor) {
    const double spread = factor * total * total;
    const double best = spread > 0.0 ? std::cbrt(2.0 * slope * slope / spread * n) : largest;
    return std::clamp(best, 1.0, std::max(1.0, largest));
  };
  made.stationary = length(2.0);
  made.circular = length(4.0 / 3.0);
  return made;
}

inline block_lengths automatic_block_length(std::span<const double> values) {
  return automatic_block_length(values, detail::one_series(values.size()));
}

}  // namespace rafter
