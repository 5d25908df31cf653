// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: the language of hypotheses takes a second or two to compile; for those who state them.
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "rafter/config.hpp"
#include "rafter/evaluation/hypothesis/evidence.hpp"
#include "rafter/evaluation/hypothesis/measure.hpp"
#include "rafter/evaluation/hypothesis/quantity.hpp"
#include "rafter/evaluation/hypothesis/row_sets.hpp"

/// The language of hypotheses: ordinary expressions that say themselves as text and are judged by evidence.
namespace rafter::hypotheses {

template <class Test> struct write_a_quantifier;  // read in a message, never defined

/// Something that evidence shows to be so, or not so, or leaves unknown.
class condition {
 public:
  using judged = std::function<finding(const scope&)>;
  condition(std::string text, judged how, bool compound = false)
      : text_(std::move(text)), how_(std::move(how)), compound_(compound) {}
  template <std::same_as<row_test> Test> condition(const Test&) {
    static_assert(satisfied<write_a_quantifier<Test>>,
                  "rafter: of which rows? write every_fold(mape < 20_pct), any_fold(...) or "
                  "every(labels_of(...), ...)");
  }

  /// "every_fold(mape < 20 %) of roofline9 under lomo"
  const std::string& text() const { return text_; }
  std::string wrapped() const { return compound_ ? "(" + text_ + ")" : text_; }
  finding operator()(const scope& where) const { return how_(where); }

