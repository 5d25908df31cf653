// rafter-study: evaluates predictors, chosen by name at run time, on one schema. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <concepts>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "../common/command_line.hpp"
#include "diagnose.hpp"
#include "rafter/estimator/predictors.hpp"
#include "rafter/evaluation/diagnostics/parameter_sensitivity.hpp"
#include "rafter/evaluation/diagnostics/probes.hpp"
#include "rafter/evaluation/evaluate.hpp"
#include "rafter/evaluation/transfer.hpp"
#include "rafter/evaluation/uncertainty/conformal.hpp"
#include "rafter/step/digest.hpp"
#include "rafter/validation/k_fold.hpp"
#include "rafter/validation/leave_one_group_out.hpp"
#include "study.hpp"

namespace study {

/// A predictor by name: the first estimator that the split lets transfer. The later ones stand in where the features
/// of those before would identify what the split holds out.
template <class Estimator, class... StandIns> struct entry {
  static constexpr std::string_view name = Estimator::label;
};

/// The same with a learning curve in the report, and with prediction intervals too.
template <class Estimator, class... StandIns> struct entry_with_curve : entry<Estimator, StandIns...> {};
template <class Estimator> struct entry_with_intervals : entry<Estimator> {};

/// What is evaluated: on folds of the data, or fitted on all of it and tested on other data.
template <class Schema> struct task {
  const rafter::dataset<Schema>& data;
  const rafter::dataset<Schema>* test = nullptr;
  const chosen_split& split;
  rafter::evaluate_options options = {};
  std::vector<rafter::probe<Schema>> probes = {};  ///< of the tested data
  more_results* more = nullptr;                    ///< null: errors alone
  std::vector<std::string>* notes = nullptr;       ///< what could not be said, and why
  rafter::fit_memos<Schema>* fits = nullptr;       ///< of `data`
  bool ablation = false;
  bool alone = false;  ///< one predictor was asked for: what it cannot do is the program's error
};

/// What else is said of a predictor with features; see features.hpp.
template <class E, class Predictor> struct measures_of_features {
  template <class Schema> static void add(const task<Schema>&, const rafter::evaluated<Predictor>&, more_results&) {}
};

template <class E, class Predictor, class Schema>
RAFTER_COLD void add_more(const task<Schema>& what, const rafter::evaluated<Predictor>& outcome) {
  if (what.more == nullptr || what.test != nullptr) return;
  // What a diagnosis cannot say is a note, and no reason to lose the errors.
  const auto attempt = [&](const char* of, auto make) {
    try {
      make();
    } catch (const rafter::error& why) {
      what.notes->push_back(outcome.result.predictor + ": no " + of + ": " + why.what());
    }
  };
  if constexpr (rafter::has_adjustable_parameters<Predictor>) {
    attempt("sensitivity to parameters", [&] {
      what.more->sensitivities.push_back(rafter::parameter_sensitivity(what.data, what.split.folds, outcome));
    });
  }
  attempt("measures of features", [&] { measures_of_features<E, Predictor>::add(what, outcome, *what.more); });
}

template <class E, class Schema>
RAFTER_COLD rafter::predictor_result evaluate_one(const task<Schema>& what, std::string_view label) {
  constexpr std::string_view missing = E::template missing_on<Schema>();
  if constexpr (!missing.empty()) {
    return {.predictor = std::string(label),
            .description = E::name(),
            .folds = {},
            .refused = "it needs the observable '" + std::string(missing) + "', which schema " +
                       std::string(Schema::name) + " does not carry"};
  } else {
    auto outcome =
        what.test != nullptr
            ? rafter::evaluate_transfer<E>(what.data, *what.test, what.options, what.probes)
            : rafter::evaluate_on_folds<E>(what.data, what.split.folds, what.options, what.probes, what.fits);
    add_more<E>(what, outcome);
    return std::move(outcome.result);
  }
}

/// Has the estimator something to say of what the split holds out, without learning who that is?
template <class E> bool transfers(const chosen_split& split) {
  for (std::size_t axis = 0; axis < rafter::group_axes; ++axis) {
    const auto which = static_cast<rafter::group>(axis);
    if (split.holds_out[axis] && (!E::reads_identity(which).empty() || E::fitted_per(which))) return false;
  }
  return true;
}

/// Evaluates the first estimator that transfers under the split, or says why none does.
template <class Schema, class E, class... StandIns>
RAFTER_COLD rafter::predictor_result run_entry(entry<E, StandIns...>, const task<Schema>& what,
                                               std::vector<std::string>& notes) {
  using namespace rafter;
  std::optional<predictor_result> result;
  std::string left_out;
  const auto attempt = [&]<class One>() {
    if (result) return;
    if (!transfers<One>(what.split)) {
      for (std::size_t axis = 0; axis < group_axes && left_out.empty(); ++axis) {
        if (what.split.holds_out[axis]) left_out = One::reads_identity(static_cast<group>(axis));
      }
      return;
    }
    try {
      result = evaluate_one<One>(what, E::label);
    } catch (const evaluation_error& why) {
      if (what.alone) throw;
      // of this predictor: the others may do
      result = predictor_result{
          .predictor = std::string(E::label), .description = One::name(), .folds = {}, .refused = why.what()};
    }
  };
  attempt.template operator()<E>();
  (attempt.template operator()<StandIns>(), ...);
  if (!result) {
    return {.predictor = std::string(E::label),
            .description = E::name(),
            .folds = {},
            .refused = "it knows or is fitted per group, and split " + what.split.name + " holds groups out"};
  }
  if (!left_out.empty()) {
    notes.push_back(std::string(E::label) + ": without its feature '" + left_out +
                    "', which identifies what training has not seen");
  }
  return *std::move(result);
}

/// Intervals for new rows of the groups that are known; for rows of a workload that is not.
struct intervals_of_known_groups : rafter::conformal_defaults {
  static constexpr rafter::conformal_rule rule = rafter::conformal_rule::pooled;
};
struct intervals_of_new_workloads : rafter::conformal_defaults {
  static constexpr rafter::group exchangeable = rafter::group::workload;
};
struct intervals_of_new_runs : rafter::conformal_defaults {
  static constexpr rafter::group exchangeable = rafter::group::experiment;
};

/// Intervals of 90 %, calibrated inside the training rows by what the split asks of a predictor.
template <class Schema, class E> RAFTER_COLD rafter::interval_result intervals_of(const task<Schema>& what) {
  using namespace rafter;
  const nested_options options{what.options.threads, what.options.progress};
  const auto by = [&]<class Calibration, class Options>() {
    if constexpr (transfers_under<E, Calibration> && E::template missing_on<Schema>().empty()) {
      return evaluate_intervals<E, Calibration, Options>(what.data, what.split.folds, 0.9, options, what.fits);
    } else {
      return interval_result{};
    }
  };
  const auto& out = what.split.holds_out;
  if (out[static_cast<std::size_t>(group::model)]) return by.template operator()<lomo, conformal_defaults>();
  if (out[static_cast<std::size_t>(group::workload)]) {
    return by.template operator()<lowo, intervals_of_new_workloads>();
  }
  if (out[static_cast<std::size_t>(group::experiment)]) {
    return by.template operator()<loeo, intervals_of_new_runs>();
  }
  for (std::size_t axis = 0; axis < group_axes; ++axis) {
    if (!out[axis]) continue;
    throw evaluation_error("they are not calibrated for a " + std::string(name_of(static_cast<group>(axis))) +
                           " never seen");
  }
  return by.template operator()<k_fold, intervals_of_known_groups>();
}

/// Learning curves over whole groups of what the split holds out, else over rows, of the first estimator that transfers.
template <class Schema, class E, class... StandIns>
RAFTER_COLD rafter::learning_curve_result curve_of(const task<Schema>& what) {
  using namespace rafter;
  learning_curve_options options{.fractions = {0.15, 0.4, 1.0}, .by = {}, .seed = 1, .threads = what.options.threads};
  for (const group axis : {group::model, group::workload, group::hardware}) {
    if (!options.by && what.split.holds_out[static_cast<std::size_t>(axis)]) options.by = axis;
  }
  std::optional<learning_curve_result> made;
  const auto attempt = [&]<class One>() {
    if (made || !transfers<One>(what.split)) return;
    if constexpr (One::template missing_on<Schema>().empty()) {
      made = learning_curve<One>(what.data, what.split.folds, options);
    }
  };
  attempt.template operator()<E>();
  (attempt.template operator()<StandIns>(), ...);
  if (!made) throw evaluation_error("it does not transfer under the split");
  return *std::move(made);
}

/// A predictor by name, compiled in whichever translation unit.
template <class Schema> struct named_entry {
  std::string_view name;
  rafter::predictor_result (*evaluate)(const task<Schema>& what, std::vector<std::string>& notes);
  rafter::interval_result (*intervals)(const task<Schema>& what) = nullptr;
  rafter::learning_curve_result (*curve)(const task<Schema>& what) = nullptr;
};
template <class Schema> using entry_list = std::vector<named_entry<Schema>>;

template <class Schema, class Entry> named_entry<Schema> named(Entry) {
  return {Entry::name,
          [](const task<Schema>& what, std::vector<std::string>& notes) { return run_entry(Entry{}, what, notes); }};
}
template <class Schema, class E> named_entry<Schema> named(entry_with_intervals<E> one) {
  named_entry<Schema> made = named<Schema>(static_cast<entry<E>>(one));
  made.intervals = intervals_of<Schema, E>;
  made.curve = curve_of<Schema, E>;
  return made;
}
template <class Schema, class E, class... StandIns> named_entry<Schema> named(entry_with_curve<E, StandIns...> one) {
  named_entry<Schema> made = named<Schema>(static_cast<entry<E, StandIns...>>(one));
  made.curve = curve_of<Schema, E, StandIns...>;
  return made;
}
template <class Schema, class... Entries> entry_list<Schema> entries_of(std::tuple<Entries...>) {
  return {named<Schema>(Entries{})...};
}
template <class Schema, std::same_as<entry_list<Schema>>... More>
entry_list<Schema> joined(entry_list<Schema> first, const More&... more) {
  (first.insert(first.end(), more.begin(), more.end()), ...);
  return first;
}

/// Evaluates what is asked on `all` (and `other`, if given).
template <class Schema>
RAFTER_COLD rafter::evaluation_report run(const request& asked, const entry_list<Schema>& entries,
                                          rafter::dataset<Schema> all,
                                          std::type_identity_t<rafter::dataset<Schema>>* other,
                                          const offer& offered) {
  using namespace rafter;
  const std::string target = asked.target.empty() ? std::string(all.target_name()) : observable_of(asked.target);
  // Most files have the target on every row; nothing is copied then.
  const auto select = [&](dataset<Schema>& from) {
    const bool as_it_is = from.target_name() == target && from.rows_with_target() == from.size();
    return as_it_is ? std::move(from) : from.for_target(target);
  };
  const dataset<Schema> data = select(all);
  std::optional<dataset<Schema>> test;
  if (other != nullptr) test = select(*other);

  evaluation_report report = describe_data(data);
  report.digest = digest(data);
  if (!asked.target.empty()) report.target = report.plausibility.target = asked.target;
  chosen_split split;
  if (test) {
    split.name = "test_file";
    split.title = "fitted on all rows, tested on " + test->source();
    split.holds_out[static_cast<std::size_t>(group::model)] = true;  // whether the files share models is not known
    report.test = {.source = test->source(),
                   .rows = test->size(),
                   .digest = digest(*test),
                   .file_sha256 = {},
                   .plausibility = plausibility(*test)};
    if (!asked.target.empty()) report.test->plausibility.target = asked.target;
    if (report.test->digest == report.digest) {
      throw programs::usage_error("--test " + test->source() + " holds the same steps as --data " + data.source() +
                                  ": nothing would be tested on data not seen");
    }
  } else {
    split = choose_split(asked.split.empty() ? offered.usual_split : asked.split, split_view(data));
  }
  if (asked.tested != tested_steps::all) {
    const auto tested = [&](const dataset<Schema>& from) {
      const auto prompts = from.column(prefill_tokens);
      return row_set::where(from.size(), [&](std::size_t row) {
        return (prompts[row] == 0.0) == (asked.tested == tested_steps::decode);
      });
    };
    const std::string which = asked.tested == tested_steps::decode ? "steps without prompts" : "steps with prompts";
    if (test) test = test->keep(tested(*test));
    const row_set of_data = tested(data);
    std::size_t left_out = 0;
    std::vector<fold> kept;
    for (fold& part : split.folds) {
      part.test = part.test & of_data;
      if (part.test.empty()) {
        ++left_out;
      } else {
        kept.push_back(std::move(part));
      }
    }
    split.folds = std::move(kept);
    if (test ? test->empty() : split.folds.empty()) {
      throw programs::usage_error((test ? test->source() : data.source()) + ": --tested: there are no " + which);
    }
    report.notes.push_back("tested on " + which + " alone; fitted on all" +
                           (left_out > 0 ? "; " + std::to_string(left_out) + " folds have none of them" : ""));
  }
  report.split = split.name;
  report.split_title = split.title;
  const dataset<Schema>& tested = test ? *test : data;
  task<Schema> what{.data = data, .test = test ? &*test : nullptr, .split = split};
  what.options = {
      .progress = asked.progress, .on_fold = asked.on_fold, .split_worst_fold = true, .threads = asked.threads};
  fit_memos<Schema> fits(data);
  what.fits = &fits;
  what.ablation = asked.ablation;
  what.alone = asked.predictors.size() == 1;
  more_results more;
  if (asked.diagnose) {
    what.more = &more;
    what.notes = &report.notes;
    for (auto made :
         {load_probes(tested, row_set::all(tested.size())), hardware_probes(tested, row_set::all(tested.size()))}) {
      std::move(made.probes.begin(), made.probes.end(), std::back_inserter(what.probes));
      report.notes.insert(report.notes.end(), made.notes.begin(), made.notes.end());
    }
  }
  for (const named_entry<Schema>& one : entries) {
    const auto& wanted = asked.predictors;
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), one.name) == wanted.end()) continue;
    report.results.push_back(one.evaluate(what, report.notes));
    if (!asked.diagnose || test || report.results.back().folds.empty()) continue;
    const auto attempt = [&](const char* of, auto make) {
      try {
        make();
      } catch (const error& why) {
        report.notes.push_back(std::string(one.name) + ": no " + of + ": " + why.what());
      }
    };
    if (one.intervals != nullptr) {
      attempt("prediction intervals", [&] { more.intervals.push_back(one.intervals(what)); });
    }
    if (one.curve != nullptr) attempt("learning curve", [&] { more.curves.push_back(one.curve(what)); });
  }
  if (asked.diagnose && test) {
    report.notes.push_back(
        "on a test file there are no prediction intervals, learning curves, importances and parameter sensitivities");
  }
  if (asked.diagnose) {
    std::vector<std::size_t> lines;
    for (std::size_t row = 0; row < tested.size(); ++row) lines.push_back(tested.line(row));
    const step_view view = step_view_of(tested);
    const std::optional<step_view> training = test ? std::optional(step_view_of(data)) : std::nullopt;
    diagnose(report, view, training ? &*training : nullptr, split.folds, std::move(lines), more,
             std::find(split.holds_out.begin(), split.holds_out.end(), true) != split.holds_out.end(), asked);
  }
  return report;
}

/// Reads what is asked with `read(input, progress)` and evaluates it.
template <class Schema, class Read>
RAFTER_COLD rafter::evaluation_report read_and_run(const request& asked, const entry_list<Schema>& entries,
                                                   const offer& offered, Read read) {
  auto data = read(asked.data, asked.progress);
  if (!asked.test) return run<Schema>(asked, entries, std::move(data), nullptr, offered);
  auto test = read(*asked.test, asked.progress);
  return run<Schema>(asked, entries, std::move(data), &test, offered);
}

template <class Schema> RAFTER_COLD offer offer_of(const entry_list<Schema>& entries, std::string_view usual_split) {
  offer made{
      .schema = std::string(Schema::name), .targets = {}, .predictors = {}, .usual_split = std::string(usual_split)};
  for (const named_entry<Schema>& one : entries) made.predictors.emplace_back(one.name);
  Schema::targets::each([&]<class Leaf>() { made.targets.emplace_back(Leaf::name); });
  return made;
}

}  // namespace study
