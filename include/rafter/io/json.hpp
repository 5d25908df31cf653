// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rafter/core/nearest_name.hpp"
#include "rafter/io/error.hpp"
#include "rafter/io/file.hpp"

namespace rafter {

class json_value;
json_value parse_json(std::string_view text, std::string name);
json_value parse_ubjson(std::string_view bytes, std::string name);

namespace detail {

/// The float nearest to every number that the double nearest to it stands for; none where the double is half-way
/// between two floats, so that text -> double -> float might round twice the wrong way, or beyond all floats.
inline std::optional<float> single_of(double exact) {
  if (!(std::abs(exact) < 0x1.ffffffp127)) return std::nullopt;
  const auto nearest = static_cast<float>(exact);
  const double off = exact - static_cast<double>(nearest);
  if (off == 0.0) return nearest;
  constexpr float endless = std::numeric_limits<float>::infinity();
  const float next = std::nextafter(nearest, off > 0.0 ? endless : -endless);
  if (static_cast<double>(next) - exact == off) return std::nullopt;
  return nearest;
}

/// One step into a JSON value: a key of an object, or (where the key is absent) an index of an array.
struct json_step {
  std::optional<std::string> key;
  std::size_t index = 0;
};
using json_path = std::vector<json_step>;

/// `rope_scaling.factors[3]`; keys that hold a dot, a bracket or nothing are quoted.
inline std::string spelled(const json_path& path) {
  std::string out;
  for (const json_step& step : path) {
    if (!step.key) {
      out += '[' + std::to_string(step.index) + ']';
      continue;
    }
    if (!out.empty()) out += '.';
    const bool plain = !step.key->empty() && step.key->find_first_of(".[]\"") == std::string::npos;
    out += plain ? *step.key : '"' + *step.key + '"';
  }
  return out;
}

/// Finds values in a JSON text that is known to be well-formed; nlohmann::json keeps no positions.
class json_locator {
 public:
  explicit json_locator(std::string_view text) : text_(text) {}

  /// Offset of the first character of the value, or of its key. Of repeated keys the last counts.
  std::size_t offset_of(const json_path& path, bool of_key) {
    skip_blanks();
    std::size_t key_at = at_;
    for (const json_step& step : path) {
      ++at_;  // { or [
      std::size_t value_at = at_;
      std::size_t index = 0;
      for (skip_blanks(); at_ < text_.size() && text_[at_] != '}' && text_[at_] != ']'; ++index) {
        const std::size_t item_at = at_;
        bool wanted = !step.key && index == step.index;
        if (step.key) {
          skip_text();
          wanted =
              nlohmann::json::parse(text_.substr(item_at, at_ - item_at)).get_ref<const std::string&>() == *step.key;
          skip_blanks();
          ++at_;  // colon
          skip_blanks();
        }
        if (wanted) {
          key_at = item_at;
          value_at = at_;
        }
        skip_value();
        skip_blanks();
        if (at_ < text_.size() && text_[at_] == ',') ++at_;
        skip_blanks();
      }
      at_ = value_at;
    }
    return std::min(of_key ? key_at : at_, text_.size());
  }

