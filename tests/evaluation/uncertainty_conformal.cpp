// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/evaluation/uncertainty/conformal.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <limits>
#include <new>
#include <string>
#include <vector>

#include "rafter/estimator/linear.hpp"
#include "rafter/evaluation/uncertainty/quantile_intervals.hpp"
#include "rafter/solver/ordinary_least_squares.hpp"
#include "rafter/validation/k_fold.hpp"
#include "rafter/validation/leave_one_group_out.hpp"
#include "support/engine_steps.hpp"
#include "support/message.hpp"

namespace {
std::size_t allocations = 0;
}
// Not inlined: the compiler would see malloc on one side and delete on the other.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  if (void* const made = std::malloc(size)) return made;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* made) noexcept { std::free(made); }
[[gnu::noinline]] void operator delete(void* made, std::size_t) noexcept { std::free(made); }

namespace {

using namespace rafter;
using namespace rafter::literals;
using data_type = dataset<tiny::aggregated>;
constexpr double infinite = std::numeric_limits<double>::infinity();

struct tokens_t : decltype(feature_set{"prefill"_f = prefill_tokens, "decode"_f = decode_tokens}) {};
inline constexpr tokens_t tokens{};
struct by_tokens : linear<tokens, ordinary_least_squares, objective::relative> {
  static constexpr std::string_view label = "by_tokens";
};
/// Without fit_each.
struct one_by_one {
  static constexpr std::string_view label = "one_by_one";
  static std::string name() { return by_tokens::name(); }
  static constexpr std::string_view reads_identity(group) { return {}; }
  static constexpr bool fitted_per(group) { return false; }
  template <class Schema> static constexpr std::string_view missing_on() { return {}; }
  template <class Schema> static auto fit(const dataset<Schema>& data, const row_set& rows) {
    return by_tokens::fit(data, rows);
  }
};

struct of_rows : conformal_defaults {
  static constexpr conformal_rule rule = conformal_rule::pooled;
};
using by_rows = conformal<by_tokens, k_fold, of_rows>;
using for_new_models = conformal<by_tokens, lomo>;

TEST(Conformal, CoversExchangeableRowsAtItsLevel) {
  for (const double level : {0.8, 0.9}) {
    std::size_t covered = 0, tested = 0;
    for (unsigned seed = 0; seed < 60; ++seed) {
      const data_type data = tiny::noisy_steps(160, seed, 0.3);
      const row_set test = row_set::where(data.size(), [&](std::size_t row) { return (row * 7 + seed) % 4 == 0; });
      const auto fitted = by_rows::fit(data, test.complement(data.size()));
      std::vector<double> lower(test.size()), upper(test.size());
      fitted.intervals(data, test, level, lower, upper);
      std::size_t i = 0;
      test.for_each([&](std::size_t row) {
        covered += lower[i] <= data.target()[row] && data.target()[row] <= upper[i];
        ++i, ++tested;
      });
    }
    const double expected = static_cast<double>(conformal_rank(120, 1.0 - level)) / 121.0;
    // Rows of one fit share its quantile: of 60 · 120 calibrated and 60 · 40 tested rows, both vary.
    const double deviation = std::sqrt(level * (1 - level) * (1.0 / (60 * 120) + 1.0 / (60 * 40)));
    EXPECT_NEAR(static_cast<double>(covered) / static_cast<double>(tested), expected, 4 * deviation) << level;
  }
}

TEST(Conformal, PredictsAsItsEstimatorOnAllTrainingRows) {
  const data_type data = tiny::noisy_steps(200, 1);
  const row_set rows = row_set::where(200, [](std::size_t row) { return row % 5 != 0; }), all = row_set::all(200);
  const auto fitted = for_new_models::fit(data, rows);
  std::vector<double> with(200), alone(200);
  fitted.predict(data, all, with);
  by_tokens::fit(data, rows).predict(data, all, alone);
  EXPECT_EQ(with, alone);
  EXPECT_EQ(fitted.summary().rows, rows.size());
  EXPECT_EQ(for_new_models::name(), "by_tokens with intervals by lomo, pooled CDFs (model)");
}

TEST(Conformal, NeverSeesTheRowsOfTheOuterTest) {
  auto steps = tiny::random_engine_steps(240, 4);
  const auto time = [](double spoilt) {
    return [spoilt](const tiny::engine_step& s, std::size_t i) {
      return (1e-3 + 1e-5 * s.prefill_tokens + 1e-4 * static_cast<double>(i * i % 7)) *
             (s.engine == 3 ? spoilt : 1.0);
    };
  };
  const data_type data = tiny::dataset_of(steps, time(1.0)), spoilt = tiny::dataset_of(steps, time(100.0));
  const std::vector<fold> folds = lomo{}.folds(data);
  for (const fold& part : folds) {
    const auto one = for_new_models::fit(data, part.train), other = for_new_models::fit(spoilt, part.train);
    for (std::size_t level = 0; level < 4; ++level) {
      EXPECT_EQ(one.calibration().above(0, level) == other.calibration().above(0, level), part.held_out == "model-3");
    }
  }
}

struct per_phase : conformal_defaults {
  using cells = by_phase;
};
struct spread_per_phase : conformal_defaults {
  using difficulty = spread_by<crossed<by_phase, by_routing>>;
  static constexpr interval_sides sides = interval_sides::two_sided;
};

template <class Options> void expect_records_as_rows() {
  const auto steps = tiny::random_engine_steps(240, 4);
  const data_type data = tiny::noisy_steps(240, 4);
  const auto fitted = conformal<by_tokens, lomo, Options>::fit(data, row_set::all(240));
  std::vector<double> lower(240), upper(240);
  fitted.intervals(data, row_set::all(240), 0.8, lower, upper);
  struct record {
    double prefill_tokens, decode_tokens;
  };
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const record one{steps[i].prefill_tokens, steps[i].decode_tokens};
    const time_interval made = fitted.interval(one, tiny::engines()[steps[i].engine], 0.8);
    EXPECT_NEAR(made.lower.value, lower[i], 1e-12 * lower[i]);
    EXPECT_NEAR(made.upper.value, upper[i], 1e-12 * upper[i]);
    EXPECT_LT(lower[i], upper[i]);
    const time_interval unknown = fitted.interval(one, tiny::engines()[0], 0.77);
    EXPECT_EQ(unknown.lower.value, 0.0);
    EXPECT_EQ(unknown.upper.value, infinite);
  }
  EXPECT_THROW(fitted.intervals(data, row_set::all(240), 0.77, lower, upper), fit_error);
}
TEST(Conformal, GivesRecordsTheIntervalsOfRows) {
  expect_records_as_rows<conformal_defaults>();
  expect_records_as_rows<per_phase>();
  expect_records_as_rows<spread_per_phase>();
}

