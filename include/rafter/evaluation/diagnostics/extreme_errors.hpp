// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: by name, or all diagnoses with rafter/evaluation/diagnose.hpp.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "rafter/config.hpp"
#include "rafter/core/math.hpp"
#include "rafter/evaluation/diagnostics/tested_errors.hpp"
#include "rafter/evaluation/section.hpp"
#include "rafter/evaluation/text.hpp"
#include "rafter/statistics/multiple_comparisons.hpp"

namespace rafter {

/// A class of rows and how often its rows are among the extreme errors.
struct extreme_trait {
  std::string axis, label;
  std::size_t rows = 0, extreme = 0;
  double lift = 0.0;      ///< share among the extremes / share among all tested rows
  double p = 1.0;         ///< of as many extremes or more in a class of this size, were they drawn at random
  double adjusted = 1.0;  ///< the same for all classes that were looked at together (Holm 1979)
};

struct extreme_row {
  std::size_t row = 0, line = 0;  ///< line of the source; 0: not known
  std::string fold;
  double actual = 0.0, predicted = 0.0;  ///< [s]
  double relative = 0.0;
};

/// Predictions that are off by more than the threshold, and what those steps have in common.
struct extreme_error_report {
  std::string predictor;
  double threshold = 0.5;
  std::size_t rows = 0, over = 0, under = 0;  ///< tested; predicted too long, too short by more than the threshold
  std::vector<extreme_trait> traits;          ///< classes with more extremes than their share, largest lift first
  std::vector<extreme_row> worst;             ///< largest |error| first

