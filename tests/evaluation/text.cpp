// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/evaluation/text.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>
#include <string>

#include "support/made_report.hpp"

namespace {

using namespace rafter;
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

TEST(Text, WritesNoBareNan) {
  const std::string text = text_of(tiny::made_report()) + markdown_of(tiny::made_report());
  EXPECT_EQ(text.find("nan"), std::string::npos);
  EXPECT_NE(text.find("n/a"), std::string::npos);
  EXPECT_EQ(detail::percent(nan), "n/a");
  EXPECT_EQ(detail::signed_percent(nan), "n/a");
  EXPECT_EQ(detail::number(nan, 3), "n/a");
}
TEST(Text, FormatsNumbersForReaders) {
  EXPECT_EQ(detail::percent(0.12345), "12.35");
  EXPECT_EQ(detail::percent(25.6), "2560.00");
  EXPECT_EQ(detail::percent(123456.0), "1.23e+07");
  EXPECT_EQ(detail::signed_percent(0.037), "+3.70");
  EXPECT_EQ(detail::grouped(0), "0");
  EXPECT_EQ(detail::grouped(999), "999");
  EXPECT_EQ(detail::grouped(1000), "1,000");
  EXPECT_EQ(detail::grouped(1234567), "1,234,567");
  EXPECT_EQ(detail::microseconds(1234.4e-6), "1234");
  EXPECT_EQ(detail::microseconds(99.94e-6), "99.9");
}
TEST(Text, PutsTheAuditBeforeAnyResult) {
  const std::string text = text_of(tiny::made_report());
  EXPECT_LT(text.find("PLAUSIBILITY  plausible as a target, but 100 of 20110"), text.find("RESULTS"));
}
TEST(Text, OrdersPredictorsByTheirWorstFold) {
  const auto report = tiny::made_report();
  const auto order = detail::by_worst_fold(report.results);
  ASSERT_EQ(order.size(), 4U);
  EXPECT_EQ(order[0]->predictor, "ridge30");    // 50 %
  EXPECT_EQ(order[1]->predictor, "blackbox");   // 100 %
  EXPECT_EQ(order[2]->predictor, "broken");     // no number
  EXPECT_EQ(order[3]->predictor, "roofline9");  // no folds
}
TEST(Text, PutsTheWorstFoldFirst) {
  const std::string folds = detail::fold_table(tiny::made_report().results[3]).plain();
  EXPECT_LT(folds.find("code"), folds.find("chat|7b"));
}
TEST(Text, SaysWhatIsWrongWithAFit) {
  const auto report = tiny::made_report();
  EXPECT_NE(detail::fold_table(report.results[2]).plain().find("! rank deficient"), std::string::npos);
  EXPECT_NE(detail::fold_table(report.results[0]).plain().find("3 predictions not finite"), std::string::npos);
  EXPECT_NE(text_of(report).find("roofline9: not evaluated: the schema lacks 'requests'"), std::string::npos);
}
TEST(Text, SaysWhatAMeanHides) {
  const auto found = detail::cancellations(tiny::made_report());
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0], "blackbox, chat|7b: a signed error of -3.12 % hides an absolute one of 100.00 %");
}
TEST(Text, StreamsWhatItWrites) {
  std::ostringstream out;
  out << tiny::made_report();
  EXPECT_EQ(out.str(), text_of(tiny::made_report()));
}
evaluation_report parametric_report() {
  evaluation_report report = tiny::made_report();
  report.results.push_back(tiny::parametric_result());
  return report;
}

