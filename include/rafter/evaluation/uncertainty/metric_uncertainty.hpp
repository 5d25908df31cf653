// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: includes Boost.Math's special functions; for those who want to know how sure the figures are.
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
#include <string_view>
#include <utility>
#include <vector>

#include "rafter/config.hpp"
#include "rafter/evaluation/evaluate.hpp"
#include "rafter/evaluation/report.hpp"
#include "rafter/evaluation/section.hpp"
#include "rafter/evaluation/step_view.hpp"
#include "rafter/solver/thread_team.hpp"
#include "rafter/statistics/block_length.hpp"
#include "rafter/statistics/bootstrap.hpp"
#include "rafter/statistics/multiple_comparisons.hpp"
#include "rafter/statistics/paired_tests.hpp"

namespace rafter {

/// What is drawn when a fold's test rows are drawn again.
enum class resampled_unit : std::uint8_t {
  rows,          ///< nothing says that rows are alike
  blocks,        ///< consecutive steps of an experiment: stationary blocks of automatic length
  measurements,  ///< rows that were composed from one measurement of matrix products come together
};
constexpr std::string_view name_of(resampled_unit unit) {
  return unit == resampled_unit::rows     ? "rows"
         : unit == resampled_unit::blocks ? "blocks of consecutive steps"
                                          : "groups of rows that share a matrix-product measurement";
}

/// The MAPE of one predictor on one fold, and how far other rows such as these might move it.
struct fold_uncertainty {
  std::string held_out;
  resampled_unit unit = resampled_unit::rows;
  double block_length = 1.0;  ///< mean, in rows; of blocks
  bootstrap_interval mape;    ///< fractions
};

struct predictor_uncertainty {
  std::string predictor;
  std::vector<fold_uncertainty> folds;  ///< in the report's order
  paired_t_test
      mean_mape;  ///< `mean`, `lower`, `upper`: of the mean over folds, Student's limits for other groups such
                  ///< as these; NaN limits of one fold
};

/// One predictor against the reference on the same folds; differences are predictor − reference.
struct predictor_comparison {
  std::string predictor;
  std::size_t folds_won = 0, folds_lost = 0;  ///< folds with a lower, a higher MAPE than the reference's
  signed_rank_test wilcoxon;                  ///< over folds
  paired_bootstrap_result difference;         ///< of the mean MAPE, folds drawn again
  double adjusted_p = std::numeric_limits<double>::quiet_NaN();  ///< Wilcoxon's, by Holm over all comparisons
};

struct evaluation_uncertainty {
  std::vector<predictor_uncertainty> predictors;  ///< those with folds, in the report's order
  std::string reference;                          ///< what the others are compared with
  bool reference_chosen = false;                  ///< by these errors (the best worst fold), not beforehand
  std::vector<predictor_comparison> comparisons;  ///< the others, by mean difference
  std::size_t folds = 0;
  double least_p = 1.0;               ///< that Wilcoxon's test can reach with so many folds: 2 / 2ⁿ
  std::vector<std::string> left_out;  ///< predictors that were not compared, and why
};

namespace detail {

/// Absolute percentage errors of rows of one fold; rows without one (a measured time of 0) are NaN.
inline std::vector<double> absolute_percentage_errors(const fold_predictions& of) {
  std::vector<double> made(of.actual.size());
  for (std::size_t i = 0; i < made.size(); ++i) {
    made[i] = of.actual[i] == 0.0 ? undefined : std::fabs(of.predicted[i] - of.actual[i]) / of.actual[i];
  }
  return made;
}

/// Fills in the intervals of one fold for the predictors that have predictions there. All see the same resamples.
template <resampling Scheme>
void draw_fold(const Scheme& scheme, const std::vector<std::vector<double>>& errors,
               const std::vector<fold_uncertainty*>& into, const bootstrap_options& options) {
  const std::size_t rows = scheme.rows(), columns = errors.size();
  std::vector<double> by_row(rows * columns);
  for (std::size_t p = 0; p < columns; ++p) {
    for (std::size_t i = 0; i < rows; ++i) by_row[i * columns + p] = errors[p][i];
  }
  std::vector<resampled_statistic> drawn(columns);
  for (std::size_t p = 0; p < columns; ++p) {
    const mean_of statistic(errors[p]);
    drawn[p].units = scheme.units();
    drawn[p].estimate = statistic();
    drawn[p].values.reserve(options.resamples);
    if (options.method == bootstrap_method::bca && drawn[p].units > 1 && std::isfinite(drawn[p].estimate)) {
      drawn[p].left_out = statistic.without(scheme.left_out(rows, options.seed));
    }
  }
  std::vector<std::size_t> chosen;
  std::vector<double> times(rows), sums(columns);
  for (std::size_t b = 0; b < options.resamples && scheme.units() > 1; ++b) {
    scheme.draw(options.seed, b, chosen);
    std::fill(times.begin(), times.end(), 0.0);
    for (const std::size_t row : chosen) times[row] += 1.0;
    std::fill(sums.begin(), sums.end(), 0.0);
    for (std::size_t i = 0; i < rows; ++i) {
      if (times[i] == 0.0) continue;
      const double* const row = by_row.data() + i * columns;
      for (std::size_t p = 0; p < columns; ++p) sums[p] += times[i] * row[p];
    }
    for (std::size_t p = 0; p < columns; ++p) {
      drawn[p].values.push_back(sums[p] / static_cast<double>(chosen.size()));
    }
  }
  for (std::size_t p = 0; p < columns; ++p) {
    into[p]->mape = interval_of(drawn[p], options.method, options.confidence);
  }
}

}  // namespace detail

/// Intervals of each predictor's MAPE on each fold by the bootstrap of its test rows, of its mean over folds by the
/// bootstrap of folds, and comparisons of all with the predictor whose worst fold is best. What is drawn are groups of
/// rows that share a matrix-product measurement where the data names measurements, else blocks of consecutive steps of
/// an experiment where steps are numbered, else rows. Within a fold all predictors see the same resamples.
///
/// What the intervals do not say: a fold's interval is about other rows of the same held-out group, not about another
/// group; that is the mean's, and folds share training rows, so even that is a little too narrow.
/// @param view  of the tested data, whose rows the predictions are numbered by
/// @param threads  that share the folds; 0: all of the machine. Results do not depend on it
/// @param against  the predictor to compare the others with, said beforehand; empty: the one with the best worst fold. Then
///                 the p values are too small, for the winner was picked by the same errors
/// @throws evaluation_error when the report has no such predictor with kept predictions
RAFTER_COLD inline evaluation_uncertainty metric_uncertainty(const evaluation_report& report, const step_view& view,
                                                             const bootstrap_options& options = {},
                                                             std::size_t threads = 1, std::string_view against = {}) {
  using namespace detail;
  evaluation_uncertainty made;
  std::vector<const predictor_result*> results;
  const predictor_result* reference = nullptr;
  for (const predictor_result& one : report.results) {
    if (one.folds.empty()) continue;
    const bool kept = std::all_of(one.folds.begin(), one.folds.end(), [](const fold_result& f) {
      return f.predictions.predicted.size() == f.rows && f.rows > 0;
    });
    if (!kept) {
      made.left_out.push_back(one.predictor + ": its predictions were not kept");
      continue;
    }
    results.push_back(&one);
    predictor_uncertainty& of = made.predictors.emplace_back();
    of.predictor = one.predictor;
    of.folds.resize(one.folds.size());
    const double worst = one.worst_mape();
    if (against.empty() ? !std::isnan(worst) && (reference == nullptr || worst < reference->worst_mape())
                        : one.predictor == against) {
      reference = &one;
    }
  }
  if (!against.empty() && reference == nullptr) {
    throw evaluation_error("nothing to compare with: no predictions of '" + std::string(against) + "' were kept");
  }
  if (results.empty()) return made;
  made.folds = results.front()->folds.size();
  for (const predictor_result* one : results) made.folds = std::max(made.folds, one->folds.size());

  const group_column* const measured = view.labels(group::gemm_measurement);
  const group_column* const experiments = view.labels(group::experiment);
  thread_team team(threads == 0 ? 0 : std::min(threads, made.folds));
  team.run(made.folds, [&](std::size_t f) {
    // Predictors with the same test rows share their resamples; others (a predictor that refuses some folds) do not.
    std::vector<bool> done(results.size(), false);
    for (std::size_t first = 0; first < results.size(); ++first) {
      if (done[first] || f >= results[first]->folds.size()) continue;
      const fold_predictions& model = results[first]->folds[f].predictions;
      const std::vector<std::size_t> rows = model.rows.to_vector();
      // In the order of time within each experiment, where there is one.
      std::vector<std::size_t> order;
      for (std::size_t i = 0; i < rows.size(); ++i) {
        if (model.actual[i] != 0.0) order.push_back(i);
      }
      const bool composed = measured != nullptr && measured->count() > 1;
      const bool ordered = !composed && !view.step_ids.empty();
      const auto run_of = [&](std::size_t i) { return experiments != nullptr ? experiments->code(rows[i]) : 0U; };
      if (ordered) {
        std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
          return std::pair(run_of(a), view.step_ids[rows[a]]) < std::pair(run_of(b), view.step_ids[rows[b]]);
        });
      }
      std::vector<std::vector<double>> errors;
      std::vector<fold_uncertainty*> into;
      for (std::size_t p = first; p < results.size(); ++p) {
        if (done[p] || f >= results[p]->folds.size()) continue;
        const fold_result& one = results[p]->folds[f];
        if (!(one.predictions.rows == model.rows) || one.held_out != results[first]->folds[f].held_out) continue;
        done[p] = true;
        const std::vector<double> all = absolute_percentage_errors(one.predictions);
        std::vector<double>& sorted = errors.emplace_back();
        for (const std::size_t i : order) sorted.push_back(all[i]);
        fold_uncertainty& of = made.predictors[p].folds[f];
        of.held_out = one.held_out;
        of.unit = composed ? resampled_unit::measurements : ordered ? resampled_unit::blocks : resampled_unit::rows;
        into.push_back(&of);
      }
      if (order.empty()) continue;
      if (composed) {
        std::vector<std::size_t> labels;
        for (const std::size_t i : order) {  // what rests on no measurement stands alone
          const std::size_t code = measured->code(rows[i]);
          labels.push_back(measured->names()[code] == no_measurement ? measured->count() + i : code);
        }
        draw_fold(grouped_rows(labels), errors, into, options);
      } else if (ordered) {
        std::vector<std::uint32_t> runs;
        for (const std::size_t i : order) runs.push_back(run_of(i));
        const std::vector<std::size_t> lengths = series_lengths(std::span<const std::uint32_t>(runs));
        double length = 1.0;  // the longest that any predictor's errors ask for, so that all share the resamples
        for (const std::vector<double>& each : errors) {
          const double found = automatic_block_length(each, lengths).stationary;
          if (std::isfinite(found)) length = std::max(length, found);
        }
        for (fold_uncertainty* each : into) each->block_length = length;
        draw_fold(blocked_rows(lengths, length), errors, into, options);
      } else {
        draw_fold(independent_rows(order.size()), errors, into, options);
      }
    }
  });

  const auto mapes = [](const predictor_result& of) {
    std::vector<double> values;
    for (const fold_result& one : of.folds) values.push_back(one.errors.mape);
    return values;
  };
  for (std::size_t p = 0; p < results.size(); ++p) {
    const std::vector<double> values = mapes(*results[p]);
    made.predictors[p].mean_mape = t_test(values, alternative::two_sided, options.confidence);
  }
  if (reference == nullptr) return made;
  made.reference = reference->predictor;
  made.reference_chosen = against.empty();
  const std::vector<double> others = mapes(*reference);
  made.least_p = std::min(1.0, 2.0 * std::pow(0.5, static_cast<double>(others.size())));
  for (const predictor_result* one : results) {
    if (one == reference) continue;
    const std::vector<double> values = mapes(*one);
    const bool same_folds =
        values.size() == others.size() &&
        std::equal(one->folds.begin(), one->folds.end(), reference->folds.begin(),
                   [](const fold_result& a, const fold_result& b) { return a.held_out == b.held_out; });
    if (!same_folds) {
      made.left_out.push_back(one->predictor + ": it was tested on other folds than " + made.reference);
      continue;
    }
    if (std::any_of(values.begin(), values.end(), [](double v) { return !std::isfinite(v); })) {
      made.left_out.push_back(one->predictor + ": its error is undefined on some fold");
      continue;
    }
    predictor_comparison& made_of = made.comparisons.emplace_back();
    made_of.predictor = one->predictor;
    for (std::size_t f = 0; f < values.size(); ++f) {
      made_of.folds_won += values[f] < others[f];
      made_of.folds_lost += values[f] > others[f];
    }
    made_of.wilcoxon = wilcoxon_signed_rank(values, others);
    made_of.difference = paired_bootstrap(independent_rows(values.size()), values, others, options);
  }
  std::vector<double> p;
  for (const predictor_comparison& one : made.comparisons) p.push_back(one.wilcoxon.p);
  const std::vector<double> adjusted = holm(p);
  for (std::size_t i = 0; i < made.comparisons.size(); ++i) made.comparisons[i].adjusted_p = adjusted[i];
  std::stable_sort(made.comparisons.begin(), made.comparisons.end(), [](const auto& a, const auto& b) {
    return a.difference.difference.estimate < b.difference.difference.estimate;
  });
  return made;
}

