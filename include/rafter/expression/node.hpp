// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "rafter/core/diagnostic.hpp"
#include "rafter/core/fixed_string.hpp"
#include "rafter/units/dimension.hpp"

namespace rafter {

// ---------------------------------------------------------------------------------------------------------------
// An expression is an empty type. Its static members say everything the compiler must know about it:
//   dimension_v   exponents of token, FLOP, byte, second
//   level_v       what its value varies with: nothing, the deployment, the step, the request
//   domain_v      for request-level expressions, which requests it is defined for
// and it is either a leaf (constant or observable) or a node (an operation over `arguments`).
// ---------------------------------------------------------------------------------------------------------------

/// What an expression's value varies with. `deployment` covers architecture, hardware and their combination (tp, KV
/// pool): uniform over all steps of one engine.
enum class level : std::uint8_t { constant, deployment, step, request };

/// When an observable is known. `observed_after_step` is a label, never a feature; `identity` tells which model,
/// workload or hardware the row belongs to, so it is no feature when that axis is held out.
enum class provenance : std::uint8_t { known_before_step, observed_after_step, identity };

/// Which requests of a step: all of them, those in prefill, those in decode.
enum class request_domain : std::uint8_t { all, prefill, decode };

constexpr std::string_view name_of(request_domain domain) {
  return domain == request_domain::prefill ? "prefill" : domain == request_domain::decode ? "decode" : "all";
}

enum class operation : std::uint8_t {
  constant,
  leaf,
  parameter,  // leaves; a parameter's value is known once a model is fitted
  negate,
  square_root,
  logarithm,
  logarithm_1p,
  exponential,
  round_up,
  integer_power,
  logical_not,
  add,
  subtract,
  multiply,
  divide,
  minimum,
  maximum,
  less,
  less_equal,
  greater,
  greater_equal,
  equal,
  not_equal,
  logical_and,
  logical_or,
  select,
  ratio,
  reduce_sum,
  reduce_mean,
  reduce_minimum,
  reduce_maximum,
  reduce_deviation,
  reduce_count,
  relabel,      // changes dimension or level, not the value
  curve,        // a function of one number that the program brings along
  curve_slope,  // its derivative: in tapes only
};

constexpr bool is_reduction(operation op) { return op >= operation::reduce_sum && op <= operation::reduce_count; }
constexpr bool is_condition(operation op) {
  return (op >= operation::less && op <= operation::logical_or) || op == operation::logical_not;
}

struct expression_base {
  static constexpr bool condition_v = false;  ///< 1 or 0: a comparison, or comparisons combined
};

/// The arguments of a node, in order.
template <class... Es> struct expression_list {};

/// An empty type that stands for a number computed from a step. Satisfied by constants, observables and everything
/// that operators make of them.
template <class E>
concept expression = std::is_base_of_v<expression_base, std::remove_cvref_t<E>>;

namespace detail {
struct leaf_base : expression_base {};

template <class E>
concept leaf = std::is_base_of_v<leaf_base, std::remove_cvref_t<E>>;

constexpr request_domain common_domain(request_domain a, request_domain b) {
  return a == request_domain::all ? b : a;
}
template <class... Es> consteval request_domain domain_of_all() {
  request_domain domain = request_domain::all;
  ((domain = common_domain(domain, Es::domain_v)), ...);
  return domain;
}
template <class... Es> consteval level level_of_all() {
  level highest = level::constant;
  ((highest = Es::level_v > highest ? Es::level_v : highest), ...);
  return highest;
}
}  // namespace detail

namespace detail {
constexpr dimension half(dimension d) { return {d.token / 2, d.flop / 2, d.byte / 2, d.second / 2}; }

/// The dimension that an operation gives its result; operands have been checked.
template <operation Op, class... Arguments> consteval dimension dimension_rule() {
  constexpr dimension of[] = {Arguments::dimension_v..., units::none, units::none};
  using enum operation;
  if constexpr (Op == multiply)
    return of[0] * of[1];
  else if constexpr (Op == divide || Op == ratio)
    return of[0] / of[1];
  else if constexpr (Op == select)
    return of[1];
  else if constexpr (Op == square_root)
    return half(of[0]);
  else if constexpr (Op == add || Op == subtract || Op == minimum || Op == maximum || Op == negate)
    return of[0];
  else
    return units::none;
}
}  // namespace detail

/// An operation over argument expressions.
template <operation Op, class... Arguments> struct node : expression_base {
  static constexpr operation operation_v = Op;
  static constexpr bool condition_v = is_condition(Op);
  static constexpr dimension dimension_v = detail::dimension_rule<Op, Arguments...>();
  static constexpr level level_v = detail::level_of_all<Arguments...>();
  static constexpr int detail_v = 0;
  static constexpr request_domain domain_v = detail::domain_of_all<Arguments...>();
  static constexpr int arity = sizeof...(Arguments);
  using arguments = expression_list<Arguments...>;
};

/// An integer power of an expression.
template <int Exponent, class Argument> struct power_node : node<operation::integer_power, Argument> {
  static constexpr dimension dimension_v = power(Argument::dimension_v, Exponent);
  static constexpr int detail_v = Exponent;
};

/// A function of one number that a program brings along, e.g. one interpolated between measured points: a type with a
/// name, the function and its derivative.
///
///   struct saturating {
///     static constexpr std::string_view name = "saturating";
///     static double value(double x) { return x / (1.0 + x); }
///     static double slope(double x) { return 1.0 / ((1.0 + x) * (1.0 + x)); }
///   };
///
/// What the compiler cannot check: both are pure (the same x gives the same bits), take every double, NaN included,
/// never throw and never allocate; the slope is the derivative of the value almost everywhere; types of one name are
/// one function.
template <class Table>
concept curve_table = requires(double x, std::string_view name) {
  { Table::value(x) } -> std::same_as<double>;
  { Table::slope(x) } -> std::same_as<double>;
  name = Table::name;
};

/// A curve at the value of an expression.
template <class Table, class Argument> struct curve_node : node<operation::curve, Argument> { using table = Table; };

/// The same value under another dimension or level. A condition lifted to requests is still a condition.
template <dimension Dimension, level Level, class Argument> struct relabelled : node<operation::relabel, Argument> {
  static constexpr bool condition_v = Argument::condition_v && Dimension == units::none;
  static constexpr dimension dimension_v = Dimension;
  static constexpr level level_v = Level;
};

/// A reduction of a request-level expression over the requests of a step in `Domain`. Over no requests at all the
/// sum and the count are 0, and so, by convention, are mean, minimum, maximum and deviation: an empty batch occupies
/// nothing. The deviation is the population's (divided by the count).
template <operation Op, request_domain Domain, class Argument> struct reduction : expression_base {
  static constexpr operation operation_v = Op;
  static constexpr dimension dimension_v = Op == operation::reduce_count ? units::none : Argument::dimension_v;
  static constexpr level level_v = level::step;
  static constexpr int detail_v = 0;
  static constexpr request_domain domain_v = request_domain::all;
  static constexpr request_domain reduces_over = Domain;
  static constexpr int arity = 1;
  using arguments = expression_list<Argument>;
};

/// A decimal constant, Mantissa · 10^Exponent, correctly rounded: write `0.82_c`, and give it a unit with
/// `with_unit<units::byte>(2_c)`.
template <std::int64_t Mantissa, int Exponent, dimension Dimension = units::none>
struct constant : detail::leaf_base {
  static constexpr operation operation_v = operation::constant;
  static constexpr dimension dimension_v = Dimension;
  static constexpr level level_v = level::constant;
  static constexpr request_domain domain_v = request_domain::all;
  static constexpr std::int64_t mantissa = Mantissa;
  static constexpr int exponent = Exponent;
  static constexpr double value = [] {
    // Both factors are exact below 2^53 and 10^22, so one rounding is made.
    double scale = 1.0;
    for (int i = 0; i < (Exponent < 0 ? -Exponent : Exponent); ++i) scale *= 10.0;
    return Exponent < 0 ? static_cast<double>(Mantissa) / scale : static_cast<double>(Mantissa) * scale;
  }();
  constexpr explicit operator double() const { return value; }
};

/// Base of every observable: a named number that is read from a deployment, a step or a request. Derive from it and
/// say how to read it; a record that has no such member then lacks the observable at compile time:
///
///   struct queue_depth_t : observable<"queue_depth", units::none, level::step> {
///     static constexpr double read(const auto& step) requires requires { step.queue_depth; } { return step.queue_depth; }
///   };
///   inline constexpr queue_depth_t queue_depth{};
///
/// A member type `definition` (an expression) is what the observable means in terms of others: it is used where a
/// record does not carry the observable itself, e.g. `kv_sum` reduced from the step's requests.
template <fixed_string Name, dimension Dimension, level Level, provenance Known = provenance::known_before_step,
          request_domain Domain = request_domain::all>
struct observable : detail::leaf_base {
  static constexpr operation operation_v = operation::leaf;
  static constexpr dimension dimension_v = Dimension;
  static constexpr level level_v = Level;
  static constexpr provenance provenance_v = Known;
  static constexpr request_domain domain_v = Domain;
  static constexpr auto name_v = Name;
  static constexpr std::string_view name = name_v.view();
  static constexpr std::string_view identity_of{};
};

/// An observable that tells which group of `Axis` ("model", "workload", "hardware", …) a row belongs to. It compiles
/// under a split only if that axis is not held out.
template <fixed_string Name, fixed_string Axis, level Level = level::deployment>
struct identity_observable : observable<Name, units::none, Level, provenance::identity> {
  static constexpr auto axis_v = Axis;
  static constexpr std::string_view identity_of = axis_v.view();
};

template <auto Expression>
inline constexpr dimension dimension_of = std::remove_cvref_t<decltype(Expression)>::dimension_v;
template <auto Expression> inline constexpr level level_of = std::remove_cvref_t<decltype(Expression)>::level_v;

namespace detail {
template <class E>
concept has_definition = requires {
  typename E::definition;
};

/// Number of nodes of the tree as written (shared parts counted at each use).
template <class E> constexpr int tree_size();
template <class... Es> constexpr int tree_size_of(expression_list<Es...>) { return (tree_size<Es>() + ... + 1); }
template <class E> constexpr int tree_size() {
  if constexpr (leaf<E>) {
    return 1;
  } else {
    return tree_size_of(typename E::arguments{});
  }
}

/// A string_view that is a static member `value` of `Probe`, as a fixed_string for use in a diagnostic tag.
template <class Probe>
inline constexpr auto name_constant = [] {
  fixed_string<Probe::value.size() + 1> text;
  for (std::size_t i = 0; i < Probe::value.size(); ++i) text.data[i] = Probe::value[i];
  return text;
}();
}  // namespace detail

}  // namespace rafter