TEST(Text, TellsTheParametersBelowTheFolds) {
  const std::string text = text_of(parametric_report());
  const std::size_t folds = text.find("5 parameters, log ratio, trust region");
  const std::size_t split =
      text.find("worst fold code: 50.00 % (signed +12.50) = 12.50 % (signed +3.12) of the form");
  const std::size_t table = text.find("fitted parameters over the folds");
  const std::size_t everywhere = text.find("findings in every fold:\n    gone has no effect on any training row\n");
  const std::size_t worst = text.find("findings in the worst fold, code:\n    only wild/limited is determined\n");
  ASSERT_NE(worst, std::string::npos) << text;
  EXPECT_LT(folds, split);
  EXPECT_LT(split, table);
  EXPECT_LT(table, everywhere);
  EXPECT_LT(everywhere, worst);
  EXPECT_NE(text_of(parametric_report(), {.columns = 300})
                .find("+ 37.50 % not transferred; nothing fitted: 200.00 % (signed +50.00)"),
            std::string::npos);
  EXPECT_EQ(text.find("limited is at its upper bound 100"), std::string::npos);  // not of the worst fold
}
TEST(Text, TellsTheSameInMarkdown) {
  const std::string text = markdown_of(parametric_report());
  EXPECT_NE(text.find("| overhead | us | 500 |"), std::string::npos) << text;
  EXPECT_NE(text.find("* only wild/limited is determined\n"), std::string::npos);
  EXPECT_NE(text.find("= 12.50 % (signed +3.12) of the form"), std::string::npos);
}
TEST(Text, CountsInsteadOfTheLongStatusOfAParametricFit) {
  fold_result one = tiny::parametric_result().folds[0];
  EXPECT_EQ(detail::fit_text(one), "4/5 identifiable, 1 at bound");
  one.fit.healthy = false;
  one.fit.status = "evaluation limit; 4 of 5 parameters identifiable";
  one.fit.identifiable = 5;
  EXPECT_EQ(detail::fit_text(one), "! evaluation limit, 1 at bound");
}
TEST(Text, SaysThatTheFormCannotBeFittedOnTheHeldOutRows) {
  error_split split = *tiny::parametric_result().split;
  split.refused = "no rows to fit on";
  EXPECT_EQ(detail::split_text(split),
            "worst fold code: 50.00 % (signed +12.50) = unknown parts, for the form cannot be fitted on these rows "
            "alone (no rows to fit on); nothing fitted: 200.00 % (signed +50.00)");
}
TEST(Text, SaysHowManyFindingsItLeavesToTheJson) {
  evaluation_report report = parametric_report();
  for (int i = 0; i < 20; ++i) report.results.back().folds[1].findings.push_back("p" + std::to_string(i) + " odd");
  const std::string text = text_of(report);
  EXPECT_NE(text.find("    p10 odd\n    and 9 more, all in the JSON report\n"), std::string::npos) << text;
  EXPECT_EQ(text.find("p11 odd"), std::string::npos);
}
TEST(Text, ComparesByParametersWhenTwoHaveThem) {
  evaluation_report report = parametric_report();
  EXPECT_EQ(text_of(report).find("ACCURACY AGAINST PARAMETERS"), std::string::npos);
  report.results.push_back(tiny::parametric_result("other"));
  const std::string text = text_of(report);
  EXPECT_NE(text.find("ACCURACY AGAINST PARAMETERS"), std::string::npos);
  EXPECT_EQ(text.find("% per parameter"), std::string::npos);  // without a mean there is nothing to measure from
  predictor_result mean;
  mean.predictor = "mean";
  mean.folds = {tiny::fold_of("code", 8.0)};
  report.results.push_back(mean);
  EXPECT_NE(text_of(report).find("% per parameter  against blackbox"), std::string::npos);
  EXPECT_NE(markdown_of(report).find("## Accuracy against parameters"), std::string::npos);
}
TEST(Text, ShowsNoControlCharactersOfParameterNames) {
  evaluation_report report = parametric_report();
  report.results.back().folds[1].parameters[0].name = "factor[\x1b[2J]";
  report.results.back().folds[1].findings.push_back("factor[\x1b[2J] is at its lower bound");
  EXPECT_EQ(text_of(report).find('\x1b'), std::string::npos);
}
TEST(Text, EscapesLabelsInMarkdown) {
  EXPECT_NE(markdown_of(tiny::made_report()).find("| chat\\|7b |"), std::string::npos);
}

