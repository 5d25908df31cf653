// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: the language of hypotheses takes a second or two to compile; for those who state them.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rafter/config.hpp"
#include "rafter/evaluation/hypothesis/evidence.hpp"
#include "rafter/evaluation/hypothesis/measure.hpp"
#include "rafter/step/groups.hpp"

namespace rafter::hypotheses {

using rafter::group;

/// What a quantifier goes over: the test rows of each fold, or those of each label of a group (of all folds together), or
/// all of them at once. Each can be narrowed to rows of a label, and asked to be at least so many.
struct row_sets {
  enum class by { fold, label, all };
  by kind = by::fold;
  std::vector<group> axes = {};                          ///< of `label`; of several, each combination that occurs
  std::vector<std::pair<group, std::string>> only = {};  ///< labels that rows must have
  std::string held_out = {};                             ///< of this fold alone
  std::size_t fewest = 1;

  /// Rows of one label: `folds().where(group::routing, "moe")`. Folds and labels without such rows do not count.
  row_sets where(group axis, std::string label) const {
    row_sets narrowed = *this;
    narrowed.only.emplace_back(axis, std::move(label));
    return narrowed;
  }
  /// Of fewer than that nothing is said; of none never, whatever is asked.
  row_sets at_least(std::size_t count) const {
    row_sets asked = *this;
    asked.fewest = std::max<std::size_t>(count, 1);
    return asked;
  }
  std::string text() const {
    std::string made = kind == by::all ? "rows" : "";
    if (kind == by::fold) made = held_out.empty() ? "folds" : "fold '" + held_out + "'";
    for (std::size_t i = 0; i < axes.size(); ++i) {
      made += (i == 0 ? "" : " x ") + std::string(name_of(axes[i])) + "s";
    }
    for (const auto& [axis, label] : only) made += " of " + std::string(name_of(axis)) + " " + label;
    if (fewest > 1) made += ", at least " + std::to_string(fewest);
    return made;
  }
  /// One of them, as evidence names it.
  std::string_view unit() const {
    if (kind == by::fold) return "fold";
    return axes.size() == 1 ? name_of(axes.front()) : std::string_view("combination");
  }
};

inline row_sets folds() { return {}; }
inline row_sets fold_of(std::string held_out) { return {.held_out = std::move(held_out)}; }
inline row_sets all_rows() { return {.kind = row_sets::by::all}; }
/// `labels_of(group::model, group::workload)`: each combination of labels that occurs.
template <std::same_as<group>... Axes> row_sets labels_of(group first, Axes... more) {
  return {.kind = row_sets::by::label, .axes = {first, more...}};
}

namespace detail {

/// One set of rows: what was measured and predicted, and what a fold's summary already knows of it.
struct rows_of {
  std::string label;
  const fold_result* fold = nullptr;  ///< the whole of its test rows
  std::vector<double> own_actual = {}, own_predicted = {};

