// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: the language of hypotheses takes a second or two to compile; for those who state them.
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "rafter/core/diagnostic.hpp"
#include "rafter/evaluation/hypothesis/truth.hpp"
#include "rafter/metrics/absolute_error.hpp"
#include "rafter/metrics/correlation.hpp"
#include "rafter/metrics/error_summary.hpp"
#include "rafter/metrics/log_ratio.hpp"
#include "rafter/metrics/metric.hpp"
#include "rafter/metrics/percentage_error.hpp"
#include "rafter/units/quantity.hpp"

namespace rafter {

namespace hypotheses {

/// A threshold of an error or a share: `20_pct`, or `out_of(12, 16)`. Of a difference of errors it is in points.
struct percent {
  double fraction = 0.0;
  int part = 0, whole = 0;  ///< of out_of

  std::string text() const {
    if (whole > 0) return std::to_string(part) + " of " + std::to_string(whole);
    return detail::threshold_text(fraction, scale::fraction);
  }
};
/// A share of as many as a claim was made of: 12 of 16 are 75 % of however many there are here.
constexpr percent out_of(int part, int whole) {
  return {static_cast<double>(part) / static_cast<double>(whole), part, whole};
}

// The vocabulary of messages; declared, never defined.
template <class Threshold> struct write_percentages_with_the_suffix__pct;
template <class Threshold> struct write_a_plain_number;
template <class Threshold> struct write_a_time_with_the_suffix__us;

namespace detail {

/// A threshold in base units, and as it is written.
struct threshold {
  double value;
  std::string text;
};

template <scale In, class T> threshold threshold_in(const T& given) {
  if constexpr (In == scale::fraction) {
    static_assert(
        std::is_same_v<T, percent> || satisfied<write_percentages_with_the_suffix__pct<T>>,
        "rafter: a relative error and a share are compared with a percentage: write 20_pct, not 20 and not 0.2");
    if constexpr (std::is_same_v<T, percent>) return {given.fraction, given.text()};
  } else if constexpr (In == scale::time) {
    static_assert(std::is_same_v<T, seconds> || satisfied<write_a_time_with_the_suffix__us<T>>,
                  "rafter: an error in the unit of the target is compared with a time: write 250_us");
    if constexpr (std::is_same_v<T, seconds>) return {given.value, threshold_text(given.value, In)};
  } else {
    static_assert(std::is_arithmetic_v<T> || satisfied<write_a_plain_number<T>>,
                  "rafter: a correlation, a ratio and a count are compared with a plain number: write 0.9 or 12");
    if constexpr (std::is_arithmetic_v<T>)
      return {static_cast<double>(given), threshold_text(static_cast<double>(given), In)};
  }
  return {std::numeric_limits<double>::quiet_NaN(), {}};  // so that one mistake gives one error
}

constexpr scale scale_of(metric_unit unit) {
  return unit == metric_unit::percent       ? scale::fraction
         : unit == metric_unit::target_unit ? scale::time
                                            : scale::number;
}

template <metric M> double evaluated_by(std::span<const double> actual, std::span<const double> predicted) {
  return M::evaluate(actual, predicted);
}

/// A metric, maybe its magnitude.
struct any_measure {
  std::string_view name;
  scale in = scale::number;
  double (*evaluate)(std::span<const double>, std::span<const double>) = nullptr;
  double error_summary::*summarised = nullptr;  ///< where a summary has it already
  bool absolute = false;

  std::string text() const { return absolute ? "abs(" + std::string(name) + ")" : std::string(name); }
  double operator()(double value) const { return absolute ? std::abs(value) : value; }
};

}  // namespace detail

/// An error of a set of rows, to be compared with a threshold.
template <scale In> struct measure : detail::any_measure {};

/// Any metric (metrics/metric.hpp), yours included: `value<my_metric> < 0.1`.
template <metric M>
inline constexpr measure<detail::scale_of(M::unit)> value{
    {M::name, detail::scale_of(M::unit), &detail::evaluated_by<M>}};

namespace detail {
template <metric M>
constexpr measure<scale_of(M::unit)> named(std::string_view name, double error_summary::*summarised) {
  auto made = value<M>;
  made.name = name;
  made.summarised = summarised;
  return made;
}
}  // namespace detail

inline constexpr auto mape = detail::named<rafter::mape>("mape", &error_summary::mape);
/// The mean *signed* percentage error.
inline constexpr auto mspe =
    detail::named<mean_signed_percentage_error>("mspe", &error_summary::mean_signed_percentage_error);
inline constexpr auto median_ape = detail::named<rafter::median_ape>("median_ape", &error_summary::median_ape);
inline constexpr auto p90_ape = detail::named<rafter::p90_ape>("p90_ape", &error_summary::p90_ape);
inline constexpr auto p99_ape = detail::named<rafter::p99_ape>("p99_ape", &error_summary::p99_ape);
inline constexpr auto share_above_half =
    detail::named<rafter::share_above_half>("share_above_half", &error_summary::share_above_half);
inline constexpr auto pearson = detail::named<rafter::pearson>("pearson", &error_summary::pearson);
inline constexpr auto spearman = detail::named<rafter::spearman>("spearman", nullptr);
inline constexpr auto r2 = detail::named<rafter::r2>("r2", &error_summary::r2);
inline constexpr auto rmse = detail::named<rafter::rmse>("rmse", &error_summary::rmse);
inline constexpr auto mae = detail::named<rafter::mae>("mae", &error_summary::mae);

/// The magnitude of a signed metric.
template <scale In> constexpr measure<In> abs(measure<In> of) {
  of.absolute = true;
  return of;
}

/// What may be asked of one set of rows: `mape < 20_pct && abs(mspe) < 5_pct`.
class row_test {
 public:
  struct comparison {
    detail::any_measure what;
    relation is;
    detail::threshold to;
    std::string text() const { return what.text() + " " + std::string(name_of(is)) + " " + to.text; }
  };

