// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include "rafter/core/nearest_name.hpp"
#include "rafter/core/progress.hpp"
#include "rafter/io/error.hpp"
#include "rafter/io/file.hpp"

namespace rafter {

/// How many data rows a reader met: `read == kept + refused` at any time.
struct csv_row_counts {
  std::size_t read = 0;
  std::size_t kept = 0;
  std::size_t refused = 0;
  friend bool operator==(const csv_row_counts&, const csv_row_counts&) = default;
};

/// Collects refused rows. The counts are exact; of the errors the first `max_errors` are kept, so that a file of
/// nothing but bad rows does not fill the memory.
struct bad_row_report {
  std::vector<io_error> errors;
  csv_row_counts rows;
  std::size_t max_errors = 1000;
};

struct csv_options {
  /// What happens to a row that cannot be used. With neither a report nor a callback the io_error is thrown; with
  /// either, reading goes on with the next row. An unterminated quote, an unusable header and an unreadable file
  /// throw in any case: what follows them cannot be told apart.
  bad_row_report* bad_rows = nullptr;
  std::function<void(const io_error&)> on_bad_row = {};
  bool allow_header_only = false;  ///< a header without rows is an error otherwise
  bool allow_non_finite = false;   ///< number() takes nan, inf, infinity (any case, optional minus)
  std::size_t max_field_bytes = std::size_t{1} << 20U;
  std::size_t max_columns = std::size_t{1} << 16U;
  progress_callback progress = {};  ///< stage "csv", in bytes of the file
};

/// What to do with a column nobody asked for.
enum class unexpected_columns { refuse, allow };

class csv_table_reader;

/// One row of a table: fields by column number. Typed getters throw an io_error that names file, line, column, field
/// and text. Views stay valid until the row is read into again.
class csv_row {
 public:
  csv_row() = default;
  csv_row(const csv_row&) = delete;
  csv_row& operator=(const csv_row&) = delete;

  std::size_t size() const { return fields_.size(); }
  /// Line of the file on which the row begins, from 1.
  std::size_t line() const { return line_; }

  /// The text of a field without its quotes; empty when missing.
  std::string_view text(std::size_t column) const {
    const field& f = at(column);
    return {f.text, f.size};
  }
  /// An empty field (`,,` or `,"",`) is a missing value. It is never read as zero.
  bool missing(std::size_t column) const { return at(column).size == 0; }

  /// A text that must be there.
  std::string_view required_text(std::size_t column) const {
    if (missing(column)) refuse_empty(column, "a text");
    return text(column);
  }
  /// The double nearest to a decimal number. Hexadecimal forms, blanks, a leading '+', trailing text, and numbers
  /// beyond the range of double (also those that would become zero) are refused; so are nan and inf unless allowed.
  double number(std::size_t column) const {
    if (missing(column)) refuse_empty(column, "a number");
    return parse_number(column);
  }
  std::optional<double> optional_number(std::size_t column) const {
    return missing(column) ? std::nullopt : std::optional(parse_number(column));
  }
  /// A whole number, exactly, over the full range of 64 bits; `5.0` and `5e3` are refused.
  std::int64_t integer(std::size_t column) const {
    if (missing(column)) refuse_empty(column, "an integer");
    return parse_integer(column);
  }
  std::optional<std::int64_t> optional_integer(std::size_t column) const {
    return missing(column) ? std::nullopt : std::optional(parse_integer(column));
  }

  /// Where a field begins in the file (at its opening quote, if it has one).
  io_place place(std::size_t column) const;
  /// An error about a field of this row, for rules the caller checks: `throw row.error_at(c, "is negative")`.
  io_error error_at(std::size_t column, std::string_view fact) const;

 private:
  friend class csv_table_reader;
  struct field {
    const char* raw = nullptr;
    const char* text = nullptr;
    std::size_t size = 0;
  };

