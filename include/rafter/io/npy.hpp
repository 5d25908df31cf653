// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: includes xtensor.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <vector>
#include <xtensor/xnpy.hpp>
#include <xtensor/xtensor.hpp>

#include "rafter/io/error.hpp"
#include "rafter/io/file.hpp"

namespace rafter {

/// What the header of a .npy file says. Source: numpy.lib.format, versions 1.0 and 2.0.
struct npy_header {
  std::string descr;  ///< such as <f8
  bool fortran_order = false;
  std::vector<std::size_t> shape;
  std::size_t data_offset = 0;  ///< bytes before the first element
};

/// Types of elements that are read and written, all little-endian.
template <class T>
concept npy_element = std::same_as<T, double> || std::same_as<T, float> || std::same_as<T, std::int64_t> ||
    std::same_as<T, std::int32_t> || std::same_as<T, bool>;

static_assert(std::endian::native == std::endian::little, "rafter: .npy files are read as they lie in memory");

namespace detail {

template <npy_element T>
inline constexpr std::string_view npy_descr = std::same_as<T, double>         ? "<f8"
                                              : std::same_as<T, float>        ? "<f4"
                                              : std::same_as<T, std::int64_t> ? "<i8"
                                              : std::same_as<T, std::int32_t> ? "<i4"
                                                                              : "|b1";

/// Reads the Python dictionary of the header: the keys 'descr', 'fortran_order' and 'shape', each once, in any order.
class npy_header_parser {
 public:
  npy_header_parser(std::string_view text, const std::string& path) : text_(text), path_(path) {}

  npy_header parse() {
    npy_header header;
    std::array<bool, 3> seen{};
    const auto first = [&](std::size_t index, std::string_view name) {
      if (seen[index]) throw io_error({path_}, name, {}, "is given twice in the npy header");
      seen[index] = true;
    };
    expect('{');
    while (!accept('}')) {
      const std::string key(quoted());
      expect(':');
      if (key == "descr") {
        first(0, key);
        if (peek() == '[') throw io_error({path_}, "descr", rest(), "is a structured dtype, expected plain numbers");
        header.descr = quoted();
      } else if (key == "fortran_order") {
        first(1, key);
        header.fortran_order = boolean();
      } else if (key == "shape") {
        first(2, key);
        header.shape = shape();
      } else {
        throw io_error({path_}, {}, key, "is not a key of an npy header");
      }
      if (!accept(',') && peek() != '}') refuse("lacks a comma or a closing brace");
    }
    peek();
    if (at_ != text_.size()) refuse("follows the header's dictionary");
    if (!seen[0] || !seen[1] || !seen[2]) {
      throw io_error({path_},
                     !seen[0]   ? "descr"
                     : !seen[1] ? "fortran_order"
                                : "shape",
                     {}, "is missing from the npy header");
    }
    return header;
  }

 private:
  std::string_view rest() const { return text_.substr(at_, 256); }
  [[noreturn]] void refuse(std::string_view fact) const {
    if (at_ == text_.size()) throw io_error({path_}, {}, {}, "the npy header ends too early");
    throw io_error({path_}, {}, rest(), std::string(fact) + " (npy header, byte " + std::to_string(at_ + 1) + ")");
  }
  /// The next character that is not blank, or NUL at the end.
  char peek() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool accept(char c) {
    if (peek() != c || at_ == text_.size()) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) refuse(std::string("stands where '") + c + "' is expected");
  }
  std::string_view quoted() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') refuse("is not a quoted text");
    const std::size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) refuse("opens a quote that is never closed");
    const std::string_view inside = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return inside;
  }
  bool boolean() {
    peek();
    for (const bool value : {true, false}) {
      const std::string_view word = value ? "True" : "False";
      if (!text_.substr(at_).starts_with(word)) continue;
      at_ += word.size();
      return value;
    }
    refuse("is neither True nor False");
  }
  std::vector<std::size_t> shape() {
    std::vector<std::size_t> extents;
    expect('(');
    while (!accept(')')) {
      const char digit = peek();
      if (digit < '0' || digit > '9') refuse("is not an extent");
      if (extents.size() == 32) refuse("exceeds the 32 dimensions of an array");
      std::size_t extent = 0;
      for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
        const auto next = static_cast<std::size_t>(text_[at_] - '0');
        if (extent > (std::numeric_limits<std::size_t>::max() - next) / 10) refuse("overflows an extent");
        extent = 10 * extent + next;
      }
      extents.push_back(extent);
      if (!accept(',') && peek() != ')') refuse("lacks a comma or a closing parenthesis");
    }
    return extents;
  }

  std::string_view text_;
  const std::string& path_;
  std::size_t at_ = 0;
};

inline std::string shape_text(const std::vector<std::size_t>& shape) {
  std::string out = "(";
  for (const std::size_t extent : shape) out += (out.size() == 1 ? "" : ", ") + std::to_string(extent);
  return out + ')';
}

