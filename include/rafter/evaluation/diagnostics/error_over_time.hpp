// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: by name, or all diagnoses with rafter/evaluation/diagnose.hpp; includes Boost.Math's special functions.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
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
#include "rafter/statistics/autocorrelation.hpp"
#include "rafter/statistics/ljung_box.hpp"

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
  double effective_rows = 0.0;  ///< see effective_sample_size; more than `rows` where neighbours cancel
};

/// Error of the sum of m successive predicted times, as a request of m steps meets it when no step between is missing.
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
  double effective_share = 1.0;         ///< effective rows / rows, of the sequences whose errors vary
  double correlated_share = 0.0;        ///< of sequences: Ljung and Box's p < 0.01
  double bias = 0.0;                    ///< (sum predicted - sum measured) / sum measured, of all rows
  double sequence_bias = 0.0;  ///< mean over the sequences by rows of the size of their own: what long sums end at
  double gap_share = 0.0;      ///< of successive tested steps: others are between them; NaN: not known
  std::vector<summed_error> sums;  ///< the first of single steps
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

struct error_over_time_options {
  std::size_t lags = 20;         ///< of the autocorrelation that is kept
  std::size_t lags_tested = 10;  ///< of Ljung and Box, at most a fifth of the rows
  std::vector<std::size_t> steps = {1, 10, 100,
                                    500};  ///< of sums; single steps are there in any case, sums of 0 are not
  std::uint64_t seed = 1;                  ///< of the shuffled order
};

namespace detail {

/// 1, then the others in their order.
RAFTER_COLD inline std::vector<std::size_t> steps_of_sums(const std::vector<std::size_t>& asked) {
  std::vector<std::size_t> made{1};
  for (const std::size_t m : asked) {
    if (m > 1) made.push_back(m);
  }
  return made;
}

}  // namespace detail

/// Up to this share of successive tested steps with others between them, their sums are said to be those of a request.
inline constexpr double gap_limit = 0.1;

/// What becomes of the errors of single steps in sums.
enum class summed_verdict : std::uint8_t {
  not_known,      ///< no sequence is as long as a sum
  runs,           ///< an ordered sum is off by more than 1.5 times a shuffled one
  cancel,         ///< the longest sum is nearer to what independent errors leave of a single one than to all of it
  bias,           ///< it is not, and the bias of all rows is half of what is left or more
  sequence_bias,  ///< the same of the biases of the sequences, which have different signs
  remain          ///< it is not, and no bias says why
};

/// The longest sum that there is, and the one that is furthest from its shuffled order; null without.
struct summed_errors {
  summed_verdict verdict = summed_verdict::not_known;
  const summed_error *longest = nullptr, *furthest = nullptr;
};

RAFTER_COLD inline summed_errors verdict_of(const error_over_time_report& report) {
  summed_errors made;
  for (const summed_error& one : report.sums) {
    if (one.steps <= 1 || one.windows == 0) continue;
    if (made.longest == nullptr || one.steps > made.longest->steps) made.longest = &one;
    if (made.furthest == nullptr || one.error * made.furthest->shuffled > made.furthest->error * one.shuffled) {
      made.furthest = &one;
    }
  }
  if (made.longest == nullptr) return made;
  const double left = made.longest->error, single = report.sums.front().error;
  // Between `single` (all alike) and `independent` = single / sqrt(m): their geometric mean.
  const double middle = std::sqrt(single * made.longest->independent);
  made.verdict = made.furthest->error > 1.5 * made.furthest->shuffled ? summed_verdict::runs
                 : left <= middle                                     ? summed_verdict::cancel
                 : std::fabs(report.bias) >= 0.5 * left               ? summed_verdict::bias
                 : report.sequence_bias >= 0.5 * left                 ? summed_verdict::sequence_bias
                                                                      : summed_verdict::remain;
  return made;
}

