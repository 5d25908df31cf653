// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/evaluation/attribution.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "rafter/analytical/corrected.hpp"
#include "rafter/solver/ordinary_least_squares.hpp"
#include "support/engine_steps.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;
using data_type = dataset<tiny::aggregated>;

struct few_trees {
  static boosting_options options() {
    boosting_options made;
    made.rounds = 20;
    made.max_depth = 4;
    made.seed = 3;
    return made;
  }
};

constexpr bounded<"per_token", 0_c, 1e-5_c, 1_c, units::second> per_token{};
constexpr bounded<"per_request", 0_c, 1e-5_c, 1_c, units::second> per_request{};
constexpr bounded<"floor", 1e-9_c, 1e-3_c, 1_c, units::second> floor_time{};
constexpr auto token_time = per_token * (prefill_tokens / one_token);
constexpr auto request_time = per_request * decode_requests;
constexpr auto model = architecture::layers * (token_time + request_time) + floor_time;
using physics = nonlinear<model>;
using linear_seconds = linear<tiny::mixture, ordinary_least_squares>;
using linear_logs = linear<tiny::mixture, ordinary_least_squares, objective::log_target>;
constexpr auto base_time = with_unit<units::second>(1e-6_c) * (decode_tokens / one_token);
using linear_ratio = linear<tiny::mixture, ordinary_least_squares, objective::log_ratio_to<base_time>>;

template <class Predictor>
std::vector<double> predicted(const Predictor& fitted, const data_type& data, const row_set& rows) {
  std::vector<double> times(rows.size());
  fitted.predict(data, rows, std::span<double>(times));
  return times;
}
/// Base and contributions of each row make the prediction, to 1e-10 of it.
void expect_additive(const attribution_table& made, const std::vector<double>& times) {
  ASSERT_EQ(made.rows(), times.size());
  for (std::size_t i = 0; i < times.size(); ++i) {
    double sum = made.base[i];
    for (std::size_t k = 0; k < made.columns(); ++k) sum += made(i, k);
    const double expected = made.scale == attribution_scale::time_in_seconds ? times[i] : std::log(times[i]);
    EXPECT_NEAR(sum, expected,
                1e-10 * std::max(std::abs(expected), made.scale == attribution_scale::time_in_seconds ? 0.0 : 1.0));
    EXPECT_NEAR(made[i].time().value, times[i], 1e-10 * times[i]);
  }
}
row_set some_rows(const data_type& data) {
  return row_set::where(data.size(), [](std::size_t row) { return row % 3 != 1; });
}
std::string message_of(const auto& call) {
  try {
    call();
  } catch (const error& why) {
    return why.what();
  }
  return "nothing thrown";
}

TEST(Attribution, OfALinearPredictorIsCoefficientTimesDistanceFromTheMean) {
  const data_type data = tiny::noisy_steps(300, 5);
  const row_set background = row_set::where(data.size(), [](std::size_t row) { return row % 2 == 0; });
  const row_set rows = some_rows(data);
  const auto fitted = linear_seconds::fit(data, row_set::all(data.size()));
  const attribution_table made = attributions(fitted, data, rows, background);
  const auto steps = tiny::random_engine_steps(300, 5);
  std::array<double, 6> means{};
  background.for_each([&](std::size_t row) {
    for (std::size_t k = 0; k < 6; ++k)
      means[k] += tiny::mixture_of(steps[row])[k] / static_cast<double>(background.size());
  });
  EXPECT_EQ(made.scale, attribution_scale::time_in_seconds);
  EXPECT_EQ(made.names[5], "prefill_tokens*kv_usage_ratio");
  std::size_t i = 0;
  rows.for_each([&](std::size_t row) {
    const auto x = tiny::mixture_of(steps[row]);
    for (std::size_t k = 0; k < 6; ++k) {
      const double expected = fitted.solution().coefficients[k] * (x[k] - means[k]);
      EXPECT_NEAR(made(i, k), expected, 1e-12 * (std::abs(expected) + 1e-3));
    }
    ++i;
  });
  expect_additive(made, predicted(fitted, data, rows));
}

