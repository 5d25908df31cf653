// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/evaluation/inference.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <filesystem>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "rafter/solver/ordinary_least_squares.hpp"
#include "rafter/solver/ridge.hpp"
#include "support/csv.hpp"
#include "support/data.hpp"
#include "support/engine_steps.hpp"

namespace {

using namespace rafter;
using plain = linear<tiny::mixture, ordinary_least_squares>;

TEST(CoefficientTable, HasTheTAndPValuesOfTheReferences) {
  const auto root = data_folder() / "fixtures" / "ridge";
  if (!std::filesystem::is_directory(root))
    GTEST_SKIP() << "no fixtures/ridge under RAFTER_DATA: p values are not checked";
  std::size_t checked = 0;
  for (const auto& entry : std::filesystem::directory_iterator(root)) {
    if (!std::filesystem::exists(entry.path() / "ols.csv")) continue;
    const csv_table data(entry.path() / "data.csv");
    const csv_table expected(entry.path() / "ols.csv");
    const std::size_t n = data.rows.size();
    std::vector<double> x, y;
    std::vector<std::string> names;
    while (data.has("x" + std::to_string(names.size()))) {
      names.push_back("x" + std::to_string(names.size()));
      for (std::size_t i = 0; i < n; ++i) x.push_back(data.number(i, names.back()));
    }
    for (std::size_t i = 0; i < n; ++i) y.push_back(data.number(i, "y"));
    const array_design rows(n, names.size(), x.data(), y.data());
    // By QR of the rows: p values magnify what the sums of nearly collinear columns lose.
    const ordinary_least_squares solver{.method = least_squares_method::qr};
    const coefficient_table table(solver.solve(normal_equations::of(rows), &rows), names,
                                  std::vector<std::string>(names.size(), "1"), "1");
    for (std::size_t r = 0; r < expected.rows.size(); ++r) {
      const coefficient_row& one = table.row(expected.rows[r][0]);
      const std::string where = entry.path().filename().string() + " " + one.name;
      const double t = expected.number(r, "t");
      const double p = expected.number(r, "p_two_sided");
      if (std::isnan(t)) continue;  // not determined
      EXPECT_NEAR(one.t, t, 1e-9 * std::abs(t)) << where;
      if (p > 1e-200) {
        EXPECT_NEAR(one.p, p, 1e-7 * p) << where;
      }
      ++checked;
    }
  }
  EXPECT_GE(checked, 20U);
}

TEST(CoefficientTable, CoversThatShareOfTheDistribution) {
  // With two degrees of freedom the quantile has a closed form, (2q − 1)/sqrt(2q(1 − q)).
  const auto quantile = [](double q) { return (2 * q - 1) / std::sqrt(2 * q * (1 - q)); };
  linear_solution solution;
  solution.coefficients = {3.0};
  solution.standard_errors = {0.5};
  solution.mean = {0.0};
  solution.deviation = {4.0};
  solution.degrees_of_freedom = 2;
  const coefficient_table at95(solution, {"slope"}, {"s"}, "");
  EXPECT_NEAR(at95.rows()[0].low, 3.0 - 0.5 * quantile(0.975), 1e-12);
  EXPECT_NEAR(at95.rows()[0].high, 3.0 + 0.5 * quantile(0.975), 1e-12);
  EXPECT_NEAR(coefficient_table(solution, {"slope"}, {"s"}, "", 0.9).rows()[0].high, 3.0 + 0.5 * quantile(0.95),
              1e-12);
  EXPECT_EQ(at95.rows()[0].standardised, 12.0);
  EXPECT_EQ(at95.rows()[0].t, 6.0);
}

TEST(CoefficientTable, GivesTheUnitsOfTheLabelOverTheFeature) {
  const auto data = tiny::noisy_steps(200, 4);
  const coefficient_table table(plain::fit(data, row_set::all(200)));
  ASSERT_EQ(table.rows().size(), 7U);
  EXPECT_EQ(table.row("intercept").unit, "s");
  EXPECT_EQ(table.row("prefill_tokens").unit, "s/token");
  EXPECT_EQ(table.row("kv_usage_ratio").unit, "s");
  const coefficient_table of_logarithms(
      linear<tiny::mixture, ordinary_least_squares, objective::log_target>::fit(data, row_set::all(200)));
  EXPECT_EQ(of_logarithms.row("intercept").unit, "1");
  EXPECT_EQ(of_logarithms.row("prefill_tokens").unit, "1/token");
}

TEST(CoefficientTable, SaysThatAConstantFeatureTaughtNothing) {
  const auto data = tiny::noisy_steps(100, 8, 0.2, 1);
  const coefficient_table table(plain::fit(data, row_set::all(100)));
  EXPECT_TRUE(table.row("layers").constant);
  EXPECT_TRUE(std::isnan(table.row("layers").p));
  EXPECT_FALSE(table.row("prefill_tokens").constant);
  EXPECT_NE(table.text().find("layers                         s          constant\n"), std::string::npos)
      << table.text();
}

TEST(CoefficientTable, HasNoInterceptWhereTheModelHasNone) {
  linear_solution solution;
  solution.coefficients = {1.0};
  solution.standard_errors = {0.1};
  solution.deviation = {1.0};
  solution.degrees_of_freedom = 3;
  EXPECT_EQ(coefficient_table(solution, {"a"}, {"s"}, "").rows().size(), 1U);
  EXPECT_EQ(coefficient_table(solution, {"a"}, {"s"}, "s").rows().size(), 2U);
}

TEST(CoefficientTable, SaysWhatIsUndetermined) {
  linear_solution solution;
  solution.coefficients = {1.0};
  solution.standard_errors = {std::numeric_limits<double>::infinity()};
  solution.deviation = {1.0};
  solution.degrees_of_freedom = 3;
  const coefficient_table table(solution, {"a"}, {"s"}, "");
  EXPECT_TRUE(std::isnan(table.rows()[0].p));
  EXPECT_TRUE(std::isinf(table.rows()[0].high));
  EXPECT_NE(table.text().find("undetermined"), std::string::npos);
}

TEST(CoefficientTable, WarnsOfThePenalty) {
  const auto data = tiny::noisy_steps(200, 4);
  std::ostringstream text;
  text << coefficient_table(linear<tiny::mixture, ridge<1>>::fit(data, row_set::all(200)));
  EXPECT_NE(text.str().find("penalty 1: coefficients are biased"), std::string::npos) << text.str();
  EXPECT_EQ(coefficient_table(plain::fit(data, row_set::all(200))).text().find("penalty"), std::string::npos);
}

TEST(CoefficientTable, RefusesSizesThatDisagreeAndImpossibleConfidence) {
  linear_solution solution;
  solution.coefficients = solution.standard_errors = solution.deviation = {1.0};
  EXPECT_THROW(coefficient_table(solution, {"a", "b"}, {"s"}, ""), error);
  EXPECT_THROW(coefficient_table(solution, {"a"}, {"s"}, "", 1.0), error);
  EXPECT_THROW(coefficient_table(solution, {"a"}, {"s"}, "").row("b"), error);
}

// -- parameters of parametric models ---------------------------------------------------------------------------------

fitted_parameter fitted_of(std::string name, double value, double error, parameter_state state) {
  return {.name = std::move(name),
          .unit = "s",
          .value = value,
          .standard_error = error,
          .lower = 0.0,
          .upper = 1.0,
          .state = state,
          .note = {}};
}

TEST(ParameterInference, AddsStudentsTTimesTheStandardError) {
  const parameter_inference table({fitted_of("p", 3.0, 0.5, parameter_state::determined)}, 10.0);
  const double t = 2.2281388519862747;  // F(t) = 0.975, by bisection of the closed form for 10 degrees of freedom
  EXPECT_NEAR(table.row("p").low, 3.0 - 0.5 * t, 1e-12);
  EXPECT_NEAR(table.row("p").high, 3.0 + 0.5 * t, 1e-12);  // beyond its bound 1: nothing is cut
}
TEST(ParameterInference, HasNoEndsWhereTheRowsSayNothing) {
  const double infinite = std::numeric_limits<double>::infinity();
  const parameter_inference table({fitted_of("dead", 0.5, infinite, parameter_state::dead),
                                   fitted_of("open", 0.5, infinite, parameter_state::undetermined)},
                                  10.0);
  for (const char* name : {"dead", "open"}) {
    EXPECT_EQ(table.row(name).low, -infinite);
    EXPECT_EQ(table.row(name).high, infinite);
  }
  EXPECT_NE(table.text().find("no effect"), std::string::npos);
  EXPECT_EQ(table.text().find("inf"), std::string::npos) << table.text();
  const parameter_inference none({fitted_of("p", 0.5, 0.1, parameter_state::determined)}, 0.0);
  EXPECT_EQ(none.row("p").high, infinite);  // no degrees of freedom
}
TEST(ParameterInference, SaysNothingOfHeldParametersAndOfThoseAtBounds) {
  const parameter_inference table({fitted_of("held", 0.5, 0.0, parameter_state::held),
                                   fitted_of("low", 0.0, 0.0, parameter_state::at_lower_bound),
                                   fitted_of("high", 1.0, 0.0, parameter_state::at_upper_bound)},
                                  10.0);
  for (const parameter_row& one : table.rows()) EXPECT_TRUE(std::isnan(one.low) && std::isnan(one.high));
  EXPECT_EQ(table.text().find("nan"), std::string::npos) << table.text();
}
TEST(ParameterInference, RefusesWhatMakesNoSense) {
  EXPECT_THROW(parameter_inference(std::vector<fitted_parameter>{}, 10.0, 1.0), error);
  EXPECT_THROW(parameter_inference(std::vector<fitted_parameter>{}, 10.0).row("p"), error);
}

}  // namespace