 private:
  void skip_blanks() { at_ = std::min(text_.find_first_not_of(" \t\r\n", at_), text_.size()); }
  void skip_text() {
    for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) at_ += text_[at_] == '\\' ? 1 : 0;
    ++at_;
  }
  void skip_value() {
    std::size_t depth = 0;
    do {
      skip_blanks();
      if (at_ >= text_.size()) return;
      const char c = text_[at_];
      if (c == '"') {
        skip_text();
      } else if (c == '{' || c == '[') {
        ++depth;
        ++at_;
      } else if (c == '}' || c == ']') {
        --depth;
        ++at_;
      } else if (c == ',' || c == ':') {
        ++at_;
      } else {
        at_ = std::min(text_.find_first_of(" \t\r\n,:]}", at_), text_.size());
      }
    } while (depth != 0);
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

struct json_document {
  std::string path;
  std::string text;  // empty: the values came in binary, which has no lines
  nlohmann::json root;

  io_place place(std::size_t offset) const {
    if (text.empty()) return {path};
    const std::string_view before = std::string_view(text).substr(0, offset);
    const std::size_t newline = before.rfind('\n');
    const auto lines = static_cast<std::size_t>(std::count(before.begin(), before.end(), '\n'));
    return {path, lines + 1, newline == std::string_view::npos ? offset + 1 : offset - newline};
  }
  io_place place(const json_path& at, bool of_key = false) const {
    return place(json_locator(text).offset_of(at, of_key));
  }
};

/// Builds the value while it is parsed, refusing repeated keys and nesting that no configuration has; unlike the
/// parser's own exceptions it knows the place of a number that overflows.
class json_builder {
 public:
  using json = nlohmann::json;
  static constexpr std::size_t max_depth = 256;

  explicit json_builder(json_document& document) : document_(document) {}

  bool null() { return place_value(nullptr); }
  bool boolean(bool value) { return place_value(value); }
  bool number_integer(json::number_integer_t value) { return place_value(value); }
  bool number_unsigned(json::number_unsigned_t value) { return place_value(value); }
  bool number_float(json::number_float_t value, const json::string_t&) { return place_value(value); }
  bool string(json::string_t& value) { return place_value(std::move(value)); }
  bool binary(json::binary_t&) { return false; }
  bool start_object(std::size_t) { return open(json::object()); }
  bool start_array(std::size_t) { return open(json::array()); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }
  bool key(json::string_t& name) {
    key_ = std::move(name);
    if (open_.back()->contains(key_) && !repeated_) {
      repeated_ = path_;
      repeated_->back().key = key_;
    }
    return true;
  }
  bool parse_error(std::size_t position, const std::string& token, const nlohmann::detail::exception& why) {
    // … syntax error while … - FACT; last read: 'TOKEN'; expected …   The token is the file's and may hold anything.
    std::string said = why.what();
    const std::string last_read = "; last read: '" + token + '\'';
    if (const std::size_t at = said.find(last_read); at != std::string::npos) said.erase(at, last_read.size());
    const std::size_t dash = said.find(" - ");
    const std::string fact = printable(dash == std::string::npos ? said : said.substr(dash + 3), 160);
    const std::string_view text = document_.text;
    if (fact.starts_with("unexpected end of input") || fact.find("missing closing quote") != std::string::npos ||
        position > text.size()) {
      throw io_error(document_.place(text.size()), {}, {}, "JSON ends too early: " + fact);
    }
    // The lexer says where it stopped, not where its token begins: show the word around that place, or the string.
    constexpr std::string_view word = "+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";
    std::size_t begin = position == 0 ? 0 : position - 1;
    std::size_t end = std::min(begin + 1, text.size());
    if (begin < end && word.find(text[begin]) != std::string_view::npos) {
      while (begin > 0 && word.find(text[begin - 1]) != std::string_view::npos) --begin;
      end = std::min(text.find_first_not_of(word, end), text.size());
    } else if (token.size() > 1 && token.front() == '"' && token.back() == '"' && token.size() <= end) {
      begin = end - token.size();
    }
    constexpr int overflow = 406;
    throw io_error(document_.place(begin), {}, text.substr(begin, end - begin),
                   why.id == overflow ? "is outside the range of a double" : "is not well-formed JSON: " + fact);
  }
  void finish() const {
    if (!repeated_) return;
    throw io_error(document_.place(*repeated_, true), spelled(*repeated_), {}, "is given twice");
  }

 private:
  template <class Value> bool place_value(Value&& value) {
    static_cast<void>(add(std::forward<Value>(value)));
    return true;
  }
  template <class Value> json& add(Value&& value) {
    if (open_.empty()) return document_.root = json(std::forward<Value>(value));
    if (open_.back()->is_array()) {
      open_.back()->push_back(json(std::forward<Value>(value)));
      path_.back().index = open_.back()->size() - 1;
      return open_.back()->back();
    }
    path_.back().key = key_;
    return (*open_.back())[key_] = json(std::forward<Value>(value));
  }
  bool open(json container) {
    if (open_.size() == max_depth) {
      throw io_error({document_.path}, {}, {}, "nests deeper than " + std::to_string(max_depth) + " levels");
    }
    open_.push_back(&add(std::move(container)));
    path_.emplace_back();
    return true;
  }
  bool close() {
    open_.pop_back();
    path_.pop_back();
    return true;
  }

  json_document& document_;
  std::vector<json*> open_;
  json_path path_;  // to the value being built inside each open container
  std::string key_;
  std::optional<json_path> repeated_;
};

}  // namespace detail

/// A value of a JSON document together with its place: typed access whose errors name file, line, column, the path of
/// keys, and the nearest key where one is missing. Cheap to copy; keeps the document alive.
class json_value {
 public:
  /// The plain value, for what this class has no words for.
  const nlohmann::json& json() const { return *value_; }
  /// Where the value begins.
  io_place place() const { return document_->place(path_); }
  /// The path of keys to it, such as `rope_scaling.factor`; empty for the document itself.
  std::string name() const { return detail::spelled(path_); }