TEST(Text, TellsTheFindingsOfPredictorsWithoutParameters) {
  evaluation_report report = tiny::made_report();
  predictor_result& plain = report.results[3];
  ASSERT_TRUE(plain.folds[0].parameters.empty());
  const std::string held_out = plain.worst()->held_out;
  for (fold_result& one : plain.folds) one.findings = {"a formula", "of " + one.held_out};
  for (const std::string& text : {text_of(report), markdown_of(report)}) {
    EXPECT_NE(text.find("a formula"), std::string::npos);
    EXPECT_NE(text.find("of " + held_out + "\n"), std::string::npos);
  }
}

std::size_t widest(const std::string& text) {
  std::size_t most = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    most = std::max(most, detail::shown_width(std::string_view(text).substr(at, end - at)));
    at = end + 1;
  }
  return most;
}
/// Everything long that a report can have: labels, words, sentences, tables of many columns.
evaluation_report wide_report() {
  evaluation_report report = parametric_report();
  const std::string label(150, 'w'), sentence = "a long sentence, " + std::string(300, 'x') + " and so on, " + label;
  report.source = "/" + label + "/" + label + ".csv";
  report.split_title = sentence;
  report.digest = std::string(64, 'a');
  report.plausibility.groups[0].label = label;
  report.notes.push_back(sentence);
  report.results[1].refused = sentence;
  for (predictor_result& result : report.results) {
    result.description = sentence;
    for (std::size_t f = 0; f < result.folds.size(); ++f) {
      fold_result& one = result.folds[f];
      one.held_out = "20260217-202857-llama-2-70b-hf-tp4-codegen-" + std::to_string(f);
      one.fit.status = "converged: cost; 10 of 12 parameters identifiable; 2 at a bound; and " + label;
      if (!one.findings.empty()) one.findings[0] = sentence;
      for (auto& each : one.parameters) {
        each.name += "_factor_of_a_component_with_a_long_name[" + label + "]";
        each.note = sentence;
      }
    }
    if (result.split) result.split->held_out = label;
  }
  report.sections = {tiny::made_section(label), tiny::made_section(sentence)};
  text_table many({"<name", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16"});
  many.add({label, "1234567.8", "1234567.8", "1234567.8", "1234567.8", "1234567.8", "1234567.8", "1234567.8",
            "1234567.8", "1234567.8", "1234567.8", "1234567.8", "1234567.8", "1234567.8", "1234567.8", "1234567.8",
            "last"});
  report.sections[0].blocks.push_back(captioned_table{"many columns", many});
  report.sections[0].blocks.push_back(paragraph{std::string(500, 'p')});
  return report;
}

TEST(Text, FitsTheColumnsThatItIsGiven) {
  for (const std::size_t columns : {100U, 80U, 60U, 40U}) {
    EXPECT_LE(widest(text_of(wide_report(), {.columns = columns})), columns);
  }
  EXPECT_EQ(text_of(wide_report()), text_of(wide_report(), {.columns = 100}));
}
TEST(Text, LosesNoNumberOfATableThatItSplits) {
  const std::string text = text_of(wide_report());
  std::size_t found = 0;
  for (std::size_t at = text.find("1234567.8"); at != std::string::npos; at = text.find("1234567.8", at + 1)) ++found;
  EXPECT_EQ(found, 15U);
  EXPECT_NE(text.find("last"), std::string::npos);
}
TEST(Text, SaysThatLabelsAreShortened) {
  EXPECT_NE(text_of(wide_report()).find("labels with … are shortened"), std::string::npos);
  EXPECT_EQ(text_of(tiny::made_report()).find("…"), std::string::npos);
}
TEST(Text, SaysWhichColumnsItLeavesOut) {
  const std::string wide = text_of(parametric_report(), {.columns = 120}),
                    narrow = text_of(parametric_report(), {.columns = 70});
  EXPECT_NE(wide.find("  train  "), std::string::npos);
  EXPECT_EQ(wide.find("tables are without"), std::string::npos);
  EXPECT_EQ(narrow.find("  train  "), std::string::npos);
  EXPECT_NE(narrow.find("tables are without 'train', 'r'"), std::string::npos) << narrow;
}
TEST(Text, HasColoursOnlyWhenAsked) {
  EXPECT_EQ(text_of(wide_report()).find('\x1b'), std::string::npos);
  evaluation_report report = wide_report();
  report.plausibility.all.below = 20000;  // implausible
  const std::string text = text_of(report, {.colour = true});
  EXPECT_NE(text.find("\x1b[31m  IMPLAUSIBLE"), std::string::npos);
  std::string plain;  // and colours are all that differs
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '\x1b') {
      at = text.find('m', at);
    } else {
      plain += text[at];
    }
  }
  EXPECT_EQ(plain, text_of(report));
}
TEST(Text, ShowsSectionsAfterTheResultsAndTheirSummariesBefore) {
  evaluation_report report = tiny::made_report();
  report.sections = {tiny::made_section("plain")};
  const std::string text = text_of(report);
  const std::size_t summary = text.find("SUMMARY"), section = text.find("MADE PLAIN  One sentence: plain\n  plain\n");
  ASSERT_NE(section, std::string::npos) << text;
  EXPECT_LT(summary, text.find("RESULTS"));
  EXPECT_LT(text.find("RESULTS"), section);
  EXPECT_NE(text.find("  * first\n  * plain\n"), std::string::npos);
  EXPECT_NE(text.find("  plain  MAPE %\n  -------------\n  plain   12.50\n  total       -\n"), std::string::npos)
      << text;
  EXPECT_NE(text.find("In the HTML report: table 'a wide one'; plot 'Predicted against measured: plain'; plot"),
            std::string::npos)
      << text;
}
TEST(Text, ShowsSectionsInMarkdown) {
  evaluation_report report = tiny::made_report();
  report.sections = {tiny::made_section("a_b *c* <d> [e](f)")};
  const std::string text = markdown_of(report);
  EXPECT_NE(text.find("\n## Made a_b \\*c\\* \\<d> \\[e\\](f)\n"), std::string::npos) << text;
  EXPECT_NE(text.find("| 12.50 |"), std::string::npos);
  EXPECT_NE(text.find("a wide one"), std::string::npos);
}
TEST(Text, LetsNoNameBecomeMarkdown) {
  const std::string hostile = "a|b `x` <script>alert(1)</script> [y](javascript:1) *z*";
  const std::string shown = "a\\|b \\`x\\` \\<script>alert(1)\\</script> \\[y\\](javascript:1) \\*z\\*";
  evaluation_report report = parametric_report();
  report.source = report.schema = report.target = report.split = report.split_title = hostile;
  report.test = {.source = hostile, .rows = 1, .digest = {}, .file_sha256 = {}, .plausibility = {}};
  report.test->plausibility.why_not = hostile;
  report.plausibility.groups[0].label = hostile;
  report.notes = {hostile};
  for (predictor_result& one : report.results) {
    one.description = one.refused = hostile;
    for (fold_result& fold : one.folds) {
      fold.held_out = fold.fit.status = hostile;
      fold.findings = {hostile};
      for (fitted_parameter& each : fold.parameters) each.name = each.note = hostile;
    }
    if (one.split) one.split->held_out = one.split->refused = hostile;
  }
  report.results[0].predictor = hostile;
  report.sections = {tiny::made_section(hostile)};
  std::string text = markdown_of(report);
  std::size_t found = 0;
  for (std::size_t at = text.find(shown); at != std::string::npos; at = text.find(shown)) {
    text.erase(at, shown.size());
    ++found;
  }
  EXPECT_GT(found, 30U);
  for (const char* raw : {"a|b", "<script", "[y]", "*z", "`x"}) EXPECT_EQ(text.find(raw), std::string::npos) << raw;
}
TEST(Text, ShowsNoControlCharactersOfSections) {
  evaluation_report report = tiny::made_report();
  report.sections = {tiny::made_section("a\x1b[2J\r\xff")};
  for (const std::string& text : {text_of(report), markdown_of(report)}) {
    EXPECT_EQ(text.find_first_of("\x1b\r\xff"), std::string::npos);
    EXPECT_NE(text.find("\\x1b"), std::string::npos);
  }
}

}  // namespace
