// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: compiles Boost.Math and fits inside folds; for those who want intervals.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "rafter/config.hpp"
#include "rafter/estimator/composed.hpp"
#include "rafter/estimator/estimator.hpp"
#include "rafter/estimator/fit_memo.hpp"
#include "rafter/evaluation/evaluate.hpp"
#include "rafter/evaluation/uncertainty/interval_calibration.hpp"
#include "rafter/evaluation/uncertainty/interval_coverage.hpp"
#include "rafter/evaluation/uncertainty/step_cells.hpp"
#include "rafter/solver/thread_team.hpp"
#include "rafter/units/quantity.hpp"
#include "rafter/validation/composed_name.hpp"
#include "rafter/validation/nested.hpp"
#include "rafter/validation/split_policy.hpp"

namespace rafter {

/// What `conformal` does unless told otherwise; derive from it and say what differs:
///
///   struct per_phase : conformal_defaults { using cells = by_phase; };
struct conformal_defaults {
  static constexpr conformal_rule rule = conformal_rule::pooled_cdfs;
  static constexpr group exchangeable = group::model;  ///< what a new row may be a new one of
  static constexpr interval_sides sides = interval_sides::symmetric;
  static constexpr small_cells small = small_cells::infinite;
  using cells = one_cell;
  using difficulty = no_difficulty;
  static constexpr std::array levels{0.5, 0.8, 0.9, 0.95};  ///< for which quantiles are kept
  /// Predict with a fit on all training rows (cross-conformal). False: with the fit whose errors were calibrated, which
  /// makes the guarantee exact; the calibration must then be one fold (first_fold_of).
  static constexpr bool refit = true;
};

namespace detail {
struct word_first_fold_of {
  static constexpr std::string_view name = "first_fold_of_";
};
struct word_no_prefix {
  static constexpr std::string_view name = "";
};
}  // namespace detail

/// The first fold of a split alone: split conformal's one calibration set. `first_fold_of<k_fold>` calibrates with a
/// fifth of the rows.
template <split_policy Split> struct first_fold_of {
  static constexpr auto words = detail::composed_name<detail::word_first_fold_of, detail::word_no_prefix, Split>;
  static constexpr std::string_view name = words.view();
  static constexpr auto held_out = Split::held_out;
  static constexpr auto fits_one_per = Split::fits_one_per;
  static constexpr bool is_random = Split::is_random;
  template <splittable Data> std::vector<fold> folds(const Data& data) const {
    std::vector<fold> all = Split{}.folds(data);
    all.resize(std::min<std::size_t>(all.size(), 1));
    return all;
  }
};

/// No calibration at all: for bands that stand as predicted.
struct uncalibrated {
  static constexpr std::string_view name = "nothing";
  static constexpr const std::array<group, 0>& held_out = no_group;
  static constexpr std::optional<group> fits_one_per{};
  static constexpr bool is_random = false;
  template <splittable Data> std::vector<fold> folds(const Data&) const { return {}; }
};

/// Limits of the time of one step.
struct time_interval {
  seconds lower{0.0}, upper{0.0};
};

namespace detail {

/// A predictor of several quantiles: quantile_trees.
template <class P>
concept predicts_quantiles = requires {
  P::levels.size();
}
&&(P::levels.size() > 1);

/// What a fitted predictor says of rows. Of quantiles the outermost ones are the band.
template <class Predictor, class Schema>
RAFTER_COLD void predict_bands(const Predictor& fitted, const dataset<Schema>& data, const row_set& rows,
                               std::span<double> predicted, std::span<double> lower, std::span<double> upper) {
  if constexpr (predicts_quantiles<Predictor>) {
    constexpr std::size_t levels = Predictor::levels.size();
    std::vector<double> all(rows.size() * levels);
    fitted.predict_quantiles(data, rows, std::span<double>(all));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      lower[i] = all[i * levels];
      predicted[i] = all[i * levels + Predictor::middle];
      upper[i] = all[i * levels + levels - 1];
    }
  } else {
    fitted.predict(data, rows, predicted);
    std::copy(predicted.begin(), predicted.end(), lower.begin());
    std::copy(predicted.begin(), predicted.end(), upper.begin());
  }
}

inline void resize(prediction_bands& bands, std::size_t rows) {
  bands.predicted.resize(rows), bands.lower.resize(rows), bands.upper.resize(rows);
}

/// Errors are factors: what is predicted and measured must be positive numbers.
template <class Schema>
RAFTER_COLD void refuse_unusable(const dataset<Schema>& data, std::span<const std::size_t> rows,
                                 std::span<const double> predicted, std::span<const double> lower,
                                 std::span<const double> upper) {
  constexpr double infinite = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!(lower[i] > 0.0 && lower[i] <= predicted[i] && predicted[i] <= upper[i] && upper[i] < infinite)) {
      throw fit_error("intervals are factors of the prediction, which is not a positive number on " +
                      place_of_row(data, rows[i]));
    }
    if (!(data.target()[rows[i]] > 0.0)) {
      throw fit_error("intervals are factors, and the measured time is not positive on " +
                      place_of_row(data, rows[i]));
    }
  }
}

