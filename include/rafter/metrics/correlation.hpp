// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <string_view>
#include <vector>

#include "rafter/metrics/accurate_sum.hpp"
#include "rafter/metrics/metric.hpp"

/// Whether predictions rank the steps as the measurement does. All are NaN when one of the columns is constant, and
/// blind to scale: a predictor that is wrong by a factor of ten may reach 1.

namespace rafter {

/// Ranks from 1 in ascending order; equal values share the average of their ranks.
inline std::vector<double> average_ranks(std::span<const double> column) {
  std::vector<std::size_t> order(column.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t i, std::size_t j) { return column[i] < column[j]; });
  std::vector<double> ranks(column.size());
  for (std::size_t first = 0; first < order.size();) {
    std::size_t last = first + 1;
    while (last < order.size() && column[order[last]] == column[order[first]]) ++last;
    const double rank = 0.5 * static_cast<double>(first + 1 + last);  // mean of first+1 … last
    for (std::size_t i = first; i < last; ++i) ranks[order[i]] = rank;
    first = last;
  }
  return ranks;
}

namespace detail {

struct correlation_metric {
  static constexpr bool higher_is_better = true;
  static constexpr double ideal = 1.0;
  static constexpr metric_unit unit = metric_unit::none;
};

inline double product_moment(std::span<const double> x, std::span<const double> y) {
  // A mean is rounded: a constant column differs from its own by something, and the quotient would be noise.
  const auto constant = [](std::span<const double> column) {
    return std::all_of(column.begin(), column.end(), [&](double value) { return value == column.front(); });
  };
  if (constant(x) || constant(y)) return undefined;
  const double x_mean = accurate_mean(x);
  const double y_mean = accurate_mean(y);
  accurate_sum xx;
  accurate_sum yy;
  accurate_sum xy;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double dx = x[i] - x_mean;
    const double dy = y[i] - y_mean;
    xx.add(dx * dx);
    yy.add(dy * dy);
    xy.add(dx * dy);
  }
  if (xx.value() == 0.0 || yy.value() == 0.0) return undefined;
  return std::clamp(xy.value() / (std::sqrt(xx.value()) * std::sqrt(yy.value())), -1.0, 1.0);
}

/// Pairs of equal values in a sorted sequence.
template <class Equal> std::uint64_t tied_pairs(std::size_t size, Equal equal) {
  std::uint64_t pairs = 0;
  std::uint64_t run = 0;
  for (std::size_t i = 1; i < size; ++i) {
    run = equal(i - 1, i) ? run + 1 : 0;
    pairs += run;
  }
  return pairs;
}

/// Exchanges a stable merge sort makes: pairs i < j with values[i] > values[j]. Sorts `values`.
inline std::uint64_t count_exchanges(std::vector<double>& values) {
  std::vector<double> merged(values.size());
  std::uint64_t exchanges = 0;
  for (std::size_t width = 1; width < values.size(); width *= 2) {
    for (std::size_t begin = 0; begin < values.size(); begin += 2 * width) {
      const std::size_t middle = std::min(begin + width, values.size());
      const std::size_t end = std::min(begin + 2 * width, values.size());
      std::size_t left = begin;
      std::size_t right = middle;
      for (std::size_t out = begin; out < end; ++out) {
        if (left < middle && (right == end || values[left] <= values[right])) {
          merged[out] = values[left++];
        } else {
          exchanges += middle - left;
          merged[out] = values[right++];
        }
      }
    }
    values.swap(merged);
  }
  return exchanges;
}

}  // namespace detail

/// Product-moment correlation, in two passes.
struct pearson : detail::correlation_metric {
  static constexpr std::string_view name = "pearson";
  static constexpr std::string_view label = "Pearson r";
  static double evaluate(std::span<const double> actual, std::span<const double> predicted) {
    if (!detail::comparable(name, actual, predicted)) return detail::undefined;
    return detail::product_moment(actual, predicted);
  }
};

/// Pearson correlation of the average ranks.
struct spearman : detail::correlation_metric {
  static constexpr std::string_view name = "spearman";
  static constexpr std::string_view label = "Spearman rho";
  static double evaluate(std::span<const double> actual, std::span<const double> predicted) {
    if (!detail::comparable(name, actual, predicted)) return detail::undefined;
    return detail::product_moment(average_ranks(actual), average_ranks(predicted));
  }
};

/// (concordant - discordant) / sqrt(pairs not tied in a · pairs not tied in p), in O(n log n) (Knight 1966).
struct kendall_tau_b : detail::correlation_metric {
  static constexpr std::string_view name = "kendall_tau_b";
  static constexpr std::string_view label = "Kendall tau-b";
  static double evaluate(std::span<const double> actual, std::span<const double> predicted) {
    if (!detail::comparable(name, actual, predicted)) return detail::undefined;
    const std::size_t n = actual.size();
    std::vector<std::size_t> order(n);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t i, std::size_t j) {
      return actual[i] < actual[j] || (actual[i] == actual[j] && predicted[i] < predicted[j]);
    });
    const auto same_actual = [&](std::size_t i, std::size_t j) { return actual[order[i]] == actual[order[j]]; };
    const std::uint64_t tied_actual = detail::tied_pairs(n, same_actual);
    const std::uint64_t tied_both = detail::tied_pairs(n, [&](std::size_t i, std::size_t j) {
      return same_actual(i, j) && predicted[order[i]] == predicted[order[j]];
    });
    std::vector<double> values(n);
    for (std::size_t i = 0; i < n; ++i) values[i] = predicted[order[i]];
    const std::uint64_t discordant = detail::count_exchanges(values);
    const std::uint64_t tied_predicted =
        detail::tied_pairs(n, [&](std::size_t i, std::size_t j) { return values[i] == values[j]; });
    const std::uint64_t pairs = static_cast<std::uint64_t>(n) * (n - 1) / 2;
    if (pairs == tied_actual || pairs == tied_predicted) return detail::undefined;
    const std::uint64_t concordant = pairs - tied_actual - tied_predicted + tied_both - discordant;
    const double difference = static_cast<double>(concordant) - static_cast<double>(discordant);
    const double tau = difference / std::sqrt(static_cast<double>(pairs - tied_actual)) /
                       std::sqrt(static_cast<double>(pairs - tied_predicted));
    return std::clamp(tau, -1.0, 1.0);
  }
};

static_assert(metric<pearson> && metric<spearman> && metric<kendall_tau_b>);

}  // namespace rafter
