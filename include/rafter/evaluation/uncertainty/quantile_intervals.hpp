// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: part of intervals; see rafter/evaluation/uncertainty/conformal.hpp.
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "rafter/evaluation/uncertainty/conformal.hpp"

namespace rafter {

/// A fitted predictor of quantiles, two of which are the limits of an interval: levels 0.05 and 0.95 are one of 90 %.
template <class Inner> class quantile_interval_predictor {
 public:
  explicit quantile_interval_predictor(Inner inner) : inner_(std::move(inner)) {}

  const Inner& inner() const { return inner_; }
  fit_summary summary() const { return inner_.summary(); }
  std::vector<std::string> findings() const {
    return {
        "intervals are predicted quantiles, which nothing calibrated: of rows unlike the training rows they may "
        "hold far fewer than they say"};
  }

  template <class Schema>
  void predict(const dataset<Schema>& data, const row_set& rows, std::span<double> out) const {
    inner_.predict(data, rows, out);
  }
  template <class Record, class Deployment>
  seconds predict(const Record& record, const Deployment& deployment) const {
    return inner_.predict(record, deployment);
  }

  /// @param lower, upper  [s], rows.size() values each
  /// @throws fit_error when no two levels lie `level` apart, alike from both ends
  template <class Schema>
  void intervals(const dataset<Schema>& data, const row_set& rows, double level, std::span<double> lower,
                 std::span<double> upper) const {
    const auto [low, high] = limits_of(level);
    if (low == high) {
      throw fit_error("intervals of level " + std::to_string(level) + " need quantiles that are not predicted");
    }
    constexpr std::size_t levels = Inner::levels.size();
    std::vector<double> all(rows.size() * levels);
    inner_.predict_quantiles(data, rows, std::span<double>(all));
    for (std::size_t i = 0; i < rows.size(); ++i) lower[i] = all[i * levels + low], upper[i] = all[i * levels + high];
  }
  /// One step of one deployment; [0, ∞] at a level whose quantiles are not predicted.
  template <class Record, class Deployment>
  time_interval interval(const Record& record, const Deployment& deployment, double level) const {
    const auto [low, high] = limits_of(level);
    if (low == high) return {seconds{0.0}, seconds{std::numeric_limits<double>::infinity()}};
    const auto all = inner_.predict_quantiles(record, deployment);
    return {seconds{all[low]}, seconds{all[high]}};
  }

 private:
  Inner inner_;

  /// Two levels as far from one half, `level` apart; twice the same when there are none.
  static std::pair<std::size_t, std::size_t> limits_of(double level) {
    const auto& levels = Inner::levels;
    for (std::size_t low = 0, high = levels.size() - 1; low < high;) {
      const double lean = levels[low] + levels[high] - 1.0;
      if (std::abs(lean) < 1e-9 && std::abs(levels[high] - levels[low] - level) < 1e-9) return {low, high};
      lean<0.0 ? void(++low) : lean> 0.0 ? void(--high) : (++low, void(--high));
    }
    return {0, 0};
  }
};

/// An estimator of quantiles whose predicted quantiles are intervals as they stand:
///
///   using band = quantile_intervals<quantile_trees<catalog::study30, objective::log_target, study_boosting<4>,
///                                                  0.05_c, 0.5_c, 0.95_c>>;
///
/// Nothing is held out, and nothing is promised: quantiles that are fitted on some models need not be those of others.
template <class Estimator> struct quantile_intervals {
  static std::string name() { return Estimator::name() + ", quantiles as intervals"; }
  /// As the estimator: the intervals add nothing.
  static std::string tuned() requires requires { Estimator::tuned(); }
  { return Estimator::tuned(); }
  static constexpr std::string_view reads_identity(group axis) { return Estimator::reads_identity(axis); }
  static constexpr bool fitted_per(group axis) { return Estimator::fitted_per(axis); }
  template <class Schema> static constexpr std::string_view missing_on() {
    return Estimator::template missing_on<Schema>();
  }
  template <class Schema> static auto fit(const dataset<Schema>& data, const row_set& rows) {
    using predictor = std::remove_cvref_t<decltype(Estimator::fit(data, rows))>;
    static_assert(detail::predicts_quantiles<predictor>,
                  "rafter: quantile_intervals takes an estimator of quantiles, with two levels or more");
    return quantile_interval_predictor<predictor>(Estimator::fit(data, rows));
  }
};

/// The same calibrated: how far measured times lie outside the outermost quantiles, on logarithms, of rows held out
/// (conformalized quantile regression; Romano, Patterson and Candès 2019, "Conformalized quantile regression").
template <class Estimator, split_policy Calibration, class Options = conformal_defaults>
struct conformalized_quantiles : conformal<Estimator, Calibration, Options> {
  template <class Schema> static auto fit(const dataset<Schema>& data, const row_set& rows) {
    static_assert(
        detail::predicts_quantiles<std::remove_cvref_t<decltype(Estimator::fit(data, rows))>>,
        "rafter: conformalized_quantiles takes an estimator of quantiles; conformal<...> one of a single time");
    return conformal<Estimator, Calibration, Options>::fit(data, rows);
  }
};

}  // namespace rafter
