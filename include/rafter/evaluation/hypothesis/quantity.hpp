// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: the language of hypotheses takes a second or two to compile; for those who state them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rafter/config.hpp"
#include "rafter/evaluation/hypothesis/evidence.hpp"
#include "rafter/evaluation/hypothesis/measure.hpp"
#include "rafter/evaluation/hypothesis/row_sets.hpp"
#include "rafter/evaluation/parameter_table.hpp"

namespace rafter::hypotheses {

/// A measured number, or the range that it must be in where something of it is not known.
struct reading {
  static constexpr double undefined = std::numeric_limits<double>::quiet_NaN();
  double value = undefined;
  double lowest = undefined, highest = undefined;  ///< both are the value where all is known; NaN: anything
  std::string unknown;                             ///< why the value is not known, or not exactly
  std::string decided_by;
  std::string shown = {};  ///< in place of the value: "3 of 16"
  double most =
      std::numeric_limits<double>::infinity();  ///< that it could be on any outcome: of a count, what there is
  std::string most_of = {};                     ///< what there is that many of
  std::optional<value_interval> interval = {};
  /// Of a mean over sets: their labels and values, so that two can be compared set by set.
  std::vector<std::string> set_labels = {};
  std::vector<double> set_values = {};
  std::string unit = {};

  static reading exactly(double value, std::string decided_by = {}) {
    if (std::isnan(value)) return nothing("it is undefined");
    return {value, value, value, {}, std::move(decided_by)};
  }
  static reading nothing(std::string why) { return {undefined, undefined, undefined, std::move(why), {}}; }
  bool is_exact() const { return lowest == highest; }
};

/// A number that an evaluation has: an error over folds, a count of groups, a quotient of two such. Says itself as text.
template <scale In> class quantity_of {
 public:
  using measured = std::function<reading(const scope&)>;
  quantity_of(std::string text, measured how, bool compound = false)
      : text_(std::move(text)), how_(std::move(how)), compound_(compound) {}

  const std::string& text() const { return text_; }
  std::string wrapped() const { return compound_ ? "(" + text_ + ")" : text_; }
  reading operator()(const scope& where) const { return how_(where); }

 private:
  std::string text_;
  measured how_;
  bool compound_;
};
using fraction = quantity_of<scale::fraction>;
using number = quantity_of<scale::number>;
using duration = quantity_of<scale::time>;

namespace detail {

RAFTER_COLD inline reading combined(const reading& a, const reading& b, double (*join)(double, double)) {
  if (!a.is_exact() || !b.is_exact()) return reading::nothing(joined_reasons(a.unknown, b.unknown));
  return reading::exactly(join(a.value, b.value));
}
/// The interval of a - b where both are means over the same sets: of the mean of the sets' differences. Else none.
RAFTER_COLD inline std::optional<value_interval> of_difference(const scope& where, const reading& a,
                                                               const reading& b) {
  if (!where.known->interval || a.set_values.empty() || a.set_labels != b.set_labels) return std::nullopt;
  interval_request asked;
  asked.of = interval_request::statistic::mean;
  for (std::size_t i = 0; i < a.set_values.size(); ++i) asked.values.push_back(a.set_values[i] - b.set_values[i]);
  asked.unit = a.unit;
  return where.known->interval(asked);
}
template <scale To, scale A, scale B>
quantity_of<To> joined(const quantity_of<A>& a, const quantity_of<B>& b, const char* sign,
                       double (*join)(double, double)) {
  return {a.wrapped() + sign + b.wrapped(), [=](const scope& where) { return combined(a(where), b(where), join); },
          true};
}

}  // namespace detail

template <scale In> quantity_of<In> operator+(const quantity_of<In>& a, const quantity_of<In>& b) {
  return detail::joined<In>(a, b, " + ", [](double x, double y) { return x + y; });
}
template <scale In> quantity_of<In> operator-(const quantity_of<In>& a, const quantity_of<In>& b) {
  return {a.wrapped() + " - " + b.wrapped(),
          [=](const scope& where) {
            const reading left = a(where), right = b(where);
            reading made = detail::combined(left, right, [](double x, double y) { return x - y; });
            if (made.is_exact()) made.interval = detail::of_difference(where, left, right);
            return made;
          },
          true};
}
template <scale In> number operator/(const quantity_of<In>& a, const quantity_of<In>& b) {
  return detail::joined<scale::number>(a, b, " / ", [](double x, double y) { return x / y; });
}
template <scale In> quantity_of<In> operator*(const quantity_of<In>& a, const number& b) {
  return detail::joined<In>(a, b, " * ", [](double x, double y) { return x * y; });
}
template <scale In>
requires(In != scale::number) quantity_of<In>
operator/(const quantity_of<In>& a, const number& b) {
  return detail::joined<In>(a, b, " / ", [](double x, double y) { return x / y; });
}
inline fraction operator+(const fraction& a, percent points) {
  return {a.wrapped() + " + " + points.text(),
          [=](const scope& where) {
            const reading found = a(where);
            return found.is_exact() ? reading::exactly(found.value + points.fraction, found.decided_by) : found;
          },
          true};
}

// ---- errors over sets of rows -----------------------------------------------------------------------------------

namespace detail {

enum class over_sets { mean, median, worst };

/// @param larger_is_worse  of the measure's magnitude
RAFTER_COLD inline reading statistic_over(const scope& where, const row_sets& over, const any_measure& what,
                                          over_sets how, bool larger_is_worse) {
  const place at = find_predictor(where);
  if (!at.unknown.empty()) return reading::nothing(at.unknown);
  const found_rows rows = rows_in(over, at, what.summarised == nullptr);
  if (!rows.unknown.empty()) return reading::nothing(rows.unknown);
  std::vector<double> values;
  std::size_t worst = 0;
  for (const rows_of& one : rows.sets) {
    values.push_back(one.value_of(what));
    if (std::isnan(values.back())) {
      return reading::nothing("the " + std::string(what.name) + " of " + std::string(over.unit()) + " '" + one.label +
                              "' is undefined");
    }
    const bool worse = larger_is_worse ? values.back() > values[worst] : values.back() < values[worst];
    if (worse) worst = values.size() - 1;
  }
  reading made;
  if (how == over_sets::worst) {
    made = reading::exactly(values[worst], rows.sets[worst].label);
  } else if (how == over_sets::mean) {
    double sum = 0.0;
    for (const double one : values) sum += one;
    made = reading::exactly(sum / static_cast<double>(values.size()));
    if (values.size() > 1) {
      made.set_values = values;
      for (const rows_of& one : rows.sets) made.set_labels.push_back(one.label);
      made.unit = std::string(over.unit());
    }
  } else {
    std::sort(values.begin(), values.end());
    const std::size_t half = values.size() / 2;
    made = reading::exactly(values.size() % 2 == 1 ? values[half] : 0.5 * (values[half - 1] + values[half]));
  }
  if (where.known->interval) {
    using statistic = interval_request::statistic;
    interval_request asked{at.at->name,
                           at.result->predictor,
                           what.name,
                           what.evaluate,
                           what.absolute,
                           rows.sets.size() == 1      ? statistic::value
                           : how == over_sets::mean   ? statistic::mean
                           : how == over_sets::median ? statistic::median
                                                      : statistic::worst,
                           {}};
    for (const rows_of& one : rows.sets) asked.sets.push_back(one.columns());
    if (rows.sets.size() > 1) asked.values = values;
    asked.worst = worst;
    asked.unit = over.unit();
    asked.view = at.at->view;
    made.interval = where.known->interval(asked);
  }
  return made;
}
template <scale In>
quantity_of<In> over(const char* name, const row_sets& sets, const measure<In>& what, over_sets how,
                     bool short_form) {
  const bool larger_is_worse = what.name != "pearson" && what.name != "spearman" && what.name != "r2";
  return {std::string(name) + "(" + (short_form ? "" : sets.text() + ", ") + what.text() + ")",
          [=](const scope& where) { return statistic_over(where, sets, what, how, larger_is_worse); }};
}

}  // namespace detail

/// Unweighted, as all averages over folds are.
template <scale In> quantity_of<In> mean_over(const row_sets& sets, measure<In> what) {
  return detail::over("mean_over", sets, what, detail::over_sets::mean, false);
}
template <scale In> quantity_of<In> median_over(const row_sets& sets, measure<In> what) {
  return detail::over("median_over", sets, what, detail::over_sets::median, false);
}
template <scale In> quantity_of<In> worst_of(const row_sets& sets, measure<In> what) {
  return detail::over("worst_of", sets, what, detail::over_sets::worst, false);
}
template <scale In> quantity_of<In> mean_over_folds(measure<In> what) {
  return detail::over("mean_over_folds", folds(), what, detail::over_sets::mean, true);
}
template <scale In> quantity_of<In> median_over_folds(measure<In> what) {
  return detail::over("median_over_folds", folds(), what, detail::over_sets::median, true);
}
template <scale In> quantity_of<In> worst_fold(measure<In> what) {
  return detail::over("worst_fold", folds(), what, detail::over_sets::worst, true);
}
/// Of all test rows together.
template <scale In> quantity_of<In> pooled(measure<In> what) {
  return detail::over("pooled", all_rows(), what, detail::over_sets::mean, true);
}
/// Of one fold.
template <scale In> quantity_of<In> in_fold(std::string held_out, measure<In> what) {
  const std::string name = "in_fold(" + held_out + ", " + what.text() + ")";
  const auto found = detail::over("", fold_of(std::move(held_out)), what, detail::over_sets::mean, true);
  return {name, [found](const scope& where) { return found(where); }};
}

// ---- how many --------------------------------------------------------------------------------------------------

namespace detail {

RAFTER_COLD inline reading count_in(const scope& where, const row_sets& over, const row_test& test, bool as_share) {
  const place at = find_predictor(where);
  if (!at.unknown.empty()) return reading::nothing(at.unknown);
  bool needed = false;
  for (const row_test::comparison& one : test.comparisons()) needed = needed || one.what.summarised == nullptr;
  const found_rows rows = rows_in(over, at, needed);
  if (!rows.unknown.empty()) return reading::nothing(rows.unknown);
  std::size_t yes = 0;
  std::vector<std::string> unknown, holding, failing;
  for (const rows_of& one : rows.sets) {
    const truth holds = test([&](const row_test::comparison& leaf) { return one.value_of(leaf.what); });
    yes += holds == truth::yes;
    (holds == truth::yes ? holding : holds == truth::no ? failing : unknown).push_back(one.label);
  }
  const auto total = static_cast<double>(rows.sets.size());
  const double by = as_share ? total : 1.0;
  reading made;
  made.value = made.lowest = static_cast<double>(yes) / by;
  made.highest = static_cast<double>(yes + unknown.size()) / by;
  if (!as_share) {
    made.most = total;
    made.most_of = over.text();
  }
  made.shown = (as_share ? std::to_string(yes) + " " : "") + "of " + std::to_string(rows.sets.size());
  if (!unknown.empty()) {
    made.unknown = std::to_string(unknown.size()) + " of " + std::to_string(rows.sets.size()) + " are undefined ('" +
                   unknown.front() + "')";
  }
  const bool name_failing = failing.size() <= holding.size();
  const std::vector<std::string>& named = name_failing ? failing : holding;
  constexpr std::size_t most = 3;
  for (std::size_t i = 0; i < std::min(most, named.size()); ++i) {
    made.decided_by += (i > 0 ? ", " : name_failing ? "not in " : "in ") + named[i];
  }
  if (named.size() > most) made.decided_by += " and " + std::to_string(named.size() - most) + " more";
  return made;
}

}  // namespace detail

/// How many of them the test holds for.
inline number count_of(const row_sets& sets, const row_test& test) {
  return {"count_of(" + sets.text() + ", " + test.text() + ")",
          [=](const scope& where) { return detail::count_in(where, sets, test, false); }};
}
/// The same as a share: for claims of 12 of 16 on data that has not 16.
inline fraction share_of(const row_sets& sets, const row_test& test) {
  return {"share_of(" + sets.text() + ", " + test.text() + ")",
          [=](const scope& where) { return detail::count_in(where, sets, test, true); }};
}

// ---- what was fitted -------------------------------------------------------------------------------------------

/// Parameters of a parametric predictor, by name.
struct parameter_selection {
  std::string_view text;
  std::string_view part;  ///< that their names contain
  bool exact = false;
};
inline constexpr parameter_selection factors{"factors", "factor"};
inline constexpr parameter_selection all_parameters{"all_parameters", ""};
/// @param name  must outlive the hypothesis, as a literal does
constexpr parameter_selection parameter(std::string_view name) { return {name, name, true}; }

namespace detail {

RAFTER_COLD inline reading largest_variation(const scope& where, const parameter_selection& asked) {
  const place at = find_predictor(where);
  if (!at.unknown.empty()) return reading::nothing(at.unknown);
  if (!is_parametric(*at.result)) return reading::nothing(at.result->predictor + " has no parameters with names");
  reading made = reading::exactly(0.0);
  std::size_t matching = 0, unsure = 0;
  std::vector<std::string> names;
  for (const parameter_stability& one : stability_of(*at.result)) {
    names.push_back(one.name);
    const bool wanted = asked.exact ? one.name == asked.part : one.name.find(asked.part) != std::string::npos;
    if (!wanted || one.held == one.folds) continue;
    ++matching;
    if (one.comparable()) {
      if (one.variation >= made.lowest) {
        made.value = made.lowest = one.variation;
        made.decided_by = one.name;
      }
      continue;
    }
    ++unsure;
    if (unsure <= 2) {
      made.unknown += (unsure > 1 ? ", " : "") + one.name + " is " +
                      (one.folds < 2   ? "of one fold"
                       : one.one_fit() ? "the same in all folds"
                                       : one.states());
    }
  }
  if (matching == 0) {
    return reading::nothing(at.result->predictor + " has no parameter '" + std::string(asked.text) + "'" +
                            (asked.exact ? did_you_mean(asked.part, names) : std::string()));
  }
  if (unsure > 2) made.unknown += " and " + std::to_string(unsure - 2) + " more";
  made.highest = unsure > 0 ? std::numeric_limits<double>::infinity() : made.lowest;
  if (unsure == matching) made.value = made.lowest = reading::undefined;
  if (unsure > 0 && unsure < matching) made.shown = "at least " + value_text(made.lowest, scale::number);
  return made;
}

}  // namespace detail

/// The largest coefficient of variation over the folds (deviation / |mean|) of any of these parameters. A parameter that
/// some fold's rows do not determine makes it unknown, unless another is beyond the threshold anyway.
inline number coefficient_of_variation(const parameter_selection& of) {
  return {"coefficient_of_variation(" + std::string(of.text) + ")",
          [=](const scope& where) { return detail::largest_variation(where, of); }};
}

namespace detail {
template <class Read> number of_predictor(std::string text, Read read) {
  return {std::move(text), [=](const scope& where) {
            const place at = find_predictor(where);
            return at.unknown.empty() ? reading::exactly(read(*at.result)) : reading::nothing(at.unknown);
          }};
}
template <class Read> fraction of_split(std::string text, Read read) {
  return {std::move(text), [=](const scope& where) {
            const place at = find_predictor(where);
            if (!at.unknown.empty()) return reading::nothing(at.unknown);
            const auto& split = at.result->split;
            if (!split) return reading::nothing("the error of " + at.result->predictor + " was not split");
            if (!split->refused.empty()) return reading::nothing(split->refused);
            return reading::exactly(read(*split), split->held_out);
          }};
}
}  // namespace detail

/// Of the form; the most of any fold. Of trees: leaves and thresholds.
inline number parameter_count() {
  return detail::of_predictor("parameter_count()",
                              [](const predictor_result& of) { return static_cast<double>(of.parameters()); });
}
/// The fewest that any fold's rows determined.
inline number identifiable_count() {
  return detail::of_predictor("identifiable_count()",
                              [](const predictor_result& of) { return static_cast<double>(of.identifiable()); });
}
/// Of the worst fold (evaluation/error_split.hpp): what the form cannot express, and what did not transfer.
inline fraction backbone_error() {
  return detail::of_split("backbone_error()", [](const error_split& of) { return of.backbone_error(); });
}
inline fraction correction_error() {
  return detail::of_split("correction_error()", [](const error_split& of) { return of.correction_error(); });
}

namespace detail {
inline number of_importance(std::string text, double importance_agreement::*which) {
  return {std::move(text), [=](const scope& where) {
            const place at = find_predictor(where);
            if (!at.unknown.empty()) return reading::nothing(at.unknown);
            for (const auto& [predictor, found] : at.at->importances) {
              if (predictor == at.result->predictor) return reading::exactly(found.*which);
            }
            return reading::nothing("no importances of " + at.result->predictor + " under '" + at.at->name +
                                    "' were given");
          }};
}
}  // namespace detail

/// Over all pairs of folds: the mean Spearman and Kendall correlation of the features' importances, the worst Spearman,
/// and the mean share that the first k features have in common.
inline number importance_spearman() {
  return detail::of_importance("importance_spearman()", &importance_agreement::spearman);
}
inline number importance_worst_spearman() {
  return detail::of_importance("importance_worst_spearman()", &importance_agreement::worst_spearman);
}
inline number importance_kendall() {
  return detail::of_importance("importance_kendall()", &importance_agreement::kendall);
}
inline number importance_overlap() {
  return detail::of_importance("importance_overlap()", &importance_agreement::overlap);
}

/// The same by a name of its own, where its formula says less.
template <scale In> quantity_of<In> called(std::string name, const quantity_of<In>& what) {
  return {std::move(name), [what](const scope& where) { return what(where); }};
}

// ---- where ------------------------------------------------------------------------------------------------------

/// Of that predictor, whatever is said further out.
template <scale In> quantity_of<In> of(std::string predictor, const quantity_of<In>& what) {
  std::string text = what.wrapped() + " of " + predictor;
  return {std::move(text), [what, predictor = std::move(predictor)](scope where) {
            where.predictor = predictor;
            return what(where);
          }};
}
/// Under that evaluation.
template <scale In> quantity_of<In> under(std::string evaluation, const quantity_of<In>& what) {
  std::string text = what.wrapped() + " under " + evaluation;
  return {std::move(text), [what, evaluation = std::move(evaluation)](scope where) {
            where.evaluation = evaluation;
            return what(where);
          }};
}

}  // namespace rafter::hypotheses
