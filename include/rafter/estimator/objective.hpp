// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <type_traits>

#include "rafter/core/math.hpp"
#include "rafter/expression/availability.hpp"
#include "rafter/expression/operators.hpp"

/// What a linear model's sum stands for, and how rows weigh. An objective gives the label that is regressed, an
/// expression of the target; the root of each row's weight; the base that predictions are relative to; and the way
/// back from the model's value to seconds.
namespace rafter::objective {

namespace detail {
inline constexpr constant<1, 0, units::second> one_second{};
inline constexpr constant<1, 0> one{};
}  // namespace detail

/// Squared error of the time itself [s].
struct squared {
  static constexpr std::string_view name = "squared error";
  static constexpr bool weighted = false;
  static constexpr auto label(expression auto target) { return magnitude(target); }
  static constexpr auto root_weight(expression auto) { return detail::one; }
  static constexpr auto base() { return detail::one_second; }
  template <class V> static constexpr V predict(V value, V) { return value; }
};

/// Squared relative error, (prediction / time − 1)²: each row weighs 1/time².
struct relative {
  static constexpr std::string_view name = "relative error";
  static constexpr bool weighted = true;
  static constexpr auto label(expression auto target) { return magnitude(target); }
  static constexpr auto root_weight(expression auto target) { return detail::one / magnitude(target); }
  static constexpr auto base() { return detail::one_second; }
  template <class V> static constexpr V predict(V value, V) { return value; }
};

/// Squared error of log(time / base); predictions are base · exp(value), so always positive. `Base` is a time: an
/// expression of what is known before the step.
template <auto Base> struct log_ratio_to {
  using base_type = std::remove_cvref_t<decltype(Base)>;
  static_assert(base_type::dimension_v == units::second, "rafter: the base of a log ratio is a time");
  static_assert(rafter::detail::first_observed_after<base_type>().empty(),
                "rafter: the base of a log ratio reads an observable that is known only after the step");
  static constexpr std::string_view name = "log ratio";
  static constexpr bool weighted = false;
  static constexpr auto label(expression auto target) { return log(target / Base); }
  static constexpr auto root_weight(expression auto) { return detail::one; }
  static constexpr auto base() { return Base; }
  template <class V> static constexpr V predict(V value, V base_value) { return base_value * exp(value); }
};

/// Squared error of log(time).
using log_target = log_ratio_to<detail::one_second>;

}  // namespace rafter::objective
