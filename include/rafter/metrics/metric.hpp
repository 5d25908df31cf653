// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <string_view>

#include "rafter/core/error.hpp"

namespace rafter {

/// Two columns that should pair up do not.
struct metric_error : error {
  using error::error;
};

/// How a report shows a value. Inside the library every relative error is a fraction (0.05); only presentation
/// multiplies by 100, and only where the kind is `percent`.
enum class metric_unit {
  percent,      ///< a fraction, shown as a percentage
  target_unit,  ///< in the unit of the target (seconds, microseconds, ...)
  none,         ///< a plain number
};

/// A number that says how well predictions match measurements, one row against one row. Shortest model:
/// `archetype::metric`. Axioms the compiler cannot check (tests/concepts/metric.hpp does):
/// - `evaluate` is a pure function of its arguments: no state, no dependence on threads;
/// - rows carry no order: permuting the rows changes the value by rounding only;
/// - `evaluate(a, a)` is `ideal` wherever it is defined, and |value - ideal| grows as predictions get worse, so two
///   predictors compare by it (a signed metric is not better for being more negative);
/// - empty input, or a single actual or predicted value that is not finite, gives NaN: no row is ever dropped in
///   silence (`error_summary` says how many rows were the reason);
/// - columns of different length throw `metric_error`.
template <class M>
concept metric = std::default_initializable<M> && requires(std::span<const double> column) {
  { M::name } -> std::convertible_to<std::string_view>;  // as written in code and files: mean_signed_percentage_error
  { M::label } -> std::convertible_to<std::string_view>;  // as read in a report: MSPE (signed)
  { M::higher_is_better } -> std::convertible_to<bool>;   // whether `ideal` is the top of the scale
  { M::ideal } -> std::convertible_to<double>;            // the value of a perfect prediction
  { M::unit } -> std::convertible_to<metric_unit>;
  { M::evaluate(column, column) } -> std::same_as<double>;
};

/// The same for intervals: `evaluate(actual, lower, upper)`, three columns of one length. Same axioms on input.
template <class M>
concept interval_metric = std::default_initializable<M> && requires(std::span<const double> column) {
  { M::name } -> std::convertible_to<std::string_view>;
  { M::label } -> std::convertible_to<std::string_view>;
  { M::unit } -> std::convertible_to<metric_unit>;
  { M::evaluate(column, column, column) } -> std::same_as<double>;
};

namespace detail {

inline constexpr double undefined = std::numeric_limits<double>::quiet_NaN();

inline std::size_t count_not_finite(std::span<const double> column) {
  std::size_t count = 0;
  for (const double value : column) count += std::isfinite(value) ? 0U : 1U;
  return count;
}

/// Throws unless both columns have one length; true when there are rows and every value is finite.
inline bool comparable(std::string_view name, std::span<const double> actual, std::span<const double> other) {
  if (actual.size() != other.size()) {
    throw metric_error("metric '" + std::string(name) + "': " + std::to_string(actual.size()) + " actual values, " +
                       std::to_string(other.size()) + " to compare them with");
  }
  return !actual.empty() && count_not_finite(actual) == 0 && count_not_finite(other) == 0;
}

}  // namespace detail

/// How far a value is from perfect; smaller is better for every metric.
template <metric M> double distance_from_ideal(double value) { return std::fabs(value - M::ideal); }

namespace archetype {

/// The shortest metric: the largest error of any row.
struct metric {
  static constexpr std::string_view name = "archetype_metric";
  static constexpr std::string_view label = "archetype";
  static constexpr bool higher_is_better = false;
  static constexpr double ideal = 0.0;
  static constexpr metric_unit unit = metric_unit::target_unit;
  static double evaluate(std::span<const double> actual, std::span<const double> predicted) {
    if (!detail::comparable(name, actual, predicted)) return detail::undefined;
    double worst = 0.0;
    for (std::size_t i = 0; i < actual.size(); ++i) worst = std::fmax(worst, std::fabs(predicted[i] - actual[i]));
    return worst;
  }
};

}  // namespace archetype

static_assert(metric<archetype::metric>);

}  // namespace rafter