/// The folds inside a training set that calibrate.
template <split_policy Calibration, class Schema>
RAFTER_COLD std::vector<fold> calibration_folds(const dataset<Schema>& data, const std::string& held_out,
                                                const row_set& rows) {
  if (rows.empty()) throw fit_error("no rows to fit on");
  try {
    std::vector<fold> folds = folds_inside(fold{held_out, rows, {}, {}}, Calibration{}, data);
    check_folds(folds, data.size());
    check_held_out<Calibration>(folds, data);
    return folds;
  } catch (const error& why) {
    throw fit_error("cannot calibrate intervals: the " + std::to_string(rows.size()) +
                    " training rows cannot be split by " + std::string(Calibration::name) + ": " + why.what());
  }
}

template <class Options> constexpr bool of_groups() {
  return Options::rule != conformal_rule::as_predicted && Options::rule != conformal_rule::pooled;
}
template <class Options> constexpr interval_method method_of() {
  return {.rule = Options::rule, .sides = Options::sides, .small = Options::small};
}
template <class Options> std::string text_of_options() {
  std::string made = method_of<Options>().text();
  if (of_groups<Options>()) {
    made += " (" + std::string(name_of(Options::exchangeable)) + ")";
  }
  if (!std::is_same_v<typename Options::cells, one_cell>) made += ", per " + std::string(Options::cells::name);
  if (const std::string scaled = Options::difficulty::text(); !scaled.empty()) made += ", " + scaled;
  return made;
}

/// A rule for new groups needs errors on groups that the fit has not seen.
template <class Calibration, class Options> constexpr void require_honest_groups() {
  static_assert(
      !of_groups<Options>() || holds_out<Calibration, Options::exchangeable>,
      "rafter: intervals for a new group need a calibration that holds whole groups out: say lomo{}, or the "
      "rule `pooled` for new rows of the calibrated groups");
}

}  // namespace detail

/// Every row's group, cells and scale as the options say, and the partitions that coverage is broken down by: phase and
/// routing, where the schema has what they need.
/// @throws fit_error when the data lacks the exchangeable axis
template <class Options, class Schema> RAFTER_COLD interval_rows interval_rows_of(const dataset<Schema>& data) {
  const row_set all = row_set::all(data.size());
  interval_rows known;
  known.times.assign(data.target().begin(), data.target().end());
  if (detail::of_groups<Options>()) {
    if (!data.has_group(Options::exchangeable)) {
      throw fit_error("intervals for a new " + std::string(name_of(Options::exchangeable)) + ": " + data.source() +
                      " has no groups of it");
    }
    const group_column& labels = data.groups(Options::exchangeable);
    known.groups = {labels.names(), labels.codes()};
    known.exchangeable = std::string(name_of(Options::exchangeable));
  }
  if (!std::is_same_v<typename Options::cells, one_cell>) known.cells = Options::cells::of(data, all);
  if (Options::difficulty::fits_spread) known.spread = Options::difficulty::spread::of(data, all);
  known.scale = Options::difficulty::of(data, all);
  const auto break_down = [&]<class Cells>() {
    if constexpr (Cells::template missing_on<Schema>().empty()) {
      known.breakdowns.emplace_back(std::string(Cells::name), Cells::of(data, all));
    }
  };
  break_down.template operator()<by_phase>();
  break_down.template operator()<by_routing>();
  return known;
}

