// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Any bytes: parsed or refused with a place inside the text; every value is found again where place() says it is.
#include "rafter/io/json.hpp"

#include "check.hpp"

namespace {

template <class Action> void expect_type_or_error(std::string_view text, Action action) {
  try {
    action();
  } catch (const rafter::io_error& error) {
    check_message(error, text);
  }
}

void visit(const rafter::json_value& value, std::string_view text) {
  const rafter::io_place place = value.place();
  check(place.line >= 1 && place.column >= 1);
  std::size_t line_begin = text.starts_with("\xef\xbb\xbf") ? 3 : 0;
  for (std::size_t line = 1; line < place.line; ++line) line_begin = text.find('\n', line_begin) + 1;
  check(line_begin + place.column <= text.size());
  const char first = text[line_begin + place.column - 1];
  const auto& json = value.json();
  if (json.is_object()) check(first == '{');
  if (json.is_array()) check(first == '[');
  if (json.is_string()) check(first == '"');
  if (json.is_null()) check(first == 'n');
  if (json.is_boolean()) check(first == (json.get<bool>() ? 't' : 'f'));
  if (json.is_number()) check(first == '-' || (first >= '0' && first <= '9'));
  expect_type_or_error(text, [&] { check(std::isfinite(value.number())); });
  expect_type_or_error(text, [&] { check(value.positive_integer() > 0); });
  expect_type_or_error(text, [&] { static_cast<void>(value.text()); });
  expect_type_or_error(text, [&] { static_cast<void>(value.boolean()); });
  expect_type_or_error(text, [&] { value.at("hidden_size").integer(); });
  if (json.is_array()) {
    for (const rafter::json_value& element : value.elements()) visit(element, text);
  }
  if (json.is_object()) {
    for (const auto& item : json.items()) {
      if (const auto member = value.find(item.key())) visit(*member, text);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (size > 4096) return 0;  // finding each place again is quadratic
  try {
    visit(rafter::parse_json(text, "f.json"), text);
  } catch (const rafter::io_error& error) {
    check_message(error, text);
  }
  return 0;
}
