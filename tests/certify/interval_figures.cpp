// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Prediction intervals on kernel_steps, models left out: what they hold, model by model, and what they cost.
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <vector>

#include "rafter/estimator/predictors.hpp"
#include "rafter/evaluation/uncertainty/conformal.hpp"
#include "rafter/io/kernel_steps.hpp"
#include "rafter/validation/leave_one_group_out.hpp"
#include "support/data.hpp"

namespace {

using namespace rafter;

struct per_phase : conformal_defaults {
  using cells = by_phase;
};

/// Steps were composed from two rigs' measurements, which the data's README says to keep apart.
struct per_rig : conformal_defaults {
  using cells = by_label<group::rig>;
};

void print(const interval_result& found) {
  std::printf(
      "%s, %s: rows %.2f %%, mean of folds %.2f %% (95 %% limits %.2f ... %.2f), folds %.2f ... %.2f %%, "
      "median width %.2f %%, deviation %.1f times binomial\n",
      found.predictor.c_str(), found.method.c_str(), 100.0 * found.all.coverage(), 100.0 * found.mean_coverage,
      100.0 * found.mean_limits.lower, 100.0 * found.mean_limits.upper, 100.0 * found.worst_coverage,
      100.0 * found.best_coverage, 100.0 * found.all.median_width, found.spread_ratio());
}

TEST(IntervalFigures, OfTheBestPredictorOnModelsNeverSeen) {
  const std::filesystem::path path = data_folder() / "kernel_steps" / "steps.csv";
  if (!std::filesystem::exists(path)) {
    GTEST_SKIP() << "no kernel_steps under RAFTER_DATA: the coverage of prediction intervals is not checked";
  }
  const auto data = read_kernel_steps(path.string());
  const std::vector<fold> folds = lomo{}.folds(data);
  const auto nested = predict_nested<predictors::best_of_kernels, lomo>(data, folds, {.threads = 2});
  EXPECT_EQ(nested.asked, 14U + 14U * 13U);
  EXPECT_EQ(nested.fitted, 14U + 14U * 13U / 2U);

  const interval_rows alike = interval_rows_of<conformal_defaults>(data), phases = interval_rows_of<per_phase>(data);
  const auto recommended = evaluate_intervals(nested, alike, {.rule = conformal_rule::pooled_cdfs}, 0.9);
  print(recommended);
  for (const coverage_summary& one : recommended.folds) {
    std::printf("  %-26s %5zu rows, %.2f %% covered, median width %.2f %%\n", one.label.c_str(), one.rows,
                100.0 * one.coverage(), 100.0 * one.median_width);
  }
  EXPECT_GE(recommended.all.coverage(), 0.85);
  EXPECT_LE(recommended.all.coverage(), 0.95);
  EXPECT_GE(recommended.mean_coverage, 0.85);
  EXPECT_LE(recommended.mean_coverage, 0.95);
  EXPECT_GE(recommended.worst_coverage, 0.75);  // of one model nothing is promised
  EXPECT_LE(recommended.all.median_width, 0.17);
  EXPECT_EQ(recommended.all.infinite, 0U);
  // Rows of a model are not exchangeable with those of others, by far.
  EXPECT_GT(recommended.spread_ratio(), 5.0);

  const auto of_phases = evaluate_intervals(nested, phases, {.rule = conformal_rule::pooled_cdfs}, 0.9);
  print(of_phases);
  EXPECT_GE(of_phases.all.coverage(), 0.85);
  EXPECT_LE(of_phases.all.coverage(), 0.95);
  for (const coverage_summary& one : of_phases.breakdowns.at(0).parts) {
    EXPECT_GE(one.coverage(), 0.85) << one.label;
    EXPECT_LE(one.coverage(), 0.95) << one.label;
  }

  const auto of_rigs =
      evaluate_intervals(nested, interval_rows_of<per_rig>(data), {.rule = conformal_rule::pooled_cdfs}, 0.9);
  print(of_rigs);
  EXPECT_GE(of_rigs.all.coverage(), 0.85);
  EXPECT_LE(of_rigs.all.coverage(), 0.95);
  EXPECT_GE(of_rigs.worst_coverage, recommended.worst_coverage);
  EXPECT_LT(of_rigs.all.median_width, recommended.all.median_width);

  // The rule whose promise holds for thirteen models as they are pays for the fourteenth.
  const auto guaranteed = evaluate_intervals(nested, alike, {.rule = conformal_rule::groups_alike}, 0.9);
  print(guaranteed);
  EXPECT_GE(guaranteed.mean_coverage, 0.9);
  EXPECT_GE(guaranteed.worst_coverage, recommended.worst_coverage);
  EXPECT_GT(guaranteed.all.median_width, recommended.all.median_width);
}

}  // namespace
