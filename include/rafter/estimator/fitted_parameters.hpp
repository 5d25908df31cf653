// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rafter/core/nearest_name.hpp"
#include "rafter/estimator/estimator.hpp"
#include "rafter/expression/parameter.hpp"
#include "rafter/solver/identifiability.hpp"
#include "rafter/solver/minimizer.hpp"
#include "rafter/units/dimension.hpp"

namespace rafter {

/// Rows that have the same label on each of some axes, and so see the same parameters.
struct label_cell {
  row_set rows;
  double weight = 1.0;              ///< of each row
  std::vector<std::size_t> places;  ///< for each parameter of the model, where its value stands; see parameter_layout
};

/// Splits rows by their labels on some axes; one cell when there are no axes. Cells come in the order of first row.
/// @throws dataset_error when the data has no such axis
template <dataset_schema Schema>
std::vector<label_cell> label_cells(const dataset<Schema>& data, const row_set& rows,
                                    const std::vector<group>& axes) {
  if (axes.empty()) return {label_cell{.rows = rows, .weight = 1.0, .places = {}}};
  std::vector<const group_column*> labels;
  for (const group axis : axes) labels.push_back(&data.groups(axis));
  std::map<std::vector<std::uint32_t>, std::size_t> cell_of;
  std::vector<std::vector<row_range>> members;
  std::vector<std::uint32_t> key(axes.size());
  for (const row_range& range : rows.ranges()) {
    for (std::size_t row = range.begin; row < range.end;) {
      for (std::size_t a = 0; a < key.size(); ++a) key[a] = labels[a]->code(row);
      std::size_t end = range.end;  // of the run of equal labels
      for (std::size_t a = 0; a < key.size(); ++a) {
        std::size_t next = row + 1;
        while (next < end && labels[a]->code(next) == key[a]) ++next;
        end = next;
      }
      const std::size_t at = cell_of.try_emplace(key, members.size()).first->second;
      if (at == members.size()) members.emplace_back();
      std::vector<row_range>& into = members[at];
      if (!into.empty() && into.back().end == row) {
        into.back().end = end;
      } else {
        into.push_back({row, end});
      }
      row = end;
    }
  }
  std::vector<label_cell> cells;
  for (std::vector<row_range>& each : members) {
    cells.push_back({.rows = row_set::of_ranges(std::move(each)), .weight = 1.0, .places = {}});
  }
  return cells;
}

/// The derivative of a prior's residual by one parameter.
struct prior_slope {
  std::size_t parameter = 0;
  double slope = 0.0;
};

/// Where the values of a model's parameters stand in the vector that a minimizer moves: one place for a global
/// parameter, one for each training label of a parameter per label, one more, before these, for the common value of a
/// pooled one, none for a held one.
class parameter_layout {
 public:
  static constexpr std::size_t nowhere = static_cast<std::size_t>(-1);

  /// @param facts  of the model's parameters; must outlive this (they are constants of the program)
  /// @throws dataset_error when the data lacks an axis that a parameter has a value per label of
  template <dataset_schema Schema>
  RAFTER_COLD parameter_layout(std::span<const parameter_fact> facts, const dataset<Schema>& data,
                               const row_set& rows)
      : facts_(facts) {
    for (const parameter_fact& fact : facts_) {
      if (fact.axis.empty() || fact.fixed()) continue;
      const group axis = *find_group(fact.axis);  // unknown names are refused at compile time
      if (std::find(axes_.begin(), axes_.end(), axis) != axes_.end()) continue;
      axes_.push_back(axis);
      const group_column& labels = data.groups(axis);
      std::vector<bool> present(labels.count());
      rows.for_each([&](std::size_t row) { present[labels.code(row)] = true; });
      labels_.emplace_back();
      for (std::size_t code = 0; code < present.size(); ++code) {
        if (present[code]) labels_.back().push_back(labels.names()[code]);
      }
    }
    for (std::size_t k = 0; k < facts_.size(); ++k) {
      const parameter_fact& fact = facts_[k];
      first_.push_back(names_.size());
      if (fact.fixed()) continue;
      const auto add = [&](std::string name) {
        names_.push_back(std::move(name));
        fact_of_.push_back(k);
      };
      if (fact.axis.empty()) {
        add(std::string(fact.name));
        continue;
      }
      if (fact.pooling > 0.0) add(std::string(fact.name) + "[common]");
      for (const std::string& label : labels_[axis_index(fact)]) add(std::string(fact.name) + "[" + label + "]");
    }
  }