TEST(Conformal, IntervalsOfRecordsAllocateNothing) {
  const auto fitted = conformal<by_tokens, lomo, spread_per_phase>::fit(tiny::noisy_steps(240, 4), row_set::all(240));
  struct record {
    double prefill_tokens, decode_tokens;
  };
  const rafter::deployment& engine = tiny::engines()[1];
  double sum = 0.0;
  const std::size_t before = allocations;
  for (int i = 1; i < 100; ++i) {
    const time_interval made = fitted.interval(record{10.0 * i, 3.0}, engine, 0.8);
    sum += made.upper.value - made.lower.value;
  }
  EXPECT_EQ(allocations, before);
  EXPECT_GT(before, 0U);
  EXPECT_GT(sum, 0.0);
}

struct split : of_rows {
  static constexpr bool refit = false;
};

TEST(Conformal, OfOneFoldPredictsWithTheFitThatWasCalibrated) {
  const data_type data = tiny::noisy_steps(200, 2);
  const auto fitted = conformal<by_tokens, first_fold_of<k_fold>, split>::fit(data, row_set::all(200));
  EXPECT_EQ(fitted.calibration().rows(), 40U);
  EXPECT_EQ(fitted.summary().rows, 160U);
  EXPECT_NE(
      message_of([&] { conformal<by_tokens, k_fold, split>::fit(data, row_set::all(200)); }).find("k_fold made 5"),
      std::string::npos);
  // The quantile by hand.
  const fold only = k_fold{}.folds(data).front();
  std::vector<double> predicted(only.test.size()), scores;
  by_tokens::fit(data, only.train).predict(data, only.test, predicted);
  std::size_t i = 0;
  only.test.for_each(
      [&](std::size_t row) { scores.push_back(std::abs(std::log(data.target()[row] / predicted[i++]))); });
  EXPECT_NEAR(fitted.calibration().above(0, 2), conformal_quantile(scores, 0.1), 1e-12);
}

