// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/evaluation/tensor.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
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

}  // namespace
