// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/evaluation/hybrid.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "rafter/estimator/analytical_model.hpp"
#include "rafter/solver/ordinary_least_squares.hpp"
#include "support/engine_steps.hpp"
#include "support/message.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;
using tiny::engine_step;
using data_type = dataset<tiny::aggregated>;

/// Exact on the rows that it was fitted on; of all others it leaves out what a prompt costs.
struct memoriser {
  struct predictor {
    row_set seen;
    fit_summary summary() const { return {}; }
    void predict(const data_type& data, const row_set& rows, std::span<double> out) const {
      std::size_t at = 0;
      rows.for_each([&](std::size_t row) {
        const bool prompt = data.column(prefill_requests)[row] > 0.0;
        out[at++] = data.target()[row] * (prompt && !seen.contains(row) ? std::exp(-0.4) : 1.0);
      });
    }
  };
  static std::string name() { return "memoriser"; }
  static constexpr std::string_view reads_identity(group) { return {}; }
  static constexpr bool fitted_per(group) { return false; }
  template <class Schema> static constexpr std::string_view missing_on() { return {}; }
  static predictor fit(const data_type&, const row_set& rows) { return {rows}; }
};

inline constexpr auto base_time =
    with_unit<units::second>(0.001_c) + decode_tokens * with_unit<units::second / units::token>(0.00001_c);
using physics = analytical_model<base_time>;
using corrected = hybrid<physics, tiny::mixture>;

double physical(const engine_step& s) { return 0.001 + s.decode_tokens * 0.00001; }
/// The physics times e^0.4 with a prompt, and noise.
data_type with_structure(std::size_t count, double noise = 0.02) {
  std::mt19937_64 random(5);
  std::normal_distribution<double> normal;
  return tiny::dataset_of(tiny::random_engine_steps(count, 3), [&](const engine_step& s, std::size_t) {
    return physical(s) * std::exp((s.prefill_requests > 0 ? 0.4 : 0.0) + noise * normal(random));
  });
}
template <class Predictor>
std::vector<double> predictions(const Predictor& fitted, const data_type& data, const row_set& rows) {
  std::vector<double> out(rows.size(), -1.0);
  fitted.predict(data, rows, out);
  return out;
}
std::vector<double> alone(const data_type& data, const row_set& rows) {
  return predictions(physics::fit(data, rows), data, rows);
}

TEST(Hybrid, LearnsFromRowsThatThePhysicsWasNotFittedOn) {
  const auto data = with_structure(1500);
  const row_set train = row_set::where(1500, [](std::size_t row) { return row % 3 != 0; });
  const row_set test = train.complement(1500);
  const auto fitted = hybrid<memoriser, tiny::mixture>::fit(data, train);
  EXPECT_EQ(fitted.strength(), 0.5);  // of its training rows it would have learnt nothing
  double bad = 0.0;
  const auto& prompts = data.column(prefill_requests);
  for (const fold& part : folds_of_models{}.folds(subset_view(data, train))) {
    double sum = 0.0;
    subset_view(data, train).in_dataset(part).test.for_each([&](std::size_t row) {
      sum += prompts[row] > 0.0 ? 1.0 - std::exp(-0.4) : 0.0;
    });
    bad += sum / static_cast<double>(part.test.size()) / 4.0;
  }
  EXPECT_NEAR(fitted.scores()[0].mean(), bad, 1e-12);
  const auto predicted = predictions(fitted, data, test);
  std::size_t at = 0, half = 0;
  test.for_each([&](std::size_t row) {  // in the margin of the domain, less
    half += std::abs(std::log(predicted[at++] / data.target()[row]) + (prompts[row] > 0.0 ? 0.2 : 0.0)) < 0.02;
  });
  EXPECT_GT(half, test.size() * 49 / 50);
}

