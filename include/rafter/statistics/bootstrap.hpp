// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: includes Boost.Math's special functions; for those who want intervals of metrics.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "rafter/metrics/accurate_sum.hpp"
#include "rafter/metrics/metric.hpp"
#include "rafter/metrics/quantile.hpp"
#include "rafter/statistics/distributions.hpp"
#include "rafter/statistics/hypothesis.hpp"
#include "rafter/statistics/resampling.hpp"

/// Intervals of statistics by the bootstrap (Efron 1979; Efron and Tibshirani 1993).
///
///   auto ape = ...;                                                             // one APE per row
///   auto i = bootstrap(independent_rows(ape.size()), mean_of(ape));             // i.lower, i.upper: BCa, 95 %
///   auto j = bootstrap(grouped_rows(model_of_row), quantile_of(ape, 0.9));      // other models such as these
///   auto k = bootstrap(blocked_rows(lengths, b.stationary), mean_of(ape));      // neighbours are alike
///
/// A statistic is a callable on a list of row numbers; `mean_of`, `means_of`, `quantile_of` know short cuts for
/// resamples and for what leaving rows out changes.

namespace rafter {

enum class bootstrap_method {
  percentile,  ///< quantiles of the resampled values
  basic,       ///< those reflected at the estimate
  bca,         ///< percentile at levels corrected for bias and for a spread that grows with the value (Efron 1987)
};

struct bootstrap_options {
  std::size_t resamples = 1000;
  double confidence = 0.95;
  std::uint64_t seed = 1;
  bootstrap_method method = bootstrap_method::bca;
  std::size_t most_left_out = 1000;  ///< units of the jackknife of a statistic without a short cut
};

/// Estimate and interval. Limits are NaN where there are none: fewer than two units or resamples, a value that is not
/// finite, BCa with all resamples on one side of the estimate. A statistic that no resample changes has the estimate
/// for both limits.
struct bootstrap_interval {
  double estimate = detail::no_number;
  double standard_error = detail::no_number;  ///< deviation of the resampled values, divisor resamples - 1
  double lower = detail::no_number;
  double upper = detail::no_number;
  double z0 = detail::no_number;  ///< bias correction, Φ⁻¹((#less + #less or equal) / 2B); infinite when
                                  ///< all resamples lie on one side
  double acceleration = detail::no_number;       ///< Σd³ / (6 (Σd²)^1.5) over the jackknife; BCa only
  double lower_probability = detail::no_number;  ///< of the resampled values that the limits are quantiles of
  double upper_probability = detail::no_number;
  double confidence = detail::no_number;
  std::size_t resamples = 0;
  std::size_t undefined_resamples = 0;  ///< that gave no finite value; one is enough to make the limits NaN
  std::size_t units = 0;                ///< rows, groups or blocks that were drawn
  std::size_t left_out_units = 0;       ///< of the jackknife; fewer than `units` where they were joined
  bootstrap_method method = bootstrap_method::bca;
};

/// A statistic of all rows, of each resample, and with each unit left out.
struct resampled_statistic {
  double estimate = detail::no_number;
  std::vector<double> values;
  std::vector<double> left_out;  ///< empty where not asked for
  std::size_t units = 0;
};

/// The interval that the resamples say. Quantiles are interpolated (type 7).
/// @throws statistics_error when the confidence is not in (0, 1)
inline bootstrap_interval interval_of(const resampled_statistic& drawn, bootstrap_method method,
                                      double confidence = 0.95) {
  detail::require_confidence("bootstrap", confidence);
  bootstrap_interval made{.estimate = drawn.estimate, .confidence = confidence, .method = method};
  made.resamples = drawn.values.size();
  made.units = drawn.units;
  made.left_out_units = drawn.left_out.size();
  made.undefined_resamples = detail::count_not_finite(drawn.values);
  if (made.resamples < 2 || made.units < 2 || made.undefined_resamples > 0 || !std::isfinite(drawn.estimate)) {
    return made;
  }
  std::vector<double> ascending = drawn.values;
  std::sort(ascending.begin(), ascending.end());
  if (ascending.front() == drawn.estimate && ascending.back() == drawn.estimate) {
    made.standard_error = made.z0 = made.acceleration = 0.0;
    made.lower = made.upper = drawn.estimate;
    return made;
  }
  const double centre = accurate_mean(ascending);
  accurate_sum squares;
  for (const double value : ascending) squares.add((value - centre) * (value - centre));
  const auto count = static_cast<double>(ascending.size());
  made.standard_error = std::sqrt(squares.value() / (count - 1.0));

  const auto below = std::lower_bound(ascending.begin(), ascending.end(), drawn.estimate) - ascending.begin();
  const auto up_to = std::upper_bound(ascending.begin(), ascending.end(), drawn.estimate) - ascending.begin();
  made.z0 = detail::normal_quantile(static_cast<double>(below + up_to) / (2.0 * count));
  if (!drawn.left_out.empty() && detail::count_not_finite(drawn.left_out) == 0) {
    const double mean = accurate_mean(drawn.left_out);
    accurate_sum second;
    accurate_sum third;
    for (const double value : drawn.left_out) {
      const double d = mean - value;
      second.add(d * d);
      third.add(d * d * d);
    }
    made.acceleration =
        second.value() > 0.0 ? third.value() / (6.0 * second.value() * std::sqrt(second.value())) : 0.0;
  }

  const double tail = (1.0 - confidence) / 2.0;
  made.lower_probability = tail;
  made.upper_probability = 1.0 - tail;
  if (method == bootstrap_method::bca) {
    const auto corrected = [&](double z) {
      const double moved = made.z0 + z;
      const double shrink = 1.0 - made.acceleration * moved;
      return shrink > 0.0 ? detail::normal_below(made.z0 + moved / shrink) : detail::no_number;
    };
    const double z = detail::normal_quantile(tail);
    const bool two_sides = std::isfinite(made.z0) && std::isfinite(made.acceleration);
    made.lower_probability = two_sides ? corrected(z) : detail::no_number;
    made.upper_probability = two_sides ? corrected(-z) : detail::no_number;
  }
  made.lower = quantile_of_sorted(ascending, made.lower_probability);
  made.upper = quantile_of_sorted(ascending, made.upper_probability);
  if (method == bootstrap_method::basic) {
    const double low = made.lower;
    made.lower = 2.0 * drawn.estimate - made.upper;
    made.upper = 2.0 * drawn.estimate - low;
  }
  return made;
}

namespace detail {

/// A sum in four chains, each with what its additions lost (Knuth's two-sum): equal rows in another order give the
/// same sum but for the last bit, and rarely that.
class four_sums {
 public:
  template <class Term> four_sums(std::size_t size, Term term) {
    std::size_t i = 0;
    for (; i + 4 <= size; i += 4) {
      for (std::size_t lane = 0; lane < 4; ++lane) add(lane, term(i + lane));
    }
    for (; i < size; ++i) add(i % 4, term(i));
  }
  double value() const {
    accurate_sum total;
    for (std::size_t lane = 0; lane < 4; ++lane) {
      total.add(sum_[lane]);
      total.add(lost_[lane]);
    }
    return total.value();
  }

