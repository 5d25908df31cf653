// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "rafter/expression/node.hpp"

namespace rafter {
namespace detail {

/// Counts characters when it has no buffer, writes them when it has one.
struct formula_writer {
  char* out = nullptr;
  std::size_t size = 0;

  constexpr void put(std::string_view text) {
    for (const char c : text) {
      if (out != nullptr) out[size] = c;
      ++size;
    }
  }
  constexpr void put(std::int64_t number) {
    if (number < 0) {
      put("-");
      number = -number;
    }
    char digits[20] = {};
    int n = 0;
    do {
      digits[n++] = static_cast<char>('0' + number % 10);
      number /= 10;
    } while (number != 0);
    while (n > 0) {
      const char digit[2] = {digits[--n], '\0'};
      put(std::string_view(digit, 1));
    }
  }
  /// 82·10^-2 as `0.82`; exponents of more than six places as `82e-9`.
  constexpr void put_decimal(std::int64_t mantissa, int exponent) {
    if (mantissa < 0) {
      put("-");
      mantissa = -mantissa;
    }
    if (exponent >= 0 && exponent <= 6) {
      put(mantissa);
      for (int i = 0; i < exponent; ++i) put("0");
    } else if (exponent < 0 && exponent >= -6) {
      std::int64_t scale = 1;
      for (int i = 0; i < -exponent; ++i) scale *= 10;
      put(mantissa / scale);
      put(".");
      const std::int64_t rest = mantissa % scale;
      for (std::int64_t place = scale / 10; place > rest && place > 1; place /= 10) put("0");
      put(rest);
    } else {
      put(mantissa);
      put("e");
      put(std::int64_t{exponent});
    }
  }
};

constexpr int precedence_of(operation op) {
  using enum operation;
  switch (op) {
    case logical_or:
      return 1;
    case logical_and:
      return 2;
    case equal:
    case not_equal:
    case less:
    case less_equal:
    case greater:
    case greater_equal:
      return 3;
    case add:
    case subtract:
      return 4;
    case multiply:
    case divide:
      return 5;
    case negate:
    case logical_not:
      return 6;
    case integer_power:
      return 7;
    default:
      return 8;
  }
}

constexpr std::string_view symbol_of(operation op) {
  using enum operation;
  switch (op) {
    case logical_or:
      return " || ";
    case logical_and:
      return " && ";
    case equal:
      return " == ";
    case not_equal:
      return " != ";
    case less:
      return " < ";
    case less_equal:
      return " <= ";
    case greater:
      return " > ";
    case greater_equal:
      return " >= ";
    case add:
      return " + ";
    case subtract:
      return " - ";
    case multiply:
      return "*";
    case divide:
      return "/";
    case negate:
      return "-";
    case logical_not:
      return "!";
    case square_root:
      return "sqrt";
    case logarithm:
      return "log";
    case logarithm_1p:
      return "log1p";
    case exponential:
      return "exp";
    case round_up:
      return "ceil";
    case minimum:
    case reduce_minimum:
      return "min";
    case maximum:
    case reduce_maximum:
      return "max";
    case select:
      return "select";
    case ratio:
      return "ratio";
    case reduce_sum:
      return "sum";
    case reduce_mean:
      return "mean";
    case reduce_deviation:
      return "standard_deviation";
    case reduce_count:
      return "count";
    default:
      return "";
  }
}

template <class E> constexpr void write_formula(formula_writer& out, int parent);

template <class E, class... Rest> constexpr void write_list(formula_writer& out, expression_list<E, Rest...>) {
  write_formula<E>(out, 0);
  ((out.put(", "), write_formula<Rest>(out, 0)), ...);
}
template <class E> constexpr void write_unary(formula_writer& out, int own, expression_list<E>) {
  write_formula<E>(out, own);
}
/// (a + b) + c needs no parentheses, a + (b + c) keeps them: evaluation order is part of the formula.
template <class A, class B>
constexpr void write_binary(formula_writer& out, std::string_view symbol, int own, expression_list<A, B>) {
  write_formula<A>(out, own);
  out.put(symbol);
  write_formula<B>(out, own + 1);
}

template <class E> constexpr void write_formula(formula_writer& out, int parent) {
  if constexpr (leaf<E>) {
    if constexpr (E::operation_v == operation::constant) {
      out.put_decimal(E::mantissa, E::exponent);
    } else {
      out.put(E::name);
    }
  } else if constexpr (E::operation_v == operation::relabel) {
    write_unary(out, parent, typename E::arguments{});
  } else {
    constexpr operation op = E::operation_v;
    constexpr int own = precedence_of(op);
    if constexpr (own == 8) {
      if constexpr (op == operation::curve) {
        out.put(E::table::name);
      } else {
        out.put(symbol_of(op));
      }
      out.put("(");
      if constexpr (op == operation::reduce_count) {
        out.put(name_of(E::reduces_over));
      } else {
        write_list(out, typename E::arguments{});
        if constexpr (is_reduction(op)) {
          if constexpr (E::reduces_over != request_domain::all) {
            out.put("; ");
            out.put(name_of(E::reduces_over));
          }
        }
      }
      out.put(")");
    } else {
      const bool parenthesised = own < parent;
      if (parenthesised) out.put("(");
      if constexpr (op == operation::integer_power) {
        write_unary(out, own + 1, typename E::arguments{});
        out.put("^");
        if (E::detail_v < 0) out.put("(");
        out.put(std::int64_t{E::detail_v});
        if (E::detail_v < 0) out.put(")");
      } else if constexpr (E::arity == 1) {
        out.put(symbol_of(op));
        write_unary(out, own + 1, typename E::arguments{});
      } else {
        write_binary(out, symbol_of(op), own, typename E::arguments{});
      }
      if (parenthesised) out.put(")");
    }
  }
}

template <class E> struct formula_text {
  static constexpr std::size_t size = [] {
    formula_writer counter;
    write_formula<E>(counter, 0);
    return counter.size;
  }();
  static constexpr std::array<char, size + 1> text = [] {
    std::array<char, size + 1> buffer{};
    formula_writer writer{buffer.data()};
    write_formula<E>(writer, 0);
    return buffer;
  }();
};
}  // namespace detail

/// The expression as text, a constant of the program: `formula(prefill_tokens / scheduled_tokens)`. Parentheses show
/// the order of evaluation; dimensions and changes of level are not shown.
template <expression E> constexpr std::string_view formula(E) {
  return {detail::formula_text<E>::text.data(), detail::formula_text<E>::size};
}

}  // namespace rafter
