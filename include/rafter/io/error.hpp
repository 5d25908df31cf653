// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "rafter/core/error.hpp"

namespace rafter {

namespace detail {

inline void append_escaped_byte(std::string& out, char c) {
  constexpr char digits[] = "0123456789abcdef";
  const auto byte = static_cast<unsigned char>(c);
  switch (c) {
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      out += "\\x";
      out += digits[byte >> 4U];
      out += digits[byte & 0xfU];
  }
}

/// Length of the well-formed, printable UTF-8 sequence at the front of `text`; 0 for control characters, stray
/// bytes, overlong forms and surrogates.
inline std::size_t printable_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto continues = [&](std::size_t i) { return i < text.size() && (byte(i) & 0xc0U) == 0x80U; };
  const unsigned char lead = byte(0);
  if (lead >= 0x20 && lead < 0x7f) return 1;
  if (lead >= 0xc2 && lead <= 0xdf && continues(1)) return lead == 0xc2 && byte(1) < 0xa0 ? 0 : 2;
  if (lead >= 0xe0 && lead <= 0xef && continues(1) && continues(2)) {
    if ((lead == 0xe0 && byte(1) < 0xa0) || (lead == 0xed && byte(1) >= 0xa0)) return 0;
    if (lead == 0xe2 && byte(1) == 0x80 && (byte(2) == 0xa8 || byte(2) == 0xa9)) return 0;  // line separators
    if (lead == 0xef && byte(1) == 0xbb && byte(2) == 0xbf) return 0;                       // byte order mark
    return 3;
  }
  if (lead >= 0xf0 && lead <= 0xf4 && continues(1) && continues(2) && continues(3)) {
    return (lead == 0xf0 && byte(1) < 0x90) || (lead == 0xf4 && byte(1) >= 0x90) ? 0 : 4;
  }
  return 0;
}

}  // namespace detail

/// `text` as it may stand in a one-line message: at most `limit` characters, then `...`; control characters and bytes
/// that are not UTF-8 are written as `\n`, `\t`, `\x1b`. Reads no more of `text` than it shows.
inline std::string printable(std::string_view text, std::size_t limit = 60) {
  std::string out;
  for (std::size_t shown = 0; !text.empty(); ++shown) {
    if (shown == limit) return out += "...";
    const std::size_t length = detail::printable_length(text);
    if (length == 0) {
      detail::append_escaped_byte(out, text.front());
      text.remove_prefix(1);
    } else {
      out += text.substr(0, length);
      text.remove_prefix(length);
    }
  }
  return out;
}

/// A place in a file. Lines and columns count from 1, columns in bytes; 0 = not known or not applicable.
struct io_place {
  std::string path;
  std::size_t line = 0;
  std::size_t column = 0;
};

/// What every reader and writer of rafter throws. `what()` is one line, such as
/// `steps.csv:17:42: field 'duration_us': 'abc' is not a number`; the parts are members.
struct io_error : error {
  /// @param where  the place; its path is shown as given
  /// @param in_field  name of the column or key, or empty
  /// @param offending  the offending text, or empty; kept shortened to 60 characters with control characters escaped
  /// @param fact  the end of the sentence, one line
  io_error(io_place where, std::string_view in_field, std::string_view offending, std::string_view fact)
      : error(sentence(where, in_field, offending, fact)),
        path(std::move(where.path)),
        line(where.line),
        column(where.column),
        field(printable(in_field, longest_field)),
        text(printable(offending)) {}

  std::string path;
  std::size_t line;
  std::size_t column;
  std::string field;
  std::string text;

 private:
  static constexpr std::size_t longest_field = 120;  // of a path of keys, the end says most
  static std::string sentence(const io_place& where, std::string_view in_field, std::string_view offending,
                              std::string_view fact) {
    std::string out = printable(where.path, 4096);
    if (where.line != 0) out += ':' + std::to_string(where.line);
    if (where.line != 0 && where.column != 0) out += ':' + std::to_string(where.column);
    out += ": ";
    if (!in_field.empty()) out += "field '" + printable(in_field, longest_field) + "': ";
    if (!offending.empty()) out += '\'' + printable(offending) + "' ";
    out += fact;
    return out;
  }
};

}  // namespace rafter
