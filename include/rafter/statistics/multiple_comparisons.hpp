// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "rafter/statistics/error.hpp"

/// p values of many comparisons, adjusted so that each may be held against the level by itself. Results stand in the
/// order of the input. A NaN (a test that the data could not make) stays NaN and is not one of the m tests; a value
/// outside [0, 1] throws statistics_error.

namespace rafter {

namespace detail {

/// The tests that were made, by ascending p.
inline std::vector<std::size_t> tests_by_p(std::span<const double> p) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < p.size(); ++i) {
    if (std::isnan(p[i])) continue;
    if (p[i] < 0.0 || p[i] > 1.0) {
      throw statistics_error("p value " + std::to_string(i) + " of " + std::to_string(p.size()) + ": " +
                             std::to_string(p[i]) + " is not in [0, 1]");
    }
    order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](std::size_t i, std::size_t j) { return p[i] < p[j]; });
  return order;
}

}  // namespace detail

/// m·p. Bounds the chance of any false discovery.
inline std::vector<double> bonferroni(std::span<const double> p) {
  const std::vector<std::size_t> order = detail::tests_by_p(p);
  std::vector<double> adjusted(p.begin(), p.end());
  for (const std::size_t i : order) adjusted[i] = std::min(1.0, static_cast<double>(order.size()) * p[i]);
  return adjusted;
}

/// Holm 1979: the k-th smallest times m + 1 - k, never below a smaller one's. Bounds the same chance and is never larger
/// than Bonferroni's, whatever depends on whatever.
inline std::vector<double> holm(std::span<const double> p) {
  const std::vector<std::size_t> order = detail::tests_by_p(p);
  std::vector<double> adjusted(p.begin(), p.end());
  double largest = 0.0;
  for (std::size_t k = 0; k < order.size(); ++k) {
    largest = std::max(largest, std::min(1.0, static_cast<double>(order.size() - k) * p[order[k]]));
    adjusted[order[k]] = largest;
  }
  return adjusted;
}

/// Benjamini and Hochberg 1995: the k-th smallest times m/k, never above a larger one's. Bounds the expected share of
/// false discoveries among the discoveries, for tests that are independent or depend positively.
inline std::vector<double> benjamini_hochberg(std::span<const double> p) {
  const std::vector<std::size_t> order = detail::tests_by_p(p);
  std::vector<double> adjusted(p.begin(), p.end());
  double smallest = 1.0;
  for (std::size_t k = order.size(); k > 0; --k) {
    const double one = p[order[k - 1]] * static_cast<double>(order.size()) / static_cast<double>(k);
    smallest = std::min(smallest, one);
    adjusted[order[k - 1]] = smallest;
  }
  return adjusted;
}

}  // namespace rafter