/// Signed errors against time, and whether they cancel or compound over successive steps.
/// @param order  of the same view; must be known
RAFTER_COLD inline error_over_time_report error_over_time(const predictor_result& result, const tested_errors& errors,
                                                          const step_view& view, const step_order& order,
                                                          const error_over_time_options& options = {}) {
  constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
  error_over_time_report made;
  made.predictor = result.predictor;
  const std::vector<error_sequence> sequences = sequences_of(errors, view, order);
  made.autocorrelation.assign(options.lags, 0.0);
  std::vector<double> weight(options.lags, 0.0), centred, sums_actual, sums_predicted, signed_errors;
  double rows = 0.0, varied = 0.0, effective = 0.0, predicted_sum = 0.0, actual_sum = 0.0, in_time = 0.0;
  std::size_t pairs = 0, gaps = 0;
  std::size_t correlated = 0, tested_for_correlation = 0;
  struct window_sum {
    double ordered = 0.0, shuffled = 0.0;
    std::size_t windows = 0;
  };
  const std::vector<std::size_t> steps = detail::steps_of_sums(options.steps);
  std::vector<window_sum> windows(steps.size());
  detail::seeded_numbers random(options.seed);
  std::vector<std::size_t> mixed;
  const auto add_windows = [&](const std::vector<std::size_t>& tested, bool shuffled) {
    sums_actual.assign(1, 0.0);
    sums_predicted.assign(1, 0.0);
    for (const std::size_t i : tested) {
      sums_actual.push_back(sums_actual.back() + errors.actual[i]);
      sums_predicted.push_back(sums_predicted.back() + errors.predicted[i]);
    }
    for (std::size_t k = 0; k < steps.size(); ++k) {
      const std::size_t m = steps[k];
      if (m > tested.size()) continue;
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
    double mean = 0.0, own_predicted = 0.0, own_actual = 0.0;
    signed_errors.clear();
    for (const std::size_t i : sequence.tested) {
      mean += errors.relative[i];
      own_predicted += errors.predicted[i];
      own_actual += errors.actual[i];
      signed_errors.push_back(errors.relative[i]);
    }
    predicted_sum += own_predicted;
    actual_sum += own_actual;
    made.sequence_bias += std::fabs(own_predicted - own_actual) / own_actual * real;
    pairs += n - 1;
    for (const std::size_t gap : sequence.gaps_before) gaps += gap > 0 ? 1U : 0U;
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
    one.autocorrelation = autocorrelation(signed_errors, std::min(options.lags, n - 1));
    one.autocorrelation.erase(one.autocorrelation.begin());  // lag 0
    for (std::size_t k = 0; k < one.autocorrelation.size(); ++k) {
      if (std::isnan(one.autocorrelation[k])) continue;
      made.autocorrelation[k] += one.autocorrelation[k] * real;
      weight[k] += real;
    }
    one.lags_tested = std::min(options.lags_tested, n / 5);
    const ljung_box_test memory = ljung_box(signed_errors, one.lags_tested);
    one.ljung_box = memory.q;
    one.p = memory.p;
    if (!std::isnan(one.p)) {
      ++tested_for_correlation;
      correlated += one.p < 0.01 ? 1U : 0U;
    }
    one.effective_rows = effective_sample_size(signed_errors).size;
    rows += real;
    if (!std::isnan(one.effective_rows)) {
      varied += real;
      effective += one.effective_rows;
    }
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
  made.effective_share = varied > 0.0 ? effective / varied : unknown;
  made.sequence_bias = rows > 0.0 ? made.sequence_bias / rows : unknown;
  made.gap_share = order.by_clock || pairs == 0 ? unknown : static_cast<double>(gaps) / static_cast<double>(pairs);
  made.correlated_share = tested_for_correlation > 0
                              ? static_cast<double>(correlated) / static_cast<double>(tested_for_correlation)
                              : unknown;
  made.bias = actual_sum > 0.0 ? (predicted_sum - actual_sum) / actual_sum : unknown;
  double single = 0.0;
  for (const double each : errors.relative) single += std::fabs(each);
  single = errors.size() > 0 ? single / static_cast<double>(errors.size()) : unknown;
  for (std::size_t k = 0; k < steps.size(); ++k) {
    summed_error& one = made.sums.emplace_back();
    one.steps = steps[k];
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
    made.summary =
        "Whether errors cancel or compound over successive steps cannot be told: the data has no order in time.";
    made.blocks.push_back(
        paragraph{"Not made: the data has neither step ids nor start times, so its steps have no order."});
    return made;
  }
  std::vector<std::string> titles{"<predictor", "drift %", "lag 1", "correlated %", "effective %"};
  std::vector<std::string> sum_titles{"<predictor", "bias %"};
  for (const std::size_t m : steps_of_sums(options.steps)) {
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
  std::size_t steps = 0;
  for (const sequence_errors& one : all.front().sequences) steps += one.rows;
  const double gap_share = all.front().gap_share;
  std::string text =
      fmt::format("{} tested steps in {} sequences (one for each fold and experiment), ordered by {}. ",
                  grouped(steps), all.front().sequences.size(), order.by_clock ? "start time" : "step id");
  if (order.by_clock) {
    text += "Without step ids it is not known which steps are missing between two. ";
  } else if (!std::isnan(gap_share)) {
    text +=
        fmt::format("{} % of successive tested steps have others between them that were not logged or not tested. ",
                    percent(gap_share));
  }
  text +=
      "Drift: mean size of (mean error of a sequence's last third - that of its first). Correlated: sequences in "
      "which "
      "Ljung and Box's test finds autocorrelation (p < 0.01). Effective: independent steps that say as much of the "
      "mean "
      "error as all steps do.";
  made.blocks.push_back(paragraph{std::move(text)});
  const bool whole = gap_share <= gap_limit;  // not where it is not known
  made.blocks.push_back(captioned_table{"signed errors in time", std::move(table)});
  made.blocks.push_back(paragraph{
      std::string(whole ? "A request meets sums: the" : "The") +
      " mean error of the sum of m successive predicted times, beside what the same steps give in a random "
      "order. Errors that cancel fall towards the bias of their sequence as 1/sqrt(m); an ordered sum that "
      "is worse than the shuffled one says that errors come in runs and compound." +
      (whole ? "" : " They are not the sums that a request meets, for steps between are missing or may be.")});
  made.blocks.push_back(captioned_table{"error of the sum of m successive steps", std::move(sums)});

  const std::vector<const predictor_result*> few = selected(report, shown);
  const auto of = [&](const predictor_result* result) -> const error_over_time_report& {
    return *std::find_if(all.begin(), all.end(),
                         [&](const error_over_time_report& one) { return one.predictor == result->predictor; });
  };
  if (few.empty()) return made;
  const error_over_time_report& first = of(few.front());
  const summed_errors sum_of = verdict_of(first);
  if (sum_of.verdict == summed_verdict::runs) {
    made.summary = fmt::format(
        "Errors of {} come in runs: the sum of {} steps is off by {} %, where the same errors in a random order give "
        "{} %; of {} steps by {} %.",
        first.predictor, sum_of.furthest->steps, percent(sum_of.furthest->error), percent(sum_of.furthest->shuffled),
        sum_of.longest->steps, percent(sum_of.longest->error));
  } else if (sum_of.longest != nullptr) {
    const char* const what = sum_of.verdict == summed_verdict::cancel ? "cancel"
                             : sum_of.verdict == summed_verdict::bias ? "are a bias that does not cancel"
                             : sum_of.verdict == summed_verdict::sequence_bias
                                 ? "are a bias of each sequence, of different signs, that does not cancel"
                                 : "hardly cancel";
    made.summary =
        fmt::format("Errors of {} {} over {}: the sum of {} steps is off by {} %, a single step by {} %.",
                    first.predictor, what, whole ? "a request" : "successive tested steps", sum_of.longest->steps,
                    percent(sum_of.longest->error), percent(first.sums.front().error));
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
