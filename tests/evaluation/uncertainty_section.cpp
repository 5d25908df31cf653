// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/evaluation/uncertainty/intervals_section.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <variant>
#include <vector>

namespace {

using namespace rafter;

/// Folds of `rows` rows whose times are far apart, covered as asked.
interval_result result_of(const std::vector<std::size_t>& covered, std::size_t rows) {
  interval_result made;
  made.predictor = "kernel9";
  made.calibration = "lomo";
  made.method = "pooled CDFs";
  std::vector<double> all_actual, one, low, high;
  for (std::size_t f = 0; f < covered.size(); ++f) {
    std::vector<double> actual(rows, 1.0);
    for (std::size_t i = covered[f]; i < rows; ++i) actual[i] = 3.0;
    const std::vector<double> predicted(rows, 1.0), lower(rows, 0.875), upper(rows, 1.125);
    made.folds.push_back(coverage_of("model-" + std::to_string(f), actual, predicted, lower, upper, made.level));
    all_actual.insert(all_actual.end(), actual.begin(), actual.end());
  }
  one.assign(all_actual.size(), 1.0), low.assign(one.size(), 0.875), high.assign(one.size(), 1.125);
  made.all = coverage_of("all", all_actual, one, low, high, made.level);
  made.findings = {"95 % intervals: infinite"};
  detail::summarise_folds(made);
  return made;
}

TEST(IntervalsSection, ShowsFoldsWorstFirstAndWhatTheLimitsHide) {
  const report_section made = intervals_section({result_of({90, 70, 100}, 100), result_of({80, 80, 80}, 100)});
  EXPECT_EQ(made.id, "prediction-intervals");
  EXPECT_EQ(made.summary,
            "90.0 % intervals of kernel9 hold 86.7 % of held-out rows (86.7 % on average over folds, 70.0 % on the "
            "worst); half of them are wider than 25.0 % of the prediction.");
  const auto& overview = std::get<captioned_table>(made.blocks.at(0)).table;
  ASSERT_EQ(overview.rows().size(), 2U);
  EXPECT_NEAR(overview.rows()[0][6].value, 70.0, 1e-12);
  const auto& folds = std::get<captioned_table>(made.blocks.at(1)).table;
  ASSERT_EQ(folds.rows().size(), 3U);
  EXPECT_EQ(folds.rows()[0][0].text, "model-1");
  EXPECT_EQ(folds.rows()[2][0].text, "model-2");
  EXPECT_EQ(folds.rows()[0][5].text, "30");
  const auto& picture = std::get<plot>(made.blocks.at(2));
  EXPECT_EQ(picture.categories, (std::vector<std::string>{"model-1", "model-0", "model-2"}));
  ASSERT_EQ(picture.series.size(), 2U);
  EXPECT_EQ(picture.series[0].y, (std::vector<double>{70.0, 90.0, 100.0}));
  EXPECT_EQ(picture.series[1].y, (std::vector<double>{80.0, 80.0, 80.0}));
  const auto& honesty = std::get<bullet_list>(made.blocks.at(3));
  // Deviation of 0.9, 0.7 and 1 against √(0.8667 · 0.1333 / 100).
  EXPECT_NE(honesty.items.at(0).find("by 15.3 points (standard deviation), 4.5 times"), std::string::npos)
      << honesty.items.at(0);
  EXPECT_EQ(honesty.items.back(), "95 % intervals: infinite");
}

TEST(IntervalsSection, SaysWhatTheRuleThatWasUsedPromises) {
  interval_result used = result_of({90, 70, 100}, 100);
  used.exchangeable = "model";
  used.calibration = "k_fold";
  const auto promise = [&](conformal_rule rule, bool random = false) {
    used.rule = rule;
    used.random_calibration = random;
    return std::get<bullet_list>(intervals_section({used}).blocks.at(3)).items.at(1);
  };
  const auto begins = [](const std::string& text, const std::string& with) { return text.rfind(with, 0) == 0; };
  const auto has = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
  const std::string rows = promise(conformal_rule::pooled), random = promise(conformal_rule::pooled, true);
  EXPECT_TRUE(begins(rows, "90.0 % is promised for new rows of the calibrated groups, exchangeable with")) << rows;
  EXPECT_FALSE(has(rows, "later times"));
  EXPECT_TRUE(has(random, "k_fold drew the calibrated rows by lot")) << random;
  EXPECT_TRUE(has(random, "nothing of other runs or of later times")) << random;
  const std::string cdfs = promise(conformal_rule::pooled_cdfs);
  EXPECT_TRUE(begins(cdfs, "90.0 % is promised on average over new groups (model)")) << cdfs;
  EXPECT_TRUE(has(cdfs, "only as those become many")) << cdfs;
  EXPECT_TRUE(has(cdfs, "no promise for any one model")) << cdfs;
  EXPECT_TRUE(
      begins(promise(conformal_rule::groups_alike), "At least 90.0 % is promised on average over new groups"));
  EXPECT_TRUE(has(promise(conformal_rule::worst_of_groups), "about 95.0 % of the rows of 95.0 % of the new groups"));
  EXPECT_TRUE(has(promise(conformal_rule::as_predicted), "nothing is promised"));
}

TEST(IntervalsSection, SaysEachPromiseOnceAndWhoseItIs) {
  interval_result first = result_of({90, 70, 100}, 100), second = first, third = first;
  second.predictor = "trees";
  third.rule = conformal_rule::groups_alike;
  third.method = "groups alike";
  const report_section made = intervals_section({first, second, third});
  const auto& lines = std::get<bullet_list>(made.blocks.at(3)).items;
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_EQ(lines[1].rfind("kernel9, pooled CDFs; trees, pooled CDFs: 90.0 % is promised", 0), 0U) << lines[1];
  EXPECT_EQ(lines[2].rfind("kernel9, groups alike: At least 90.0 %", 0), 0U) << lines[2];
}

TEST(IntervalsSection, OfNothingSaysSo) {
  const report_section made = intervals_section({});
  EXPECT_EQ(std::get<paragraph>(made.blocks.at(0)).text, "No prediction intervals: none were asked for.");
}

TEST(IntervalsSection, ShowsInfiniteWidthsInWords) {
  interval_result open = result_of({1, 1}, 1);
  for (coverage_summary* one : {&open.all, &open.folds[0]}) {
    one->median_width = one->mean_score = std::numeric_limits<double>::infinity();
  }
  const report_section made = intervals_section({open});
  const auto& overview = std::get<captioned_table>(made.blocks.at(0)).table;
  EXPECT_EQ(overview.rows()[0][8].text, "infinite");
  EXPECT_EQ(overview.rows()[0][9].text, "infinite");
}

}  // namespace