TEST(Attribution, OfALinearPredictorIsItsShapleyValuesAgainstTheBackground) {
  // All orders of the features, each coalition averaged over the background's rows (features independent).
  const data_type data = tiny::noisy_steps(60, 6);
  const row_set all = row_set::all(data.size());
  const auto fitted = linear_seconds::fit(data, all);
  const attribution_table made = attributions(fitted, data, row_set::of({7}), all);
  const auto steps = tiny::random_engine_steps(60, 6);
  const auto value = [&](unsigned coalition) {
    double sum = 0.0;
    for (const auto& other : steps) {
      double time = fitted.solution().intercept;
      for (std::size_t k = 0; k < 6; ++k) {
        const auto& from = (coalition >> k & 1U) != 0U ? steps[7] : other;
        time += fitted.solution().coefficients[k] * tiny::mixture_of(from)[k];
      }
      sum += time;
    }
    return sum / static_cast<double>(steps.size());
  };
  std::vector<std::size_t> order{0, 1, 2, 3, 4, 5};
  std::vector<double> shapley(6);
  do {
    unsigned coalition = 0;
    for (const std::size_t k : order) {
      const double before = value(coalition);
      coalition |= 1U << k;
      shapley[k] += (value(coalition) - before) / 720.0;
    }
  } while (std::next_permutation(order.begin(), order.end()));
  for (std::size_t k = 0; k < 6; ++k) EXPECT_NEAR(made(0, k), shapley[k], 1e-12);
}

TEST(Attribution, OfLogarithmsAddsUpToTheLogarithm) {
  const data_type data = tiny::noisy_steps(300, 7);
  const row_set rows = some_rows(data);
  const auto fitted = linear_logs::fit(data, rows);
  const attribution_table made = attributions(fitted, data, rows);
  EXPECT_EQ(made.scale, attribution_scale::log_of_seconds);
  EXPECT_EQ(made.columns(), 6U);
  expect_additive(made, predicted(fitted, data, rows));
}

TEST(Attribution, NamesTheBaseOfARatio) {
  const data_type data = tiny::noisy_steps(300, 8);
  const row_set rows = some_rows(data);
  const auto fitted = linear_ratio::fit(data, rows);
  const attribution_table made = attributions(fitted, data, rows);
  ASSERT_EQ(made.columns(), 7U);
  EXPECT_EQ(made.names[0], "base of the objective");
  EXPECT_DOUBLE_EQ(made(0, 0), std::log(1e-6 * tiny::random_engine_steps(300, 8)[0].decode_tokens));
  expect_additive(made, predicted(fitted, data, rows));
}

template <class Objective> void expect_additive_trees(attribution_scale scale) {
  const data_type data = tiny::noisy_steps(400, 9);
  const row_set rows = some_rows(data);
  const auto fitted = trees<tiny::mixture, Objective, few_trees>::fit(data, rows);
  const attribution_table made = attributions(fitted, data, row_set::all(data.size()));
  EXPECT_EQ(made.scale, scale);
  expect_additive(made, predicted(fitted, data, row_set::all(data.size())));
}
TEST(Attribution, OfTreesOnSecondsAddsUp) {
  expect_additive_trees<objective::squared>(attribution_scale::time_in_seconds);
}
TEST(Attribution, OfTreesOnLogarithmsAddsUp) {
  expect_additive_trees<objective::log_target>(attribution_scale::log_of_seconds);
}
TEST(Attribution, OfTreesOnRatiosAddsUp) {
  expect_additive_trees<objective::log_ratio_to<base_time>>(attribution_scale::log_of_seconds);
}
TEST(Attribution, OfTreesWithAnExponentialLinkAddsUp) {
  expect_additive_trees<objective::poisson_deviance>(attribution_scale::log_of_seconds);
}

