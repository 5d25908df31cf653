// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/evaluation/rendering/compare.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "support/made_report.hpp"

namespace {

using namespace rafter;

report_figures figures(const evaluation_report& report) { return figures_of(json_of(report).dump(), "report.json"); }

TEST(Compare, ReadsWhatReportsSay) {
  const report_figures found = figures(tiny::made_report());
  EXPECT_EQ(found.data.rows, 20112U);
  EXPECT_EQ(found.data.path, "steps.csv");
  EXPECT_FALSE(found.test);
  EXPECT_EQ(found.split, "temporal");
  ASSERT_EQ(found.folds.size(), 6U);
  EXPECT_EQ(found.folds[4].predictor, "ridge30");
  EXPECT_EQ(found.folds[4].held_out, "chat|7b");
  EXPECT_EQ(found.folds[4].values[0], 25.0);
  EXPECT_TRUE(std::isnan(found.folds[1].values[0]));
  ASSERT_EQ(found.not_evaluated.size(), 1U);
}
TEST(Compare, FindsNothingBetweenEqualReports) {
  const report_figures one = figures(tiny::made_report());
  const report_comparison found = compare_reports(one, one, {.margin = 0.0});
  EXPECT_EQ(found.worse(), 0U);
  EXPECT_TRUE(found.changes.empty() && found.differences.empty() && found.missing.empty() && found.added.empty());
  EXPECT_EQ(found.compared, found.unchanged);
  EXPECT_EQ(found.compared, 6U * 6U);
}
TEST(Compare, AllowsTheLargerOfTheTwoMargins) {
  evaluation_report worse = tiny::made_report();
  worse.results[3].folds[0].errors.mape = 0.26;  // from 25 % to 26 %
  const report_figures old = figures(tiny::made_report()), now = figures(worse);
  EXPECT_EQ(compare_reports(old, now, {.margin = 0.9}).worse(), 1U);
  EXPECT_EQ(compare_reports(old, now, {.margin = 1.1}).worse(), 0U);
  EXPECT_EQ(compare_reports(old, now, {.margin = 0.0, .relative = 0.039}).worse(), 1U);
  EXPECT_EQ(compare_reports(old, now, {.margin = 0.0, .relative = 0.041}).worse(), 0U);
  EXPECT_EQ(compare_reports(now, old, {.margin = 0.9}).worse(), 0U);
  EXPECT_EQ(compare_reports(now, old, {.margin = 0.9}).changes.size(), 1U);
}
TEST(Compare, CountsWhatIsMissingUnlessItIsAllowed) {
  evaluation_report fewer = tiny::made_report();
  fewer.results[3].folds.pop_back();
  fewer.results[2].folds.clear();
  fewer.results[2].refused = "rank deficient";
  const report_figures old = figures(tiny::made_report()), now = figures(fewer);
  const report_comparison found = compare_reports(old, now);
  ASSERT_EQ(found.missing.size(), 2U);
  EXPECT_EQ(found.missing[0], "blackbox: rank deficient");
  EXPECT_EQ(found.missing[1], "ridge30, fold code");
  EXPECT_EQ(found.worse(), 2U);
  EXPECT_EQ(compare_reports(old, now, {.allow_missing = true}).worse(), 0U);
  EXPECT_EQ(compare_reports(now, old).added.size(), 2U);
}
TEST(Compare, SaysWhatOfTheDataDiffers) {
  evaluation_report one = tiny::made_report(), other = one;
  one.digest = std::string(64, 'b');
  other.digest = std::string(64, 'a');
  other.split = "lomo";
  const report_comparison found = compare_reports(figures(one), figures(other));
  ASSERT_EQ(found.differences.size(), 2U);
  EXPECT_EQ(found.differences[0], "split: temporal before, lomo now");
  other = one;
  other.source = "elsewhere.csv";  // of known content the path says nothing
  EXPECT_TRUE(compare_reports(figures(one), figures(other)).differences.empty());
  other.test = {.source = "test.csv", .rows = 3, .digest = {}, .file_sha256 = {}, .plausibility = {}};
  EXPECT_EQ(compare_reports(figures(one), figures(other)).differences,
            std::vector<std::string>{"test data: none before, 'test.csv' now"});
}
TEST(Compare, TakesDataOfUnknownContentForTheSameOnlyWherePathAndRowsAre) {
  const evaluation_report unknown = tiny::made_report();
  ASSERT_EQ(unknown.digest, "");
  for (const std::string& digest : {std::string(), std::string(64, 'a')}) {
    evaluation_report other = unknown;
    other.digest = digest;
    EXPECT_TRUE(compare_reports(figures(unknown), figures(other)).differences.empty());
    other.source = "other.csv";
    for (const bool swapped : {false, true}) {
      const report_figures a = figures(unknown), b = figures(other);
      const report_comparison found = swapped ? compare_reports(b, a) : compare_reports(a, b);
      ASSERT_EQ(found.differences.size(), 1U);
      EXPECT_EQ(found.differences[0].substr(0, 61), "path of the data, whose content (sha256) is not known: " +
                                                        std::string(swapped ? "other." : "steps."));
    }
    other.source = unknown.source;
    other.rows += 1;
    EXPECT_EQ(compare_reports(figures(unknown), figures(other)).differences.size(), 1U);
  }
  evaluation_report one = unknown, other = unknown;
  one.test = {.source = "one.csv", .rows = 3, .digest = {}, .file_sha256 = {}, .plausibility = {}};
  other.test = one.test;
  EXPECT_TRUE(compare_reports(figures(one), figures(other)).differences.empty());
  other.test->source = "other.csv";
  EXPECT_EQ(compare_reports(figures(one), figures(other)).differences.size(), 1U);
}
TEST(Compare, RefusesAMetricThatTheOldReportLacks) {
  const report_figures now = figures(tiny::made_report());
  report_figures old = now;
  for (fold_figures& one : old.folds) one.given[7] = false;
  ASSERT_EQ(compared_metrics[7].name, "spearman");
  EXPECT_EQ(compare_reports(old, now).worse(), 0U);
  EXPECT_THROW(compare_reports(old, now, {.metrics = {"spearman"}}), error);
  EXPECT_EQ(compare_reports(now, old, {.metrics = {"spearman"}}).missing.size(), 6U);
}
TEST(Compare, SaysThatNothingIsKnownWhereNothingWasCompared) {
  const report_figures now = figures(tiny::made_report());
  report_figures old = now;
  old.folds.clear();
  const report_comparison found = compare_reports(old, now);
  EXPECT_EQ(found.compared, 0U);
  EXPECT_EQ(found.worse(), 0U);
  EXPECT_NE(text_of(found).find("nothing is known"), std::string::npos);
  EXPECT_EQ(text_of(found).find("nothing got worse"), std::string::npos);
}
TEST(Compare, RefusesWhatItCannotCompareBy) {
  const report_figures one = figures(tiny::made_report());
  EXPECT_THROW(compare_reports(one, one, {.margin = -1.0}), error);
  EXPECT_THROW(compare_reports(one, one, {.relative = std::numeric_limits<double>::quiet_NaN()}), error);
  EXPECT_THROW(compare_reports(one, one, {.metrics = {"mope"}}), error);
}

}  // namespace
