// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>
#include <type_traits>

#include "rafter/expression/tape.hpp"

namespace rafter {

/// A way in which a batch becomes heavier while nothing in it becomes lighter.
enum class load_kind : std::uint8_t {
  prompt_tokens,  ///< a request processes more tokens of its prompt
  context,        ///< a request has more tokens in the KV cache
  requests        ///< a request joins
};
inline constexpr std::array load_kinds{load_kind::prompt_tokens, load_kind::context, load_kind::requests};

/// How an expression's value answers: `rising` means that it never falls.
enum class direction : std::uint8_t { constant, rising, falling, unknown };

namespace detail {

constexpr direction opposite(direction d) {
  return d == direction::rising ? direction::falling : d == direction::falling ? direction::rising : d;
}
/// Of what rises where both do: a sum, a minimum.
constexpr direction together(direction a, direction b) {
  if (a == direction::constant) return b;
  return b == direction::constant || a == b ? a : direction::unknown;
}

/// How the observables of a batch answer. Means and least values may fall when a short request joins.
constexpr direction direction_of_observable(std::string_view name, level varies, load_kind how) {
  if (varies <= level::deployment) return direction::constant;
  struct fact {
    std::string_view name;
    std::array<direction, 3> by;  // prompt tokens, context, requests
  };
  constexpr direction same = direction::constant, up = direction::rising, down = direction::falling;
  constexpr direction open = direction::unknown;
  constexpr fact facts[] = {
      {"new_tokens", {up, same, same}},
      {"context_tokens", {same, up, same}},
      {"kv_length", {same, up, same}},
      {"prefill_tokens", {up, same, up}},
      {"decode_tokens", {same, same, up}},
      {"prefill_requests", {same, same, up}},
      {"decode_requests", {same, same, up}},
      {"kv_sum", {same, up, up}},
      {"kv_mean", {same, up, open}},
      {"kv_max", {same, up, up}},
      {"kv_min", {same, up, open}},
      {"kv_deviation", {same, open, open}},
      {"prefill_attention_pairs", {up, up, up}},
      {"prefill_kv_sum", {up, up, up}},
      {"longest_prefill_tile", {up, same, up}},
      {"queue_running", {same, same, up}},
      {"kv_usage_ratio", {up, up, up}},
      {"kv_blocks_total", {same, same, same}},
      {"kv_blocks_free", {down, down, down}},
      {"elementwise_counted", {same, same, same}},
      {"gemm_in_waves", {same, same, same}},
  };
  for (const fact& one : facts) {
    if (one.name == name) return one.by[static_cast<std::size_t>(how)];
  }
  return open;
}

/// How a value answers, and between which bounds it lies.
struct answer {
  direction way = direction::unknown;
  double least = -std::numeric_limits<double>::infinity();
  double most = std::numeric_limits<double>::infinity();