TEST(Attribution, OfTreesIsTheSolversOnOneRecord) {
  const data_type data = tiny::noisy_steps(300, 10);
  const auto fitted = trees<tiny::mixture, objective::log_target, few_trees>::fit(data, row_set::all(data.size()));
  const auto explain_one = explainer(fitted);
  const attribution made = explain_one(data[17], data.deployment_of(17));
  const auto x = tiny::mixture_of(tiny::random_engine_steps(300, 10)[17]);
  const tree_attributions solver = explain(fitted.ensemble());
  auto work = solver.make_workspace();
  std::array<double, 6> phi{};
  solver.explain(x.data(), phi.data(), work);
  for (std::size_t k = 0; k < 6; ++k) EXPECT_EQ(made.contributions[k], phi[k]);
  EXPECT_EQ(made.base, solver.expected());
  EXPECT_EQ(made.contributions, attributions(fitted, data, row_set::of({17}))[0].contributions);
}

TEST(Attribution, OfTreesAgainstABackgroundAddsUpFromItsMean) {
  const data_type data = tiny::noisy_steps(300, 10);
  const row_set all = row_set::all(data.size()), background = row_set::of({3, 50, 111, 200});
  const auto fitted = trees<tiny::mixture, objective::log_target, few_trees>::fit(data, all);
  const auto against = explainer(fitted, data, background);
  const attribution_table made = against.table(data, all);
  expect_additive(made, predicted(fitted, data, all));
  double mean = 0.0;
  for (const double time : predicted(fitted, data, background)) mean += std::log(time) / 4.0;
  EXPECT_NEAR(made.base[0], mean, 1e-12);
  const attribution one = against(data[17], data.deployment_of(17));
  EXPECT_EQ(one.contributions, made[17].contributions);
  EXPECT_NE(one.contributions, explainer(fitted).table(data, all)[17].contributions);
  // A row against itself alone has nothing to explain.
  const attribution_table none = explainer(fitted, data, row_set::of({17})).table(data, row_set::of({17}));
  for (const double each : none.contributions) EXPECT_EQ(each, 0.0);
  EXPECT_THROW(explainer(fitted, data, row_set{}), evaluation_error);
}

TEST(Attribution, TakesAModelApartAtItsSums) {
  using parts = summands<decltype(model)>;
  EXPECT_EQ(detail::length_of(parts{}), 3U);
  const data_type data = tiny::noisy_steps(300, 11);
  const row_set rows = some_rows(data);
  const auto fitted = physics::fit(data, rows);
  const auto made = explainer(fitted);
  EXPECT_EQ(made.names(), (std::vector<std::string>{"layers*(per_token*(prefill_tokens/1))",
                                                    "layers*(per_request*decode_requests)", "floor"}));
  const attribution_table table = made.table(data, rows);
  expect_additive(table, predicted(fitted, data, rows));
  const auto steps = tiny::random_engine_steps(300, 11);
  const auto layers = static_cast<double>(tiny::engines()[steps[0].engine].architecture.layers);
  EXPECT_NEAR(table(0, 0), layers * fitted.parameter("per_token") * steps[0].prefill_tokens, 1e-15);
  EXPECT_NEAR(table(0, 1), layers * fitted.parameter("per_request") * steps[0].decode_requests, 1e-15);
  EXPECT_DOUBLE_EQ(table(0, 2), fitted.parameter("floor"));
}

TEST(Attribution, AddsSummandsOfOneNameTogether) {
  const data_type data = tiny::noisy_steps(200, 12);
  const auto fitted = physics::fit(data, row_set::all(data.size()));
  const auto made = explainer(fitted, summand_names{"work", "work", "floor"});
  EXPECT_EQ(made.names(), (std::vector<std::string>{"work", "floor"}));
  const attribution_table split = attributions(fitted, data, row_set::of({3}));
  const attribution_table merged = made.table(data, row_set::of({3}));
  EXPECT_DOUBLE_EQ(merged(0, 0), split(0, 0) + split(0, 1));
  EXPECT_EQ(message_of([&] { explainer(fitted, summand_names{"work"}); }), "1 names for the 3 parts of a model");
}

