// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "rafter/core/math.hpp"
#include "rafter/expression/availability.hpp"
#include "rafter/expression/operators.hpp"
#include "rafter/solver/robust_loss.hpp"
#include "rafter/step/groups.hpp"
#include "rafter/step/schema.hpp"

/// What a fit makes small. For a linear model an objective says what the sum stands for and how rows weigh: the label
/// that is regressed, an expression of the target; the root of each row's weight; the base that predictions are relative
/// to; and the way back from the model's value to seconds. For a model that is an expression in seconds it gives the
/// `residual`, an expression of model and target; `squared` and `relative` serve both.
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
  static constexpr auto residual(expression auto model, expression auto target) { return magnitude(model - target); }
};

/// Squared relative error, (prediction / time − 1)²: each row weighs 1/time².
struct relative {
  static constexpr std::string_view name = "relative error";
  static constexpr bool weighted = true;
  static constexpr auto label(expression auto target) { return magnitude(target); }
  static constexpr auto root_weight(expression auto target) { return detail::one / magnitude(target); }
  static constexpr auto base() { return detail::one_second; }
  template <class V> static constexpr V predict(V value, V) { return value; }
  static constexpr auto residual(expression auto model, expression auto target) { return (model - target) / target; }
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

/// The same where times are counted in milliseconds or microseconds: what a model was fitted to that comes from elsewhere.
using log_of_milliseconds = log_ratio_to<constant<1, -3, units::second>{}>;
using log_of_microseconds = log_ratio_to<constant<1, -6, units::second>{}>;
template <std::int64_t PerSecond> struct counted_in : squared {
  static constexpr auto label(expression auto target) { return magnitude(target) * constant<PerSecond, 0>{}; }
  template <class V> static constexpr V predict(V value, V) { return value / static_cast<double>(PerSecond); }
};
using milliseconds = counted_in<1'000>;
using microseconds = counted_in<1'000'000>;

/// Squared log(prediction / time) of a model that is an expression in seconds: a factor of two too slow counts like a
/// factor of two too fast, on steps of any length. The model must be positive on every row.
struct log_ratio {
  static constexpr std::string_view name = "log ratio";
  static constexpr auto residual(expression auto model, expression auto target) { return log(model / target); }
};

/// Gives a model in seconds its residuals.
template <class O>
concept residual_objective = requires(target_t target) {
  O::residual(detail::one_second, target);
};

/// Another objective with a loss that grows slower than the square for large residuals; `Scale`, in units of the
/// residual, is where it starts to: `robust<log_ratio, loss_kind::soft_l1, 0.1_c>`. Definitions as in scipy.
template <residual_objective Base, loss_kind Kind, auto Scale> struct robust : Base {
  static constexpr robust_loss loss{Kind, std::remove_cvref_t<decltype(Scale)>::value};
  static_assert(loss.scale > 0.0, "rafter: the scale of a robust loss is positive");
};

/// Another objective with a weight per row, an expression without unit of what is known before the step, >= 0.
template <residual_objective Base, auto Weight> struct weighted_by : Base {
  using weight_type = std::remove_cvref_t<decltype(Weight)>;
  static_assert(dimensionless<weight_type>, "rafter: a weight is a pure number");
  static_assert(rafter::detail::first_observed_after<weight_type>().empty(),
                "rafter: a weight reads an observable that is known only after the step");
  static constexpr auto weight() { return Weight; }
};

/// Another objective in which every label of an axis counts the same, however many rows it has: rows weigh
/// N / (labels · rows of the label), so a long experiment does not dominate.
template <group Axis, residual_objective Base> struct balanced : Base {
  static constexpr group balanced_axis = Axis;
};

/// One more thing that the same parameters must explain: a measured part of the step and the model of that part. Rows
/// on which the part was not measured or did not occur (time 0) do not count. `Weight` multiplies its squared residuals.
template <auto Part, auto Model, auto Weight = detail::one> struct part_of_step {
  static constexpr auto part() { return Part; }
  static constexpr auto model() { return Model; }
  static constexpr double root_weight = rafter::sqrt(std::remove_cvref_t<decltype(Weight)>::value);
};

/// Several targets, one parameter vector: the base objective of the whole step and the log ratio of each part,
/// `stacked<log_ratio, part_of_step<gemm_time, gemm>, part_of_step<decode_attention_time, decode>>`.
template <residual_objective Base, class... Parts> struct stacked : Base {
  template <class Model, class Target> static constexpr auto residuals(Model model, Target target) {
    return expression_list<std::remove_cvref_t<decltype(Base::residual(model, target))>,
                           std::remove_cvref_t<decltype(part_residual<Parts>())>...>{};
  }
  /// What is measured apart, for counting the rows on which it was.
  using measured_parts = expression_list<std::remove_cvref_t<decltype(Parts::part())>...>;
  static constexpr std::array<double, 1 + sizeof...(Parts)> root_weights{1.0, Parts::root_weight...};

 private:
  template <class Part> static constexpr auto part_residual() {
    return log(select(magnitude(Part::part()) > constant<0, 0>{}, Part::model() / Part::part(), detail::one));
  }
};

namespace detail {
/// What a linear model's solver would not see.
template <class O>
concept beyond_linear = requires {
  O::loss;
}
|| requires { O::weight(); }
|| requires { O::balanced_axis; }
|| requires { O::root_weights; };
}  // namespace detail

}  // namespace rafter::objective
