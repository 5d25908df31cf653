// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rafter/core/math.hpp"
#include "rafter/solver/least_squares.hpp"
#include "rafter/solver/linear_solver.hpp"
#include "rafter/solver/tree_ensemble.hpp"

namespace rafter {

/// First and second derivative of a row's loss by its margin.
struct loss_derivatives {
  double gradient = 0.0;
  double hessian = 0.0;
};

enum class tree_loss_kind : std::uint8_t { squared, pseudo_huber, poisson, gamma, quantile };

/// What boosted trees minimise: the weighted sum of value(margin, label) over the rows.
///
///   squared             ½ (m - y)²                          reg:squarederror
///   pseudo_huber(δ)     δ² (√(1 + ((m - y)/δ)²) - 1)        reg:pseudohubererror, huber_slope
///   poisson             eᵐ - y m, y >= 0                    count:poisson (its hessian is e^(m + max_delta_step))
///   gamma               m + y e⁻ᵐ, y > 0                    reg:gamma
///   quantile(q)         q (y - m) above, (1 - q)(m - y) below: hessian 1, and each leaf is then set to the q-quantile
///                       of what its rows lack             reg:quantileerror
///
/// The margin is the logarithm of the prediction for poisson and gamma, the prediction itself for the others.
struct tree_loss {
  tree_loss_kind kind = tree_loss_kind::squared;
  double parameter = 0.0;  ///< δ > 0 in units of the label, or 0 < q < 1

  static tree_loss squared() { return {}; }
  static tree_loss pseudo_huber(double delta) { return {tree_loss_kind::pseudo_huber, delta}; }
  static tree_loss poisson() { return {tree_loss_kind::poisson, 0.0}; }
  static tree_loss gamma() { return {tree_loss_kind::gamma, 0.0}; }
  static tree_loss quantile(double q) { return {tree_loss_kind::quantile, q}; }

  std::string name() const {
    switch (kind) {
      case tree_loss_kind::squared:
        return "squared error";
      case tree_loss_kind::pseudo_huber:
        return "pseudo-Huber, delta " + detail::number_text(parameter);
      case tree_loss_kind::poisson:
        return "Poisson deviance";
      case tree_loss_kind::gamma:
        return "gamma deviance";
      default:
        return "quantile " + detail::number_text(parameter);
    }
  }
  /// Of what metric() returns.
  std::string_view metric_name() const {
    switch (kind) {
      case tree_loss_kind::squared:
        return "rmse";
      case tree_loss_kind::pseudo_huber:
        return "mean pseudo-Huber loss";
      case tree_loss_kind::poisson:
        return "mean Poisson deviance";
      case tree_loss_kind::gamma:
        return "mean gamma deviance";
      default:
        return "mean pinball loss";
    }
  }
  tree_link link() const {
    return kind == tree_loss_kind::poisson || kind == tree_loss_kind::gamma ? tree_link::exponential
                                                                            : tree_link::identity;
  }
  /// The hessian is 1 for every row.
  bool unit_hessian() const { return kind == tree_loss_kind::squared || kind == tree_loss_kind::quantile; }

  /// visit(function object of one loss, with value, derivatives and deviance of (margin, label)): one branch per loop
  /// instead of one per row.
  template <class Visit> decltype(auto) visit(Visit&& visitor) const;

  double value(double margin, double label) const;
  loss_derivatives derivatives(double margin, double label) const;

  /// What a round reports, of the weighted mean of the rows' deviances.
  double metric(double mean_deviance) const {
    return kind == tree_loss_kind::squared ? rafter::sqrt(mean_deviance) : mean_deviance;
  }

  /// The margin to begin with: the weighted mean of the labels (its logarithm where the margin is one), their weighted
  /// q-quantile; their weighted median for pseudo-Huber. @param weights  empty: 1 each
  double base_margin(std::span<const double> labels, std::span<const double> weights) const;