  const field& at(std::size_t column) const {
    if (column >= fields_.size()) [[unlikely]]
      refuse_column(column);
    return fields_[column];
  }
  double parse_number(std::size_t column) const;
  std::int64_t parse_integer(std::size_t column) const;
  [[noreturn]] void refuse_column(std::size_t column) const;
  [[noreturn]] void refuse_empty(std::size_t column, std::string_view needed) const;
  [[noreturn]] void refuse_number(std::size_t column, std::string_view kind, std::string_view type,
                                  bool out_of_range) const;

  const csv_table_reader* table_ = nullptr;
  const char* begin_ = nullptr;
  std::size_t line_ = 0;
  std::vector<field> fields_;
  std::string unescaped_;  // texts whose doubled quotes were undone
};

/// Reads RFC 4180 tables with a header line: quoted fields, doubled quotes, embedded newlines and commas, LF or CRLF,
/// an optional UTF-8 byte order mark, an optional final newline. The table is held in memory; rows are scanned once.
///
///     csv_table_reader table("steps.csv");
///     const std::size_t duration = table.column("duration_us");
///     for (csv_row row; table.next(row);) use(row.number(duration));
///
/// @throws io_error for an empty file, a header without rows (unless allowed), duplicate column names, and rows with
///         unterminated or stray quotes, lone carriage returns, NUL bytes, oversized fields or a wrong number of
///         fields
class csv_table_reader {
 public:
  /// @param path  a file name; a std::filesystem::path converts
  explicit csv_table_reader(const std::string& path, csv_options options = {})
      : csv_table_reader(read_file(path), {}, path, std::move(options)) {}
  /// Reads a text that outlives the reader; `name` stands for the path in errors.
  static csv_table_reader from_text(std::string_view text, std::string name, csv_options options = {}) {
    return csv_table_reader({}, text, std::move(name), std::move(options));
  }
  csv_table_reader(csv_table_reader&&) = default;
  csv_table_reader& operator=(csv_table_reader&&) = default;

  const std::string& path() const { return path_; }
  const std::vector<std::string>& header() const { return header_; }
  const csv_row_counts& rows() const { return rows_; }
  const csv_options& options() const { return options_; }
  std::size_t bytes() const { return static_cast<std::size_t>(end_ - begin_); }

  /// Number of the column with this name, if the file has it.
  std::optional<std::size_t> find_column(std::string_view name) const {
    const auto at = std::lower_bound(by_name_.begin(), by_name_.end(), name,
                                     [&](std::size_t i, std::string_view n) { return header_[i] < n; });
    if (at == by_name_.end() || header_[*at] != name) return std::nullopt;
    return *at;
  }
  /// Number of the column with this name. @throws io_error naming the nearest column of the file
  std::size_t column(std::string_view name) const {
    if (const auto found = find_column(name)) return *found;
    throw io_error({path_, 1, 0}, {}, {},
                   "missing column '" + printable(name) + '\'' + suggestion(name, std::span(header_)));
  }
  /// Compares the header with the columns the caller knows and returns those it does not know, in file order.
  /// @throws io_error for the first of them, naming the nearest known column, when they are refused
  std::vector<std::string> check_columns(std::span<const std::string_view> known, unexpected_columns policy) const {
    std::vector<std::string> unexpected;
    for (std::size_t i = 0; i < header_.size(); ++i) {
      if (std::find(known.begin(), known.end(), header_[i]) != known.end()) continue;
      if (policy == unexpected_columns::refuse) {
        throw io_error(place(begin_, 1, begin_ + header_offset_[i]), {}, {},
                       "unexpected column '" + printable(header_[i]) + '\'' + suggestion(header_[i], known));
      }
      unexpected.push_back(header_[i]);
    }
    return unexpected;
  }

  /// Reads the next usable row; false at the end of the table. Refused rows are handled as the options say.
  bool next(csv_row& row);

  /// Refuses the row that next() returned last, because of something the caller found in it: throws `why`, or, when
  /// bad rows are collected, records it and returns.
  void refuse(const io_error& why) {
    --rows_.kept;
    handle_bad_row(why);
  }

