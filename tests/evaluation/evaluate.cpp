// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/evaluation/evaluate.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <vector>

#include "rafter/estimator/linear.hpp"
#include "rafter/estimator/mean_of_target.hpp"
#include "rafter/estimator/per.hpp"
#include "rafter/solver/ridge.hpp"
#include "rafter/validation/leave_one_group_out.hpp"
#include "rafter/validation/temporal.hpp"
#include "support/engine_steps.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;
using data_type = dataset<tiny::aggregated>;

struct shrunk : linear<tiny::mixture, ridge<1>> {
  static constexpr std::string_view label = "shrunk";
};

TEST(Evaluate, GivesTheErrorsOfSeparateFitsCountedByHand) {
  const data_type data = tiny::noisy_steps(500, 15);
  const auto report = evaluate<shrunk, mean_of_target>(data, lomo{});
  ASSERT_EQ(report.results.size(), 2U);
  const auto folds = lomo{}.folds(data);
  for (std::size_t f = 0; f < folds.size(); ++f) {
    const fold_result& found = report.results[0].folds[f];
    std::vector<double> predicted(folds[f].test.size());
    shrunk::fit(data, folds[f].train).predict(data, folds[f].test, predicted);
    double absolute = 0, with_sign = 0, squares = 0, mean_of_training = 0, by_mean = 0;
    folds[f].train.for_each([&](std::size_t row) { mean_of_training += data.target()[row]; });
    mean_of_training /= static_cast<double>(folds[f].train.size());
    std::vector<double> errors;
    std::size_t at = 0;
    folds[f].test.for_each([&](std::size_t row) {
      const double time = data.target()[row];
      const double error = predicted[at++] - time;
      errors.push_back(std::abs(error / time));
      absolute += errors.back();
      with_sign += error / time;
      squares += error * error;
      by_mean += std::abs(mean_of_training / time - 1.0);
    });
    const auto n = static_cast<double>(errors.size());
    std::sort(errors.begin(), errors.end());
    EXPECT_NEAR(found.errors.mape, absolute / n, 1e-9);
    EXPECT_NEAR(found.errors.mean_signed_percentage_error, with_sign / n, 1e-9);
    EXPECT_NEAR(found.errors.rmse, std::sqrt(squares / n), 1e-12);
    EXPECT_NEAR(found.errors.max_ape, errors.back(), 1e-9);
    EXPECT_EQ(found.held_out, folds[f].held_out);
    EXPECT_EQ(found.rows, errors.size());
    EXPECT_EQ(found.train_rows, 500 - errors.size());
    EXPECT_EQ(found.fit.rows, found.train_rows);
    EXPECT_NEAR(report.results[1].folds[f].errors.mape, by_mean / n, 1e-12);  // no experiment of the test was seen
  }
}

TEST(Evaluate, TellsTheTimeOnlyAfterTraining) {
  // Targets and features of every test row are changed; what was learned must not change by a bit.
  const auto steps = tiny::random_engine_steps(400, 19);
  const auto time = [](const tiny::engine_step& s, std::size_t i) {
    return 1e-3 + 1e-5 * s.prefill_tokens + 1e-6 * static_cast<double>(i % 13);
  };
  const data_type data = tiny::dataset_of(steps, time);
  const auto folds = temporal{}.folds(data);
  const auto report = evaluate<shrunk>(data, temporal{});
  for (std::size_t f = 0; f < folds.size(); ++f) {
    auto changed = steps;
    (folds[f].test | folds[f].validation).for_each([&](std::size_t row) { changed[row].kv_usage_ratio = 0.77; });
    const data_type spoilt = tiny::dataset_of(changed, [&](const tiny::engine_step& s, std::size_t i) {
      return folds[f].train.contains(i) ? time(s, i) : 42.0;
    });
    const auto again = evaluate<shrunk>(spoilt, temporal{});
    EXPECT_EQ(again.fit<shrunk>(folds[f].held_out).solution().coefficients,
              report.fit<shrunk>(folds[f].held_out).solution().coefficients);
    EXPECT_NE(again.results[0].folds[f].errors.mape, report.results[0].folds[f].errors.mape);
  }
}

