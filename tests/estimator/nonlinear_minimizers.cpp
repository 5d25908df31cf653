// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Other minimizers than the trust region, and what a fit says of itself when they know no derivatives.
#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <vector>

#include "rafter/estimator/nonlinear.hpp"
#include "rafter/evaluation/inference.hpp"
#include "rafter/solver/cma_es.hpp"
#include "rafter/solver/multi_start.hpp"
#include "rafter/solver/nelder_mead.hpp"
#include "support/engine_steps.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;

inline constexpr bounded<"launch", 1e-5_c, 1e-3_c, 1_c, units::second> launch{};
inline constexpr bounded<"per_token", 1e-8_c, 1e-6_c, 1e-2_c, units::second / units::token> per_token{};
inline constexpr auto model = launch + per_token * (prefill_tokens + decode_tokens);

const dataset<tiny::aggregated>& data() {
  static const auto made = tiny::noisy_steps(80, 3);
  return made;
}

template <class Minimizer> void expect_the_same_minimum(double tolerance) {
  const auto reference = nonlinear<model>::fit(data(), row_set::all(80));
  const auto fitted = nonlinear<model, objective::log_ratio, Minimizer>::fit(data(), row_set::all(80));
  EXPECT_TRUE(fitted.summary().healthy);
  EXPECT_NEAR(fitted.solution().cost, reference.solution().cost, tolerance * reference.solution().cost);
  for (const char* name : {"launch", "per_token"}) {
    EXPECT_NEAR(fitted.parameter(name), reference.parameter(name), std::sqrt(tolerance) * reference.parameter(name));
  }
}
TEST(NonlinearMinimizers, AgreeOnTheMinimum) {
  expect_the_same_minimum<nelder_mead>(1e-9);
  expect_the_same_minimum<cma_es>(1e-9);
  expect_the_same_minimum<multi_start<trust_region>>(1e-9);
}

template <class Fitted> void expect_unknown(const Fitted& fitted) {
  ASSERT_EQ(fitted.findings().size(), 1U);
  EXPECT_EQ(fitted.findings()[0], "identifiability is not known: the method used no derivatives");
  EXPECT_FALSE(fitted.identifiability().known);
  EXPECT_NE(fitted.summary().status.find("identifiability not known"), std::string::npos) << fitted.summary().status;
  for (const fitted_parameter& one : fitted.parameters()) {
    EXPECT_EQ(one.state, parameter_state::not_known);
    EXPECT_TRUE(std::isnan(one.standard_error));
  }
  const parameter_inference table(fitted);
  EXPECT_TRUE(std::isnan(table.row("launch").low) && std::isnan(table.row("launch").high));
}
TEST(NonlinearMinimizers, WithoutDerivativesSayThatTheyDoNotKnowWhatTheRowsDetermine) {
  expect_unknown(nonlinear<model, objective::log_ratio, nelder_mead>::fit(data(), row_set::all(80)));
  expect_unknown(nonlinear<model, objective::log_ratio, cma_es>::fit(data(), row_set::all(80)));
}
TEST(NonlinearMinimizers, OfSeveralStartsKnowIt) {
  const auto fitted =
      nonlinear<model, objective::log_ratio, multi_start<trust_region>>::fit(data(), row_set::all(80));
  EXPECT_TRUE(fitted.identifiability().known);
  EXPECT_TRUE(fitted.findings().empty());
}
TEST(NonlinearMinimizers, TakeTheObjectivesLoss) {
  using robust = objective::robust<objective::log_ratio, loss_kind::soft_l1, 0.1_c>;
  const auto reference = nonlinear<model, robust>::fit(data(), row_set::all(80));
  const auto simplex = nonlinear<model, robust, nelder_mead>::fit(data(), row_set::all(80));
  EXPECT_NEAR(simplex.solution().cost, reference.solution().cost, 1e-9 * reference.solution().cost);
  EXPECT_GT(
      std::abs(reference.parameter("launch") / nonlinear<model>::fit(data(), row_set::all(80)).parameter("launch") -
               1),
      1e-3);  // the loss does change the fit
}

}  // namespace
