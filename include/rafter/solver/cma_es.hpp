// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "rafter/core/math.hpp"
#include "rafter/core/random.hpp"
#include "rafter/solver/dense.hpp"
#include "rafter/solver/minimizer.hpp"

namespace rafter {

namespace detail {

/// One free parameter as CMA-ES draws it: without bounds, and of a size that makes parameters comparable. The
/// parameter (or its logarithm) is origin + scale·u, u within [low, high]; u follows from the unbounded coordinate by
/// the transformation of Hansen's reference implementation (boundary_transformation.c): the identity further than
/// `margin` from a bound, a parabola with its vertex on the bound within `margin` on both sides of it, and mirrored
/// beyond that.
struct search_coordinate {
  static constexpr double margin = 0.05;
  static constexpr double unlimited = 1e12;

  std::size_t parameter;
  double lower, upper;  // of the parameter
  bool boxed;           // between two bounds: u in [0, 1]
  bool by_logarithm;
  double origin = 0.0, scale = 1.0;
  double low, high;  // of u

  search_coordinate(std::size_t j, double start, double from, double to)
      : parameter(j),
        lower(from),
        upper(to),
        boxed(std::isfinite(to - from)),
        by_logarithm(boxed && from > 0.0 && to / from >= 100.0),
        low(0.0),
        high(1.0) {
    if (boxed) {
      origin = scaled(from);
      scale = scaled(to) - origin;
    } else {
      scale = std::max(1.0, std::abs(start));
      low = from / scale;
      high = to / scale;
    }
  }

  double scaled(double x) const { return by_logarithm ? rafter::log(x) : x; }
  double u_of(double x) const { return (scaled(x) - origin) / scale; }

  /// The parameter at an unbounded coordinate.
  double parameter_at(double at) const {
    const double first = low - margin, last = high + margin;
    if (boxed && !(at >= first && at <= last)) {
      const double width = last - first;
      const double beyond = (at - first) - 2.0 * width * std::floor((at - first) / (2.0 * width));
      at = first + (beyond > width ? 2.0 * width - beyond : beyond);
    } else if (at < first) {
      at = first + (first - at);
    } else if (at > last) {
      at = last - (at - last);
    }
    if (at < low + margin) {
      at = low + (at - first) * (at - first) / (4.0 * margin);
    } else if (at > high - margin) {
      at = high - (last - at) * (last - at) / (4.0 * margin);
    }
    const double value = origin + scale * at;
    return std::clamp(by_logarithm ? rafter::exp(value) : value, lower, upper);
  }

  /// An unbounded coordinate of the parameter's value.
  double coordinate_of(double x) const {
    const double u = u_of(x);
    if (u < low + margin) return low - margin + std::sqrt(4.0 * margin * std::max(0.0, u - low));
    if (u > high - margin) return high + margin - std::sqrt(4.0 * margin * std::max(0.0, high - u));
    return u;
  }

  /// Standard deviations beyond this only fold a box over and over, or overflow.
  double largest_deviation() const { return boxed ? (1.0 + 2.0 * margin) / 3.0 : unlimited; }

  /// A parameter value to start anew from: anywhere in the box, or within two scales of the given one.
  double draw(double start, seeded_numbers& random) const {
    const double at = random.uniform();
    if (boxed) return parameter_at(at);
    return std::clamp(start + (4.0 * at - 2.0) * scale, lower, upper);
  }
};

/// Table 1 of Hansen's tutorial: weights and rates of `population` points in n dimensions.
struct cma_rates {
  std::size_t parents;
  std::vector<double> weight;  // by rank; the parents' sum to 1, the others are 0 or, when active, negative
  double weight_sum = 0.0;
  double effective_parents;
  double path_rate, damping;         // of the step size
  double covariance_path_rate;       // c_c
  double rank_one = 0, rank_mu = 0;  // c_1, c_mu
  double normal_length;              // E‖N(0, I)‖

