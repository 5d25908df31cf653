// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>

#include "rafter/units/dimension.hpp"

namespace rafter {

/// A run-time number with a compile-time dimension, stored in base units (token, FLOP, byte, second).
/// Explicit in and out: `seconds{0.004}.value`. Adding different dimensions does not compile.
template <dimension D> struct quantity {
  static constexpr dimension dimension_v = D;
  double value = 0.0;

  constexpr quantity() = default;
  constexpr explicit quantity(double in_base_units) : value(in_base_units) {}

  friend constexpr auto operator<=>(quantity, quantity) = default;
  friend constexpr quantity operator+(quantity a, quantity b) { return quantity{a.value + b.value}; }
  friend constexpr quantity operator-(quantity a, quantity b) { return quantity{a.value - b.value}; }
  friend constexpr quantity operator*(quantity a, double b) { return quantity{a.value * b}; }
  friend constexpr quantity operator*(double a, quantity b) { return quantity{a * b.value}; }
  friend constexpr quantity operator/(quantity a, double b) { return quantity{a.value / b}; }
};

template <dimension A, dimension B> constexpr auto operator*(quantity<A> a, quantity<B> b) {
  return quantity<A * B>{a.value * b.value};
}

/// Quotient; two quantities of one dimension divide to a plain number.
template <dimension A, dimension B> constexpr auto operator/(quantity<A> a, quantity<B> b) {
  if constexpr (A == B) {
    return a.value / b.value;
  } else {
    return quantity<A / B>{a.value / b.value};
  }
}

using seconds = quantity<units::second>;
using bytes = quantity<units::byte>;
using flops_quantity = quantity<units::flop>;
using byte_per_second = quantity<units::byte_per_second>;
using flop_per_second = quantity<units::flop_per_second>;
using flop_per_byte = quantity<units::flop_per_byte>;

namespace literals {
// Decimal prefixes throughout (GB = 1e9 B), as datasheets use them.
constexpr seconds operator""_s(long double v) { return seconds{static_cast<double>(v)}; }
constexpr seconds operator""_s(unsigned long long v) { return seconds{static_cast<double>(v)}; }
constexpr seconds operator""_ms(long double v) { return seconds{static_cast<double>(v / 1e3L)}; }
constexpr seconds operator""_ms(unsigned long long v) { return seconds{static_cast<double>(v) / 1e3}; }
constexpr seconds operator""_us(long double v) { return seconds{static_cast<double>(v / 1e6L)}; }
constexpr seconds operator""_us(unsigned long long v) { return seconds{static_cast<double>(v) / 1e6}; }
constexpr bytes operator""_B(long double v) { return bytes{static_cast<double>(v)}; }
constexpr bytes operator""_B(unsigned long long v) { return bytes{static_cast<double>(v)}; }
constexpr bytes operator""_MB(unsigned long long v) { return bytes{static_cast<double>(v) * 1e6}; }
constexpr bytes operator""_GB(long double v) { return bytes{static_cast<double>(v * 1e9L)}; }
constexpr bytes operator""_GB(unsigned long long v) { return bytes{static_cast<double>(v) * 1e9}; }
constexpr byte_per_second operator""_GB_per_s(long double v) {
  return byte_per_second{static_cast<double>(v * 1e9L)};
}
constexpr byte_per_second operator""_GB_per_s(unsigned long long v) {
  return byte_per_second{static_cast<double>(v) * 1e9};
}
constexpr byte_per_second operator""_TB_per_s(long double v) {
  return byte_per_second{static_cast<double>(v * 1e12L)};
}
constexpr byte_per_second operator""_TB_per_s(unsigned long long v) {
  return byte_per_second{static_cast<double>(v) * 1e12};
}
constexpr flop_per_second operator""_TFLOP_per_s(long double v) {
  return flop_per_second{static_cast<double>(v * 1e12L)};
}
constexpr flop_per_second operator""_TFLOP_per_s(unsigned long long v) {
  return flop_per_second{static_cast<double>(v) * 1e12};
}
constexpr flop_per_byte operator""_FLOP_per_B(long double v) { return flop_per_byte{static_cast<double>(v)}; }
constexpr flop_per_byte operator""_FLOP_per_B(unsigned long long v) { return flop_per_byte{static_cast<double>(v)}; }
}  // namespace literals

}  // namespace rafter
