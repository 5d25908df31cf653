// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/evaluation/uncertainty/metric_uncertainty.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

namespace {

using namespace rafter;

/// Errors that a formula gives: `folds` folds of `rows` rows each, the predictions of predictor k off by a share that
/// depends on the row, and by k percent more.
struct made_evaluation {
  evaluation_report report;
  step_view view;
};
made_evaluation made(std::size_t folds, std::size_t rows, std::size_t predictors) {
  made_evaluation of;
  of.view.rows = folds * rows;
  for (std::size_t k = 0; k < predictors; ++k) {
    predictor_result& result = of.report.results.emplace_back();
    result.predictor = "p" + std::to_string(k);
    for (std::size_t f = 0; f < folds; ++f) {
      fold_result& one = result.folds.emplace_back();
      one.held_out = "fold" + std::to_string(f);
      one.rows = rows;
      one.predictions.rows = row_set::of_ranges({{f * rows, (f + 1) * rows}});
      for (std::size_t i = 0; i < rows; ++i) {
        const double off = 0.1 + 0.08 * std::sin(static_cast<double>(7 * i * i + f)) +
                           (0.01 + 0.001 * static_cast<double>(f)) * static_cast<double>(k);
        one.predictions.actual.push_back(1.0);
        one.predictions.predicted.push_back(1.0 + (i % 2 == 0 ? off : -off));
      }
      one.errors = summarize_errors(one.predictions.actual, one.predictions.predicted);
    }
  }
  return of;
}
std::vector<double> ape(const fold_result& of) {
  std::vector<double> values;
  for (std::size_t i = 0; i < of.rows; ++i) values.push_back(std::fabs(of.predictions.predicted[i] - 1.0));
  return values;
}

TEST(MetricUncertainty, IsTheBootstrapOfTheFoldsRows) {
  const made_evaluation of = made(3, 60, 2);
  const evaluation_uncertainty found = metric_uncertainty(of.report, of.view);
  ASSERT_EQ(found.predictors.size(), 2U);
  for (std::size_t p = 0; p < 2; ++p) {
    for (std::size_t f = 0; f < 3; ++f) {
      const fold_uncertainty& one = found.predictors[p].folds[f];
      const bootstrap_interval alone = bootstrap(independent_rows(60), mean_of(ape(of.report.results[p].folds[f])));
      EXPECT_EQ(one.unit, resampled_unit::rows);
      EXPECT_EQ(one.held_out, "fold" + std::to_string(f));
      EXPECT_NEAR(one.mape.estimate, alone.estimate, 1e-15);
      EXPECT_NEAR(one.mape.lower, alone.lower, 1e-12);
      EXPECT_NEAR(one.mape.upper, alone.upper, 1e-12);
      EXPECT_NEAR(one.mape.acceleration, alone.acceleration, 1e-9);
      EXPECT_LT(one.mape.lower, one.mape.estimate);
      EXPECT_GT(one.mape.upper, one.mape.estimate);
    }
  }
}

TEST(MetricUncertainty, DrawsConsecutiveStepsTogetherWhereStepsAreNumbered) {
  made_evaluation of = made(2, 400, 1);
  for (std::size_t f = 0; f < 2; ++f) {  // long waves of over- and underestimation, in time
    fold_result& one = of.report.results[0].folds[f];
    for (std::size_t i = 0; i < 400; ++i) {
      one.predictions.predicted[i] = 1.2 + 0.15 * std::sin(static_cast<double>(i) * 0.05);
    }
    one.errors = summarize_errors(one.predictions.actual, one.predictions.predicted);
  }
  const bootstrap_interval narrow = metric_uncertainty(of.report, of.view).predictors[0].folds[0].mape;
  for (std::size_t row = 0; row < of.view.rows; ++row) of.view.step_ids.push_back(static_cast<double>(row));
  const fold_uncertainty blocks = metric_uncertainty(of.report, of.view).predictors[0].folds[0];
  EXPECT_EQ(blocks.unit, resampled_unit::blocks);
  EXPECT_GT(blocks.block_length, 5.0);
  EXPECT_GT(blocks.mape.upper - blocks.mape.lower, 2.0 * (narrow.upper - narrow.lower));
}

TEST(MetricUncertainty, SortsStepsByTimeBeforeItCutsBlocks) {
  made_evaluation of = made(1, 300, 1);
  for (std::size_t row = 0; row < 300; ++row) of.view.step_ids.push_back(static_cast<double>(row));
  const fold_uncertainty straight = metric_uncertainty(of.report, of.view).predictors[0].folds[0];
  std::reverse(of.view.step_ids.begin(), of.view.step_ids.end());
  fold_predictions& rows = of.report.results[0].folds[0].predictions;
  std::reverse(rows.predicted.begin(), rows.predicted.end());
  const fold_uncertainty reversed = metric_uncertainty(of.report, of.view).predictors[0].folds[0];
  EXPECT_EQ(straight.mape.lower, reversed.mape.lower);
  EXPECT_EQ(straight.block_length, reversed.block_length);
}

TEST(MetricUncertainty, DrawsRowsOfOneMeasurementTogether) {
  made_evaluation of = made(1, 200, 1);
  group_column measurements;
  for (std::size_t row = 0; row < 200; ++row) measurements.push_back("gemm" + std::to_string(row / 20));
  of.view.groups[static_cast<std::size_t>(group::gemm_measurement)] = measurements;
  const fold_uncertainty found = metric_uncertainty(of.report, of.view).predictors[0].folds[0];
  EXPECT_EQ(found.unit, resampled_unit::measurements);
  EXPECT_EQ(found.mape.units, 10U);
}

TEST(MetricUncertainty, DoesNotDependOnThreads) {
  const made_evaluation of = made(5, 50, 3);
  const evaluation_uncertainty one = metric_uncertainty(of.report, of.view),
                               four = metric_uncertainty(of.report, of.view, {}, 4);
  for (std::size_t p = 0; p < 3; ++p) {
    for (std::size_t f = 0; f < 5; ++f) {
      EXPECT_EQ(one.predictors[p].folds[f].mape.lower, four.predictors[p].folds[f].mape.lower);
    }
  }
}

TEST(MetricUncertainty, ComparesEachWithThePredictorOfTheBestWorstFold) {
  const made_evaluation of = made(8, 40, 3);  // p0 is best in each fold
  const evaluation_uncertainty found = metric_uncertainty(of.report, of.view);
  EXPECT_EQ(found.reference, "p0");
  ASSERT_EQ(found.comparisons.size(), 2U);
  EXPECT_EQ(found.comparisons[0].predictor, "p1");
  EXPECT_NEAR(found.comparisons[1].difference.difference.estimate, 0.027, 1e-12);
  EXPECT_EQ(found.comparisons[0].folds_lost, 8U);
  EXPECT_EQ(found.least_p, 2.0 / 256);
  for (const predictor_comparison& one : found.comparisons) {
    EXPECT_EQ(one.wilcoxon.p, found.least_p) << "lost in every fold";
    EXPECT_EQ(one.adjusted_p, 2.0 * found.least_p) << "Holm, two tests of the same p";
  }
  const report_section section = uncertainty_section(found);
  EXPECT_EQ(section.summary.substr(0, 50), "2 of 2 predictors are worse than p0 by more than c");
}

TEST(MetricUncertainty, TheMeanOverFoldsHasStudentsLimits) {
  const made_evaluation of = made(4, 40, 1);
  std::vector<double> mapes;
  for (const fold_result& one : of.report.results[0].folds) mapes.push_back(one.errors.mape);
  const double mean = (mapes[0] + mapes[1] + mapes[2] + mapes[3]) / 4.0;
  double squares = 0.0;
  for (const double one : mapes) squares += (one - mean) * (one - mean);
  const double half = 3.182446305284263 * std::sqrt(squares / 3.0 / 4.0);  // t of 3 degrees of freedom, 97.5 %
  const paired_t_test found = metric_uncertainty(of.report, of.view).predictors[0].mean_mape;
  EXPECT_NEAR(found.mean, mean, 1e-15);
  EXPECT_NEAR(found.lower, mean - half, 1e-12);
  EXPECT_NEAR(found.upper, mean + half, 1e-12);
}

TEST(MetricUncertainty, ComparesWithAPredictorNamedBeforehand) {
  const made_evaluation of = made(8, 40, 3);
  const evaluation_uncertainty found = metric_uncertainty(of.report, of.view, {}, 1, "p2");
  EXPECT_EQ(found.reference, "p2");
  EXPECT_FALSE(found.reference_chosen);
  EXPECT_EQ(found.comparisons.front().predictor, "p0");
  EXPECT_LT(found.comparisons.front().difference.difference.estimate, 0.0);
  EXPECT_THROW(metric_uncertainty(of.report, of.view, {}, 1, "p9"), evaluation_error);
}

TEST(MetricUncertainty, RowsWithoutAMeasurementStandAlone) {
  made_evaluation of = made(1, 40, 1);
  group_column measurements;
  for (std::size_t row = 0; row < 40; ++row) {
    measurements.push_back(row < 20 ? std::string(no_measurement) : "gemm" + std::to_string(row / 10));
  }
  of.view.groups[static_cast<std::size_t>(group::gemm_measurement)] = measurements;
  EXPECT_EQ(metric_uncertainty(of.report, of.view).predictors[0].folds[0].mape.units, 22U);
}

TEST(MetricUncertainty, SaysThatThreeFoldsSettleNothing) {
  const made_evaluation of = made(3, 40, 2);
  const report_section section = uncertainty_section(metric_uncertainty(of.report, of.view));
  EXPECT_NE(section.summary.find("With 3 folds no paired test"), std::string::npos) << section.summary;
}

TEST(MetricUncertainty, TellsWhichPredictorsWereNotCompared) {
  made_evaluation of = made(8, 40, 4);
  of.report.results[1].folds.pop_back();
  of.report.results[2].folds[3].predictions.predicted[5] = std::nan("");
  of.report.results[2].folds[3].errors.mape = std::nan("");
  for (fold_result& one : of.report.results[3].folds) one.predictions = {};
  const evaluation_uncertainty found = metric_uncertainty(of.report, of.view);
  EXPECT_EQ(found.predictors.size(), 3U);
  EXPECT_TRUE(found.comparisons.empty());
  ASSERT_EQ(found.left_out.size(), 3U);
  EXPECT_EQ(found.left_out[0], "p3: its predictions were not kept");
  EXPECT_EQ(found.left_out[1], "p1: it was tested on other folds than p0");
  EXPECT_EQ(found.left_out[2], "p2: its error is undefined on some fold");
  EXPECT_TRUE(std::isnan(found.predictors[2].folds[3].mape.lower));
  EXPECT_FALSE(std::isnan(found.predictors[2].folds[2].mape.lower));
}

TEST(MetricUncertainty, OfNothingSaysNothing) {
  const evaluation_uncertainty found = metric_uncertainty(evaluation_report{}, step_view{});
  EXPECT_TRUE(found.predictors.empty());
  EXPECT_EQ(uncertainty_section(found).summary, "Nothing can be said: no predictor's predictions were kept.");
}

}  // namespace