  explicit row_test(comparison leaf) : leaves_{std::move(leaf)}, program_{0} {}

  /// In the order in which they are written.
  const std::vector<comparison>& comparisons() const { return leaves_; }
  /// @param value_of  gives a comparison's measured value; NaN where it has none
  template <class Value> truth operator()(Value value_of) const {
    std::vector<truth> stack;
    for (const int one : program_) {
      if (one >= 0) {
        const comparison& leaf = leaves_[static_cast<std::size_t>(one)];
        const double value = value_of(leaf);
        stack.push_back(std::isnan(value) ? truth::unknown : known(holds(value, leaf.is, leaf.to.value)));
      } else if (one == negate) {
        stack.back() = negated(stack.back());
      } else {
        const truth b = stack.back();
        stack.pop_back();
        stack.back() = one == both ? all_of(stack.back(), b) : any_of(stack.back(), b);
      }
    }
    return stack.back();
  }
  std::string text() const {
    std::vector<std::pair<std::string, bool>> stack;  // and whether it joins two
    for (const int one : program_) {
      if (one >= 0) {
        stack.emplace_back(leaves_[static_cast<std::size_t>(one)].text(), false);
      } else if (one == negate) {
        stack.back() = {"!(" + stack.back().first + ")", false};
      } else {
        const auto wrapped = [](const auto& side) { return side.second ? "(" + side.first + ")" : side.first; };
        const auto b = stack.back();
        stack.pop_back();
        stack.back() = {wrapped(stack.back()) + (one == both ? " && " : " || ") + wrapped(b), true};
      }
    }
    return stack.back().first;
  }

  friend row_test operator&&(const row_test& a, const row_test& b) { return row_test(a, b, both); }
  friend row_test operator||(const row_test& a, const row_test& b) { return row_test(a, b, either); }
  friend row_test operator!(row_test a) {
    a.program_.push_back(negate);
    return a;
  }

 private:
  static constexpr int negate = -1, both = -2, either = -3;
  row_test(const row_test& a, const row_test& b, int join) : leaves_(a.leaves_), program_(a.program_) {
    leaves_.insert(leaves_.end(), b.leaves_.begin(), b.leaves_.end());
    for (const int one : b.program_) {
      program_.push_back(one >= 0 ? one + static_cast<int>(a.leaves_.size()) : one);
    }
    program_.push_back(join);
  }

  std::vector<comparison> leaves_;
  std::vector<int> program_;  // postfix
};

template <scale In, class T> row_test operator<(measure<In> what, const T& to) {
  return row_test({what, relation::below, detail::threshold_in<In>(to)});
}
template <scale In, class T> row_test operator<=(measure<In> what, const T& to) {
  return row_test({what, relation::at_most, detail::threshold_in<In>(to)});
}
template <scale In, class T> row_test operator>(measure<In> what, const T& to) {
  return row_test({what, relation::above, detail::threshold_in<In>(to)});
}
template <scale In, class T> row_test operator>=(measure<In> what, const T& to) {
  return row_test({what, relation::at_least, detail::threshold_in<In>(to)});
}

// A metric itself, for those who do not bring in this namespace's names: `mape{} < 20_pct`.
template <metric M> row_test operator<(M, percent to) { return value<M> < to; }
template <metric M> row_test operator<=(M, percent to) { return value<M> <= to; }
template <metric M> row_test operator>(M, percent to) { return value<M> > to; }
template <metric M> row_test operator>=(M, percent to) { return value<M> >= to; }

}  // namespace hypotheses

namespace literals {
constexpr hypotheses::percent operator""_pct(long double v) { return {static_cast<double>(v / 100.0L)}; }
constexpr hypotheses::percent operator""_pct(unsigned long long v) { return {static_cast<double>(v) / 100.0}; }
}  // namespace literals
namespace hypotheses {
using namespace literals;
}

}  // namespace rafter