TEST(Hybrid, IsHalfStrengthWhereThePhysicsLeavesStructure) {
  const auto data = with_structure(1500);
  const auto fitted = corrected::fit(data, row_set::all(1500));
  EXPECT_EQ(fitted.strength(), 0.5);
  ASSERT_EQ(fitted.scores().size(), 2U);
  EXPECT_GT(fitted.scores()[0].mean(), fitted.scores()[1].mean());
  for (const strength_score& one : fitted.scores()) EXPECT_EQ(one.inner_mape.size(), 4U);  // of four models
}

TEST(Hybrid, IsThePhysicsWhereItLeavesNoise) {
  std::mt19937_64 random(5);
  std::normal_distribution<double> normal;
  const auto data = tiny::dataset_of(tiny::random_engine_steps(1500, 3), [&](const engine_step& s, std::size_t) {
    return physical(s) * std::exp(0.2 * normal(random));
  });
  const row_set all = row_set::all(1500);
  const auto fitted = corrected::fit(data, all);
  EXPECT_EQ(fitted.strength(), 0.0);
  EXPECT_EQ(predictions(fitted, data, all), alone(data, all));
  EXPECT_EQ(fitted.summary().parameters, physics::fit(data, all).summary().parameters);
  EXPECT_EQ(fitted.findings().at(0).find("the correction is not used"), 0U);
}

TEST(Hybrid, IsPhysicsTimesTheTreesAtItsStrengthInsideTheDomain) {
  const auto data = with_structure(1500);
  const auto steps = tiny::random_engine_steps(1500, 3);
  const row_set all = row_set::all(1500);
  const auto fitted = corrected::fit(data, all);
  const auto predicted = predictions(fitted, data, all), without = alone(data, all);
  for (std::size_t row = 0; row < 1500; ++row) {
    const auto x = tiny::mixture_of(steps[row]);
    const double factor = std::exp(0.5 * fitted.correction().margin(x.data()));
    ASSERT_NEAR(predicted[row] / (without[row] * factor), 1.0, 1e-14);
  }
}

TEST(Hybrid, IsThePhysicsBitForBitOutsideTheDomain) {
  const auto steps = tiny::random_engine_steps(1500, 3);
  const auto data = with_structure(1500);
  const row_set seen = row_set::where(1500, [&](std::size_t row) { return steps[row].prefill_tokens <= 250; });
  const row_set unseen = row_set::where(1500, [&](std::size_t row) { return steps[row].prefill_tokens > 280; });
  const auto fitted = corrected::fit(data, seen);
  EXPECT_EQ(fitted.strength(), 0.5);
  EXPECT_GT(unseen.size(), 100U);
  EXPECT_EQ(predictions(fitted, data, unseen), alone(data, unseen));
  EXPECT_NE(predictions(fitted, data, seen), alone(data, seen));
}

TEST(Hybrid, GivesTheSameBitsForARecord) {
  const auto steps = tiny::random_engine_steps(1500, 3);
  const auto data = with_structure(1500);
  const auto fitted =
      corrected::fit(data, row_set::where(1500, [&](std::size_t row) { return steps[row].decode_tokens < 50; }));
  EXPECT_EQ(fitted.strength(), 0.5);
  const auto predicted = predictions(fitted, data, row_set::all(1500));
  for (std::size_t row = 0; row < 1500; ++row) {
    ASSERT_EQ(fitted.predict(steps[row], tiny::engines()[steps[row].engine]).value, predicted[row]) << row;
  }
}

TEST(Hybrid, SaysWhatItIsMadeOf) {
  EXPECT_EQ(corrected::name(), physics::name() + ", corrected by 60 boosted trees on 6 features");
  const auto data = with_structure(1500);
  const auto fitted = corrected::fit(data, row_set::all(1500));
  const auto summary = fitted.summary();
  EXPECT_EQ(summary.rows, 1500U);
  EXPECT_EQ(summary.parameters, fitted.physics().summary().parameters + fitted.correction().leaves());
  EXPECT_EQ(
      fitted.findings().at(0).find("correction at strength 0.5: 0 of 4 inner folds (folds_of_models) get worse"), 0U);
}

using always_positive = linear<tiny::mixture, ordinary_least_squares, objective::log_target>;