TEST(Evaluate, SaysOfTheDataWhatTheDataSays) {
  const data_type data = tiny::noisy_steps(50, 1);
  const auto report = evaluate<mean_of_target>(data, lowo{});
  EXPECT_EQ(report.source, "made.csv");
  EXPECT_EQ(report.schema, "aggregated");
  EXPECT_EQ(report.target, "gpu_step_time");
  EXPECT_EQ(report.split, "lowo");
  EXPECT_EQ(report.split_title, "leave one workload out");
  EXPECT_EQ(report.rows, 50U);
  EXPECT_TRUE(report.plausibility.audited);
  EXPECT_EQ(report.plausibility.all.rows, 50U);
  EXPECT_EQ(report.find("mean of the training target"), &report.results[0]);
  EXPECT_EQ(report.find("nobody"), nullptr);
}

TEST(Evaluate, NotesWhichLabelsCountAsOne) {
  dataset_builder<tiny::aggregated> build("aliases");
  build.add_deployment(tiny::engines()[0]);
  for (const char* model : {"70b", "70b-hf", "7b"}) {
    build.begin_row(0).set(prefill_tokens, 1).set(decode_tokens, 0).set(prefill_requests, 1).set(decode_requests, 0);
    build.set(kv_usage_ratio, 0).set(gpu_step_time, 1.0).label(group::model, model).end_row();
  }
  build.alias(group::model, "70b-hf", "70b");
  const auto report = evaluate<mean_of_target>(build.finish(), lomo{});
  EXPECT_EQ(report.results[0].folds.size(), 2U);
  ASSERT_EQ(report.notes.size(), 1U);
  EXPECT_EQ(report.notes[0], "model '70b-hf' counts as '70b'");
}

TEST(Evaluate, KeepsThePredictorsThatItTested) {
  const data_type data = tiny::noisy_steps(120, 2);
  const auto report = evaluate<mean_of_target, shrunk>(data, lomo{});
  for (const fold_result& one : report.results[1].folds) {
    EXPECT_EQ(report.fit<shrunk>(one.held_out).solution().rows, 120 - one.rows) << one.held_out;
  }
  EXPECT_THROW(report.fit<shrunk>("model-9"), evaluation_error);
}

TEST(Evaluate, ReportsProgressPerPredictorAndFold) {
  std::vector<std::tuple<std::string, std::size_t, std::size_t>> calls;
  evaluate_options options;
  options.progress = [&](std::string_view what, std::size_t done, std::size_t total) {
    calls.emplace_back(what, done, total);
  };
  evaluate<shrunk, mean_of_target>(tiny::noisy_steps(100, 2), lowo{}, options);
  const std::string mean = mean_of_target::name();
  const std::vector<std::tuple<std::string, std::size_t, std::size_t>> expected{
      {"shrunk", 0, 2}, {"shrunk", 1, 2}, {"shrunk", 2, 2}, {mean, 0, 2}, {mean, 1, 2}, {mean, 2, 2}};
  EXPECT_EQ(calls, expected);
}

TEST(Evaluate, GivesTheSameBitsAgain) {
  const data_type data = tiny::noisy_steps(300, 6);
  const auto first = evaluate<shrunk>(data, loeo{});
  const auto second = evaluate<shrunk>(data, loeo{});
  for (std::size_t f = 0; f < first.results[0].folds.size(); ++f) {
    EXPECT_EQ(first.results[0].folds[f].errors.mape, second.results[0].folds[f].errors.mape);
    EXPECT_EQ(first.results[0].folds[f].errors.pearson, second.results[0].folds[f].errors.pearson);
  }
}

// -- what goes wrong ------------------------------------------------------------------------------------------------