  bool is_null() const { return value_->is_null(); }
  bool is_object() const { return value_->is_object(); }
  bool is_array() const { return value_->is_array(); }

  /// A member that must be there and not be null.
  json_value at(std::string_view key) const {
    if (auto found = find(key)) return *std::move(found);
    const bool null = value_->contains(key);
    std::vector<std::string_view> present;
    for (const auto& item : value_->items()) {
      if (item.key().size() <= 256 && present.size() < 4096) present.emplace_back(item.key());
    }
    throw io_error(null ? child(key).place() : place(), child_name(key), {},
                   null ? "is null" : "is missing" + printable(did_you_mean(key, present), 400));
  }
  /// A member, if it is there and not null.
  std::optional<json_value> find(std::string_view key) const {
    if (!is_object()) refuse_type("an object");
    const auto found = value_->find(key);
    if (found == value_->end() || found->is_null()) return std::nullopt;
    return child(key, &*found);
  }
  /// The elements of a list.
  std::vector<json_value> elements() const {
    if (!is_array()) refuse_type("a list");
    std::vector<json_value> all;
    all.reserve(value_->size());
    for (std::size_t i = 0; i < value_->size(); ++i) {
      all.push_back(json_value(document_, path_, &(*value_)[i]));
      all.back().path_.push_back({std::nullopt, i});
    }
    return all;
  }
  /// One element of a list.
  json_value element(std::size_t index) const {
    if (!is_array() || index >= value_->size())
      refuse_type("a list of more than " + std::to_string(index) + " elements");
    json_value one(document_, path_, &(*value_)[index]);
    one.path_.push_back({std::nullopt, index});
    return one;
  }
  /// Refuses members that are none of `known`, naming the nearest known one.
  void check_keys(std::span<const std::string_view> known) const {
    if (!is_object()) refuse_type("an object");
    for (const auto& item : value_->items()) {
      if (std::find(known.begin(), known.end(), item.key()) != known.end()) continue;
      detail::json_path at = path_;
      at.push_back({item.key(), 0});
      throw io_error(document_->place(at, true), detail::spelled(at), {},
                     "is not a known key" + did_you_mean(item.key(), known));
    }
  }

