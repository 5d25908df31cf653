// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/evaluation/json.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "support/json_schema.hpp"
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
TEST(Json, GivesParametersInBaseUnitsWithTheirStates) {
  auto report = tiny::made_report();
  report.results = {tiny::parametric_result()};
  const auto result = nlohmann::ordered_json::parse(json_of(report).dump())["results"][0];
  EXPECT_EQ(result["parameters"], 5);
  EXPECT_EQ(result["identifiable"], 3);
  const auto& fold = result["folds"][1];
  EXPECT_EQ(fold["parameters"], 5);  // the count, as for every predictor
  ASSERT_EQ(fold["fitted_parameters"].size(), 5U);
  EXPECT_EQ(fold["fitted_parameters"][2],
            nlohmann::ordered_json::parse(R"({"name": "overhead", "unit": "s", "value": 750e-6,
                                              "standard_error": 1e-6, "state": "determined"})"));
  EXPECT_TRUE(fold["fitted_parameters"][3]["standard_error"].is_null());  // infinite
  EXPECT_EQ(fold["fitted_parameters"][3]["state"], "undetermined");
  EXPECT_EQ(fold["findings"][1], "only wild/limited is determined");
}
TEST(Json, GivesStabilityFindingsAndTheSplitOfAParametricResult) {
  auto report = tiny::made_report();
  report.results.push_back(tiny::parametric_result());
  const auto json = nlohmann::ordered_json::parse(json_of(report).dump());
  EXPECT_FALSE(json["results"][0].contains("stability"));
  const auto& result = json["results"][3];
  EXPECT_EQ(result["stability"][0]["mean"], 0.625);
  EXPECT_EQ(result["stability"][0]["stable"], true);
  EXPECT_EQ(result["stability"][1]["stable"], false);
  EXPECT_TRUE(result["stability"][3]["stable"].is_null());
  EXPECT_EQ(result["stability"][3]["state"], "at a bound in 1 of 2, not determined in 1");
  EXPECT_EQ(result["findings"]["every_fold"].size(), 1U);
  EXPECT_EQ(result["findings"]["worst_fold"][0], "only wild/limited is determined");
  EXPECT_EQ(result["worst_fold_split"]["held_out"], "code");
  EXPECT_EQ(result["worst_fold_split"]["mape"], 50.0);
  EXPECT_EQ(result["worst_fold_split"]["refitted_mape"], 12.5);
  EXPECT_EQ(result["worst_fold_split"]["correction_mape"], 37.5);
  EXPECT_EQ(result["worst_fold_split"]["uncorrected_mspe_signed"], 50.0);
}
TEST(Json, SaysWhyThereIsNoAudit) {
  auto report = tiny::made_report();
  report.plausibility = {};
  report.plausibility.why_not = "requests";
  const auto json = json_of(report);
  EXPECT_EQ(json["data"]["plausibility"]["audited"], false);
  EXPECT_EQ(json["data"]["plausibility"]["missing_observable"], "requests");
}

TEST(Json, GivesFindingsOfPredictorsWithoutParameters) {
  auto report = tiny::made_report();
  ASSERT_TRUE(report.results[3].folds[0].parameters.empty());
  for (fold_result& one : report.results[3].folds) one.findings = {"a formula"};
  const auto all = nlohmann::ordered_json::parse(json_of(report).dump());
  for (const auto& result : all["results"]) {
    if (result["predictor"] != report.results[3].predictor) continue;
    EXPECT_EQ(result["folds"][0]["findings"][0], "a formula");
    EXPECT_FALSE(result["folds"][0].contains("fitted_parameters"));
    EXPECT_FALSE(result.contains("stability"));
  }
}

std::string file(const std::string& path) {
  std::ifstream in(path);
  EXPECT_TRUE(in) << path;
  return {std::istreambuf_iterator<char>(in), {}};
}
evaluation_report full_report() {
  auto report = tiny::made_report();
  report.results.push_back(tiny::parametric_result());
  report.sections = {tiny::made_section()};
  report.test = {
      .source = "other.csv", .rows = 3, .digest = {}, .file_sha256 = {}, .plausibility = report.plausibility};
  return report;
}

