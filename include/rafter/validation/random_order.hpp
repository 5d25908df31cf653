// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

namespace rafter {

/// The numbers 0 … size − 1 in an order that depends on the seed alone: Fisher-Yates, last to first, fed by
/// SplitMix64 (Steele, Lea and Flood 2014; the reference C code of Vigna) with rejection, so each order is equally
/// likely. Unlike `std::shuffle`, the same on every compiler and library.
inline std::vector<std::size_t> random_order(std::size_t size, std::uint64_t seed) {
  const auto next = [&seed] {
    seed += 0x9e3779b97f4a7c15U;
    std::uint64_t bits = seed;
    bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9U;
    bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebU;
    return bits ^ (bits >> 31);
  };
  const auto below = [&](std::uint64_t bound) {
    const std::uint64_t biased = (0 - bound) % bound;  // 2^64 mod bound: the draws that would favour small numbers
    std::uint64_t bits = next();
    while (bits < biased) bits = next();
    return bits % bound;
  };
  std::vector<std::size_t> order(size);
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (std::size_t left = size; left > 1; --left) std::swap(order[left - 1], order[below(left)]);
  return order;
}

}  // namespace rafter
