// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/evaluation/parameter_efficiency.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/made_report.hpp"

namespace {

using namespace rafter;

predictor_result result_of(std::string name, std::size_t parameters, std::size_t identifiable,
                           const std::vector<double>& mapes) {
  predictor_result made;
  made.predictor = std::move(name);
  for (const double mape : mapes) {
    made.folds.push_back(tiny::fold_of("fold", mape));
    made.folds.back().fit.parameters = parameters;
    made.folds.back().fit.identifiable = identifiable;
  }
  return made;
}
evaluation_report report_of(std::vector<predictor_result> results) {
  evaluation_report made;
  made.results = std::move(results);
  return made;
}
const efficiency_row& row(const efficiency_report& report, const std::string& predictor) {
  for (const efficiency_row& one : report.rows) {
    if (one.predictor == predictor) return one;
  }
  throw std::runtime_error(predictor);
}

TEST(ParameterEfficiency, DividesTheErrorThatIsGoneByTheIdentifiableParameters) {
  const auto found = parameter_efficiency(report_of({result_of("mean", 1, 1, {1.0, 2.0}),        // mean error 1.5
                                                     result_of("roofline", 9, 4, {0.25, 0.75}),  // 0.5: 1 by 4
                                                     result_of("blackbox", 3, 2, {0.5, 1.5})}),  // 1.0: 0.5 by 2
                                          "roofline");
  EXPECT_EQ(found.baseline, "mean");
  EXPECT_EQ(found.reference, "roofline");
  EXPECT_DOUBLE_EQ(row(found, "roofline").per_parameter, 0.25);
  EXPECT_DOUBLE_EQ(row(found, "roofline").ratio, 1.0);
  EXPECT_DOUBLE_EQ(row(found, "blackbox").per_parameter, 0.25);
  EXPECT_EQ(row(found, "roofline").worst_mape, 0.75);
  EXPECT_EQ(row(found, "roofline").parameters, 9U);
}
TEST(ParameterEfficiency, ComparesWithTheReference) {
  const auto found =
      parameter_efficiency(report_of({result_of("mean", 1, 1, {1.5}), result_of("few", 2, 2, {0.5}),
                                      result_of("many", 20, 20, {0.5}), result_of("worse", 4, 4, {2.5})}),
                           "few");
  EXPECT_DOUBLE_EQ(row(found, "many").ratio, 0.1);
  EXPECT_DOUBLE_EQ(row(found, "worse").ratio, -0.5);
}
TEST(ParameterEfficiency, SortsByIdentifiableParameters) {
  const auto found =
      parameter_efficiency(report_of({result_of("many", 20, 20, {0.5}), result_of("nominal", 30, 2, {0.5}),
                                      result_of("mean", 1, 1, {1.0})}),
                           "many");
  ASSERT_EQ(found.rows.size(), 3U);
  EXPECT_EQ(found.rows[0].predictor, "mean");
  EXPECT_EQ(found.rows[1].predictor, "nominal");
  EXPECT_EQ(found.rows[2].predictor, "many");
}
TEST(ParameterEfficiency, HasNoNumberWhereThereIsNothingToDivide) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  predictor_result refused;
  refused.predictor = "refused";
  const auto report = report_of({result_of("mean", 1, 1, {1.0}), result_of("nothing", 0, 0, {0.5}),
                                 result_of("broken", 2, 2, {0.5, nan}), result_of("fine", 2, 2, {0.5}),
                                 result_of("useless", 2, 2, {1.0}), refused});
  const auto found = parameter_efficiency(report, "fine");
  EXPECT_EQ(found.rows.size(), 5U);  // not the one without folds
  EXPECT_TRUE(std::isnan(row(found, "nothing").per_parameter));
  EXPECT_TRUE(std::isnan(row(found, "broken").per_parameter));
  EXPECT_TRUE(std::isnan(row(found, "mean").per_parameter));  // the baseline itself
  EXPECT_EQ(row(found, "useless").ratio, 0.0);
  EXPECT_TRUE(std::isnan(row(parameter_efficiency(report, "useless"), "fine").ratio));  // it removes nothing
}
TEST(ParameterEfficiency, MakesNoBaselineAndNoReferenceUp) {
  const auto report = report_of({result_of("a", 1, 1, {1.0}), result_of("b", 2, 2, {0.5})});
  const auto without = parameter_efficiency(report, "c");
  EXPECT_EQ(without.baseline, "");
  EXPECT_EQ(without.reference, "");
  EXPECT_TRUE(std::isnan(row(without, "b").per_parameter));
  EXPECT_DOUBLE_EQ(row(parameter_efficiency(report, "b", "a"), "b").per_parameter, 0.25);
}

}  // namespace
