// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/evaluation/hypothesis/bootstrap_intervals.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "rafter/evaluation/hypothesis.hpp"

namespace {

using namespace rafter::hypotheses;
using rafter::bootstrap, rafter::bootstrap_options, rafter::mean_of, rafter::row_set, rafter::step_view;
using statistic = interval_request::statistic;

/// Rows that take 1 s and are predicted with the given signed errors.
struct rows_with {
  std::vector<double> actual, predicted;
  explicit rows_with(const std::vector<double>& errors) : actual(errors.size(), 1.0) {
    for (const double error : errors) predicted.push_back(1.0 + error);
  }
  interval_request asked() const {
    interval_request made;
    made.evaluate = mape.evaluate;
    made.sets = {{"a", actual, predicted, {}}};
    for (std::size_t i = 0; i < actual.size(); ++i) made.sets[0].rows.push_back(i);
    return made;
  }
};
std::vector<double> noise(std::size_t rows, unsigned seed, double mean = 0.0) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> draw(mean, 0.1);
  std::vector<double> made(rows);
  for (double& one : made) one = draw(random);
  return made;
}

TEST(BootstrapIntervals, OfAFoldDrawItsRowsAgain) {
  const std::vector<double> errors = noise(200, 1);
  std::vector<double> magnitudes;
  const rows_with rows(errors);
  for (const double predicted : rows.predicted) magnitudes.push_back(std::fabs(predicted - 1.0));
  const auto found = bootstrap_intervals()(rows.asked());
  const auto expected = bootstrap(rafter::independent_rows(200), mean_of(magnitudes));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->lower, expected.lower);
  EXPECT_EQ(found->upper, expected.upper);
  EXPECT_EQ(found->how, "95 %, rows drawn again");
  const auto again = bootstrap_intervals()(rows.asked()), other = bootstrap_intervals({.seed = 2})(rows.asked());
  EXPECT_EQ(again->lower, found->lower);
  EXPECT_NE(other->lower, found->lower);
}
TEST(BootstrapIntervals, OfAnyMetricAreThoseOfTheMetricEvaluatedAnew) {
  const rows_with rows(noise(300, 2));
  interval_request asked = rows.asked();
  const auto quick = bootstrap_intervals()(asked);
  asked.evaluate = [](std::span<const double> a, std::span<const double> p) { return mape.evaluate(a, p); };
  const auto slow = bootstrap_intervals()(asked);
  ASSERT_TRUE(quick && slow);
  EXPECT_NEAR(slow->lower, quick->lower, 2e-4);  // the same resamples; the jackknife leaves out several rows at once
  EXPECT_NEAR(slow->upper, quick->upper, 2e-4);
}
TEST(BootstrapIntervals, OfAMagnitudeReachDownToZeroWhereTheSignIsUnsure) {
  interval_request asked = rows_with(noise(100, 3)).asked();
  const rows_with unsure(noise(100, 3)), low(noise(100, 4, -0.5));
  asked = unsure.asked();
  asked.evaluate = mspe.evaluate;
  asked.absolute = true;
  const auto found = bootstrap_intervals()(asked);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->lower, 0.0);
  EXPECT_GT(found->upper, 0.0);
  interval_request negative = low.asked();
  negative.evaluate = mspe.evaluate;
  const auto lean = bootstrap_intervals()(negative);
  negative.absolute = true;
  const auto size = bootstrap_intervals()(negative);
  ASSERT_TRUE(lean && size);
  EXPECT_EQ(size->lower, -lean->upper);
  EXPECT_EQ(size->upper, -lean->lower);
}
TEST(BootstrapIntervals, DrawWholeMeasurementsWhereRowsShareThem) {
  // 20 measurements of 50 equal rows each: 1,000 rows know no more than 20.
  std::vector<double> errors;
  step_view view;
  view.groups[static_cast<std::size_t>(group::gemm_measurement)].emplace();
  for (const double one : noise(20, 5, 0.5)) {
    for (int i = 0; i < 50; ++i) {
      errors.push_back(one);
      view.groups[static_cast<std::size_t>(group::gemm_measurement)]->push_back("m" + std::to_string(view.rows / 50));
      ++view.rows;
    }
  }
  const rows_with rows(errors);
  interval_request asked = rows.asked();
  const auto alone = bootstrap_intervals()(asked);
  asked.view = &view;
  const auto together = bootstrap_intervals()(asked);
  ASSERT_TRUE(alone && together);
  EXPECT_NEAR((together->upper - together->lower) / (alone->upper - alone->lower), std::sqrt(50.0), 1.5);
  EXPECT_EQ(together->how, "95 %, 20 measurements drawn again");
  asked.sets[0].rows.resize(400);
  const rows_with few(std::vector<double>(errors.begin(), errors.begin() + 400));
  interval_request small = few.asked();
  small.view = &view;
  EXPECT_FALSE(bootstrap_intervals()(small)) << "8 measurements are too few";
}
TEST(BootstrapIntervals, DrawBlocksOfNumberedStepsThatAreAlike) {
  std::vector<double> errors = noise(2000, 6);
  for (std::size_t i = 1; i < errors.size(); ++i) errors[i] = 0.9 * errors[i - 1] + 0.3 * errors[i];
  for (double& one : errors) one += 2.0;
  const rows_with rows(errors);
  step_view view;
  view.rows = errors.size();
  for (std::size_t i = 0; i < errors.size(); ++i) view.step_ids.push_back(static_cast<double>(i));
  interval_request asked = rows.asked();
  const auto alone = bootstrap_intervals()(asked);
  asked.view = &view;
  const auto blocks = bootstrap_intervals()(asked);
  ASSERT_TRUE(alone && blocks);
  EXPECT_GT(blocks->upper - blocks->lower, 2.5 * (alone->upper - alone->lower));  // AR(0.9): √19 = 4.4 in the limit
  EXPECT_NE(blocks->how.find("blocks of about"), std::string::npos) << blocks->how;
}
TEST(BootstrapIntervals, OfFewFoldsAreStudentsAndSaySo) {
  interval_request asked;
  asked.of = statistic::mean;
  asked.values = {0.1, 0.2, 0.3, 0.4};
  const auto found = bootstrap_intervals()(asked);
  ASSERT_TRUE(found);
  const double half = 3.182446305284263 * std::sqrt(0.05 / 3.0 / 4.0);  // t(0.975; 3) of tables
  EXPECT_NEAR(found->lower, 0.25 - half, 1e-9);
  EXPECT_NEAR(found->upper, 0.25 + half, 1e-9);
  EXPECT_EQ(found->how, "95 %, Student's t over differences over 4 folds");
  asked.values = {0.1};
  EXPECT_FALSE(bootstrap_intervals()(asked));
}
TEST(BootstrapIntervals, OfTenFoldsDrawTheFoldsAgain) {
  interval_request asked;
  asked.of = statistic::mean;
  asked.values = noise(10, 7);
  asked.sets.resize(10);
  const auto found = bootstrap_intervals()(asked);
  const auto expected = bootstrap(rafter::independent_rows(10), mean_of(asked.values));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->lower, expected.lower);
  EXPECT_EQ(found->upper, expected.upper);
  EXPECT_EQ(found->how, "95 %, 10 folds drawn again");
}
TEST(BootstrapIntervals, OfAMedianAreOrderStatistics) {
  interval_request asked;
  asked.of = statistic::median;
  asked.values = {5, 3, 1, 2, 4};
  EXPECT_FALSE(bootstrap_intervals()(asked)) << "2 / 2^5 is above 5 %";
  asked.values = {9, 8, 7, 6, 5, 4, 3, 2, 1};
  const auto found = bootstrap_intervals()(asked);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->lower, 2.0);  // 2 (1 + 9) / 2^9 = 3.9 %, and with 36 more 18 %
  EXPECT_EQ(found->upper, 8.0);
}