TEST(Json, ObeysItsSchema) {
  const auto schema = nlohmann::ordered_json::parse(file("docs/evaluation/report.schema.json"));
  evaluation_report unaudited = full_report();
  unaudited.plausibility = {};
  unaudited.results.back().split->refused = "no rows to fit on";
  for (const evaluation_report& report : {full_report(), tiny::made_report(), unaudited}) {
    for (const std::string& line :
         tiny::against_schema(nlohmann::ordered_json::parse(json_of(report).dump()), schema)) {
      ADD_FAILURE() << line;
    }
  }
}
TEST(Json, IsRefusedByItsSchemaWhenItIsWrong) {
  const auto schema = nlohmann::ordered_json::parse(file("docs/evaluation/report.schema.json"));
  const auto good = nlohmann::ordered_json::parse(json_of(full_report()).dump());
  const auto wrong = [&](auto spoil) {
    auto report = good;
    spoil(report);
    return tiny::against_schema(report, schema);
  };
  EXPECT_EQ(wrong([](auto& r) { r["schema_version"] = 2; }).size(), 1U);
  EXPECT_EQ(wrong([](auto& r) { r["data"].erase("rows"); }), std::vector<std::string>{"report.data: lacks \"rows\""});
  EXPECT_EQ(wrong([](auto& r) { r["results"][0]["folds"][0]["mape"] = "1"; }).size(), 1U);
  EXPECT_EQ(wrong([](auto& r) { r["results"][0]["folds"][0]["mape"] = -1.0; }).size(), 1U);
  EXPECT_EQ(wrong([](auto& r) { r["results"][0]["new"] = 1; }).size(), 1U);
  EXPECT_EQ(wrong([](auto& r) { r["sections"][0]["blocks"][0]["type"] = "poem"; }).size(), 1U);
  EXPECT_EQ(wrong([](auto& r) { r["sections"][0]["id"] = "Not An Id"; }).size(), 1U);
}
TEST(Json, IsExplainedFieldByField) {
  std::set<std::string> names;
  tiny::property_names(nlohmann::ordered_json::parse(file("docs/evaluation/report.schema.json")), names);
  const std::string page = file("docs/evaluation/report_json.md");
  EXPECT_GT(names.size(), 60U);
  for (const std::string& name : names) {
    EXPECT_NE(page.find('`' + name + '`'), std::string::npos) << name << " is not on the page";
  }
}
TEST(Json, SaysWhatWasTuned) {
  auto report = tiny::made_report();
  report.results[3].tuned = "the penalty, on inner folds of the training rows";
  const auto json = nlohmann::ordered_json::parse(json_of(report).dump());
  EXPECT_EQ(json["results"][2]["tuned"], report.results[3].tuned);
  EXPECT_EQ(json["results"][0]["tuned"], "");
}
TEST(Json, CanBeWrittenWhateverBytesNamesHave) {
  const std::string hostile = "a\xff\xc3(\xe2\x82\xed\xa0\x80\xf4\x90\x80\x80\n";
  const std::string kept = "µ 時\n\x01\x7f \xc2\x85 \xe2\x80\xa8 \xef\xbb\xbf \xf0\x9f\x98\x80";
  evaluation_report report = full_report();
  report.source = hostile;
  report.target = kept;
  report.results[3].folds[0].held_out = hostile;
  report.sections = {tiny::made_section(hostile)};
  report.notes = {hostile};
  const auto json = nlohmann::ordered_json::parse(json_of(report).dump());
  const std::string shown = "a\\xff\\xc3(\\xe2\\x82\\xed\\xa0\\x80\\xf4\\x90\\x80\\x80\n";
  EXPECT_EQ(json["data"]["path"], shown);
  EXPECT_EQ(json["target"], kept);
  EXPECT_EQ(json["results"][2]["folds"][0]["held_out"], shown);
  EXPECT_EQ(json["sections"][0]["blocks"][2]["rows"][0][0], shown);
  EXPECT_EQ(json["notes"][0], shown);
}
TEST(Json, GivesSectionsAndPlotsOfOneIdIdsOfTheirOwn) {
  evaluation_report report = tiny::made_report();
  report.sections = {tiny::made_section(), tiny::made_section(), tiny::made_section()};
  const auto sections = nlohmann::ordered_json::parse(json_of(report).dump())["sections"];
  EXPECT_EQ(sections[0]["id"], "made");
  EXPECT_EQ(sections[1]["id"], "made-2");
  EXPECT_EQ(sections[2]["id"], "made-3");
  EXPECT_EQ(sections[0]["blocks"][5]["id"], "folds");
  EXPECT_EQ(sections[1]["blocks"][5]["id"], "folds-2");
  EXPECT_EQ(sections[2]["blocks"][4]["id"], "predicted-measured-3");
}
TEST(Json, SaysItsVersion) { EXPECT_EQ(parsed()["schema_version"], report_schema_version); }
TEST(Json, GivesSectionsWithNumbersWhereTablesHaveThem) {
  const auto json = nlohmann::ordered_json::parse(json_of(full_report()).dump());
  const auto& blocks = json["sections"][0]["blocks"];
  ASSERT_EQ(blocks.size(), 6U);
  EXPECT_EQ(blocks[1]["items"][0], "first");
  EXPECT_EQ(blocks[2]["columns"][1], "MAPE %");
  EXPECT_EQ(blocks[2]["rows"][0][1], 12.5);
  EXPECT_EQ(blocks[2]["rows"][1][1], "-");
  EXPECT_EQ(blocks[4]["series"][0]["x"][2], 4.12346);  // six digits
  EXPECT_EQ(blocks[4]["x"]["logarithmic"], true);
  EXPECT_FALSE(blocks[5]["series"][0].contains("x"));
  EXPECT_EQ(blocks[5]["series"][0]["style"], "bars");
}

}  // namespace
