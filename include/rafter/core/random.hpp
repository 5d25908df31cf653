// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "rafter/core/math.hpp"

namespace rafter::detail {

/// Random numbers from a seed, the same on every platform: SplitMix64 (Steele, Lea and Flood 2014) and rafter's own
/// logarithm. The standard's distributions and the C library's functions are not portable.
class seeded_numbers {
 public:
  explicit seeded_numbers(std::uint64_t seed) : state_(seed) {}

  /// In [0, 1), a multiple of 2⁻⁵³.
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }

  /// An integer below n > 0.
  std::size_t below(std::size_t n) {
    const std::uint64_t range = n;
    const std::uint64_t rest = (std::numeric_limits<std::uint64_t>::max() % range + 1) % range;
    std::uint64_t drawn = next();
    while (drawn < rest) drawn = next();  // no number more often than another
    return static_cast<std::size_t>(drawn % range);
  }

  /// The same for n up to 2³² - 1, from the upper half of a number and without a division (Lemire 2019): what draws
  /// millions of rows calls this one.
  std::uint32_t quick_below(std::uint32_t n) {
    std::uint64_t product = (next() >> 32) * n;
    if (static_cast<std::uint32_t>(product) < n) {
      const std::uint32_t rest = (0U - n) % n;
      while (static_cast<std::uint32_t>(product) < rest) product = (next() >> 32) * n;
    }
    return static_cast<std::uint32_t>(product >> 32);
  }

  /// Of mean 0 and variance 1: the polar method of Marsaglia and Bray 1964, which makes two at a time.
  double normal() {
    if (has_spare_) {
      has_spare_ = false;
      return spare_;
    }
    double x = 0.0, y = 0.0, square = 0.0;
    do {
      x = 2.0 * uniform() - 1.0;
      y = 2.0 * uniform() - 1.0;
      square = x * x + y * y;
    } while (square >= 1.0 || square == 0.0);
    const double factor = rafter::sqrt(-2.0 * rafter::log(square) / square);
    spare_ = y * factor;
    has_spare_ = true;
    return x * factor;
  }

 private:
  std::uint64_t state_;
  double spare_ = 0.0;
  bool has_spare_ = false;

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
  }
};

}  // namespace rafter::detail
