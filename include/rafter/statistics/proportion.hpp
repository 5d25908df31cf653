// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: includes Boost.Math's special functions; for those who count.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>

#include "rafter/statistics/distributions.hpp"
#include "rafter/statistics/hypothesis.hpp"

namespace rafter {

/// A share of independent trials and what it may be. Of no trials: NaN, in [0, 1].
struct share_interval {
  double share = detail::no_number;
  double lower = 0.0;
  double upper = 1.0;
};

namespace detail {

inline share_interval observed_share(std::size_t successes, std::size_t trials, double confidence) {
  require_confidence("interval of a share", confidence);
  if (successes > trials) {
    throw statistics_error("interval of a share: " + std::to_string(successes) + " successes in " +
                           std::to_string(trials) + " trials");
  }
  share_interval made;
  if (trials > 0) made.share = static_cast<double>(successes) / static_cast<double>(trials);
  return made;
}

}  // namespace detail

/// Clopper and Pearson 1934: the shares that a binomial test does not refuse. Covers at least as often as it says.
/// @throws statistics_error for more successes than trials, or a confidence that is not in (0, 1)
inline share_interval clopper_pearson(std::size_t successes, std::size_t trials, double confidence = 0.95) {
  share_interval made = detail::observed_share(successes, trials, confidence);
  const double tail = (1.0 - confidence) / 2.0;
  const auto k = static_cast<double>(successes);
  const auto n = static_cast<double>(trials);
  if (successes > 0) made.lower = detail::beta_quantile(k, n - k + 1.0, tail);
  if (successes < trials) made.upper = detail::beta_quantile(k + 1.0, n - k, 1.0 - tail);
  return made;
}

/// Wilson 1927: the shares whose normal score test does not refuse. Shorter; covers as often as it says on average.
/// @throws statistics_error as clopper_pearson
inline share_interval wilson(std::size_t successes, std::size_t trials, double confidence = 0.95) {
  share_interval made = detail::observed_share(successes, trials, confidence);
  if (trials == 0) return made;
  const auto n = static_cast<double>(trials);
  const double z = -detail::normal_quantile((1.0 - confidence) / 2.0);
  const double centre = made.share + z * z / (2.0 * n);
  const double half = z * std::sqrt(made.share * (1.0 - made.share) / n + z * z / (4.0 * n * n));
  const double scale = 1.0 + z * z / n;
  made.lower = successes == 0 ? 0.0 : std::max(0.0, (centre - half) / scale);
  made.upper = successes == trials ? 1.0 : std::min(1.0, (centre + half) / scale);
  return made;
}

}  // namespace rafter