  /// @throws solver_error for a parameter that makes no sense, and naming the row of a label outside the domain
  void check(std::span<const double> labels, std::string_view what = "label") const;
};

namespace detail {

struct squared_tree_loss {
  double value(double m, double y) const { return 0.5 * (m - y) * (m - y); }
  loss_derivatives derivatives(double m, double y) const { return {m - y, 1.0}; }
  double deviance(double m, double y) const { return (m - y) * (m - y); }
};
struct pseudo_huber_tree_loss {
  double delta;
  double value(double m, double y) const {
    const double z = (m - y) / delta;
    // δ² (√(1+z²) - 1) without the cancellation at small z.
    return delta * delta * (z * z / (rafter::sqrt(1.0 + z * z) + 1.0));
  }
  loss_derivatives derivatives(double m, double y) const {
    const double z = (m - y) / delta;
    const double scale = 1.0 + z * z;
    const double root = rafter::sqrt(scale);
    return {(m - y) / root, 1.0 / (scale * root)};
  }
  double deviance(double m, double y) const { return value(m, y); }
};
struct poisson_tree_loss {
  double value(double m, double y) const { return rafter::exp(m) - y * m; }
  loss_derivatives derivatives(double m, double y) const {
    const double mean = rafter::exp(m);
    return {mean - y, mean};
  }
  double deviance(double m, double y) const {
    const double own = y > 0.0 ? y * (rafter::log(y) - m) : 0.0;
    return 2.0 * (own - (y - rafter::exp(m)));
  }
};
struct gamma_tree_loss {
  double value(double m, double y) const { return m + y * rafter::exp(-m); }
  loss_derivatives derivatives(double m, double y) const {
    const double ratio = y * rafter::exp(-m);
    return {1.0 - ratio, ratio};
  }
  double deviance(double m, double y) const {
    const double ratio = y * rafter::exp(-m);
    return 2.0 * ((ratio - 1.0) - (rafter::log(y) - m));
  }
};
struct quantile_tree_loss {
  double q;
  double value(double m, double y) const { return m < y ? q * (y - m) : (1.0 - q) * (m - y); }
  loss_derivatives derivatives(double m, double y) const { return {m < y ? -q : m > y ? 1.0 - q : 0.0, 1.0}; }
  double deviance(double m, double y) const { return value(m, y); }
};

/// A number of a weighted sample.
struct weighted_value {
  double value = 0.0;
  double weight = 1.0;
};

/// The smallest value with at least the fraction q of the weight at or below it; 0 without weight. Reorders `sample`.
/// (Without weights: the ⌈q·n⌉-th smallest, definition 1 of Hyndman and Fan 1996.)
inline double weighted_quantile(std::vector<weighted_value>& sample, double q) {
  const auto less = [](const weighted_value& a, const weighted_value& b) { return a.value < b.value; };
  std::sort(sample.begin(), sample.end(), less);
  double total = 0.0;
  for (const weighted_value& each : sample) total += each.weight;
  double sum = 0.0;
  for (const weighted_value& each : sample) {
    sum += each.weight;
    if (each.weight > 0.0 && sum >= q * total * (1.0 - 1e-12)) return each.value;
  }
  return 0.0;
}

}  // namespace detail

template <class Visit> decltype(auto) tree_loss::visit(Visit&& visitor) const {
  switch (kind) {
    case tree_loss_kind::squared:
      return visitor(detail::squared_tree_loss{});
    case tree_loss_kind::pseudo_huber:
      return visitor(detail::pseudo_huber_tree_loss{parameter});
    case tree_loss_kind::poisson:
      return visitor(detail::poisson_tree_loss{});
    case tree_loss_kind::gamma:
      return visitor(detail::gamma_tree_loss{});
    default:
      return visitor(detail::quantile_tree_loss{parameter});
  }
}

inline double tree_loss::value(double margin, double label) const {
  return visit([&](const auto& loss) { return loss.value(margin, label); });
}
inline loss_derivatives tree_loss::derivatives(double margin, double label) const {
  return visit([&](const auto& loss) { return loss.derivatives(margin, label); });
}

inline double tree_loss::base_margin(std::span<const double> labels, std::span<const double> weights) const {
  const auto weight = [&](std::size_t row) { return weights.empty() ? 1.0 : weights[row]; };
  if (kind == tree_loss_kind::quantile || kind == tree_loss_kind::pseudo_huber) {
    std::vector<detail::weighted_value> sample(labels.size());
    for (std::size_t row = 0; row < labels.size(); ++row) sample[row] = {labels[row], weight(row)};
    return detail::weighted_quantile(sample, kind == tree_loss_kind::quantile ? parameter : 0.5);
  }
  double sum = 0.0, total = 0.0;
  for (std::size_t row = 0; row < labels.size(); ++row) {
    sum += weight(row) * labels[row];
    total += weight(row);
  }
  const double mean = sum / total;
  if (link() == tree_link::identity) return mean;
  if (!(mean > 0.0)) throw solver_error("rafter: tree_loss: all labels are 0: their mean has no logarithm");
  return rafter::log(mean);
}

inline void tree_loss::check(std::span<const double> labels, std::string_view what) const {
  if (kind == tree_loss_kind::pseudo_huber && !(parameter > 0.0 && std::isfinite(parameter))) {
    throw solver_error("rafter: tree_loss: delta " + detail::number_text(parameter) + ", must be positive");
  }
  if (kind == tree_loss_kind::quantile && !(parameter > 0.0 && parameter < 1.0)) {
    throw solver_error("rafter: tree_loss: quantile " + detail::number_text(parameter) + ", must be between 0 and 1");
  }
  const bool positive = kind == tree_loss_kind::gamma, not_negative = kind == tree_loss_kind::poisson;
  for (std::size_t row = 0; row < labels.size(); ++row) {
    const double y = labels[row];
    // Leaves are of single precision.
    const char* const why = !(std::abs(y) <= 1e30)        ? ", must be a finite number (up to 1e30)"
                            : positive && !(y > 0.0)      ? ", must be positive"
                            : not_negative && !(y >= 0.0) ? ", must not be negative"
                                                          : nullptr;
    if (why != nullptr) {
      throw solver_error("rafter: tree_loss: " + name() + ": " + std::string(what) + " " + detail::number_text(y) +
                         " of row " + std::to_string(row) + why);
    }
  }
}

}  // namespace rafter
