// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/io/csv.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <limits>

namespace {

using namespace std::string_view_literals;
using rafter::bad_row_report;
using rafter::csv_options;
using rafter::csv_row;
using rafter::csv_row_counts;
using rafter::csv_table_reader;
using rafter::csv_writer;
using rafter::io_error;
using rafter::unexpected_columns;

using table_of_texts = std::vector<std::vector<std::string>>;

table_of_texts read_all(std::string_view text, csv_options options = {}) {
  auto reader = csv_table_reader::from_text(text, "t.csv", std::move(options));
  table_of_texts rows;
  for (csv_row row; reader.next(row);) {
    auto& fields = rows.emplace_back();
    for (std::size_t i = 0; i < row.size(); ++i) fields.emplace_back(row.text(i));
  }
  return rows;
}

template <class Action> std::string message_of(Action action) {
  try {
    action();
  } catch (const io_error& error) {
    return error.what();
  }
  return "no io_error";
}

std::string read_message(std::string_view text, csv_options options = {}) {
  return message_of([&] { read_all(text, std::move(options)); });
}

/// The message that getting the number (or integer) of the only field of the only row gives.
std::string number_message(const std::string& field, bool integer = false) {
  return message_of([&] {
    const std::string text = "x,y\n1," + field + '\n';
    auto reader = csv_table_reader::from_text(text, "t.csv");
    csv_row row;
    reader.next(row);
    static_cast<void>(integer ? static_cast<double>(row.integer(1)) : row.number(1));
  });
}

double number_of(const std::string& field, csv_options options = {}) {
  const std::string text = "x\n" + field + '\n';
  auto reader = csv_table_reader::from_text(text, "t.csv", std::move(options));
  csv_row row;
  reader.next(row);
  return row.number(0);
}

std::int64_t integer_of(const std::string& field) {
  const std::string text = "x\n" + field + '\n';
  auto reader = csv_table_reader::from_text(text, "t.csv");
  csv_row row;
  reader.next(row);
  return row.integer(0);
}

TEST(CsvReader, ReadsPlainRowsWithEitherLineEnding) {
  const table_of_texts expected{{"1", "2"}, {"3", "4"}};
  EXPECT_EQ(read_all("a,b\n1,2\n3,4\n"), expected);
  EXPECT_EQ(read_all("a,b\r\n1,2\r\n3,4\r\n"), expected);
  EXPECT_EQ(read_all("a,b\n1,2\n3,4"), expected);
  EXPECT_EQ(read_all("\xef\xbb\xbf"
                     "a,b\n1,2\n3,4"),
            expected);
}

TEST(CsvReader, UndoesQuotesDoubledQuotesAndEmbeddedNewlines) {
  EXPECT_EQ(read_all("a,b,c\n\"x,y\",\"say \"\"hi\"\" \"\"\",\"1\r\n2\"\n\"\",,\"\"\"\"\n"),
            (table_of_texts{{"x,y", "say \"hi\" \"", "1\r\n2"}, {"", "", "\""}}));
}

TEST(CsvReader, KeepsTheEmptyFieldBehindALastCommaWithoutNewline) {
  EXPECT_EQ(read_all("a,b\n1,"), (table_of_texts{{"1", ""}}));
}

TEST(CsvReader, ReadsABlankLineOfAOneColumnTableAsAMissingValue) {
  EXPECT_EQ(read_all("a\n\n1\n"), (table_of_texts{{""}, {"1"}}));
}

TEST(CsvReader, ReadsTheHeaderAndFindsColumnsByName) {
  const auto reader = csv_table_reader::from_text("b,\"a,1\",c\n1,2,3\n", "t.csv");
  EXPECT_EQ(reader.header(), (std::vector<std::string>{"b", "a,1", "c"}));
  EXPECT_EQ(reader.column("b"), 0U);
  EXPECT_EQ(reader.column("a,1"), 1U);
  EXPECT_EQ(reader.find_column("a"), std::nullopt);
}

TEST(CsvReader, NamesTheNearestColumnWhenOneIsMissing) {
  const auto reader = csv_table_reader::from_text("tokens,kv_summ\n1,2\n", "t.csv");
  EXPECT_EQ(message_of([&] { static_cast<void>(reader.column("kv_sum")); }),
            "t.csv:1: missing column 'kv_sum'; did you mean 'kv_summ'?");
  EXPECT_EQ(message_of([&] { static_cast<void>(reader.column("duration_us")); }),
            "t.csv:1: missing column 'duration_us'");
}

TEST(CsvReader, RefusesOrReturnsUnexpectedColumns) {
  const auto reader = csv_table_reader::from_text("tokens,kv_summ,note\n1,2,3\n", "t.csv");
  const std::vector known{"tokens"sv, "kv_sum"sv};
  EXPECT_EQ(message_of([&] { reader.check_columns(known, unexpected_columns::refuse); }),
            "t.csv:1:8: unexpected column 'kv_summ'; did you mean 'kv_sum'?");
  EXPECT_EQ(reader.check_columns(known, unexpected_columns::allow), (std::vector<std::string>{"kv_summ", "note"}));
}

TEST(CsvReader, RefusesFilesWithoutHeaderOrRows) {
  EXPECT_EQ(read_message(""), "t.csv:1:1: empty file, expected a header line");
  EXPECT_EQ(read_message("\xef\xbb\xbf"), "t.csv:1:1: empty file, expected a header line");
  EXPECT_EQ(read_message("\na\n"), "t.csv:1:1: blank line where the header belongs");
  EXPECT_EQ(read_message("a,b\n"), "t.csv:2:1: header without rows");
  EXPECT_EQ(read_message("a,b"), "t.csv:1:4: header without rows");
  EXPECT_EQ(read_all("a,b\n", {.allow_header_only = true}), table_of_texts{});
}

TEST(CsvReader, RefusesDuplicateColumnNamesAtTheSecond) {
  EXPECT_EQ(read_message("a,b,a\n1,2,3\n"), "t.csv:1:5: column 'a' appears twice, first as column number 1");
}

TEST(CsvReader, PlacesStructuralErrorsExactly) {
  EXPECT_EQ(read_message("a,b\n1,2\n3,\"4\n5,6\n"), "t.csv:3:3: '\"4\\n5,6\\n' opens a quote that is never closed");
  EXPECT_EQ(read_message("a,b\n1,2\"\n"), "t.csv:2:4: stray quote in a field that does not begin with one");
  EXPECT_EQ(read_message("a,b\n1,\"2\"x\n"),
            "t.csv:2:6: 'x' follows the closing quote, expected a comma or the end of the line");
  EXPECT_EQ(read_message("a,b\n1,2\r3,4\n"), "t.csv:2:4: carriage return without a line feed");
  EXPECT_EQ(read_message("a,b\n1,2\r"), "t.csv:2:4: carriage return without a line feed");
  EXPECT_EQ(read_message("a,b\n1,\0\n"sv), "t.csv:2:3: NUL byte: not a text file");
  EXPECT_EQ(read_message("a,b\n1,\"x\ny\0z\"\n"sv), "t.csv:3:2: NUL byte: not a text file");
}

TEST(CsvReader, PlacesAWrongNumberOfFieldsAtTheFirstSurplusOrTheEndOfTheRow) {
  EXPECT_EQ(read_message("a,b\n1,2\n1,2,3\n"), "t.csv:3:5: wrong number of fields: expected 2, found 3");
  EXPECT_EQ(read_message("a,b\n1\n"), "t.csv:2:2: wrong number of fields: expected 2, found 1");
  EXPECT_EQ(read_message("a,b\n1,2\n\n3,4\n"), "t.csv:3:1: blank line: expected 2 fields");
}

TEST(CsvReader, CountsLinesThroughEmbeddedNewlines) {
  auto reader = csv_table_reader::from_text("a,b\n\"1\n2\n3\",x\n5,abc\n", "t.csv");
  csv_row row;
  ASSERT_TRUE(reader.next(row));
  EXPECT_EQ(row.line(), 2U);
  EXPECT_EQ(message_of([&] { static_cast<void>(row.number(1)); }), "t.csv:4:4: field 'b': 'x' is not a number");
  ASSERT_TRUE(reader.next(row));
  EXPECT_EQ(row.line(), 5U);
  EXPECT_EQ(row.place(1).column, 3U);
}

TEST(CsvReader, DoesNotCountTheByteOrderMarkAsAColumn) {
  EXPECT_EQ(read_message("\xef\xbb\xbf"
                         "a,a\n1,2\n"),
            "t.csv:1:3: column 'a' appears twice, first as column number 1");
}

TEST(CsvReader, CollectsBadRowsAndAccountsForEachRow) {
  bad_row_report report;
  auto reader =
      csv_table_reader::from_text("a,b\n1,2\n1\n3,x\n4,5\"\n\n6,\"y\"z\n7,-8\n9,10", "t.csv", {.bad_rows = &report});
  std::vector<double> kept;
  reader.for_each_row([&](const csv_row& row) {
    const double b = row.number(1);
    if (b < 0) throw row.error_at(1, "is negative");
    kept.push_back(b);
  });
  EXPECT_EQ(kept, (std::vector<double>{2, 10}));
  EXPECT_EQ(report.rows, (csv_row_counts{.read = 8, .kept = 2, .refused = 6}));
  EXPECT_EQ(reader.rows(), report.rows);
  std::vector<std::size_t> lines;
  for (const io_error& error : report.errors) lines.push_back(error.line);
  EXPECT_EQ(lines, (std::vector<std::size_t>{3, 4, 5, 6, 7, 8}));
  EXPECT_STREQ(report.errors.back().what(), "t.csv:8:3: field 'b': '-8' is negative");
}

TEST(CsvReader, KeepsLineNumbersRightBehindRefusedRows) {
  bad_row_report report;
  read_all("a,b\n1,\"x\ny\0z\nw\",2\n1\"\n"sv, {.bad_rows = &report});
  ASSERT_EQ(report.errors.size(), 3U);
  EXPECT_EQ(report.errors[0].line, 3U);  // the NUL; reading resumes behind its line
  EXPECT_EQ(report.errors[1].line, 4U);
  EXPECT_EQ(report.errors[2].line, 5U);
}

TEST(CsvReader, CountsAllRefusedRowsButKeepsTheFirstErrors) {
  bad_row_report report{.errors = {}, .rows = {}, .max_errors = 2};
  read_all("a,b\n1\n2\n3\n4\n", {.bad_rows = &report});
  EXPECT_EQ(report.rows.refused, 4U);
  EXPECT_EQ(report.errors.size(), 2U);
}

TEST(CsvReader, HandsEachRefusedRowToTheCallback) {
  std::vector<std::string> seen;
  const auto rows =
      read_all("a,b\n1\n1,2\n", {.on_bad_row = [&](const io_error& e) { seen.emplace_back(e.what()); }});
  EXPECT_EQ(rows.size(), 1U);
  EXPECT_EQ(seen, (std::vector<std::string>{"t.csv:2:2: wrong number of fields: expected 2, found 1"}));
}

TEST(CsvReader, ThrowsForAnUnterminatedQuoteEvenWhenRowsAreCollected) {
  bad_row_report report;
  EXPECT_THROW(read_all("a,b\n1,\"2\n", {.bad_rows = &report}), io_error);
  EXPECT_EQ(report.rows.refused, 1U);
}

TEST(CsvReader, AnswersAMillionColumnsWithOneShortErrorQuickly) {
  std::string text = "a,b\n" + std::string(999'999, ',') + '\n';
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(read_message(text), "t.csv:2:3: wrong number of fields: expected 2, found 1000000");
  text.erase(0, 4);
  EXPECT_EQ(read_message(text), "t.csv:1:65537: 1000000 columns exceed the limit of 65536");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

TEST(CsvReader, AnswersAHugeFieldWithOneShortErrorQuickly) {
  const std::string big(20U << 20U, '7');
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(read_message("a,b\n1," + big + '\n'),
            "t.csv:2:3: '" + std::string(60, '7') + "...' begins a field longer than the limit of 1048576 bytes");
  EXPECT_EQ(read_message("a,b\n1,\"" + big + "\"\"\"\n"),
            "t.csv:2:3: '\"" + std::string(59, '7') + "...' begins a field longer than the limit of 1048576 bytes");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

TEST(CsvRow, TellsMissingFromZero) {
  auto reader = csv_table_reader::from_text("a,b,c\n,\"\",0\n", "t.csv");
  csv_row row;
  ASSERT_TRUE(reader.next(row));
  EXPECT_EQ(row.optional_number(0), std::nullopt);
  EXPECT_EQ(row.optional_integer(1), std::nullopt);
  EXPECT_EQ(row.optional_number(2), 0.0);
  EXPECT_EQ(message_of([&] { static_cast<void>(row.number(0)); }),
            "t.csv:2:1: field 'a': is empty, expected a number");
  EXPECT_EQ(message_of([&] { static_cast<void>(row.integer(1)); }),
            "t.csv:2:2: field 'b': is empty, expected an integer");
  EXPECT_EQ(message_of([&] { static_cast<void>(row.required_text(1)); }),
            "t.csv:2:2: field 'b': is empty, expected a text");
}

TEST(CsvRow, RefusesAColumnNumberBeyondTheRow) {
  auto reader = csv_table_reader::from_text("a\n1\n", "t.csv");
  csv_row row;
  ASSERT_TRUE(reader.next(row));
  EXPECT_EQ(message_of([&] { static_cast<void>(row.text(1)); }), "t.csv:2: no column number 1 in a row of 1");
}

TEST(CsvRow, ReadsNumbersToTheNearestDouble) {
  EXPECT_EQ(number_of("0.010396734277331343"), 0.010396734277331343);
  EXPECT_EQ(number_of("-12.5"), -12.5);
  EXPECT_EQ(number_of("1e-5"), 1e-5);
  EXPECT_EQ(number_of("1.7976931348623157e308"), std::numeric_limits<double>::max());
  EXPECT_EQ(number_of("4.9406564584124654e-324"), std::numeric_limits<double>::denorm_min());
  EXPECT_EQ(number_of("9007199254740993"), 9007199254740992.0);  // halfway, to even
  EXPECT_EQ(number_of("0.1"), 0.1);
  EXPECT_EQ(number_of("999999999999999"), 999999999999999.0);
  EXPECT_EQ(number_of("0.000e5"), 0.0);
  EXPECT_TRUE(std::signbit(number_of("-0.0")));
}

TEST(CsvRow, RefusesWhatIsNotADecimalNumberAndSaysWhy) {
  const std::string at = "t.csv:2:3: field 'y': ";
  EXPECT_EQ(number_message("abc"), at + "'abc' is not a number");
  EXPECT_EQ(number_message("1.5x"), at + "'1.5x' is not a number");
  EXPECT_EQ(number_message("1.2.3"), at + "'1.2.3' is not a number");
  EXPECT_EQ(number_message("-"), at + "'-' is not a number");
  EXPECT_EQ(number_message("."), at + "'.' is not a number");
  EXPECT_EQ(number_message(" 1"), at + "' 1' is not a number (blanks around it)");
  EXPECT_EQ(number_message("1\t"), at + "'1\\t' is not a number (blanks around it)");
  EXPECT_EQ(number_message("  "), at + "'  ' is not a number (only blanks)");
  EXPECT_EQ(number_message("+1"), at + "'+1' is not a number (leading '+')");
  EXPECT_EQ(number_message("0x1p3"), at + "'0x1p3' is not a number (hexadecimal)");
  EXPECT_EQ(number_message("1e999"), at + "'1e999' is outside the range of a double");
  EXPECT_EQ(number_message("-1e999"), at + "'-1e999' is outside the range of a double");
  EXPECT_EQ(number_message("1e-999"), at + "'1e-999' is outside the range of a double");
}

TEST(CsvRow, TakesNanAndInfOnlyWhenAllowed) {
  for (const std::string word : {"nan", "NaN", "inf", "-inf", "Infinity"}) {
    EXPECT_EQ(number_message(word), "t.csv:2:3: field 'y': '" + word + "' is not a finite number");
    EXPECT_FALSE(std::isfinite(number_of(word, {.allow_non_finite = true}))) << word;
  }
  EXPECT_THROW(number_of("1e999", {.allow_non_finite = true}), io_error);
}

TEST(CsvRow, ReadsIntegersExactlyBeyondTwoToThe53) {
  EXPECT_EQ(integer_of("9007199254740993"), 9007199254740993);
  EXPECT_EQ(integer_of("-9223372036854775808"), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(integer_of("9223372036854775807"), std::numeric_limits<std::int64_t>::max());
}

TEST(CsvRow, RefusesWhatIsNotAnInteger) {
  const std::string at = "t.csv:2:3: field 'y': ";
  EXPECT_EQ(number_message("5.0", true), at + "'5.0' is not an integer");
  EXPECT_EQ(number_message("5e3", true), at + "'5e3' is not an integer");
  EXPECT_EQ(number_message("9223372036854775808", true),
            at + "'9223372036854775808' is outside the range of a 64-bit integer");
  EXPECT_EQ(number_message("99999999999999999999x", true), at + "'99999999999999999999x' is not an integer");
  EXPECT_EQ(number_message("5 ", true), at + "'5 ' is not an integer (blanks around it)");
}

TEST(CsvReader, ReportsProgressInBytesUpToTheTotal) {
  std::string text = "a\n";
  while (text.size() < (5U << 19U)) text += "123456789\n";
  std::vector<std::size_t> done;
  read_all(text, {.progress = [&](std::string_view stage, std::size_t bytes, std::size_t total) {
             EXPECT_EQ(stage, "csv");
             EXPECT_EQ(total, text.size());
             done.push_back(bytes);
           }});
  EXPECT_GE(done.size(), 3U);
  EXPECT_TRUE(std::is_sorted(done.begin(), done.end()));
  EXPECT_EQ(done.back(), text.size());
}

class CsvFile : public testing::Test {
 protected:
  ~CsvFile() override { std::filesystem::remove(path_); }
  std::filesystem::path path_ = std::filesystem::temp_directory_path() /
                                ("rafter-csv-" + std::to_string(reinterpret_cast<std::uintptr_t>(this)) + ".csv");
};

TEST_F(CsvFile, IsWrittenReadAndNamedInErrors) {
  std::string text;
  const std::vector header{"model"sv, "duration_us"sv};
  csv_writer writer(text, header);
  writer.write("a \"b\", c");
  writer.write(682.25);
  writer.end_row();
  rafter::write_file(path_, text);
  csv_table_reader reader(path_);
  csv_table_reader moved = std::move(reader);
  csv_row row;
  ASSERT_TRUE(moved.next(row));
  EXPECT_EQ(row.text(0), "a \"b\", c");
  EXPECT_EQ(row.number(1), 682.25);
  EXPECT_EQ(row.place(1).path, path_.string());
  EXPECT_FALSE(moved.next(row));
}

TEST_F(CsvFile, ThatIsAbsentOrADirectoryIsAnErrorWithTheReason) {
  EXPECT_EQ(message_of([] { csv_table_reader reader("no/such.csv"); }),
            "no/such.csv: cannot open: No such file or directory");
  const std::string folder = std::filesystem::temp_directory_path();
  EXPECT_EQ(message_of([&] { csv_table_reader reader(folder); }), folder + ": cannot read: Is a directory");
  EXPECT_THROW(rafter::write_file(folder, "x"), io_error);
}

TEST_F(CsvFile, ThatIsEmptyIsAnError) {
  rafter::write_file(path_, "");
  EXPECT_THROW(csv_table_reader reader(path_), io_error);
}

TEST(CsvWriter, QuotesOnlyWhatNeedsIt) {
  std::string text;
  csv_writer writer(text, std::vector{"a"sv, "b,c"sv});
  writer.write("x y");
  writer.write("1\n2\"");
  writer.end_row();
  writer.write_missing();
  writer.write(std::int64_t{9007199254740993});
  writer.end_row();
  EXPECT_EQ(text, "a,\"b,c\"\nx y,\"1\n2\"\"\"\n,9007199254740993\n");
}

TEST(CsvWriter, QuotesAByteOrderMarkThatBeginsAName) {
  std::string text;
  csv_writer writer(text, std::vector{"\xef\xbb\xbf"
                                      "a"sv});
  writer.write(1);
  writer.end_row();
  EXPECT_EQ(csv_table_reader::from_text(text, "t.csv").header().at(0),
            "\xef\xbb\xbf"
            "a");
}

TEST(CsvWriter, RefusesRowsThatDoNotFitTheHeaderAndNumbersThatAreNone) {
  std::string text;
  csv_writer writer(text, std::vector{"a"sv, "b"sv});
  EXPECT_THROW(writer.write(std::numeric_limits<double>::quiet_NaN()), rafter::error);
  EXPECT_THROW(writer.write("a\0b"sv), rafter::error);
  writer.write(1.0);
  EXPECT_THROW(writer.end_row(), rafter::error);
  writer.write(2.0);
  EXPECT_THROW(writer.write(3.0), rafter::error);
}

}  // namespace