/// How sure the figures are, as a section of a report.
RAFTER_COLD inline report_section uncertainty_section(const evaluation_uncertainty& of) {
  report_section section{.id = "uncertainty", .title = "How sure the figures are", .summary = {}, .blocks = {}};
  if (of.predictors.empty()) {
    section.summary = "Nothing can be said: no predictor's predictions were kept.";
    for (const std::string& line : of.left_out) section.blocks.push_back(paragraph{line + "."});
    return section;
  }
  const auto percent = [](double fraction) {
    return std::isfinite(fraction) ? table_cell(fmt::format("{:.2f}", 100.0 * fraction), 100.0 * fraction)
                                   : table_cell("n/a");
  };
  const auto probability = [](double p) {
    return std::isnan(p) ? table_cell("n/a")
           : p < 0.0005  ? table_cell("< 0.001", p)
                         : table_cell(fmt::format("{:.3f}", p), p);
  };
  const fold_uncertainty& any = of.predictors.front().folds.front();
  const bootstrap_interval& sample = any.mape;
  section.blocks.push_back(paragraph{fmt::format(
      "Limits of {:.0f} %. Of a fold, by the {} bootstrap with {} resamples: other {} of the same held-out "
      "group{}{}; "
      "the worst fold was picked as the worst, so it is likely to be better another time. Of the mean, by Student's "
      "t "
      "over the folds: other groups such as these; folds share training rows, so that these limits are a little too "
      "narrow (a lower limit below 0 is shown as 0).",
      100.0 * sample.confidence, sample.method == bootstrap_method::bca ? "BCa" : "percentile", sample.resamples,
      name_of(any.unit),
      any.unit == resampled_unit::blocks ? fmt::format(" (here {:.0f} steps long in the mean)", any.block_length)
                                         : std::string(),
      any.unit == resampled_unit::measurements
          ? " (rows of different groups share attention measurements, which makes these limits too narrow)"
          : "")});

  text_table overview({"<predictor", "mean MAPE %", "low", "high", "worst fold %", "low", "high"});
  std::vector<const predictor_uncertainty*> order;
  for (const predictor_uncertainty& one : of.predictors) order.push_back(&one);
  const auto worst_of = [](const predictor_uncertainty& one) {
    const fold_uncertainty* worst = &one.folds.front();
    for (const fold_uncertainty& each : one.folds) {
      if (std::isnan(each.mape.estimate) || each.mape.estimate > worst->mape.estimate) worst = &each;
      if (std::isnan(worst->mape.estimate)) break;
    }
    return worst;
  };
  std::stable_sort(order.begin(), order.end(), [&](const auto* a, const auto* b) {
    const auto key = [&](const predictor_uncertainty& one) {
      const double value = worst_of(one)->mape.estimate;
      return std::isnan(value) ? std::numeric_limits<double>::infinity() : value;
    };
    return key(*a) < key(*b);
  });
  for (const predictor_uncertainty* one : order) {
    const bootstrap_interval& worst = worst_of(*one)->mape;
    overview.add({one->predictor, percent(one->mean_mape.mean), percent(std::max(one->mean_mape.lower, 0.0)),
                  percent(one->mean_mape.upper), percent(worst.estimate), percent(worst.lower),
                  percent(worst.upper)});
  }
  section.blocks.push_back(captioned_table{"the best worst fold first", std::move(overview)});

  if (!of.comparisons.empty()) {
    std::size_t worse = 0;
    text_table table({"<against " + of.reference, "mean difference %", "low", "high", "folds won", "lost",
                      "p (Wilcoxon)", "p (Holm)"});
    for (const predictor_comparison& one : of.comparisons) {
      const bootstrap_interval& d = one.difference.difference;
      worse += one.adjusted_p < 0.05 && d.estimate > 0.0;
      table.add({one.predictor, percent(d.estimate), percent(d.lower), percent(d.upper),
                 table_cell(std::to_string(one.folds_won), static_cast<double>(one.folds_won)),
                 table_cell(std::to_string(one.folds_lost), static_cast<double>(one.folds_lost)),
                 probability(one.wilcoxon.p), probability(one.adjusted_p)});
    }
    section.summary = fmt::format(
        "{} of {} predictors are worse than {} by more than chance between folds explains (Wilcoxon over {} folds, "
        "Holm's correction, 5 %{}).",
        worse, of.comparisons.size(), of.reference, of.folds,
        of.reference_chosen ? "; the reference was picked by the same errors" : "");
    section.blocks.push_back(captioned_table{
        of.reference_chosen
            ? "paired over folds; the reference was picked by these errors, as that with the best worst fold, so "
              "the p values are too small: name one beforehand"
            : "paired over folds",
        std::move(table)});
    if (of.folds < 10) {
      section.blocks.push_back(
          paragraph{"With fewer than ten folds the limits of the differences, a bootstrap of folds, are narrower "
                    "than they say."});
    }
    if (of.least_p > 0.05) {
      section.summary = fmt::format(
          "With {} folds no paired test over folds can reach 5 % (the least p is {:.2g}): differences between "
          "predictors are not settled here.",
          of.folds, of.least_p);
    }
  }
  text_table folds({"<predictor", "<held out", "MAPE %", "low", "high", "standard error", "units drawn"});
  for (const predictor_uncertainty* one : order) {
    for (const fold_uncertainty& each : one->folds) {
      folds.add({one->predictor, each.held_out, percent(each.mape.estimate), percent(each.mape.lower),
                 percent(each.mape.upper), percent(each.mape.standard_error),
                 table_cell(std::to_string(each.mape.units), static_cast<double>(each.mape.units))});
    }
  }
  section.blocks.push_back(captioned_table{"every fold", std::move(folds), true});
  if (!of.left_out.empty()) section.blocks.push_back(bullet_list{of.left_out});
  return section;
}

}  // namespace rafter
