// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: what changed between two JSON reports.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rafter/config.hpp"
#include "rafter/core/error.hpp"
#include "rafter/core/nearest_name.hpp"
#include "rafter/evaluation/json.hpp"
#include "rafter/evaluation/rendering/columns.hpp"
#include "rafter/io/error.hpp"
#include "rafter/io/json.hpp"

namespace rafter {

/// How a number of a fold is compared.
struct compared_metric {
  enum class better : std::uint8_t { lower, nearer_zero, higher };
  std::string_view name;  ///< as in JSON reports
  better direction;
  double unit;  ///< what a margin of one percentage point is: 1 for percentages, 0.01 for correlations and log ratios
};
/// All that can be compared, in the order in which it is shown.
inline constexpr std::array<compared_metric, 11> compared_metrics{{
    {"mape", compared_metric::better::lower, 1.0},
    {"mspe_signed", compared_metric::better::nearer_zero, 1.0},
    {"median_ape", compared_metric::better::lower, 1.0},
    {"p90_ape", compared_metric::better::lower, 1.0},
    {"p99_ape", compared_metric::better::lower, 1.0},
    {"share_above_50", compared_metric::better::lower, 1.0},
    {"pearson_r", compared_metric::better::higher, 0.01},
    {"spearman", compared_metric::better::higher, 0.01},
    {"r2", compared_metric::better::higher, 0.01},
    {"log_ratio_rmse", compared_metric::better::lower, 0.01},
    {"not_finite", compared_metric::better::lower, 0.0},  // any more is worse
}};

struct compare_options {
  double margin = 0.5;    ///< percentage points by which a metric may get worse
  double relative = 0.0;  ///< or this share of the old value, whichever is more
  std::vector<std::string> metrics{"mape", "mspe_signed", "median_ape", "p90_ape", "share_above_50", "not_finite"};
  bool allow_missing = false;         ///< predictors and folds that are gone are no regression
  bool allow_different_data = false;  ///< compare even where data, target, split or test data are others
};

/// What one predictor's fold reports: NaN where it is null.
struct fold_figures {
  std::string predictor, held_out;
  std::array<double, compared_metrics.size()> values{};
  std::array<bool, compared_metrics.size()> given{};  ///< a report may lack metrics that another has
};

/// What a JSON report says, as far as it is compared.
struct report_figures {
  struct data_identity {
    std::string path, content_sha256;  ///< the digest is empty where it is not known
    std::size_t rows = 0;
  };
  data_identity data;
  std::optional<data_identity> test;  ///< other data that was tested on
  std::string schema, target, split;
  std::vector<fold_figures> folds;
  std::vector<std::pair<std::string, std::string>> not_evaluated;  ///< predictor, reason
};

/// Reads what is compared. @throws io_error naming the place and the field when it is no JSON, no report of
/// report_schema_version, lacks a field, or has a fold of a predictor twice
RAFTER_COLD inline report_figures figures_of(std::string_view text, const std::string& path) {
  const json_value report = parse_json(text, path);
  const json_value version = report.at("schema_version");
  if (version.json() != report_schema_version) {
    throw version.error("is not the version that is understood here, " + std::to_string(report_schema_version));
  }
  report_figures made;
  const json_value data = report.at("data");
  const auto identity_of = [](const json_value& of) {
    return report_figures::data_identity{of.at("path").text(), of.at("content_sha256").text(),
                                         static_cast<std::size_t>(of.at("rows").integer(0))};
  };
  made.data = identity_of(data);
  made.schema = data.at("schema").text();
  if (const auto test = data.find("test")) made.test = identity_of(*test);
  made.target = report.at("target").text();
  made.split = report.at("split").text();
  for (const json_value& result : report.at("results").elements()) {
    const std::string predictor = result.at("predictor").text();
    for (const json_value& fold : result.at("folds").elements()) {
      fold_figures figures;
      figures.predictor = predictor;
      figures.held_out = fold.at("held_out").text();
      if (!fold.json().contains("mape")) static_cast<void>(fold.at("mape"));  // says that it is missing
      for (std::size_t m = 0; m < compared_metrics.size(); ++m) {
        const auto value = fold.find(compared_metrics[m].name);
        figures.given[m] = fold.json().contains(std::string(compared_metrics[m].name));
        figures.values[m] = value ? value->number() : std::numeric_limits<double>::quiet_NaN();
      }
      for (const fold_figures& other : made.folds) {
        if (other.predictor == figures.predictor && other.held_out == figures.held_out) {
          throw fold.at("held_out").error("is there twice for predictor '" + printable(predictor) + "'");
        }
      }
      made.folds.push_back(std::move(figures));
    }
  }
  for (const json_value& one : report.at("not_evaluated").elements()) {
    made.not_evaluated.emplace_back(one.at("predictor").text(), one.at("reason").text());
  }
  return made;
}

struct metric_change {
  std::string predictor, held_out;
  std::string_view metric;
  double before = 0.0, after = 0.0;
  bool worse = false;   ///< by more than the margin
  bool better = false;  ///< likewise
};

struct report_comparison {
  std::vector<std::string> differences;  ///< of the data, target, split or test data: a sentence each
  std::vector<metric_change> changes;    ///< by more than the margin, in either direction
  std::vector<std::string> missing;      ///< predictors and folds that were there before
  std::vector<std::string> added;        ///< and those that were not
  std::size_t compared = 0;              ///< metrics of folds that both have
  std::size_t unchanged = 0;             ///< of these, to five digits the same
  bool allow_missing = false;

