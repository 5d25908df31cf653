// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <limits>
#include <string_view>
#include <type_traits>

#include "rafter/expression/node.hpp"
#include "rafter/expression/operators.hpp"

namespace rafter {

// ---------------------------------------------------------------------------------------------------------------
// Parameters: the leaves of a model that a fit determines. Name, bounds, start and unit live in the type:
//
//   inline constexpr bounded<"gemm_factor", 0.01_c, 1_c, 100_c> gemm_factor{};
//   inline constexpr bounded<"overhead", 0_c, 50e-6_c, 1_c, units::second> overhead{};
//   constexpr auto step_time = gemm_factor * roofline(step_gemm) + overhead;
//
// An expression that mentions a parameter is an expression like any other: checked for dimensions, printed, shared,
// differentiated. It is no feature before its parameters are fitted.
// ---------------------------------------------------------------------------------------------------------------

/// Stands for a bound that there is not.
struct no_bound {};
inline constexpr no_bound unbounded_below{};
inline constexpr no_bound unbounded_above{};

/// What a plan knows of one of its parameters. Numbers are in base units.
struct parameter_fact {
  std::string_view name;
  std::string_view axis;  ///< one value for each label of this axis; empty: one value
  dimension unit{};
  double lower = -std::numeric_limits<double>::infinity();
  double start = 0.0;
  double upper = std::numeric_limits<double>::infinity();
  double prior = 0.0;         ///< the value that the prior pulls towards
  double prior_weight = 0.0;  ///< 0: no prior
  double pooling = 0.0;       ///< weight that pulls the labels' values towards a common one; 0: each on its own

  constexpr bool fixed() const { return lower == upper; }
  /// Priors and pooling measure a parameter that must be positive by its logarithm.
  constexpr bool by_logarithm() const { return lower > 0.0; }
};

namespace detail {
template <class E> constexpr double parameter_number();
template <class E> constexpr double negated_number(expression_list<E>) { return -parameter_number<E>(); }
/// The value of a constant, or of the negative of one.
template <class E> constexpr double parameter_number() {
  if constexpr (E::operation_v == operation::negate) {
    return negated_number(typename E::arguments{});
  } else {
    static_assert(E::operation_v == operation::constant,
                  "rafter: a bound or start of a parameter is a number: 0.5_c");
    return E::value;
  }
}
/// A number without a unit, or with this one.
template <class E, dimension Dimension>
inline constexpr bool number_of = E::dimension_v == units::none || E::dimension_v == Dimension;
template <dimension Dimension> inline constexpr bool number_of<no_bound, Dimension> = true;

template <class E> constexpr double lower_number() {
  if constexpr (std::is_same_v<E, no_bound>) {
    return -std::numeric_limits<double>::infinity();
  } else {
    return parameter_number<E>();
  }
}
template <class E> constexpr double upper_number() {
  if constexpr (std::is_same_v<E, no_bound>) {
    return std::numeric_limits<double>::infinity();
  } else {
    return parameter_number<E>();
  }
}
}  // namespace detail

// What may be said of a parameter beside its range.

/// ½·Weight·(value − Center)² is added to the cost; by logarithms, ½·Weight·log(value/Center)², where the lower bound
/// is positive.
template <class Center, class Weight> struct prior_of {
  static constexpr void apply(parameter_fact& fact) {
    fact.prior = detail::parameter_number<Center>();
    fact.prior_weight = detail::parameter_number<Weight>();
  }
};
template <fixed_string Axis> struct per_label_of {
  static constexpr auto axis_v = Axis;  // a string_view needs something that lasts
  static constexpr void apply(parameter_fact& fact) { fact.axis = axis_v.view(); }
};
template <class Weight> struct pooling_of {
  static constexpr void apply(parameter_fact& fact) { fact.pooling = detail::parameter_number<Weight>(); }
};

/// A leaf whose value is fitted. Use `bounded`, `positive`, `unbounded`, `fixed` and what follows them.
template <fixed_string Name, class Lower, class Start, class Upper, dimension Dimension = units::none,
          class... Options>
struct parameter : detail::leaf_base {
  static constexpr operation operation_v = operation::parameter;
  static constexpr dimension dimension_v = Dimension;
  static constexpr level level_v = level::deployment;  // one value for all steps that share a binding
  static constexpr request_domain domain_v = request_domain::all;
  static constexpr provenance provenance_v = provenance::known_before_step;
  static constexpr auto name_v = Name;
  static constexpr std::string_view name = name_v.view();
  static constexpr parameter_fact fact = [] {
    parameter_fact made{.name = name_v.view(),
                        .axis = {},
                        .unit = Dimension,
                        .lower = detail::lower_number<Lower>(),
                        .start = detail::parameter_number<Start>(),
                        .upper = detail::upper_number<Upper>()};
    (Options::apply(made), ...);
    return made;
  }();
  static_assert(fact.lower <= fact.start && fact.start <= fact.upper,
                "rafter: a parameter's start must lie within its bounds");
  static_assert(detail::number_of<Lower, Dimension> && detail::number_of<Start, Dimension> &&
                    detail::number_of<Upper, Dimension>,
                "rafter: bounds and start of a parameter are plain numbers, in base units of its dimension, or "
                "quantities of that dimension");
  static_assert(fact.prior_weight >= 0.0 && fact.pooling >= 0.0, "rafter: weights of priors are not negative");
  static_assert(fact.pooling == 0.0 || !fact.axis.empty(),
                "rafter: partially_pooled<...> takes a parameter with one value per label: "
                "partially_pooled<W>(per_label<\"model\">(p))");
  static_assert(fact.prior_weight == 0.0 || !fact.by_logarithm() || fact.prior > 0.0 || fact.fixed(),
                "rafter: the prior of a parameter that must be positive is positive");