/// A fitted predictor with intervals around what it predicts.
template <class Inner, class Options> class conformal_predictor {
  using cells = typename Options::cells;
  using difficulty = typename Options::difficulty;

 public:
  conformal_predictor(Inner inner, interval_calibration calibration, std::string text)
      : inner_(std::move(inner)), calibration_(std::move(calibration)), text_(std::move(text)) {}

  const Inner& inner() const { return inner_; }
  const interval_calibration& calibration() const { return calibration_; }

  fit_summary summary() const { return inner_.summary(); }
  /// What the inner predictor says, then how intervals were calibrated and where there are none.
  std::vector<std::string> findings() const {
    std::vector<std::string> lines;
    if constexpr (requires { inner_.findings(); }) lines = inner_.findings();
    lines.push_back(text_);
    for (std::string& line : calibration_.findings()) lines.push_back(std::move(line));
    return lines;
  }

  /// As the inner predictor.
  template <class Schema>
  void predict(const dataset<Schema>& data, const row_set& rows, std::span<double> out) const {
    inner_.predict(data, rows, out);
  }
  template <class Record, class Deployment>
  seconds predict(const Record& record,
                  const Deployment& deployment) const requires detail::predicts_records<Inner, Record, Deployment> {
    return inner_.predict(record, deployment);
  }

  /// Intervals of rows at one of the calibrated levels [s]: 0 and infinity where nothing is known, see findings().
  /// @param lower, upper  rows.size() values each
  /// @throws fit_error when the level was not calibrated, a prediction is not a positive number, and as `predict`
  template <class Schema>
  RAFTER_COLD void intervals(const dataset<Schema>& data, const row_set& rows, double level, std::span<double> lower,
                             std::span<double> upper) const {
    const std::size_t at = calibration_.level_index(level);
    if (at == calibration_.levels().size()) {
      throw fit_error("intervals of level " + std::to_string(level) + " were not calibrated");
    }
    prediction_bands bands;
    detail::resize(bands, rows.size());
    detail::predict_bands(inner_, data, rows, bands.predicted, bands.lower, bands.upper);
    const std::vector<std::size_t> own = places(cells::of(data, rows), calibration_.cells());
    const std::vector<double> scale = difficulty::of(data, rows);
    std::vector<std::size_t> spread;
    if (difficulty::fits_spread) {
      spread = places(difficulty::spread::of(data, rows), calibration_.spread_cells());
    }
    std::size_t i = 0;
    rows.for_each([&](std::size_t row) {
      const time_limits made = calibration_.limits(
          bands.lower[i], bands.upper[i],
          (scale.empty() ? 1.0 : scale[i]) * calibration_.spread(spread.empty() ? 0 : spread[i]), own[i], at);
      if (std::isnan(made.upper)) {
        throw fit_error("no interval around a prediction that is not a positive number, on " +
                        detail::place_of_row(data, row));
      }
      lower[i] = made.lower;
      upper[i++] = made.upper;
    });
  }

  /// The interval of one step of one deployment. Neither allocates nor throws where the inner predictor does not:
  /// [0, ∞] where nothing is known, as of a level that was not calibrated; [NaN, NaN] where nothing is predicted.
  template <class Record, class Deployment>
  time_interval interval(const Record& record, const Deployment& deployment, double level)
      const requires detail::predicts_records<Inner, Record, Deployment> && requires {
    cells::of_record(record, deployment), difficulty::spread::of_record(record, deployment);
  }
  {
    double lower = 0.0, upper = 0.0;
    if constexpr (detail::predicts_quantiles<Inner>) {
      const auto all = inner_.predict_quantiles(record, deployment);
      lower = all.front(), upper = all.back();
    } else {
      lower = upper = inner_.predict(record, deployment).value;
    }
    const double scale = difficulty::of_record(record, deployment) *
                         calibration_.spread(difficulty::spread::of_record(record, deployment));
    const time_limits made = calibration_.limits(lower, upper, scale, cells::of_record(record, deployment),
                                                 calibration_.level_index(level));
    return {seconds{made.lower}, seconds{made.upper}};
  }

 private:
  Inner inner_;
  interval_calibration calibration_;
  std::string text_;

  /// Cells of other data, by name: those that were not calibrated are beyond the last.
  static std::vector<std::size_t> places(const row_cells& of, const std::vector<std::string>& known) {
    std::vector<std::size_t> place(of.names.size());
    for (std::size_t i = 0; i < place.size(); ++i) {
      place[i] = static_cast<std::size_t>(std::find(known.begin(), known.end(), of.names[i]) - known.begin());
    }
    std::vector<std::size_t> made;
    made.reserve(of.codes.size());
    for (const std::uint32_t code : of.codes) made.push_back(place[code]);
    return made;
  }
};

