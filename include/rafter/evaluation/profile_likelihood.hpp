// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: includes Boost.Math's distributions and roots; for those who want intervals of parameters.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <boost/math/distributions/fisher_f.hpp>
#include <boost/math/tools/roots.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rafter/core/error.hpp"
#include "rafter/estimator/nonlinear.hpp"
#include "rafter/evaluation/table.hpp"
#include "rafter/solver/minimizer.hpp"
#include "rafter/solver/residual_model.hpp"

namespace rafter {

/// The values of one parameter that the rows do not speak against, in base units.
struct profile_interval {
  std::string parameter;
  std::string unit;
  double value = 0.0;  ///< where the cost is least
  double confidence = 0.0;
  double low = 0.0, high = 0.0;
  /// Nothing on that side is excluded: the end is the parameter's bound, or infinite.
  bool low_open = false, high_open = false;
  std::size_t fits = 0;         ///< made with the parameter held
  std::size_t unconverged = 0;  ///< of them, those that did not converge: the interval may be too narrow
  /// How often a held fit had a lower cost than the minimum at hand, so that all began again from there. At
  /// most_restarts nothing began again, and the interval is of no minimum.
  std::size_t restarts = 0;
  static constexpr std::size_t most_restarts = 5;
};

/// A minimisation whose minimum is known, for profiling.
struct profiled_problem {
  const residual_model& model;
  parameter_bounds bounds;
  robust_loss loss = {};
  /// @return the minimum from a start, within bounds that may hold parameters
  std::function<nonlinear_solution(const std::vector<double>& start, const parameter_bounds& bounds)> minimize;
};

namespace detail {

/// The cost of a problem with one parameter held, all others fitted; starts where the last fit ended.
class held_fits {
 public:
  held_fits(const profiled_problem& problem, std::size_t held, std::vector<double> start)
      : problem_(problem), held_(held), last_(std::move(start)), bounds_(problem.bounds) {
    if (bounds_.lower.empty()) bounds_.lower.assign(last_.size(), -std::numeric_limits<double>::infinity());
    if (bounds_.upper.empty()) bounds_.upper.assign(last_.size(), std::numeric_limits<double>::infinity());
    for (std::size_t j = 0; j < last_.size(); ++j) others_ += j != held && bounds_.lower[j] != bounds_.upper[j];
  }

  double cost(double value) {
    bounds_.lower[held_] = bounds_.upper[held_] = last_[held_] = value;
    ++fits;
    if (others_ == 0) {
      const double alone = problem_.model.cost(last_.data(), problem_.loss);
      return std::isfinite(alone) ? alone : std::numeric_limits<double>::infinity();
    }
    nonlinear_solution solved = problem_.minimize(last_, bounds_);
    if (solved.status == minimum_status::non_finite_start) return std::numeric_limits<double>::infinity();
    unconverged += !solved.converged();
    last_ = std::move(solved.parameters);
    return solved.cost;
  }
  const std::vector<double>& last() const { return last_; }

  std::size_t fits = 0;
  std::size_t unconverged = 0;

