// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "rafter/core/fixed_string.hpp"

namespace rafter {

/// Exponents of the four base dimensions. Structural, so a dimension can be a template argument.
/// Counts of requests, blocks, layers and bits of logic are dimensionless.
struct dimension {
  int token = 0;
  int flop = 0;
  int byte = 0;
  int second = 0;

  friend constexpr bool operator==(const dimension&, const dimension&) = default;
  friend constexpr dimension operator*(dimension a, dimension b) {
    return {a.token + b.token, a.flop + b.flop, a.byte + b.byte, a.second + b.second};
  }
  friend constexpr dimension operator/(dimension a, dimension b) {
    return {a.token - b.token, a.flop - b.flop, a.byte - b.byte, a.second - b.second};
  }
};

constexpr dimension power(dimension base, int exponent) {
  return {base.token * exponent, base.flop * exponent, base.byte * exponent, base.second * exponent};
}

namespace units {
inline constexpr dimension none{};
inline constexpr dimension token{.token = 1};
inline constexpr dimension flop{.flop = 1};
inline constexpr dimension byte{.byte = 1};
inline constexpr dimension second{.second = 1};
inline constexpr dimension per_token{.token = -1};
inline constexpr dimension per_second{.second = -1};
inline constexpr dimension flop_per_second{.flop = 1, .second = -1};
inline constexpr dimension byte_per_second{.byte = 1, .second = -1};
inline constexpr dimension flop_per_byte{.flop = 1, .byte = -1};
inline constexpr dimension flop_per_token{.token = -1, .flop = 1};
inline constexpr dimension byte_per_token{.token = -1, .byte = 1};
}  // namespace units

/// A dimension as text for messages and reports: `FLOP/(B*s)`, `token^2`, `1`. Padded with terminators (64 characters
/// hold any dimension).
constexpr auto text_of(dimension d) {
  fixed_string<64> text;
  std::size_t size = 0;
  const auto put = [&](const char* part) {
    while (*part != '\0' && size < 63) text.data[size++] = *part++;
  };
  const auto factor = [&](const char* name, int exponent, bool& first) {
    if (exponent <= 0) return;
    if (!first) put("*");
    first = false;
    put(name);
    if (exponent > 1) {
      char digits[12]{};
      std::size_t at = 11;
      for (int rest = exponent; rest > 0; rest /= 10) digits[--at] = static_cast<char>('0' + rest % 10);
      digits[--at] = '^';
      put(digits + at);
    }
  };
  bool first = true;
  factor("token", d.token, first);
  factor("FLOP", d.flop, first);
  factor("B", d.byte, first);
  factor("s", d.second, first);
  if (first) put("1");
  const int below = (d.token < 0) + (d.flop < 0) + (d.byte < 0) + (d.second < 0);
  if (below > 0) {
    put("/");
    if (below > 1) put("(");
    bool first_below = true;
    factor("token", -d.token, first_below);
    factor("FLOP", -d.flop, first_below);
    factor("B", -d.byte, first_below);
    factor("s", -d.second, first_below);
    if (below > 1) put(")");
  }
  return text;
}

}  // namespace rafter