TEST(Attribution, ChecksThatGivenPartsAddUp) {
  const data_type data = tiny::noisy_steps(200, 13);
  const row_set rows = row_set::all(data.size());
  const auto fitted = physics::fit(data, rows);
  const auto whole = explainer(fitted, model_parts{"tokens"_part = architecture::layers * token_time,
                                                   "rest"_part = architecture::layers * request_time + floor_time});
  expect_additive(whole.table(data, rows), predicted(fitted, data, rows));
  const auto short_of = explainer(fitted, model_parts{"tokens"_part = architecture::layers * token_time});
  const std::string told = message_of([&] { short_of.table(data, rows); });
  EXPECT_NE(told.find("the parts of the model add up to"), std::string::npos) << told;
  EXPECT_NE(told.find("on row 0 (made.csv:2)"), std::string::npos) << told;
}

TEST(Attribution, OfAFormulaNeedsNoFit) {
  constexpr auto formula_model =
      architecture::layers * (with_unit<units::second>(1e-6_c) * (prefill_tokens / one_token) - base_time / 2_c) +
      base_time * architecture::layers;
  const data_type data = tiny::noisy_steps(50, 14);
  const row_set rows = row_set::all(data.size());
  const auto fitted = analytical_model<formula_model>::fit(data, rows);
  const attribution_table made = attributions(fitted, data, rows);
  EXPECT_EQ(made.columns(), 3U);
  expect_additive(made, predicted(fitted, data, rows));
  EXPECT_LT(made(0, 1), 0.0);
}

TEST(Attribution, TakesSumsThatAreNoTimesAsTheyAre) {
  constexpr auto two_regimes = (1_c - kv_usage_ratio) * token_time + kv_usage_ratio * request_time;
  EXPECT_EQ(detail::length_of(summands<decltype(two_regimes)>{}), 2U);
}

TEST(Attribution, OfParametersPerLabelReadsEachRowsOwn) {
  const data_type data = tiny::noisy_steps(300, 15);
  const row_set rows = some_rows(data);
  using per_model = nonlinear<with_parameters_per<"model">(model)>;
  const auto fitted = per_model::fit(data, rows);
  expect_additive(attributions(fitted, data, rows), predicted(fitted, data, rows));
  const auto row = static_cast<std::size_t>(4);
  const auto one = explainer(fitted)(data[row], data.deployment_of(row), {data.groups(group::model).name(row)});
  EXPECT_EQ(one.contributions, attributions(fitted, data, row_set::of({row}))[0].contributions);
}

TEST(Attribution, OfOnePredictorPerLabelIsThatOfTheLabel) {
  const data_type data = tiny::noisy_steps(300, 17);
  const row_set rows = some_rows(data);
  const auto fitted = per<group::model, linear_seconds>::fit(data, rows);
  const attribution_table made = attributions(fitted, data, rows);
  expect_additive(made, predicted(fitted, data, rows));
  const auto& [label, part] = fitted.parts()[2];
  const row_set own = rows & row_set::where(data.size(), [&](std::size_t row) {
                        return data.groups(group::model).name(row) == label;
                      });
  EXPECT_EQ(attributions(fitted, data, own).contributions, attributions(part, data, own).contributions);
  const row_set without =
      row_set::where(data.size(), [&](std::size_t row) { return !own.contains(row) && row % 3 != 1; });
  const auto fewer = per<group::model, linear_seconds>::fit(data, without);
  EXPECT_EQ(message_of([&] { attributions(fewer, data, rows); }), "nothing was fitted for model '" + label + "'");
}

