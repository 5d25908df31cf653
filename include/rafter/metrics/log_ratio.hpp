// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string_view>

#include "rafter/core/math.hpp"
#include "rafter/metrics/accurate_sum.hpp"
#include "rafter/metrics/metric.hpp"

/// Errors of log(p / a): symmetric in over- and under-prediction by a factor. Defined only where a > 0 and p > 0; a
/// single other row makes the value NaN (`non_positive_rows` says how many there are).

namespace rafter {

/// Rows in which log(p / a) does not exist.
inline std::size_t non_positive_rows(std::span<const double> actual, std::span<const double> predicted) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < actual.size(); ++i) count += actual[i] > 0.0 && predicted[i] > 0.0 ? 0U : 1U;
  return count;
}

namespace detail {
inline double log_ratio(double actual, double predicted) { return rafter::log(predicted) - rafter::log(actual); }
}  // namespace detail

/// Root mean square of log(p / a); 0.1 is a typical factor of e^0.1, about 10 %.
struct log_ratio_rmse {
  static constexpr std::string_view name = "log_ratio_rmse";
  static constexpr std::string_view label = "log-ratio RMSE";
  static constexpr bool higher_is_better = false;
  static constexpr double ideal = 0.0;
  static constexpr metric_unit unit = metric_unit::none;
  static double evaluate(std::span<const double> actual, std::span<const double> predicted) {
    if (!detail::comparable(name, actual, predicted) || non_positive_rows(actual, predicted) > 0) {
      return detail::undefined;
    }
    accurate_sum sum;
    for (std::size_t i = 0; i < actual.size(); ++i) {
      const double ratio = detail::log_ratio(actual[i], predicted[i]);
      sum.add(ratio * ratio);
    }
    return std::sqrt(sum.value() / static_cast<double>(actual.size()));
  }
};

/// exp(mean log(p / a)): the factor by which predictions are too long (> 1) or too short (< 1) on the whole.
struct geometric_mean_ratio {
  static constexpr std::string_view name = "geometric_mean_ratio";
  static constexpr std::string_view label = "geometric mean p/a";
  static constexpr bool higher_is_better = false;
  static constexpr double ideal = 1.0;
  static constexpr metric_unit unit = metric_unit::none;
  static double evaluate(std::span<const double> actual, std::span<const double> predicted) {
    if (!detail::comparable(name, actual, predicted) || non_positive_rows(actual, predicted) > 0) {
      return detail::undefined;
    }
    accurate_sum sum;
    for (std::size_t i = 0; i < actual.size(); ++i) sum.add(detail::log_ratio(actual[i], predicted[i]));
    return rafter::exp(sum.value() / static_cast<double>(actual.size()));
  }
};

static_assert(metric<log_ratio_rmse> && metric<geometric_mean_ratio>);

}  // namespace rafter