  cma_rates(std::size_t dimension, std::size_t population, bool active) : parents(population / 2) {
    const auto n = static_cast<double>(dimension);
    double sum[2] = {}, squares[2] = {};  // of the positive and of the negative weights
    for (std::size_t i = 0; i < population; ++i) {
      const double w =
          rafter::log((static_cast<double>(population) + 1.0) / 2.0) - rafter::log(static_cast<double>(i) + 1.0);
      weight.push_back(i < parents ? w : std::min(w, 0.0));
      sum[i >= parents] += std::abs(weight.back());
      squares[i >= parents] += weight.back() * weight.back();
    }
    const double mass = effective_parents = sum[0] * sum[0] / squares[0];
    covariance_path_rate = (4.0 + mass / n) / (n + 4.0 + 2.0 * mass / n);
    rank_one = 2.0 / ((n + 1.3) * (n + 1.3) + mass);
    rank_mu = std::min(1.0 - rank_one, 2.0 * (0.25 + mass + 1.0 / mass - 2.0) / ((n + 2.0) * (n + 2.0) + mass));
    path_rate = (mass + 2.0) / (n + mass + 5.0);
    damping = 1.0 + 2.0 * std::max(0.0, std::sqrt((mass - 1.0) / (n + 1.0)) - 1.0) + path_rate;
    normal_length = std::sqrt(n) * (1.0 - 1.0 / (4.0 * n) + 1.0 / (21.0 * n * n));
    double negative_mass = 0.0;
    if (active && sum[1] > 0.0) {
      negative_mass = std::min({1.0 + rank_one / rank_mu, 1.0 + 2.0 * (sum[1] * sum[1] / squares[1]) / (mass + 2.0),
                                (1.0 - rank_one - rank_mu) / (n * rank_mu)});
    }
    for (std::size_t i = 0; i < population; ++i) {
      weight[i] *= i < parents ? 1.0 / sum[0] : sum[1] > 0.0 ? negative_mass / sum[1] : 0.0;
      weight_sum += weight[i];
    }
  }
};

/// The costs of a run's generations, and whether they still fall.
class cma_history {
 public:
  /// @param window  generations that must agree
  /// @param patience  generations after which a median that does not fall any more ends the run
  cma_history(std::size_t window, std::size_t patience) : window_(window), patience_(patience) {}

  void add(double best, double median, double worst) {
    if (best_.size() == 20000) {
      best_.erase(best_.begin());
      median_.erase(median_.begin());
    }
    best_.push_back(best);
    median_.push_back(median);
    worst_ = worst;
  }

  /// Are the best costs of the window and all of the last generation within the tolerance, relative?
  bool settled(double tolerance) const {
    if (best_.size() < window_) return false;
    const auto last = best_.end() - static_cast<std::ptrdiff_t>(window_);
    const auto [lowest, highest] = std::minmax_element(last, best_.end());
    const double most = std::max(*highest, worst_);
    return std::isfinite(most) && most - *lowest <= tolerance * std::abs(*lowest);
  }

  /// Over the last fifth of the run: are the later costs no better than the earlier ones? So it is where noise or
  /// rounding hides the minimum.
  bool stagnates() const {
    const std::size_t length = std::max(best_.size() / 5, patience_);
    return best_.size() >= length && best_.size() % 10 == 0 && !falls(best_, length) && !falls(median_, length);
  }

 private:
  std::size_t window_, patience_;
  std::vector<double> best_, median_;
  double worst_ = 0.0;

  // Is the median of the last 30 % of the last `length` costs below that of their first 30 %?
  static bool falls(const std::vector<double>& costs, std::size_t length) {
    const auto part = static_cast<std::ptrdiff_t>(3 * length / 10);
    const auto first = costs.end() - static_cast<std::ptrdiff_t>(length);
    std::vector<double> early(first, first + part), late(costs.end() - part, costs.end());
    std::nth_element(early.begin(), early.begin() + part / 2, early.end());
    std::nth_element(late.begin(), late.begin() + part / 2, late.end());
    return late[static_cast<std::size_t>(part / 2)] < early[static_cast<std::size_t>(part / 2)];
  }
};

/// The search distribution N(mean, step² C) and its adaptation.
class cma_distribution {
 public:
  std::vector<double> mean;  // n
  double step;

