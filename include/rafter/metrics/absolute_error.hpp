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

/// Errors e = p - a in the unit of the target, and what they leave unexplained.

namespace rafter {

namespace detail {

struct absolute_metric {
  static constexpr bool higher_is_better = false;
  static constexpr double ideal = 0.0;
  static constexpr metric_unit unit = metric_unit::target_unit;
};

inline double sum_of_squares_around(std::span<const double> column, double centre) {
  accurate_sum sum;
  for (const double value : column) sum.add((value - centre) * (value - centre));
  return sum.value();
}

/// Mean of what `Row` makes of (a, p).
template <class Row>
double mean_over_rows(std::span<const double> actual, std::span<const double> predicted, Row row) {
  accurate_sum sum;
  for (std::size_t i = 0; i < actual.size(); ++i) sum.add(row(actual[i], predicted[i]));
  return sum.value() / static_cast<double>(actual.size());
}

inline double squared_error(double actual, double predicted) { return (predicted - actual) * (predicted - actual); }
inline double absolute_error(double actual, double predicted) { return std::fabs(predicted - actual); }
inline double signed_error(double actual, double predicted) { return predicted - actual; }

}  // namespace detail

/// Root mean square error.
struct rmse : detail::absolute_metric {
  static constexpr std::string_view name = "rmse";
  static constexpr std::string_view label = "RMSE";
  static double evaluate(std::span<const double> actual, std::span<const double> predicted) {
    if (!detail::comparable(name, actual, predicted)) return detail::undefined;
    return std::sqrt(detail::mean_over_rows(actual, predicted, detail::squared_error));
  }
};

/// Mean absolute error.
struct mae : detail::absolute_metric {
  static constexpr std::string_view name = "mae";
  static constexpr std::string_view label = "MAE";
  static double evaluate(std::span<const double> actual, std::span<const double> predicted) {
    if (!detail::comparable(name, actual, predicted)) return detail::undefined;
    return detail::mean_over_rows(actual, predicted, detail::absolute_error);
  }
};

/// Median absolute error.
struct median_ae : detail::absolute_metric {
  static constexpr std::string_view name = "median_ae";
  static constexpr std::string_view label = "median AE";
  static double evaluate(std::span<const double> actual, std::span<const double> predicted) {
    if (!detail::comparable(name, actual, predicted)) return detail::undefined;
    std::vector<double> errors(actual.size());
    std::transform(actual.begin(), actual.end(), predicted.begin(), errors.begin(), detail::absolute_error);
    std::sort(errors.begin(), errors.end());
    return quantile_of_sorted(errors, 0.5);
  }
};

/// Largest absolute error of any row.
struct max_error : detail::absolute_metric {
  static constexpr std::string_view name = "max_error";
  static constexpr std::string_view label = "max error";
  static double evaluate(std::span<const double> actual, std::span<const double> predicted) {
    if (!detail::comparable(name, actual, predicted)) return detail::undefined;
    double worst = 0.0;
    for (std::size_t i = 0; i < actual.size(); ++i) worst = std::fmax(worst, std::fabs(predicted[i] - actual[i]));
    return worst;
  }
};

/// Mean of p - a; positive: predicted too long.
struct bias : detail::absolute_metric {
  static constexpr std::string_view name = "bias";
  static constexpr std::string_view label = "bias";
  static double evaluate(std::span<const double> actual, std::span<const double> predicted) {
    if (!detail::comparable(name, actual, predicted)) return detail::undefined;
    return detail::mean_over_rows(actual, predicted, detail::signed_error);
  }
};

/// Coefficient of determination, 1 - sum (p - a)^2 / sum (a - mean a)^2; below 0 when a constant would do better.
/// NaN when every a is the same.
struct r2 {
  static constexpr std::string_view name = "r2";
  static constexpr std::string_view label = "R2";
  static constexpr bool higher_is_better = true;
  static constexpr double ideal = 1.0;
  static constexpr metric_unit unit = metric_unit::none;
  static double evaluate(std::span<const double> actual, std::span<const double> predicted) {
    if (!detail::comparable(name, actual, predicted)) return detail::undefined;
    return of_mean_square(actual, detail::mean_over_rows(actual, predicted, detail::squared_error));
  }
  static double of_mean_square(std::span<const double> actual, double mean_square_error) {
    const double total = detail::sum_of_squares_around(actual, accurate_mean(actual));
    if (total == 0.0) return detail::undefined;
    return 1.0 - mean_square_error * static_cast<double>(actual.size()) / total;
  }
};

/// 1 - variance(p - a) / variance(a): R2 that forgives a constant bias. NaN when every a is the same.
struct explained_variance {
  static constexpr std::string_view name = "explained_variance";
  static constexpr std::string_view label = "explained variance";
  static constexpr bool higher_is_better = true;
  static constexpr double ideal = 1.0;
  static constexpr metric_unit unit = metric_unit::none;
  static double evaluate(std::span<const double> actual, std::span<const double> predicted) {
    if (!detail::comparable(name, actual, predicted)) return detail::undefined;
    std::vector<double> errors(actual.size());
    std::transform(actual.begin(), actual.end(), predicted.begin(), errors.begin(), detail::signed_error);
    const double total = detail::sum_of_squares_around(actual, accurate_mean(actual));
    if (total == 0.0) return detail::undefined;
    return 1.0 - detail::sum_of_squares_around(errors, accurate_mean(errors)) / total;
  }
};

static_assert(metric<rmse> && metric<mae> && metric<median_ae> && metric<max_error> && metric<bias>);
static_assert(metric<r2> && metric<explained_variance>);

}  // namespace rafter