  /// A finite number (JSON has no others).
  double number() const {
    if (!value_->is_number()) refuse_type("a number");
    return value_->get<double>();
  }
  /// A number above zero.
  double positive_number() const {
    if (!value_->is_number() || !(value_->get<double>() > 0)) refuse_type("a positive number");
    return value_->get<double>();
  }
  /// A whole number in [least, most], written without fraction or exponent.
  std::int64_t integer(std::int64_t least = std::numeric_limits<std::int64_t>::min(),
                       std::int64_t most = std::numeric_limits<std::int64_t>::max()) const {
    const bool fits = value_->is_number_integer() &&
                      (!value_->is_number_unsigned() ||
                       value_->get<std::uint64_t>() <= std::uint64_t{std::numeric_limits<std::int64_t>::max()});
    if (fits && value_->get<std::int64_t>() >= least && value_->get<std::int64_t>() <= most) {
      return value_->get<std::int64_t>();
    }
    std::string kind = least == 1 ? "a positive integer" : least == 0 ? "a non-negative integer" : "an integer";
    if (most != std::numeric_limits<std::int64_t>::max()) {
      kind = "an integer in [" + std::to_string(least) + ", " + std::to_string(most) + ']';
    }
    refuse_type(kind);
  }
  std::int64_t positive_integer() const { return integer(1); }
  /// The `float` nearest to the number as it is written, infinite or NaN only where a binary file says so.
  float single() const {
    if (value_->is_number_unsigned()) return static_cast<float>(value_->get<std::uint64_t>());
    if (value_->is_number_integer()) return static_cast<float>(value_->get<std::int64_t>());
    if (!value_->is_number_float()) refuse_type("a number");
    const double exact = value_->get<double>();
    if (!std::isfinite(exact)) return static_cast<float>(exact);
    if (const std::optional<float> only = detail::single_of(exact)) return *only;
    // Beyond half-way from the largest float to the next power of two.
    if (std::abs(exact) >= 0x1.ffffffp127) throw error("is outside the range of a float");
    auto rounded = static_cast<float>(exact);
    if (document_->text.empty()) return rounded;
    const std::string written = shown();
    static_cast<void>(std::from_chars(written.data(), written.data() + written.size(), rounded));
    return rounded;
  }
  bool boolean() const {
    if (!value_->is_boolean()) refuse_type("true or false");
    return value_->get<bool>();
  }
  const std::string& text() const {
    if (!value_->is_string()) refuse_type("a text");
    return value_->get_ref<const std::string&>();
  }

  /// An error about this value, for rules the caller checks: `throw value.error("is not a multiple of 8")`.
  io_error error(std::string_view fact) const { return {place(), name(), shown(), fact}; }

 private:
  friend json_value parse_json(std::string_view text, std::string name);
  friend json_value parse_ubjson(std::string_view bytes, std::string name);
  json_value parse_ubjson(std::string_view bytes, std::string name);
  json_value(std::shared_ptr<const detail::json_document> document, detail::json_path path,
             const nlohmann::json* value)
      : document_(std::move(document)), path_(std::move(path)), value_(value) {}

  json_value child(std::string_view key, const nlohmann::json* value = nullptr) const {
    json_value member(document_, path_, value);
    member.path_.push_back({std::string(key), 0});
    return member;
  }
  std::string child_name(std::string_view key) const { return child(key).name(); }
  /// The beginning of the value as it is written in the file.
  std::string shown() const {
    if (is_object() || is_array()) return is_object() ? "{...}" : "[...]";
    if (document_->text.empty()) return value_->is_string() ? '"' + text() + '"' : value_->dump();
    const std::string_view from =
        std::string_view(document_->text).substr(detail::json_locator(document_->text).offset_of(path_, false));
    if (!value_->is_string()) return std::string(from.substr(0, from.find_first_of(" \t\r\n,]}")));
    std::size_t end = 1;
    while (end < std::min<std::size_t>(from.size(), 256) && from[end] != '"') end += from[end] == '\\' ? 2 : 1;
    return std::string(from.substr(0, end + 1));
  }
  [[noreturn]] void refuse_type(std::string_view expected) const { throw found_instead_of(expected); }
  io_error found_instead_of(std::string_view expected) const {
    const std::string found = shown();
    io_error why(place(), name(), {}, "expected " + std::string(expected) + ", found " + printable(found));
    why.text = printable(found);
    return why;
  }

  std::shared_ptr<const detail::json_document> document_;
  detail::json_path path_;
  const nlohmann::json* value_;
};

/// Parses a JSON text; `name` stands for the path in errors.
/// @throws io_error at the offending character; also for repeated keys, numbers beyond double, absurd nesting
inline json_value parse_json(std::string_view text, std::string name) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  auto document =
      std::make_shared<detail::json_document>(detail::json_document{std::move(name), std::string(text), {}});
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) {
    throw io_error({document->path, 1, 1}, {}, {}, "empty file, expected JSON");
  }
  detail::json_builder builder(*document);
  nlohmann::json::sax_parse(document->text, &builder);
  builder.finish();
  const nlohmann::json* const root = &document->root;
  return json_value(std::move(document), {}, root);
}

/// Reads a JSON file. @throws io_error
inline json_value read_json(const std::string& path) { return parse_json(read_file(path).view(), path); }

}  // namespace rafter