  /// Calls `visit(row)` for each usable row. An io_error from `visit` (a typed getter, or `row.error_at`) refuses
  /// that row, so `visit` reads all fields it needs before it stores any.
  template <class Visit> csv_row_counts for_each_row(Visit&& visit) {
    for (csv_row row; next(row);) {
      try {
        visit(std::as_const(row));
      } catch (const io_error& why) {
        refuse(why);
      }
    }
    return rows_;
  }

 private:
  friend class csv_row;
  enum class fault : unsigned char {
    none,
    unterminated_quote,
    stray_quote,
    text_after_quote,
    nul_byte,
    lone_return,
    oversized
  };
  struct record {
    std::size_t fields = 0;
    fault what = fault::none;
    const char* at = nullptr;       // where the fault is
    const char* surplus = nullptr;  // the first field beyond the capacity
    const char* last = nullptr;     // end of the last field
  };

  csv_table_reader(file_bytes content, std::string_view text, std::string path, csv_options options)
      : bytes_(std::move(content)), path_(std::move(path)), options_(std::move(options)) {
    if (bytes_.size() != 0) text = bytes_.view();
    total_ = text.size();
    if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
    if (text.empty()) throw io_error({path_, 1, 1}, {}, {}, "empty file, expected a header line");
    begin_ = at_ = text.data();
    end_ = begin_ + text.size();
    read_header();
  }

  void read_header();
  /// Scans one record from at_ and moves at_ and line_ behind it; keeps the first `capacity` fields.
  record scan(csv_row& row, std::size_t capacity);
  record abandon(record result, fault what, const char* at);
  io_error describe(const record& found, const char* row_begin, std::size_t row_line) const;
  void record_bad_row(const io_error& why);
  void handle_bad_row(const io_error& why);
  void report_progress();

  /// Line and column of a byte of the record that begins at `row_begin` on line `row_line`.
  io_place place(const char* row_begin, std::size_t row_line, const char* at) const {
    for (const char* newline = row_begin;
         (newline = static_cast<const char*>(std::memchr(newline, '\n', static_cast<std::size_t>(at - newline))));) {
      row_begin = ++newline;
      ++row_line;
    }
    return {path_, row_line, static_cast<std::size_t>(at - row_begin) + 1};
  }
  /// did_you_mean over names short enough to be meant, and not over a hostile header of thousands.
  template <class Name> static std::string suggestion(std::string_view name, std::span<const Name> names) {
    std::vector<std::string_view> candidates;
    for (const auto& candidate : names.first(std::min<std::size_t>(names.size(), 4096))) {
      if (candidate.size() <= 256) candidates.emplace_back(candidate);
    }
    const std::string_view best = nearest_name(name, candidates);
    return best.empty() ? std::string() : "; did you mean '" + printable(best) + "'?";
  }
  template <class Name> static std::string suggestion(std::string_view name, std::span<Name> names) {
    return suggestion(name, std::span<const Name>(names));
  }

