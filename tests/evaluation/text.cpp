// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/evaluation/text.hpp"

#include <gtest/gtest.h>

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
TEST(Text, EscapesLabelsInMarkdown) {
  EXPECT_NE(markdown_of(tiny::made_report()).find("| chat\\|7b |"), std::string::npos);
}

}  // namespace