 private:
  std::array<double, 4> sum_{};
  std::array<double, 4> lost_{};
  void add(std::size_t lane, double term) {
    const double next = sum_[lane] + term;
    const double part = next - sum_[lane];
    lost_[lane] += (sum_[lane] - (next - part)) + (term - part);
    sum_[lane] = next;
  }
};

/// Means of one column of resampled rows, as deviations from its first value: a constant column has its value for mean.
class column_mean {
 public:
  explicit column_mean(std::span<const double> column)
      : deviations_(column.begin(), column.end()), origin_(column.empty() ? no_number : column.front()) {
    for (double& value : deviations_) value -= origin_;
  }
  std::size_t rows() const { return deviations_.size(); }
  double of_all() const {
    const four_sums sum(rows(), [&](std::size_t i) { return deviations_[i]; });
    return origin_ + sum.value() / static_cast<double>(rows());
  }
  double of(std::span<const std::size_t> rows) const {
    const four_sums sum(rows.size(), [&](std::size_t i) { return deviations_[rows[i]]; });
    return origin_ + sum.value() / static_cast<double>(rows.size());
  }
  /// With each unit left out.
  std::vector<double> without(const left_out_units& units) const {
    std::vector<accurate_sum> part(units.count);
    std::vector<std::size_t> size(units.count, 0);
    accurate_sum all;
    for (std::size_t i = 0; i < rows(); ++i) {
      part[units.of_row[i]].add(deviations_[i]);
      all.add(deviations_[i]);
      ++size[units.of_row[i]];
    }
    std::vector<double> means(units.count);
    for (std::size_t u = 0; u < units.count; ++u) {
      means[u] = origin_ + (all.value() - part[u].value()) / static_cast<double>(rows() - size[u]);
    }
    return means;
  }

