// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: by name, or all diagnoses with rafter/evaluation/diagnose.hpp.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "rafter/config.hpp"
#include "rafter/evaluation/diagnostics/tested_errors.hpp"
#include "rafter/evaluation/section.hpp"
#include "rafter/evaluation/text.hpp"

namespace rafter {

/// Fewer tested rows than this say little of a cell.
inline constexpr std::size_t few_rows = 30;

/// Errors of the tested rows of one class; the metrics of the same names on these rows. Fractions.
struct error_cell {
  std::string axis, label;
  std::size_t rows = 0;
  double mape = std::numeric_limits<double>::quiet_NaN();
  double mean_signed_percentage_error = std::numeric_limits<double>::quiet_NaN();
  double p90_ape = std::numeric_limits<double>::quiet_NaN();
  double share_above_half = std::numeric_limits<double>::quiet_NaN();
  double cancellation = std::numeric_limits<double>::quiet_NaN();

  bool small() const { return rows < few_rows; }
};

/// One predictor's errors by class of rows, over the tested rows of all folds together.
struct error_breakdown {
  std::string predictor;
  error_cell all;
  std::vector<error_cell>
      cells;                  ///< axis after axis, within each the worst first, cells of few rows behind the others
  std::size_t undefined = 0;  ///< tested rows without a relative error