  cma_distribution(std::vector<double> centre, double first_step, std::size_t population, bool active)
      : mean(std::move(centre)),
        step(first_step),
        n_(mean.size()),
        rates_(n_, population, active),
        covariance_(n_ * n_),
        axes_(n_ * n_),
        lengths_(n_, 1.0),
        step_path_(n_),
        covariance_path_(n_),
        normals_(population * n_),
        moves_(population * n_) {
    for (std::size_t j = 0; j < n_; ++j) covariance_[j * n_ + j] = axes_[j * n_ + j] = 1.0;
    const double age = 1.0 / (10.0 * static_cast<double>(n_) * (rates_.rank_one + rates_.rank_mu));
    generations_per_axes_ = static_cast<std::size_t>(std::max(1.0, std::floor(age)));
  }

  double deviation(std::size_t j) const { return step * std::sqrt(covariance_[j * n_ + j]); }

  /// Draws point i. @param to  n
  void draw(std::size_t i, seeded_numbers& random, double* to) {
    double* const normal = normals_.data() + i * n_;
    double* const move = moves_.data() + i * n_;
    for (std::size_t k = 0; k < n_; ++k) normal[k] = random.normal();
    turn(normal, move, true);
    for (std::size_t j = 0; j < n_; ++j) to[j] = mean[j] + step * move[j];
  }

  /// Squared length of draw i before it was shaped: how unlikely it was.
  double squared_length(std::size_t i) const {
    double sum = 0.0;
    for (std::size_t k = 0; k < n_; ++k) sum += normals_[i * n_ + k] * normals_[i * n_ + k];
    return sum;
  }

  /// One generation: moves and reshapes the distribution. @param order  the draws, best first
  void adapt(const std::vector<std::size_t>& order) {
    std::vector<double> move(n_), normal(n_), turned(n_);
    for (std::size_t i = 0; i < rates_.parents; ++i) {
      for (std::size_t j = 0; j < n_; ++j) {
        move[j] += rates_.weight[i] * moves_[order[i] * n_ + j];
        normal[j] += rates_.weight[i] * normals_[order[i] * n_ + j];
      }
    }
    turn(normal.data(), turned.data(), false);  // C^(-1/2) of the move
    const double c = rates_.path_rate;
    double length = 0.0;
    for (std::size_t j = 0; j < n_; ++j) {
      mean[j] += step * move[j];
      step_path_[j] = (1.0 - c) * step_path_[j] + std::sqrt(c * (2.0 - c) * rates_.effective_parents) * turned[j];
      length += step_path_[j] * step_path_[j];
    }
    length = std::sqrt(length);
    unfilled_ *= (1.0 - c) * (1.0 - c);
    // While the step size grows fast, the covariance's path stalls.
    const bool steady =
        length < (1.4 + 2.0 / (static_cast<double>(n_) + 1.0)) * rates_.normal_length * std::sqrt(1.0 - unfilled_);
    const double cc = rates_.covariance_path_rate;
    const double entering = steady ? std::sqrt(cc * (2.0 - cc) * rates_.effective_parents) : 0.0;
    for (std::size_t j = 0; j < n_; ++j) covariance_path_[j] = (1.0 - cc) * covariance_path_[j] + entering * move[j];
    update_covariance(order, steady ? 0.0 : cc * (2.0 - cc));
    step *= rafter::exp(std::min(1.0, c / rates_.damping * (length / rates_.normal_length - 1.0)));
    if (++generation_ % generations_per_axes_ == 0) update_axes();
  }

  /// Equal costs say that the steps are too short to see anything.
  void widen() { step *= rafter::exp(0.2 + rates_.path_rate / rates_.damping); }

  /// Keeps coordinate j's standard deviation within largest[j].
  void limit(const std::vector<double>& largest) {
    std::vector<double> factor(n_, 1.0);
    for (std::size_t j = 0; j < n_; ++j) factor[j] = std::min(1.0, largest[j] / deviation(j));
    const double common = *std::max_element(factor.begin(), factor.end());
    step *= common;
    for (std::size_t j = 0; j < n_; ++j) {
      if (factor[j] == common) continue;
      covariance_path_[j] *= factor[j] / common;
      for (std::size_t k = 0; k < n_; ++k) {
        covariance_[j * n_ + k] *= factor[j] / common;
        covariance_[k * n_ + j] *= factor[j] / common;
      }
    }
  }