  std::span<const parameter_fact> facts() const { return facts_; }
  std::size_t size() const { return names_.size(); }
  /// `name`, `name[label]` or `name[common]`.
  const std::string& name(std::size_t place) const { return names_[place]; }
  /// Which of `facts()` a place belongs to.
  std::size_t fact_of(std::size_t place) const { return fact_of_[place]; }
  /// The axes that parameters have values per label of.
  const std::vector<group>& axes() const { return axes_; }

  std::vector<double> start() const {
    std::vector<double> values;
    for (const std::size_t k : fact_of_) values.push_back(facts_[k].start);
    return values;
  }
  parameter_bounds bounds() const {
    parameter_bounds made;
    for (const std::size_t k : fact_of_) {
      made.lower.push_back(facts_[k].lower);
      made.upper.push_back(facts_[k].upper);
    }
    return made;
  }

  /// For each fact the place of its value on a row of the data, `nowhere` for held ones; where a row has a label that was
  /// not fitted on, pooled parameters have their common value.
  /// @throws fit_error naming a label that nothing was fitted for
  template <class Schema> std::vector<std::size_t> places(const dataset<Schema>& data, std::size_t row) const {
    std::vector<std::string> labels;
    for (const group axis : axes_) labels.push_back(data.groups(axis).name(row));
    return places_of(labels);
  }
  /// @param labels  one for each of `axes()`
  std::vector<std::size_t> places_of(const std::vector<std::string>& labels) const {
    if (labels.size() != axes_.size()) {
      throw fit_error("the model has parameters per label of " + std::to_string(axes_.size()) + " axes, and " +
                      std::to_string(labels.size()) + " labels were given");
    }
    std::vector<std::size_t> made;
    for (std::size_t k = 0; k < facts_.size(); ++k) {
      const parameter_fact& fact = facts_[k];
      if (fact.fixed() || fact.axis.empty()) {
        made.push_back(fact.fixed() ? nowhere : first_[k]);
        continue;
      }
      const std::size_t axis = axis_index(fact);
      const std::vector<std::string>& known = labels_[axis];
      const auto found = std::find(known.begin(), known.end(), labels[axis]);
      const std::size_t common = fact.pooling > 0.0 ? 1 : 0;
      if (found == known.end() && common == 0) {
        throw fit_error("parameter '" + std::string(fact.name) + "': nothing was fitted for " +
                        std::string(fact.axis) + " '" + labels[axis] + "'");
      }
      made.push_back(found == known.end() ? first_[k]
                                          : first_[k] + common + static_cast<std::size_t>(found - known.begin()));
    }
    return made;
  }
  /// @throws fit_error, with the nearest name, when there is no such place
  std::size_t find(std::string_view wanted) const {
    const auto at = std::find(names_.begin(), names_.end(), wanted);
    if (at != names_.end()) return static_cast<std::size_t>(at - names_.begin());
    throw fit_error("there is no fitted parameter '" + std::string(wanted) + "'" + did_you_mean(wanted, names_));
  }

  std::size_t prior_rows() const {
    std::size_t count = 0;
    const std::vector<double> at = start();
    for_each_prior(at.data(), [&](double, std::span<const prior_slope>) { ++count; });
    return count;
  }
  /// Calls `visit(residual, slopes)` for each prior and each label of a pooled parameter.
  template <class Visit> void for_each_prior(const double* at, Visit visit) const {
    for (std::size_t k = 0; k < facts_.size(); ++k) {
      const parameter_fact& fact = facts_[k];
      if (fact.fixed()) continue;
      const std::size_t end = k + 1 < facts_.size() ? first_[k + 1] : names_.size();
      const bool logs = fact.by_logarithm();
      if (fact.prior_weight > 0.0) {
        const double root = std::sqrt(fact.prior_weight);
        for (std::size_t j = first_[k]; j < (fact.pooling > 0.0 ? first_[k] + 1 : end); ++j) {
          const prior_slope slope{j, logs ? root / at[j] : root};
          visit(logs ? root * std::log(at[j] / fact.prior) : root * (at[j] - fact.prior),
                std::span<const prior_slope>(&slope, 1));
        }
      }
      if (fact.pooling > 0.0) {
        const double root = std::sqrt(fact.pooling);
        const std::size_t common = first_[k];
        for (std::size_t j = common + 1; j < end; ++j) {
          const std::array<prior_slope, 2> slopes{
              {{j, logs ? root / at[j] : root}, {common, logs ? -root / at[common] : -root}}};
          visit(logs ? root * std::log(at[j] / at[common]) : root * (at[j] - at[common]),
                std::span<const prior_slope>(slopes));
        }
      }
    }
  }

