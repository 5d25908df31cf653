// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "rafter/solver/double_double.hpp"

/// The decimal number that was printed, from the double that was read (at most 15 digits): its shortest text gives
/// the digits back, and digits / 10^k is formed in double-double.
inline rafter::double_double printed_decimal(double read) {
  char text[64];
  const char* const end = std::to_chars(text, text + sizeof text, read, std::chars_format::scientific).ptr;
  std::string digits;
  int exponent = 0;
  int after_point = 0;
  bool negative = false;
  bool point = false;
  for (const char* at = text; at != end; ++at) {
    if (*at == '-') negative = true;
    if (*at == '.') point = true;
    if (*at >= '0' && *at <= '9') {
      digits += *at;
      if (point) ++after_point;
    }
    if (*at == 'e') {
      exponent = std::atoi(std::string(at + 1, end).c_str());
      break;
    }
  }
  const std::int64_t whole = std::stoll(digits);
  // Both halves are exact doubles.
  const auto upper = static_cast<double>(whole / 1000000000);
  const auto lower = static_cast<double>(whole % 1000000000);
  rafter::double_double value =
      rafter::double_double{upper} * rafter::double_double{1e9} + rafter::double_double{lower};
  exponent -= after_point;
  for (; exponent < 0; ++exponent) value = value / rafter::double_double{10.0};
  for (; exponent > 0; --exponent) value = value * rafter::double_double{10.0};
  return negative ? -value : value;
}

/// Correct digits: log relative error, for a certified 0 the absolute one; at most 16.
inline double correct_digits(double mine, double certified) {
  const double off = std::abs(mine - certified);
  if (!std::isfinite(mine)) return 0.0;
  if (off == 0.0) return 16.0;
  const double digits = -std::log10(certified == 0.0 ? off : off / std::abs(certified));
  return std::min(16.0, std::max(0.0, digits));
}