  file_bytes bytes_;
  std::string path_;
  csv_options options_;
  const char* begin_ = nullptr;
  const char* at_ = nullptr;
  const char* end_ = nullptr;
  std::size_t total_ = 0;
  std::size_t line_ = 1;
  std::size_t next_report_ = 0;
  std::vector<std::string> header_;
  std::vector<std::size_t> header_offset_;
  std::vector<std::size_t> by_name_;
  csv_row_counts rows_;
};

namespace detail {

/// 1 for the bytes that end the plain run of an unquoted field: comma, newlines, quote, NUL.
inline constexpr std::array<bool, 256> csv_special = [] {
  std::array<bool, 256> special{};
  for (const char c : {',', '\n', '\r', '"', '\0'}) special[static_cast<unsigned char>(c)] = true;
  return special;
}();

inline constexpr std::array<double, 23> exact_powers_of_ten = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                               1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                               1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/// Numbers of at most 15 digits without an exponent, the bulk of any table: the digits and the power of ten are exact
/// doubles, so one division rounds correctly (Clinger 1990). False: not of that form, ask std::from_chars.
inline bool short_decimal(const char* at, const char* end, double& value) {
  const bool negative = *at == '-';
  at += negative ? 1 : 0;
  if (end - at > 16 || at == end) return false;
  std::uint64_t digits = 0;
  const char* point = nullptr;
  const char* const first = at;
  for (; at != end; ++at) {
    const auto digit = static_cast<unsigned>(static_cast<unsigned char>(*at)) - unsigned{'0'};
    if (digit <= 9) {
      digits = 10 * digits + digit;
    } else if (*at == '.' && point == nullptr) {
      point = at;
    } else {
      return false;
    }
  }
  const auto length = static_cast<std::size_t>(end - first) - (point != nullptr ? 1U : 0U);
  if (length == 0 || length > 15) return false;
  value = static_cast<double>(digits);
  if (point != nullptr) value /= exact_powers_of_ten[static_cast<std::size_t>(end - point - 1)];
  if (negative) value = -value;
  return true;
}

/// A number whose digits are all zero, such as 0.00e5: only that may be read as zero.
inline bool spells_zero(std::string_view text) {
  const std::string_view digits = text.substr(0, text.find_first_of("eE"));
  return digits.find_first_of("123456789") == std::string_view::npos;
}

}  // namespace detail

inline double csv_row::parse_number(std::size_t column) const {
  const std::string_view written = text(column);
  const char* const end = written.data() + written.size();
  double value = 0.0;
  if (detail::short_decimal(written.data(), end, value)) [[likely]]
    return value;
  const auto [stop, code] = std::from_chars(written.data(), end, value);
  const bool words = written.find_first_of("nN") != std::string_view::npos;  // nan, inf; no decimal number has an n
  if (stop != end || code == std::errc::invalid_argument) refuse_number(column, "a number", "a double", false);
  if (words) {
    if (!table_->options().allow_non_finite) throw error_at(column, "is not a finite number");
    return value;
  }
  if (code != std::errc() || std::isinf(value) || (value == 0.0 && !detail::spells_zero(written))) {
    refuse_number(column, "a number", "a double", true);
  }
  return value;
}

inline std::int64_t csv_row::parse_integer(std::size_t column) const {
  const std::string_view written = text(column);
  const char* const end = written.data() + written.size();
  std::int64_t value = 0;
  const auto [stop, code] = std::from_chars(written.data(), end, value);
  if (stop != end || code != std::errc()) [[unlikely]] {
    refuse_number(column, "an integer", "a 64-bit integer", stop == end && code == std::errc::result_out_of_range);
  }
  return value;
}

inline io_place csv_row::place(std::size_t column) const { return table_->place(begin_, line_, at(column).raw); }

inline io_error csv_row::error_at(std::size_t column, std::string_view fact) const {
  return {place(column), table_->header()[column], text(column), fact};
}

[[gnu::cold]] inline void csv_row::refuse_column(std::size_t column) const {
  throw io_error({table_ == nullptr ? std::string("csv row") : table_->path(), line_, 0}, {}, {},
                 "no column number " + std::to_string(column) + " in a row of " + std::to_string(size()));
}

[[gnu::cold]] inline void csv_row::refuse_empty(std::size_t column, std::string_view needed) const {
  throw error_at(column, "is empty, expected " + std::string(needed));
}

[[gnu::cold]] inline void csv_row::refuse_number(std::size_t column, std::string_view kind, std::string_view type,
                                                 bool out_of_range) const {
  const std::string_view written = text(column);
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; };
  std::string fact = out_of_range ? "is outside the range of " + std::string(type) : "is not " + std::string(kind);
  const std::string_view digits = written.substr(written.front() == '-' ? 1 : 0);
  if (out_of_range) {
  } else if (blank(written.front()) || blank(written.back())) {
    fact += std::all_of(written.begin(), written.end(), blank) ? " (only blanks)" : " (blanks around it)";
  } else if (written.front() == '+') {
    fact += " (leading '+')";
  } else if (digits.starts_with("0x") || digits.starts_with("0X")) {
    fact += " (hexadecimal)";
  }
  throw error_at(column, fact);
}

