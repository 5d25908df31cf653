// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "rafter/core/diagnostic.hpp"
#include "rafter/core/progress.hpp"
#include "rafter/estimator/estimator.hpp"
#include "rafter/estimator/fit_memo.hpp"
#include "rafter/evaluation/error_split.hpp"
#include "rafter/evaluation/report.hpp"
#include "rafter/solver/thread_team.hpp"
#include "rafter/step/dataset.hpp"
#include "rafter/validation/fold.hpp"
#include "rafter/validation/split_policy.hpp"

namespace rafter {

/// An evaluation that cannot be made; names the estimator, the fold and the reason.
struct evaluation_error : error {
  using error::error;
};

template <fixed_string Axis> struct nothing_is_fitted_for_a_held_out_label_of;

namespace detail {

template <class E, group Axis> struct identity_name {
  static constexpr std::string_view value = E::reads_identity(Axis);
};
template <group Axis> struct axis_name { static constexpr std::string_view value = name_of(Axis); };

template <class E, class Split, group Axis>
inline constexpr bool leaks = holds_out<Split, Axis> && !E::reads_identity(Axis).empty();
template <class E, class Split, group Axis>
inline constexpr bool cannot_transfer = holds_out<Split, Axis>&& E::fitted_per(Axis);

template <class E, class Split, group Axis> constexpr void refuse_leak() {
  if constexpr (leaks<E, Split, Axis>) {
    static_assert(satisfied<identifies_the_held_out_axis<name_constant<identity_name<E, Axis>>>, in_estimator<E>,
                            under_split<Split>>,
                  "rafter: this feature identifies the groups that the split holds out; say "
                  "without_identity<\"model\">(set), or that axis");
  } else if constexpr (cannot_transfer<E, Split, Axis>) {
    static_assert(satisfied<nothing_is_fitted_for_a_held_out_label_of<name_constant<axis_name<Axis>>>,
                            in_estimator<E>, under_split<Split>>,
                  "rafter: this estimator fits one model per group of the axis that the split holds out, so it has "
                  "nothing to say of a held-out group");
  }
}

template <class Function, std::size_t... Axis>
constexpr void each_axis(Function&& function, std::index_sequence<Axis...>) {
  (function.template operator()<static_cast<group>(Axis)>(), ...);
}

template <class E, class Split> constexpr void refuse_leaks() {
  each_axis([]<group Axis>() { refuse_leak<E, Split, Axis>(); }, std::make_index_sequence<group_axes>{});
}

/// Why `evaluate` would not compile for this estimator under this split, or an empty text.
template <class E, class Split> constexpr bool leak_free() {
  bool free_of_leaks = true;
  each_axis(
      [&]<group Axis>() {
        free_of_leaks = free_of_leaks && !leaks<E, Split, Axis> && !cannot_transfer<E, Split, Axis>;
      },
      std::make_index_sequence<group_axes>{});
  return free_of_leaks;
}

}  // namespace detail

/// May the estimator be evaluated under the split without learning who is held out, and has it something to say of
/// them? `evaluate` asserts this.
template <class Estimator, class Split>
concept transfers_under = split_policy<Split> && detail::leak_free<Estimator, Split>();

/// How to evaluate.
struct evaluate_options {
  progress_callback progress = {};
  /// Called as folds complete, in their order, from the thread that started the evaluation: early answers.
  std::function<void(std::string_view predictor, const fold_result&)> on_fold = {};
  bool split_worst_fold = false;  ///< for parametric models: `split_errors` of the worst fold, for one more fit
  bool keep_predictions = true;   ///< `fold_result::predictions`: 16 bytes for each tested row
  std::size_t threads = 1;        ///< that fit and test folds; 0: all of the machine. Results do not depend on it
};

/// The tested dataset with something of each row changed: more tokens, another bandwidth. What predictors say of it is in
/// `fold_result::probes`.
template <dataset_schema Schema> struct probe {
  std::string name;
  dataset<Schema> data;  ///< one row for each of `rows`, or as many rows as the tested dataset
  row_set rows;          ///< of the tested dataset: those that are asked for
};

/// The predictors that an estimator learned, one per fold, with their results.
template <class Predictor> struct evaluated {
  predictor_result result;
  std::vector<Predictor> fitted;  ///< in the order of the folds
};

namespace detail {

// What does not depend on the estimator is compiled once.
[[noreturn]] RAFTER_COLD inline void fail_fold(const predictor_result& result, const fold& part, const char* doing,
                                               const error& why) {
  throw evaluation_error("predictor '" + result.predictor + "', fold '" + part.held_out + "': " + doing + ": " +
                         why.what());
}

/// A fold without its predictions' findings: what does not depend on the predictor.
RAFTER_COLD inline fold_result fold_result_of(const fold& part, fit_summary fit, std::span<const double> times,
                                              std::vector<double> predicted, bool keep) {
  fold_result made{.held_out = part.held_out,
                   .train_rows = part.train.size(),
                   .rows = part.test.size(),
                   .fit = std::move(fit),
                   .errors = errors_on(times, part.test, predicted),
                   .parameters = {},
                   .findings = {},
                   .predictions = {},
                   .probes = {}};
  if (keep) {
    made.predictions.rows = part.test;
    made.predictions.actual.reserve(made.rows);
    part.test.for_each([&](std::size_t row) { made.predictions.actual.push_back(times[row]); });
    made.predictions.predicted = std::move(predicted);
  }
  return made;
}

/// Where the probed rows of a fold stand in the probe's data.
RAFTER_COLD inline row_set rows_of_probe(const row_set& asked, const row_set& tested, std::size_t size) {
  if (size != asked.size()) return tested;
  std::vector<std::size_t> places;
  std::size_t place = 0;
  asked.for_each([&](std::size_t row) {
    if (tested.contains(row)) places.push_back(place);
    ++place;
  });
  return row_set::of(std::move(places));
}

/// Calls `task(fold)` for each fold on some threads, and `done(fold)` in the order of the folds on the calling one.
template <class Task, class Done>
RAFTER_COLD void for_each_fold(std::size_t folds, std::size_t threads, Task task, Done done) {
  const std::unique_ptr<std::atomic<bool>[]> ready(new std::atomic<bool>[folds]);
  for (std::size_t f = 0; f < folds; ++f) ready[f].store(false, std::memory_order_relaxed);
  const std::thread::id caller = std::this_thread::get_id();
  std::size_t told = 0;
  const auto tell = [&] {
    while (told < folds && ready[told].load(std::memory_order_acquire)) done(told++);
  };
  thread_team team(threads == 0 ? 0 : std::min(threads, folds));
  team.run(folds, [&](std::size_t f) {
    task(f);
    ready[f].store(true, std::memory_order_release);
    if (std::this_thread::get_id() == caller) tell();
  });
  tell();
}

/// Fits on rows of `data` and tests on rows of `tested`, which may be the same.
template <class Estimator, dataset_schema Schema>
RAFTER_COLD auto evaluate_folds(const dataset<Schema>& data, const dataset<Schema>& tested,
                                const std::vector<fold>& folds, const evaluate_options& options,
                                const std::vector<probe<Schema>>& probes = {}, fit_memos<Schema>* memos = nullptr) {
  using predictor = std::remove_cvref_t<decltype(Estimator::fit(data, row_set{}))>;
  evaluated<predictor> outcome;
  outcome.result.predictor = detail::label_of<Estimator>();
  outcome.result.description = Estimator::name();
  if constexpr (requires { Estimator::tuned(); }) outcome.result.tuned = Estimator::tuned();
  const auto report_progress = [&](std::size_t done) {
    if (options.progress) options.progress(outcome.result.predictor, done, folds.size());
  };
  const auto fail = [&](const fold& part, const char* doing, const error& why) {
    fail_fold(outcome.result, part, doing, why);
  };
  report_progress(0);
  std::vector<std::optional<predictor>> fitted(folds.size());
  if constexpr (requires(const std::vector<row_set>& trainings) { Estimator::fit_each(data, trainings); }) {
    std::vector<row_set> trainings;
    for (const fold& part : folds) trainings.push_back(part.train);
    try {
      std::vector<predictor> all = Estimator::fit_each(data, trainings);
      for (std::size_t f = 0; f < folds.size(); ++f) fitted[f].emplace(std::move(all[f]));
    } catch (const fit_error& why) {
      for (const fold& part : folds) {  // which fold was it?
        try {
          Estimator::fit(data, part.train);
        } catch (const fit_error& alone) {
          fail(part, "cannot be fitted", alone);
        }
      }
      throw evaluation_error("predictor '" + outcome.result.predictor + "': cannot be fitted: " + why.what());
    }
  }
  fit_memos<Schema> own(data);
  const auto fit = [&](const row_set& rows) {
    if constexpr (shares_fits<Estimator, Schema>) {
      using inner = typename Estimator::template shared_fits<Schema>::estimator;
      return Estimator::fit(data, rows, (memos != nullptr ? *memos : own).template of<inner>());
    } else {
      return memos != nullptr ? memos->template of<Estimator>().fit(rows) : Estimator::fit(data, rows);
    }
  };
  // An error is kept with its fold, so that the first fold's is thrown whatever the number of threads.
  std::vector<std::exception_ptr> failed(folds.size());
  outcome.result.folds.resize(folds.size());
  const auto one_fold = [&](std::size_t f) {
    const fold& part = folds[f];
    const char* doing = "cannot be fitted";
    try {
      if (!fitted[f]) fitted[f].emplace(fit(part.train));
      doing = "cannot predict";
      std::vector<double> predicted(part.test.size());
      fitted[f]->predict(tested, part.test, std::span<double>(predicted));
      fold_result& made = outcome.result.folds[f] =
          fold_result_of(part, fitted[f]->summary(), tested.target(), std::move(predicted), options.keep_predictions);
      if constexpr (parametric_predictor<predictor>) made.parameters = fitted[f]->parameters();
      if constexpr (requires { fitted[f]->findings(); }) made.findings = fitted[f]->findings();
      for (const probe<Schema>& asked : probes) {
        probe_predictions& one = made.probes.emplace_back();
        one.probe = asked.name;
        one.rows = asked.rows & part.test;
        one.predicted.resize(one.rows.size());
        try {
          fitted[f]->predict(asked.data, rows_of_probe(asked.rows, one.rows, asked.data.size()),
                             std::span<double>(one.predicted));
        } catch (const fit_error& why) {
          one.predicted.clear();
          one.refused = why.what();
        }
      }
    } catch (const error& why) {
      try {
        fail(part, doing, why);
      } catch (const evaluation_error&) {
        failed[f] = std::current_exception();
      }
    } catch (...) {
      failed[f] = std::current_exception();
    }
  };
  for_each_fold(folds.size(), options.threads, one_fold, [&](std::size_t f) {
    if (failed[f] != nullptr) std::rethrow_exception(failed[f]);
    if (options.on_fold) options.on_fold(outcome.result.predictor, outcome.result.folds[f]);
    report_progress(f + 1);
  });
  outcome.fitted.reserve(folds.size());
  for (std::optional<predictor>& one : fitted) outcome.fitted.push_back(*std::move(one));
  if constexpr (splits_errors<Estimator, predictor>) {
    if (const fold_result* worst = outcome.result.worst(); options.split_worst_fold && worst != nullptr) {
      const auto f = static_cast<std::size_t>(worst - outcome.result.folds.data());
      outcome.result.split = split_errors<Estimator>(data, tested, folds[f], outcome.fitted[f]);
    }
  }
  return outcome;
}

}  // namespace detail

/// Fits and tests one estimator on given folds. Nothing of a fold's test rows reaches its fit.
/// @param probes  asked of each fold's predictor too
/// @param memos   of the same data: fits that other evaluations asked for, or will ask for; may be null
/// @throws evaluation_error naming estimator and fold when a fit or a prediction cannot be made
template <class Estimator, dataset_schema Schema>
auto evaluate_on_folds(const dataset<Schema>& data, const std::vector<fold>& folds,
                       const evaluate_options& options = {}, const std::vector<probe<Schema>>& probes = {},
                       fit_memos<Schema>* memos = nullptr) {
  return detail::evaluate_folds<Estimator>(data, data, folds, options, probes, memos);
}

/// What a report says of the data, before any predictor.
template <dataset_schema Schema> RAFTER_COLD evaluation_report describe_data(const dataset<Schema>& data) {
  evaluation_report report;
  report.source = data.source();
  report.schema = std::string(Schema::name);
  report.rows = data.size();
  report.idle_rows = data.idle_rows();
  report.target = std::string(data.target_name());
  report.plausibility = plausibility(data);
  report.notes = data.notes();
  for (std::size_t axis = 0; axis < group_axes; ++axis) {
    for (const auto& [alias, canonical] : data.aliases(static_cast<group>(axis))) {
      report.notes.push_back(std::string(name_of(static_cast<group>(axis))) + " '" + alias + "' counts as '" +
                             canonical + "'");
    }
  }
  return report;
}

/// The folds of a policy, checked: disjoint, not empty, and no held-out label in training.
/// @throws validation_error naming the fold; evaluation_error when rows lack the selected target
template <split_policy Split, dataset_schema Schema>
RAFTER_COLD std::vector<fold> checked_folds(const dataset<Schema>& data, const Split& split) {
  if (data.rows_with_target() != data.size()) {
    throw evaluation_error(data.source() + ": " + std::to_string(data.size() - data.rows_with_target()) +
                           " rows have no '" + std::string(data.target_name()) + "'; select with for_target first");
  }
  std::vector<fold> folds = split.folds(data);
  check_folds(folds, data.size());
  check_held_out<Split>(folds, data);
  return folds;
}

/// An evaluation with the predictors that were fitted for it: `report.fit<ridge30>("llama-2-7b").solution()`.
template <class Schema, class... Estimators> struct evaluation : evaluation_report {
  template <class E>
  using predictor_of = std::remove_cvref_t<decltype(E::fit(std::declval<const dataset<Schema>&>(), row_set{}))>;

  std::tuple<std::vector<predictor_of<Estimators>>...> fitted;

  /// The predictor that an estimator learned for the fold that holds `held_out` out.
  /// @throws evaluation_error when there is no such fold
  template <class Estimator> const auto& fit(std::string_view held_out) const {
    constexpr std::size_t index = [] {
      std::size_t at = 0;
      std::size_t found = sizeof...(Estimators);
      ((std::is_same_v<Estimator, Estimators> ? void(found = at++) : void(++at)), ...);
      return found;
    }();
    static_assert(index < sizeof...(Estimators), "rafter: this estimator was not evaluated");
    const auto& folds = results[index].folds;
    for (std::size_t f = 0; f < folds.size(); ++f) {
      if (folds[f].held_out == held_out) return std::get<index>(fitted)[f];
    }
    throw evaluation_error("no fold holds out '" + std::string(held_out) + "'");
  }
};

/// Fits and tests estimators under a split, audit first:
///
///   const auto report = evaluate<predictors::blackbox, predictors::ridge30>(data, temporal{});
///   std::cout << report;                                     // rafter/evaluation/text.hpp
///
/// An estimator that identifies, or is fitted per, what the split holds out does not compile.
/// @throws validation_error, evaluation_error
template <class... Estimators, dataset_schema Schema, split_policy Split>
RAFTER_COLD auto evaluate(const dataset<Schema>& data, const Split& split, const evaluate_options& options = {},
                          const std::vector<probe<Schema>>& probes = {}) {
  (detail::refuse_leaks<Estimators, Split>(), ...);
  if constexpr ((transfers_under<Estimators, Split> && ...)) {
    evaluation<Schema, Estimators...> report;
    static_cast<evaluation_report&>(report) = describe_data(data);
    report.split = std::string(Split::name);
    report.split_title = std::string(title_of<Split>);
    const std::vector<fold> folds = checked_folds(data, split);
    const auto one = [&]<class E>(auto& fitted) {
      auto outcome = evaluate_on_folds<E>(data, folds, options, probes);
      report.results.push_back(std::move(outcome.result));
      fitted = std::move(outcome.fitted);
    };
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      (one.template operator()<std::tuple_element_t<I, std::tuple<Estimators...>>>(std::get<I>(report.fitted)), ...);
    }
    (std::make_index_sequence<sizeof...(Estimators)>{});
    return report;
  } else {
    return evaluation_report{};  // so that what is done with the report adds no errors to the one that matters
  }
}

}  // namespace rafter
