// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "rafter/metrics/accurate_sum.hpp"
#include "rafter/metrics/metric.hpp"
#include "rafter/metrics/quantile.hpp"

/// Errors relative to the measured value, as fractions. The absolute percentage error of a row is |p - a| / |a|, the
/// signed one (p - a) / |a| (positive: predicted too long). Both exist only where a is not 0: metrics with
/// `skips_zero_actual` leave such rows out, and every report prints `zero_actual_rows` beside them.

namespace rafter {

/// How many rows a metric with `skips_zero_actual` leaves out.
inline std::size_t zero_actual_rows(std::span<const double> actual) {
  return static_cast<std::size_t>(std::count(actual.begin(), actual.end(), 0.0));
}

namespace detail {

/// (p - a) / |a| of the rows with a != 0, in the order of the rows.
inline std::vector<double> signed_percentage_errors(std::span<const double> actual,
                                                    std::span<const double> predicted) {
  std::vector<double> errors;
  errors.reserve(actual.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    if (actual[i] != 0.0) errors.push_back((predicted[i] - actual[i]) / std::fabs(actual[i]));
  }
  return errors;
}

inline std::vector<double> sorted_absolute(std::vector<double> errors) {
  for (double& e : errors) e = std::fabs(e);
  std::sort(errors.begin(), errors.end());
  return errors;
}

inline double mean_absolute(std::span<const double> errors) {
  accurate_sum sum;
  for (const double e : errors) sum.add(std::fabs(e));
  return sum.value() / static_cast<double>(errors.size());
}

/// Share of a sorted column above a limit.
inline double share_above(std::span<const double> ascending, double limit) {
  const auto above = ascending.end() - std::upper_bound(ascending.begin(), ascending.end(), limit);
  return static_cast<double>(above) / static_cast<double>(ascending.size());
}

/// 1 - |sum e| / sum |e|, 0 when there is no error.
inline double cancelled_share(double mean_signed, double mean_absolute_error) {
  if (mean_absolute_error == 0.0) return 0.0;
  return std::max(0.0, 1.0 - std::fabs(mean_signed) / mean_absolute_error);
}

struct percentage_metric {
  static constexpr bool higher_is_better = false;
  static constexpr double ideal = 0.0;
  static constexpr metric_unit unit = metric_unit::percent;
  static constexpr bool skips_zero_actual = true;
};

template <int Percent>
double ape_quantile(std::string_view name, std::span<const double> actual, std::span<const double> predicted) {
  if (!comparable(name, actual, predicted)) return undefined;
  return quantile_of_sorted(sorted_absolute(signed_percentage_errors(actual, predicted)), Percent / 100.0);
}

}  // namespace detail

/// Whether rows with a measured value of 0 are left out (their number is `zero_actual_rows`).
template <class M> inline constexpr bool skips_zero_actual = requires { requires M::skips_zero_actual; };

/// Mean absolute percentage error.
struct mape : detail::percentage_metric {
  static constexpr std::string_view name = "mape";
  static constexpr std::string_view label = "MAPE";
  static double evaluate(std::span<const double> actual, std::span<const double> predicted) {
    if (!detail::comparable(name, actual, predicted)) return detail::undefined;
    return detail::mean_absolute(detail::signed_percentage_errors(actual, predicted));
  }
};

/// Median absolute percentage error.
struct median_ape : detail::percentage_metric {
  static constexpr std::string_view name = "median_ape";
  static constexpr std::string_view label = "median APE";
  static double evaluate(std::span<const double> actual, std::span<const double> predicted) {
    return detail::ape_quantile<50>(name, actual, predicted);
  }
};

struct p90_ape : detail::percentage_metric {
  static constexpr std::string_view name = "p90_ape";
  static constexpr std::string_view label = "p90 APE";
  static double evaluate(std::span<const double> actual, std::span<const double> predicted) {
    return detail::ape_quantile<90>(name, actual, predicted);
  }
};

struct p99_ape : detail::percentage_metric {
  static constexpr std::string_view name = "p99_ape";
  static constexpr std::string_view label = "p99 APE";
  static double evaluate(std::span<const double> actual, std::span<const double> predicted) {
    return detail::ape_quantile<99>(name, actual, predicted);
  }
};

/// Mean of (p - a) / |a|. Never read it alone: errors of +100 % and -100 % have the mean 0 (see `cancellation`).
struct mean_signed_percentage_error : detail::percentage_metric {
  static constexpr std::string_view name = "mean_signed_percentage_error";
  static constexpr std::string_view label = "MSPE (signed)";
  static double evaluate(std::span<const double> actual, std::span<const double> predicted) {
    if (!detail::comparable(name, actual, predicted)) return detail::undefined;
    return accurate_mean(detail::signed_percentage_errors(actual, predicted));
  }
};

/// 1 - |MSPE (signed)| / MAPE: the share of the absolute error that cancels in the signed mean. 0: all errors have
/// one sign (a bias); 1: the signed mean shows nothing of the error. 0 when there is no error.
struct cancellation : detail::percentage_metric {
  static constexpr std::string_view name = "cancellation";
  static constexpr std::string_view label = "cancelled share";
  static double evaluate(std::span<const double> actual, std::span<const double> predicted) {
    if (!detail::comparable(name, actual, predicted)) return detail::undefined;
    const std::vector<double> errors = detail::signed_percentage_errors(actual, predicted);
    if (errors.empty()) return detail::undefined;
    return detail::cancelled_share(accurate_mean(errors), detail::mean_absolute(errors));
  }
};

/// Share of the rows with APE > 50 %.
struct share_above_half : detail::percentage_metric {
  static constexpr std::string_view name = "share_above_half";
  static constexpr std::string_view label = "APE > 50 %";
  static double evaluate(std::span<const double> actual, std::span<const double> predicted) {
    if (!detail::comparable(name, actual, predicted)) return detail::undefined;
    const auto errors = detail::sorted_absolute(detail::signed_percentage_errors(actual, predicted));
    return errors.empty() ? detail::undefined : detail::share_above(errors, 0.5);
  }
};

/// Mean of 2|p - a| / (|a| + |p|), from 0 to 2; a row with a = p = 0 counts as 0. All rows.
struct smape : detail::percentage_metric {
  static constexpr std::string_view name = "smape";
  static constexpr std::string_view label = "sMAPE (0-200 %)";
  static constexpr bool skips_zero_actual = false;
  static double evaluate(std::span<const double> actual, std::span<const double> predicted) {
    if (!detail::comparable(name, actual, predicted)) return detail::undefined;
    accurate_sum sum;
    for (std::size_t i = 0; i < actual.size(); ++i) sum.add(of_row(actual[i], predicted[i]));
    return sum.value() / static_cast<double>(actual.size());
  }
  static double of_row(double actual, double predicted) {
    const double error = std::fabs(predicted - actual);
    return error == 0.0 ? 0.0 : 2.0 * error / (std::fabs(actual) + std::fabs(predicted));
  }
};

/// Sum of |p - a| over sum of |a|: the error of the total time, row by row. NaN when every a is 0.
struct wape : detail::percentage_metric {
  static constexpr std::string_view name = "wape";
  static constexpr std::string_view label = "WAPE";
  static constexpr bool skips_zero_actual = false;
  static double evaluate(std::span<const double> actual, std::span<const double> predicted) {
    if (!detail::comparable(name, actual, predicted)) return detail::undefined;
    accurate_sum error;
    accurate_sum total;
    for (std::size_t i = 0; i < actual.size(); ++i) {
      error.add(std::fabs(predicted[i] - actual[i]));
      total.add(std::fabs(actual[i]));
    }
    return total.value() == 0.0 ? detail::undefined : error.value() / total.value();
  }
};

static_assert(metric<mape> && metric<median_ape> && metric<p90_ape> && metric<p99_ape>);
static_assert(metric<mean_signed_percentage_error> && metric<cancellation> && metric<share_above_half>);
static_assert(metric<smape> && metric<wape>);

}  // namespace rafter
