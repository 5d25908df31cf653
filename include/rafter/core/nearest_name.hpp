// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace rafter {

/// Levenshtein distance: insertions, deletions and substitutions that turn one text into the other.
inline std::size_t edit_distance(std::string_view left, std::string_view right) {
  std::vector<std::size_t> row(right.size() + 1);
  for (std::size_t j = 0; j <= right.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= left.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= right.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (left[i - 1] == right[j - 1] ? 0U : 1U)});
      diagonal = above;
    }
  }
  return row[right.size()];
}

/// The known name closest to `given`, or an empty view when none is close enough to be a likely misspelling
/// (at most max(2, a third of `given`) edits and at most half of the longer name; never for texts over 256
/// characters). Of equally close names the first wins.
template <class Names> std::string_view nearest_name(std::string_view given, const Names& known) {
  std::string_view best;
  if (given.size() > 256) return best;
  std::size_t best_distance = std::max<std::size_t>(2, given.size() / 3) + 1;
  for (const auto& name : known) {
    const std::string_view candidate(name);
    const std::size_t distance = edit_distance(given, candidate);
    if (distance < best_distance && 2 * distance <= std::max(given.size(), candidate.size())) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

/// The sentence fragment for an error message: `; did you mean 'kv_sum'?`, or nothing when no name is close.
template <class Names> std::string did_you_mean(std::string_view given, const Names& known) {
  const std::string_view best = nearest_name(given, known);
  return best.empty() ? std::string() : "; did you mean '" + std::string(best) + "'?";
}

}  // namespace rafter
