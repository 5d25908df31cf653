// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: by name, or all diagnoses with rafter/evaluation/diagnose.hpp.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numbers>
#include <numeric>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "rafter/config.hpp"
#include "rafter/core/random.hpp"
#include "rafter/evaluation/diagnostics/tested_errors.hpp"
#include "rafter/evaluation/section.hpp"
#include "rafter/evaluation/text.hpp"

namespace rafter {

/// Tested rows of one fold and one experiment in the order in which they ran.
struct error_sequence {
  std::uint32_t fold = 0;
  std::string experiment;                ///< empty: the data has no experiments
  std::vector<std::size_t> tested;       ///< indices into tested_errors
  std::vector<std::size_t> gaps_before;  ///< 0, or how many steps were not tested or logged since the one before
};

/// What the errors of a sequence do in time. NaN where it is too short.
struct sequence_errors {
  std::string held_out, experiment;
  std::size_t rows = 0;
  double mean = 0.0;                    ///< of the signed relative error
  double trend = 0.0;                   ///< by how much its least-squares line rises from the first step to the last
  double drift = 0.0;                   ///< mean of the last third - mean of the first third
  std::vector<double> autocorrelation;  ///< of lags 1, 2, ...
  double ljung_box = 0.0, p = 1.0;      ///< Q of `lags_tested` lags and P(chi-square >= Q)
  std::size_t lags_tested = 0;
  double effective_rows = 0.0;  ///< rows / (1 + 2 sum of autocorrelations), the initial positive ones (Geyer 1992)
};

/// Error of the sum of m successive predicted times, as a request of m steps meets it.
struct summed_error {
  std::size_t steps = 0;                                    ///< m
  std::size_t windows = 0;                                  ///< of m successive tested steps, all positions
  double error = std::numeric_limits<double>::quiet_NaN();  ///< mean of |sum predicted - sum measured| / sum measured
  double shuffled =
      std::numeric_limits<double>::quiet_NaN();  ///< the same with the steps of each sequence in a random order
  double independent =
      std::numeric_limits<double>::quiet_NaN();  ///< error of single steps / sqrt(m): independent and unbiased
};

struct error_over_time_report {
  std::string predictor;
  std::vector<sequence_errors> sequences;
  std::vector<double> autocorrelation;  ///< of lags 1, 2, ..., averaged over the sequences by rows
  double trend = 0.0, drift = 0.0;      ///< mean over the sequences by rows, of the signed values
  double drift_size = 0.0;              ///< the same of |drift|
  double effective_share = 1.0;         ///< effective rows / rows
  double correlated_share = 0.0;        ///< of sequences: Ljung and Box's p < 0.01
  double bias = 0.0;                    ///< (sum predicted - sum measured) / sum measured: what long sums end at
  std::vector<summed_error> sums;
};

/// The order of a dataset's steps, found once for all predictors.
struct step_order {
  bool known = false;
  bool by_clock = false;             ///< no step ids, but start times: gaps cannot be seen
  std::vector<std::uint32_t> place;  ///< of each row in (experiment, time) order
  std::vector<std::uint32_t> experiment;
  std::vector<std::string> experiments;
};

RAFTER_COLD inline step_order order_of(const step_view& view) {
  step_order made;
  made.by_clock = view.step_ids.empty() && !view.start_ns.empty();
  if (view.step_ids.empty() && view.start_ns.empty()) return made;
  made.known = true;
  const group_column* experiments = view.labels(group::experiment);
  made.experiment.assign(view.rows, 0);
  made.experiments.assign(1, "");
  if (experiments != nullptr) {
    made.experiment = experiments->codes();
    made.experiments = experiments->names();
  }
  std::vector<std::uint32_t> order(view.rows);
  std::iota(order.begin(), order.end(), 0U);
  const auto before = [&](std::uint32_t a, std::uint32_t b) {
    if (made.experiment[a] != made.experiment[b]) return made.experiment[a] < made.experiment[b];
    if (made.by_clock) return std::pair(view.start_ns[a], a) < std::pair(view.start_ns[b], b);
    return std::pair(view.step_ids[a], a) < std::pair(view.step_ids[b], b);
  };
  std::sort(order.begin(), order.end(), before);
  made.place.resize(view.rows);
  for (std::size_t i = 0; i < order.size(); ++i) made.place[order[i]] = static_cast<std::uint32_t>(i);
  return made;
}

/// The tested rows as sequences, by fold, experiment and time.
RAFTER_COLD inline std::vector<error_sequence> sequences_of(const tested_errors& errors, const step_view& view,
                                                            const step_order& order) {
  std::vector<std::size_t> at(errors.size());
  std::iota(at.begin(), at.end(), std::size_t{0});
  std::sort(at.begin(), at.end(), [&](std::size_t a, std::size_t b) {
    return std::pair(errors.folds[a], order.place[errors.rows[a]]) <
           std::pair(errors.folds[b], order.place[errors.rows[b]]);
  });
  std::vector<error_sequence> made;
  for (std::size_t i = 0; i < at.size(); ++i) {
    const std::size_t row = errors.rows[at[i]];
    const std::uint32_t experiment = order.experiment[row];
    const bool starts = i == 0 || errors.folds[at[i - 1]] != errors.folds[at[i]] ||
                        order.experiment[errors.rows[at[i - 1]]] != experiment;
    if (starts) {
      made.emplace_back();
      made.back().fold = errors.folds[at[i]];
      made.back().experiment = order.experiments[experiment];
    }
    std::size_t gap = 0;
    if (!starts && !order.by_clock) {
      const double apart = view.step_ids[row] - view.step_ids[errors.rows[at[i - 1]]];
      gap = apart > 1.0 ? static_cast<std::size_t>(apart) - 1 : 0;
    }
    made.back().tested.push_back(at[i]);
    made.back().gaps_before.push_back(gap);
  }
  return made;
}

namespace detail {

RAFTER_HOT inline double lagged_product(const double* centred, std::size_t count, std::size_t lag) {
  double sum = 0.0;
  for (std::size_t t = lag; t < count; ++t) sum += centred[t] * centred[t - lag];
  return sum;
}

/// P(chi-square >= x) of a whole number of degrees of freedom: a finite sum (Abramowitz and Stegun 26.4.4, 26.4.5).
RAFTER_COLD inline double chi_square_at_least(double x, std::size_t freedom) {
  const double half = 0.5 * x;
  double sum = freedom % 2 == 1 ? std::erfc(std::sqrt(half)) : 0.0;
  double term = freedom % 2 == 1 ? 2.0 * std::sqrt(half / std::numbers::pi) : 1.0;
  for (std::size_t k = freedom % 2 == 1 ? 3 : 2; k <= freedom; k += 2) {
    sum += term * std::exp(-half);
    term *= x / static_cast<double>(k);
  }
  return std::min(sum, 1.0);
}

/// Autocorrelations of lags 1 to `lags`; NaN for a sequence that does not vary. @param centred  of mean 0
RAFTER_COLD inline std::vector<double> autocorrelations(const std::vector<double>& centred, std::size_t lags) {
  const double variance = lagged_product(centred.data(), centred.size(), 0);
  std::vector<double> made;
  for (std::size_t lag = 1; lag <= lags && lag < centred.size(); ++lag) {
    made.push_back(variance > 0.0 ? lagged_product(centred.data(), centred.size(), lag) / variance
                                  : std::numeric_limits<double>::quiet_NaN());
  }
  return made;
}

/// n / (1 + 2 sum rho) with the initial sequence of positive sums of neighbouring pairs (Geyer 1992), in [1, n].
RAFTER_COLD inline double effective_size(const std::vector<double>& centred, std::size_t most_lags) {
  const auto rows = static_cast<double>(centred.size());
  const double variance = lagged_product(centred.data(), centred.size(), 0);
  if (!(variance > 0.0)) return rows;
  const auto rho = [&](std::size_t lag) {
    return lag < centred.size() ? lagged_product(centred.data(), centred.size(), lag) / variance : 0.0;
  };
  double sum = 0.0;
  // Pairs (rho_0 + rho_1), (rho_2 + rho_3), ...: their sum is (1 + sum rho).
  for (std::size_t lag = 0; lag <= most_lags; lag += 2) {
    const double pair = rho(lag) + rho(lag + 1);
    if (pair <= 0.0) break;
    sum += pair;
  }
  return std::clamp(rows / std::max(2.0 * sum - 1.0, 1.0 / rows), 1.0, rows);
}

}  // namespace detail

struct error_over_time_options {
  std::size_t lags = 20;         ///< of the autocorrelation that is kept
  std::size_t lags_tested = 10;  ///< of Ljung and Box, at most a fifth of the rows
  std::size_t most_lags = 1000;  ///< that the effective number of rows may look at
  std::vector<std::size_t> steps = {1, 10, 100, 500};
  std::uint64_t seed = 1;  ///< of the shuffled order
};

/// Signed errors against time, and whether they cancel or compound over the steps of a request.
/// @param order  of the same view; must be known
RAFTER_COLD inline error_over_time_report error_over_time(const predictor_result& result, const tested_errors& errors,
                                                          const step_view& view, const step_order& order,
                                                          const error_over_time_options& options = {}) {
  constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
  error_over_time_report made;
  made.predictor = result.predictor;
  const std::vector<error_sequence> sequences = sequences_of(errors, view, order);
  made.autocorrelation.assign(options.lags, 0.0);
  std::vector<double> weight(options.lags, 0.0), centred, sums_actual, sums_predicted;
  double rows = 0.0, effective = 0.0, predicted_sum = 0.0, actual_sum = 0.0, in_time = 0.0;
  std::size_t correlated = 0, tested_for_correlation = 0;
  struct window_sum {
    double ordered = 0.0, shuffled = 0.0;
    std::size_t windows = 0;
  };
  std::vector<window_sum> windows(options.steps.size());
  detail::seeded_numbers random(options.seed);
  std::vector<std::size_t> mixed;
  const auto add_windows = [&](const std::vector<std::size_t>& tested, bool shuffled) {
    sums_actual.assign(1, 0.0);
    sums_predicted.assign(1, 0.0);
    for (const std::size_t i : tested) {
      sums_actual.push_back(sums_actual.back() + errors.actual[i]);
      sums_predicted.push_back(sums_predicted.back() + errors.predicted[i]);
    }
    for (std::size_t k = 0; k < options.steps.size(); ++k) {
      const std::size_t m = options.steps[k];
      if (m == 0 || m > tested.size()) continue;
      double sum = 0.0;
      for (std::size_t end = m; end <= tested.size(); ++end) {
        const double actual = sums_actual[end] - sums_actual[end - m];
        sum += std::fabs(sums_predicted[end] - sums_predicted[end - m] - actual) / actual;
      }
      (shuffled ? windows[k].shuffled : windows[k].ordered) += sum;
      if (!shuffled) windows[k].windows += tested.size() - m + 1;
    }
  };
  for (const error_sequence& sequence : sequences) {
    sequence_errors& one = made.sequences.emplace_back();
    const std::size_t n = sequence.tested.size();
    one.held_out = result.folds[sequence.fold].held_out;
    one.experiment = sequence.experiment;
    one.rows = n;
    const auto real = static_cast<double>(n);
    double mean = 0.0;
    for (const std::size_t i : sequence.tested) {
      mean += errors.relative[i];
      predicted_sum += errors.predicted[i];
      actual_sum += errors.actual[i];
    }
    mean /= real;
    one.mean = mean;
    centred.clear();
    for (const std::size_t i : sequence.tested) centred.push_back(errors.relative[i] - mean);
    // Against the place in the sequence: the line rises by slope * (n - 1) from the first step to the last.
    one.trend = one.drift = unknown;
    if (n >= 3) {
      double cross = 0.0;
      for (std::size_t t = 0; t < n; ++t) cross += (static_cast<double>(t) - 0.5 * (real - 1.0)) * centred[t];
      one.trend = cross / (real * (real * real - 1.0) / 12.0) * (real - 1.0);
      const std::size_t third = n / 3;
      double first = 0.0, last = 0.0;
      for (std::size_t t = 0; t < third; ++t) {
        first += centred[t];
        last += centred[n - 1 - t];
      }
      one.drift = (last - first) / static_cast<double>(third);
      made.trend += one.trend * real;
      made.drift += one.drift * real;
      made.drift_size += std::fabs(one.drift) * real;
      in_time += real;
    }
    one.autocorrelation = detail::autocorrelations(centred, options.lags);
    for (std::size_t k = 0; k < one.autocorrelation.size(); ++k) {
      if (std::isnan(one.autocorrelation[k])) continue;
      made.autocorrelation[k] += one.autocorrelation[k] * real;
      weight[k] += real;
    }
    one.lags_tested = std::min({options.lags_tested, n / 5, one.autocorrelation.size()});
    one.ljung_box = one.p = unknown;
    if (one.lags_tested > 0 && !std::isnan(one.autocorrelation.front())) {
      double q = 0.0;
      for (std::size_t k = 1; k <= one.lags_tested; ++k) {
        q += one.autocorrelation[k - 1] * one.autocorrelation[k - 1] / (real - static_cast<double>(k));
      }
      one.ljung_box = real * (real + 2.0) * q;
      one.p = detail::chi_square_at_least(one.ljung_box, one.lags_tested);
      ++tested_for_correlation;
      correlated += one.p < 0.01 ? 1U : 0U;
    }
    one.effective_rows = detail::effective_size(centred, std::min(options.most_lags, n / 2));
    rows += real;
    effective += one.effective_rows;
    add_windows(sequence.tested, false);
    mixed = sequence.tested;
    for (std::size_t i = mixed.size(); i > 1; --i) std::swap(mixed[i - 1], mixed[random.below(i)]);
    add_windows(mixed, true);
  }
  for (std::size_t k = 0; k < options.lags; ++k) {
    made.autocorrelation[k] = weight[k] > 0.0 ? made.autocorrelation[k] / weight[k] : unknown;
  }
  made.trend = in_time > 0.0 ? made.trend / in_time : unknown;
  made.drift = in_time > 0.0 ? made.drift / in_time : unknown;
  made.drift_size = in_time > 0.0 ? made.drift_size / in_time : unknown;
  made.effective_share = rows > 0.0 ? effective / rows : unknown;
  made.correlated_share = tested_for_correlation > 0
                              ? static_cast<double>(correlated) / static_cast<double>(tested_for_correlation)
                              : unknown;
  made.bias = actual_sum > 0.0 ? (predicted_sum - actual_sum) / actual_sum : unknown;
  double single = 0.0;
  for (const double each : errors.relative) single += std::fabs(each);
  single = errors.size() > 0 ? single / static_cast<double>(errors.size()) : unknown;
  for (std::size_t k = 0; k < options.steps.size(); ++k) {
    summed_error& one = made.sums.emplace_back();
    one.steps = options.steps[k];
    one.windows = windows[k].windows;
    if (one.windows == 0) continue;
    one.error = windows[k].ordered / static_cast<double>(one.windows);
    one.shuffled = windows[k].shuffled / static_cast<double>(one.windows);
    one.independent = single / std::sqrt(static_cast<double>(one.steps));
  }
  return made;
}

RAFTER_COLD inline report_section error_over_time_section(const evaluation_report& report, const step_view& view,
                                                          const error_over_time_options& options = {},
                                                          const shown_predictors& shown = {}) {
  using namespace detail;
  report_section made{"error-over-time", "Errors over time", "", {}};
  const std::vector<const predictor_result*> results = results_with_predictions(report);
  if (results.empty()) {
    made.blocks.push_back(paragraph{no_predictions_kept});
    return made;
  }
  const step_order order = order_of(view);
  if (!order.known) {
    made.summary = "Whether errors cancel or compound over a request cannot be told: the data has no order in time.";
    made.blocks.push_back(
        paragraph{"Not made: the data has neither step ids nor start times, so its steps have no order."});
    return made;
  }
  std::vector<std::string> titles{"<predictor", "drift %", "lag 1", "correlated %", "effective %"};
  std::vector<std::string> sum_titles{"<predictor", "bias %"};
  for (const std::size_t m : options.steps) {
    sum_titles.push_back(fmt::format("m = {} %", m));
    if (m > 1) sum_titles.push_back("shuffled");
  }
  text_table table(titles), sums(sum_titles);
  std::vector<error_over_time_report> all;
  for (const predictor_result* result : results) {
    all.push_back(error_over_time(*result, tested_errors_of(*result), view, order, options));
    const error_over_time_report& one = all.back();
    const auto share = [](double fraction, int digits = 2) {
      return std::isnan(fraction) ? table_cell("n/a") : table_cell(percent(fraction, digits), 100.0 * fraction);
    };
    table.add({one.predictor, share(one.drift_size),
               one.autocorrelation.empty() || std::isnan(one.autocorrelation[0])
                   ? table_cell("n/a")
                   : table_cell(number(one.autocorrelation[0], 3), one.autocorrelation[0]),
               share(one.correlated_share, 0), share(one.effective_share)});
    std::vector<table_cell> cells{one.predictor, {signed_percent(one.bias), 100.0 * one.bias}};
    for (const summed_error& sum : one.sums) {
      cells.push_back(share(sum.error));
      if (sum.steps > 1) cells.push_back(share(sum.shuffled));
    }
    sums.add(std::move(cells));
  }
  const std::vector<error_sequence> sequences = sequences_of(tested_errors_of(*results.front()), view, order);
  std::size_t steps = 0, gaps = 0, pairs = 0;
  for (const error_sequence& one : sequences) {
    steps += one.tested.size();
    pairs += one.tested.size() - 1;
    for (const std::size_t gap : one.gaps_before) gaps += gap > 0 ? 1U : 0U;
  }
  std::string text =
      fmt::format("{} tested steps in {} sequences (one for each fold and experiment), ordered by {}. ",
                  grouped(steps), sequences.size(), order.by_clock ? "start time" : "step id");
  if (order.by_clock) {
    text += "Without step ids it is not known which steps are missing between two. ";
  } else if (pairs > 0) {
    text +=
        fmt::format("{} % of successive tested steps have others between them that were not logged or not tested. ",
                    percent(static_cast<double>(gaps) / static_cast<double>(pairs)));
  }
  text +=
      "Drift: mean size of (mean error of a sequence's last third - that of its first). Correlated: sequences in "
      "which "
      "Ljung and Box's test finds autocorrelation (p < 0.01). Effective: independent steps that say as much of the "
      "mean "
      "error as all steps do.";
  made.blocks.push_back(paragraph{std::move(text)});
  made.blocks.push_back(captioned_table{"signed errors in time", std::move(table)});
  made.blocks.push_back(
      paragraph{"A request meets sums: the mean error of the sum of m successive predicted times, beside what the "
                "same steps give "
                "in a random order. Errors that cancel fall towards the bias as 1/sqrt(m); an ordered sum that is "
                "worse than the "
                "shuffled one says that errors come in runs and compound."});
  made.blocks.push_back(captioned_table{"error of the sum of m successive steps", std::move(sums)});

  const std::vector<const predictor_result*> few = selected(report, shown);
  const auto of = [&](const predictor_result* result) -> const error_over_time_report& {
    return *std::find_if(all.begin(), all.end(),
                         [&](const error_over_time_report& one) { return one.predictor == result->predictor; });
  };
  if (few.empty()) return made;
  const error_over_time_report& first = of(few.front());
  const summed_error *longest = nullptr, *furthest = nullptr;  // from what independent errors would give
  for (const summed_error& one : first.sums) {
    if (one.steps <= 1 || one.windows == 0) continue;
    longest = &one;
    if (furthest == nullptr || one.error * furthest->shuffled > furthest->error * one.shuffled) furthest = &one;
  }
  if (longest != nullptr) {
    made.summary =
        furthest->error > 1.5 * furthest->shuffled
            ? fmt::format(
                  "Errors of {} come in runs: the sum of {} steps is off by {} %, where the same errors in a "
                  "random order give {} %; of {} steps by {} %.",
                  first.predictor, furthest->steps, percent(furthest->error), percent(furthest->shuffled),
                  longest->steps, percent(longest->error))
            : fmt::format(
                  "Errors of {} {} over a request: the sum of {} steps is off by {} %, a single step by {} %.",
                  first.predictor,
                  longest->error > 0.5 * first.sums.front().error ? "are a bias that does not cancel" : "cancel",
                  longest->steps, percent(longest->error), percent(first.sums.front().error));
  }
  plot picture;
  picture.id = "error-autocorrelation";
  picture.title = "Autocorrelation of signed errors";
  picture.x = {"lag (tested steps)", false};
  picture.y = {"autocorrelation", false};
  plot against;
  against.id = "error-of-sums";
  against.title = "Error of the sum of m successive steps";
  against.x = {"m (steps)", true};
  against.y = {"mean |error| of the sum (%)", true};
  for (const predictor_result* result : few) {
    const error_over_time_report& one = of(result);
    plot_series line{one.predictor, series_style::lines, {}, {}};
    for (std::size_t k = 0; k < one.autocorrelation.size(); ++k) {
      if (std::isnan(one.autocorrelation[k])) continue;
      line.x.push_back(static_cast<double>(k + 1));
      line.y.push_back(one.autocorrelation[k]);
    }
    if (!line.x.empty()) picture.series.push_back(std::move(line));
    plot_series sum{one.predictor, series_style::lines, {}, {}};
    for (const summed_error& each : one.sums) {
      if (each.windows == 0 || !(each.error > 0.0)) continue;
      sum.x.push_back(static_cast<double>(each.steps));
      sum.y.push_back(100.0 * each.error);
    }
    if (!sum.x.empty()) against.series.push_back(std::move(sum));
  }
  if (!against.series.empty()) {
    plot_series rule{"independent, unbiased (first predictor)", series_style::lines, {}, {}};
    for (const summed_error& each : first.sums) {
      if (each.windows == 0 || !(each.independent > 0.0)) continue;
      rule.x.push_back(static_cast<double>(each.steps));
      rule.y.push_back(100.0 * each.independent);
    }
    against.series.push_back(std::move(rule));
    made.blocks.push_back(std::move(against));
  }
  if (!picture.series.empty()) made.blocks.push_back(std::move(picture));
  return made;
}

}  // namespace rafter
