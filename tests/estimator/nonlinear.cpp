// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/estimator/nonlinear.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "concepts/estimator.hpp"
#include "support/engine_steps.hpp"
#include "support/message.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;
using tiny::engine_step;

// Time to launch and time to work overlap in part; work depends on the deployment too.
inline constexpr bounded<"launch", 1e-6_c, 1e-3_c, 1_c, units::second> launch{};
inline constexpr bounded<"per_token", 1e-9_c, 1e-6_c, 1_c, units::second / units::token> per_token{};
inline constexpr bounded<"per_layer", 0_c, 1e-5_c, 1_c, units::second> per_layer{};
inline constexpr auto overlapping =
    sqrt(square(launch) + square(per_token * (prefill_tokens + decode_tokens))) + per_layer * architecture::layers;
using overlap = nonlinear<overlapping>;

double overlapping_time(const engine_step& s, double launch_s, double token_s, double layer_s) {
  return std::hypot(launch_s, token_s * (s.prefill_tokens + s.decode_tokens)) +
         layer_s * tiny::engines()[s.engine].architecture.layers;
}
dataset<tiny::aggregated> overlapping_steps(std::size_t count, unsigned seed, double noise) {
  std::mt19937_64 random(seed + 1);
  std::normal_distribution<double> normal;
  return tiny::dataset_of(tiny::random_engine_steps(count, seed), [&](const engine_step& s, std::size_t) {
    return overlapping_time(s, 3e-3, 2e-5, 4e-4) * std::exp(noise * normal(random));
  });
}

TEST(Nonlinear, RecoversTheParametersOfStepsWithoutNoise) {
  const auto data = overlapping_steps(300, 5, 0.0);
  const auto fitted = overlap::fit(data, row_set::all(300));
  EXPECT_NEAR(fitted.parameter("launch"), 3e-3, 1e-9 * 3e-3);
  EXPECT_NEAR(fitted.parameter("per_token"), 2e-5, 1e-9 * 2e-5);
  EXPECT_NEAR(fitted.parameter("per_layer"), 4e-4, 1e-9 * 4e-4);
  EXPECT_TRUE(fitted.findings().empty());
}

TEST(Nonlinear, IsAtAMinimumOfTheSumOfSquaredLogRatios) {
  const auto steps = tiny::random_engine_steps(200, 9);
  const auto data = overlapping_steps(200, 9, 0.2);
  const auto fitted = overlap::fit(data, row_set::all(200));
  const auto cost = [&](double launch_s, double token_s, double layer_s) {
    double sum = 0;
    for (std::size_t i = 0; i < steps.size(); ++i) {
      const double r = std::log(overlapping_time(steps[i], launch_s, token_s, layer_s) / data.target()[i]);
      sum += 0.5 * r * r;
    }
    return sum;
  };
  const double at[] = {fitted.parameter("launch"), fitted.parameter("per_token"), fitted.parameter("per_layer")};
  const double least = cost(at[0], at[1], at[2]);
  EXPECT_NEAR(fitted.solution().cost, least, 1e-12 * least);
  for (const double by : {0.999, 1.001}) {
    EXPECT_GT(cost(by * at[0], at[1], at[2]), least);
    EXPECT_GT(cost(at[0], by * at[1], at[2]), least);
    EXPECT_GT(cost(at[0], at[1], by * at[2]), least);
  }
}

