// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: the language of hypotheses takes a second or two to compile; for those who state them.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace rafter::hypotheses {

/// What can be said of a condition. Kleene's strong logic: `unknown` stands for either, so that `no && unknown` is no and
/// `yes || unknown` is yes.
enum class truth : std::uint8_t { no, unknown, yes };

constexpr std::string_view name_of(truth of) {
  constexpr std::array<std::string_view, 3> names{"no", "unknown", "yes"};
  return names[static_cast<std::size_t>(of)];
}
constexpr truth known(bool holds) { return holds ? truth::yes : truth::no; }
constexpr truth all_of(truth a, truth b) { return a < b ? a : b; }
constexpr truth any_of(truth a, truth b) { return a < b ? b : a; }
constexpr truth negated(truth a) { return static_cast<truth>(2 - static_cast<int>(a)); }

/// How a measured value is compared with a threshold.
enum class relation : std::uint8_t { below, at_most, above, at_least };

constexpr std::string_view name_of(relation of) {
  constexpr std::array<std::string_view, 4> names{"<", "<=", ">", ">="};
  return names[static_cast<std::size_t>(of)];
}
constexpr bool holds(double value, relation is, double threshold) {
  switch (is) {
    case relation::below:
      return value < threshold;
    case relation::at_most:
      return value <= threshold;
    case relation::above:
      return value > threshold;
    default:
      return value >= threshold;
  }
}
/// How far inside the threshold a value is; negative: outside.
constexpr double margin_of(double value, relation is, double threshold) {
  return is == relation::below || is == relation::at_most ? threshold - value : value - threshold;
}

/// What a number counts: an error relative to the measured time, a time, or nothing. Fractions and times do not compare
/// with plain numbers.
enum class scale : std::uint8_t { fraction, time, number };

namespace detail {
inline std::string formatted(const char* how, double value) {
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), how, value);
  return text.data();
}
/// As a reader writes a threshold: "20 %", "250 us", "0.3".
inline std::string threshold_text(double value, scale in) {
  if (in == scale::fraction) return formatted("%.4g %%", 100.0 * value);
  if (in == scale::time) return formatted("%.4g us", 1e6 * value);
  return formatted("%.4g", value);
}
/// As a report shows a measured value.
inline std::string value_text(double value, scale in) {
  if (std::isnan(value)) return "n/a";
  if (in == scale::fraction) return formatted("%.2f %%", 100.0 * value);
  if (in == scale::time) return formatted("%.4g us", 1e6 * value);
  const bool whole = value == std::floor(value) || (std::abs(value) >= 100.0 && std::abs(value) < 1e9);
  return formatted(whole ? "%.0f" : "%.3g", value);
}
/// A difference of two values; those of percentages are in points.
inline std::string difference_text(double value, scale in) {
  if (in == scale::fraction) return formatted("%.2f points", 100.0 * value);
  return value_text(value, in);
}
}  // namespace detail

}  // namespace rafter::hypotheses