 private:
  std::vector<double> deviations_;
  double origin_;
};

}  // namespace detail

/// Statistic: the mean of a column.
class mean_of {
 public:
  explicit mean_of(std::span<const double> column) : mean_(column) {}
  std::size_t rows() const { return mean_.rows(); }
  double operator()() const { return mean_.of_all(); }
  double operator()(std::span<const std::size_t> rows) const { return mean_.of(rows); }
  std::vector<double> without(const left_out_units& units) const { return mean_.without(units); }

 private:
  detail::column_mean mean_;
};

/// Statistic: a function of the means of columns, such as a ratio of sums (WAPE) or the root of a mean (RMSE).
///   means_of({absolute_errors, sizes}, [](std::span<const double> m) { return m[0] / m[1]; })
template <class Function> class means_of {
 public:
  /// @throws statistics_error when the columns differ in length or there is none
  means_of(const std::vector<std::span<const double>>& columns, Function function) : function_(std::move(function)) {
    if (columns.empty()) throw statistics_error("bootstrap of means: no column");
    for (const auto& column : columns) {
      detail::require_pairs("bootstrap of means", columns.front().size(), column.size());
      means_.emplace_back(column);
    }
  }
  std::size_t rows() const { return means_.front().rows(); }
  double operator()() const {
    std::vector<double> values;
    for (const auto& one : means_) values.push_back(one.of_all());
    return function_(std::span<const double>(values));
  }
  double operator()(std::span<const std::size_t> rows) const {
    std::vector<double> values;
    for (const auto& one : means_) values.push_back(one.of(rows));
    return function_(std::span<const double>(values));
  }
  std::vector<double> without(const left_out_units& units) const {
    std::vector<std::vector<double>> parts;
    for (const auto& one : means_) parts.push_back(one.without(units));
    std::vector<double> made(units.count);
    std::vector<double> values(parts.size());
    for (std::size_t u = 0; u < units.count; ++u) {
      for (std::size_t c = 0; c < parts.size(); ++c) values[c] = parts[c][u];
      made[u] = function_(std::span<const double>(values));
    }
    return made;
  }

 private:
  std::vector<detail::column_mean> means_;
  Function function_;
};

/// Statistic: a quantile of a column (interpolated, type 7). The column is sorted once; a resample counts how often it
/// has each rank.
class quantile_of {
 public:
  quantile_of(std::span<const double> column, double q) : q_(q), rank_(column.size()), defined_(true) {
    std::vector<std::size_t> order(column.size());
    defined_ = detail::count_not_finite(column) == 0;
    std::iota(order.begin(), order.end(), std::size_t{0});
    if (defined_) {
      std::sort(order.begin(), order.end(), [&](std::size_t i, std::size_t j) { return column[i] < column[j]; });
    }
    for (std::size_t k = 0; k < order.size(); ++k) {
      rank_[order[k]] = static_cast<std::uint32_t>(k);
      ascending_.push_back(column[order[k]]);
    }
  }
  std::size_t rows() const { return ascending_.size(); }
  double operator()() const { return defined_ ? quantile_of_sorted(ascending_, q_) : detail::no_number; }
  double operator()(std::span<const std::size_t> rows) const {
    std::vector<std::uint32_t> times(ascending_.size(), 0);
    for (const std::size_t row : rows) ++times[rank_[row]];
    return of_counts(times, rows.size());
  }
  std::vector<double> without(const left_out_units& units) const {
    std::vector<double> made(units.count, detail::no_number);
    if (!defined_) return made;
    std::vector<std::uint32_t> times(ascending_.size(), 1);
    if (units.count == rows()) {  // one row each: at most one of the two neighbours moves up by one
      for (std::size_t row = 0; row < rows(); ++row) made[units.of_row[row]] = without_rank(rank_[row]);
      return made;
    }
    std::vector<std::vector<std::uint32_t>> members(units.count);
    for (std::size_t row = 0; row < rows(); ++row) members[units.of_row[row]].push_back(rank_[row]);
    for (std::size_t u = 0; u < units.count; ++u) {
      for (const std::uint32_t k : members[u]) times[k] = 0;
      made[u] = of_counts(times, rows() - members[u].size());
      for (const std::uint32_t k : members[u]) times[k] = 1;
    }
    return made;
  }