TEST(Hybrid, BoundToADeploymentItGivesTheSameBits) {
  const auto data = with_structure(1500);
  const auto fitted = hybrid<always_positive, tiny::mixture>::fit(data, row_set::all(1500));
  const auto steps = tiny::random_engine_steps(1500, 3);
  const auto predicted = predictions(fitted, data, row_set::all(1500));
  for (std::size_t row = 0; row < 1500; row += 7) {
    const auto& engine = tiny::engines()[steps[row].engine];
    ASSERT_EQ(fitted.bind<engine_step>(engine)(steps[row]).value, predicted[row]);
    ASSERT_EQ(fitted.predict(steps[row], engine).value, predicted[row]);
  }
}

struct coded_t : decltype(feature_set{"tokens"_f = prefill_tokens, "code"_f = model_code}) {};
inline constexpr coded_t coded{};
struct lengths_t : decltype(feature_set{"tokens"_f = prefill_tokens, "kv"_f = kv_sum}) {};
inline constexpr lengths_t lengths{};

TEST(Hybrid, NamesWhatItsPartsReadAndLack) {
  EXPECT_EQ((hybrid<physics, coded>::reads_identity(group::model)), "code");
  EXPECT_EQ(corrected::reads_identity(group::model), "");
  EXPECT_EQ((hybrid<physics, lengths>::missing_on<tiny::aggregated>()), "kv_sum");
  EXPECT_EQ(corrected::missing_on<tiny::aggregated>(), "");
}

TEST(Hybrid, RefusesRowsThatCannotBeSplit) {
  const auto data = with_structure(30);
  EXPECT_EQ(message_of([&] { corrected::fit(data, row_set{}); }), "no rows to fit on");
  const auto why = message_of([&] { corrected::fit(data, row_set::of({4})); });
  EXPECT_EQ(why.find("no residuals out of fold: the 1 training rows cannot be split by folds_of_models"), 0U) << why;
}

struct negative : memoriser {
  struct predictor : memoriser::predictor {
    void predict(const data_type&, const row_set& rows, std::span<double> out) const {
      std::size_t at = 0;
      rows.for_each([&](std::size_t row) { out[at++] = row == 17 ? -1.0 : 1.0; });
    }
  };
  static predictor fit(const data_type&, const row_set& rows) { return {{rows}}; }
};
TEST(Hybrid, RefusesAPhysicsWithoutPositiveTimes) {
  const auto data = with_structure(100);
  EXPECT_EQ(message_of([&] { hybrid<negative, tiny::mixture>::fit(data, row_set::all(100)); }),
            "the physics predicts -1 s on row 17 (made.csv:19)");
}

struct idle_on_row_17 : memoriser {
  struct predictor : memoriser::predictor {
    void predict(const data_type& data, const row_set& rows, std::span<double> out) const {
      std::size_t at = 0;
      rows.for_each([&](std::size_t row) { out[at++] = row == 17 ? 0.0 : data.target()[row]; });
    }
  };
  static predictor fit(const data_type&, const row_set& rows) { return {{rows}}; }
};
TEST(Hybrid, LearnsNothingOfRowsWithoutWorkAndSaysSo) {
  const auto data = with_structure(100);
  const auto fitted = hybrid<idle_on_row_17, tiny::mixture>::fit(data, row_set::all(100));
  ASSERT_EQ(fitted.findings().size(), 2U);
  EXPECT_EQ(fitted.findings()[1],
            "1 of 100 rows teach the correction nothing: the physics predicts no time for them");
  std::vector<double> out(1);
  fitted.predict(data, row_set::of({17}), out);
  EXPECT_EQ(out[0], 0.0);
}

