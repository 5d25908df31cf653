// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "rafter/solver/minimizer.hpp"

namespace rafter {

/// Minimisation without derivatives: the simplex of Nelder and Mead 1965 with the coefficients of Gao and Han 2012,
/// which depend on the number of parameters. For objectives with kinks or noise and few parameters; where derivatives
/// exist, trust_region needs far fewer evaluations.
///
/// Trial points outside the bounds are moved onto them. When the simplex has shrunk it starts anew around the best
/// point, until that brings nothing: a single collapse is not trusted. Values that are not finite count as worst.
struct nelder_mead {
  robust_loss loss = {};
  /// Converged when a fresh simplex lowers the cost by less than this, relative.
  double cost_tolerance = 1e-10;
  /// A simplex has shrunk when each parameter varies by less than this over it, relative to its largest value.
  double step_tolerance = 1e-8;
  std::size_t max_evaluations = 0;  ///< 0: 1000 per parameter
  /// First edge of the simplex, relative to the parameter (absolute where that is 0).
  double first_step = 0.1;

  using objective = std::function<double(const double* at)>;

  std::string name() const { return "Nelder-Mead"; }

  /// @param start  n, within the bounds
  nonlinear_solution minimize(const residual_model& model, const std::vector<double>& start,
                              const parameter_bounds& bounds = {}) const {
    detail::check_problem(model, start, bounds, loss);
    return minimize([&](const double* at) { return model.cost(at, loss); }, start, bounds);
  }

  /// Any function of n parameters.
  nonlinear_solution minimize(const objective& cost, const std::vector<double>& start,
                              const parameter_bounds& bounds = {}) const {
    bounds.check(start);
    if (!(first_step > 0.0) || !(cost_tolerance >= 0.0) || !(step_tolerance >= 0.0)) {
      throw solver_error("rafter: nelder_mead: first_step must be positive and the tolerances not negative");
    }
    const std::size_t n = start.size();
    const std::size_t limit = max_evaluations == 0 ? 1000 * std::max<std::size_t>(1, n) : max_evaluations;
    nonlinear_solution result;
    const auto inside = [&](std::vector<double>& x) {
      for (std::size_t j = 0; j < n; ++j) x[j] = std::clamp(x[j], bounds.low(j), bounds.high(j));
    };
    const auto measure = [&](vertex& at) {
      inside(at.x);
      ++result.evaluations;
      at.cost = cost(at.x.data());
      if (!std::isfinite(at.cost)) at.cost = std::numeric_limits<double>::infinity();
    };
    vertex best{start, 0.0};
    measure(best);
    result.status = std::isfinite(best.cost) ? minimum_status::evaluation_limit : minimum_status::non_finite_start;
    double edge = first_step;
    while (std::isfinite(best.cost) && result.evaluations < limit) {
      const double before = best.cost;
      best = shrink_one(best, edge, bounds, limit, result, measure);
      if (result.evaluations >= limit) break;
      if (!(before - best.cost > cost_tolerance * std::abs(before))) {
        result.status = minimum_status::cost_settled;
        break;
      }
      edge = std::max(1e-3 * first_step, 0.3 * edge);
    }
    result.parameters = best.x;
    result.cost = best.cost;
    result.active_mask.assign(n, 0);
    for (std::size_t j = 0; j < n; ++j) {
      result.active_mask[j] = best.x[j] == bounds.low(j) ? -1 : best.x[j] == bounds.high(j) ? 1 : 0;
    }
    return result;
  }

 private:
  struct vertex {
    std::vector<double> x;
    double cost;
  };

  // One simplex, from its first edges until it is small. @returns its best vertex
  template <class Measure>
  vertex shrink_one(const vertex& from, double edge, const parameter_bounds& bounds, std::size_t limit,
                    nonlinear_solution& result, const Measure& measure) const {
    const std::size_t n = from.x.size();
    std::vector<vertex> simplex{from};
    for (std::size_t j = 0; j < n; ++j) {
      if (bounds.low(j) == bounds.high(j)) continue;
      const double step = edge * (from.x[j] != 0.0 ? std::abs(from.x[j]) : 1.0);
      vertex at = from;
      const bool up = bounds.high(j) - from.x[j] >= std::min(step, from.x[j] - bounds.low(j));
      at.x[j] += up ? step : -step;
      measure(at);
      simplex.push_back(at);
    }
    const std::size_t free = simplex.size() - 1;
    if (free == 0) return from;
    const auto dimension = static_cast<double>(std::max<std::size_t>(2, free));
    const double expansion = 1.0 + 2.0 / dimension;
    const double contraction = 0.75 - 0.5 / dimension;
    const double shrinkage = 1.0 - 1.0 / dimension;
    const auto by_cost = [](const vertex& a, const vertex& b) { return a.cost < b.cost; };
    vertex reflected{from.x, 0.0}, other{from.x, 0.0};
    std::vector<double> centre(n);
    while (true) {
      std::stable_sort(simplex.begin(), simplex.end(), by_cost);
      bool small = true;
      for (std::size_t j = 0; j < n && small; ++j) {
        double least = simplex[0].x[j], most = least;
        for (const vertex& at : simplex) {
          least = std::min(least, at.x[j]);
          most = std::max(most, at.x[j]);
        }
        small = most - least <= step_tolerance * std::max(std::abs(least), std::abs(most));
      }
      if (small || result.evaluations >= limit) return simplex.front();
      ++result.iterations;
      vertex& worst = simplex.back();
      std::fill(centre.begin(), centre.end(), 0.0);
      for (std::size_t k = 0; k < free; ++k) {
        for (std::size_t j = 0; j < n; ++j) centre[j] += simplex[k].x[j] / static_cast<double>(free);
      }
      const auto along = [&](double t, vertex& to) {
        for (std::size_t j = 0; j < n; ++j) to.x[j] = centre[j] + t * (worst.x[j] - centre[j]);
        measure(to);
      };
      along(-1.0, reflected);
      if (reflected.cost < simplex.front().cost) {
        along(-expansion, other);
        worst = other.cost < reflected.cost ? other : reflected;
      } else if (reflected.cost < simplex[free - 1].cost) {
        worst = reflected;
      } else {
        const bool outside = reflected.cost < worst.cost;
        along(outside ? -contraction : contraction, other);
        if (other.cost < std::min(reflected.cost, worst.cost)) {
          worst = other;
        } else {
          for (std::size_t k = 1; k <= free; ++k) {
            for (std::size_t j = 0; j < n; ++j) {
              simplex[k].x[j] = simplex[0].x[j] + shrinkage * (simplex[k].x[j] - simplex[0].x[j]);
            }
            measure(simplex[k]);
          }
        }
      }
    }
  }
};
static_assert(minimizer<nelder_mead>);

}  // namespace rafter
