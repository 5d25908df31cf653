// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "rafter/config.hpp"
#include "rafter/estimator/fitted_parameters.hpp"
#include "rafter/evaluation/report.hpp"
#include "rafter/evaluation/table.hpp"

namespace rafter {

/// One parameter over the folds of a predictor. Numbers are in base units; NaN where there is nothing to say.
struct parameter_stability {
  /// The coefficient of variation below which a parameter is called stable.
  static constexpr double stable_below = 0.3;

  std::string name;
  std::string unit;
  std::size_t folds = 0;  ///< that have it; a parameter per label has a value only where its label is trained on
  std::size_t determined = 0, at_bound = 0, undetermined = 0, dead = 0, held = 0,
              not_known = 0;  ///< these add up to `folds`
  /// Over the folds whose rows have a say (determined or at a bound; all folds where it is held): mean, deviation (of
  /// a sample: n − 1), coefficient of variation = deviation / |mean|, smallest and largest value.
  double mean = 0.0, deviation = 0.0, variation = 0.0, smallest = 0.0, largest = 0.0;
  std::string note;  ///< why it has no effect in a fold where it has none

  /// The same in all folds to rounding: one fit was tested in each, which says nothing of stability.
  bool one_fit() const { return folds > 1 && held == 0 && deviation <= 1e-12 * std::abs(mean); }
  /// Fitted anew in two folds or more, in each determined or at a bound (not at a bound in all), and not around 0.
  bool comparable() const {
    return determined > 0 && determined + at_bound == folds && folds > 1 && !std::isnan(variation) && !one_fit();
  }
  bool stable() const { return comparable() && variation < stable_below; }
  /// "stable", "varies", or "-": the data do not say.
  std::string verdict() const { return !comparable() ? "-" : stable() ? "stable" : "varies"; }
  /// "determined in all 4", "determined in 3 of 4, at a bound in 1".
  std::string states() const {
    std::string text;
    const auto add = [&](const char* what, std::size_t count) {
      if (count == 0) return;
      const bool first = text.empty();
      text += (first ? "" : ", ") + std::string(what);
      if (folds == 1) return;
      text += count == folds ? " in all " : " in ";
      text += std::to_string(count);
      if (first && count < folds) text += " of " + std::to_string(folds);
    };
    add("determined", determined);
    add("at a bound", at_bound);
    add("not determined", undetermined);
    add("no effect", dead);
    add("not known", not_known);
    if (held > 0) text = "held";
    return text;
  }
};

/// The parameters of a predictor over its folds, in the order of first mention; empty for one without parameters.
RAFTER_COLD inline std::vector<parameter_stability> stability_of(const predictor_result& result) {
  std::vector<parameter_stability> made;
  std::vector<std::vector<double>> values;
  for (const fold_result& one : result.folds) {
    for (const fitted_parameter& each : one.parameters) {
      const auto at = std::find_if(made.begin(), made.end(),
                                   [&](const parameter_stability& known) { return known.name == each.name; });
      const auto index = static_cast<std::size_t>(at - made.begin());
      if (at == made.end()) {
        parameter_stability fresh;
        fresh.name = each.name;
        fresh.unit = each.unit;
        made.push_back(std::move(fresh));
        values.emplace_back();
      }
      parameter_stability& to = made[index];
      ++to.folds;
      to.determined += each.state == parameter_state::determined;
      to.at_bound += each.state == parameter_state::at_lower_bound || each.state == parameter_state::at_upper_bound;
      to.undetermined += each.state == parameter_state::undetermined;
      to.dead += each.state == parameter_state::dead;
      to.held += each.state == parameter_state::held;
      to.not_known += each.state == parameter_state::not_known;
      if (each.state == parameter_state::dead && to.note.empty()) to.note = each.note;
      if (each.state != parameter_state::dead && each.state != parameter_state::undetermined) {
        values[index].push_back(each.value);
      }
    }
  }
  constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
  for (std::size_t j = 0; j < made.size(); ++j) {
    parameter_stability& to = made[j];
    const std::vector<double>& seen = values[j];
    to.mean = to.deviation = to.variation = to.smallest = to.largest = unknown;
    if (seen.empty()) continue;
    const auto count = static_cast<double>(seen.size());
    double sum = 0.0, squares = 0.0;
    for (const double value : seen) sum += value;
    to.mean = sum / count;
    for (const double value : seen) squares += (value - to.mean) * (value - to.mean);
    if (seen.size() > 1) {
      to.deviation = std::sqrt(squares / (count - 1.0));
      to.variation = to.deviation / std::abs(to.mean);  // infinite, or NaN, where the mean is 0
    }
    to.smallest = *std::min_element(seen.begin(), seen.end());
    to.largest = *std::max_element(seen.begin(), seen.end());
  }
  return made;
}

/// What the fits of a predictor say of themselves, each line once.
struct fit_findings {
  std::vector<std::string> every_fold;  ///< what all folds say
  std::string worst_fold;               ///< which one that is
  std::vector<std::string> worst;       ///< what it says beside that
};

RAFTER_COLD inline fit_findings findings_of(const predictor_result& result) {
  fit_findings made;
  const fold_result* worst = result.worst();
  if (worst == nullptr) return made;
  made.worst_fold = worst->held_out;
  for (const std::string& line : worst->findings) {
    const bool everywhere = std::all_of(result.folds.begin(), result.folds.end(), [&](const fold_result& one) {
      return std::find(one.findings.begin(), one.findings.end(), line) != one.findings.end();
    });
    (everywhere ? made.every_fold : made.worst).push_back(line);
  }
  return made;
}

/// Does any fold have parameters with names?
inline bool is_parametric(const predictor_result& result) {
  return std::any_of(result.folds.begin(), result.folds.end(),
                     [](const fold_result& one) { return !one.parameters.empty(); });
}

/// The table that reports print. Parameters in seconds are in us where all their values are below a second.
RAFTER_COLD inline text_table parameter_table(const predictor_result& result) {
  text_table table(
      {"<parameter", "<unit", "mean", "deviation", "CV", "smallest", "largest", "<stable", "<in the folds"});
  for (const parameter_stability& one : stability_of(result)) {
    const bool micro = one.unit == "s" && std::abs(one.smallest) < 1.0 && std::abs(one.largest) < 1.0;
    const double by = micro ? 1e6 : 1.0;
    const auto number = [&](double value) { return std::isnan(value) ? "-" : fmt::format("{:.4g}", value * by); };
    const std::string variation = std::isfinite(one.variation) ? fmt::format("{:.2f}", one.variation) : "-";
    const bool varied = one.held < one.folds;
    const bool explain = one.dead > 0 && one.dead < one.folds;  // what is so in all folds is among the findings
    table.add({one.name,
               micro             ? "us"
               : one.unit == "1" ? ""
                                 : one.unit,
               number(one.mean), varied ? number(one.deviation) : "", varied ? variation : "",
               varied ? number(one.smallest) : "", varied ? number(one.largest) : "", varied ? one.verdict() : "",
               one.states() + (explain && !one.note.empty() ? ": " + one.note : "")});
  }
  return table;
}

}  // namespace rafter