 private:
  const profiled_problem& problem_;
  std::size_t held_;
  std::vector<double> last_;
  parameter_bounds bounds_;
  std::size_t others_ = 0;
};

/// One end of an interval: how far from the minimum.
struct profile_end {
  double distance = 0.0;
  bool open = false;
};

/// @param excess  of the root of 2 (cost − least cost) / s² over that of the quantile, at a distance; grows
inline profile_end find_end(const std::function<double(double)>& excess, double first, double farthest,
                            double at_zero) {
  double inside = 0.0, outside = std::min(first, farthest), below = at_zero, above = 0.0;
  for (int step = 0;; ++step) {
    above = excess(outside);
    if (above > 0.0) break;
    if (outside >= farthest || step == 40) return {.distance = farthest, .open = true};
    inside = outside;
    below = above;
    outside = std::min(outside * (step < 4 ? 2.0 : 10.0), farthest);
  }
  std::uintmax_t most = 60;
  const auto [a, b] = boost::math::tools::toms748_solve(excess, inside, outside, below, above,
                                                        boost::math::tools::eps_tolerance<double>(32), most);
  return {.distance = 0.5 * (a + b), .open = false};
}

}  // namespace detail

/// The profile-likelihood interval of parameter j: all values v for which
///
///   2 (min cost with x_j = v − min cost) / s²  <=  F quantile(confidence; 1, dof),    s² = 2 min cost / dof
///
/// (Bates and Watts 1988, "Nonlinear Regression Analysis and Its Applications", chapter 6). For a model linear in its
/// parameters this is Student's interval; else it bends with the model, does not depend on how the parameter is
/// written, and ends where the bounds end. With a robust loss it is an approximation. A fit with the parameter held
/// that has a lower cost than `best` means that `best` was no minimum: all starts again from there.
/// @param best  a minimum of the problem; a lower one that is come across takes its place
/// @throws error when the confidence is not in (0, 1) or there is no such parameter
RAFTER_COLD inline profile_interval profile_interval_of(const profiled_problem& problem, nonlinear_solution& best,
                                                        std::size_t parameter, double confidence = 0.95) {
  if (!(confidence > 0.0 && confidence < 1.0)) {
    throw error("rafter: profile likelihood: a confidence of " + std::to_string(confidence) + " is not in (0, 1)");
  }
  const std::size_t j = parameter;
  if (j >= best.parameters.size()) {
    throw error("rafter: profile likelihood: there is no parameter " + std::to_string(j));
  }
  const double infinite = std::numeric_limits<double>::infinity();
  profile_interval found;
  found.confidence = confidence;
  for (;;) {
    found.value = best.parameters[j];
    double freedom = best.degrees_of_freedom;
    if (best.gram.empty()) {  // a method without derivatives does not count
      freedom = static_cast<double>(problem.model.observations());
      for (std::size_t i = 0; i < best.parameters.size(); ++i) {
        freedom -= problem.bounds.low(i) != problem.bounds.high(i) ? 1.0 : 0.0;
      }
    }
    const bool dead =
        std::find(best.dead_parameters.begin(), best.dead_parameters.end(), j) != best.dead_parameters.end();
    found.low = problem.bounds.low(j);
    found.high = problem.bounds.high(j);
    found.low_open = found.high_open = true;
    if (dead || !(freedom > 0.0)) return found;  // the rows exclude nothing
    const double variance = 2.0 * best.cost / freedom;
    if (!(variance > 0.0) || found.low == found.high) {  // an exact fit; held
      found.low = found.high = found.value;
      found.low_open = found.high_open = false;
      return found;
    }
    const boost::math::fisher_f distribution(1.0, freedom);
    const double limit = std::sqrt(boost::math::quantile(boost::math::complement(distribution, 1.0 - confidence)));
    const double error = j < best.standard_errors.size() ? best.standard_errors[j] : 0.0;
    const double range = found.high - found.low;
    const double first = std::isfinite(error) && error > 0.0 ? limit * error
                         : found.value != 0.0                ? 0.1 * std::abs(found.value)
                         : std::isfinite(range)              ? 0.01 * range
                                                             : 1.0;
    std::vector<double> lower;  // where a lower cost was found
    double least = best.cost;
    const auto search = [&](double side, double bound) {
      detail::held_fits fits(problem, j, best.parameters);
      const double farthest = std::isfinite(bound) ? std::abs(bound - found.value) : infinite;
      const auto excess = [&](double distance) {
        const double value = distance == farthest ? bound : found.value + side * distance;
        const double cost = fits.cost(value);
        if (cost < least && 2.0 * (best.cost - cost) / variance > 1e-6) {  // beyond rounding and tolerances
          least = cost;
          lower = fits.last();
        }
        const double root = std::sqrt(2.0 * std::max(0.0, cost - best.cost) / variance);
        return std::min(root - limit, 1e6 * limit);  // finite, whatever the model makes of the value
      };
      detail::profile_end end{.distance = farthest, .open = true};
      if (farthest > 0.0) end = detail::find_end(excess, first, farthest, -limit);
      found.fits += fits.fits;
      found.unconverged += fits.unconverged;
      return end;
    };
    const detail::profile_end down = search(-1.0, found.low);
    const detail::profile_end up = search(1.0, found.high);
    if (!lower.empty() && ++found.restarts < profile_interval::most_restarts) {
      best = problem.minimize(lower, problem.bounds);
      continue;
    }
    found.low_open = down.open;
    found.high_open = up.open;
    if (!down.open) found.low = found.value - down.distance;
    if (!up.open) found.high = found.value + up.distance;
    return found;
  }
}

namespace detail {
template <class Estimator, dataset_schema Schema>
RAFTER_COLD std::vector<profile_interval> profile_some(const dataset<Schema>& data, const row_set& rows,
                                                       std::string_view wanted, double confidence) {
  const auto fitted = Estimator::fit(data, rows);
  const auto posed = Estimator::problem(data, rows);
  const profiled_problem problem{.model = posed.model(),
                                 .bounds = posed.layout().bounds(),
                                 .loss = posed.loss(),
                                 .minimize = [&](const std::vector<double>& start, const parameter_bounds& bounds) {
                                   return Estimator::method().minimize(posed.model(), start, bounds);
                                 }};
  const std::vector<fitted_parameter> parameters = fitted.parameters();
  std::vector<profile_interval> made;
  const std::size_t first = wanted.empty() ? 0 : posed.layout().find(wanted);
  const std::size_t end = wanted.empty() ? posed.layout().size() : first + 1;
  nonlinear_solution best = fitted.solution();
  for (std::size_t pass = 0; pass < 3; ++pass) {
    const double cost = best.cost;
    made.clear();
    for (std::size_t place = first; place < end; ++place) {
      made.push_back(profile_interval_of(problem, best, place, confidence));
      made.back().parameter = parameters[place].name;
      made.back().unit = parameters[place].unit;
    }
    if (best.cost == cost) break;  // else the intervals made before are of another minimum
  }
  return made;
}
}  // namespace detail

/// Fits the estimator on some rows, then again and again with one parameter held: some ten fits for each end.
/// @param parameter  its name; of one with a value per label `"factor[llama-2-7b]"`
/// @throws fit_error when the fit cannot be made, or naming the nearest parameter
template <class Estimator, dataset_schema Schema>
RAFTER_COLD profile_interval profile_likelihood(const dataset<Schema>& data, const row_set& rows,
                                                std::string_view parameter, double confidence = 0.95) {
  if (parameter.empty()) throw fit_error("there is no fitted parameter ''");
  return detail::profile_some<Estimator>(data, rows, parameter, confidence).front();
}

/// The same for all fitted parameters, in their order.
template <class Estimator, dataset_schema Schema>
RAFTER_COLD std::vector<profile_interval> profile_likelihoods(const dataset<Schema>& data, const row_set& rows,
                                                              double confidence = 0.95) {
  return detail::profile_some<Estimator>(data, rows, {}, confidence);
}

/// Intervals as a table, in base units.
RAFTER_COLD inline text_table profile_table(const std::vector<profile_interval>& intervals) {
  text_table made({"<parameter", "<unit", "value", "low", "high", "fits", "<"});
  for (const profile_interval& one : intervals) {
    const auto end = [](double value, bool open) {
      return open ? std::string(std::isfinite(value) ? fmt::format("open ({:.4g})", value) : "open")
                  : fmt::format("{:.4g}", value);
    };
    std::string note;
    if (one.unconverged > 0) note = fmt::format("{} fits did not converge", one.unconverged);
    if (one.restarts >= profile_interval::most_restarts) {
      note += (note.empty() ? "" : "; ") + std::string("no minimum found");
    }
    made.add({one.parameter, one.unit, fmt::format("{:.4g}", one.value), end(one.low, one.low_open),
              end(one.high, one.high_open), std::to_string(one.fits), note});
  }
  return made;
}

}  // namespace rafter