inline csv_table_reader::record csv_table_reader::abandon(record result, fault what, const char* at) {
  result.what = what;
  result.at = at;
  const void* const newline =
      what == fault::unterminated_quote ? nullptr : std::memchr(at, '\n', static_cast<std::size_t>(end_ - at));
  at_ = newline == nullptr ? end_ : static_cast<const char*>(newline) + 1;
  ++line_;
  return result;
}

inline csv_table_reader::record csv_table_reader::scan(csv_row& row, std::size_t capacity) {
  constexpr std::size_t verbatim = ~std::size_t{0};
  record result;
  row.unescaped_.clear();
  const char* at = at_;
  const char* const end = end_;
  const auto distance = [](const char* from, const char* to) { return static_cast<std::size_t>(to - from); };
  for (;;) {
    csv_row::field field{at, at, 0};
    std::size_t unescaped_from = verbatim;
    if (at != end && *at == '"') {
      const char* piece = ++at;
      for (;;) {
        const auto* quote = static_cast<const char*>(std::memchr(at, '"', distance(at, end)));
        if (quote == nullptr) return abandon(result, fault::unterminated_quote, field.raw);
        at = quote + 1;
        if (at == end || *at != '"') break;
        if (unescaped_from == verbatim) unescaped_from = row.unescaped_.size();
        if (distance(field.raw, at) <= options_.max_field_bytes) row.unescaped_.append(piece, at);
        piece = ++at;
      }
      if (const void* nul = std::memchr(field.raw, '\0', distance(field.raw, at))) {
        line_ += static_cast<std::size_t>(std::count(field.raw, static_cast<const char*>(nul), '\n'));
        return abandon(result, fault::nul_byte, static_cast<const char*>(nul));
      }
      line_ += static_cast<std::size_t>(std::count(field.raw, at, '\n'));
      if (at != end && *at != ',' && *at != '\n' && *at != '\r') return abandon(result, fault::text_after_quote, at);
      field.text = piece;
      field.size = distance(piece, at) - 1;
      if (unescaped_from != verbatim && distance(field.raw, at) <= options_.max_field_bytes) {
        row.unescaped_.append(piece, field.size);
        field.text = nullptr;  // set once unescaped_ has stopped growing
        field.size = row.unescaped_.size() - unescaped_from;
      }
    } else {
      while (at != end && !detail::csv_special[static_cast<unsigned char>(*at)]) ++at;
      if (at != end && *at == '"') return abandon(result, fault::stray_quote, at);
      if (at != end && *at == '\0') return abandon(result, fault::nul_byte, at);
      field.size = distance(field.raw, at);
    }
    if (distance(field.raw, at) > options_.max_field_bytes && result.what == fault::none) {
      result.what = fault::oversized;
      result.at = field.raw;
    }
    if (result.fields < capacity) {
      if (result.fields < row.fields_.size()) {
        row.fields_[result.fields] = field;
      } else {
        row.fields_.push_back(field);
      }
    } else if (result.fields == capacity) {
      result.surplus = field.raw;
    }
    ++result.fields;
    result.last = at;
    if (at != end && *at == ',') {
      ++at;
      continue;
    }
    if (at != end && *at == '\r') {
      if (at + 1 == end || at[1] != '\n') return abandon(result, fault::lone_return, at);
      ++at;
    }
    at_ = at == end ? at : at + 1;
    ++line_;
    break;
  }
  if (!row.unescaped_.empty() && result.what == fault::none && result.fields == row.fields_.size()) {
    const char* text = row.unescaped_.data();
    for (csv_row::field& field : row.fields_) {
      if (field.text != nullptr) continue;
      field.text = text;
      text += field.size;
    }
  }
  return result;
}

