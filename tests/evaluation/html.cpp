// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/evaluation/html.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <variant>
#include <vector>

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

TEST(Html, ShowsSectionsAndSaysWhyItHasNoPlots) {
  auto report = tiny::made_report();
  report.sections = {tiny::made_section()};
  const std::string page = html_of(report);
  EXPECT_EQ(page.find("<b>bold"), std::string::npos);
  EXPECT_NE(page.find("<section id=\"s-made\""), std::string::npos);
  EXPECT_NE(page.find("<caption>a wide one</caption>"), std::string::npos);
  EXPECT_NE(page.find("The 2 plots are left out, for gnuplot was not there"), std::string::npos);
  EXPECT_EQ(page.find("<figure"), std::string::npos);
}
TEST(Html, DrawsPlotsAsItIsTold) {
  auto report = tiny::made_report();
  report.sections = {tiny::made_section("plain")};
  const auto draw = [](const plot& picture) -> std::optional<std::string> {
    if (picture.id == "folds") return std::nullopt;
    return "<svg>" + picture.title + "</svg>";
  };
  const std::string page = html_of(report, {.draw = draw});
  EXPECT_NE(page.find("<svg>Predicted against measured: plain</svg>"), std::string::npos);
  EXPECT_NE(page.find("The picture could not be drawn"), std::string::npos);
  EXPECT_EQ(page.find("There is nothing to draw"), std::string::npos);
  EXPECT_EQ(page.find("plots are left out"), std::string::npos);
  EXPECT_NE(page.find("3 of 3 points plain"), std::string::npos);
}
TEST(Html, TellsAFailedPictureFromOneWithoutPoints) {
  auto report = tiny::made_report();
  plot nothing{.id = "a", .title = "nothing", .x = {}, .y = {"y", true}, .series = {}, .categories = {}, .note = {}};
  nothing.series = {{"", series_style::lines, {1.0, 2.0}, {0.0, -1.0}}};
  report.sections = {{"empty", "Empty", "", {nothing}}};
  const auto fails = [](const plot&) -> std::optional<std::string> { return std::nullopt; };
  EXPECT_NE(html_of(report, {.draw = fails}).find("There is nothing to draw"), std::string::npos);
  EXPECT_EQ(html_of(report, {.draw = fails}).find("could not be drawn"), std::string::npos);
}
TEST(Html, GivesPlotsOfOneIdIdsOfTheirOwn) {
  auto report = tiny::made_report();
  report.sections = {tiny::made_section("plain"), tiny::made_section("plain")};
  std::get<plot>(report.sections[1].blocks[5]).id = "predicted.measured";  // as an id it is the same as another
  std::vector<std::string> drawn;
  const auto draw = [&](const plot& picture) -> std::optional<std::string> {
    drawn.push_back(picture.id);
    return "<svg/>";
  };
  const std::string page = html_of(report, {.draw = draw});
  EXPECT_EQ(drawn, (std::vector<std::string>{"predicted-measured", "folds", "predicted-measured-2",
                                             "predicted.measured-3"}));
  for (const char* id : {"predicted-measured", "folds", "predicted-measured-2", "predicted-measured-3"}) {
    const std::string text = "<figure id=\"figure-" + std::string(id) + '"';
    EXPECT_NE(page.find(text), std::string::npos) << id;
    EXPECT_EQ(page.find(text), page.rfind(text)) << id;
  }
}
TEST(Html, PutsHypothesesBeforeTheResultsAndTheseBeforeOtherSections) {
  auto report = tiny::made_report();
  report.sections = {tiny::made_section("plain"), {"hypotheses", "Hypotheses", "2 of 5 supported", {}}};
  const std::string page = html_of(report);
  const std::size_t hypotheses = page.find("<h2 id=\"h-s-hypotheses\">"),
                    results = page.find("<h2 id=\"h-results\">"), section = page.find("<h2 id=\"h-s-made\">"),
                    folds = page.find("<h2 id=\"h-predictors\">");
  EXPECT_LT(hypotheses, results);
  EXPECT_LT(page.find("<p class=\"verdict"), hypotheses) << "the audit stands before everything";
  EXPECT_LT(results, section);
  EXPECT_LT(section, folds);
  EXPECT_NE(folds, std::string::npos);
}
TEST(Html, LoadsNothingAndHasNoScript) {
  auto report = tiny::made_report();
  report.sections = {tiny::made_section()};
  const std::string page = html_of(report);
  for (const char* word : {"<script", "<link", "<img", "<iframe", "url(", "http:", "https:", "@import", " src="}) {
    EXPECT_EQ(page.find(word), std::string::npos) << word;
  }
}
TEST(Html, SaysHowBadTheTargetIsInItsVerdict) {
  auto report = tiny::made_report();
  EXPECT_NE(html_of(report).find("class=\"verdict odd\""), std::string::npos);
  report.plausibility.all.below = 20000;
  EXPECT_NE(html_of(report).find("class=\"verdict bad\""), std::string::npos);
}

TEST(Html, GivesEveryPartAnIdOfItsOwn) {
  auto report = tiny::made_report();
  report.sections = {tiny::made_section(), tiny::made_section()};
  report.results.push_back(report.results[3]);
  const std::string page = html_of(report);
  for (const char* id : {"\"s-made\"", "\"s-made-2\"", "\"p-ridge30\"", "\"p-ridge30-2\""}) {
    const std::string text = std::string(" id=") + id;
    EXPECT_NE(page.find(text), std::string::npos) << id;
    EXPECT_EQ(page.find(text), page.rfind(text)) << id;
  }
}

TEST(Html, FoldsLongTablesAway) {
  auto report = tiny::made_report();
  text_table table({"<name"});
  for (int i = 0; i < 30; ++i) table.add({"row " + std::to_string(i)});
  report.sections = {{"long", "Long", "", {captioned_table{"a long one", table}}}};
  const std::string page = html_of(report);
  EXPECT_NE(page.find("<details><summary>a long one <span class=\"faint\">(30 rows)</span></summary>"),
            std::string::npos);
  EXPECT_NE(page.find("row 29"), std::string::npos);
}

}  // namespace
