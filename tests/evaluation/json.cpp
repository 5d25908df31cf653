// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/evaluation/json.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/made_report.hpp"

namespace {

using namespace rafter;

nlohmann::ordered_json parsed() { return nlohmann::ordered_json::parse(json_of(tiny::made_report()).dump()); }

TEST(Json, HasTheFieldsThatProgramsRelyOn) {
  const auto json = parsed();
  for (const char* key : {"path", "rows", "sha256", "plausibility"}) EXPECT_TRUE(json["data"].contains(key)) << key;
  EXPECT_TRUE(json["data"]["plausibility"].contains("share_below_floor"));
  EXPECT_EQ(json["split"], "temporal");
  EXPECT_EQ(json["target"], "logged_duration");
  const auto& result = json["results"][2];
  for (const char* key : {"predictor", "parameters", "identifiable", "folds", "worst_fold_mape", "mean_fold_mape",
                          "median_fold_mape"}) {
    EXPECT_TRUE(result.contains(key)) << key;
  }
  for (const char* key : {"held_out", "rows", "mape", "mspe_signed", "median_ape", "p90_ape", "p99_ape",
                          "share_above_50", "pearson_r"}) {
    EXPECT_TRUE(result["folds"][0].contains(key)) << key;
  }
}
TEST(Json, GivesPercentagesAsNumbersAndTimesInMicroseconds) {
  const auto json = parsed();
  const auto& ridge = json["results"][2];
  EXPECT_EQ(ridge["predictor"], "ridge30");
  EXPECT_EQ(ridge["folds"][0]["mape"], 25.0);
  EXPECT_EQ(ridge["folds"][0]["mspe_signed"], 6.25);
  EXPECT_EQ(ridge["folds"][0]["share_above_50"], 12.5);
  EXPECT_EQ(ridge["folds"][0]["pearson_r"], 0.5);
  EXPECT_NEAR(ridge["folds"][0]["rmse_us"].get<double>(), 1500.0, 1e-9);
  EXPECT_EQ(ridge["worst_fold"], "code");
  EXPECT_EQ(ridge["worst_fold_mape"], 50.0);
  EXPECT_EQ(ridge["mean_fold_mape"], 37.5);
  EXPECT_EQ(ridge["median_fold_mape"], 37.5);
  EXPECT_NEAR(json["data"]["plausibility"]["share_below_floor"].get<double>(), 100.0 * 100 / 20110, 1e-12);
  EXPECT_EQ(json["data"]["plausibility"]["worst_rows"][0]["line"], 19);
}
TEST(Json, WritesUndefinedValuesAsNull) {
  const auto json = parsed();
  const auto& broken = json["results"][0];
  EXPECT_TRUE(broken["folds"][1]["mape"].is_null());
  EXPECT_TRUE(broken["worst_fold_mape"].is_null());
  EXPECT_EQ(broken["worst_fold"], "code");
  EXPECT_EQ(broken["folds"][1]["not_finite"], 3);
}
TEST(Json, SaysWhatWasNotEvaluatedAndWhy) {
  const auto json = parsed();
  ASSERT_EQ(json["not_evaluated"].size(), 1U);
  EXPECT_EQ(json["not_evaluated"][0]["predictor"], "roofline9");
  EXPECT_EQ(json["not_evaluated"][0]["reason"], "the schema lacks 'requests'");
  EXPECT_EQ(json["results"].size(), 3U);
}
TEST(Json, SaysWhyThereIsNoAudit) {
  auto report = tiny::made_report();
  report.plausibility = {};
  report.plausibility.why_not = "requests";
  const auto json = json_of(report);
  EXPECT_EQ(json["data"]["plausibility"]["audited"], false);
  EXPECT_EQ(json["data"]["plausibility"]["missing_observable"], "requests");
}

}  // namespace
