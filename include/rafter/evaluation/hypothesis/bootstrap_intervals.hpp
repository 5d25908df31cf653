// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: includes Boost.Math's special functions; for those who want to know how sure verdicts are.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "rafter/config.hpp"
#include "rafter/evaluation/hypothesis/evidence.hpp"
#include "rafter/evaluation/hypothesis/measure.hpp"
#include "rafter/evaluation/step_view.hpp"
#include "rafter/statistics/block_length.hpp"
#include "rafter/statistics/bootstrap.hpp"
#include "rafter/statistics/distributions.hpp"

namespace rafter::hypotheses {

namespace detail {

/// Limits of the median of n values that are independent, whatever their distribution: the k-th smallest and largest,
/// with the largest k that keeps 2 P(Binomial(n, 1/2) < k) within 1 - confidence. @returns 0 when none does
inline std::size_t sign_limits(std::size_t n, double confidence) {
  double below = 0.0, term = std::pow(0.5, static_cast<double>(n));
  std::size_t k = 0;
  for (; k < n; ++k) {
    below += term;
    if (2.0 * below > 1.0 - confidence) break;
    term *= static_cast<double>(n - k) / static_cast<double>(k + 1);
  }
  return k;
}

inline std::string plural(std::string_view unit) { return std::string(unit) + "s"; }

RAFTER_COLD inline std::optional<value_interval> limits_of(const bootstrap_interval& found, std::string how) {
  if (!std::isfinite(found.lower) || !std::isfinite(found.upper)) return std::nullopt;
  return value_interval{found.lower, found.upper, std::move(how)};
}

/// The interval of an error of one set's rows, resampled by a scheme.
template <resampling Scheme>
RAFTER_COLD bootstrap_interval of_rows(const Scheme& scheme, const interval_request& asked,
                                       std::span<const double> actual, std::span<const double> predicted,
                                       const bootstrap_options& options) {
  const bool relative = asked.evaluate == mape.evaluate, lean = asked.evaluate == mspe.evaluate;
  if ((relative || lean) && std::all_of(actual.begin(), actual.end(), [](double a) { return a > 0.0; })) {
    std::vector<double> errors(actual.size());
    for (std::size_t i = 0; i < errors.size(); ++i) {
      errors[i] = (predicted[i] - actual[i]) / actual[i];
      if (relative) errors[i] = std::fabs(errors[i]);
    }
    return bootstrap(scheme, mean_of(errors), options);
  }
  std::vector<double> a, p;
  bootstrap_options fewer = options;
  fewer.most_left_out = std::min<std::size_t>(options.most_left_out, 200);
  return bootstrap(
      scheme,
      [&](std::span<const std::size_t> rows) {
        a.clear(), p.clear();
        for (const std::size_t row : rows) a.push_back(actual[row]), p.push_back(predicted[row]);
        return asked.evaluate(a, p);
      },
      fewer);
}

/// One set: its rows drawn again, as whole measurements, as blocks of consecutive steps, or one by one.
RAFTER_COLD inline std::optional<value_interval> of_set(const interval_request& asked,
                                                        const interval_request::columns& set,
                                                        const bootstrap_options& options) {
  if (asked.evaluate == nullptr || set.actual.size() < 2 || set.predicted.size() != set.actual.size()) {
    return std::nullopt;
  }
  const std::size_t count = set.actual.size();
  const step_view* const view = asked.view;
  const bool known = view != nullptr && set.rows.size() == count &&
                     std::all_of(set.rows.begin(), set.rows.end(), [&](std::size_t row) { return row < view->rows; });
  const group_column* const measured = known ? view->labels(group::gemm_measurement) : nullptr;
  const std::string percent = formatted("%.4g %%, ", 100.0 * options.confidence);
  bootstrap_interval found;
  std::string what;
  if (measured != nullptr && measured->count() > 1) {
    std::vector<std::size_t> labels;
    for (const std::size_t row : set.rows) labels.push_back(measured->code(row));
    const grouped_rows scheme(labels);
    if (scheme.units() < 10) return std::nullopt;  // the interval would cover less often than it says
    found = of_rows(scheme, asked, set.actual, set.predicted, options);
    what = std::to_string(scheme.units()) + " measurements";
  } else if (known && view->step_ids.size() == view->rows && view->rows > 0) {
    const group_column* const runs = view->labels(group::experiment);
    const auto run_of = [&](std::size_t row) { return runs != nullptr ? runs->code(row) : 0U; };
    std::vector<std::size_t> order(count);
    for (std::size_t i = 0; i < count; ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(), [&](std::size_t i, std::size_t j) {
      const std::size_t a = set.rows[i], b = set.rows[j];
      return std::pair(run_of(a), view->step_ids[a]) < std::pair(run_of(b), view->step_ids[b]);
    });
    std::vector<double> actual, predicted, errors;
    std::vector<std::uint32_t> run;
    for (const std::size_t i : order) {
      actual.push_back(set.actual[i]);
      predicted.push_back(set.predicted[i]);
      errors.push_back(std::fabs(set.predicted[i] - set.actual[i]) / set.actual[i]);
      run.push_back(run_of(set.rows[i]));
    }
    const std::vector<std::size_t> lengths = series_lengths(std::span<const std::uint32_t>(run));
    const double length = automatic_block_length(errors, lengths).stationary;
    const blocked_rows scheme(lengths, std::isfinite(length) ? length : 1.0);
    if (scheme.units() < 10) return std::nullopt;
    found = of_rows(scheme, asked, actual, predicted, options);
    what = length > 1.0 ? "blocks of about " + formatted("%.0f", length) + " steps" : "steps";
  } else {
    found = of_rows(independent_rows(count), asked, set.actual, set.predicted, options);
    what = "rows";
  }
  std::optional<value_interval> made = limits_of(found, percent + what + " drawn again");
  if (made && asked.absolute) {
    const double low = std::fabs(made->lower), high = std::fabs(made->upper);
    const bool both_signs = made->lower < 0.0 && made->upper > 0.0;
    made->lower = both_signs ? 0.0 : std::min(low, high);
    made->upper = std::max(low, high);
  }
  return made;
}

/// A mean or a median over sets: the sets drawn again. Of fewer than ten, Student's limits.
RAFTER_COLD inline std::optional<value_interval> of_sets(const interval_request& asked,
                                                         const bootstrap_options& options) {
  constexpr std::size_t few = 10;
  const std::vector<double>& values = asked.values;
  const std::size_t count = values.size();
  if (count < 2 || std::any_of(values.begin(), values.end(), [](double v) { return !std::isfinite(v); })) {
    return std::nullopt;
  }
  const std::string percent = formatted("%.4g %%, ", 100.0 * options.confidence),
                    sets = (asked.sets.empty() ? "differences over " : "") + std::to_string(count) + " " +
                           plural(asked.unit);
  if (asked.of == interval_request::statistic::median) {
    const std::size_t k = sign_limits(count, options.confidence);
    if (k == 0) return std::nullopt;
    std::vector<double> ascending = values;
    std::sort(ascending.begin(), ascending.end());
    return value_interval{ascending[k - 1], ascending[count - k], percent + "signs of " + sets};
  }
  if (count >= few) {
    return limits_of(bootstrap(independent_rows(count), mean_of(values), options), percent + sets + " drawn again");
  }
  const double mean = accurate_mean(values), freedom = static_cast<double>(count - 1);
  double squares = 0.0;
  for (const double one : values) squares += (one - mean) * (one - mean);
  const double half = rafter::detail::student_quantile_above(0.5 * (1.0 - options.confidence), freedom) *
                      std::sqrt(squares / freedom / static_cast<double>(count));
  return value_interval{mean - half, mean + half, percent + "Student's t over " + sets};
}

}  // namespace detail

/// Intervals for evidence: `evidence::interval = bootstrap_intervals()`. Seeded, BCa unless the options say otherwise.
///
/// Of one fold, label, or all rows, its own rows are drawn again: as whole measurements where rows were composed of
/// them, as blocks of consecutive steps where steps are numbered (both by the evidence's step_view), else one by one;
/// of fewer than 10 measurements or blocks there is no interval. It is about other rows of that set, and of a worst
/// fold takes for granted that it is the worst. Of a mean over folds the folds are drawn again, of fewer than 10
/// Student's t limits take their place; of a median, limits by signs of the folds (order statistics). A difference of
/// two predictors' means over the same folds is that of paired differences. Other quantities have none: shares, counts,
/// coefficients, differences of worst folds.
///
/// What intervals of means do not say: folds share training rows, so they are a little too narrow.
/// @throws statistics_error (when asked) when the confidence is not in (0, 1)
inline interval_function bootstrap_intervals(const bootstrap_options& options = {}) {
  return [options](const interval_request& asked) -> std::optional<value_interval> {
    using statistic = interval_request::statistic;
    if (asked.of == statistic::mean || asked.of == statistic::median) return detail::of_sets(asked, options);
    const std::size_t which = asked.of == statistic::worst ? asked.worst : 0;
    return which < asked.sets.size() ? detail::of_set(asked, asked.sets[which], options) : std::nullopt;
  };
}

}  // namespace rafter::hypotheses