template <class Estimator, class Split> std::string refusal(const data_type& data, const Split& split) {
  try {
    evaluate<Estimator>(data, split);
  } catch (const error& refused) {
    return refused.what();
  }
  return "evaluated";
}

struct inverse_t
    : decltype(feature_set{"decode_tokens"_f = decode_tokens, "per_prefill_token"_f = one_token / prefill_tokens}) {};
inline constexpr inverse_t inverse{};
struct divides : linear<inverse, ridge<1>> {
  static constexpr std::string_view label = "divides";
};

TEST(Evaluate, DoesNotDependOnThreads) {
  const data_type data = tiny::noisy_steps(600, 16);
  const auto folds = loeo{}.folds(data);
  ASSERT_GT(folds.size(), 3U);
  const std::vector<probe<tiny::aggregated>> probes{{"all as it is", data, row_set::all(data.size())}};
  std::vector<std::string> told;
  const auto run = [&](std::size_t threads) {
    evaluate_options options;
    options.threads = threads;
    options.on_fold = [&](std::string_view, const fold_result& one) { told.push_back(one.held_out); };
    return evaluate_on_folds<mean_of_target>(data, folds, options, probes).result;
  };
  const predictor_result one = run(1), four = run(4);
  ASSERT_EQ(four.folds.size(), folds.size());
  for (std::size_t f = 0; f < folds.size(); ++f) {
    EXPECT_EQ(one.folds[f].errors.mape, four.folds[f].errors.mape);
    EXPECT_EQ(one.folds[f].predictions.predicted, four.folds[f].predictions.predicted);
    EXPECT_EQ(four.folds[f].probes[0].predicted, four.folds[f].predictions.predicted);
    EXPECT_EQ(told[f], folds[f].held_out) << "folds are told in their order";
    EXPECT_EQ(told[folds.size() + f], folds[f].held_out);
  }
}

/// Refuses every fold but the first two, the third fast and the fourth with an error of another kind.
struct refusing : mean_of_target {
  static constexpr std::string_view label = "refusing";
  template <class Schema> static auto fit(const dataset<Schema>& data, const row_set& rows) {
    if (!rows.contains(0)) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    if (rows.size() % 2 == 1) throw dataset_error("odd rows");
    return mean_of_target::fit(data, rows);
  }
};

TEST(Evaluate, ThrowsTheFirstFoldsErrorWhateverTheNumberOfThreads) {
  const data_type data = tiny::noisy_steps(40, 17);
  const auto row = [](std::size_t i) { return row_set::of({i}); };
  const std::vector<fold> folds{{"a", row_set::of({0, 1}), {}, row(20)},
                                {"b", row_set::of({1, 2, 3}), {}, row(21)},
                                {"c", row_set::of({0, 1, 2}), {}, row(22)},
                                {"d", row_set::of({0, 3}), {}, row(23)}};
  for (const std::size_t threads : {1U, 2U, 4U}) {
    evaluate_options options;
    options.threads = threads;
    try {
      evaluate_on_folds<refusing>(data, folds, options);
      FAIL() << "folds b and c cannot be fitted";
    } catch (const evaluation_error& why) {
      EXPECT_STREQ(why.what(), "predictor 'refusing', fold 'b': cannot be fitted: odd rows") << threads << " threads";
    }
  }
}

TEST(Evaluate, KeepsNoPredictionsWhenToldSo) {
  const data_type data = tiny::noisy_steps(100, 18);
  evaluate_options options;
  options.keep_predictions = false;
  const auto report = evaluate<mean_of_target>(data, lomo{}, options);
  EXPECT_TRUE(report.results[0].folds[0].predictions.predicted.empty());
  EXPECT_GT(report.results[0].folds[0].errors.mape, 0.0);
}