TEST(Conformal, SaysWhyItCannotBeCalibrated) {
  const data_type one_model = tiny::noisy_steps(60, 5, 0.2, 1);
  const std::string said = message_of([&] { for_new_models::fit(one_model, row_set::all(60)); });
  EXPECT_NE(said.find("the 60 training rows cannot be split by lomo"), std::string::npos) << said;
  EXPECT_THROW(for_new_models::fit(one_model, {}), fit_error);
}

/// Predicts what a test says, whatever the data.
template <int Which> struct told {
  struct predictor {
    fit_summary summary() const { return {}; }
    template <class Schema> void predict(const dataset<Schema>&, const row_set& rows, std::span<double> out) const {
      std::size_t i = 0;
      rows.for_each([&](std::size_t row) {
        out[i++] = row != 7 ? 1.0 : Which == 0 ? std::nan("") : Which == 1 ? -1.0 : infinite;
      });
    }
  };
  static std::string name() { return "told"; }
  static constexpr std::string_view reads_identity(group) { return {}; }
  static constexpr bool fitted_per(group) { return false; }
  template <class Schema> static constexpr std::string_view missing_on() { return {}; }
  template <class Schema> static predictor fit(const dataset<Schema>&, const row_set&) { return {}; }
};
TEST(Conformal, RefusesPredictionsThatAreNotPositiveNumbers) {
  const data_type data = tiny::noisy_steps(60, 5);
  const auto refused = [&]<int Which>() {
    const std::string said = message_of([&] { conformal<told<Which>, lomo>::fit(data, row_set::all(60)); });
    EXPECT_NE(said.find("not a positive number on row 7 (made.csv:9)"), std::string::npos) << said;
    const std::string nested =
        message_of([&] { predict_nested<told<Which>, lomo>(data, lomo{}.folds(data), {.threads = 2}); });
    EXPECT_NE(nested.find("not a positive number on row 7"), std::string::npos) << nested;
    EXPECT_EQ(nested.rfind("predictor 'told', fold 'model-", 0), 0U) << nested;
  };
  refused.template operator()<0>();
  refused.template operator()<1>();
  refused.template operator()<2>();
}

template <class Estimator, class Options> void expect_nested_is_fit_by_fit() {
  const data_type data = tiny::noisy_steps(240, 8);
  const std::vector<fold> folds = lomo{}.folds(data);
  const auto nested = predict_nested<Estimator, lomo>(data, folds, {.threads = 3});
  const interval_rows known = interval_rows_of<Options>(data);
  const auto found = evaluate_intervals(nested, known, detail::method_of<Options>(), 0.8);
  for (std::size_t f = 0; f < folds.size(); ++f) {
    const auto fitted = conformal<Estimator, lomo, Options>::fit(data, folds[f].train);
    std::vector<double> lower(folds[f].test.size()), upper(lower.size());
    fitted.intervals(data, folds[f].test, 0.8, lower, upper);
    const auto made = detail::calibrate(detail::method_of<Options>(), {0.8}, nested.folds[f], known);
    for (std::size_t cell = 0; cell < made.cells().size(); ++cell) {
      if (std::isinf(made.above(cell, 0))) {
        EXPECT_EQ(fitted.calibration().above(cell, 1), infinite);
      } else {
        EXPECT_NEAR(made.above(cell, 0), fitted.calibration().above(cell, 1), 1e-9);
      }
    }
    std::size_t i = 0, covered = 0;
    folds[f].test.for_each([&](std::size_t row) {
      covered += lower[i] <= data.target()[row] && data.target()[row] <= upper[i];
      ++i;
    });
    EXPECT_EQ(found.folds[f].covered, covered);
    EXPECT_EQ(found.folds[f].rows, folds[f].test.size());
  }
}
TEST(NestedPredictions, GiveTheIntervalsOfConformalFitsFoldByFold) {
  expect_nested_is_fit_by_fit<by_tokens, conformal_defaults>();
  expect_nested_is_fit_by_fit<one_by_one, per_phase>();
  expect_nested_is_fit_by_fit<one_by_one, spread_per_phase>();
}

TEST(NestedPredictions, FitEachTrainingSetOnce) {
  const data_type data = tiny::noisy_steps(240, 8);
  const auto nested = predict_nested<one_by_one, lomo>(data, lomo{}.folds(data));
  EXPECT_EQ(nested.asked, 4U + 4U * 3U);
  EXPECT_EQ(nested.fitted, 4U + 6U);
}

