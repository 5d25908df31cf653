// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/evaluation/tensor.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <string>
#include <vector>
#include <xtensor/xmath.hpp>
#include <xtensor/xview.hpp>

namespace {

using namespace rafter;

evaluation_report made_report() {
  evaluation_report report;
  predictor_result a{.predictor = "ridge30", .description = "", .folds = {}, .refused = ""};
  a.folds.resize(2);
  a.folds[0].held_out = "7b";
  a.folds[0].train_rows = 5;
  a.folds[0].fit.identifiable = 20;
  a.folds[1].held_out = "70b";
  a.folds[0].errors.mape = 0.25;
  a.folds[1].errors.mape = 0.5;
  a.folds[1].errors.pearson = 0.9;
  predictor_result b{.predictor = "mean", .description = "", .folds = {a.folds[1]}, .refused = ""};
  b.folds[0].errors.mape = 0.75;
  predictor_result c{.predictor = "roofline9", .description = "", .folds = {}, .refused = "needs requests"};
  report.results = {a, b, c};
  return report;
}

TEST(Tensor, FindsNumbersByName) {
  const named_tensor results = tensor_of(made_report());
  EXPECT_EQ(results.at("ridge30", "7b", "mape"), 0.25);
  EXPECT_EQ(results.at("ridge30", "70b", "mape"), 0.5);
  EXPECT_EQ(results.at("ridge30", "70b", "pearson_r"), 0.9);
  EXPECT_EQ(results.at("mean", "70b", "mape"), 0.75);
  EXPECT_EQ(results.at("ridge30", "7b", "train_rows"), 5.0);
  EXPECT_EQ(results.at("ridge30", "7b", "identifiable"), 20.0);
}

TEST(Tensor, HasNoNumberWhereAPredictorHasNoFold) {
  const named_tensor results = tensor_of(made_report());
  EXPECT_TRUE(std::isnan(results.at("mean", "7b", "mape")));
  EXPECT_TRUE(std::isnan(results.at("roofline9", "70b", "rows")));
  EXPECT_TRUE(std::isnan(results.at("ridge30", "7b", "rmse")));  // undefined in the report
}

TEST(Tensor, HasTheShapeOfItsNames) {
  const named_tensor results = tensor_of(made_report());
  EXPECT_EQ(results.predictors, (std::vector<std::string>{"ridge30", "mean", "roofline9"}));
  EXPECT_EQ(results.folds, (std::vector<std::string>{"7b", "70b"}));
  EXPECT_EQ(results.values.shape()[0], 3U);
  EXPECT_EQ(results.values.shape()[1], 2U);
  EXPECT_EQ(results.values.shape()[2], results.metrics.size());
  EXPECT_EQ(xt::mean(xt::view(results.values, 0, xt::all(), 0))(), 0.375);
  EXPECT_EQ(tensor_of(evaluation_report{}).values.size(), 0U);
}

TEST(Tensor, OffersTheNearestNameForAnUnknownOne) {
  const named_tensor results = tensor_of(made_report());
  const auto said = [&](const char* predictor, const char* fold, const char* metric) -> std::string {
    try {
      results.at(predictor, fold, metric);
    } catch (const error& refused) {
      return refused.what();
    }
    return "found";
  };
  EXPECT_EQ(said("ridge_30", "7b", "mape"),
            "rafter: results: there is no predictor 'ridge_30'; did you mean 'ridge30'?");
  EXPECT_EQ(said("mean", "71b", "mape"), "rafter: results: there is no fold '71b'; did you mean '7b'?");
  EXPECT_EQ(said("mean", "7b", "mapes"), "rafter: results: there is no metric 'mapes'; did you mean 'mape'?");
}

evaluation_report with_predictions() {
  evaluation_report report = made_report();
  report.results[0].folds[0].predictions = {row_set::of({1, 3}), {1e-3, 3e-3}, {1.5e-3, 2.5e-3}};
  report.results[0].folds[1].predictions = {row_set::of({0, 3}), {0.5e-3, 3e-3}, {0.25e-3, 4e-3}};
  report.results[1].folds[0].predictions = {row_set::of({0, 2, 3}), {0.5e-3, 2e-3, 3e-3}, {1e-3, 1e-3, 1e-3}};
  return report;
}
std::string stem_of(const std::string& name) {
  return (std::filesystem::temp_directory_path() / ("rafter_tensor_" + std::to_string(getpid()) + name)).string();
}
std::string refusal(const std::string& stem) {
  try {
    read_tensor(stem);
  } catch (const io_error& why) {
    return why.what();
  }
  return "nothing";
}

TEST(Tensor, GivesEachPredictionItsFoldAndRow) {
  const prediction_table table = predictions_of(with_predictions());
  EXPECT_EQ(table.columns, (std::vector<std::string>{"fold", "row", "actual", "ridge30", "mean"}));
  EXPECT_EQ(table.folds, (std::vector<std::string>{"7b", "70b"}));
  const std::vector<double> folds{0, 0, 1, 1, 1}, rows{1, 3, 0, 2, 3}, actual{1e-3, 3e-3, 0.5e-3, 2e-3, 3e-3};
  ASSERT_EQ(table.values.shape()[1], 5U);
  for (std::size_t e = 0; e < 5; ++e) {
    EXPECT_EQ(table.at("fold", e), folds[e]);
    EXPECT_EQ(table.at("row", e), rows[e]);
    EXPECT_EQ(table.at("actual", e), actual[e]);
  }
  EXPECT_EQ(table.at("ridge30", 1), 2.5e-3);
  EXPECT_EQ(table.at("ridge30", 4), 4e-3);
  EXPECT_TRUE(std::isnan(table.at("ridge30", 3)));
  EXPECT_TRUE(std::isnan(table.at("mean", 0)));
  EXPECT_EQ(table.at("mean", 3), 1e-3);
  EXPECT_EQ(predictions_of(made_report()).values.shape()[1], 0U);
}
TEST(Tensor, IsReadAsItWasWritten) {
  const std::string stem = stem_of("round");
  const named_tensor results = tensor_of(made_report());
  write_tensor(stem, results);
  const named_tensor again = read_tensor(stem);
  EXPECT_EQ(again.predictors, results.predictors);
  EXPECT_EQ(again.folds, results.folds);
  EXPECT_EQ(again.metrics, results.metrics);
  ASSERT_EQ(again.values.shape(), results.values.shape());
  for (std::size_t i = 0; i < results.values.size(); ++i) {
    const double one = again.values.flat(i), other = results.values.flat(i);
    EXPECT_TRUE(one == other || (std::isnan(one) && std::isnan(other)));
  }
  const prediction_table table = predictions_of(with_predictions());
  write_tensor(stem, table);
  EXPECT_EQ(read_predictions(stem).columns, table.columns);
  EXPECT_EQ(read_predictions(stem).folds, table.folds);
  EXPECT_EQ(read_predictions(stem).at("ridge30", 4), 4e-3);
  EXPECT_NE(refusal(stem).find("dimensions"), std::string::npos) << refusal(stem);
  for (const char* end : {".npy", ".json"}) std::filesystem::remove(stem + end);
}
TEST(Tensor, RefusesNamesThatAreNotThoseOfTheArray) {
  const std::string stem = stem_of("wrong");
  write_tensor(stem, tensor_of(made_report()));
  const std::string good(read_file(stem + ".json").view());
  const auto spoilt = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    write_file(stem + ".json", text);
    return refusal(stem);
  };
  EXPECT_NE(spoilt("\"size\": 3", "\"size\": 4").find("'axes[0].size'"), std::string::npos);
  EXPECT_NE(spoilt("\"ridge30\",", "").find("has 2 names, expected 3"), std::string::npos);
  EXPECT_NE(spoilt("\"fold\"", "\"fald\"").find("stands where 'fold' is expected"), std::string::npos);
  EXPECT_NE(spoilt("\"schema_version\": 1", "\"schema_version\": 7").find("schema_version"), std::string::npos);
  for (const char* end : {".npy", ".json"}) std::filesystem::remove(stem + end);
}

}  // namespace