/// An estimator with prediction intervals (conformal prediction): inside the training rows, `Calibration` holds rows
/// out, the estimator is fitted on the others, and its errors on what it did not see, on logarithms, give the factor by
/// which a new row may be off. The predictor predicts as the estimator fitted on all training rows.
///
///   using with_intervals = conformal<predictors::kernel9, lomo>;             // for models never seen
///   const auto fitted = with_intervals::fit(data, rows);
///   fitted.intervals(data, test, 0.9, lower, upper);
///   fitted.interval(record, deployment, 0.9);
///
/// An estimator of several quantiles (quantile_trees) is calibrated by how far measured times lie outside its outermost
/// ones (conformalized quantile regression; Romano, Patterson and Candès 2019), here on logarithms.
///
/// What holds: see the rules in metrics/conformal_quantile.hpp. With `refit` (cross-conformal; Vovk 2015; the
/// jackknife+ and CV+ of Barber et al. 2021 are its relatives) errors come from fits on fewer rows than the predictor
/// was fitted on; the guarantee is then exact only as far as these fits predict alike, and coverage is in practice near
/// or above the level. Costs a fit for each inner fold and one more.
template <class Estimator, split_policy Calibration, class Options = conformal_defaults> struct conformal {
  using estimator = Estimator;
  using options = Options;

  static std::string name() {
    return detail::label_of<Estimator>() + " with intervals by " + std::string(Calibration::name) + ", " +
           detail::text_of_options<Options>();
  }
  /// What is chosen by looking at errors, and on which rows: what the estimator says of itself, and the intervals.
  static std::string tuned() {
    std::string text;
    if constexpr (requires { Estimator::tuned(); }) text = Estimator::tuned();
    if constexpr (Options::rule != conformal_rule::as_predicted) {
      text += (text.empty() ? "" : "; ") + std::string("the width of the intervals, on rows that ") +
              std::string(Calibration::name) + " holds out inside the training rows";
    }
    return text;
  }
  static constexpr std::string_view reads_identity(group axis) { return Estimator::reads_identity(axis); }
  static constexpr bool fitted_per(group axis) { return Estimator::fitted_per(axis); }
  template <class Schema> static constexpr std::string_view missing_on() {
    return detail::first_name(std::string_view(Estimator::template missing_on<Schema>()),
                              Options::cells::template missing_on<Schema>(),
                              Options::difficulty::template missing_on<Schema>());
  }

  /// @throws fit_error when the calibration cannot be made of the rows, the data lacks the exchangeable axis, a held-out
  ///         prediction or its measured time is not a positive number, and as the estimator does
  template <class Schema> RAFTER_COLD static auto fit(const dataset<Schema>& data, const row_set& rows) {
    detail::require_honest_groups<Calibration, Options>();
    detail::refuse_leaks<Estimator, Calibration>();
    if constexpr (transfers_under<Estimator, Calibration> && missing_on<Schema>().empty()) {
      using predictor = std::remove_cvref_t<decltype(Estimator::fit(data, rows))>;
      const std::vector<fold> inner = detail::calibration_folds<Calibration>(data, "of the outer split", rows);
      if (!Options::refit && inner.size() != 1) {
        throw fit_error("without a refit intervals are calibrated by one fold; " + std::string(Calibration::name) +
                        " made " + std::to_string(inner.size()));
      }
      std::vector<std::optional<predictor>> fitted(inner.size());
      fit_inner(data, inner, fitted);
      nested_fold part;
      for (std::size_t f = 0; f < inner.size(); ++f) {
        const std::vector<std::size_t> tested = inner[f].test.to_vector();
        prediction_bands bands;
        detail::resize(bands, tested.size());
        detail::predict_bands(*fitted[f], data, inner[f].test, bands.predicted, bands.lower, bands.upper);
        detail::refuse_unusable(data, tested, bands.predicted, bands.lower, bands.upper);
        const auto append = [](auto& to, const auto& from) { to.insert(to.end(), from.begin(), from.end()); };
        append(part.calibration_rows, tested);
        append(part.calibration.predicted, bands.predicted);
        append(part.calibration.lower, bands.lower);
        append(part.calibration.upper, bands.upper);
      }
      const interval_rows known = interval_rows_of<Options>(data);
      interval_calibration calibration = detail::calibrate(
          detail::method_of<Options>(), {Options::levels.begin(), Options::levels.end()}, part, known);
      std::string text = "intervals by " + std::string(Calibration::name) + ", " +
                         detail::text_of_options<Options>() + ": " + std::to_string(part.calibration_rows.size()) +
                         " rows calibrated by " + std::to_string(inner.size()) +
                         (inner.size() == 1 ? " fit" : " fits");
      if constexpr (Options::refit) {
        return conformal_predictor<predictor, Options>(Estimator::fit(data, rows), std::move(calibration),
                                                       std::move(text));
      } else {
        return conformal_predictor<predictor, Options>(*std::move(fitted[0]), std::move(calibration),
                                                       std::move(text));
      }
    }
  }

 private:
  template <class Schema, class Predictor>
  static void fit_inner(const dataset<Schema>& data, const std::vector<fold>& inner,
                        std::vector<std::optional<Predictor>>& fitted) {
    if constexpr (requires(const std::vector<row_set>& trainings) { Estimator::fit_each(data, trainings); }) {
      std::vector<row_set> trainings;
      for (const fold& one : inner) trainings.push_back(one.train);
      std::vector<Predictor> all = Estimator::fit_each(data, trainings);
      for (std::size_t f = 0; f < all.size(); ++f) fitted[f].emplace(std::move(all[f]));
    } else {
      for (std::size_t f = 0; f < inner.size(); ++f) {
        fitted[f].emplace(
            detail::fit_part<Estimator>(data, inner[f].train, "inner fold '" + inner[f].held_out + "'"));
      }
    }
  }
};

