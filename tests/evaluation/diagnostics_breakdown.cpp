// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/evaluation/diagnostics/breakdown.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "rafter/evaluation/diagnostics/extreme_errors.hpp"
#include "rafter/metrics/error_summary.hpp"
#include "support/made_errors.hpp"

namespace {
using namespace rafter;

TEST(TestedErrors, AreThoseOfAllFoldsAndCountWhatHasNone) {
  predictor_result result;
  result.folds = {tiny::fold_with("a", {1, 4}, {2.0, 0.0}, {3.0, 1.0}),
                  tiny::fold_with("b", {0, 1}, {1.0, 4.0}, {std::numeric_limits<double>::quiet_NaN(), 1.0})};
  const tested_errors errors = tested_errors_of(result);
  EXPECT_EQ(errors.rows, (std::vector<std::size_t>{1, 1}));
  EXPECT_EQ(errors.folds, (std::vector<std::uint32_t>{0, 1}));
  EXPECT_EQ(errors.relative, (std::vector<double>{0.5, -0.75}));
  EXPECT_EQ(errors.undefined, 2U);
}

TEST(PowerOfTwoBins, AreHalfOpenAndNameTheirEdges) {
  const row_classes bins = power_of_two_bins("n", {0.0, 0.5, 1.0, 3.9, 4.0, 7.0, 8.0, -1.0, 1e300, std::nan("")});
  EXPECT_EQ(bins.labels, (std::vector<std::string>{"[0, 1)", "[1, 2)", "[2, 4)", "[4, 8)", "[8, 16)",
                                                   "[4611686018427387904, 9223372036854775808)"}));
  EXPECT_EQ(bins.codes, (std::vector<std::uint32_t>{0, 0, 1, 2, 3, 3, 4, no_class, 5, no_class}));
}

TEST(Classes, SayWhatTheDataHasNot) {
  step_view view;
  view.rows = 2;
  const class_axes found = classes_of(view);
  EXPECT_TRUE(found.axes.empty());
  EXPECT_EQ(found.left_out.size(), 4U);
}

TEST(Classes, LeaveMeasurementsAndAxesOfOneLabelOut) {
  const step_view view = tiny::made_view(400);
  std::vector<std::string> axes;
  for (const row_classes& one : classes_of(view).axes) axes.push_back(one.axis);
  EXPECT_EQ(axes, (std::vector<std::string>{"phase", "batch size", "mean KV length", "scheduled tokens", "experiment",
                                            "model"}));
}

TEST(Breakdown, IsTheSummaryOfEachClassOfRows) {
  const step_view view = tiny::made_view(900);
  const std::vector<double> error = tiny::made_errors(900, 1, 0.5);
  const predictor_result result = tiny::made_result("p", view, [&](std::size_t row) { return error[row]; });
  const class_axes classes = classes_of(view);
  const error_breakdown found = breakdown_of("p", tested_errors_of(result), classes);
  std::size_t compared = 0;
  for (const row_classes& axis : classes.axes) {
    for (std::uint32_t code = 0; code < axis.labels.size(); ++code) {
      std::vector<double> actual, predicted;
      for (std::size_t row = 0; row < view.rows; ++row) {
        if (axis.codes[row] != code) continue;
        actual.push_back(view.times[row]);
        predicted.push_back(view.times[row] * (1.0 + error[row]));
      }
      const error_summary expected = summarize_errors(actual, predicted);
      const auto cell = std::find_if(found.cells.begin(), found.cells.end(), [&](const error_cell& one) {
        return one.axis == axis.axis && one.label == axis.labels[code];
      });
      ASSERT_NE(cell, found.cells.end()) << axis.axis << ' ' << axis.labels[code];
      EXPECT_EQ(cell->rows, actual.size());
      EXPECT_NEAR(cell->mape, expected.mape, 1e-13);
      EXPECT_NEAR(cell->mean_signed_percentage_error, expected.mean_signed_percentage_error, 1e-13);
      EXPECT_NEAR(cell->p90_ape, expected.p90_ape, 1e-13);
      EXPECT_DOUBLE_EQ(cell->share_above_half, expected.share_above_half);
      EXPECT_NEAR(cell->cancellation, expected.cancellation, 1e-11);
      EXPECT_EQ(cell->small(), actual.size() < 30);
      ++compared;
    }
  }
  EXPECT_EQ(compared, found.cells.size());
}

TEST(Breakdown, PutsTheWorstCellFirstAndSmallOnesLast) {
  const step_view view = tiny::made_view(600);
  const predictor_result result = tiny::made_result("p", view, [&](std::size_t row) {
    return view.phases[row] == step_phase::mixed ? 0.8 : row % 2 ? 0.1 : -0.1;
  });
  const error_breakdown found = breakdown_of("p", tested_errors_of(result), classes_of(view));
  EXPECT_EQ(found.cells.front().label, "mixed");
  EXPECT_NEAR(found.cells.front().mape, 0.8, 1e-12);
  EXPECT_EQ(found.cells.front().cancellation, 0.0);
  EXPECT_EQ(found.worst()->label, "mixed");
  for (std::size_t i = 1; i < found.cells.size(); ++i) {
    const error_cell &a = found.cells[i - 1], &b = found.cells[i];
    if (a.axis != b.axis) continue;
    EXPECT_LE(a.small(), b.small());
    if (a.small() == b.small()) {
      EXPECT_GE(a.mape, b.mape);
    }
  }
}

TEST(BreakdownSection, NamesTheWorstCellOfTheBestPredictor) {
  const step_view view = tiny::made_view(600);
  evaluation_report report;
  report.results.push_back(tiny::made_result("worse", view, [](std::size_t) { return 0.9; }));
  report.results.push_back(tiny::made_result(
      "better", view, [&](std::size_t row) { return view.phases[row] == step_phase::mixed ? 0.8 : 0.1; }));
  const report_section section = breakdown_section(report, classes_of(view));
  EXPECT_NE(section.summary.find("better errs most at phase mixed: 80.00 %"), std::string::npos) << section.summary;
  const captioned_table* table = tiny::first_block<captioned_table>(section);
  ASSERT_NE(table, nullptr);
  EXPECT_EQ(table->table.rows().size(), 2U);
  EXPECT_EQ(table->table.rows()[0][0].text, "better");
}

TEST(BreakdownSection, SaysThatNoPredictionsWereKept) {
  evaluation_report report;
  report.results.emplace_back().predictor = "p";
  const report_section section = breakdown_section(report, classes_of(tiny::made_view(10)));
  ASSERT_EQ(section.blocks.size(), 1U);
  EXPECT_NE(std::get<paragraph>(section.blocks[0]).text.find("keep_predictions"), std::string::npos);
}

TEST(Hypergeometric, IsTheSumOfItsTermsOnBothSidesOfTheMode) {
  // P(X = x) of drawing 6 of 15, 5 of them marked, by Pascal's triangle.
  const auto choose = [](std::size_t n, std::size_t k) {
    double c = 1.0;
    for (std::size_t i = 1; i <= k; ++i) c = c * static_cast<double>(n - k + i) / static_cast<double>(i);
    return c;
  };
  const std::vector<double> log_factorial = detail::log_factorials(20);
  for (std::size_t k = 0; k <= 6; ++k) {
    double expected = 0.0;
    for (std::size_t x = k; x <= 5; ++x) expected += choose(5, x) * choose(10, 6 - x) / choose(15, 6);
    EXPECT_NEAR(detail::hypergeometric_at_least(k, 15, 5, 6, log_factorial), expected, 1e-12) << k;
  }
  // More drawn than there are unmarked: two marked ones at least.
  EXPECT_EQ(detail::hypergeometric_at_least(2, 10, 6, 6, log_factorial), 1.0);
  EXPECT_NEAR(detail::hypergeometric_at_least(3, 10, 6, 6, log_factorial), 1.0 - 15.0 / 210.0, 1e-12);
}

TEST(ExtremeErrors, FindWhatTheyHaveInCommonAndNameTheWorst) {
  const step_view view = tiny::made_view(1000);
  const group_column& models = *view.labels(group::model);
  // Half of model b's steps are predicted 60 % too long, one step of another model 70 % too short.
  std::size_t extreme = 0, other = 0;
  while (models.name(other) == "b") ++other;
  const auto error = [&](std::size_t row) {
    return row == other ? -0.7 : models.name(row) == "b" && row % 2 ? 0.6 : 0.05;
  };
  for (std::size_t row = 0; row < view.rows; ++row) extreme += error(row) > 0.5 ? 1U : 0U;
  evaluation_report report;
  report.results.push_back(tiny::made_result("p", view, error));
  extreme_error_options options;
  for (std::size_t row = 0; row < view.rows; ++row) options.lines.push_back(row + 2);
  const std::vector<extreme_error_report> found = extreme_errors(report, classes_of(view), options);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].over, extreme);
  EXPECT_EQ(found[0].under, 1U);
  EXPECT_DOUBLE_EQ(found[0].share(), static_cast<double>(extreme + 1) / 1000.0);
  ASSERT_FALSE(found[0].traits.empty());
  const extreme_trait& trait = found[0].traits.front();
  EXPECT_EQ(trait.axis + trait.label, "modelb");
  std::size_t rows_of_b = 0;
  for (std::size_t row = 0; row < view.rows; ++row) rows_of_b += models.name(row) == "b" ? 1U : 0U;
  EXPECT_EQ(trait.rows, rows_of_b);
  EXPECT_DOUBLE_EQ(trait.lift, static_cast<double>(extreme) / static_cast<double>(extreme + 1) /
                                   (static_cast<double>(rows_of_b) / 1000.0));
  EXPECT_LT(trait.adjusted, 1e-20);
  EXPECT_GT(trait.adjusted, trait.p);
  ASSERT_EQ(found[0].worst.size(), 10U);
  EXPECT_EQ(found[0].worst[0].row, other);
  EXPECT_EQ(found[0].worst[0].line, other + 2);
  EXPECT_NEAR(found[0].worst[0].relative, -0.7, 1e-12);
  const report_section section = extreme_error_section(report, classes_of(view), options);
  EXPECT_NE(section.summary.find("p is off by more than 50 %"), std::string::npos);
}

TEST(ExtremeErrors, FindNothingInCommonInWhatIsDrawnAtRandom) {
  const step_view view = tiny::made_view(2000);
  const std::vector<double> error = tiny::made_errors(2000, 9, 0.5);
  evaluation_report report;
  report.results.push_back(tiny::made_result("p", view, [&](std::size_t row) { return error[row]; }));
  const auto found = extreme_errors(report, classes_of(view));
  EXPECT_GT(found[0].extreme(), 100U);
  EXPECT_TRUE(found[0].traits.empty()) << found[0].traits[0].label;
}

}  // namespace
