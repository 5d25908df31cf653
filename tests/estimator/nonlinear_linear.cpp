// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Models that are linear in their parameters against closed forms and the linear solvers; priors.
#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "rafter/estimator/linear.hpp"
#include "rafter/estimator/nonlinear.hpp"
#include "rafter/solver/non_negative_least_squares.hpp"
#include "rafter/solver/ordinary_least_squares.hpp"
#include "support/engine_steps.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;
using tiny::engine_step;

struct tokens_t : decltype(feature_set{"prefill_tokens"_f = prefill_tokens, "decode_tokens"_f = decode_tokens}) {};
inline constexpr tokens_t tokens{};

constexpr dimension per_token_unit = units::second / units::token;
inline constexpr unbounded<"intercept", 0_c, units::second> intercept{};
inline constexpr unbounded<"prefill", 0_c, per_token_unit> prefill{};
inline constexpr unbounded<"decode", 0_c, per_token_unit> decode{};
inline constexpr auto line = intercept + prefill * prefill_tokens + decode * decode_tokens;

template <class Fitted> void expect_coefficients(const Fitted& fitted, const linear_solution& reference) {
  const auto close = [](double a, double b, double tolerance) { EXPECT_NEAR(a, b, tolerance * std::abs(b)); };
  close(fitted.parameter("intercept"), reference.intercept, 1e-10);
  close(fitted.parameter("prefill"), reference.coefficients[0], 1e-10);
  close(fitted.parameter("decode"), reference.coefficients[1], 1e-10);
  close(fitted.solution().standard_errors[0], reference.intercept_standard_error, 1e-9);
  close(fitted.solution().standard_errors[1], reference.standard_errors[0], 1e-9);
  close(fitted.solution().standard_errors[2], reference.standard_errors[1], 1e-9);
}

TEST(NonlinearOfALine, IsOrdinaryLeastSquares) {
  const auto data = tiny::noisy_steps(400, 3);
  const row_set rows = row_set::where(400, [](std::size_t row) { return row % 7 != 3; });
  expect_coefficients(nonlinear<line, objective::squared>::fit(data, rows),
                      linear<tokens, ordinary_least_squares>::fit(data, rows).solution());
}
TEST(NonlinearOfALine, IsWeightedLeastSquaresForRelativeErrors) {
  const auto data = tiny::noisy_steps(400, 3);
  const row_set rows = row_set::all(400);
  expect_coefficients(nonlinear<line, objective::relative>::fit(data, rows),
                      linear<tokens, ordinary_least_squares, objective::relative>::fit(data, rows).solution());
}
struct non_negative {
  static constexpr bool needs_rows = false;
  static constexpr non_negative_least_squares solver{.intercept = true, .non_negative_intercept = true};
  std::string name() const { return solver.name(); }
  linear_solution solve(const normal_equations& equations, const design* second_pass = nullptr) const {
    return solver.solve(equations, second_pass);
  }
};
TEST(NonlinearOfALine, IsNonNegativeLeastSquaresWithinBounds) {
  const auto data = tiny::dataset_of(tiny::random_engine_steps(200, 3, 1), [](const engine_step& s, std::size_t) {
    return 0.01 + 1e-3 * s.prefill_tokens * s.prefill_tokens / (1 + s.decode_tokens);
  });
  const row_set all = row_set::all(200);
  constexpr positive<"intercept", 1e-3_c, units::second> some{};
  constexpr positive<"prefill", 1e-3_c, per_token_unit> each_prefill{};
  constexpr positive<"decode", 1e-3_c, per_token_unit> each_decode{};
  const auto fitted =
      nonlinear<some + each_prefill * prefill_tokens + each_decode * decode_tokens, objective::squared>::fit(data,
                                                                                                             all);
  const auto reference = linear<tokens, non_negative>::fit(data, all).solution();
  EXPECT_NEAR(fitted.parameter("intercept"), reference.intercept, 1e-10);
  EXPECT_NEAR(fitted.parameter("prefill"), reference.coefficients[0], 1e-10 * reference.coefficients[0]);
  EXPECT_NEAR(fitted.parameter("decode"), reference.coefficients[1], 1e-12);
  const std::size_t of_intercept = reference.intercept == 0.0 ? 1 : 0;  // the solver lists columns alone
  EXPECT_EQ(fitted.identifiability().at_bound.size(), reference.at_bound.size() + of_intercept);
  ASSERT_FALSE(reference.at_bound.empty());  // else nothing was tried
}
TEST(NonlinearOfALine, FindsColumnsThatDependOnEachOther) {
  const auto data = tiny::noisy_steps(300, 8);
  constexpr unbounded<"all", 0_c, per_token_unit> all{};
  const auto fitted =
      nonlinear<line + all*(prefill_tokens + decode_tokens), objective::squared>::fit(data, row_set::all(300));
  EXPECT_EQ(fitted.summary().identifiable, 3U);
  ASSERT_EQ(fitted.identifiability().undetermined.size(), 1U);
  const undetermined_combination& free = fitted.identifiability().undetermined[0];
  EXPECT_EQ(free.members, (std::vector<std::size_t>{1, 2, 3}));
  EXPECT_FALSE(free.by_logarithm);
  EXPECT_EQ(fitted.parameters()[1].state, parameter_state::undetermined);
  EXPECT_EQ(fitted.parameters()[0].state, parameter_state::determined);
  // The predictions are those of the smaller model.
  const auto smaller = nonlinear<line, objective::squared>::fit(data, row_set::all(300));
  EXPECT_NEAR(fitted.parameter("prefill") + fitted.parameter("all"), smaller.parameter("prefill"), 1e-14);
}