TEST(Evaluate, NamesPredictorFoldFeatureAndRow) {
  auto steps = tiny::random_engine_steps(80, 3);
  for (auto& s : steps) s.prefill_requests = 1, s.prefill_tokens = 3;
  std::size_t bad = 0;
  while (steps[bad].engine != 1) ++bad;
  steps[bad].prefill_requests = steps[bad].prefill_tokens = 0;
  const data_type data = tiny::dataset_of(steps, [](const auto&, std::size_t) { return 1.0; });
  const auto& models = data.groups(group::model);
  const std::string first_training_with_it = models.names()[0] == "model-1" ? models.names()[1] : models.names()[0];
  EXPECT_EQ((refusal<divides>(data, lomo{})),
            "predictor 'divides', fold '" + first_training_with_it +
                "': cannot be fitted: feature 'per_prefill_token' is infinite on row " + std::to_string(bad) +
                " (made.csv:" + std::to_string(bad + 2) + ")");
}

struct silent_predictor {
  fit_summary summary() const { return {}; }
  template <class Schema> void predict(const dataset<Schema>&, const row_set&, std::span<double>) const {
    throw fit_error("no idea");
  }
};
struct silent : mean_of_target {
  static constexpr std::string_view label = "silent";
  template <class Schema> static silent_predictor fit(const dataset<Schema>&, const row_set&) { return {}; }
};
TEST(Evaluate, NamesPredictorAndFoldWhenNothingCanBePredicted) {
  EXPECT_EQ((refusal<silent>(tiny::noisy_steps(40, 1), lomo{})),
            "predictor 'silent', fold 'model-0': cannot predict: no idea");
}

TEST(Evaluate, NamesTheLabelThatOnePerLabelKnowsNothingOf) {
  // Workloads are held out; one model per experiment is refused by the compiler, one per model is not and may be asked
  // for a model that only the held-out workload has.
  auto steps = tiny::random_engine_steps(80, 3);
  for (auto& s : steps) s.workload = s.engine == 0 ? "batch" : "chat";
  const data_type data =
      tiny::dataset_of(steps, [](const auto&, std::size_t i) { return 1.0 + static_cast<double>(i % 3); });
  const std::string said = refusal<per<group::model, mean_of_target>>(data, lowo{});
  EXPECT_NE(said.find("cannot predict: nothing was fitted for model '"), std::string::npos) << said;
}

struct keeps_overlapping_folds {
  static constexpr std::string_view name = "overlap";
  static constexpr std::array<group, 0> held_out = no_group;
  static constexpr std::optional<group> fits_one_per{};
  static constexpr bool is_random = false;
  template <splittable Data> std::vector<fold> folds(const Data& data) const {
    return {{"all of it", row_set::all(data.size()), {}, row_set::of({3})}};
  }
};
TEST(Evaluate, RefusesFoldsThatTestWhatTheyTrainOn) {
  EXPECT_EQ((refusal<mean_of_target>(tiny::noisy_steps(40, 1), keeps_overlapping_folds{})),
            "fold 'all of it': row 3 is in train and in test");
}

TEST(Evaluate, RefusesASplitThatTheDataCannotMake) {
  EXPECT_NE(
      (refusal<mean_of_target>(tiny::noisy_steps(40, 1, 0.2, 1), lomo{})).find("lomo needs at least two models"),
      std::string::npos);
}

// -- what the compiler refuses (messages: tests/compile_fail) ----------------------------------------------------------

struct coded_t : decltype(tiny::mixture | feature_set{"code"_f = model_code}) {};
inline constexpr coded_t coded{};
static_assert(!transfers_under<linear<coded, ridge<1>>, lomo>);
static_assert(transfers_under<linear<coded, ridge<1>>, lowo>);
static_assert(transfers_under<linear<without_identity<"model">(coded), ridge<1>>, lomo>);
static_assert(!transfers_under<per<group::model, shrunk>, lomo>);
static_assert(
    !transfers_under<per<group::experiment, shrunk>, lomo>);  // leaving a model out leaves its experiments out
static_assert(transfers_under<per<group::model, shrunk>, temporal>);

}  // namespace