 private:
  std::size_t axis_index(const parameter_fact& fact) const {
    return static_cast<std::size_t>(std::find(axes_.begin(), axes_.end(), *find_group(fact.axis)) - axes_.begin());
  }

  std::span<const parameter_fact> facts_;
  std::vector<group> axes_;
  std::vector<std::vector<std::string>> labels_;  // of each axis, those that were fitted on
  std::vector<std::size_t> first_;                // of each fact
  std::vector<std::string> names_;                // of each place
  std::vector<std::size_t> fact_of_;              // of each place
};

/// What became of a parameter. `not_known`: the method had no derivatives, and does not say.
enum class parameter_state { determined, undetermined, dead, at_lower_bound, at_upper_bound, held, not_known };

constexpr std::string_view text_of(parameter_state state) {
  switch (state) {
    case parameter_state::determined:
      return "determined";
    case parameter_state::undetermined:
      return "undetermined";
    case parameter_state::dead:
      return "no effect";
    case parameter_state::at_lower_bound:
      return "at lower bound";
    case parameter_state::at_upper_bound:
      return "at upper bound";
    case parameter_state::held:
      return "held";
    case parameter_state::not_known:
      return "not known";
  }
  return "not known";
}

/// One parameter of a fit, for reports. Numbers are in base units.
struct fitted_parameter {
  std::string name;
  std::string unit;
  double value = 0.0;
  double standard_error = 0.0;  ///< 0 where held or at a bound, infinite where undetermined, NaN where not known
  double lower = 0.0, upper = 0.0;
  parameter_state state = parameter_state::determined;
  std::string note;  ///< why it is dead
};

/// All parameters of a fit in the order of the layout, then the held ones.
RAFTER_COLD inline std::vector<fitted_parameter> fitted_parameters(const parameter_layout& layout,
                                                                   const nonlinear_solution& solution,
                                                                   const identifiability& known,
                                                                   const std::vector<std::string>& reasons) {
  std::vector<fitted_parameter> made;
  const auto unit_of = [](const parameter_fact& fact) { return std::string(text_of(fact.unit).data); };
  for (std::size_t j = 0; j < layout.size(); ++j) {
    const parameter_fact& fact = layout.facts()[layout.fact_of(j)];
    fitted_parameter one{.name = layout.name(j),
                         .unit = unit_of(fact),
                         .value = solution.parameters[j],
                         .standard_error = j < solution.standard_errors.size()
                                               ? solution.standard_errors[j]
                                               : std::numeric_limits<double>::quiet_NaN(),
                         .lower = fact.lower,
                         .upper = fact.upper,
                         .state = known.known ? parameter_state::determined : parameter_state::not_known,
                         .note = {}};
    for (const undetermined_combination& each : known.undetermined) {
      if (std::find(each.members.begin(), each.members.end(), j) != each.members.end()) {
        one.state = parameter_state::undetermined;
      }
    }
    if (j < solution.active_mask.size() && solution.active_mask[j] != 0) {
      one.state = solution.active_mask[j] < 0 ? parameter_state::at_lower_bound : parameter_state::at_upper_bound;
      if (!known.known) one.standard_error = 0.0;
    }
    const auto dead = std::find(known.dead.begin(), known.dead.end(), j);
    if (dead != known.dead.end()) {
      one.state = parameter_state::dead;
      const auto index = static_cast<std::size_t>(dead - known.dead.begin());
      if (index < reasons.size()) one.note = reasons[index];
    }
    made.push_back(std::move(one));
  }
  for (const parameter_fact& fact : layout.facts()) {
    if (!fact.fixed()) continue;
    made.push_back({.name = std::string(fact.name),
                    .unit = unit_of(fact),
                    .value = fact.start,
                    .standard_error = 0.0,
                    .lower = fact.lower,
                    .upper = fact.upper,
                    .state = parameter_state::held,
                    .note = {}});
  }
  return made;
}

namespace detail {
inline std::string short_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", value);
  return text;
}
/// "only a/b is determined", "only a*b", "only a + b"; of more than two, the way that changes nothing.
inline std::string combination_text(const undetermined_combination& one,
                                    const std::function<std::string(std::size_t)>& name) {
  const auto close = [](double a, double b) { return std::abs(a - b) <= 1e-3; };
  if (one.members.size() == 2) {
    const std::string a = name(one.members[0]), b = name(one.members[1]);
    const double p = one.exponents[0], q = one.exponents[1];
    if (one.by_logarithm && close(p, q)) return "only " + a + "/" + b + " is determined";
    if (one.by_logarithm && close(p, -q)) return "only " + a + "*" + b + " is determined";
    if (!one.by_logarithm && close(p, -q)) return "only " + a + " + " + b + " is determined";
    if (!one.by_logarithm && close(p, q)) return "only " + a + " - " + b + " is determined";
  }
  if (one.members.size() == 1) return name(one.members[0]) + " is not determined";
  std::string text = "not determined: moving ";
  for (std::size_t i = 0; i < one.members.size(); ++i) {
    text += (i == 0 ? "" : ", ") + name(one.members[i]) + " by " + (one.exponents[i] > 0.0 ? "+" : "") +
            short_number(one.exponents[i]) + (one.by_logarithm ? " %" : "");
  }
  return text + " together changes nothing";
}
}  // namespace detail

