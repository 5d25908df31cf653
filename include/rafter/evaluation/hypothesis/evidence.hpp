// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: the language of hypotheses takes a second or two to compile; for those who state them.
#pragma once

#include <cstddef>
#include <functional>
#include <initializer_list>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rafter/config.hpp"
#include "rafter/core/error.hpp"
#include "rafter/core/nearest_name.hpp"
#include "rafter/evaluation/hypothesis/truth.hpp"
#include "rafter/evaluation/report.hpp"
#include "rafter/evaluation/step_view.hpp"

/// What hypotheses are judged by: evaluations that have been made, each by a name.
namespace rafter::hypotheses {

/// A hypothesis that says two things at once; names it.
struct hypothesis_error : error {
  using error::error;
};

/// Do the folds of a predictor agree on which features matter? The numbers of an importance_stability_result
/// (evaluation/importance.hpp), without what computes them.
struct importance_agreement {
  std::string measure;
  std::size_t folds = 0, k = 0;
  double spearman = std::numeric_limits<double>::quiet_NaN();        ///< mean over the pairs of folds
  double worst_spearman = std::numeric_limits<double>::quiet_NaN();  ///< of any pair
  double kendall = std::numeric_limits<double>::quiet_NaN();
  double overlap = std::numeric_limits<double>::quiet_NaN();  ///< of the first k
};
template <class Stability> importance_agreement agreement_of(const Stability& of) {
  return {of.measure, of.folds, of.k, of.spearman.mean, of.spearman.worst, of.kendall.mean, of.overlap.mean};
}

/// One evaluation. What it points to must outlive the judging.
struct evaluation_evidence {
  std::string name;                           ///< that `under` says: "temporal", "lomo", "lomo on interval_us"
  const evaluation_report* report = nullptr;  ///< null: there is none
  const step_view* view = nullptr;            ///< of the tested rows; null: conditions about labels are unknown
  std::string why_not = {};                   ///< there is no report
  std::vector<std::pair<std::string, importance_agreement>> importances = {};  ///< by predictor
};

struct value_interval {
  double lower = 0.0, upper = 0.0;
  std::string how = {};  ///< what it is of: "95 %, 15 folds drawn again"
};

/// A measured value that an uncertainty may be computed of: a statistic of one or more sets of rows.
struct interval_request {
  enum class statistic { value, mean, median, worst };
  struct columns {
    std::string_view label;  ///< fold or group
    std::span<const double> actual, predicted;
    std::vector<std::size_t> rows = {};  ///< their numbers in the data; empty where they are not known
  };
  std::string_view evaluation, predictor, metric;
  double (*evaluate)(std::span<const double> actual, std::span<const double> predicted) = nullptr;
  bool absolute = false;            ///< of the magnitude of the metric
  statistic of = statistic::value;  ///< over the sets; `value`: there is one set
  std::vector<columns> sets;        ///< empty of a difference between two predictors
  std::vector<double> values = {};  ///< of each set, or each set's difference; empty of `value`
  std::size_t worst = 0;            ///< which set `worst` is
  std::string_view unit = "fold";   ///< what a set is: "fold", "model"
  const step_view* view = nullptr;  ///< of the data; may be null
};
using interval_function = std::function<std::optional<value_interval>(const interval_request&)>;

/// All that is known: evaluations by name, in any order.
struct evidence {
  std::vector<evaluation_evidence> evaluations;
  interval_function interval;  ///< may be empty; a value whose interval holds the threshold is too close to call

  evidence() = default;
  evidence(std::initializer_list<evaluation_evidence> given) : evaluations(given) {}
};

/// One thing that a condition looked at. Plain fields for whoever writes them down.
struct evidence_line {
  static constexpr double undefined = std::numeric_limits<double>::quiet_NaN();
  std::string
      role;  ///< "supported_if", "refuted_if", "short_circuit_if", "success_metric"; "observed": it decides nothing
  std::string condition;  ///< as the hypothesis says it
  truth holds = truth::unknown;
  std::string why_unknown;
  scale in = scale::number;
  double measured = undefined;   ///< a fraction where `in` is one
  double threshold = undefined;  ///< likewise
  double margin = undefined;     ///< to the threshold; negative: on the wrong side of it
  std::string decided_by;        ///< the fold or the group that is nearest to, or farthest beyond, the threshold
  std::optional<value_interval> interval;
  bool too_close = false;  ///< the interval holds the threshold
  bool part = false;       ///< one of several comparisons of the line before
};

/// What has been found of a condition, with what it was found from.
struct finding {
  truth holds = truth::unknown;
  std::string why_unknown;
  std::vector<evidence_line> lines;
  std::vector<truth> parts;  ///< what && joins at the outermost level

