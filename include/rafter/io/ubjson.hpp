// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "rafter/io/error.hpp"
#include "rafter/io/json.hpp"

namespace rafter {

namespace detail {

/// Source: Universal Binary JSON, draft 12 (ubjson.org): all types, and containers without a count, with one, or with
/// a type and a count. Nothing is allocated for more values than there are bytes left.
class ubjson_parser {
 public:
  using json = nlohmann::json;

  ubjson_parser(std::string_view bytes, const std::string& name) : bytes_(bytes), name_(name), free_(bytes.size()) {}

  json document() {
    json root = value(marker());
    while (at_ < bytes_.size() && bytes_[at_] == 'N') ++at_;
    if (at_ != bytes_.size()) refuse("bytes follow the value");
    return root;
  }

 private:
  [[noreturn]] void refuse(const std::string& fact) const {
    throw io_error({name_}, spelled(path_), {}, fact + " (UBJSON, byte " + std::to_string(at_ + 1) + ')');
  }
  std::size_t left() const { return bytes_.size() - at_; }
  std::string_view take(std::size_t count) {
    if (count > left()) refuse("the file ends too early");
    at_ += count;
    return bytes_.substr(at_ - count, count);
  }
  bool next_is(char c) const { return at_ < bytes_.size() && bytes_[at_] == c; }
  /// The next type marker; N stands for nothing.
  char marker() {
    char c = 'N';
    while (c == 'N') c = take(1).front();
    return c;
  }
  template <class Bits> Bits bits() {
    Bits made = 0;
    for (const char c : take(sizeof(Bits)))
      made = static_cast<Bits>(made << 7U << 1U | static_cast<unsigned char>(c));
    return made;
  }
  std::optional<std::int64_t> whole(char type) {
    switch (type) {
      case 'i':
        return static_cast<std::int8_t>(bits<std::uint8_t>());
      case 'U':
        return bits<std::uint8_t>();
      case 'I':
        return static_cast<std::int16_t>(bits<std::uint16_t>());
      case 'l':
        return static_cast<std::int32_t>(bits<std::uint32_t>());
      case 'L':
        return static_cast<std::int64_t>(bits<std::uint64_t>());
      default:
        return std::nullopt;
    }
  }
  /// A length or count, of things that take at least `each` bytes.
  std::size_t count(std::size_t each) {
    const char type = marker();
    const std::optional<std::int64_t> found = whole(type);
    if (!found) refuse('\'' + printable({&type, 1}) + "' is not the type of a length");
    if (*found < 0) refuse("a length is negative");
    const auto size = static_cast<std::uint64_t>(*found);
    if (each == 0 ? size > free_ : size > left() / each) {
      refuse("the file ends too early, or a length of " + std::to_string(size) + " is wrong");
    }
    return static_cast<std::size_t>(size);
  }
  std::string_view text() { return take(count(1)); }

  static std::size_t least_bytes(char type) {
    switch (type) {
      case 'Z':
      case 'T':
      case 'F':
        return 0;
      case 'I':
        return 2;
      case 'l':
      case 'd':
        return 4;
      case 'L':
      case 'D':
        return 8;
      case 'S':
      case 'H':
        return 2;
      default:
        return 1;
    }
  }
  json value(char type) {
    if (const std::optional<std::int64_t> number = whole(type)) return *number;
    switch (type) {
      case 'Z':
        return nullptr;
      case 'T':
        return true;
      case 'F':
        return false;
      case 'd':
        return static_cast<double>(std::bit_cast<float>(bits<std::uint32_t>()));
      case 'D':
        return std::bit_cast<double>(bits<std::uint64_t>());
      case 'C':
        return std::string(take(1));
      case 'S':
        return std::string(text());
      case 'H':
        return number(text());
      case '[':
        return container(json::array(), ']');
      case '{':
        return container(json::object(), '}');
      default:
        --at_;
        refuse('\'' + printable({&type, 1}) + "' is not a type");
    }
  }
  json number(std::string_view written) const {
    std::int64_t integer = 0;
    const char* const end = written.data() + written.size();
    if (const auto all = std::from_chars(written.data(), end, integer); all.ec == std::errc() && all.ptr == end) {
      return integer;
    }
    double real = 0.0;
    const auto all = std::from_chars(written.data(), end, real);
    if (all.ec == std::errc() && all.ptr == end && std::isfinite(real)) return real;
    throw io_error({name_}, spelled(path_), written,
                   "is not a number (UBJSON, before byte " + std::to_string(at_ + 1) + ')');
  }
  json container(json made, char closing) {
    if (path_.size() == json_builder::max_depth) {
      refuse("nests deeper than " + std::to_string(json_builder::max_depth) + " levels");
    }
    path_.emplace_back();
    const bool keys = closing == '}';
    char type = 0;
    std::optional<std::size_t> size;
    if (next_is('$')) {
      ++at_;
      type = take(1).front();
      if (std::string_view("iUIlLdDCSHZTFN[{").find(type) == std::string_view::npos) {
        --at_;
        refuse('\'' + printable({&type, 1}) + "' is not a type");
      }
      if (left() != 0 && !next_is('#')) refuse("a container has a type and no count");
    }
    if (type != 0 || next_is('#')) {
      take(1);
      size = count(type == 'N' ? 0 : (type == 0 ? 1 : least_bytes(type)) + (keys ? 2 : 0));
      if (type == 'N') size = 0;
      if (type != 0 && least_bytes(type) == 0) free_ -= *size;
      if (!keys && type != 0 && type != '[' && type != '{') made.get_ref<json::array_t&>().reserve(*size);
    }
    for (std::size_t i = 0; !size || i < *size; ++i) {
      if (!size) {
        while (next_is('N')) ++at_;
        if (next_is(closing)) {
          ++at_;
          break;
        }
      }
      if (keys) {
        std::string key(text());
        path_.back().key = key;
        json member = value(type != 0 ? type : marker());
        if (!made.emplace(std::move(key), std::move(member)).second) refuse("a key is given twice");
      } else {
        path_.back().index = i;
        made.push_back(value(type != 0 ? type : marker()));
      }
    }
    path_.pop_back();
    return made;
  }

  std::string_view bytes_;
  const std::string& name_;
  std::size_t free_;  // values without bytes that may still come: such a file is not the seed of a huge document
  std::size_t at_ = 0;
  json_path path_;
};

}  // namespace detail

/// Parses Universal Binary JSON; `name` stands for the path in errors, which name bytes instead of lines.
/// @throws io_error where the bytes are cut off, repeat a key, nest absurdly, or count more than there is
inline json_value parse_ubjson(std::string_view content, std::string name) {
  nlohmann::json root = detail::ubjson_parser(content, name).document();
  auto document =
      std::make_shared<detail::json_document>(detail::json_document{std::move(name), {}, std::move(root)});
  const nlohmann::json* const value = &document->root;
  return json_value(std::move(document), {}, value);
}

/// Reads a UBJSON file. @throws io_error
inline json_value read_ubjson(const std::string& path) { return parse_ubjson(read_file(path).view(), path); }

}  // namespace rafter