  std::size_t worse() const {
    return static_cast<std::size_t>(
               std::count_if(changes.begin(), changes.end(), [](const metric_change& one) { return one.worse; })) +
           (allow_missing ? 0 : missing.size());
  }
};

/// Compares metric by metric, fold by fold. A number that became undefined is worse, one that became defined better. Data
/// are the same when their digests are; where a report does not have its digest, when path and number of rows are.
/// @throws error for an unknown metric, one that a fold of `before` lacks, or a margin that is negative or no number
RAFTER_COLD inline report_comparison compare_reports(const report_figures& before, const report_figures& after,
                                                     const compare_options& options = {}) {
  if (!(options.margin >= 0.0) || !(options.relative >= 0.0)) {
    throw error("rafter: compare: a margin is a number, 0 or more");
  }
  std::array<bool, compared_metrics.size()> wanted{};
  for (const std::string& name : options.metrics) {
    const auto found = std::find_if(compared_metrics.begin(), compared_metrics.end(),
                                    [&](const compared_metric& one) { return one.name == name; });
    if (found == compared_metrics.end()) {
      std::vector<std::string_view> names;
      for (const compared_metric& one : compared_metrics) names.push_back(one.name);
      throw error("rafter: compare: there is no metric '" + printable(name) + "'" + did_you_mean(name, names));
    }
    wanted[static_cast<std::size_t>(found - compared_metrics.begin())] = true;
  }
  report_comparison made;
  made.allow_missing = options.allow_missing;
  const auto differ = [&](std::string_view what, const std::string& old, const std::string& now) {
    if (old != now)
      made.differences.push_back(fmt::format("{}: {} before, {} now", what,
                                             old.empty() ? "none" : printable(old, 100),
                                             now.empty() ? "none" : printable(now, 100)));
  };
  differ("schema", before.schema, after.schema);
  differ("target", before.target, after.target);
  differ("split", before.split, after.split);
  const auto differ_in_data = [&](const std::string& which, const report_figures::data_identity& old,
                                  const report_figures::data_identity& now) {
    differ("rows of the " + which, std::to_string(old.rows), std::to_string(now.rows));
    if (!old.content_sha256.empty() && !now.content_sha256.empty()) {
      differ("content of the " + which + " (sha256)", old.content_sha256, now.content_sha256);
    } else {
      differ("path of the " + which + ", whose content (sha256) is not known", old.path, now.path);
    }
  };
  differ_in_data("data", before.data, after.data);
  if (before.test && after.test) {
    differ_in_data("test data", *before.test, *after.test);
  } else {
    const auto path_of = [](const report_figures& of) { return of.test ? "'" + of.test->path + "'" : std::string(); };
    differ("test data", path_of(before), path_of(after));
  }

  const auto find = [](const report_figures& in, const fold_figures& one) -> const fold_figures* {
    for (const fold_figures& other : in.folds) {
      if (other.predictor == one.predictor && other.held_out == one.held_out) return &other;
    }
    return nullptr;
  };
  const auto has_predictor = [](const report_figures& in, const std::string& name) {
    return std::any_of(in.folds.begin(), in.folds.end(),
                       [&](const fold_figures& one) { return one.predictor == name; });
  };
  const auto absent = [&](const report_figures& from, const report_figures& in, std::vector<std::string>& list) {
    std::string last;
    for (const fold_figures& one : from.folds) {
      if (find(in, one) != nullptr) continue;
      if (has_predictor(in, one.predictor)) {
        list.push_back(printable(one.predictor) + ", fold " + printable(one.held_out, 200));
        continue;
      }
      if (one.predictor == last) continue;
      last = one.predictor;
      std::string line = printable(one.predictor);
      for (const auto& [name, reason] : in.not_evaluated) {
        if (name == one.predictor) line += ": " + printable(reason, 400);
      }
      list.push_back(std::move(line));
    }
  };
  absent(before, after, made.missing);
  absent(after, before, made.added);

  for (const fold_figures& old : before.folds) {
    const fold_figures* const now = find(after, old);
    if (now == nullptr) continue;
    for (std::size_t m = 0; m < compared_metrics.size(); ++m) {
      if (!wanted[m]) continue;
      const compared_metric& metric = compared_metrics[m];
      if (!old.given[m]) {
        throw error("rafter: compare: the old report does not have '" + std::string(metric.name) + "' of '" +
                    printable(old.predictor) + "', fold '" + printable(old.held_out, 200) +
                    "': nothing can be said about it");
      }
      if (!now->given[m]) {
        made.missing.push_back(printable(old.predictor) + ", fold " + printable(old.held_out, 200) + ": " +
                               std::string(metric.name));
        continue;
      }
      ++made.compared;
      metric_change change{old.predictor, old.held_out, metric.name, old.values[m], now->values[m]};
      if (std::isnan(change.before) || std::isnan(change.after)) {
        change.worse = !std::isnan(change.before);
        change.better = !std::isnan(change.after);
        if (change.worse == change.better) {  // both undefined: the first is then false too
          ++made.unchanged;
          continue;
        }
      } else {
        const bool to_zero = metric.direction == compared_metric::better::nearer_zero;
        double lost = to_zero ? std::abs(change.after) - std::abs(change.before) : change.after - change.before;
        if (metric.direction == compared_metric::better::higher) lost = -lost;
        const double allowed =
            std::max(options.margin * metric.unit, options.relative * std::abs(change.before)) + 1e-9;
        change.worse = lost > allowed;
        change.better = -lost > allowed;
        made.unchanged += std::abs(change.after - change.before) <= 1e-5 * std::max(1.0, std::abs(change.before));
      }
      if (change.worse || change.better) made.changes.push_back(std::move(change));
    }
  }
  return made;
}

/// The comparison for a reader: what got worse first.
RAFTER_COLD inline std::string text_of(const report_comparison& found, const compare_options& options = {},
                                       std::size_t columns = 100) {
  std::string out;
  const auto list = [&](std::string_view title, const std::vector<std::string>& lines) {
    if (lines.empty()) return;
    out += wrapped(title, columns);
    for (const std::string& line : lines) out += wrapped(line, columns, "  ", "    ");
  };
  list("other data or another question:", found.differences);
  const auto table_of = [&](std::string_view title, bool worse) {
    text_table table({"<predictor", "<fold", "<metric", "before", "now", "change"});
    for (const metric_change& one : found.changes) {
      if (one.worse != worse) continue;
      const auto number = [](double value) { return std::isnan(value) ? "undefined" : fmt::format("{:.4g}", value); };
      table.add({printable(one.predictor), printable(one.held_out, 200), std::string(one.metric), number(one.before),
                 number(one.after),
                 std::isnan(one.before - one.after) ? "" : fmt::format("{:+.4g}", one.after - one.before)});
    }
    if (!table.empty()) out += std::string(title) + "\n" + plain_table(table, {columns}).text;
  };
  table_of("WORSE", true);
  list(found.allow_missing ? "no longer there (allowed):" : "WORSE: no longer there", found.missing);
  table_of("better", false);
  list("new:", found.added);
  out += wrapped(fmt::format("{} metrics of folds compared, {} unchanged; margin {:g} percentage points{}: {}",
                             found.compared, found.unchanged, options.margin,
                             options.relative > 0.0 ? fmt::format(" or {:g} of the old value", options.relative) : "",
                             found.worse() > 0     ? fmt::format("{} got worse", found.worse())
                             : found.compared == 0 ? "nothing is known"
                                                   : "nothing got worse"),
                 columns);
  return out;
}

}  // namespace rafter
