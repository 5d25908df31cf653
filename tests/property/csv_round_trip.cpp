// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Laws of the CSV reader and writer on seeded random content.
#include <gtest/gtest.h>

#include <bit>
#include <cstdlib>
#include <random>

#include "rafter/io/csv.hpp"

namespace {

using rafter::csv_row;
using rafter::csv_table_reader;
using rafter::csv_writer;

using random_engine = std::mt19937_64;

std::size_t below(random_engine& random, std::size_t limit) { return random() % limit; }

/// Texts dense in the characters that matter: commas, quotes, newlines, blanks, UTF-8, bytes that are not UTF-8.
std::string any_text(random_engine& random, std::size_t longest) {
  static const std::vector<std::string> pieces{",", "\"", "\n", "\r",   "\r\n", "a",
                                               "7", " ",  "é",  "\xff", "\t",   "\"\""};
  std::string text;
  for (std::size_t left = below(random, longest + 1); left > 0; --left) text += pieces[below(random, pieces.size())];
  return text;
}

double any_finite_double(random_engine& random) {
  for (;;) {
    const auto value = std::bit_cast<double>(random());
    if (std::isfinite(value)) return value;
  }
}

TEST(CsvRoundTrip, RestoresEveryText) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    random_engine random(seed);
    const std::size_t columns = 1 + below(random, 6);
    std::vector<std::string> header;
    for (std::size_t c = 0; c < columns; ++c) header.push_back(std::to_string(c) + any_text(random, 5));
    std::vector<std::vector<std::string>> rows(1 + below(random, 20), std::vector<std::string>(columns));
    std::string text = below(random, 4) == 0 ? "\xef\xbb\xbf" : "";
    csv_writer writer(text, std::vector<std::string_view>(header.begin(), header.end()));
    for (auto& row : rows) {
      for (std::string& field : row) writer.write(field = any_text(random, 8));
      writer.end_row();
    }
    if (below(random, 2) == 0 && text.back() == '\n') text.pop_back();

    auto reader = csv_table_reader::from_text(text, "seed " + std::to_string(seed));
    ASSERT_EQ(reader.header(), header) << seed;
    std::size_t at = 0;
    for (csv_row row; reader.next(row); ++at) {
      ASSERT_LT(at, rows.size()) << seed;
      for (std::size_t c = 0; c < columns; ++c) ASSERT_EQ(row.text(c), rows[at][c]) << seed;
    }
    ASSERT_EQ(at, rows.size()) << seed;
  }
}

TEST(CsvRoundTrip, RestoresEveryBitOfDoublesAndIntegers) {
  random_engine random(1);
  std::vector<double> doubles;
  std::vector<std::int64_t> integers;
  std::string text;
  csv_writer writer(text, std::vector<std::string_view>{"double", "integer"});
  for (int i = 0; i < 50'000; ++i) {
    writer.write(doubles.emplace_back(any_finite_double(random)));
    writer.write(integers.emplace_back(std::bit_cast<std::int64_t>(random())));
    writer.end_row();
  }
  auto reader = csv_table_reader::from_text(text, "numbers");
  std::size_t at = 0;
  for (csv_row row; reader.next(row); ++at) {
    ASSERT_EQ(std::bit_cast<std::uint64_t>(row.number(0)), std::bit_cast<std::uint64_t>(doubles[at]));
    ASSERT_EQ(row.integer(1), integers[at]);
  }
  EXPECT_EQ(at, doubles.size());
}

TEST(CsvNumber, IsTheDoubleThatTheCLibraryReads) {  // strtod: another implementation, correctly rounded in glibc
  random_engine random(2);
  for (int i = 0; i < 50'000; ++i) {
    std::string digits = below(random, 2) == 0 ? "-" : "";
    for (std::size_t left = 1 + below(random, 9); left > 0; --left)
      digits += static_cast<char>('0' + below(random, 10));
    if (below(random, 3) != 0) {
      digits += '.';
      for (std::size_t left = below(random, 10); left > 0; --left)
        digits += static_cast<char>('0' + below(random, 10));
    }
    if (below(random, 8) == 0) digits += "e" + std::to_string(static_cast<int>(below(random, 40)) - 20);
    const std::string text = "x\n" + digits + '\n';
    auto reader = csv_table_reader::from_text(text, "number");
    csv_row row;
    ASSERT_TRUE(reader.next(row));
    ASSERT_EQ(std::bit_cast<std::uint64_t>(row.number(0)),
              std::bit_cast<std::uint64_t>(std::strtod(digits.c_str(), nullptr)))
        << digits;
  }
}

TEST(CsvReader, AccountsForEveryRowOfDamagedText) {
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    random_engine random(seed);
    std::string text = "a,b\n";
    for (int i = 0; i < 30; ++i) text += "1,\"x\ny\"\n";
    for (int i = 0; i < 8; ++i) text[4 + below(random, text.size() - 4)] = ",\"\n\r\0z"[below(random, 6)];
    rafter::bad_row_report report;
    std::size_t visited = 0;
    auto reader = csv_table_reader::from_text(text, "damaged", {.bad_rows = &report});
    try {
      for (csv_row row; reader.next(row);) {
        ++visited;
        ASSERT_EQ(row.size(), 2U);
      }
    } catch (const rafter::io_error& error) {
      ASSERT_NE(std::string(error.what()).find("never closed"), std::string::npos) << error.what();
    }
    ASSERT_EQ(reader.rows().kept, visited);
    ASSERT_EQ(reader.rows().read, reader.rows().kept + reader.rows().refused);
    ASSERT_EQ(report.rows, reader.rows()) << seed;
    ASSERT_EQ(report.errors.size(), report.rows.refused);
    const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
    for (const auto& error : report.errors) ASSERT_LE(error.line, lines + 1) << error.what();
  }
}

}  // namespace
