// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// The pool-state model on the logged step intervals of blis_steps, beside the black box.
#include <gtest/gtest.h>

#include <cstddef>
#include <filesystem>

#include "rafter/estimator/predictors.hpp"
#include "rafter/evaluation/evaluate.hpp"
#include "rafter/io/blis_steps.hpp"
#include "rafter/validation/product.hpp"
#include "rafter/validation/temporal.hpp"
#include "support/data.hpp"

namespace {

using namespace rafter;

const std::filesystem::path path = data_folder() / "blis_steps" / "steps.csv";

TEST(ParametricIntervals, OneFitForAllExperimentsIsWithinSixPercentOnEach) {
  if (!std::filesystem::exists(path))
    GTEST_SKIP() << "no blis_steps under RAFTER_DATA: the pool-state model's figures are not checked";
  const auto data = read_blis_steps(path.string()).for_target(step_interval);
  const auto report = evaluate<predictors::best_of_pool_state, predictors::blackbox>(data, shared{temporal{}});
  const predictor_result& best = *report.find("best");
  ASSERT_EQ(best.folds.size(), 3U);
  for (const fold_result& one : best.folds) {
    EXPECT_LE(100 * one.errors.mape, 6.0) << one.held_out;
    EXPECT_EQ(one.fit.parameters, 6U);
  }
  EXPECT_LT(best.worst_mape(), report.find("blackbox")->worst_mape());
}
TEST(ParametricIntervals, AFitToEachExperimentIsNotWorseThanTheBlackBoxOnAny) {
  if (!std::filesystem::exists(path))
    GTEST_SKIP() << "no blis_steps under RAFTER_DATA: the pool-state model's figures are not checked";
  const auto data = read_blis_steps(path.string()).for_target(step_interval);
  const auto report = evaluate<predictors::best_of_pool_state, predictors::blackbox>(data, temporal{});
  const predictor_result &best = *report.find("best"), &blackbox = *report.find("blackbox");
  ASSERT_EQ(best.folds.size(), 3U);
  for (std::size_t f = 0; f < 3; ++f) {
    EXPECT_LE(best.folds[f].errors.mape, blackbox.folds[f].errors.mape) << best.folds[f].held_out;
    // One run has one model: weights and layers cannot be told apart.
    EXPECT_EQ(best.folds[f].fit.identifiable, 5U);
  }
}

}  // namespace