// -- priors ----------------------------------------------------------------------------------------------------------

TEST(NonlinearPrior, GivesThePosteriorMeanOfALine) {
  const auto data = tiny::noisy_steps(50, 3);
  double xx = 0, xy = 0;
  for (std::size_t i = 0; i < 50; ++i) {
    const double x = data.column<decode_tokens_t>()[i];
    xx += x * x;
    xy += x * data.target()[i];
  }
  constexpr auto told = with_prior<1e-5_c, 40000_c>(decode);
  const auto fitted = nonlinear<told * decode_tokens, objective::squared>::fit(data, row_set::all(50));
  EXPECT_NEAR(fitted.parameter("decode"), (xy + 40000 * 1e-5) / (xx + 40000), 1e-16);
  EXPECT_EQ(fitted.solution().degrees_of_freedom, 50.0);  // 50 steps and a prior, less one parameter
}
TEST(NonlinearPrior, OfAPositiveParameterIsOnItsLogarithm) {
  const auto data = tiny::noisy_steps(50, 3);
  double logs = 0;
  for (std::size_t i = 0; i < 50; ++i) logs += std::log(data.target()[i] / data.column<decode_tokens_t>()[i]);
  constexpr bounded<"decode", 1e-9_c, 1e-4_c, 1_c, per_token_unit> each{};
  const auto fitted = nonlinear<with_prior<3e-5_c, 20_c>(each) * decode_tokens>::fit(data, row_set::all(50));
  EXPECT_NEAR(std::log(fitted.parameter("decode")), (logs + 20 * std::log(3e-5)) / 70, 1e-9);
}
TEST(NonlinearPrior, DeterminesWhatTheRowsDoNot) {
  const auto data = tiny::noisy_steps(100, 3, 0.2, 1);  // one engine: layers do not vary
  constexpr positive<"per_layer", 1e-4_c, units::second> per_layer{};
  constexpr auto known = with_prior<2e-4_c, 1e6_c>(per_layer);
  constexpr auto both = intercept + per_layer * architecture::layers;
  constexpr auto told = intercept + known * architecture::layers;
  const row_set all = row_set::all(100);
  EXPECT_EQ((nonlinear<both, objective::squared>::fit(data, all).summary().identifiable), 1U);
  const auto fitted = nonlinear<told, objective::squared>::fit(data, all);
  EXPECT_EQ(fitted.summary().identifiable, 2U);
  EXPECT_NEAR(fitted.parameter("per_layer"), 2e-4, 1e-12);
  double mean = 0;
  for (const double t : data.target()) mean += t / 100;
  EXPECT_NEAR(fitted.parameter("intercept") + 2 * fitted.parameter("per_layer"), mean, 1e-12);
}

}  // namespace