TEST(NestedPredictions, AreTheSameForAnyNumberOfThreads) {
  const data_type data = tiny::noisy_steps(240, 8);
  const std::vector<fold> folds = lomo{}.folds(data);
  const auto same = [&]<class E>() {
    const auto one = predict_nested<E, lomo>(data, folds, {.threads = 1});
    const auto many = predict_nested<E, lomo>(data, folds, {.threads = 4});
    for (std::size_t f = 0; f < folds.size(); ++f) {
      EXPECT_EQ(one.folds[f].calibration_rows, many.folds[f].calibration_rows);
      EXPECT_EQ(one.folds[f].calibration.predicted, many.folds[f].calibration.predicted);
      EXPECT_EQ(one.folds[f].test.predicted, many.folds[f].test.predicted);
    }
  };
  same.template operator()<by_tokens>();
  same.template operator()<one_by_one>();
}

/// Three quantiles about a fixed time, the band `Percent` wide either way.
template <int Percent> struct fixed_band {
  struct predictor {
    static constexpr std::array levels{0.1, 0.5, 0.9};
    static constexpr std::size_t middle = 1;
    double centre;
    fit_summary summary() const { return {}; }
    template <class Schema>
    void predict_quantiles(const dataset<Schema>&, const row_set& rows, std::span<double> out) const {
      for (std::size_t i = 0; i < rows.size(); ++i) {
        out[3 * i] = centre / (1 + Percent / 100.0);
        out[3 * i + 1] = centre;
        out[3 * i + 2] = centre * (1 + Percent / 100.0);
      }
    }
    template <class Schema> void predict(const dataset<Schema>&, const row_set&, std::span<double> out) const {
      for (double& one : out) one = centre;
    }
  };
  static std::string name() { return "band"; }
  static constexpr std::string_view reads_identity(group) { return {}; }
  static constexpr bool fitted_per(group) { return false; }
  template <class Schema> static constexpr std::string_view missing_on() { return {}; }
  template <class Schema> static predictor fit(const dataset<Schema>&, const row_set&) { return {1.0}; }
};
template <int Percent> std::pair<double, double> conformalized(const data_type& data, double level) {
  const auto fitted =
      conformalized_quantiles<fixed_band<Percent>, k_fold, of_rows>::fit(data, row_set::all(data.size()));
  std::vector<double> lower(data.size()), upper(data.size());
  fitted.intervals(data, row_set::all(data.size()), level, lower, upper);
  return {lower[0], upper[0]};
}

TEST(ConformalizedQuantiles, WidenANarrowBandAndNarrowAWideOne) {
  const data_type data = tiny::dataset_of(tiny::random_engine_steps(99, 3), [](const auto&, std::size_t i) {
    return std::exp((static_cast<double>(i * 37 % 99) - 49.0) / 100.0);  // -0.49 … 0.49, each once
  });
  // Of |log time| the 90th of 99 is 0.45: whatever the band, that is where an interval of 90 % ends.
  for (const auto& [lower, upper] : {conformalized<5>(data, 0.9), conformalized<90>(data, 0.9)}) {
    EXPECT_NEAR(std::log(upper), 0.45, 1e-12);
    EXPECT_NEAR(std::log(lower), -0.45, 1e-12);
  }
  const auto as_it_is = quantile_intervals<fixed_band<5>>::fit(data, row_set::all(99));
  std::vector<double> lower(99), upper(99);
  as_it_is.intervals(data, row_set::all(99), 0.8, lower, upper);
  EXPECT_EQ(upper[0], 1.05);
  EXPECT_THROW(as_it_is.intervals(data, row_set::all(99), 0.9, lower, upper), fit_error);

  const std::vector<fold> folds = k_fold{}.folds(data);
  const auto nested = predict_nested<fixed_band<5>, uncalibrated>(data, folds);
  EXPECT_EQ(nested.fitted, folds.size());
  const auto raw =
      evaluate_intervals(nested, interval_rows_of<of_rows>(data), {.rule = conformal_rule::as_predicted}, 0.8);
  EXPECT_EQ(raw.all.covered, 9U);  // |log time| ≤ log 1.05 = 0.0488
  EXPECT_THROW(
      evaluate_intervals(nested, interval_rows_of<of_rows>(data), {.rule = conformal_rule::as_predicted}, 0.9),
      error);
}

}  // namespace