TEST(Hybrid, HarmOfFiveFoldsIsAMeanErrorThatIsNotLower) {
  using rafter::detail::does_harm;
  const std::vector<double> without(5, 2.0);
  EXPECT_FALSE(does_harm(without, {2.5, 1.0, 1.0, 2.0, 1.0}));
  EXPECT_TRUE(does_harm(without, {6.0, 1.0, 1.0, 2.0, 1.0}));
  EXPECT_TRUE(does_harm(without, without));
  EXPECT_TRUE(does_harm(without, {std::nan(""), 1.0, 1.0, 1.0, 1.0}));
}
TEST(Hybrid, OfFewerFoldsNoneMayGetWorse) {
  using rafter::detail::does_harm;
  EXPECT_FALSE(does_harm({2.0, 2.0, 2.0, 2.0}, {1.0, 1.9, 2.0, 1.0}));
  EXPECT_TRUE(does_harm({2.0, 2.0, 2.0, 2.0}, {1.0, 2.1, 1.0, 1.0}));
  EXPECT_TRUE(does_harm({2.0, 2.0}, {2.0, 2.0}));
  EXPECT_TRUE(does_harm({2.0}, {2.5}));
  EXPECT_TRUE(does_harm({}, {}));
  EXPECT_TRUE(does_harm({1.0, 1.0}, {std::nan(""), 0.5}));
}

// -- folds ---------------------------------------------------------------------------------------------------------

TEST(FoldsOfModels, HoldOutWholeModels) {
  const auto data = with_structure(300);
  const auto folds = folds_of_models{}.folds(data);
  ASSERT_EQ(folds.size(), 4U);
  EXPECT_TRUE(tests_partition(folds, 300));
  for (const fold& part : folds) EXPECT_FALSE(shared_label(part, data.groups(group::model)));
}

TEST(FoldsOfModels, AreFivePartsOfTheRowsOfOneModel) {
  const auto data = tiny::noisy_steps(103, 1, 0.2, 1);
  const auto folds = folds_of_models{}.folds(data);
  ASSERT_EQ(folds.size(), 5U);
  EXPECT_TRUE(tests_partition(folds, 103));
  for (const fold& part : folds) EXPECT_EQ(part.test.ranges().size(), 1U);  // consecutive
}

TEST(FoldsOfModels, AreAsManyAsRowsWhereThereAreFewer) {
  const auto data = tiny::noisy_steps(3, 1, 0.2, 1);
  EXPECT_EQ(folds_of_models{}.folds(data).size(), 3U);
  EXPECT_NO_THROW(corrected::fit(data, row_set::all(3)));
}

// -- the gate --------------------------------------------------------------------------------------------------------

constexpr double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
using rafter::detail::domain_gate;

double at(const domain_gate& gate, std::vector<double> x) { return gate(x.data()); }

TEST(DomainGate, IsOneInsideAndFallsToNoneATenthOfTheRangeBeyond) {
  const domain_gate gate({0.0F, 10.0F, 4.0F, 100.0F, 300.0F, 200.0F}, 3);
  EXPECT_EQ(at(gate, {0.0, 100.0}), 1.0);
  EXPECT_EQ(at(gate, {10.0, 300.0}), 1.0);
  EXPECT_EQ(at(gate, {10.5, 200.0}), 0.5);
  EXPECT_EQ(at(gate, {-0.5, 200.0}), 0.5);
  EXPECT_EQ(at(gate, {5.0, 315.0}), 0.25);
  EXPECT_EQ(at(gate, {10.5, 315.0}), 0.25);  // the least of both
  EXPECT_EQ(at(gate, {11.0, 200.0}), 0.0);
  EXPECT_EQ(at(gate, {5.0, 79.0}), 0.0);
  EXPECT_EQ(at(gate, {infinity, 200.0}), 0.0);
}

TEST(DomainGate, ClosesForEveryOtherValueOfAConstant) {
  const domain_gate gate({3.0F, 3.0F}, 2);
  EXPECT_EQ(at(gate, {3.0}), 1.0);
  EXPECT_EQ(at(gate, {3.001}), 0.0);
  EXPECT_EQ(at(domain_gate({0.1F}, 1), {0.1}), 1.0);  // compared as float, as it was learnt
}