  std::size_t extreme() const { return over + under; }
  double share() const { return rows == 0 ? 0.0 : static_cast<double>(extreme()) / static_cast<double>(rows); }
};

namespace detail {

/// Logarithms of factorials, of 0 to n.
RAFTER_COLD inline std::vector<double> log_factorials(std::size_t n) {
  std::vector<double> made(n + 1, 0.0);
  double sum = 0.0, lost = 0.0;  // compensated: n terms of log n
  for (std::size_t i = 1; i <= n; ++i) {
    const double term = rafter::log(static_cast<double>(i)) - lost, next = sum + term;
    lost = (next - sum) - term;
    made[i] = sum = next;
  }
  return made;
}

/// P(X >= k) of the hypergeometric distribution: `drawn` of `all`, of which `marked` are marked, k of them drawn.
RAFTER_COLD inline double hypergeometric_at_least(std::size_t k, std::size_t all, std::size_t marked,
                                                  std::size_t drawn, const std::vector<double>& log_factorial) {
  const std::size_t least = marked + drawn > all ? marked + drawn - all : 0, most = std::min(marked, drawn);
  if (k <= least) return 1.0;
  if (k > most) return 0.0;
  const auto choose = [&](std::size_t n, std::size_t r) {
    return log_factorial[n] - log_factorial[r] - log_factorial[n - r];
  };
  const auto probability = [&](std::size_t x) {
    return rafter::exp(choose(marked, x) + choose(all - marked, drawn - x) - choose(all, drawn));
  };
  const auto real = [](std::size_t n) { return static_cast<double>(n); };
  // From the side on which the terms fall: P(x+1)/P(x) = (marked-x)(drawn-x) / ((x+1)(all-marked-drawn+x+1)).
  const auto ratio = [&](std::size_t x) {
    return real(marked - x) * real(drawn - x) / (real(x + 1) * real(all + x + 1 - marked - drawn));
  };
  if (real(k) * real(all) > real(marked) * real(drawn)) {
    double sum = 0.0, term = probability(k);
    for (std::size_t x = k;; ++x) {
      sum += term;
      if (x == most || term < 1e-18 * sum) return std::min(sum, 1.0);
      term *= ratio(x);
    }
  }
  double below = 0.0, term = probability(k - 1);
  for (std::size_t x = k - 1;; --x) {
    below += term;
    if (x == least || term < 1e-18 * below) return std::max(1.0 - below, 0.0);
    term /= ratio(x - 1);
  }
}

}  // namespace detail

struct extreme_error_options {
  double threshold = 0.5;               ///< of |predicted - actual| / actual
  double significance = 0.01;           ///< of the adjusted p
  double least_lift = 1.5;              ///< below, a trait is not worth telling
  std::size_t worst = 10;               ///< rows that are named
  std::vector<std::size_t> lines = {};  ///< of the source, one a row of the dataset; empty: not known
};

/// Rows of one experiment are no independent draws, so the p are too small where errors come in runs: they rank, and
/// keep chance finds out of the list; they are no proof.
/// @param log_factorial  of 0 to the number of tested rows at least
RAFTER_COLD inline extreme_error_report extreme_errors(const predictor_result& result, const tested_errors& errors,
                                                       const class_axes& classes,
                                                       const std::vector<double>& log_factorial,
                                                       const extreme_error_options& options = {}) {
  extreme_error_report made;
  made.predictor = result.predictor;
  made.threshold = options.threshold;
  made.rows = errors.size();
  std::vector<std::size_t> extreme;  // indices of tested rows
  for (std::size_t i = 0; i < errors.size(); ++i) {
    if (!(std::fabs(errors.relative[i]) > options.threshold)) continue;
    extreme.push_back(i);
    ++(errors.relative[i] > 0.0 ? made.over : made.under);
  }
  if (extreme.empty()) return made;
  std::vector<extreme_trait> tested;
  for (const row_classes& axis : classes.axes) {
    std::vector<std::size_t> all(axis.labels.size(), 0), among(axis.labels.size(), 0);
    for (const std::size_t row : errors.rows) {
      if (axis.codes[row] != no_class) ++all[axis.codes[row]];
    }
    for (const std::size_t i : extreme) {
      const std::uint32_t code = axis.codes[errors.rows[i]];
      if (code != no_class) ++among[code];
    }
    for (std::size_t c = 0; c < axis.labels.size(); ++c) {
      if (all[c] == 0 || all[c] == errors.size()) continue;  // all rows: nothing in common that others lack
      extreme_trait& one = tested.emplace_back();
      one.axis = axis.axis;
      one.label = axis.labels[c];
      one.rows = all[c];
      one.extreme = among[c];
      one.lift = static_cast<double>(among[c]) / static_cast<double>(extreme.size()) /
                 (static_cast<double>(all[c]) / static_cast<double>(errors.size()));
      one.p = detail::hypergeometric_at_least(among[c], errors.size(), extreme.size(), all[c], log_factorial);
    }
  }
  std::vector<double> p;
  for (const extreme_trait& one : tested) p.push_back(one.p);
  const std::vector<double> adjusted = holm(p);
  for (std::size_t i = 0; i < tested.size(); ++i) tested[i].adjusted = adjusted[i];
  for (extreme_trait& one : tested) {
    if (one.lift >= options.least_lift && one.adjusted <= options.significance) made.traits.push_back(std::move(one));
  }
  std::stable_sort(made.traits.begin(), made.traits.end(),
                   [](const extreme_trait& a, const extreme_trait& b) { return a.lift > b.lift; });
  const std::size_t named = std::min(options.worst, extreme.size());
  std::partial_sort(extreme.begin(), extreme.begin() + static_cast<std::ptrdiff_t>(named), extreme.end(),
                    [&](std::size_t a, std::size_t b) {
                      const double left = std::fabs(errors.relative[a]), right = std::fabs(errors.relative[b]);
                      return left != right ? left > right : a < b;
                    });
  for (std::size_t i = 0; i < named; ++i) {
    const std::size_t at = extreme[i], row = errors.rows[at];
    made.worst.push_back({row, row < options.lines.size() ? options.lines[row] : 0,
                          result.folds[errors.folds[at]].held_out, errors.actual[at], errors.predicted[at],
                          errors.relative[at]});
  }
  return made;
}

/// Every predictor's, in the order of the report; those without predictions are left out.
RAFTER_COLD inline std::vector<extreme_error_report> extreme_errors(const evaluation_report& report,
                                                                    const class_axes& classes,
                                                                    const extreme_error_options& options = {}) {
  std::vector<extreme_error_report> made;
  std::vector<double> log_factorial;
  for (const predictor_result& one : report.results) {
    if (!detail::has_predictions(one)) continue;
    const tested_errors errors = tested_errors_of(one);
    if (errors.size() >= log_factorial.size()) log_factorial = detail::log_factorials(errors.size());
    made.push_back(extreme_errors(one, errors, classes, log_factorial, options));
  }
  return made;
}

RAFTER_COLD inline report_section extreme_error_section(const evaluation_report& report, const class_axes& classes,
                                                        const extreme_error_options& options = {},
                                                        const shown_predictors& shown = {}) {
  using namespace detail;
  report_section made{"extreme-errors", "Extreme errors", "", {}};
  const std::vector<extreme_error_report> found = extreme_errors(report, classes, options);
  const auto of = [&](const predictor_result& result) {
    return std::find_if(found.begin(), found.end(),
                        [&](const extreme_error_report& one) { return one.predictor == result.predictor; });
  };
  if (found.empty()) {
    made.blocks.push_back(paragraph{no_predictions_kept});
    return made;
  }
  const std::string threshold = percent(options.threshold, 0);
  made.blocks.push_back(paragraph{fmt::format(
      "Tested steps whose prediction is off by more than {} %, and the kinds of steps that have more than their "
      "share "
      "of them: lift is the share among the extremes over the share among all. Told are lifts from {:g} that chance "
      "does not explain (hypergeometric, adjusted by Holm's method to p <= {:g}; neighbouring steps are alike, so p "
      "ranks and proves nothing).",
      threshold, options.least_lift, options.significance)});
  text_table table(
      {"<predictor", "steps", "extreme", "share %", "too long", "too short", "<most over-represented", "lift"});
  for (const predictor_result* result : results_with_predictions(report)) {
    const extreme_error_report& one = *of(*result);
    const extreme_trait* first = one.traits.empty() ? nullptr : &one.traits.front();
    const auto count = [](std::size_t n) { return table_cell(grouped(n), static_cast<double>(n)); };
    table.add({one.predictor,
               count(one.rows),
               count(one.extreme()),
               {percent(one.share()), 100.0 * one.share()},
               count(one.over),
               count(one.under),
               first == nullptr ? "-" : first->axis + " " + first->label,
               first == nullptr ? table_cell("-") : table_cell(number(first->lift, 1), first->lift)});
  }
  made.blocks.push_back(captioned_table{"", std::move(table)});
  bool first_shown = true;
  for (const predictor_result* result : selected(report, shown)) {
    const extreme_error_report& one = *of(*result);
    if (first_shown) {
      first_shown = false;
      made.summary = fmt::format("{} is off by more than {} % on {} % of the tested steps.", one.predictor, threshold,
                                 percent(one.share()));
    }
    if (!one.traits.empty()) {
      text_table traits({"<kind", "<label", "steps", "extreme", "lift", "p adjusted"});
      for (std::size_t i = 0; i < std::min<std::size_t>(one.traits.size(), 10); ++i) {
        const extreme_trait& trait = one.traits[i];
        traits.add({trait.axis,
                    trait.label,
                    {grouped(trait.rows), static_cast<double>(trait.rows)},
                    {grouped(trait.extreme), static_cast<double>(trait.extreme)},
                    {number(trait.lift, 2), trait.lift},
                    {trait.adjusted < 1e-12 ? "< 1e-12" : fmt::format("{:.2g}", trait.adjusted), trait.adjusted}});
      }
      made.blocks.push_back(captioned_table{
          fmt::format("{}: what extreme errors have in common{}", one.predictor,
                      one.traits.size() > 10 ? fmt::format(" (10 of {})", one.traits.size()) : std::string()),
          std::move(traits), true});
    }
    if (one.worst.empty()) continue;
    text_table rows({"<step", "<fold", "measured us", "predicted us", "error %"});
    for (const extreme_row& each : one.worst) {
      rows.add({each.line > 0 ? fmt::format("line {}", each.line) : fmt::format("row {}", each.row),
                each.fold,
                {microseconds(each.actual), 1e6 * each.actual},
                {microseconds(each.predicted), 1e6 * each.predicted},
                {signed_percent(each.relative), 100.0 * each.relative}});
    }
    made.blocks.push_back(captioned_table{one.predictor + ": worst steps", std::move(rows), true});
  }
  return made;
}

}  // namespace rafter