 private:
  std::size_t n_;
  cma_rates rates_;
  std::vector<double> covariance_;  // C, n × n
  std::vector<double> axes_;        // its eigenvectors B, column-major
  std::vector<double> lengths_;     // the roots of its eigenvalues, D
  std::vector<double> step_path_, covariance_path_;
  std::vector<double> normals_, moves_;  // of each draw: z, and y = B D z
  double unfilled_ = 1.0;                // (1 − c_σ)^(2g)
  std::size_t generation_ = 0, generations_per_axes_ = 1;

  // to = B D from, or B from
  void turn(const double* from, double* to, bool stretched) const {
    std::fill(to, to + n_, 0.0);
    for (std::size_t k = 0; k < n_; ++k) {
      const double along = stretched ? lengths_[k] * from[k] : from[k];
      for (std::size_t j = 0; j < n_; ++j) to[j] += axes_[k * n_ + j] * along;
    }
  }

  // @param kept  of the variance that a stalled path does not bring
  void update_covariance(const std::vector<std::size_t>& order, double kept) {
    const double decay = 1.0 + rates_.rank_one * (kept - 1.0) - rates_.rank_mu * rates_.weight_sum;
    for (double& entry : covariance_) entry *= decay;
    add_square(rates_.rank_one, covariance_path_.data());
    for (std::size_t i = 0; i < order.size(); ++i) {
      double weight = rates_.weight[i];
      // A bad direction counts by where it points, not by its length: C stays positive definite.
      if (weight < 0.0) weight *= static_cast<double>(n_) / squared_length(order[i]);
      if (weight != 0.0 && std::isfinite(weight)) add_square(rates_.rank_mu * weight, &moves_[order[i] * n_]);
    }
  }

  void add_square(double factor, const double* y) {
    for (std::size_t j = 0; j < n_; ++j) {
      for (std::size_t k = 0; k <= j; ++k) {
        covariance_[k * n_ + j] = covariance_[j * n_ + k] += factor * y[j] * y[k];
      }
    }
  }

  void update_axes() {
    std::vector<double> work = covariance_, values(n_), vectors(n_ * n_);
    if (!dense::jacobi_eigen(work.data(), n_, values.data(), vectors.data())) return;
    const double least = 1e-14 * values.front();
    if (!(least > 0.0) || !std::isfinite(least)) return;
    if (values.back() < least) {
      const double more = least - values.back();
      for (std::size_t j = 0; j < n_; ++j) {
        covariance_[j * n_ + j] += more;
        values[j] += more;
      }
    }
    axes_ = std::move(vectors);
    for (std::size_t k = 0; k < n_; ++k) lengths_[k] = std::sqrt(values[k]);
  }
};

}  // namespace detail

/// Minimisation without derivatives by a population whose normal distribution learns the scales and correlations of
/// the parameters: the (μ/μ_w, λ)-CMA-ES with rank-one and rank-μ updates, cumulative step-size adaptation and the
/// default rates of Hansen, "The CMA Evolution Strategy: A Tutorial" (2016, arXiv:1604.00772); restarts with growing
/// populations after Auger and Hansen 2005, "A Restart CMA Evolution Strategy With Increasing Population Size".
///
/// For costs with jumps (thresholds, regime switches), noise or many local minima, and up to some tens of parameters.
/// Only the order of the costs matters, not their size. On a smooth cost trust_region finds the same minimum in far
/// fewer evaluations, with errors of the parameters; it is also the one to finish with where the cost is smooth around
/// what this found. nelder_mead is cheaper for two or three parameters and a single minimum.
///
/// Points are drawn in scaled coordinates, free of units: a parameter between two bounds by its range (its logarithm
/// by that range where the bounds are positive and a factor of 100 or more apart), any other by max(1, |start|), so
/// give bounds to small parameters. Bounds act through a smooth transformation (detail::search_coordinate); no point
/// outside them is evaluated. Values that are not finite count as worst, the less likely draw as the worse of two;
/// after a generation of nothing else the search goes on around its best point with half the step. The given start
/// counts as a point of the first run. The same seed gives the same bits, on every platform without fused
/// multiply-adds (-ffp-contract=off) if the cost does.
///
/// `iterations` counts generations, `start_costs` has the cost that each run led to, `status` is that of the best run.
struct cma_es {
  robust_loss loss = {};
  /// Converged when the costs of a generation and the best ones of the last 10 + 30 n / population generations are all
  /// within this, relative; also where rounding or noise keeps the medians of 120 + 30 n / population generations from
  /// falling.
  double cost_tolerance = 1e-12;
  /// Converged when the standard deviation of each scaled parameter is below this.
  double step_tolerance = 1e-12;
  /// 0: 10000 per parameter and run. All runs share them; never exceeded.
  std::size_t max_evaluations = 0;
  /// Points per generation, at least 2; 0: 4 + 3 log n. More for many local minima or noise.
  std::size_t population = 0;
  /// Further runs after one has converged, each with twice the population of the one before: from a point drawn
  /// uniformly within the bounds, within two scales of the start where there are none.
  std::size_t restarts = 0;
  /// First standard deviation, in scaled parameters.
  double first_step = 0.3;
  /// Whether the worse half of a generation also shapes the distribution, with negative weights.
  bool active = true;
  std::uint64_t seed = 1;

