// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Reference points on kernel_steps: how far a black box carries over to models that it never saw.
#include <gtest/gtest.h>

#include <filesystem>

#include "rafter/estimator/predictors.hpp"
#include "rafter/evaluation/evaluate.hpp"
#include "rafter/io/kernel_steps.hpp"
#include "rafter/validation/leave_one_group_out.hpp"
#include "support/data.hpp"

namespace {

using namespace rafter;

TEST(KernelFigures, OfTheBlackBoxLeavingModelsOut) {
  const std::filesystem::path path = data_folder() / "kernel_steps" / "steps.csv";
  if (!std::filesystem::exists(path))
    GTEST_SKIP() << "no kernel_steps under RAFTER_DATA: reference points not checked";
  const auto data = read_kernel_steps(path.string());
  const auto report = evaluate<predictors::blackbox_relative>(data, lomo{});
  const predictor_result& blackbox = report.results.front();
  EXPECT_EQ(data.size(), 48028U);
  EXPECT_EQ(blackbox.folds.size(), 14U);  // 15 names; two of them are one architecture
  EXPECT_NEAR(100 * blackbox.mean_mape(), 74.928, 5e-4);
  EXPECT_NEAR(100 * blackbox.worst_mape(), 94.347, 5e-4);
  EXPECT_TRUE(report.plausibility.plausible());
  EXPECT_EQ(report.plausibility.all.below, 0U);
}

}  // namespace