struct record {
  double prefill_tokens, decode_tokens;
};
TEST(Nonlinear, PredictsTheSameBitsFromColumnsAndFromRecords) {
  const auto steps = tiny::random_engine_steps(150, 3);
  const auto data = overlapping_steps(150, 3, 0.1);
  const auto fitted = overlap::fit(data, row_set::all(150));
  for (const row_set& rows : {row_set::all(150), row_set::of({3, 4, 9, 149}),
                              row_set::where(150, [](std::size_t row) { return row % 7 != 2; })}) {
    std::vector<double> column(rows.size());
    fitted.predict(data, rows, std::span<double>(column));
    std::size_t at = 0;
    rows.for_each([&](std::size_t row) {
      const record one{steps[row].prefill_tokens, steps[row].decode_tokens};
      const deployment& engine = tiny::engines()[steps[row].engine];
      EXPECT_EQ(fitted.bind<record>(engine)(one).value, column[at]);
      EXPECT_EQ(fitted.predict(one, engine).value, column[at]);
      const double formula = overlapping_time(steps[row], fitted.parameter("launch"), fitted.parameter("per_token"),
                                              fitted.parameter("per_layer"));
      EXPECT_NEAR(column[at++], formula, 1e-14 * formula);
    });
  }
}
TEST(Nonlinear, PredictsNothingForNoRows) {
  const auto data = overlapping_steps(50, 3, 0.1);
  std::vector<double> none;
  EXPECT_NO_THROW(overlap::fit(data, row_set::all(50)).predict(data, row_set{}, std::span<double>(none)));
}

TEST(Nonlinear, KeepsThePromisesOfEstimators) {
  const row_set rows = row_set::where(160, [](std::size_t row) { return row % 5 != 1; });
  const auto elsewhere = [](const row_set& kept) {
    const auto same = overlapping_steps(160, 12, 0.2);
    return tiny::dataset_of(tiny::random_engine_steps(160, 12), [&](const engine_step&, std::size_t i) {
      return kept.contains(i) ? same.target()[i] : 7.0;
    });
  };
  EXPECT_EQ(rafter::testing::check_estimator<overlap>(overlapping_steps(160, 12, 0.2), rows, elsewhere),
            std::vector<std::string>{});
}
TEST(Nonlinear, FitsTheSameBitsAgain) {
  const auto data = overlapping_steps(500, 4, 0.3);
  const row_set rows = row_set::where(500, [](std::size_t row) { return row % 5 != 2; });
  const auto first = overlap::fit(data, rows).solution(), second = overlap::fit(data, rows).solution();
  EXPECT_EQ(first.parameters, second.parameters);
  EXPECT_EQ(first.covariance, second.covariance);
  EXPECT_EQ(first.singular_values, second.singular_values);
}
TEST(Nonlinear, SaysWhatItIs) {
  EXPECT_EQ(overlap::name(), "3 parameters, log ratio, trust region");
  EXPECT_EQ((nonlinear<per_layer * architecture::layers, objective::squared>::name()),
            "1 parameter, squared error, linear least squares");
}
TEST(Nonlinear, ListsItsParametersWithUnitsAndErrors) {
  const auto data = overlapping_steps(400, 4, 0.1);
  const auto fitted = overlap::fit(data, row_set::all(400));
  const auto parameters = fitted.parameters();
  ASSERT_EQ(parameters.size(), 3U);
  EXPECT_EQ(parameters[0].name, "launch");
  EXPECT_EQ(parameters[0].unit, "s");
  EXPECT_EQ(parameters[1].unit, "s/token");
  for (const fitted_parameter& one : parameters) {
    EXPECT_EQ(one.state, parameter_state::determined);
    EXPECT_EQ(one.value, fitted.parameter(one.name));
    EXPECT_GT(one.standard_error, 0.0);
    EXPECT_LT(one.standard_error, 0.1 * one.value);
  }
  EXPECT_EQ(message_of([&] { fitted.parameter("per_tokn"); }),
            "there is no fitted parameter 'per_tokn'; did you mean 'per_token'?");
  const fit_summary summary = fitted.summary();
  EXPECT_EQ(summary.rows, 400U);
  EXPECT_EQ(summary.parameters, 3U);
  EXPECT_EQ(summary.identifiable, 3U);
  EXPECT_TRUE(summary.healthy);
}