TEST(DomainGate, LetsMissingValuesThroughWhereThereWereSome) {
  const float missing = std::numeric_limits<float>::quiet_NaN();
  const domain_gate gate({1.0F, missing, 2.0F, 3.0F, missing, missing}, 2);
  EXPECT_EQ(at(gate, {nan, 2.5, nan}), 1.0);
  EXPECT_EQ(at(gate, {1.0, nan, nan}), 0.0);  // never missing in training
  EXPECT_EQ(at(gate, {1.0, 2.0, 0.0}), 0.0);  // always missing in training
}

TEST(DomainGate, AsksOnlyForTheRangesThatCount) {
  const domain_gate gate({0.0F, 10.0F, 1.0F, 2.0F}, 2, {false, true});
  EXPECT_EQ(at(gate, {1e9, 1.5}), 1.0);
  EXPECT_EQ(at(gate, {-infinity, 1.5}), 1.0);
  EXPECT_EQ(at(gate, {infinity, 1.5}), 1.0);
  EXPECT_EQ(at(gate, {5.0, 3.0}), 0.0);
  EXPECT_EQ(at(gate, {nan, 1.5}), 0.0);
}

// -- monotone corrections --------------------------------------------------------------------------------------------

struct loads_t
    : decltype(feature_set{"prefill_tokens"_f = log1p(prefill_tokens / with_unit<units::token>(1_c)),
                           "decode_requests"_f = log1p(decode_requests), "layers"_f = architecture::layers}) {};
inline constexpr loads_t loads{};
inline constexpr auto flat_time = with_unit<units::second>(0.002_c);

TEST(Hybrid, NeverMakesAHeavierBatchFasterWhereItIsMonotone) {
  // A physics without load: the correction lowers light batches and raises heavy ones.
  const auto data = tiny::dataset_of(tiny::random_engine_steps(1500, 3), [](const engine_step& s, std::size_t i) {
    return (1e-3 + 5e-5 * s.decode_requests + 4e-6 * s.prefill_tokens) * (i % 2 == 0 ? 1.1 : 0.9);
  });
  const auto fitted = hybrid<analytical_model<flat_time>, loads, monotone_boosting>::fit(data, row_set::all(1500));
  ASSERT_EQ(fitted.strength(), 0.5);
  double least = 1.0, most = 0.0;
  for (const std::size_t engine : {0U, 2U}) {
    for (const double other : {0.0, 3.0, 200.0, 900.0}) {
      double last = 0.0, last_prefill = 0.0;
      for (double load = 0.0; load < 5000.0; load = load < 200 ? load + 1.0 : load * 1.05) {
        engine_step s;
        s.engine = engine;
        s.decode_requests = s.decode_tokens = load;
        s.prefill_tokens = other;
        const double now = fitted.predict(s, tiny::engines()[engine]).value;
        ASSERT_GE(now, last) << load << " requests, " << other << " tokens";
        last = now;
        s.decode_requests = s.decode_tokens = other;
        s.prefill_tokens = load;
        const double by_prefill = fitted.predict(s, tiny::engines()[engine]).value;
        ASSERT_GE(by_prefill, last_prefill) << load << " tokens, " << other << " requests";
        last_prefill = by_prefill;
        least = std::min({least, now, by_prefill});
        most = std::max({most, now, by_prefill});
      }
    }
  }
  EXPECT_LT(least, 1.9e-3);  // it does lower and raise
  EXPECT_GT(most, 2.2e-3);
}

TEST(Hybrid, ThatIsMonotoneIsThePhysicsForOtherEngines) {
  const auto steps = tiny::random_engine_steps(1500, 3);
  const auto data = with_structure(1500);
  const row_set seen = row_set::where(1500, [&](std::size_t row) { return steps[row].engine != 3; });  // 11 layers
  const auto fitted = hybrid<physics, loads, monotone_boosting>::fit(data, seen);
  EXPECT_EQ(fitted.strength(), 0.5);
  EXPECT_EQ(predictions(fitted, data, seen.complement(1500)), alone(data, seen.complement(1500)));
}

}  // namespace