[[gnu::cold]] inline io_error csv_table_reader::describe(const record& found, const char* row_begin,
                                                         std::size_t row_line) const {
  const auto rest = [&](const char* from) {
    return std::string_view(from, std::min<std::size_t>(static_cast<std::size_t>(end_ - from), 256));
  };
  const char* const at = found.at;
  switch (found.what) {
    case fault::unterminated_quote:
      return {place(row_begin, row_line, at), {}, rest(at), "opens a quote that is never closed"};
    case fault::stray_quote:
      return {place(row_begin, row_line, at), {}, {}, "stray quote in a field that does not begin with one"};
    case fault::text_after_quote:
      return {place(row_begin, row_line, at),
              {},
              rest(at).substr(0, rest(at).find('\n')),
              "follows the closing quote, expected a comma or the end of the line"};
    case fault::nul_byte:
      return {place(row_begin, row_line, at), {}, {}, "NUL byte: not a text file"};
    case fault::lone_return:
      return {place(row_begin, row_line, at), {}, {}, "carriage return without a line feed"};
    case fault::oversized:
      return {place(row_begin, row_line, at),
              {},
              rest(at),
              "begins a field longer than the limit of " + std::to_string(options_.max_field_bytes) + " bytes"};
    case fault::none:
      break;
  }
  const bool blank = found.fields == 1 && found.last == row_begin;
  return {place(row_begin, row_line, found.surplus != nullptr ? found.surplus : found.last),
          {},
          {},
          (blank ? "blank line: expected " : "wrong number of fields: expected ") + std::to_string(header_.size()) +
              (blank ? " fields" : ", found " + std::to_string(found.fields))};
}

inline void csv_table_reader::read_header() {
  csv_row row;
  const record found = scan(row, options_.max_columns);
  if (found.what != fault::none) throw describe(found, begin_, 1);
  if (found.fields > options_.max_columns) {
    throw io_error(
        place(begin_, 1, found.surplus), {}, {},
        std::to_string(found.fields) + " columns exceed the limit of " + std::to_string(options_.max_columns));
  }
  if (found.fields == 1 && row.text(0).empty()) {
    throw io_error({path_, 1, 1}, {}, {}, "blank line where the header belongs");
  }
  header_.reserve(row.fields_.size());
  for (const csv_row::field& field : row.fields_) {
    header_.emplace_back(field.text, field.size);
    header_offset_.push_back(static_cast<std::size_t>(field.raw - begin_));
    by_name_.push_back(by_name_.size());
  }
  std::sort(by_name_.begin(), by_name_.end(),
            [&](std::size_t a, std::size_t b) { return std::tie(header_[a], a) < std::tie(header_[b], b); });
  for (std::size_t i = 1; i < by_name_.size(); ++i) {
    if (header_[by_name_[i]] != header_[by_name_[i - 1]]) continue;
    throw io_error(place(begin_, 1, begin_ + header_offset_[by_name_[i]]), {}, {},
                   "column '" + printable(header_[by_name_[i]]) + "' appears twice, first as column number " +
                       std::to_string(by_name_[i - 1] + 1));
  }
  if (at_ == end_ && !options_.allow_header_only) {
    throw io_error(place(begin_, 1, end_), {}, {}, "header without rows");
  }
  report_progress();
}

inline bool csv_table_reader::next(csv_row& row) {
  row.table_ = this;
  row.fields_.resize(header_.size());
  while (at_ != end_) {
    const char* const row_begin = at_;
    const std::size_t row_line = line_;
    const record found = scan(row, header_.size());
    ++rows_.read;
    if (static_cast<std::size_t>(at_ - begin_) >= next_report_) report_progress();
    if (found.fields == header_.size() && found.what == fault::none) [[likely]] {
      row.begin_ = row_begin;
      row.line_ = row_line;
      ++rows_.kept;
      if (options_.bad_rows != nullptr) options_.bad_rows->rows = rows_;
      return true;
    }
    const io_error why = describe(found, row_begin, row_line);
    if (found.what == fault::unterminated_quote) {
      record_bad_row(why);
      throw why;
    }
    handle_bad_row(why);
  }
  if (options_.bad_rows != nullptr) options_.bad_rows->rows = rows_;
  row.fields_.clear();
  return false;
}