TEST(Attribution, OfANormalFormIsItsTerms) {
  const data_type data = tiny::noisy_steps(300, 18, 0.01);
  const row_set rows = some_rows(data);
  const auto fitted = pmnf<only<"prefill_tokens", "decode_tokens">(tiny::mixture)>::fit(data, rows);
  ASSERT_FALSE(fitted.form().terms.empty());
  const attribution_table made = attributions(fitted, data, rows);
  EXPECT_EQ(made.columns(), fitted.form().terms.size());
  EXPECT_EQ(made.base[0], fitted.form().constant);
  EXPECT_NE(fitted.formula().find(made.names[0]), std::string::npos);
  expect_additive(made, predicted(fitted, data, rows));
  const attribution one = explainer(fitted)(data[0], data.deployment_of(0));
  EXPECT_NEAR(one.time().value, made[0].time().value, 1e-15);
}

TEST(Attribution, OfAHybridIsTheProductThatItIs) {
  const data_type data = tiny::dataset_of(tiny::random_engine_steps(500, 16), [](const auto& s, std::size_t) {
    const auto layers = static_cast<double>(tiny::engines()[s.engine].architecture.layers);
    return (1e-3 + layers * (2e-6 * s.prefill_tokens + 1e-6 * s.decode_requests)) *
           (s.kv_usage_ratio > 0.5 ? 1.5 : 1.0);
  });
  struct own_boosting : correcting_boosting {
    static boosting_options options() {
      boosting_options made = correcting_boosting::options();
      made.min_child_weight = 5.0;
      made.rounds = 20;
      return made;
    }
  };
  const row_set rows = row_set::where(data.size(), [](std::size_t row) { return row % 4 != 0; });
  const auto fitted =
      hybrid<physics, only<"kv_usage_ratio", "prefill_tokens">(tiny::mixture), own_boosting>::fit(data, rows);
  ASSERT_GT(fitted.strength(), 0.0);
  const row_set all = row_set::all(data.size());
  const attribution_table made = attributions(fitted, data, all);
  EXPECT_EQ(made.scale, attribution_scale::log_of_seconds);
  EXPECT_EQ(made.names, (std::vector<std::string>{"physics", "kv_usage_ratio", "prefill_tokens"}));
  expect_additive(made, predicted(fitted, data, all));
  const std::vector<double> physical = predicted(fitted.physics(), data, all);
  for (std::size_t i = 0; i < all.size(); ++i) EXPECT_DOUBLE_EQ(std::exp(made(i, 0)), physical[i]);
  expect_additive(attributions(fitted.physics(), data, all), physical);
  const std::vector<double> sizes = made.mean_absolute();
  EXPECT_GT(sizes[1], 3.0 * sizes[2]);
}

TEST(Attribution, NamesTheKernelsOfTheBestModel) {
  using best = std::remove_cvref_t<decltype(analytical::best<analytical::serving_conditions>)>;
  const auto names = detail::names_of_summands<best>(summands<best>{});
  EXPECT_EQ(names.front(), "qkv projection");
  EXPECT_EQ(names.back(), "decode attention");
}

TEST(Attribution, IsToldLargestFirst) {
  const attribution made{.scale = attribution_scale::log_of_seconds,
                         .base = std::log(1e-3),
                         .names = {"a", "b", "c"},
                         .contributions = {0.25, -0.5, 0.125}};
  EXPECT_EQ(made.table(1).plain(""),
            "what           log  factor\n"
            "--------------------------\n"
            "base       -6.9078\n"
            "b          -0.5000  0.6065\n"
            "2 others   +0.3750  1.4550\n"
            "sum        -7.0328\n"
            "time [ms]   0.8825\n");
  EXPECT_EQ(made["c"], 0.125);
  EXPECT_EQ(message_of([&] { made["cc"]; }).substr(0, 31), "nothing is attributed to 'cc'; ");
}

}  // namespace
