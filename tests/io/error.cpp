// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/io/error.hpp"

#include <gtest/gtest.h>

namespace {

using rafter::io_error;
using rafter::printable;

TEST(IoError, SaysPlaceFieldTextAndFactInOneLine) {
  const io_error error({"steps.csv", 17, 42}, "duration_us", "abc", "is not a number");
  EXPECT_STREQ(error.what(), "steps.csv:17:42: field 'duration_us': 'abc' is not a number");
  EXPECT_EQ(error.path, "steps.csv");
  EXPECT_EQ(error.line, 17U);
  EXPECT_EQ(error.column, 42U);
  EXPECT_EQ(error.field, "duration_us");
  EXPECT_EQ(error.text, "abc");
}

TEST(IoError, LeavesOutWhatIsNotKnown) {
  EXPECT_STREQ(io_error({"a.npy"}, {}, {}, "is truncated").what(), "a.npy: is truncated");
  EXPECT_STREQ((io_error({"a.csv", 3, 0}, {}, {}, "is odd").what()), "a.csv:3: is odd");
}

TEST(IoError, StaysOnOneLineWhateverTheFileHolds) {
  const io_error error({"a\nb.csv", 1, 1}, "x\r", "1\n2", "is not a number");
  EXPECT_STREQ(error.what(), "a\\nb.csv:1:1: field 'x\\r': '1\\n2' is not a number");
}

TEST(Printable, ShortensToTheLimitInCharacters) {
  EXPECT_EQ(printable(std::string(60, 'x')), std::string(60, 'x'));
  EXPECT_EQ(printable(std::string(61, 'x')), std::string(60, 'x') + "...");
  EXPECT_EQ(printable("µµµ", 2), "µµ...");
}

TEST(Printable, EscapesControlCharactersAndKeepsUtf8) {
  EXPECT_EQ(printable("a\tb\x1b[31m"), "a\\tb\\x1b[31m");
  EXPECT_EQ(printable(std::string_view("\0", 1)), "\\x00");
  EXPECT_EQ(printable("Zeit in µs, 時間, 😀"), "Zeit in µs, 時間, 😀");
}

TEST(Printable, EscapesBytesThatAreNotUtf8) {
  EXPECT_EQ(printable("\xff"), "\\xff");
  EXPECT_EQ(printable("\xc3"), "\\xc3");                             // cut sequence
  EXPECT_EQ(printable("\xc0\xaf"), "\\xc0\\xaf");                    // overlong
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");           // surrogate
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");  // beyond U+10FFFF
  EXPECT_EQ(printable("\xc2\x85"), "\\xc2\\x85");                    // next line, a control character
  EXPECT_EQ(printable("\xe2\x80\xa8"), "\\xe2\\x80\\xa8");           // line separator
  EXPECT_EQ(printable("\xef\xbb\xbf"), "\\xef\\xbb\\xbf");           // byte order mark, which is invisible
}

}  // namespace
