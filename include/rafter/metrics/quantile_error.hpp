// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string_view>

#include "rafter/metrics/accurate_sum.hpp"
#include "rafter/metrics/metric.hpp"

/// Quality of predicted quantiles and intervals.

namespace rafter {

namespace detail {

/// `pinball_90` from "pinball_" and 90 (1 to 99).
template <std::size_t N> constexpr auto with_percent(const char (&prefix)[N], int percent) {
  std::array<char, N + 2> text{};
  std::copy_n(prefix, N - 1, text.begin());
  if (percent >= 10) text[N - 1] = static_cast<char>('0' + percent / 10);
  text[percent >= 10 ? N : N - 1] = static_cast<char>('0' + percent % 10);
  return text;
}

inline bool comparable_interval(std::string_view name, std::span<const double> actual, std::span<const double> lower,
                                std::span<const double> upper) {
  const bool low = comparable(name, actual, lower);
  return comparable(name, actual, upper) && low;
}

}  // namespace detail

/// Mean pinball loss of a predicted Percent-quantile f: max(q(a - f), (q - 1)(a - f)), q = Percent / 100
/// (Koenker and Bassett 1978). The true quantile minimises it.
template <int Percent> struct pinball {
  static_assert(Percent > 0 && Percent < 100, "rafter: pinball<Percent> takes a percentage between 1 and 99");
  static constexpr auto name_text = detail::with_percent("pinball_", Percent);
  static constexpr auto label_text = detail::with_percent("pinball p", Percent);
  static constexpr std::string_view name{name_text.data()};
  static constexpr std::string_view label{label_text.data()};
  static constexpr bool higher_is_better = false;
  static constexpr double ideal = 0.0;
  static constexpr metric_unit unit = metric_unit::target_unit;
  static double evaluate(std::span<const double> actual, std::span<const double> predicted) {
    if (!detail::comparable(name, actual, predicted)) return detail::undefined;
    constexpr double q = Percent / 100.0;
    accurate_sum sum;
    for (std::size_t i = 0; i < actual.size(); ++i) {
      const double above = actual[i] - predicted[i];
      sum.add(std::max(q * above, (q - 1.0) * above));
    }
    return sum.value() / static_cast<double>(actual.size());
  }
};

/// Share of the rows with lower <= a <= upper (both ends belong). Good when it equals the nominal level, not when
/// high.
struct interval_coverage {
  static constexpr std::string_view name = "interval_coverage";
  static constexpr std::string_view label = "coverage";
  static constexpr metric_unit unit = metric_unit::percent;
  static double evaluate(std::span<const double> actual, std::span<const double> lower,
                         std::span<const double> upper) {
    if (!detail::comparable_interval(name, actual, lower, upper)) return detail::undefined;
    std::size_t inside = 0;
    for (std::size_t i = 0; i < actual.size(); ++i)
      inside += lower[i] <= actual[i] && actual[i] <= upper[i] ? 1U : 0U;
    return static_cast<double>(inside) / static_cast<double>(actual.size());
  }
};

/// Mean of upper - lower; negative where bounds are crossed, which no sane interval does.
struct interval_width {
  static constexpr std::string_view name = "interval_width";
  static constexpr std::string_view label = "mean width";
  static constexpr metric_unit unit = metric_unit::target_unit;
  static double evaluate(std::span<const double> actual, std::span<const double> lower,
                         std::span<const double> upper) {
    if (!detail::comparable_interval(name, actual, lower, upper)) return detail::undefined;
    accurate_sum sum;
    for (std::size_t i = 0; i < actual.size(); ++i) sum.add(upper[i] - lower[i]);
    return sum.value() / static_cast<double>(actual.size());
  }
};

/// Interval score of a central interval of nominal level 1 - alpha = Level / 100 (Gneiting and Raftery 2007, eq. 43):
/// mean of width + (2/alpha)·(how far a lies outside). Smaller is better; rewards sharpness and coverage together.
template <int Level> struct interval_score {
  static_assert(Level > 0 && Level < 100, "rafter: interval_score<Level> takes a level in percent between 1 and 99");
  static constexpr auto name_text = detail::with_percent("interval_score_", Level);
  static constexpr auto label_text = detail::with_percent("interval score ", Level);
  static constexpr std::string_view name{name_text.data()};
  static constexpr std::string_view label{label_text.data()};
  static constexpr metric_unit unit = metric_unit::target_unit;
  static double evaluate(std::span<const double> actual, std::span<const double> lower,
                         std::span<const double> upper) {
    if (!detail::comparable_interval(name, actual, lower, upper)) return detail::undefined;
    constexpr double penalty = 200.0 / (100 - Level);
    accurate_sum sum;
    for (std::size_t i = 0; i < actual.size(); ++i) {
      const double outside = std::max(lower[i] - actual[i], 0.0) + std::max(actual[i] - upper[i], 0.0);
      sum.add((upper[i] - lower[i]) + penalty * outside);
    }
    return sum.value() / static_cast<double>(actual.size());
  }
};

static_assert(metric<pinball<50>> && interval_metric<interval_coverage> && interval_metric<interval_width>);
static_assert(interval_metric<interval_score<80>> && pinball<5>::name == "pinball_5" &&
              pinball<90>::name == "pinball_90");

}  // namespace rafter