  template <class Option> using with = parameter<Name, Lower, Start, Upper, Dimension, Options..., Option>;
  template <class Value> using held = parameter<Name, Value, Value, Value, Dimension, Options...>;
  template <fixed_string Other> using renamed = parameter<Other, Lower, Start, Upper, Dimension, Options...>;
};

/// Lower <= value <= Upper, in base units of the dimension.
template <fixed_string Name, auto Lower, auto Start, auto Upper, dimension Dimension = units::none>
using bounded = parameter<Name, std::remove_cvref_t<decltype(Lower)>, std::remove_cvref_t<decltype(Start)>,
                          std::remove_cvref_t<decltype(Upper)>, Dimension>;
/// Not negative, without an upper bound.
template <fixed_string Name, auto Start, dimension Dimension = units::none>
using positive = parameter<Name, constant<0, 0>, std::remove_cvref_t<decltype(Start)>, no_bound, Dimension>;
/// Any number.
template <fixed_string Name, auto Start, dimension Dimension = units::none>
using unbounded = parameter<Name, no_bound, std::remove_cvref_t<decltype(Start)>, no_bound, Dimension>;
/// Named and printed like a parameter, but not fitted.
template <fixed_string Name, auto Value, dimension Dimension = units::none>
using fixed = parameter<Name, std::remove_cvref_t<decltype(Value)>, std::remove_cvref_t<decltype(Value)>,
                        std::remove_cvref_t<decltype(Value)>, Dimension>;

template <class E>
concept parameter_leaf = detail::leaf<E> &&(std::remove_cvref_t<E>::operation_v == operation::parameter);

/// The same parameter with a prior, e.g. `with_prior<1_c, 10_c>(factor)` (see prior_of).
template <auto Center, auto Weight, parameter_leaf P> constexpr auto with_prior(P) {
  static_assert(
      detail::number_of<std::remove_cvref_t<decltype(Center)>, P::dimension_v> &&
          std::remove_cvref_t<decltype(Weight)>::dimension_v == units::none,
      "rafter: the prior of a parameter has the parameter's unit (or none: base units), its weight has none");
  return typename P::template with<
      prior_of<std::remove_cvref_t<decltype(Center)>, std::remove_cvref_t<decltype(Weight)>>>{};
}
/// One value for each label of an axis ("model", "workload", …). What was fitted says nothing of a label that it was
/// not fitted on, so it does not compile under a split that holds the axis out.
template <fixed_string Axis, parameter_leaf P> constexpr auto per_label(P p) {
  static_assert(P::fact.axis.empty() || P::fact.axis == Axis.view(),
                "rafter: this parameter already has one value for each label of another axis");
  if constexpr (P::fact.axis.empty()) {
    return typename P::template with<per_label_of<Axis>>{};
  } else {
    return p;
  }
}
/// Partial pooling: the labels' values are pulled towards a common value, fitted with them, with this weight. A label
/// that was not fitted on gets the common value.
template <auto Weight, parameter_leaf P> constexpr auto partially_pooled(P) {
  return typename P::template with<pooling_of<std::remove_cvref_t<decltype(Weight)>>>{};
}
/// The same parameter held at a value: named and printed, not fitted.
template <auto Value, parameter_leaf P> constexpr auto held(P) {
  return typename P::template held<std::remove_cvref_t<decltype(Value)>>{};
}

// ---------------------------------------------------------------------------------------------------------------
// Rewriting a model's parameters
// ---------------------------------------------------------------------------------------------------------------

namespace detail {
template <class F, class E> constexpr auto rewritten(F function, E);

// By overload, so that an expression with an opaque name (a struct derived from its type) is found by its base.
template <class F, operation Op, class... Es> constexpr auto rewritten_node(F function, node<Op, Es...>) {
  return node<Op, std::remove_cvref_t<decltype(rewritten(function, Es{}))>...>{};
}
template <class F, int Exponent, class E> constexpr auto rewritten_node(F function, power_node<Exponent, E>) {
  return power_node<Exponent, std::remove_cvref_t<decltype(rewritten(function, E{}))>>{};
}
template <class F, class Table, class E> constexpr auto rewritten_node(F function, curve_node<Table, E>) {
  return curve_node<Table, std::remove_cvref_t<decltype(rewritten(function, E{}))>>{};
}
template <class F, dimension D, level L, class E> constexpr auto rewritten_node(F function, relabelled<D, L, E>) {
  using argument = std::remove_cvref_t<decltype(rewritten(function, E{}))>;
  // What replaces a parameter may vary with the step, or even the request.
  return relabelled<D, (argument::level_v > L ? argument::level_v : L), argument>{};
}
template <class F, operation Op, request_domain Domain, class E>
constexpr auto rewritten_node(F function, reduction<Op, Domain, E>) {
  return reduction<Op, Domain, std::remove_cvref_t<decltype(rewritten(function, E{}))>>{};
}
template <class F, class E> constexpr auto rewritten(F function, E e) {
  if constexpr (parameter_leaf<E>) {
    using replacement = std::remove_cvref_t<decltype(function(e))>;
    static_assert(addable<E, replacement>, "rafter: what replaces a parameter has the parameter's dimension");
    return replacement{};
  } else if constexpr (leaf<E>) {
    return e;
  } else {
    return rewritten_node(function, e);
  }
}

template <fixed_string Name, class Value> struct hold_one {
  template <class P> constexpr auto operator()(P) const {
    if constexpr (P::name == Name.view()) {
      return typename P::template held<Value>{};
    } else {
      return P{};
    }
  }
};
/// Does the expression mention a parameter of this name?
template <fixed_string Name, class E> constexpr bool mentions();
template <fixed_string Name, class... Es> constexpr bool any_mentions(expression_list<Es...>) {
  return (mentions<Name, Es>() || ...);
}
template <fixed_string Name, class E> constexpr bool mentions() {
  if constexpr (parameter_leaf<E>) {
    return E::name == Name.view();
  } else if constexpr (leaf<E>) {
    return false;
  } else {
    return any_mentions<Name>(typename E::arguments{});
  }
}
template <fixed_string Axis> struct label_all {
  template <class P> constexpr auto operator()(P p) const { return per_label<Axis>(p); }
};
template <class Condition, fixed_string Yes, fixed_string No> struct split_all {
  template <class P> constexpr auto operator()(P) const {
    return select(Condition{}, typename P::template renamed<P::name_v + Yes>{},
                  typename P::template renamed<P::name_v + No>{});
  }
};
}  // namespace detail

/// The expression with each parameter replaced by what `function(parameter)` returns, an expression of its dimension.
template <expression E, class F> constexpr auto map_parameters(E e, F function) {
  return detail::rewritten(function, e);
}
/// The model with one parameter held at a value: `with_held<"gemm_mfu", 0.7_c>(model)`.
template <fixed_string Name, auto Value, expression E> constexpr auto with_held(E e) {
  static_assert(detail::mentions<Name, E>(), "rafter: the model has no parameter of that name");
  return map_parameters(e, detail::hold_one<Name, std::remove_cvref_t<decltype(Value)>>{});
}
/// The model with one set of parameters for each label of an axis, fitted together.
template <fixed_string Axis, expression E> constexpr auto with_parameters_per(E e) {
  return map_parameters(e, detail::label_all<Axis>{});
}
/// The model with one set of parameters where a condition holds, named `<name><Yes>`, and another elsewhere.
template <fixed_string Yes, fixed_string No, condition C, expression E> constexpr auto with_parameters_by(C, E e) {
  return map_parameters(e, detail::split_all<C, Yes, No>{});
}

// ---------------------------------------------------------------------------------------------------------------
// How a model depends on its parameters
// ---------------------------------------------------------------------------------------------------------------

namespace detail {
/// 0: mentions none; 1: linear (a sum of parameters times expressions without any, plus one without); 2: otherwise.
template <class E> inline constexpr int parameter_degree = -1;

template <class... Es> constexpr int largest_degree(expression_list<Es...>) {
  int largest = 0;
  ((largest = parameter_degree<Es> > largest ? parameter_degree<Es> : largest), ...);
  return largest;
}
template <class A, class B> constexpr int product_degree(expression_list<A, B>) {
  return parameter_degree<A> + parameter_degree<B> > 1 && parameter_degree<A> * parameter_degree<B> != 0
             ? 2
             : parameter_degree<A> + parameter_degree<B>;
}
template <class A, class B, class... C> constexpr int quotient_degree(expression_list<A, B, C...> all) {
  return parameter_degree<B> == 0 ? (sizeof...(C) == 0 ? parameter_degree<A> : largest_degree(all)) : 2;
}
template <class C, class A, class B> constexpr int select_degree(expression_list<C, A, B>) {
  return parameter_degree<C> == 0 ? largest_degree(expression_list<A, B>{}) : 2;
}
template <class E> constexpr int degree_of() {
  if constexpr (parameter_leaf<E>) {
    return E::fact.fixed() ? 0 : 1;
  } else if constexpr (leaf<E>) {
    return 0;
  } else {
    constexpr operation op = E::operation_v;
    using arguments = typename E::arguments;
    using enum operation;
    if constexpr (op == add || op == subtract || op == negate || op == relabel || op == reduce_sum ||
                  op == reduce_mean || op == reduce_count) {
      return largest_degree(arguments{});
    } else if constexpr (op == multiply) {
      return product_degree(arguments{});
    } else if constexpr (op == divide || op == ratio) {
      return quotient_degree(arguments{});
    } else if constexpr (op == select) {
      return select_degree(arguments{});
    } else {
      return largest_degree(arguments{}) == 0 ? 0 : 2;
    }
  }
}
template <expression E> inline constexpr int parameter_degree<E> = degree_of<E>();
}  // namespace detail

/// A sum of parameters times expressions without any: its fit is a linear least-squares problem.
template <class E>
concept linear_in_parameters = expression<E> && detail::parameter_degree<std::remove_cvref_t<E>>
<= 1;

/// Mentions a parameter that is not held.
template <class E>
concept parametric = expression<E> &&(detail::parameter_degree<std::remove_cvref_t<E>> > 0);

}  // namespace rafter
