// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <limits>
#include <string>
#include <string_view>

#include "rafter/statistics/error.hpp"

namespace rafter {

/// What is held against "no difference".
enum class alternative {
  two_sided,  ///< the first differs from the second
  less,       ///< the first is smaller
  greater,    ///< the first is larger
};

/// How a p value is computed. `automatic` is exact where that is possible and cheap, and results say what was done.
enum class p_value_method { automatic, exact, asymptotic };

namespace detail {

inline constexpr double no_number = std::numeric_limits<double>::quiet_NaN();

inline void require_pairs(std::string_view name, std::size_t first, std::size_t second) {
  if (first == second) return;
  throw statistics_error(std::string(name) + ": " + std::to_string(first) + " values, " + std::to_string(second) +
                         " to pair them with");
}

inline void require_confidence(std::string_view name, double confidence) {
  if (confidence > 0.0 && confidence < 1.0) return;
  throw statistics_error(std::string(name) + ": a confidence of " + std::to_string(confidence) + " is not in (0, 1)");
}

}  // namespace detail

}  // namespace rafter
