// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace rafter {

/// A string as a template argument: `fixed_string{"kv_sum"}`. Structural; the terminator is stored. The text ends at
/// the first terminator, so a string computed into a larger array reads, joins and compares like its text (as
/// template arguments, arrays of different size remain different types).
template <std::size_t N> struct fixed_string {
  static_assert(N > 0, "rafter: a fixed_string holds at least its terminator");
  char data[N]{};

  constexpr fixed_string() = default;
  constexpr fixed_string(const char (&text)[N]) { std::copy_n(text, N, data); }

  /// Characters before the first terminator.
  constexpr std::size_t size() const {
    std::size_t length = 0;
    while (length < N - 1 && data[length] != '\0') ++length;
    return length;
  }
  constexpr std::string_view view() const { return {data, size()}; }
  constexpr operator std::string_view() const { return view(); }
};

template <std::size_t N, std::size_t M>
constexpr auto operator+(const fixed_string<N>& left, const fixed_string<M>& right) {
  fixed_string<N + M - 1> joined;
  std::copy_n(left.data, left.size(), joined.data);
  std::copy_n(right.data, right.size(), joined.data + left.size());
  return joined;
}

template <std::size_t N, std::size_t M>
constexpr auto operator+(const fixed_string<N>& left, const char (&right)[M]) {
  return left + fixed_string<M>(right);
}

template <std::size_t N, std::size_t M>
constexpr auto operator+(const char (&left)[N], const fixed_string<M>& right) {
  return fixed_string<N>(left) + right;
}

template <std::size_t N, std::size_t M>
constexpr bool operator==(const fixed_string<N>& left, const fixed_string<M>& right) {
  return left.view() == right.view();
}

}  // namespace rafter