 private:
  std::string text_;
  judged how_;
  bool compound_;
};

namespace detail {

RAFTER_COLD inline finding both(finding a, finding b, bool conjunction) {
  finding made;
  made.holds = conjunction ? all_of(a.holds, b.holds) : any_of(a.holds, b.holds);
  if (made.holds == truth::unknown) made.why_unknown = joined_reasons(a.why_unknown, b.why_unknown);
  made.lines = std::move(a.lines);
  made.lines.insert(made.lines.end(), b.lines.begin(), b.lines.end());
  if (conjunction) {
    made.parts = std::move(a.parts);
    made.parts.insert(made.parts.end(), b.parts.begin(), b.parts.end());
  } else {
    made.parts = {made.holds};
  }
  return made;
}
inline condition joined(const condition& a, const condition& b, bool conjunction) {
  return {a.wrapped() + (conjunction ? " && " : " || ") + b.wrapped(),
          [=](const scope& where) { return both(a(where), b(where), conjunction); }, true};
}

}  // namespace detail

inline condition operator&&(const condition& a, const condition& b) { return detail::joined(a, b, true); }
inline condition operator||(const condition& a, const condition& b) { return detail::joined(a, b, false); }
inline condition operator!(const condition& a) {
  return {"!(" + a.text() + ")", [=](const scope& where) {
            finding found = a(where);
            found.holds = negated(found.holds);
            found.parts = {found.holds};
            return found;
          }};
}

// ---- quantifiers ------------------------------------------------------------------------------------------------

namespace detail {

RAFTER_COLD inline evidence_line line_of(const row_test::comparison& leaf, const rows_of& rows) {
  evidence_line line;
  line.in = leaf.what.in;
  line.measured = rows.value_of(leaf.what);
  line.threshold = leaf.to.value;
  line.margin = margin_of(line.measured, leaf.is, leaf.to.value);
  line.decided_by = rows.label;
  return line;
}

/// Every, or any.
RAFTER_COLD inline finding quantified(const scope& where, const row_sets& over, const row_test& test, bool every,
                                      const std::string& text) {
  const auto unknown = [&](const std::string& why) {
    evidence_line line;
    line.condition = text + where.text();
    line.why_unknown = why;
    return finding::of(truth::unknown, why, {line});
  };
  const place at = find_predictor(where);
  if (!at.unknown.empty()) return unknown(at.unknown);
  bool needed = false;
  for (const row_test::comparison& one : test.comparisons()) needed = needed || one.what.summarised == nullptr;
  const found_rows rows = rows_in(over, at, needed);
  if (!rows.unknown.empty()) return unknown(rows.unknown);

  std::vector<truth> holds;
  truth all = every ? truth::yes : truth::no;
  std::string why;
  const rows_of* decisive = nullptr;  // the first set of rows that the outcome is owed to
  for (const rows_of& one : rows.sets) {
    holds.push_back(test([&](const row_test::comparison& leaf) { return one.value_of(leaf.what); }));
    all = every ? all_of(all, holds.back()) : any_of(all, holds.back());
    if (holds.back() == truth::unknown && why.empty()) {
      why = "an error of " + std::string(over.unit()) + " '" + one.label + "' is undefined";
    }
  }
  for (std::size_t i = 0; i < holds.size() && decisive == nullptr; ++i) {
    if (holds[i] == all) decisive = &rows.sets[i];
  }
  // Of one comparison, the set that is nearest to the threshold or farthest beyond it; of several, where all was decided.
  const bool every_counts = all == (every ? truth::yes : truth::no);
  std::vector<evidence_line> lines;
  const bool several = test.comparisons().size() > 1;
  if (several) {
    evidence_line head;
    head.condition = text + where.text();
    head.holds = all;
    if (!every_counts && decisive != nullptr) head.decided_by = decisive->label;
    if (all == truth::unknown) head.why_unknown = why;
    lines.push_back(std::move(head));
  }
  for (const row_test::comparison& leaf : test.comparisons()) {
    const rows_of* chosen = decisive;
    if (all != truth::unknown && (every_counts || !several)) {
      double extreme = std::numeric_limits<double>::quiet_NaN();
      for (std::size_t i = 0; i < rows.sets.size(); ++i) {
        const double value = rows.sets[i].value_of(leaf.what);
        if (std::isnan(value)) continue;
        const double margin = margin_of(value, leaf.is, leaf.to.value);
        if (std::isnan(extreme) || (every ? margin < extreme : margin > extreme)) {
          extreme = margin;
          chosen = &rows.sets[i];
        }
      }
    }
    evidence_line line = line_of(leaf, *chosen);
    line.condition = several ? leaf.text() : text + where.text();
    line.part = several;
    line.holds = !several ? all
                 : std::isnan(line.measured)
                     ? truth::unknown
                     : known(rafter::hypotheses::holds(line.measured, leaf.is, leaf.to.value));
    if (line.holds == truth::unknown) line.why_unknown = why;
    if (where.known->interval && !std::isnan(line.measured)) {
      line.interval = where.known->interval({at.at->name,
                                             at.result->predictor,
                                             leaf.what.name,
                                             leaf.what.evaluate,
                                             leaf.what.absolute,
                                             interval_request::statistic::value,
                                             {chosen->columns()},
                                             {},
                                             0,
                                             over.unit(),
                                             at.at->view});
    }
    lines.push_back(std::move(line));
  }
  return finding::of(all, all == truth::unknown ? why : std::string(), std::move(lines));
}

inline condition quantifier(std::string text, const row_sets& over, const row_test& test, bool every) {
  std::string copy = text;
  return {std::move(text), [over, test, every, copy = std::move(copy)](const scope& where) {
            return quantified(where, over, test, every, copy);
          }};
}

}  // namespace detail

/// For each of them: `every(labels_of(group::workload), mape < 25_pct)`. Of none at all nothing is said.
inline condition every(const row_sets& sets, const row_test& test) {
  return detail::quantifier("every(" + sets.text() + ", " + test.text() + ")", sets, test, true);
}
inline condition any(const row_sets& sets, const row_test& test) {
  return detail::quantifier("any(" + sets.text() + ", " + test.text() + ")", sets, test, false);
}
inline condition every_fold(const row_test& test) {
  return detail::quantifier("every_fold(" + test.text() + ")", folds(), test, true);
}
inline condition any_fold(const row_test& test) {
  return detail::quantifier("any_fold(" + test.text() + ")", folds(), test, false);
}

// ---- comparisons of quantities ----------------------------------------------------------------------------------

namespace detail {

inline bool inside(const std::optional<value_interval>& interval, double value) {
  return interval && interval->lower < value && value < interval->upper;
}

/// @param to  a threshold that is known
RAFTER_COLD inline finding compared(const scope& where, const reading& found, relation is, double to, scale in,
                                    const std::string& text) {
  evidence_line line;
  line.condition = text + where.text();
  line.in = in;
  line.threshold = to;
  line.measured = found.value;
  line.decided_by = found.shown.empty()        ? found.decided_by
                    : found.decided_by.empty() ? found.shown
                                               : found.shown + "; " + found.decided_by;
  std::string why = found.unknown;
  const bool upward = is == relation::above || is == relation::at_least;
  if (upward && !std::isnan(found.lowest) && !holds(found.most, is, to)) {
    why = "there are only " + value_text(found.most, scale::number) + " " + found.most_of;
  } else if (!std::isnan(found.lowest) && !std::isnan(found.highest)) {
    const bool low = holds(found.lowest, is, to), high = holds(found.highest, is, to);
    if (low == high) {
      line.holds = known(low);
      line.margin = margin_of(found.value, is, to);
      line.interval = found.interval;
    }
  }
  if (line.holds == truth::unknown) line.why_unknown = why.empty() ? "it is undefined" : why;
  return finding::of(line.holds, line.why_unknown, {line});
}

template <scale In, class T> condition comparison(const quantity_of<In>& what, relation is, const T& to) {
  const std::string sign = " " + std::string(name_of(is)) + " ";
  if constexpr (std::is_same_v<T, quantity_of<In>>) {
    const std::string text = what.text() + sign + to.text();
    return {text,
            [=](const scope& where) {
              const reading limit = to(where);
              if (limit.is_exact()) {
                reading found = what(where);
                // Paired: that both err more on the same folds says nothing of which is better.
                found.interval = detail::of_difference(where, found, limit);
                if (found.interval) found.interval->lower += limit.value, found.interval->upper += limit.value;
                return compared(where, found, is, limit.value, In, text);
              }
              const reading found = what(where);
              return compared(where, reading::nothing(joined_reasons(found.unknown, limit.unknown)), is,
                              std::numeric_limits<double>::quiet_NaN(), In, text);
            },
            true};
  } else {
    const threshold limit = threshold_in<In>(to);
    const std::string text = what.text() + sign + limit.text;
    return {text, [=](const scope& where) { return compared(where, what(where), is, limit.value, In, text); }, true};
  }
}

}  // namespace detail

template <scale In, class T> condition operator<(const quantity_of<In>& what, const T& to) {
  return detail::comparison(what, relation::below, to);
}
template <scale In, class T> condition operator<=(const quantity_of<In>& what, const T& to) {
  return detail::comparison(what, relation::at_most, to);
}
template <scale In, class T> condition operator>(const quantity_of<In>& what, const T& to) {
  return detail::comparison(what, relation::above, to);
}
template <scale In, class T> condition operator>=(const quantity_of<In>& what, const T& to) {
  return detail::comparison(what, relation::at_least, to);
}

namespace detail {
/// The same condition by another text.
inline condition renamed(const std::string& text, const condition& what) {
  return {text, [text, what](const scope& where) {
            finding found = what(where);
            for (evidence_line& one : found.lines) one.condition = text + where.text();
            return found;
          }};
}
}  // namespace detail

/// The first is at most so many points above the second.
inline condition within(percent points, const fraction& what, const fraction& of_other) {
  return detail::renamed("within(" + points.text() + ", " + what.text() + ", " + of_other.text() + ")",
                         what - of_other <= points);
}

/// The error is smaller than that of another predictor under the same evaluation.
inline condition better_than(const std::string& other, const fraction& by) {
  return detail::renamed("better_than(" + other + ", " + by.text() + ")", by < of(other, by));
}
inline condition better_than(const std::string& other) { return better_than(other, mean_over_folds(mape)); }
/// `better_than<predictors::blackbox>(worst_fold(mape))`
template <class Estimator> condition better_than(const fraction& by = mean_over_folds(mape)) {
  return better_than(std::string(Estimator::label), by);
}

/// Do the folds agree which features matter: is the mean Spearman correlation of their importances at least that?
inline condition importance_stable(double at_least = 0.8) {
  return detail::renamed("importance_stable(" + detail::threshold_text(at_least, scale::number) + ")",
                         importance_spearman() >= at_least);
}

/// Can the target be what it says (evaluation/plausibility.hpp)?
inline condition plausible_target() {
  return {"plausible_target()", [](const scope& where) {
            evidence_line line;
            line.condition = "plausible_target()" + where.text();
            const detail::place at = detail::find_evaluation(where);
            const plausibility_report* const audit = at.report_audit();
            if (!at.unknown.empty()) {
              line.why_unknown = at.unknown;
            } else if (!audit->audited || audit->all.rows == 0) {
              line.why_unknown = audit->verdict();
            } else {
              line.holds = known(audit->plausible());
              line.in = scale::fraction;
              line.measured = audit->all.share_below();
              line.threshold = tolerated_share_below_floor;
              line.margin = line.threshold - line.measured;
              line.decided_by = audit->target;
            }
            return finding::of(line.holds, line.why_unknown, {line});
          }};
}

// ---- where ------------------------------------------------------------------------------------------------------

inline condition of(std::string predictor, const condition& what) {
  std::string text = what.wrapped() + " of " + predictor;
  return {std::move(text), [what, predictor = std::move(predictor)](scope where) {
            where.predictor = predictor;
            return what(where);
          }};
}
inline condition under(std::string evaluation, const condition& what) {
  std::string text = what.wrapped() + " under " + evaluation;
  return {std::move(text), [what, evaluation = std::move(evaluation)](scope where) {
            where.evaluation = evaluation;
            return what(where);
          }};
}
/// Of each of several predictors, or of one of them at least.
inline condition of_each(const std::vector<std::string>& predictors, const condition& what) {
  if (predictors.empty()) throw hypothesis_error("of_each: no predictor is named");
  condition made = of(predictors.front(), what);
  for (std::size_t i = 1; i < predictors.size(); ++i) made = made && of(predictors[i], what);
  return made;
}
inline condition of_any(const std::vector<std::string>& predictors, const condition& what) {
  if (predictors.empty()) throw hypothesis_error("of_any: no predictor is named");
  condition made = of(predictors.front(), what);
  for (std::size_t i = 1; i < predictors.size(); ++i) made = made || of(predictors[i], what);
  return made;
}
/// Errors against a target that the audit calls implausible are taken for what they say. Without this nothing is said of
/// such a target.
inline condition at_face_value(const condition& what) {
  return {"at_face_value(" + what.text() + ")", [=](scope where) {
            where.face_value = true;
            return what(where);
          }};
}

/// A quantity to be shown among the evidence, of any scale.
class observation {
 public:
  template <scale In>
  observation(const quantity_of<In>& what)
      : show_([what](const scope& where) {
          const reading found = what(where);
          evidence_line line;
          line.role = "observed";
          line.condition = what.text() + where.text();
          line.in = In;
          line.measured = found.value;
          line.holds = found.is_exact() ? truth::yes : truth::unknown;
          line.why_unknown = found.unknown;
          line.decided_by = found.shown.empty() ? found.decided_by : found.shown;
          line.interval = found.interval;
          return line;
        }) {}
  evidence_line operator()(const scope& where) const { return show_(where); }

 private:
  std::function<evidence_line(const scope&)> show_;
};

}  // namespace rafter::hypotheses