TEST(BootstrapIntervals, MarkAVerdictThatIsTooCloseToCallAndNoOther) {
  rafter::evaluation_report report;
  rafter::predictor_result& one = report.results.emplace_back();
  one.predictor = "p";
  std::size_t first = 0;
  for (const double mean : {0.29, 0.10}) {
    rafter::fold_result& part = one.folds.emplace_back();
    const rows_with rows(noise(100, 8, mean));
    part.held_out = "f" + std::to_string(one.folds.size());
    part.rows = 100;
    part.predictions.rows = row_set::where(first + 100, [&](std::size_t row) { return row >= first; });
    part.predictions.actual = rows.actual;
    part.predictions.predicted = rows.predicted;
    part.errors = rafter::summarize_errors(rows.actual, rows.predicted);
    first += 100;
  }
  evidence known{{"lomo", &report}};
  known.interval = bootstrap_intervals();
  const verdict close = judge(
      {.name = "1", .claim = "c", .supported_if = every_fold(mape < 20_pct), .refuted_if = worst_fold(mape) > 30_pct},
      known);
  EXPECT_EQ(close.kind, rafter::verdict_kind::not_supported);
  ASSERT_EQ(close.evidence.size(), 2U);
  EXPECT_FALSE(close.evidence[0].too_close);
  EXPECT_TRUE(close.evidence[1].too_close);
  EXPECT_EQ(close.close_calls, 1U);
  const std::string text = text_of(close, 200);
  EXPECT_NE(text.find("(95 %, rows drawn again): TOO CLOSE TO CALL"), std::string::npos) << text;
}

}  // namespace