/// Refuses a header whose array is not N-dimensional, not of `descr`, or not exactly the rest of the file.
inline void check_npy(const npy_header& header, std::string_view descr, std::size_t dimensions, std::size_t item_size,
                      std::size_t file_size, const std::string& path) {
  if (header.descr != descr) {
    const std::string expected = ", expected '" + std::string(descr) + '\'';
    const char order = header.descr.empty() ? '\0' : header.descr.front();
    const bool objects = header.descr.find('O') != std::string::npos;
    throw io_error({path}, "descr", header.descr,
                   (objects        ? "holds pickled Python objects, which are never loaded"
                    : order == '>' ? "is big-endian"
                                   : "is not the dtype asked for") +
                       expected);
  }
  if (header.shape.size() != dimensions) {
    throw io_error(
        {path}, "shape", detail::shape_text(header.shape),
        "has " + std::to_string(header.shape.size()) + " dimensions, expected " + std::to_string(dimensions));
  }
  std::size_t room = std::size_t{std::numeric_limits<std::ptrdiff_t>::max()} / item_size;
  std::size_t items = 1;
  for (const std::size_t extent : header.shape) {
    if (extent > room) {
      throw io_error({path}, "shape", detail::shape_text(header.shape), "is larger than any memory");
    }
    if (extent != 0) room /= extent;
    items *= extent;
  }
  const std::size_t found = file_size - header.data_offset;
  if (found != items * item_size) {
    throw io_error({path}, {}, {},
                   (found < items * item_size ? "truncated: shape " : "bytes behind the array: shape ") +
                       detail::shape_text(header.shape) + " of '" + header.descr + "' needs " +
                       std::to_string(items * item_size) + " bytes of data, found " + std::to_string(found));
  }
}

}  // namespace detail

/// Reads the header at the front of the bytes of an .npy file. @throws io_error when it is not one
inline npy_header parse_npy_header(std::string_view content, const std::string& path) {
  constexpr std::string_view magic = "\x93NUMPY";
  if (!content.starts_with(magic)) {
    throw io_error({path}, {}, content.substr(0, magic.size()), "is not the beginning of an npy file");
  }
  const auto byte = [&](std::size_t i) { return static_cast<std::size_t>(static_cast<unsigned char>(content[i])); };
  if (content.size() < 12) throw io_error({path}, {}, {}, "truncated: the npy header is not complete");
  if ((byte(6) != 1 && byte(6) != 2) || byte(7) != 0) {
    throw io_error({path}, {}, {},
                   "npy version " + std::to_string(byte(6)) + '.' + std::to_string(byte(7)) +
                       " is not supported, expected 1.0 or 2.0");
  }
  const std::size_t begin = byte(6) == 1 ? 10 : 12;
  const std::size_t length = byte(8) | byte(9) << 8U | (byte(6) == 1 ? 0 : byte(10) << 16U | byte(11) << 24U);
  if (length > content.size() - begin) {
    throw io_error({path}, {}, {},
                   "truncated: the npy header of " + std::to_string(length) + " bytes is not complete");
  }
  npy_header header = detail::npy_header_parser(content.substr(begin, length), path).parse();
  header.data_offset = begin + length;
  return header;
}

/// The array in the bytes of an .npy file, in C order whatever the order in the file. The dtype must be that of T,
/// nothing is converted. The bytes are checked and copied here: xtensor 0.24's own reader trusts the file's sizes.
/// @tparam N  dimensions, 1 to 3
template <npy_element T, std::size_t N>
requires(N >= 1 && N <= 3) xt::xtensor<T, N> parse_npy(std::string_view content, const std::string& path) {
  const npy_header header = parse_npy_header(content, path);
  detail::check_npy(header, detail::npy_descr<T>, N, sizeof(T), content.size(), path);
  const std::string_view data = content.substr(header.data_offset);
  if constexpr (std::same_as<T, bool>) {
    for (std::size_t i = 0; i < data.size(); ++i) {
      if (data[i] == 0 || data[i] == 1) continue;
      throw io_error({path}, {}, data.substr(i, 1), "is not a bool (element " + std::to_string(i) + ')');
    }
  }
  std::array<std::size_t, N> shape;
  std::copy_n(header.shape.begin(), N, shape.begin());
  const auto fill = [&](auto array) {
    if (!data.empty()) std::memcpy(array.data(), data.data(), data.size());
    return array;
  };
  if (header.fortran_order && N > 1) {
    return fill(xt::xtensor<T, N, xt::layout_type::column_major>(shape));
  }
  return fill(xt::xtensor<T, N>(shape));
}

/// Reads a .npy file: `read_npy<double, 2>("columns.npy")`. @throws io_error
template <npy_element T, std::size_t N> xt::xtensor<T, N> read_npy(const std::string& path) {
  return parse_npy<T, N>(read_file(path).view(), path);
}

/// Writes a .npy file (version 1.0) in the order of the array, C or Fortran. @throws io_error
template <npy_element T, std::size_t N, xt::layout_type Layout>
requires(Layout == xt::layout_type::row_major ||
         Layout == xt::layout_type::column_major) void write_npy(const std::string& path,
                                                                 const xt::xtensor<T, N, Layout>& array) {
  write_file(path, xt::dump_npy(array));
}

}  // namespace rafter