  using objective = std::function<double(const double* at)>;

  std::string name() const { return restarts == 0 ? "CMA-ES" : "CMA-ES, " + std::to_string(restarts) + " restarts"; }

  /// @param start  n, within the bounds
  /// @throws solver_error for arguments that make no sense; non-convergence is nonlinear_solution::status
  nonlinear_solution minimize(const residual_model& model, const std::vector<double>& start,
                              const parameter_bounds& bounds = {}) const {
    detail::check_problem(model, start, bounds, loss);
    return minimize([&](const double* at) { return model.cost(at, loss); }, start, bounds);
  }

  /// Any function of n parameters.
  nonlinear_solution minimize(const objective& cost, const std::vector<double>& start,
                              const parameter_bounds& bounds = {}) const {
    bounds.check(start);
    if (!(first_step > 0.0) || !std::isfinite(first_step) || !(cost_tolerance >= 0.0) || !(step_tolerance >= 0.0) ||
        population == 1) {
      throw solver_error(
          "rafter: cma_es: first_step must be positive, the tolerances not negative, the population 0 or at least 2");
    }
    search state{cost, start, {}, {}, start, std::numeric_limits<double>::infinity(), 0, {}};
    for (std::size_t j = 0; j < start.size(); ++j) {
      if (bounds.low(j) < bounds.high(j)) state.free.emplace_back(j, start[j], bounds.low(j), bounds.high(j));
    }
    const std::size_t n = state.free.size();
    state.limit = max_evaluations != 0 ? max_evaluations : 10000 * (restarts + 1) * std::max<std::size_t>(1, n);
    nonlinear_solution& result = state.result;
    state.best_cost = state.measure(start);
    if (std::isfinite(state.best_cost)) {
      result.status = n == 0 ? minimum_status::cost_settled : minimum_status::evaluation_limit;
      if (n > 0) run_all(state);
    }
    result.parameters = state.best;
    result.cost = state.best_cost;
    result.active_mask.assign(start.size(), 0);
    for (std::size_t j = 0; j < start.size(); ++j) {
      result.active_mask[j] = state.best[j] == bounds.low(j) ? -1 : state.best[j] == bounds.high(j) ? 1 : 0;
    }
    return std::move(result);
  }

 private:
  struct search {
    const objective& cost;
    const std::vector<double>& start;
    std::vector<detail::search_coordinate> free;
    std::vector<double> at;    // the point being measured, all parameters
    std::vector<double> best;  // of all runs
    double best_cost;
    std::size_t limit;
    nonlinear_solution result;

    bool exhausted() const { return result.evaluations >= limit; }

    double measure(const std::vector<double>& x) {
      ++result.evaluations;
      const double value = cost(x.data());
      return std::isfinite(value) ? value : std::numeric_limits<double>::infinity();
    }

    /// The cost at unbounded coordinates; `at` has the parameters.
    double measure_coordinates(const double* coordinates) {
      at = start;
      for (std::size_t j = 0; j < free.size(); ++j) at[free[j].parameter] = free[j].parameter_at(coordinates[j]);
      return measure(at);
    }
  };

  // The best point of one run.
  struct run_end {
    std::vector<double> x, coordinates;
    double cost = std::numeric_limits<double>::infinity();
    minimum_status status = minimum_status::evaluation_limit;
  };

