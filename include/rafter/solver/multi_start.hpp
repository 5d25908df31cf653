// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "rafter/core/random.hpp"
#include "rafter/solver/minimizer.hpp"

namespace rafter {

/// Another method from several starts: the given one, then a Latin hypercube (McKay, Beckman and Conover 1979) over
/// the bounds.
///
/// A parameter whose bounds are positive and a factor of 100 or more apart is drawn by its logarithm; where a bound
/// is missing, the range ends `spread`·max(1, |start|) from the start. The solution is that of the lowest cost, of
/// the earliest start where several are equal; `evaluations`, `row_passes` and `iterations` are those of all,
/// `start_costs` has the cost that each start led to.
template <minimizer Method> struct multi_start {
  Method method = {};
  std::size_t starts = 8;  ///< the given one included, at least 1
  std::uint64_t seed = 1;
  double spread = 2.0;

  std::string name() const { return method.name() + ", " + std::to_string(starts) + " starts"; }

  /// The points that `minimize` starts from.
  std::vector<std::vector<double>> points(const std::vector<double>& start, const parameter_bounds& bounds) const {
    bounds.check(start);
    if (!(spread > 0.0) || !std::isfinite(spread)) {
      throw solver_error("rafter: multi_start: spread " + std::to_string(spread) + ", must be positive");
    }
    std::vector<std::vector<double>> made(std::max<std::size_t>(1, starts), start);
    const std::size_t drawn = made.size() - 1;
    detail::seeded_numbers random(seed);
    std::vector<std::size_t> stratum(drawn);
    for (std::size_t j = 0; j < start.size(); ++j) {
      for (std::size_t k = 0; k < drawn; ++k) stratum[k] = k;
      for (std::size_t k = drawn; k > 1; --k) std::swap(stratum[k - 1], stratum[random.below(k)]);
      const double reach = spread * std::max(1.0, std::abs(start[j]));
      const double low = std::isfinite(bounds.low(j)) ? bounds.low(j) : std::min(start[j], bounds.high(j)) - reach;
      const double high = std::isfinite(bounds.high(j)) ? bounds.high(j) : std::max(start[j], bounds.low(j)) + reach;
      const bool by_logarithm = low > 0.0 && high / low >= 100.0;
      for (std::size_t k = 0; k < drawn; ++k) {
        const double at = (static_cast<double>(stratum[k]) + random.uniform()) / static_cast<double>(drawn);
        const double value = by_logarithm ? low * std::exp(at * std::log(high / low)) : low + at * (high - low);
        made[k + 1][j] = std::clamp(value, low, high);
      }
    }
    return made;
  }

  nonlinear_solution minimize(const residual_model& model, const std::vector<double>& start,
                              const parameter_bounds& bounds = {}) const {
    nonlinear_solution best;
    std::size_t evaluations = 0, row_passes = 0, iterations = 0;
    std::vector<double> costs;
    for (const std::vector<double>& from : points(start, bounds)) {
      nonlinear_solution each = method.minimize(model, from, bounds);
      evaluations += each.evaluations;
      row_passes += each.row_passes;
      iterations += each.iterations;
      costs.push_back(each.cost);
      if (costs.size() == 1 || each.cost < best.cost || std::isnan(best.cost)) best = std::move(each);
    }
    best.evaluations = evaluations;
    best.row_passes = row_passes;
    best.iterations = iterations;
    best.start_costs = std::move(costs);
    return best;
  }
};

}  // namespace rafter