struct nested_options {
  std::size_t threads = 1;  ///< 0: as many as the machine has; results do not depend on it
  progress_callback progress = {};
};

/// Out-of-fold predictions of the training rows of each outer fold, and predictions of its test rows: what intervals by
/// any method are made of. Each distinct set of training rows is fitted once (leaving models i and j out serves both of
/// their folds), or by `fit_each` where the estimator has it; fits are shared among threads.
/// @throws evaluation_error naming predictor and fold when a fit or a prediction cannot be made, or a prediction or
///         measured time is not a positive number
template <class Estimator, split_policy Calibration, class Schema>
RAFTER_COLD nested_predictions predict_nested(const dataset<Schema>& data, const std::vector<fold>& folds,
                                              const nested_options& options = {},
                                              fit_memos<Schema>* memos = nullptr) {
  detail::refuse_leaks<Estimator, Calibration>();
  nested_predictions made;
  if constexpr (transfers_under<Estimator, Calibration>) {
    made.predictor = detail::label_of<Estimator>();
    made.calibration = std::string(Calibration::name);
    made.random_calibration = Calibration::is_random;
    using predictor = std::remove_cvref_t<decltype(Estimator::fit(data, row_set{}))>;
    if constexpr (detail::predicts_quantiles<predictor>) {
      made.band_level = predictor::levels.back() - predictor::levels.front();
    }
    made.folds.resize(folds.size());
    // A place where predictions of some rows go, and the fold that wants them.
    struct destination {
      std::size_t outer = 0;
      const fold* part = nullptr;
      bool test = false;
      std::size_t at = 0;  // in the outer fold's calibration rows
    };
    struct job {
      row_set train;
      std::vector<destination> requests;
    };
    std::vector<job> jobs;
    std::map<std::vector<std::size_t>, std::size_t> known;
    const auto add = [&](const row_set& train, destination wanted) {
      const auto [found, is_new] = known.try_emplace(detail::range_ends(train), jobs.size());
      if (is_new) jobs.push_back({train, {}});
      jobs[found->second].requests.push_back(wanted);
      ++made.asked;
    };
    const auto fail = [&](const fold& outer, const error& why) {
      throw evaluation_error("predictor '" + made.predictor + "', fold '" + outer.held_out + "': " + why.what());
    };
    std::vector<std::vector<fold>> inner(folds.size());
    for (std::size_t f = 0; f < folds.size(); ++f) {
      nested_fold& into = made.folds[f];
      into.held_out = folds[f].held_out;
      into.train_rows = folds[f].train.size();
      if constexpr (!std::is_same_v<Calibration, uncalibrated>) try {
          inner[f] = detail::calibration_folds<Calibration>(data, folds[f].held_out, folds[f].train);
        } catch (const fit_error& why) {
          fail(folds[f], why);
        }
      add(folds[f].train, {f, &folds[f], true, 0});
      into.test_rows = folds[f].test.to_vector();
      detail::resize(into.test, into.test_rows.size());
      for (const fold& part : inner[f]) {
        add(part.train, {f, &part, false, into.calibration_rows.size()});
        part.test.for_each([&](std::size_t row) { into.calibration_rows.push_back(row); });
      }
      detail::resize(into.calibration, into.calibration_rows.size());
    }
    const auto serve = [&](const auto& fitted, const destination& wanted) {
      nested_fold& into = made.folds[wanted.outer];
      prediction_bands& bands = wanted.test ? into.test : into.calibration;
      const std::size_t rows = wanted.part->test.size();
      const auto part = [&](std::vector<double>& all) { return std::span<double>(all).subspan(wanted.at, rows); };
      detail::predict_bands(fitted, data, wanted.part->test, part(bands.predicted), part(bands.lower),
                            part(bands.upper));
      detail::refuse_unusable(
          data, std::span(wanted.test ? into.test_rows : into.calibration_rows).subspan(wanted.at, rows),
          part(bands.predicted), part(bands.lower), part(bands.upper));
    };
    constexpr bool together = requires(const std::vector<row_set>& trainings) {
      Estimator::fit_each(data, trainings);
    };
    // With fit_each an outer fold's inner fits are one job, and the outer fits another.
    const std::size_t count = together ? folds.size() + 1 : jobs.size();
    std::vector<std::exception_ptr> failed(count);
    const auto run = [&](std::size_t at) {
      std::size_t outer = together ? std::min(at, folds.size() - 1) : jobs[at].requests.front().outer;
      try {
        try {
          if constexpr (together) {
            std::vector<row_set> trainings;
            std::vector<destination> wanted;
            if (at == folds.size()) {
              for (std::size_t f = 0; f < folds.size(); ++f) {
                trainings.push_back(folds[f].train), wanted.push_back({f, &folds[f], true, 0});
              }
            } else {
              std::size_t rows = 0;
              for (const fold& part : inner[at]) {
                trainings.push_back(part.train), wanted.push_back({at, &part, false, rows});
                rows += part.test.size();
              }
            }
            if (trainings.empty()) return;
            const auto fitted = Estimator::fit_each(data, trainings);
            for (std::size_t i = 0; i < wanted.size(); ++i) outer = wanted[i].outer, serve(fitted[i], wanted[i]);
          } else {
            const auto fitted = memos != nullptr ? memos->template of<Estimator>().fit(jobs[at].train)
                                                 : Estimator::fit(data, jobs[at].train);
            for (const destination& wanted : jobs[at].requests) outer = wanted.outer, serve(fitted, wanted);
          }
        } catch (const fit_error& why) {
          fail(folds[outer], why);
        }
      } catch (const evaluation_error&) {
        failed[at] = std::current_exception();
      }
    };
    made.fitted = together ? made.asked : jobs.size();
    detail::for_each_fold(count, options.threads, run, [&](std::size_t at) {
      if (failed[at] != nullptr) std::rethrow_exception(failed[at]);
      if (options.progress) options.progress(made.predictor, at + 1, count);
    });
  }
  return made;
}

/// Intervals of an estimator at one level over the folds of a split, calibrated inside each fold's training rows.
template <class Estimator, split_policy Calibration, class Options = conformal_defaults, class Schema>
RAFTER_COLD interval_result evaluate_intervals(const dataset<Schema>& data, const std::vector<fold>& folds,
                                               double level, const nested_options& options = {},
                                               fit_memos<Schema>* memos = nullptr) {
  detail::require_honest_groups<Calibration, Options>();
  interval_result made = evaluate_intervals(predict_nested<Estimator, Calibration>(data, folds, options, memos),
                                            interval_rows_of<Options>(data), detail::method_of<Options>(), level);
  made.method = detail::text_of_options<Options>();
  return made;
}

}  // namespace rafter