  void run_all(search& state) const {
    const std::size_t n = state.free.size();
    const auto by_dimension = static_cast<std::size_t>(4.0 + std::floor(3.0 * rafter::log(static_cast<double>(n))));
    std::size_t points = population != 0 ? population : by_dimension;
    detail::seeded_numbers random(seed);
    run_end from{state.start, std::vector<double>(n), state.best_cost};
    for (std::size_t run = 0; run <= restarts && !state.exhausted(); ++run, points *= 2) {
      if (run > 0) from.cost = std::numeric_limits<double>::infinity();
      for (std::size_t j = 0; j < n; ++j) {
        const detail::search_coordinate& coordinate = state.free[j];
        double& x = from.x[coordinate.parameter];
        x = state.start[coordinate.parameter];
        if (run > 0) x = coordinate.draw(x, random);
        from.coordinates[j] = coordinate.coordinate_of(x);
      }
      const run_end end = run_once(state, from, points, random);
      state.result.start_costs.push_back(end.cost);
      if (run > 0 && !(end.cost < state.best_cost)) continue;
      state.best = end.x;
      state.best_cost = end.cost;
      state.result.status = end.status;
    }
    put_onto_bounds(state);
  }

  // @param best  where to begin, of infinite cost where that is not known
  run_end run_once(search& state, run_end best, std::size_t points, detail::seeded_numbers& random) const {
    const std::size_t n = state.free.size();
    detail::cma_distribution distribution(best.coordinates, first_step, points, active);
    std::vector<double> largest(n), drawn(n), costs(points);
    for (std::size_t j = 0; j < n; ++j) largest[j] = state.free[j].largest_deviation();
    std::vector<std::size_t> order(points);
    const std::size_t turnover = (30 * n + points - 1) / points;
    detail::cma_history history(10 + turnover, 120 + turnover);
    const auto keep = [&](const double* coordinates, double cost) {
      if (!(cost < best.cost)) return;
      best.cost = cost;
      best.x = state.at;
      best.coordinates.assign(coordinates, coordinates + n);
    };
    while (true) {
      distribution.limit(largest);
      for (std::size_t i = 0; i < points; ++i) {
        if (state.exhausted()) return best;
        distribution.draw(i, random, drawn.data());
        costs[i] = state.measure_coordinates(drawn.data());
        keep(drawn.data(), costs[i]);
        order[i] = i;
      }
      ++state.result.iterations;
      std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        if (std::isfinite(costs[a]) || std::isfinite(costs[b])) return costs[a] < costs[b];
        return distribution.squared_length(a) < distribution.squared_length(b);
      });
      const double least = costs[order.front()];
      if (std::isfinite(least)) {
        distribution.adapt(order);
        if (costs[order[(7 * points + 9) / 10 - 1]] == least) distribution.widen();
      } else {
        distribution.mean = best.coordinates;
        distribution.step *= 0.5;
      }
      history.add(least, costs[order[points / 2]], costs[order.back()]);
      bool small = true;
      for (std::size_t j = 0; j < n && small; ++j) {
        const double deviation = distribution.deviation(j);
        small = deviation <= step_tolerance || distribution.mean[j] + 0.2 * deviation == distribution.mean[j];
      }
      if (!small && !history.settled(cost_tolerance) && !history.stagnates()) continue;
      best.status = small ? minimum_status::step_small : minimum_status::cost_settled;
      if (!state.exhausted()) {  // the mean is usually better than any draw around it
        keep(distribution.mean.data(), state.measure_coordinates(distribution.mean.data()));
      }
      return best;
    }
  }

  // A coordinate reaches the vertex of its transformation to rounding only: what a bound holds is put onto it.
  static void put_onto_bounds(search& state) {
    for (const detail::search_coordinate& coordinate : state.free) {
      const double x = state.best[coordinate.parameter];
      const double u = coordinate.u_of(x);
      const bool at_low = u - coordinate.low < 1e-6, at_high = coordinate.high - u < 1e-6;
      const double bound = at_low ? coordinate.lower : coordinate.upper;
      if (!(at_low || at_high) || x == bound || state.exhausted()) continue;
      state.at = state.best;
      state.at[coordinate.parameter] = bound;
      const double cost = state.measure(state.at);
      if (!(cost <= state.best_cost)) continue;
      state.best = state.at;
      state.best_cost = cost;
    }
  }
};
static_assert(minimizer<cma_es>);

}  // namespace rafter
