// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// The hybrid on kernel_steps: what it gains over its physics where the domain is the same, and that it costs nothing
// where it is not.
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>

#include "rafter/estimator/predictors.hpp"
#include "rafter/evaluation/evaluate.hpp"
#include "rafter/evaluation/hybrid.hpp"
#include "rafter/evaluation/transfer.hpp"
#include "rafter/feature/catalog/correction.hpp"
#include "rafter/io/kernel_steps.hpp"
#include "rafter/validation/leave_one_group_out.hpp"
#include "rafter/validation/whole_measurements.hpp"
#include "support/data.hpp"

namespace {

using namespace rafter;
using physics = predictors::best_of_kernels;
struct corrected : hybrid<physics, catalog::correction> {
  static constexpr std::string_view label = "hybrid";
};

const std::filesystem::path& folder() {
  static const std::filesystem::path path = data_folder() / "kernel_steps";
  return path;
}
#define RAFTER_NEEDS_KERNEL_STEPS()                                                                              \
  if (!std::filesystem::exists(folder() / "steps.csv") || !std::filesystem::exists(folder() / "steps_h200.csv")) \
  GTEST_SKIP() << "no kernel_steps under RAFTER_DATA: the hybrid's figures are not checked"

const dataset<kernel_schema>& h100() {
  static const dataset<kernel_schema> data = read_kernel_steps((folder() / "steps.csv").string());
  return data;
}

TEST(HybridFigures, FromOneHardwareToAnother) {
  RAFTER_NEEDS_KERNEL_STEPS();
  const auto h200 = read_kernel_steps((folder() / "steps_h200.csv").string());
  const auto found = evaluate_transfer<corrected>(h100(), h200);
  std::printf("h100 -> h200: %.4f %%\n", 100.0 * found.result.mean_mape());
  EXPECT_LE(100.0 * found.result.mean_mape(), 3.4);
}

TEST(HybridFigures, OfWholeMeasurementsHeldOut) {
  RAFTER_NEEDS_KERNEL_STEPS();
  const auto report = evaluate<corrected>(h100(), whole_measurements{});
  std::printf("whole measurements: mean %.4f %%, worst %.4f %%\n", 100.0 * report.results[0].mean_mape(),
              100.0 * report.results[0].worst_mape());
  EXPECT_LE(100.0 * report.results[0].mean_mape(), 3.1);
}

TEST(HybridFigures, OfModelsAndAttentionShapesHeldOut) {
  RAFTER_NEEDS_KERNEL_STEPS();
  const auto models = evaluate<physics, corrected>(h100(), lomo{});
  const auto shapes = evaluate<corrected>(h100(), leave_one_attention_shape_out{});
  const predictor_result &alone = models.results[0], &with = models.results[1];
  std::printf("models: mean %.4f %%, worst %.4f %%; attention shapes: mean %.4f %%\n", 100.0 * with.mean_mape(),
              100.0 * with.worst_mape(), 100.0 * shapes.results[0].mean_mape());
  EXPECT_LE(100.0 * with.mean_mape(), 3.7);
  EXPECT_LE(100.0 * shapes.results[0].mean_mape(), 3.4);
  for (std::size_t f = 0; f < with.folds.size(); ++f) {
    EXPECT_LE(100.0 * with.folds[f].errors.mape, 100.0 * alone.folds[f].errors.mape + 0.5) << with.folds[f].held_out;
  }
}

TEST(HybridFigures, AreThoseOfThePhysicsForTheOtherKindOfRouting) {
  RAFTER_NEEDS_KERNEL_STEPS();
  const auto report = evaluate<physics, corrected>(h100(), leave_one_routing_out{});
  for (std::size_t f = 0; f < report.results[0].folds.size(); ++f) {
    const double alone = 100.0 * report.results[0].folds[f].errors.mape,
                 with = 100.0 * report.results[1].folds[f].errors.mape;
    std::printf("without %s: physics %.4f %%, hybrid %.4f %%\n", report.results[0].folds[f].held_out.c_str(), alone,
                with);
    EXPECT_LE(with, alone + 0.05);
  }
}

}  // namespace
