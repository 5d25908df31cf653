// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "rafter/core/random.hpp"

namespace tiny {

/// A stationary series x(t) = c·x(t - 1) + e(t), |c| < 1, with standard normal e.
inline std::vector<double> autoregressive(std::size_t size, double coefficient, std::uint64_t seed) {
  rafter::detail::seeded_numbers random(seed);
  std::vector<double> x(size);
  double state = random.normal() / std::sqrt(1.0 - coefficient * coefficient);
  for (double& value : x) value = state = coefficient * state + random.normal();
  return x;
}

}  // namespace tiny
