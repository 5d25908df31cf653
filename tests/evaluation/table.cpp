// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/evaluation/table.hpp"

#include <gtest/gtest.h>

namespace {

using rafter::text_table;

TEST(TextTable, AlignsColumns) {
  text_table table({"<name", "value"});
  table.add({"a", "1"});
  table.add({"longer", "12345.6"});
  EXPECT_EQ(table.plain("  "),
            "  name      value\n"
            "  ---------------\n"
            "  a             1\n"
            "  longer  12345.6\n");
}
TEST(TextTable, CountsCharactersAndNotBytes) {
  text_table table({"<name", "x"});
  table.add({"µs …", "1"});
  table.add({"abcd", "2"});
  EXPECT_EQ(table.plain(""), "name  x\n-------\nµs …  1\nabcd  2\n");
}
TEST(TextTable, LeavesNoSpacesAtTheEndOfALine) {
  text_table table({"<a", "<b"});
  table.add({"x", ""});
  table.add({"x", "yy"});
  EXPECT_EQ(table.plain(""), "a  b\n-----\nx\nx  yy\n");
}
TEST(TextTable, FillsAndCutsRowsToItsColumns) {
  text_table table({"<a", "<b"});
  table.add({"1"});
  table.add({"1", "2", "3"});
  EXPECT_EQ(table.plain(""), "a  b\n----\n1\n1  2\n");
}
TEST(TextTable, EscapesMarkdown) {
  text_table table({"<group|run", "value"});
  table.add({"a|b\nc", "1"});
  table.add({"[x](javascript:1) *b* `c` <i>", "-1"});
  table.add({"a_b _c_ ~~d~~ &lt; & \\", "+2"});
  EXPECT_EQ(table.markdown(),
            "| group\\|run | value |\n|---|---:|\n| a\\|b c | 1 |\n"
            "| \\[x\\](javascript:1) \\*b\\* \\`c\\` \\<i> | -1 |\n"
            "| a_b \\_c\\_ \\~\\~d\\~\\~ \\&lt; & \\\\ | +2 |\n");
}
TEST(TextTable, KnowsThatItIsEmpty) {
  text_table table({"a"});
  EXPECT_TRUE(table.empty());
  table.add({"1"});
  EXPECT_FALSE(table.empty());
}

}  // namespace