/// One line for each thing that a reader of the fit should know.
RAFTER_COLD inline std::vector<std::string> identifiability_findings(const parameter_layout& layout,
                                                                     const nonlinear_solution& solution,
                                                                     const identifiability& known,
                                                                     const std::vector<std::string>& reasons) {
  std::vector<std::string> found;
  if (!solution.converged()) found.push_back("the fit did not converge: " + std::string(text_of(solution.status)));
  if (!known.known) {
    found.push_back("identifiability is not known: the method used no derivatives");
    return found;
  }
  if (known.identifiable < known.parameters) {
    found.push_back(std::to_string(known.parameters) + " parameters, of which the training rows determine " +
                    std::to_string(known.identifiable) +
                    (known.identifiable_at_start != known.identifiable
                         ? " (" + std::to_string(known.identifiable_at_start) + " where the fit began)"
                         : ""));
  }
  for (std::size_t i = 0; i < known.dead.size(); ++i) {
    found.push_back(layout.name(known.dead[i]) + " has no effect on any training row" +
                    (i < reasons.size() && !reasons[i].empty() ? ": " + reasons[i] : ""));
  }
  for (const undetermined_combination& one : known.undetermined) {
    found.push_back(detail::combination_text(one, [&](std::size_t j) { return layout.name(j); }));
  }
  for (const std::size_t j : known.at_bound) {
    if (std::find(known.dead.begin(), known.dead.end(), j) != known.dead.end()) continue;
    found.push_back(layout.name(j) + " is at its " + (solution.active_mask[j] < 0 ? "lower" : "upper") + " bound " +
                    detail::short_number(solution.parameters[j]));
  }
  const std::size_t n = solution.parameters.size();
  for (std::size_t i = 0; i < n && solution.covariance.size() == n * n; ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const double both = solution.standard_errors[i] * solution.standard_errors[j];
      if (!(both > 0.0) || !std::isfinite(both)) continue;
      const double correlation = solution.covariance[i * n + j] / both;
      if (std::abs(correlation) < 0.99) continue;
      found.push_back(layout.name(j) + " and " + layout.name(i) + " are nearly inseparable (correlation " +
                      detail::short_number(correlation) + ")");
    }
  }
  return found;
}

}  // namespace rafter