[[gnu::cold]] inline void csv_table_reader::record_bad_row(const io_error& why) {
  ++rows_.refused;
  if (options_.bad_rows == nullptr) return;
  bad_row_report& report = *options_.bad_rows;
  report.rows = rows_;
  if (report.errors.size() < report.max_errors) report.errors.push_back(why);
}

[[gnu::cold]] inline void csv_table_reader::handle_bad_row(const io_error& why) {
  record_bad_row(why);
  if (options_.on_bad_row) options_.on_bad_row(why);
  if (options_.bad_rows == nullptr && !options_.on_bad_row) throw why;
}

[[gnu::cold]] inline void csv_table_reader::report_progress() {
  constexpr std::size_t stride = std::size_t{1} << 20U;
  if (!options_.progress) {
    next_report_ = ~std::size_t{0};
    return;
  }
  const auto left = static_cast<std::size_t>(end_ - at_);
  options_.progress("csv", total_ - left, total_);
  next_report_ = left == 0 ? ~std::size_t{0} : std::min(bytes() - left + stride, bytes());
}

/// Writes RFC 4180 text that csv_table_reader reads back to the same values: fields with commas, quotes or newlines
/// are quoted, doubles are written with the fewest digits that restore every bit. Lines end with LF.
///
///     std::string text;
///     csv_writer table(text, header);
///     table.write("llama"); table.write(682.5); table.write_missing(); table.end_row();
///     write_file(path, text);
///
/// @throws rafter::error for NUL bytes, for nan and inf unless allowed, and for rows not as wide as the header
class csv_writer {
 public:
  csv_writer(std::string& out, std::span<const std::string_view> header, bool allow_non_finite = false)
      : out_(out), columns_(header.size()), allow_non_finite_(allow_non_finite) {
    if (header.empty()) throw error("csv_writer: a table needs at least one column");
    for (const std::string_view name : header) write(name);
    end_row();
  }

  void write(std::string_view text) {
    if (text.find('\0') != std::string_view::npos) {
      throw error("csv_writer: '" + printable(text) + "' holds a NUL byte");
    }
    begin_field();
    // Quoted too: a lone empty field (else a blank line), and a byte order mark (at the front it would be taken as
    // one).
    const bool ambiguous = (text.empty() && columns_ == 1) || text.starts_with("\xef\xbb\xbf");
    if (!ambiguous && text.find_first_of(",\"\n\r") == std::string_view::npos) {
      out_ += text;
      return;
    }
    out_ += '"';
    for (std::size_t quote; (quote = text.find('"')) != std::string_view::npos; text.remove_prefix(quote + 1)) {
      out_.append(text.data(), quote + 1);
      out_ += '"';
    }
    out_ += text;
    out_ += '"';
  }
  void write(const char* text) { write(std::string_view(text)); }
  void write(double value) {
    if (!allow_non_finite_ && !std::isfinite(value)) {
      throw error(std::string("csv_writer: ") + (std::isnan(value) ? "nan" : "inf") + " is not a finite number");
    }
    write_characters(value);
  }
  void write(std::int64_t value) { write_characters(value); }
  void write(int value) { write_characters(value); }
  void write_missing() { write(std::string_view()); }

  void end_row() {
    if (written_ != columns_) {
      throw error("csv_writer: a row of " + std::to_string(written_) + " fields in a table of " +
                  std::to_string(columns_) + " columns");
    }
    out_ += '\n';
    written_ = 0;
  }

 private:
  void begin_field() {
    if (written_ == columns_) {
      throw error("csv_writer: more fields than the table's " + std::to_string(columns_) + " columns");
    }
    if (written_++ != 0) out_ += ',';
  }
  template <class Number> void write_characters(Number value) {
    begin_field();
    char digits[32];
    out_.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
  }

  std::string& out_;
  std::size_t columns_;
  std::size_t written_ = 0;
  bool allow_non_finite_;
};

}  // namespace rafter
