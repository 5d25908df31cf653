// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: shows what rafter/evaluation/uncertainty/conformal.hpp finds.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "rafter/config.hpp"
#include "rafter/evaluation/section.hpp"
#include "rafter/evaluation/table.hpp"
#include "rafter/evaluation/uncertainty/interval_coverage.hpp"

namespace rafter {

namespace detail {

inline table_cell interval_percent(double fraction) {
  if (std::isnan(fraction)) return {"-"};
  if (std::isinf(fraction)) return {"infinite", fraction};
  const double shown = 100.0 * fraction;
  return {fmt::format("{:.{}f} %", shown, shown < 1000.0 ? 1 : 0), shown};
}
inline table_cell interval_count(std::size_t count) { return {fmt::format("{}", count), static_cast<double>(count)}; }
inline std::string proportion_text(const share_interval& limits) {
  return fmt::format("{:.1f} … {:.1f} %", 100.0 * limits.lower, 100.0 * limits.upper);
}

inline void add_coverage(text_table& table, const coverage_summary& one) {
  table.add({one.label, interval_count(one.rows), interval_percent(one.coverage()), proportion_text(one.limits),
             interval_count(one.below), interval_count(one.above), interval_percent(one.median_width),
             interval_count(one.infinite)});
}
inline text_table coverage_table(const char* first) {
  return text_table(
      {first, "rows", "coverage", "if rows were independent", "below", "above", "median width", "infinite"});
}

/// What a level promises by the rule that was used, and what it does not.
RAFTER_COLD inline std::string promise_of(const interval_result& of) {
  const std::string level = interval_percent(of.level).text,
                    group = of.exchangeable == "group" ? "" : " (" + of.exchangeable + ")";
  const std::string one_group = fmt::format(
      " It is no promise for any one {0}: one unlike those before may have any coverage. The folds show what that "
      "was "
      "here.",
      of.exchangeable);
  switch (of.rule) {
    case conformal_rule::as_predicted:
      return fmt::format(
          "{} is the level that the quantiles were fitted to, and nothing calibrated them: nothing is "
          "promised. The folds show what they hold.",
          level);
    case conformal_rule::pooled:
      return fmt::format(
          "{} is promised for new rows of the calibrated groups, exchangeable with the calibrated "
          "rows; not for a group that was not among them{}. The folds show what that was here.",
          level,
          of.random_calibration ? fmt::format(", and as {} drew the calibrated rows by lot, from among "
                                              "the rows that the fit saw, they say nothing of other "
                                              "runs or of later times",
                                              of.calibration)
                                : std::string());
    case conformal_rule::pooled_cdfs:
      return fmt::format(
          "{0} is promised on average over new groups{1} that are like the calibrated ones, and only "
          "as those become many: with G of them it may be less by order 1 / G.{2}",
          level, group, one_group);
    case conformal_rule::groups_alike:
      return fmt::format(
          "At least {0} is promised on average over new groups{1} that are like the calibrated ones, "
          "for any number of them.{2}",
          level, group, one_group);
    case conformal_rule::worst_of_groups:
      return fmt::format(
          "At least {0} is promised on average over new groups{1} that are like the calibrated ones: "
          "as about {3} of the rows of {3} of the new groups.{2}",
          level, group, one_group, interval_percent(0.5 + 0.5 * of.level).text);
  }
  return {};
}

}  // namespace detail

/// Coverage and width of prediction intervals: each result on a line, then fold by fold, worst first.
/// @param results  of the same folds; the first is shown in full, the others beside it
RAFTER_COLD inline report_section intervals_section(const std::vector<interval_result>& results) {
  report_section made{"prediction-intervals", "Prediction intervals", "", {}};
  if (results.empty() || results.front().folds.empty()) {
    made.blocks.push_back(paragraph{"No prediction intervals: none were asked for."});
    return made;
  }
  const interval_result& first = results.front();
  made.summary = fmt::format(
      "{} intervals of {} hold {} of held-out rows ({} on average over folds, {} on the worst); half of them are "
      "wider "
      "than {} of the prediction.",
      detail::interval_percent(first.level).text, first.predictor,
      detail::interval_percent(first.all.coverage()).text, detail::interval_percent(first.mean_coverage).text,
      detail::interval_percent(first.worst_coverage).text, detail::interval_percent(first.all.median_width).text);

  text_table overview({"<predictor", "<method", "level", "rows covered", "mean of folds", "95 % limits of it",
                       "worst fold", "best fold", "median width", "score"});
  for (const interval_result& one : results) {
    overview.add({one.predictor, one.method, detail::interval_percent(one.level),
                  detail::interval_percent(one.all.coverage()), detail::interval_percent(one.mean_coverage),
                  detail::proportion_text(one.mean_limits), detail::interval_percent(one.worst_coverage),
                  detail::interval_percent(one.best_coverage), detail::interval_percent(one.all.median_width),
                  std::isinf(one.all.mean_score)
                      ? table_cell("infinite", one.all.mean_score)
                      : table_cell(fmt::format("{:.3f}", one.all.mean_score), one.all.mean_score)});
  }
  made.blocks.push_back(
      captioned_table{"Width: (upper - lower) / predicted. Score: interval score on logarithms, less is better.",
                      std::move(overview)});

  std::vector<const coverage_summary*> order;
  for (const coverage_summary& one : first.folds) order.push_back(&one);
  std::stable_sort(order.begin(), order.end(), [](const coverage_summary* a, const coverage_summary* b) {
    return a->coverage() < b->coverage();
  });
  text_table folds = detail::coverage_table("<held out");
  for (const coverage_summary* one : order) detail::add_coverage(folds, *one);
  made.blocks.push_back(captioned_table{fmt::format("{}, {}, calibrated by {}: each fold, least covered first",
                                                    first.predictor, first.method, first.calibration),
                                        std::move(folds)});
  for (const coverage_breakdown& one : first.breakdowns) {
    if (one.parts.size() < 2) continue;
    text_table parts = detail::coverage_table("<rows");
    for (const coverage_summary& part : one.parts) detail::add_coverage(parts, part);
    made.blocks.push_back(captioned_table{"By " + one.by, std::move(parts)});
  }

  plot picture{.id = "interval-coverage",
               .title = fmt::format("Coverage of {} intervals by fold", detail::interval_percent(first.level).text),
               .x = {"", false},
               .y = {"rows covered [%]", false},
               .series = {},
               .categories = {},
               .note = "Folds in the order of the table."};
  for (const coverage_summary* one : order) picture.categories.push_back(one->label);
  std::size_t left_out = 0;
  for (const interval_result& one : results) {
    plot_series bars{one.predictor + ", " + one.method, series_style::bars, {}, {}};
    for (const std::string& label : picture.categories) {
      const auto found = std::find_if(one.folds.begin(), one.folds.end(),
                                      [&](const coverage_summary& part) { return part.label == label; });
      if (found != one.folds.end()) bars.y.push_back(100.0 * found->coverage());
      bars.x.push_back(static_cast<double>(bars.x.size()));
    }
    if (bars.y.size() == picture.categories.size() && picture.series.size() < 4) {
      picture.series.push_back(std::move(bars));
    } else {
      ++left_out;
    }
  }
  if (left_out > 0) {
    picture.note +=
        fmt::format(" {} more {} in the first table.", left_out, left_out == 1 ? "result is" : "results are");
  }
  made.blocks.push_back(std::move(picture));

  bullet_list honesty;
  if (first.folds.size() > 1 && first.binomial_deviation > 0.0) {
    honesty.items.push_back(fmt::format(
        "Rows of one held-out group are not independent: they share the predictor's error there. Coverage differs "
        "between "
        "folds by {:.1f} points (standard deviation), {:.1f} times what independent rows would give, so the limits "
        "of a "
        "fold are too narrow by about as much; those of the mean of folds are made of the folds themselves.",
        100.0 * first.coverage_deviation, first.spread_ratio()));
  }
  // Once for each rule; which results it is about is said where there are several.
  std::vector<std::pair<std::string, std::vector<std::string>>> promises;
  for (const interval_result& one : results) {
    const std::string promise = detail::promise_of(one), by = one.predictor + ", " + one.method;
    const auto same =
        std::find_if(promises.begin(), promises.end(), [&](const auto& p) { return p.first == promise; });
    if (same == promises.end()) {
      promises.push_back({promise, {by}});
    } else {
      same->second.push_back(by);
    }
  }
  for (const auto& [promise, by] : promises) {
    std::string whose;
    for (const std::string& name : by) whose += (whose.empty() ? "" : "; ") + name;
    honesty.items.push_back(promises.size() == 1 ? promise : whose + ": " + promise);
  }
  for (const std::string& line : first.findings) honesty.items.push_back(line);
  made.blocks.push_back(std::move(honesty));
  return made;
}

}  // namespace rafter
