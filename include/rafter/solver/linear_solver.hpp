// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "rafter/solver/least_squares.hpp"

namespace rafter {

/// A way to solve for the coefficients of a linear model: an empty or tiny value.
///
/// `solve(equations, second_pass)` returns coefficients in raw units; `second_pass` may be null unless
/// `needs_rows` is true. Axioms: the same arguments give the same bits; permuting columns permutes coefficients (to
/// rounding) where they are determined; numerical trouble is a status, never an exception.
/// Shortest model: struct { static constexpr bool needs_rows; std::string name() const; linear_solution solve(…)
/// const; }
template <class S>
concept linear_solver = std::copyable<S> &&
    requires(const S& solver, const normal_equations& equations, const design* second_pass) {
  { solver.name() } -> std::convertible_to<std::string>;
  { S::needs_rows } -> std::convertible_to<bool>;
  { solver.solve(equations, second_pass) } -> std::same_as<linear_solution>;
};

namespace detail {
/// Shortest text that reads as the number in a name: 1, 0.001, 1e-07.
inline std::string number_text(double value) {
  for (int digits = 1; digits < 18; ++digits) {
    char text[32];
    std::snprintf(text, sizeof text, "%.*g", digits, value);
    if (std::strtod(text, nullptr) == value) return text;
  }
  return std::to_string(value);
}
}  // namespace detail

}  // namespace rafter