TEST(Nonlinear, StopsAtBoundsAndSaysSo) {
  const auto data = overlapping_steps(300, 5, 0.01);
  constexpr bounded<"per_token", 1e-9_c, 1e-6_c, 1.5e-5_c, units::second / units::token> too_low{};
  constexpr auto model =
      sqrt(square(launch) + square(too_low * (prefill_tokens + decode_tokens))) + per_layer * architecture::layers;
  const auto fitted = nonlinear<model>::fit(data, row_set::all(300));
  EXPECT_EQ(fitted.parameter("per_token"), 1.5e-5);
  EXPECT_EQ(fitted.parameters()[1].state, parameter_state::at_upper_bound);
  EXPECT_EQ(fitted.parameters()[1].standard_error, 0.0);
  EXPECT_EQ(fitted.findings(), std::vector<std::string>{"per_token is at its upper bound 1.5e-05"});
  EXPECT_NE(fitted.summary().status.find("1 at a bound"), std::string::npos);
}
TEST(Nonlinear, LeavesHeldParametersWhereTheyAreHeld) {
  const auto data = overlapping_steps(300, 5, 0.0);
  const auto fitted = nonlinear<with_held<"per_layer", 4e-4_c>(overlapping)>::fit(data, row_set::all(300));
  EXPECT_EQ(fitted.layout().size(), 2U);
  EXPECT_NEAR(fitted.parameter("launch"), 3e-3, 1e-11);
  const auto parameters = fitted.parameters();
  ASSERT_EQ(parameters.size(), 3U);
  EXPECT_EQ(parameters[2].name, "per_layer");
  EXPECT_EQ(parameters[2].value, 4e-4);
  EXPECT_EQ(parameters[2].state, parameter_state::held);
  EXPECT_EQ(fitted.summary().parameters, 2U);
  // What was held is in the predictions.
  const record one{10, 20};
  EXPECT_NEAR(fitted.predict(one, tiny::engines()[1]).value, std::hypot(3e-3, 30 * 2e-5) + 5 * 4e-4, 1e-11);
}

// -- what cannot be fitted ------------------------------------------------------------------------------------------

inline constexpr auto by_tokens = per_token * (prefill_tokens + decode_tokens);

dataset<tiny::aggregated> with_an_idle_row() {
  auto steps = tiny::random_engine_steps(60, 2);
  steps[37].prefill_requests = steps[37].prefill_tokens = steps[37].decode_requests = steps[37].decode_tokens = 0;
  return tiny::dataset_of(steps, [](const engine_step&, std::size_t) { return 1e-3; });
}
TEST(Nonlinear, NamesTheIdleRowOnWhichTheModelIsZero) {
  const auto data = with_an_idle_row();
  EXPECT_EQ(message_of([&] { nonlinear<by_tokens>::fit(data, row_set::all(60)); }),
            "the residual is infinite at the start on row 37 (made.csv:39); the row has no tokens");
  EXPECT_EQ(
      message_of([&] { nonlinear<by_tokens>::fit(data, row_set::where(60, [](auto row) { return row != 37; })); }),
      "no exception");
  EXPECT_EQ(message_of([&] { overlap::fit(data, row_set::all(60)); }), "no exception");  // it has a launch time
}
TEST(Nonlinear, NamesTheRowOnWhichTheModelIsNegativeAtTheStart) {
  auto steps = tiny::random_engine_steps(60, 2);
  for (engine_step& s : steps) s.decode_requests = s.decode_tokens = 3;
  steps[11].decode_requests = steps[11].decode_tokens = 5000;
  const auto data = tiny::dataset_of(steps, [](const engine_step&, std::size_t) { return 1e-3; });
  constexpr auto falling = launch - per_token * decode_tokens;
  EXPECT_EQ(message_of([&] { nonlinear<falling>::fit(data, row_set::all(60)); }),
            "the residual is not a number at the start on row 11 (made.csv:13)");
}
TEST(Nonlinear, NamesTheDerivativeThatIsInfinite) {
  const auto data = overlapping_steps(40, 2, 0.1);
  constexpr unbounded<"shift", 0_c, units::second> shift{};
  constexpr auto kinked = launch + sqrt(shift * shift);
  EXPECT_EQ(message_of([&] { nonlinear<kinked>::fit(data, row_set::all(40)); }),
            "the derivative by 'shift' is not a number at the start on row 0 (made.csv:2)");
}
TEST(Nonlinear, RefusesToFitOnNothing) {
  const auto data = overlapping_steps(20, 1, 0.1);
  EXPECT_EQ(message_of([&] { overlap::fit(data, {}); }), "no rows to fit on");
}

}  // namespace