  /// The cell of enough rows with the largest MAPE; null without any.
  const error_cell* worst() const {
    const error_cell* found = nullptr;
    for (const error_cell& one : cells) {
      if (!one.small() && (found == nullptr || one.mape > found->mape)) found = &one;
    }
    return found;
  }
};

namespace detail {

RAFTER_HOT inline void fill_cell(error_cell& cell, const double* signed_errors, std::size_t count, double* absolute) {
  cell.rows = count;
  if (count == 0) return;
  double sum = 0.0, size = 0.0;
  std::size_t above = 0;
  for (std::size_t i = 0; i < count; ++i) {
    absolute[i] = std::fabs(signed_errors[i]);
    sum += signed_errors[i];
    size += absolute[i];
    above += absolute[i] > 0.5 ? 1U : 0U;
  }
  const auto rows = static_cast<double>(count);
  cell.mape = size / rows;
  cell.mean_signed_percentage_error = sum / rows;
  cell.cancellation = size > 0.0 ? 1.0 - std::fabs(sum) / size : 0.0;
  cell.share_above_half = static_cast<double>(above) / rows;
  cell.p90_ape = quantile_of_unsorted(absolute, count, 0.9);
}

}  // namespace detail

/// @param classes  of the rows of the tested dataset
RAFTER_COLD inline error_breakdown breakdown_of(const std::string& predictor, const tested_errors& errors,
                                                const class_axes& classes) {
  error_breakdown made;
  made.predictor = predictor;
  made.undefined = errors.undefined;
  made.all.axis = "all";
  std::vector<double> absolute(errors.size()), sorted(errors.size());
  detail::fill_cell(made.all, errors.relative.data(), errors.size(), absolute.data());
  std::vector<std::size_t> begin;
  for (const row_classes& axis : classes.axes) {
    begin.assign(axis.labels.size() + 1, 0);
    for (const std::size_t row : errors.rows) {
      if (axis.codes[row] != no_class) ++begin[axis.codes[row] + 1];
    }
    for (std::size_t c = 0; c < axis.labels.size(); ++c) begin[c + 1] += begin[c];
    std::vector<std::size_t> next(begin.begin(), begin.end() - 1);
    for (std::size_t i = 0; i < errors.size(); ++i) {
      const std::uint32_t code = axis.codes[errors.rows[i]];
      if (code != no_class) sorted[next[code]++] = errors.relative[i];
    }
    const std::size_t first = made.cells.size();
    for (std::size_t c = 0; c < axis.labels.size(); ++c) {
      if (begin[c + 1] == begin[c]) continue;
      error_cell& cell = made.cells.emplace_back();
      cell.axis = axis.axis;
      cell.label = axis.labels[c];
      detail::fill_cell(cell, sorted.data() + begin[c], begin[c + 1] - begin[c], absolute.data());
    }
    std::stable_sort(made.cells.begin() + static_cast<std::ptrdiff_t>(first), made.cells.end(),
                     [](const error_cell& a, const error_cell& b) {
                       return a.small() != b.small() ? b.small() : a.mape > b.mape;
                     });
  }
  return made;
}

/// Every predictor's, in the order of the report; those without predictions are left out.
RAFTER_COLD inline std::vector<error_breakdown> breakdowns(const evaluation_report& report,
                                                           const class_axes& classes) {
  std::vector<error_breakdown> made;
  for (const predictor_result& one : report.results) {
    if (detail::has_predictions(one)) made.push_back(breakdown_of(one.predictor, tested_errors_of(one), classes));
  }
  return made;
}

/// Where each predictor errs most, and all cells of the shown ones. @param lines  rows of a table before the rest is
/// left to the wide one
RAFTER_COLD inline report_section breakdown_section(const evaluation_report& report, const class_axes& classes,
                                                    const shown_predictors& shown = {}, std::size_t lines = 12) {
  using namespace detail;
  report_section made{"breakdown", "Where the errors are", "", {}};
  const std::vector<const predictor_result*> order = results_with_predictions(report);
  if (order.empty()) {
    made.blocks.push_back(paragraph{no_predictions_kept});
    return made;
  }
  if (classes.axes.empty()) {
    made.blocks.push_back(paragraph{"Not made: the data has nothing to break errors down by."});
    return made;
  }
  made.blocks.push_back(
      paragraph{fmt::format("Errors of the tested rows of all folds, by what a step is: its phase, sizes between "
                            "powers of two, its labels. "
                            "Worst cells first; cells marked * have fewer than {} rows and stand last.",
                            few_rows)});
  const auto cells_of = [](const error_cell& cell) {
    const auto share = [](double fraction) { return table_cell(percent(fraction), 100.0 * fraction); };
    return std::vector<table_cell>{
        cell.axis,
        cell.label + (cell.small() ? " *" : ""),
        {grouped(cell.rows), static_cast<double>(cell.rows)},
        share(cell.mape),
        {signed_percent(cell.mean_signed_percentage_error), 100.0 * cell.mean_signed_percentage_error},
        share(cell.p90_ape),
        share(cell.share_above_half),
        {number(cell.cancellation, 2), cell.cancellation}};
  };
  text_table worst({"<predictor", "MAPE %", "<worst cell", "rows", "its MAPE %", "signed %", "> 50 % off"});
  std::vector<error_breakdown> made_of;
  std::size_t without_error = 0;
  for (const predictor_result* one : order) {
    made_of.push_back(breakdown_of(one->predictor, tested_errors_of(*one), classes));
    const error_breakdown& each = made_of.back();
    without_error = std::max(without_error, each.undefined);
    const error_cell* cell = each.worst();
    if (cell == nullptr) continue;
    worst.add({each.predictor,
               {percent(each.all.mape), 100.0 * each.all.mape},
               cell->axis + " " + cell->label,
               {grouped(cell->rows), static_cast<double>(cell->rows)},
               {percent(cell->mape), 100.0 * cell->mape},
               {signed_percent(cell->mean_signed_percentage_error), 100.0 * cell->mean_signed_percentage_error},
               {percent(cell->share_above_half), 100.0 * cell->share_above_half}});
  }
  if (const error_cell* cell = made_of.front().worst()) {
    made.summary = fmt::format("{} errs most at {} {}: {} % over {} steps, against {} % over all.",
                               made_of.front().predictor, cell->axis, cell->label, percent(cell->mape),
                               grouped(cell->rows), percent(made_of.front().all.mape));
  }
  made.blocks.push_back(captioned_table{"worst cell of each predictor", std::move(worst)});
  const std::vector<std::string> titles{"<by",      "<cell", "rows",       "MAPE %",
                                        "signed %", "p90 %", "> 50 % off", "cancelled"};
  for (const predictor_result* one : selected(report, shown)) {
    const auto found = std::find_if(made_of.begin(), made_of.end(),
                                    [&](const error_breakdown& each) { return each.predictor == one->predictor; });
    if (found == made_of.end()) continue;
    text_table full(titles);
    for (const error_cell& cell : found->cells) full.add(cells_of(cell));
    if (found == made_of.begin() && found->cells.size() > lines) {
      std::vector<const error_cell*> most;
      for (const error_cell& cell : found->cells) {
        if (!cell.small()) most.push_back(&cell);
      }
      std::stable_sort(most.begin(), most.end(),
                       [](const error_cell* a, const error_cell* b) { return a->mape > b->mape; });
      most.resize(std::min(most.size(), lines));
      text_table few(titles);
      for (const error_cell* cell : most) few.add(cells_of(*cell));
      made.blocks.push_back(
          captioned_table{fmt::format("{}: its {} worst cells", found->predictor, most.size()), std::move(few)});
    }
    made.blocks.push_back(captioned_table{found->predictor + ": all cells", std::move(full), true});
  }
  for (const std::string& why : classes.left_out) made.blocks.push_back(paragraph{"Not broken down by " + why + "."});
  if (without_error > 0) {
    made.blocks.push_back(
        paragraph{fmt::format("Up to {} tested rows of a predictor have no relative error (a time of 0, or what is "
                              "not a finite number) and are in no cell.",
                              grouped(without_error))});
  }
  return made;
}

}  // namespace rafter
