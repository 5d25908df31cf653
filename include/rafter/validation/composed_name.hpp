// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

namespace rafter::detail {

template <std::size_t N> struct name_text {
  std::array<char, N> letters{};
  constexpr std::string_view view() const { return {letters.data(), N}; }
};

/// The name of a policy composed of policies: Left::name, `word` and Right::name.
template <class Left, class Word, class Right>
inline constexpr auto composed_name = [] {
  constexpr std::string_view left = Left::name;
  constexpr std::string_view word = Word::name;
  constexpr std::string_view right = Right::name;
  name_text<left.size() + word.size() + right.size()> text;
  const auto middle = std::copy(left.begin(), left.end(), text.letters.begin());
  std::copy(right.begin(), right.end(), std::copy(word.begin(), word.end(), middle));
  return text;
}();

}  // namespace rafter::detail