 private:
  double q_;
  std::vector<std::uint32_t> rank_;
  std::vector<double> ascending_;
  bool defined_;

  double between(double low, double high, double rank) const {
    return low + (rank - std::floor(rank)) * (high - low);
  }
  double of_counts(std::span<const std::uint32_t> times, std::size_t size) const {
    if (size == 0 || !defined_ || std::isnan(q_)) return detail::no_number;
    const double rank = std::clamp(q_, 0.0, 1.0) * static_cast<double>(size - 1);
    const auto wanted = static_cast<std::size_t>(rank);
    std::size_t k = 0;
    std::size_t passed = 0;
    while (passed + times[k] <= wanted) passed += times[k++];
    if (wanted + 1 >= size) return ascending_[k];
    std::size_t next = k;
    if (passed + times[k] == wanted + 1) {
      do ++next;
      while (times[next] == 0);
    }
    return between(ascending_[k], ascending_[next], rank);
  }
  double without_rank(std::size_t left) const {
    const std::size_t size = rows() - 1;
    if (size == 0 || std::isnan(q_)) return detail::no_number;
    const double rank = std::clamp(q_, 0.0, 1.0) * static_cast<double>(size - 1);
    const auto wanted = static_cast<std::size_t>(rank);
    const auto at = [&](std::size_t k) { return ascending_[k < left ? k : k + 1]; };
    return wanted + 1 >= size ? at(size - 1) : between(at(wanted), at(wanted + 1), rank);
  }
};

/// Statistic: any function of the resampled values of one column, `double(std::span<const double>)`.
template <class Function> class statistic_of {
 public:
  statistic_of(std::span<const double> column, Function function)
      : column_(column.begin(), column.end()), function_(std::move(function)) {}
  std::size_t rows() const { return column_.size(); }
  double operator()() const { return function_(std::span<const double>(column_)); }
  double operator()(std::span<const std::size_t> rows) const {
    std::vector<double> values(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) values[i] = column_[rows[i]];
    return function_(std::span<const double>(values));
  }

 private:
  std::vector<double> column_;
  Function function_;
};

/// The values of a statistic (`double(std::span<const std::size_t> rows)`, or one of the above) over the resamples of
/// a scheme; and, for BCa, with each unit left out. A statistic without a short cut leaves out at most `most_left_out`
/// units: more rows are joined by lot (a delete-d jackknife; of groups and blocks whole ones are joined), which leaves
/// the acceleration what it is but for noise. One thread; each resample has random numbers of its own.
/// @throws statistics_error when statistic and scheme differ in their number of rows
template <resampling Scheme, class Statistic>
requires std::is_invocable_r_v<double, const Statistic&, std::span<const std::size_t>> resampled_statistic
resample(const Scheme& scheme, const Statistic& statistic, const bootstrap_options& options = {}) {
  const std::size_t rows = scheme.rows();
  if constexpr (requires { statistic.rows(); }) {
    detail::require_pairs("bootstrap", rows, statistic.rows());
  }
  resampled_statistic drawn;
  drawn.units = scheme.units();
  if (rows == 0) return drawn;
  std::vector<std::size_t> chosen(rows);
  if constexpr (requires { statistic(); }) {
    drawn.estimate = statistic();
  } else {
    std::iota(chosen.begin(), chosen.end(), std::size_t{0});
    drawn.estimate = statistic(std::span<const std::size_t>(chosen));
  }
  if (!std::isfinite(drawn.estimate) || drawn.units < 2) return drawn;
  drawn.values.resize(scheme.resamples(options.resamples));
  for (std::size_t b = 0; b < drawn.values.size(); ++b) {
    scheme.draw(options.seed, b, chosen);
    drawn.values[b] = statistic(std::span<const std::size_t>(chosen));
  }
  if (options.method != bootstrap_method::bca) return drawn;
  if constexpr (requires(const left_out_units& units) { statistic.without(units); }) {
    drawn.left_out = statistic.without(scheme.left_out(rows, options.seed));
  } else {
    const left_out_units units = scheme.left_out(options.most_left_out, options.seed);
    drawn.left_out.resize(units.count);
    for (std::size_t u = 0; u < units.count; ++u) {
      chosen.clear();
      for (std::size_t row = 0; row < rows; ++row) {
        if (units.of_row[row] != u) chosen.push_back(row);
      }
      drawn.left_out[u] = statistic(std::span<const std::size_t>(chosen));
    }
  }
  return drawn;
}

/// Interval of a statistic.
/// @throws statistics_error when statistic and scheme differ in their number of rows, or the confidence is not in (0, 1)
template <resampling Scheme, class Statistic>
bootstrap_interval bootstrap(const Scheme& scheme, const Statistic& statistic,
                             const bootstrap_options& options = {}) {
  detail::require_confidence("bootstrap", options.confidence);
  return interval_of(resample(scheme, statistic, options), options.method, options.confidence);
}

/// A difference between two predictors on the same rows (folds, groups).
struct paired_bootstrap_result {
  bootstrap_interval difference;     ///< metric of the first minus metric of the second
  double first = detail::no_number;  ///< metric of each, all rows
  double second = detail::no_number;
  double share_below = detail::no_number;  ///< of the resamples: difference below 0, equal ones count half
  double p = detail::no_number;  ///< two-sided: 2 (1 + min(#<= 0, #>= 0)) / (B + 1) (Davison and Hinkley 1997)
};

namespace detail {

inline paired_bootstrap_result paired_result(const resampled_statistic& drawn, double first, double second,
                                             const bootstrap_options& options) {
  paired_bootstrap_result made;
  made.difference = interval_of(drawn, options.method, options.confidence);
  made.first = first;
  made.second = second;
  if (drawn.values.empty() || made.difference.undefined_resamples > 0) return made;
  double below = 0.0;
  double above = 0.0;
  for (const double value : drawn.values) {
    if (value < 0.0) ++below;
    if (value > 0.0) ++above;
  }
  const auto count = static_cast<double>(drawn.values.size());
  made.share_below = (below + 0.5 * (count - below - above)) / count;
  made.p = std::min(1.0, 2.0 * (1.0 + std::min(count - below, count - above)) / (count + 1.0));
  return made;
}

}  // namespace detail

/// Do the means of two columns differ, row by row: losses of two predictors on the same rows, or their metrics on the
/// same folds?
/// @throws statistics_error when the columns differ in length, from each other or from the scheme
template <resampling Scheme>
paired_bootstrap_result paired_bootstrap(const Scheme& scheme, std::span<const double> first,
                                         std::span<const double> second, const bootstrap_options& options = {}) {
  detail::require_confidence("paired bootstrap", options.confidence);
  detail::require_pairs("paired bootstrap", first.size(), second.size());
  std::vector<double> difference(first.size());
  for (std::size_t i = 0; i < difference.size(); ++i) difference[i] = first[i] - second[i];
  return detail::paired_result(resample(scheme, mean_of(difference), options), accurate_mean(first),
                               accurate_mean(second), options);
}

/// Does a metric differ between two predictors of the same rows? Any metric, evaluated anew on each resample; for the
/// mean of a loss per row the other overload is faster.
///   paired_bootstrap<p90_ape>(independent_rows(n), actual, first, second)
/// @throws statistics_error when the columns differ in length, from each other or from the scheme
template <metric Metric, resampling Scheme>
paired_bootstrap_result paired_bootstrap(const Scheme& scheme, std::span<const double> actual,
                                         std::span<const double> first, std::span<const double> second,
                                         const bootstrap_options& options = {}) {
  detail::require_confidence("paired bootstrap", options.confidence);
  detail::require_pairs("paired bootstrap", actual.size(), first.size());
  detail::require_pairs("paired bootstrap", actual.size(), second.size());
  detail::require_pairs("paired bootstrap", scheme.rows(), actual.size());
  std::vector<double> a;
  std::vector<double> p;
  std::vector<double> q;
  const auto difference = [&](std::span<const std::size_t> rows) {
    a.clear();
    p.clear();
    q.clear();
    for (const std::size_t row : rows) {
      a.push_back(actual[row]);
      p.push_back(first[row]);
      q.push_back(second[row]);
    }
    return Metric::evaluate(a, p) - Metric::evaluate(a, q);
  };
  return detail::paired_result(resample(scheme, difference, options), Metric::evaluate(actual, first),
                               Metric::evaluate(actual, second), options);
}

}  // namespace rafter
