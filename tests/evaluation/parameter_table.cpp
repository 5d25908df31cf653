// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/evaluation/parameter_table.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "support/made_report.hpp"

namespace {

using namespace rafter;
using enum parameter_state;

/// A predictor whose folds have one parameter with these values and states.
predictor_result one_parameter(const std::vector<double>& values, std::vector<parameter_state> states = {},
                               const std::string& unit = "1") {
  states.resize(values.size(), determined);
  predictor_result made;
  for (std::size_t f = 0; f < values.size(); ++f) {
    made.folds.push_back(tiny::fold_of("fold", 0.5));
    made.folds.back().parameters = {tiny::parameter_of("p", unit, values[f], 0.0, states[f])};
  }
  return made;
}
parameter_stability stability(const std::vector<double>& values, std::vector<parameter_state> states = {}) {
  return stability_of(one_parameter(values, std::move(states))).at(0);
}

TEST(ParameterTable, CountsMeanAndDeviationOverTheFolds) {
  const parameter_stability one = stability({2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0});  // squares add up to 32
  EXPECT_EQ(one.folds, 8U);
  EXPECT_EQ(one.mean, 5.0);
  EXPECT_DOUBLE_EQ(one.deviation, std::sqrt(32.0 / 7.0));
  EXPECT_DOUBLE_EQ(one.variation, std::sqrt(32.0 / 7.0) / 5.0);
  EXPECT_EQ(one.smallest, 2.0);
  EXPECT_EQ(one.largest, 9.0);
  EXPECT_EQ(one.verdict(), "varies");  // 0.43
}
TEST(ParameterTable, CallsAVariationBelowThreeTenthsStable) {
  // Of two values a ± d the deviation is d √2.
  const double d = 0.3 / std::sqrt(2.0);
  EXPECT_EQ(stability({1.0 - 0.999 * d, 1.0 + 0.999 * d}).verdict(), "stable");
  EXPECT_EQ(stability({1.0 - 1.001 * d, 1.0 + 1.001 * d}).verdict(), "varies");
  EXPECT_EQ(stability({-1.0, -1.1}).verdict(), "stable");  // by the mean's magnitude
}
TEST(ParameterTable, CallsNothingStableThatTheRowsDoNotDetermine) {
  EXPECT_EQ(stability({1.0, 1.0}, {dead, dead}).verdict(), "-");
  EXPECT_EQ(stability({1.0, 1.0}, {undetermined, determined}).verdict(), "-");
  EXPECT_EQ(stability({1.0, 1.0}, {determined, dead}).verdict(), "-");
  EXPECT_EQ(stability({1.0, 1.0}, {at_upper_bound, at_upper_bound}).verdict(), "-");
  EXPECT_EQ(stability({0.7, 0.7, 0.7}).verdict(), "-");  // one fit, tested in three folds
  EXPECT_EQ(stability({1.0, 1.01}, {at_upper_bound, determined}).verdict(), "stable");
  EXPECT_EQ(stability({1.0}, {determined}).verdict(), "-");  // one fold says nothing of another
}
TEST(ParameterTable, LeavesValuesThatTheRowsDoNotDetermineOutOfTheMean) {
  const parameter_stability one = stability({1.0, 3.0, 50.0}, {determined, at_lower_bound, undetermined});
  EXPECT_EQ(one.mean, 2.0);
  EXPECT_EQ(one.largest, 3.0);
  EXPECT_EQ(one.states(), "determined in 1 of 3, at a bound in 1, not determined in 1");
  EXPECT_TRUE(std::isnan(stability({1.0, 1.0}, {dead, dead}).mean));
}
TEST(ParameterTable, SaysTheStateInFewWords) {
  EXPECT_EQ(stability({1.0, 1.0}).states(), "determined in all 2");
  EXPECT_EQ(stability({1.0, 1.0}, {dead, dead}).states(), "no effect in all 2");
  EXPECT_EQ(stability({1.0}, {at_upper_bound}).states(), "at a bound");
  EXPECT_EQ(stability({1.0, 1.0}, {held, held}).states(), "held");
}
TEST(ParameterTable, DoesNotCallAMeanOfZeroStable) {
  EXPECT_EQ(stability({-1.0, 1.0}).verdict(), "varies");
  EXPECT_EQ(stability({0.0, 0.0}).verdict(), "-");  // 0 / 0
  EXPECT_EQ(parameter_table(one_parameter({0.0, 0.0})).plain().find("nan"), std::string::npos);
}
TEST(ParameterTable, FollowsAParameterByNameThroughFoldsThatLackIt) {
  predictor_result result = one_parameter({1.0, 3.0});
  result.folds[0].parameters.push_back(tiny::parameter_of("factor[7b]", "1", 5.0, 0.0, determined));
  const auto all = stability_of(result);
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[1].name, "factor[7b]");
  EXPECT_EQ(all[1].folds, 1U);
  EXPECT_EQ(all[1].mean, 5.0);
}
TEST(ParameterTable, PrintsShortTimesInMicroseconds) {
  const std::string below = parameter_table(one_parameter({100e-6, 300e-6}, {}, "s")).plain();
  EXPECT_NE(below.find("us     200 "), std::string::npos) << below;
  const std::string above = parameter_table(one_parameter({0.5, 1.5}, {}, "s")).plain();
  EXPECT_NE(above.find("s        1 "), std::string::npos) << above;
}
TEST(ParameterTable, PrintsADashForWhatNothingDetermines) {
  const std::string table = parameter_table(tiny::parametric_result()).markdown();
  EXPECT_NE(table.find("| steady |  | 0.625 | 0.1768 | 0.28 | 0.5 | 0.75 | stable | determined in all 2 |"),
            std::string::npos)
      << table;
  EXPECT_NE(table.find("| wild |  | 2.5 | 2.121 | 0.85 | 1 | 4 | varies | determined in all 2 |"), std::string::npos);
  EXPECT_NE(table.find("| limited |  | 100 | - | - | 100 | 100 | - | at a bound in 1 of 2, not determined in 1 |"),
            std::string::npos);
  EXPECT_NE(table.find("| gone |  | - | - | - | - | - | - | no effect in all 2 |"), std::string::npos);
}
TEST(ParameterTable, SaysWhyAParameterHasNoEffectInSomeFolds) {
  predictor_result result = one_parameter({1.0, 1.0}, {determined, dead});
  result.folds[1].parameters[0].note = "kv_sum 0 on every training row";
  EXPECT_NE(
      parameter_table(result).plain().find("determined in 1 of 2, no effect in 1: kv_sum 0 on every training row"),
      std::string::npos);
}
TEST(ParameterTable, TellsFindingsOfAllFoldsOnce) {
  const fit_findings found = findings_of(tiny::parametric_result());
  EXPECT_EQ(found.every_fold, std::vector<std::string>{"gone has no effect on any training row"});
  EXPECT_EQ(found.worst_fold, "code");
  EXPECT_EQ(found.worst, std::vector<std::string>{"only wild/limited is determined"});
  EXPECT_TRUE(findings_of(predictor_result{}).worst.empty());
}
TEST(ParameterTable, IsEmptyForAPredictorWithoutParameters) {
  EXPECT_FALSE(is_parametric(tiny::made_report().results[0]));
  EXPECT_TRUE(stability_of(tiny::made_report().results[0]).empty());
  EXPECT_TRUE(is_parametric(tiny::parametric_result()));
}

}  // namespace
