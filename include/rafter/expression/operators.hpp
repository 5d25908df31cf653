// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <cstdint>
#include <type_traits>

#include "rafter/expression/node.hpp"

namespace rafter {

// ---------------------------------------------------------------------------------------------------------------
// What may be combined. The concepts answer the question; the operators assert it with a message in the user's words.
// ---------------------------------------------------------------------------------------------------------------

/// Same dimension: the two may be added, compared, or be the two branches of a `select`.
template <class A, class B>
concept addable =
    expression<A> && expression<B> && std::remove_cvref_t<A>::dimension_v == std::remove_cvref_t<B>::dimension_v;

/// Not one of them per request and the other per step, and not one over decode and the other over prefill requests.
template <class A, class B>
concept mixable =
    expression<A> && expression<B> &&
    !(std::remove_cvref_t<A>::level_v == level::request && std::remove_cvref_t<B>::level_v == level::step) &&
    !(std::remove_cvref_t<A>::level_v == level::step && std::remove_cvref_t<B>::level_v == level::request) &&
    (std::remove_cvref_t<A>::domain_v == request_domain::all ||
     std::remove_cvref_t<B>::domain_v == request_domain::all ||
     std::remove_cvref_t<A>::domain_v == std::remove_cvref_t<B>::domain_v);

template <class E>
concept dimensionless = expression<E> && std::remove_cvref_t<E>::dimension_v == units::none;

/// A comparison or a logical combination of comparisons; its value is 1 where it holds and else 0.
template <class E>
concept condition = expression<E> && std::remove_cvref_t<E>::condition_v;

template <class A, class B> struct this_expression_is_per_request_and_that_one_per_step;
template <class A, class B> struct this_expression_is_over_prefill_and_that_one_over_decode_requests;

namespace detail {
template <dimension D>
inline constexpr auto dimension_text = [] {
  constexpr auto padded = text_of(D);
  constexpr std::size_t size = [&] {
    std::size_t n = 0;
    while (padded.data[n] != '\0') ++n;
    return n;
  }();
  fixed_string<size + 1> text;
  for (std::size_t i = 0; i < size; ++i) text.data[i] = padded.data[i];
  return text;
}();

template <class A, class B> constexpr void require_same_dimension() {
  if constexpr (!addable<A, B>) {
    static_assert(satisfied<left_has_dimension<dimension_text<A::dimension_v>>,
                            right_has_dimension<dimension_text<B::dimension_v>>>,
                  "rafter: only quantities of one dimension can be added, subtracted or compared");
  }
}
template <class A, class B> constexpr void require_mixable() {
  if constexpr (!mixable<A, B>) {
    if constexpr (A::level_v != B::level_v) {
      static_assert(satisfied<this_expression_is_per_request_and_that_one_per_step<A, B>>,
                    "rafter: a per-request and a per-step expression do not mix; reduce the first (sum, mean, max, "
                    "...) or lift the second with for_each_request(...)");
    } else {
      static_assert(satisfied<this_expression_is_over_prefill_and_that_one_over_decode_requests<A, B>>,
                    "rafter: an expression over decode requests and one over prefill requests do not mix");
    }
  }
}
template <class A> constexpr void require_dimensionless() {
  static_assert(dimensionless<A>,
                "rafter: this function takes a pure number; divide by a reference quantity, or say magnitude(x) for "
                "its value in base units");
}
template <class A> constexpr void require_condition() {
  static_assert(condition<A>,
                "rafter: a condition is expected here: a comparison such as x > 0_c, or comparisons "
                "combined with && || !");
}

}  // namespace detail

// ---------------------------------------------------------------------------------------------------------------
// Arithmetic
// ---------------------------------------------------------------------------------------------------------------

template <expression A, expression B> constexpr auto operator+(A, B) {
  detail::require_same_dimension<A, B>();
  detail::require_mixable<A, B>();
  return node<operation::add, A, B>{};
}
template <expression A, expression B> constexpr auto operator-(A, B) {
  detail::require_same_dimension<A, B>();
  detail::require_mixable<A, B>();
  return node<operation::subtract, A, B>{};
}
template <expression A, expression B> constexpr auto operator*(A, B) {
  detail::require_mixable<A, B>();
  return node<operation::multiply, A, B>{};
}
template <expression A, expression B> constexpr auto operator/(A, B) {
  detail::require_mixable<A, B>();
  return node<operation::divide, A, B>{};
}
template <expression A> constexpr auto operator-(A) { return node<operation::negate, A>{}; }
template <expression A> constexpr auto operator+(A a) { return a; }

/// The smaller / larger of two quantities of one dimension.
template <expression A, expression B> constexpr auto min(A, B) {
  detail::require_same_dimension<A, B>();
  detail::require_mixable<A, B>();
  return node<operation::minimum, A, B>{};
}
template <expression A, expression B> constexpr auto max(A, B) {
  detail::require_same_dimension<A, B>();
  detail::require_mixable<A, B>();
  return node<operation::maximum, A, B>{};
}

/// x to the power of an integer; negative exponents are reciprocals.
template <int Exponent, expression A> constexpr auto pow(A) { return power_node<Exponent, A>{}; }
template <expression A> constexpr auto square(A a) { return pow<2>(a); }

/// Square root; every exponent of the argument's dimension must be even.
template <expression A> constexpr auto sqrt(A) {
  static_assert(power(detail::half(A::dimension_v), 2) == A::dimension_v,
                "rafter: the square root of this dimension is not a whole dimension");
  return node<operation::square_root, A>{};
}
/// Natural logarithm, log(1 + x) and exponential of a pure number.
template <expression A> constexpr auto log(A) {
  detail::require_dimensionless<A>();
  return node<operation::logarithm, A>{};
}
template <expression A> constexpr auto log1p(A) {
  detail::require_dimensionless<A>();
  return node<operation::logarithm_1p, A>{};
}
template <expression A> constexpr auto exp(A) {
  detail::require_dimensionless<A>();
  return node<operation::exponential, A>{};
}

/// The smallest integer that is not less than a pure number: tiles of a matrix, waves of thread blocks. Its derivative
/// counts as 0, so a parameter inside has no effect that a fit could see.
template <expression A> constexpr auto ceil(A) {
  detail::require_dimensionless<A>();
  return node<operation::round_up, A>{};
}

/// A function that the program brings along, of a pure number: `curve<gemm_mfu>(magnitude(work.flops))`. The result is
/// a pure number. Differentiated by the table's slope; the slope's own slope counts as 0.
template <class Table, expression A> constexpr auto curve(A) {
  static_assert(curve_table<Table>,
                "rafter: curve<Table>(x) takes a type with `static constexpr std::string_view name`, "
                "`static double value(double)` and `static double slope(double)`");
  detail::require_dimensionless<A>();
  return curve_node<Table, A>{};
}

// ---------------------------------------------------------------------------------------------------------------
// Conditions: 1 where they hold, else 0
// ---------------------------------------------------------------------------------------------------------------

#define RAFTER_COMPARISON(symbol, name)                                        \
  template <expression A, expression B> constexpr auto operator symbol(A, B) { \
    detail::require_same_dimension<A, B>();                                    \
    detail::require_mixable<A, B>();                                           \
    return node<operation::name, A, B>{};                                      \
  }
RAFTER_COMPARISON(<, less)
RAFTER_COMPARISON(<=, less_equal)
RAFTER_COMPARISON(>, greater)
RAFTER_COMPARISON(>=, greater_equal)
RAFTER_COMPARISON(==, equal)
RAFTER_COMPARISON(!=, not_equal)
#undef RAFTER_COMPARISON

template <expression A, expression B> constexpr auto operator&&(A, B) {
  detail::require_condition<A>();
  detail::require_condition<B>();
  detail::require_mixable<A, B>();
  return node<operation::logical_and, A, B>{};
}
template <expression A, expression B> constexpr auto operator||(A, B) {
  detail::require_condition<A>();
  detail::require_condition<B>();
  detail::require_mixable<A, B>();
  return node<operation::logical_or, A, B>{};
}
template <expression A> constexpr auto operator!(A) {
  detail::require_condition<A>();
  return node<operation::logical_not, A>{};
}

/// A condition as a number: 1 where it holds, else 0.
template <expression C> constexpr C indicator(C c) {
  detail::require_condition<C>();
  return c;
}

/// `a` where the condition holds, else `b`. Both are computed; only one is kept.
template <expression C, expression A, expression B> constexpr auto select(C, A, B) {
  detail::require_condition<C>();
  detail::require_same_dimension<A, B>();
  detail::require_mixable<A, B>();
  detail::require_mixable<C, A>();
  detail::require_mixable<C, B>();
  return node<operation::select, C, A, B>{};
}

/// a / b, and `or_else` where b is zero. (A plain `a / b` gives what IEEE-754 gives.)
template <expression A, expression B, expression C> constexpr auto ratio(A, B, C) {
  static_assert(A::dimension_v / B::dimension_v == C::dimension_v,
                "rafter: or_else of ratio(a, b, or_else) must have the dimension of a / b");
  detail::require_mixable<A, B>();
  detail::require_mixable<A, C>();
  detail::require_mixable<B, C>();
  return node<operation::ratio, A, B, C>{};
}

// ---------------------------------------------------------------------------------------------------------------
// Changes of dimension and level, stated
// ---------------------------------------------------------------------------------------------------------------

/// The value in base units (tokens, FLOP, bytes, seconds) as a pure number: for log(magnitude(x)) and the like.
template <expression A> constexpr auto magnitude(A) { return relabelled<units::none, A::level_v, A>{}; }
/// A pure number given a dimension, in base units: `with_unit<units::byte>(2_c)`.
template <dimension D, expression A> constexpr auto with_unit(A) {
  static_assert(dimensionless<A>, "rafter: with_unit<...>(x) takes a pure number; x already has a dimension");
  if constexpr (A::operation_v == operation::constant) {
    return constant<A::mantissa, A::exponent, D>{};
  } else {
    return relabelled<D, A::level_v, A>{};
  }
}
/// A per-step quantity used inside a per-request expression; every request of the step sees the same value.
template <expression A> constexpr auto for_each_request(A) {
  static_assert(A::level_v != level::request, "rafter: this expression is per request already");
  return relabelled<A::dimension_v, level::request, A>{};
}

// ---------------------------------------------------------------------------------------------------------------
// Reductions over the requests of a step
// ---------------------------------------------------------------------------------------------------------------

template <request_domain Domain> struct request_selection {};
/// Which requests to reduce over: `sum(new_tokens, prefill)`, `count(decode)`.
inline constexpr request_selection<request_domain::all> every_request{};
inline constexpr request_selection<request_domain::prefill> prefill{};
inline constexpr request_selection<request_domain::decode> decode{};

namespace detail {
/// Specialised with a member `type` where a reduction has a name of its own (an observable whose `definition` it is):
/// `sum(kv_length)` is `kv_sum`. Never defined in general.
template <class Reduction> struct named_aggregate;

template <class Reduction> constexpr auto canonical_reduction() {
  if constexpr (requires { typename named_aggregate<Reduction>::type; }) {
    return typename named_aggregate<Reduction>::type{};
  } else {
    return Reduction{};
  }
}

template <operation Op, request_domain Domain, class A> constexpr auto reduce() {
  static_assert(A::level_v != level::step,
                "rafter: a reduction takes a per-request expression; this one is per step already");
  static_assert(Domain == request_domain::all || A::domain_v == request_domain::all || A::domain_v == Domain,
                "rafter: this expression is not defined for the requests that it is reduced over");
  return canonical_reduction<reduction<Op, common_domain(Domain, A::domain_v), A>>();
}
}  // namespace detail

#define RAFTER_REDUCTION(function, name)                                                                 \
  template <expression A, request_domain Domain> constexpr auto function(A, request_selection<Domain>) { \
    return detail::reduce<operation::name, Domain, A>();                                                 \
  }                                                                                                      \
  template <expression A> constexpr auto function(A) {                                                   \
    return detail::reduce<operation::name, request_domain::all, A>();                                    \
  }
RAFTER_REDUCTION(sum, reduce_sum)
RAFTER_REDUCTION(mean, reduce_mean)
RAFTER_REDUCTION(min, reduce_minimum)
RAFTER_REDUCTION(max, reduce_maximum)
RAFTER_REDUCTION(standard_deviation, reduce_deviation)
#undef RAFTER_REDUCTION

/// Number of requests of the step in the selection.
template <request_domain Domain> constexpr auto count(request_selection<Domain>) {
  return detail::canonical_reduction<reduction<operation::reduce_count, Domain, constant<1, 0>>>();
}

// ---------------------------------------------------------------------------------------------------------------
// Plain numbers are refused by name, so that the message says what to write.
// ---------------------------------------------------------------------------------------------------------------

struct write_numbers_in_expressions_with_the_suffix__c;

namespace detail {
template <class E> constexpr auto refuse_number() {
  static_assert(satisfied<write_numbers_in_expressions_with_the_suffix__c, E>,
                "rafter: write numbers in expressions with the suffix _c: 0.5_c, 2_c");
  return E{};
}
}  // namespace detail

// The return types are deduced, so that the message comes in decltype(...) too.
#define RAFTER_REFUSE_NUMBERS(function)                                \
  template <expression A, class N>                                     \
  requires std::is_arithmetic_v<N>                                     \
  constexpr auto function(A, N) { return detail::refuse_number<A>(); } \
  template <class N, expression A>                                     \
  requires std::is_arithmetic_v<N>                                     \
  constexpr auto function(N, A) { return detail::refuse_number<A>(); }
RAFTER_REFUSE_NUMBERS(operator+)
RAFTER_REFUSE_NUMBERS(operator-)
RAFTER_REFUSE_NUMBERS(operator*)
RAFTER_REFUSE_NUMBERS(operator/)
RAFTER_REFUSE_NUMBERS(operator<)
RAFTER_REFUSE_NUMBERS(operator<=)
RAFTER_REFUSE_NUMBERS(operator>)
RAFTER_REFUSE_NUMBERS(operator>=)
RAFTER_REFUSE_NUMBERS(operator==)
RAFTER_REFUSE_NUMBERS(operator!=)
RAFTER_REFUSE_NUMBERS(min)
RAFTER_REFUSE_NUMBERS(max)
#undef RAFTER_REFUSE_NUMBERS

// ---------------------------------------------------------------------------------------------------------------
// Literals
// ---------------------------------------------------------------------------------------------------------------

namespace detail {
struct decimal {
  std::int64_t mantissa = 0;
  int exponent = 0;
  bool exact = true;
};

template <char... Digits> constexpr decimal parse_decimal() {
  constexpr char text[] = {Digits..., '\0'};
  decimal d;
  bool fraction = false;
  std::size_t i = 0;
  for (; text[i] != '\0' && text[i] != 'e' && text[i] != 'E'; ++i) {
    if (text[i] == '.') {
      fraction = true;
    } else if (text[i] != '\'') {
      if (text[i] < '0' || text[i] > '9' || d.mantissa > 100'000'000'000'000'000) {
        d.exact = false;
        return d;
      }
      d.mantissa = d.mantissa * 10 + (text[i] - '0');
      if (fraction) --d.exponent;
    }
  }
  if (text[i] != '\0') {
    ++i;
    const bool negative = text[i] == '-';
    if (text[i] == '-' || text[i] == '+') ++i;
    int written = 0;
    for (; text[i] != '\0'; ++i) written = written * 10 + (text[i] - '0');
    d.exponent += negative ? -written : written;
  }
  while (d.mantissa != 0 && d.mantissa % 10 == 0) {
    d.mantissa /= 10;
    ++d.exponent;
  }
  if (d.mantissa == 0) d.exponent = 0;
  d.exact = d.mantissa <= (std::int64_t{1} << 53) && d.exponent >= -22 && d.exponent <= 22;
  return d;
}
}  // namespace detail

namespace literals {
/// A number in an expression: `0.82_c`, `2_c`, `1e-6_c`. At most 15 significant digits and an exponent within ±22, so
/// that the value is the correctly rounded double.
template <char... Digits> constexpr auto operator""_c() {
  constexpr detail::decimal d = detail::parse_decimal<Digits...>();
  static_assert(d.exact,
                "rafter: a constant takes at most 15 significant decimal digits and an exponent within +-22");
  return constant<d.mantissa, d.exponent>{};
}
}  // namespace literals

/// One token, for formulas such as n(n + 1)/2.
inline constexpr constant<1, 0, units::token> one_token{};

}  // namespace rafter