  static finding of(truth value, std::string reason, std::vector<evidence_line> lines = {}) {
    return {value, std::move(reason), std::move(lines), {value}};
  }
};

/// Where a condition stands: under which evaluation, of which predictor.
struct scope {
  const evidence* known = nullptr;
  std::string_view evaluation = {}, predictor = {};
  bool face_value = false;  ///< an implausible target is taken for what it says

  std::string text() const {
    return (predictor.empty() ? "" : " of " + std::string(predictor)) +
           (evaluation.empty() ? "" : " under " + std::string(evaluation)) + (face_value ? " at face value" : "");
  }
};

namespace detail {

/// The evaluation and the predictor that a scope names, or why there are none.
struct place {
  const evaluation_evidence* at = nullptr;
  const predictor_result* result = nullptr;
  std::string unknown;

  const plausibility_report* report_audit() const {
    return at == nullptr || at->report == nullptr ? nullptr : &at->report->plausibility;
  }
};

template <class Things, class Name> std::vector<std::string> names_in(const Things& things, Name name) {
  std::vector<std::string> names;
  for (const auto& one : things) names.push_back(name(one));
  return names;
}

RAFTER_COLD inline place find_evaluation(const scope& where) {
  place found;
  const auto& all = where.known->evaluations;
  if (where.evaluation.empty()) {
    if (all.size() == 1) {
      found.at = &all.front();
    } else {
      found.unknown = all.empty() ? "there is no evaluation" : "it does not say under which evaluation";
      return found;
    }
  }
  for (const evaluation_evidence& one : all) {
    if (one.name == where.evaluation) found.at = &one;
  }
  if (found.at == nullptr) {
    found.unknown =
        "there is no evaluation '" + std::string(where.evaluation) + "'" +
        did_you_mean(where.evaluation, names_in(all, [](const evaluation_evidence& one) { return one.name; }));
  } else if (found.at->report == nullptr) {
    found.unknown = "no evaluation '" + found.at->name + "'" +
                    (found.at->why_not.empty() ? std::string() : ": " + found.at->why_not);
  }
  return found;
}

inline std::string implausible(const plausibility_report& audit) {
  if (!audit.audited || audit.all.rows == 0 || audit.plausible()) return {};
  return "the target '" + audit.target + "' is implausible: " + value_text(audit.all.share_below(), scale::fraction) +
         " of the rows are below the time to read the weights once";
}

RAFTER_COLD inline place find_predictor(const scope& where) {
  place found = find_evaluation(where);
  if (!found.unknown.empty()) return found;
  const evaluation_report& report = *found.at->report;
  if (!where.face_value) {
    found.unknown = implausible(report.plausibility);
    if (found.unknown.empty() && report.test) found.unknown = implausible(report.test->plausibility);
    if (!found.unknown.empty()) return found;
  }
  if (where.predictor.empty() && report.results.size() == 1) {
    found.result = &report.results.front();
  } else if (where.predictor.empty()) {
    found.unknown = "it does not say of which predictor";
    return found;
  } else {
    found.result = report.find(where.predictor);
  }
  if (found.result == nullptr) {
    found.unknown = "no predictor '" + std::string(where.predictor) + "' was evaluated under '" + found.at->name +
                    "'" +
                    did_you_mean(where.predictor,
                                 names_in(report.results, [](const predictor_result& one) { return one.predictor; }));
  } else if (!found.result->refused.empty()) {
    found.unknown =
        found.result->predictor + " was not evaluated under '" + found.at->name + "': " + found.result->refused;
  } else if (found.result->folds.empty()) {
    found.unknown = found.result->predictor + " has no folds under '" + found.at->name + "'";
  }
  return found;
}

inline std::string joined_reasons(const std::string& a, const std::string& b) {
  if (a.empty() || b.empty() || a.find(b) != std::string::npos) return a.empty() ? b : a;
  return b.find(a) != std::string::npos ? b : a + "; " + b;
}

}  // namespace detail

}  // namespace rafter::hypotheses
