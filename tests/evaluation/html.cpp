// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/evaluation/html.hpp"

#include <gtest/gtest.h>

#include <string>

#include "support/made_report.hpp"

namespace {

using namespace rafter;

TEST(Html, TellsTheParametersBelowTheFolds) {
  auto report = tiny::made_report();
  report.results.push_back(tiny::parametric_result());
  const std::string page = html_of(report);
  const std::size_t table = page.find("The fitted parameters over the folds");
  ASSERT_NE(table, std::string::npos);
  EXPECT_LT(page.find("<h3>roofline</h3>"), table);
  EXPECT_LT(table, page.find("<li>only wild/limited is determined</li>"));
  EXPECT_NE(page.find("<td class=\"l\">overhead</td><td class=\"l\">us</td><td>500</td>"), std::string::npos);
}
TEST(Html, LetsNoNameBecomeMarkup) {
  auto report = tiny::made_report();
  report.results.push_back(tiny::parametric_result());
  report.results.back().folds[1].parameters[0].name = "<script>";
  report.results.back().folds[1].findings.push_back("<script> is odd");
  report.results.back().split->held_out = "<script>";
  EXPECT_EQ(html_of(report).find("<script>"), std::string::npos);
}
TEST(Html, ComparesByParametersWhenTwoHaveThem) {
  auto report = tiny::made_report();
  report.results = {tiny::parametric_result("a")};
  EXPECT_EQ(html_of(report).find("Accuracy against parameters"), std::string::npos);
  report.results.push_back(tiny::parametric_result("b"));
  EXPECT_NE(html_of(report).find("Accuracy against parameters"), std::string::npos);
}

}  // namespace