  constexpr bool not_negative() const { return least >= 0.0; }
  constexpr bool not_positive() const { return most <= 0.0; }
  constexpr bool one_sign() const { return not_negative() || not_positive(); }
};

constexpr answer product_of(const answer& a, const answer& b) {
  const auto times = [](double x, double y) { return x == 0.0 || y == 0.0 ? 0.0 : x * y; };  // 0 · ∞ is no worse
  const double ends[] = {times(a.least, b.least), times(a.least, b.most), times(a.most, b.least),
                         times(a.most, b.most)};
  answer made{direction::unknown, ends[0], ends[0]};
  for (const double end : ends) {
    made.least = end < made.least ? end : made.least;
    made.most = end > made.most ? end : made.most;
  }
  if (a.one_sign() && b.one_sign()) {
    made.way = together(b.not_negative() ? a.way : opposite(a.way), a.not_negative() ? b.way : opposite(b.way));
  } else if (a.way == direction::constant && a.one_sign()) {
    made.way = a.not_negative() ? b.way : opposite(b.way);
  } else if (b.way == direction::constant && b.one_sign()) {
    made.way = b.not_negative() ? a.way : opposite(a.way);
  }
  return made;
}
constexpr answer quotient_of(const answer& a, const answer& b) {
  if (!b.not_negative()) return {};
  answer made;
  if (a.not_negative()) made.least = 0.0;
  if (a.not_positive()) made.most = 0.0;
  if (a.not_negative()) {
    made.way = together(a.way, opposite(b.way));
  } else if (a.not_positive()) {
    made.way = together(a.way, b.way);
  } else if (b.way == direction::constant) {
    made.way = a.way;
  }
  return made;
}

/// One operation, of operands that are known. @param how  for reductions: joining requests change what they run over
constexpr answer applied(const instruction& one, const answer& a, const answer& b, const answer& c, load_kind how) {
  constexpr double infinite = std::numeric_limits<double>::infinity();
  const auto smaller = [](double x, double y) { return y < x ? y : x; };
  const auto larger = [](double x, double y) { return x < y ? y : x; };
  const bool joins = how == load_kind::requests;
  switch (one.op) {
    case operation::negate:
      return {opposite(a.way), -a.most, -a.least};
    case operation::square_root:
    case operation::logarithm_1p:
    case operation::round_up:
      return {a.way, a.not_negative() ? 0.0 : -infinite, a.not_positive() ? 0.0 : infinite};
    case operation::logarithm:
      return {a.way};
    case operation::exponential:
      return {a.way, a.not_negative() ? 1.0 : 0.0, a.not_positive() ? 1.0 : infinite};
    case operation::integer_power:
      if (!a.not_negative()) return {};
      return {one.detail >= 0 ? a.way : opposite(a.way), 0.0, infinite};
    case operation::add:
      return {together(a.way, b.way), a.least + b.least, a.most + b.most};
    case operation::subtract:
      return {together(a.way, opposite(b.way)), a.least - b.most, a.most - b.least};
    case operation::minimum:
      return {together(a.way, b.way), smaller(a.least, b.least), smaller(a.most, b.most)};
    case operation::maximum:
      return {together(a.way, b.way), larger(a.least, b.least), larger(a.most, b.most)};
    case operation::multiply:
      return product_of(a, b);
    case operation::divide:
      return quotient_of(a, b);
    case operation::less:
    case operation::less_equal:
      return {together(opposite(a.way), b.way), 0.0, 1.0};
    case operation::greater:
    case operation::greater_equal:
      return {together(a.way, opposite(b.way)), 0.0, 1.0};
    case operation::equal:
    case operation::not_equal: {
      const bool fixed = a.way == direction::constant && b.way == direction::constant;
      return {fixed ? direction::constant : direction::unknown, 0.0, 1.0};
    }
    case operation::logical_and:
    case operation::logical_or:
      return {together(a.way, b.way), 0.0, 1.0};
    case operation::logical_not:
      return {opposite(a.way), 0.0, 1.0};
    case operation::select: {
      answer made{direction::unknown, smaller(b.least, c.least), larger(b.most, c.most)};
      if (a.way == direction::constant) {
        made.way = together(b.way, c.way);
      } else if (a.way == direction::rising && b.least >= c.most) {  // from one that is never more to one never less
        made.way = together(together(a.way, b.way), c.way);
      }
      return made;
    }
    case operation::ratio: {  // a / b, or c where b is 0
      answer made = quotient_of(a, b);
      made.least = smaller(made.least, c.least);
      made.most = larger(made.most, c.most);
      made.way = b.way == direction::constant ? together(made.way, c.way) : direction::unknown;
      return made;
    }
    case operation::reduce_count:
      return {joins ? direction::rising : direction::constant, 0.0, infinite};
    case operation::reduce_sum: {
      answer made{a.way, a.not_negative() ? 0.0 : -infinite, a.not_positive() ? 0.0 : infinite};
      if (joins) made.way = a.not_negative() ? together(a.way, direction::rising) : direction::unknown;
      return made;
    }
    case operation::reduce_maximum:  // 0 for no request
      return {joins && !a.not_negative() ? direction::unknown : together(a.way, joins ? direction::rising : a.way),
              smaller(a.least, 0.0), larger(a.most, 0.0)};
    case operation::reduce_minimum:
    case operation::reduce_mean:
      return {joins ? direction::unknown : a.way, smaller(a.least, 0.0), larger(a.most, 0.0)};
    default:  // deviations, curves
      return {};
  }
}

template <class Tape> constexpr answer answer_of(const Tape& tape, load_kind how) {
  std::array<answer, std::tuple_size_v<decltype(tape.code)>> known{};
  const auto operand = [&](int at) { return at >= 0 ? known[static_cast<std::size_t>(at)] : answer{}; };
  for (std::size_t i = 0; i < known.size(); ++i) {
    const instruction& one = tape.code[i];
    answer made;
    if (one.op == operation::constant) {
      made = {direction::constant, one.value, one.value};
    } else if (one.op == operation::parameter) {
      const parameter_fact& fact = tape.parameters[static_cast<std::size_t>(one.leaf)];
      made = {direction::constant, fact.lower, fact.upper};
    } else if (one.op == operation::leaf) {  // counts, sizes and rates: none is negative
      const observable_fact& fact = tape.leaves[static_cast<std::size_t>(one.leaf)].fact;
      made = {direction_of_observable(fact.name, fact.varies, how), 0.0};
    } else {
      made = applied(one, operand(one.a), operand(one.b), operand(one.c), how);
    }
    if (one.varies <= level::deployment) made.way = direction::constant;
    known[i] = made;
  }
  return known[static_cast<std::size_t>(tape.outputs[0])];
}

}  // namespace detail

/// What can be shown of an expression from its form: how its value answers when the batch becomes heavier in one way.
/// `unknown` where nothing can be shown; nothing is assumed of an observable that this library does not define. Each
/// operation is judged alone, so what rises only because two of its parts make up for each other is unknown too.
template <expression E> constexpr direction direction_of(E, load_kind how) {
  return detail::answer_of(plan<as_written, std::remove_cvref_t<E>>::tape, how).way;
}

/// The same for every way of becoming heavier: rising when it never falls in any of them.
template <expression E> constexpr direction direction_of(E of) {
  direction all = direction::constant;
  for (const load_kind how : load_kinds) all = detail::together(all, direction_of(of, how));
  return all;
}

/// Never less for more tokens, longer context or more requests, as far as the form shows.
template <auto Expression>
inline constexpr bool never_faster_under_load = [] {
  const direction way = direction_of(Expression);
  return way == direction::rising || way == direction::constant;
}();

}  // namespace rafter
