// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "rafter/core/error.hpp"

namespace rafter {

/// Points that no curve can be drawn through, or a table of kernels that no MFU can be computed from.
struct curve_error : error {
  using error::error;
};

/// A measured point: y, e.g. an MFU, at x, e.g. the work in FLOP.
struct curve_point {
  double x = 0.0;
  double y = 0.0;
  friend bool operator==(const curve_point&, const curve_point&) = default;
};

namespace detail {
/// "(0.5, 12)", with the fewest digits that restore every bit.
inline std::string text_of(const curve_point& one) {
  char digits[64];
  const auto number = [&](double v) {
    return std::string(digits, std::to_chars(digits, digits + sizeof digits, v).ptr);
  };
  return '(' + number(one.x) + ", " + number(one.y) + ')';
}

/// The median; of an even number of values the mean of the two in the middle. Reorders them; there is at least one.
inline double median_of(std::span<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  const double below = *std::max_element(values.begin(), middle);
  return below + (*middle - below) / 2.0;
}
}  // namespace detail

/// One point for each bin of x that has any: the median of their x and the median of their y. Bins are equal in log x,
/// `per_decade` of them for each power of ten, with bounds at the powers of ten whatever the points are. In order of x.
/// @throws curve_error for an x that is not positive, a number that is not finite, and `per_decade` outside 1 to 1000
inline std::vector<curve_point> median_per_bin(std::span<const curve_point> points, int per_decade) {
  if (per_decade < 1 || per_decade > 1000) {
    throw curve_error("median_per_bin: " + std::to_string(per_decade) + " bins for each power of ten; 1 to 1000");
  }
  struct binned {
    long bin;
    curve_point at;
  };
  std::vector<binned> sorted;
  sorted.reserve(points.size());
  for (const curve_point& one : points) {
    if (!(one.x > 0.0 && one.x < std::numeric_limits<double>::infinity() && std::isfinite(one.y))) {
      throw curve_error("median_per_bin: point " + std::to_string(sorted.size() + 1) + " is " + detail::text_of(one) +
                        "; x must be positive, and both finite");
    }
    sorted.push_back({static_cast<long>(std::floor(std::log10(one.x) * per_decade)), one});
  }
  std::stable_sort(sorted.begin(), sorted.end(), [](const binned& a, const binned& b) { return a.bin < b.bin; });
  std::vector<curve_point> medians;
  std::vector<double> xs, ys;
  for (std::size_t i = 0; i < sorted.size();) {
    xs.clear();
    ys.clear();
    for (const long bin = sorted[i].bin; i < sorted.size() && sorted[i].bin == bin; ++i) {
      xs.push_back(sorted[i].at.x);
      ys.push_back(sorted[i].at.y);
    }
    medians.push_back({detail::median_of(xs), detail::median_of(ys)});
  }
  return medians;
}

}  // namespace rafter
