// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// What a parametric fit says where it has no derivatives to say it from, and of parameters per label.
#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <string>

#include "rafter/estimator/nonlinear.hpp"
#include "rafter/evaluation/inference.hpp"
#include "rafter/evaluation/parameter_table.hpp"
#include "rafter/solver/nelder_mead.hpp"
#include "support/engine_steps.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;
using tiny::engine_step;

inline constexpr bounded<"base", 1e-6_c, 1e-3_c, 1_c, units::second> base{};
inline constexpr bounded<"beyond", 0_c, 1e-3_c, 1_c, units::second> beyond{};
inline constexpr bounded<"threshold", 0_c, 100_c, 1000_c, units::token> threshold{};
inline constexpr auto jump = base + select(prefill_tokens > threshold, beyond, with_unit<units::second>(0_c));

const dataset<tiny::aggregated>& steps() {
  static const auto made = tiny::dataset_of(tiny::random_engine_steps(200, 3), [](const engine_step& s, std::size_t) {
    return 2e-3 + (s.prefill_tokens > 300.0 ? 5e-3 : 0.0);
  });
  return made;
}

TEST(NonlinearUnknown, AThresholdOfAConditionHasNoDerivativeAndIsNotCalledZero) {
  const auto fitted = nonlinear<jump>::fit(steps(), row_set::all(200));
  for (const fitted_parameter& one : fitted.parameters()) {
    if (one.name != "threshold") continue;
    EXPECT_EQ(one.state, parameter_state::dead);
    EXPECT_EQ(one.value, 100.0);
    EXPECT_EQ(one.note,
              "only conditions or ceil read it, so it has no derivative; fit it by a method without derivatives");
  }
  EXPECT_EQ(fitted.identifiability().dead.size(), 1u);
}
TEST(NonlinearUnknown, AZeroTermIsStillCalledZero) {
  constexpr auto zero = base + beyond * 0_c;
  const auto fitted = nonlinear<zero>::fit(steps(), row_set::all(200));
  ASSERT_EQ(fitted.parameters()[1].name, "beyond");
  EXPECT_EQ(fitted.parameters()[1].note, "its term of the model is 0 whatever the step");
}
TEST(NonlinearUnknown, WithoutDerivativesNothingIsCalledDetermined) {
  const auto fitted = nonlinear<jump, objective::log_ratio, nelder_mead>::fit(steps(), row_set::all(200));
  const parameter_inference table(fitted);
  ASSERT_EQ(table.rows().size(), 3u);
  for (const parameter_row& one : table.rows()) {
    EXPECT_EQ(one.parameter.state, parameter_state::not_known);
    EXPECT_TRUE(std::isnan(one.parameter.standard_error));
    EXPECT_TRUE(std::isnan(one.low) && std::isnan(one.high));
  }
  EXPECT_NE(table.text().find("not known"), std::string::npos);

  predictor_result result;
  for (int fold = 0; fold < 2; ++fold)
    result.folds.push_back({.held_out = "", .fit = {}, .errors = {}, .parameters = fitted.parameters()});
  const parameter_stability base_over_folds = stability_of(result).front();
  EXPECT_EQ(base_over_folds.not_known, 2u);
  EXPECT_EQ(base_over_folds.verdict(), "-");
  EXPECT_EQ(base_over_folds.states(), "not known in all 2");
  EXPECT_EQ(base_over_folds.mean, fitted.parameter("base"));
}
TEST(NonlinearUnknown, TheDescriptionSaysWhichParametersAreFittedPerLabel) {
  using separate =
      nonlinear<per_label<"model">(base) + beyond * indicator(prefill_tokens > with_unit<units::token>(0_c))>;
  EXPECT_EQ(separate::name(), "2 parameters, 1 of them per model, log ratio, trust region");
  using pooled = nonlinear<partially_pooled<1_c>(per_label<"model">(base)) + per_label<"workload">(beyond)>;
  EXPECT_EQ(pooled::name(),
            "2 parameters, 1 of them per model, pooled, 1 of them per workload, log ratio, trust region");
}

}  // namespace
