// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "rafter/core/random.hpp"

namespace rafter {

/// The numbers 0 … size − 1 in an order that depends on the seed alone: Fisher-Yates, last to first, fed by
/// SplitMix64 (Steele, Lea and Flood 2014; the reference C code of Vigna) with rejection, so each order is equally
/// likely. Unlike `std::shuffle`, the same on every compiler and library.
inline std::vector<std::size_t> random_order(std::size_t size, std::uint64_t seed) {
  detail::seeded_numbers numbers(seed);
  std::vector<std::size_t> order(size);
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (std::size_t left = size; left > 1; --left) std::swap(order[left - 1], order[numbers.below(left)]);
  return order;
}

}  // namespace rafter
