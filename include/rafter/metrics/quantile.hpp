// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>

namespace rafter {

/// Quantile of an ascending column by linear interpolation at rank q·(n-1) (Hyndman and Fan 1996, type 7; the default
/// of numpy). q outside [0, 1] is taken as the nearer end; NaN when the column is empty or q is NaN.
inline double quantile_of_sorted(std::span<const double> ascending, double q) {
  if (ascending.empty() || q != q) return std::numeric_limits<double>::quiet_NaN();
  const double rank = std::clamp(q, 0.0, 1.0) * static_cast<double>(ascending.size() - 1);
  const auto below = static_cast<std::size_t>(rank);
  if (below + 1 >= ascending.size()) return ascending.back();
  const double low = ascending[below];
  return low + (rank - static_cast<double>(below)) * (ascending[below + 1] - low);
}

}  // namespace rafter