  std::span<const double> actual() const { return fold != nullptr ? fold->predictions.actual : own_actual; }
  std::span<const double> predicted() const { return fold != nullptr ? fold->predictions.predicted : own_predicted; }
  /// NaN where it is undefined.
  double value_of(const any_measure& what) const {
    if (fold != nullptr && what.summarised != nullptr) return what(fold->errors.*what.summarised);
    return what(what.evaluate(actual(), predicted()));
  }
};

struct found_rows {
  std::vector<rows_of> sets;
  std::string unknown;
};

/// The sets of rows that a predictor's folds tested.
RAFTER_COLD inline found_rows rows_in(const row_sets& asked, const place& at, bool predictions_needed) {
  found_rows made;
  const std::vector<fold_result>& folds = at.result->folds;
  const auto finish = [&] {
    if (!made.unknown.empty()) {
      made.sets.clear();
    } else if (made.sets.size() < std::max<std::size_t>(asked.fewest, 1)) {
      made.unknown = made.sets.empty()
                         ? (asked.held_out.empty() ? "there are no " : "there are no rows of ") + asked.text()
                         : "there are " + std::to_string(made.sets.size()) + " " +
                               row_sets{asked.kind, asked.axes, asked.only, asked.held_out, 1}.text() +
                               ", fewer than " + std::to_string(asked.fewest);
    }
    return std::move(made);
  };
  const bool whole = asked.kind == row_sets::by::fold && asked.only.empty();
  for (const fold_result& one : folds) {
    if (one.rows > 0 && one.predictions.actual.empty() && (predictions_needed || !whole)) {
      made.unknown = "the predictions of " + at.result->predictor + " were not kept";
      return finish();
    }
  }
  if (whole) {
    for (const fold_result& one : folds) {
      if (asked.held_out.empty() || asked.held_out == one.held_out) made.sets.push_back({one.held_out, &one});
    }
    if (made.sets.empty()) {
      const auto names = names_in(folds, [](const fold_result& one) { return one.held_out; });
      made.unknown = "no fold holds out '" + asked.held_out + "'" + did_you_mean(asked.held_out, names);
    }
    return finish();
  }
  const step_view* const view = at.at->view;
  std::vector<const group_column*> keys;
  std::vector<std::pair<const group_column*, std::string_view>> filters;
  const auto column = [&](group axis) -> const group_column* {
    if (view == nullptr) {
      made.unknown = "the groups of the rows of '" + at.at->name + "' were not given";
      return nullptr;
    }
    const group_column* const found = view->labels(axis);
    if (found == nullptr) made.unknown = "the data has no group '" + std::string(name_of(axis)) + "'";
    return found;
  };
  for (const group axis : asked.axes) keys.push_back(column(axis));
  for (const auto& [axis, label] : asked.only) {
    filters.emplace_back(column(axis), label);
    if (filters.back().first == nullptr) continue;
    const auto& names = filters.back().first->names();
    if (std::find(names.begin(), names.end(), label) == names.end()) {
      made.unknown = "no " + std::string(name_of(axis)) + " is '" + label + "'" + did_you_mean(label, names);
    }
  }
  if (!made.unknown.empty()) return finish();

  std::map<std::vector<std::uint32_t>, std::size_t> set_of;
  std::vector<std::uint32_t> key(keys.size());
  for (const fold_result& one : folds) {
    if (!asked.held_out.empty() && asked.held_out != one.held_out) continue;
    if (asked.kind == row_sets::by::fold) made.sets.push_back({one.held_out});
    std::size_t i = 0;
    one.predictions.rows.for_each([&](std::size_t row) {
      const std::size_t at_row = i++;
      if (view != nullptr && row >= view->rows) {
        made.unknown = "the groups given for '" + at.at->name + "' are of other rows";
        return;
      }
      for (const auto& [labels, wanted] : filters) {
        if (labels->name(row) != wanted) return;
      }
      std::size_t to = made.sets.size() - 1;
      if (asked.kind != row_sets::by::fold) {
        for (std::size_t k = 0; k < keys.size(); ++k) key[k] = keys[k]->code(row);
        const auto [place_of, fresh] = set_of.try_emplace(key, made.sets.size());
        to = place_of->second;
        if (fresh) {
          std::string label = asked.kind == row_sets::by::all ? "all rows" : "";
          for (std::size_t k = 0; k < keys.size(); ++k) label += (k == 0 ? "" : " / ") + keys[k]->name(row);
          made.sets.push_back({std::move(label)});
        }
      }
      made.sets[to].own_actual.push_back(one.predictions.actual[at_row]);
      made.sets[to].own_predicted.push_back(one.predictions.predicted[at_row]);
    });
    if (asked.kind == row_sets::by::fold && made.sets.back().own_actual.empty()) made.sets.pop_back();
  }
  return finish();
}

}  // namespace detail

}  // namespace rafter::hypotheses
