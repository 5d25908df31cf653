// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: by name, or all diagnoses with rafter/evaluation/diagnose.hpp.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "rafter/config.hpp"
#include "rafter/core/random.hpp"
#include "rafter/evaluation/evaluate.hpp"
#include "rafter/evaluation/section.hpp"
#include "rafter/evaluation/text.hpp"

namespace rafter {

struct learning_curve_options {
  std::vector<double> fractions = {0.05, 0.1, 0.2, 0.4, 0.7, 1.0};  ///< of the training rows, or groups, of each fold
  std::optional<group> by;  ///< whole groups of this axis; nothing: rows, drawn by chance
  std::uint64_t seed = 1;
  std::size_t threads = 1;
};

/// Errors on the same test rows after training on a part of the training rows.
struct learning_point {
  double fraction = 0.0;
  double rows = 0.0, groups = 0.0;  ///< trained on, mean over the folds; groups: 0 unless by groups
  double mean_mape = std::numeric_limits<double>::quiet_NaN(), worst_mape = mean_mape;
  std::size_t folds = 0;      ///< that could be fitted and have an error
  std::size_t undefined = 0;  ///< that could be fitted, but whose error is not a number
  std::vector<double> mapes;  ///< of each fold; NaN where the fit was refused or the error is not a number
  std::string refused;        ///< why the first such fit was
};

struct learning_curve_result {
  std::string predictor;
  std::string by;  ///< "rows" or an axis
  std::vector<learning_point> points;
};

namespace detail {

/// Training parts of one fold, one for each fraction: nested, so that a curve falls by what is added, not by other
/// luck.
RAFTER_COLD inline std::vector<row_set> nested_parts(const row_set& train, const group_column* labels,
                                                     const std::vector<double>& fractions, std::uint64_t seed,
                                                     std::vector<std::size_t>& groups) {
  seeded_numbers random(seed);
  const auto shuffle = [&](auto& all) {
    for (std::size_t i = all.size(); i > 1; --i) std::swap(all[i - 1], all[random.below(i)]);
  };
  const auto part_of = [](double fraction, std::size_t count) {
    const auto part = static_cast<std::size_t>(std::ceil(fraction * static_cast<double>(count) - 1e-9));
    return std::clamp<std::size_t>(part, std::min<std::size_t>(count, 1), count);
  };
  std::vector<std::size_t> rows = train.to_vector();
  std::vector<row_set> made;
  groups.assign(fractions.size(), 0);
  if (labels == nullptr) {
    shuffle(rows);
    for (const double fraction : fractions) {
      const auto count = static_cast<std::ptrdiff_t>(part_of(fraction, rows.size()));
      made.push_back(row_set::of({rows.begin(), rows.begin() + count}));
    }
    return made;
  }
  std::vector<std::uint32_t> present;
  std::vector<std::size_t> place(labels->count(), static_cast<std::size_t>(-1));
  for (const std::size_t row : rows) {
    if (place[labels->code(row)] != static_cast<std::size_t>(-1)) continue;
    place[labels->code(row)] = 0;
    present.push_back(labels->code(row));
  }
  std::sort(present.begin(), present.end());
  shuffle(present);
  for (std::size_t i = 0; i < present.size(); ++i) place[present[i]] = i;
  for (std::size_t k = 0; k < fractions.size(); ++k) {
    groups[k] = part_of(fractions[k], present.size());
    std::vector<std::size_t> part;
    for (const std::size_t row : rows) {
      if (place[labels->code(row)] < groups[k]) part.push_back(row);
    }
    made.push_back(row_set::of(std::move(part)));
  }
  return made;
}

}  // namespace detail

/// How much training data an estimator needs: its error on each fold's test rows when it is trained on growing,
/// nested parts of the fold's training rows. At the fraction 1 it is the ordinary evaluation. A part that cannot be
/// fitted is counted, not dropped unseen.
/// @throws evaluation_error when the data has no labels of the axis
template <class Estimator, dataset_schema Schema>
RAFTER_COLD learning_curve_result learning_curve(const dataset<Schema>& data, const std::vector<fold>& folds,
                                                 const learning_curve_options& options = {}) {
  learning_curve_result made;
  made.by = options.by ? std::string(name_of(*options.by)) : "rows";
  if (options.by && !data.has_group(*options.by)) {
    throw evaluation_error(data.source() + ": the data has no group '" + made.by + "' to learn by");
  }
  const group_column* labels = options.by ? &data.groups(*options.by) : nullptr;
  std::vector<std::vector<row_set>> parts;
  std::vector<std::vector<std::size_t>> groups(folds.size());
  for (std::size_t f = 0; f < folds.size(); ++f) {
    parts.push_back(detail::nested_parts(folds[f].train, labels, options.fractions, options.seed, groups[f]));
  }
  const evaluate_options quick{.progress = {},
                               .on_fold = {},
                               .split_worst_fold = false,
                               .keep_predictions = false,
                               .threads = options.threads};
  for (std::size_t k = 0; k < options.fractions.size(); ++k) {
    learning_point& point = made.points.emplace_back();
    point.fraction = options.fractions[k];
    std::vector<fold> smaller = folds;
    for (std::size_t f = 0; f < folds.size(); ++f) {
      smaller[f].train = parts[f][k];
      point.rows += static_cast<double>(parts[f][k].size()) / static_cast<double>(folds.size());
      point.groups += static_cast<double>(groups[f][k]) / static_cast<double>(folds.size());
    }
    const auto take = [&](const predictor_result& result) {
      made.predictor = result.predictor;
      for (const fold_result& one : result.folds) {
        point.mapes.push_back(one.errors.mape);
        point.undefined += std::isnan(one.errors.mape) ? 1U : 0U;
      }
    };
    try {
      take(evaluate_on_folds<Estimator>(data, smaller, quick).result);
    } catch (const evaluation_error&) {  // which folds?
      for (const fold& one : smaller) {
        try {
          take(evaluate_on_folds<Estimator>(data, std::vector<fold>{one}, quick).result);
        } catch (const evaluation_error& why) {
          point.mapes.push_back(std::numeric_limits<double>::quiet_NaN());
          if (point.refused.empty()) point.refused = why.what();
        }
      }
    }
    double sum = 0.0;
    for (const double mape : point.mapes) {
      if (std::isnan(mape)) continue;
      point.worst_mape = point.folds == 0 ? mape : std::max(point.worst_mape, mape);
      ++point.folds;
      sum += mape;
    }
    if (point.folds > 0) point.mean_mape = sum / static_cast<double>(point.folds);
  }
  return made;
}

RAFTER_COLD inline report_section learning_curve_section(const std::vector<learning_curve_result>& curves) {
  using namespace detail;
  report_section made{"learning-curve", "Learning curves", "", {}};
  if (curves.empty()) {
    made.blocks.push_back(paragraph{"Not made: no curve was asked for."});
    return made;
  }
  made.blocks.push_back(paragraph{
      "Error on the same test rows after training on a nested part of each fold's training rows. A curve that still "
      "falls at its end says that more data would help; one that is flat, that the form is the limit."});
  text_table table({"<predictor", "<by", "part %", "rows", "groups", "mean MAPE %", "worst MAPE %", "folds"});
  std::vector<std::string> refused;
  std::vector<std::string> axes;
  for (const learning_curve_result& curve : curves) {
    if (std::find(axes.begin(), axes.end(), curve.by) == axes.end()) axes.push_back(curve.by);
    for (const learning_point& one : curve.points) {
      const auto share = [](double fraction) {
        return std::isnan(fraction) ? table_cell("n/a") : table_cell(percent(fraction), 100.0 * fraction);
      };
      table.add({curve.predictor,
                 curve.by,
                 share(one.fraction),
                 {fmt::format("{:.0f}", one.rows), one.rows},
                 curve.by == "rows" ? table_cell("-") : table_cell(fmt::format("{:.1f}", one.groups), one.groups),
                 share(one.mean_mape),
                 share(one.worst_mape),
                 {fmt::format("{} of {}", one.folds, one.mapes.size()), static_cast<double>(one.folds)}});
      if (!one.refused.empty()) {
        refused.push_back(fmt::format("{}, {} % of the {}: {}", curve.predictor, percent(one.fraction, 0),
                                      curve.by == "rows" ? "rows" : curve.by + " groups", one.refused));
      }
      if (one.undefined > 0) {
        refused.push_back(fmt::format("{}, {} % of the {}: fitted, but the error is not a number in {} of {} folds",
                                      curve.predictor, percent(one.fraction, 0),
                                      curve.by == "rows" ? "rows" : curve.by + " groups", one.undefined,
                                      one.mapes.size()));
      }
    }
  }
  for (const std::string& axis : axes) {
    plot picture;
    picture.id = axis == "rows" ? "learning-curve" : "learning-curve-by-" + axis;
    std::replace(picture.id.begin(), picture.id.end(), '_', '-');
    picture.title = "Learning curve, by " + axis;
    picture.x = {"training rows", true};
    picture.y = {"mean MAPE (%)", false};
    for (const learning_curve_result& curve : curves) {
      if (curve.by != axis) continue;
      plot_series line{curve.predictor, series_style::lines, {}, {}};
      for (const learning_point& one : curve.points) {
        if (one.folds == 0 || one.folds < one.mapes.size()) continue;  // a mean over fewer folds is another mean
        line.x.push_back(one.rows);
        line.y.push_back(100.0 * one.mean_mape);
      }
      if (!line.x.empty()) picture.series.push_back(std::move(line));
    }
    if (!picture.series.empty()) made.blocks.push_back(std::move(picture));
  }
  made.blocks.push_back(captioned_table{"", std::move(table)});
  if (!refused.empty()) made.blocks.push_back(bullet_list{std::move(refused)});
  return made;
}

}  // namespace rafter
