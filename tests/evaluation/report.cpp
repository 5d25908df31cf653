// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/evaluation/report.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support/made_report.hpp"

namespace {

using namespace rafter;
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

predictor_result with_mapes(std::initializer_list<double> mapes) {
  predictor_result made;
  for (const double one : mapes)
    made.folds.push_back(tiny::fold_of("fold " + std::to_string(made.folds.size()), one));
  return made;
}

TEST(Report, FindsTheWorstFold) {
  EXPECT_EQ(with_mapes({0.1, 0.7, 0.3}).worst()->held_out, "fold 1");
  EXPECT_EQ(with_mapes({0.1, 0.7, 0.3}).worst_mape(), 0.7);
  EXPECT_EQ(with_mapes({0.7, 0.7}).worst()->held_out, "fold 0");  // the first of equals
}
TEST(Report, HoldsAFoldWithoutANumberForTheWorst) {
  EXPECT_EQ(with_mapes({0.1, nan, 99.0}).worst()->held_out, "fold 1");
  EXPECT_EQ(with_mapes({nan, 99.0}).worst()->held_out, "fold 0");
  EXPECT_EQ(with_mapes({99.0, nan}).worst()->held_out, "fold 1");
  EXPECT_EQ(with_mapes({0.5, nan, nan}).worst()->held_out, "fold 1");
  EXPECT_TRUE(std::isnan(with_mapes({0.1, nan}).worst_mape()));
}
TEST(Report, HasNoAverageWhereAFoldHasNone) {
  EXPECT_TRUE(std::isnan(with_mapes({0.1, nan}).mean_mape()));
  EXPECT_TRUE(std::isnan(with_mapes({0.1, nan}).median_mape()));
}
TEST(Report, AveragesFoldsAlike) {
  EXPECT_NEAR(with_mapes({0.1, 0.2, 0.6}).mean_mape(), 0.3, 1e-15);
  EXPECT_EQ(with_mapes({0.6, 0.1, 0.2}).median_mape(), 0.2);
  EXPECT_NEAR(with_mapes({0.6, 0.1, 0.2, 0.4}).median_mape(), 0.3, 1e-15);
}
TEST(Report, IsUndefinedWithoutFolds) {
  const predictor_result none;
  EXPECT_EQ(none.worst(), nullptr);
  EXPECT_TRUE(std::isnan(none.worst_mape()) && std::isnan(none.mean_mape()) && std::isnan(none.median_mape()));
  EXPECT_EQ(none.parameters(), 0U);
  EXPECT_EQ(none.identifiable(), 0U);
}
TEST(Report, CountsTheMostParametersAndTheFewestIdentifiable) {
  auto result = with_mapes({0.1, 0.2});
  result.folds[0].fit.parameters = 40;
  result.folds[1].fit.identifiable = 11;
  EXPECT_EQ(result.parameters(), 40U);
  EXPECT_EQ(result.identifiable(), 11U);
}
TEST(Report, FindsPredictorsByName) {
  const auto report = tiny::made_report();
  EXPECT_EQ(report.find("ridge30"), &report.results[3]);
  EXPECT_EQ(report.find("ridge31"), nullptr);
}

}  // namespace
