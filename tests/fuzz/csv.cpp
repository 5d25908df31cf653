// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Any bytes: the CSV reader accounts for every row, errors are one short line, and what was kept survives a round
// trip.
#include "rafter/io/csv.hpp"

#include "check.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  rafter::bad_row_report report;
  std::vector<std::vector<std::string>> kept;
  std::vector<std::string> header;
  try {
    auto reader = rafter::csv_table_reader::from_text(text, "f.csv", {.bad_rows = &report, .max_field_bytes = 4096});
    header = reader.header();
    rafter::csv_row row;
    while (reader.next(row)) {
      auto& fields = kept.emplace_back();
      for (std::size_t c = 0; c < row.size(); ++c) {
        fields.emplace_back(row.text(c));
        try {
          check(std::isfinite(row.optional_number(c).value_or(0.0)));
        } catch (const rafter::io_error& error) {
          check_message(error, text);
        }
        try {
          const auto integer = row.optional_integer(c);
          check(!integer || row.number(c) == static_cast<double>(*integer));
        } catch (const rafter::io_error& error) {
          check_message(error, text);
        }
      }
    }
    check(reader.rows().kept == kept.size() && reader.rows() == report.rows);
    check(report.rows.read == report.rows.kept + report.rows.refused);
  } catch (const rafter::io_error& error) {
    check_message(error, text);
  }
  for (const rafter::io_error& error : report.errors) check_message(error, text);
  if (kept.empty()) return 0;

  std::string written;
  rafter::csv_writer writer(written, std::vector<std::string_view>(header.begin(), header.end()));
  for (const auto& fields : kept) {
    for (const std::string& field : fields) writer.write(field);
    writer.end_row();
  }
  auto again = rafter::csv_table_reader::from_text(written, "again.csv");
  check(again.header() == header);
  rafter::csv_row row;
  for (const auto& fields : kept) {
    check(again.next(row));
    for (std::size_t c = 0; c < fields.size(); ++c) check(row.text(c) == fields[c]);
  }
  check(!again.next(row));
  return 0;
}
