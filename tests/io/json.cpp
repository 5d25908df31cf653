// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/io/json.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <filesystem>

namespace {

using rafter::io_error;
using rafter::json_value;
using rafter::parse_json;

template <class Action> std::string message_of(Action action) {
  try {
    action();
  } catch (const io_error& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    return error.what();
  }
  return "no io_error";
}

std::string parse_message(std::string_view text) {
  return message_of([&] { parse_json(text, "c.json"); });
}

const std::string config = R"({
  "hiden_size": 4096,
  "num_hidden_layers": "eighty",
  "rope_scaling": {"type": "linear", "factor": -2.5, "list": [1, {"a": [true]}, null]},
  "tie": null, "big": 18446744073709551615, "half": 0.5,
  "escaped \"key\"": {"x.y": "text"}
})";

TEST(Json, GivesTypedValuesOfNestedMembers) {
  const json_value root = parse_json(config, "config.json");
  EXPECT_EQ(root.at("hiden_size").positive_integer(), 4096);
  EXPECT_EQ(root.at("rope_scaling").at("factor").number(), -2.5);
  EXPECT_EQ(root.at("rope_scaling").at("type").text(), "linear");
  const auto list = root.at("rope_scaling").at("list").elements();
  ASSERT_EQ(list.size(), 3U);
  EXPECT_TRUE(list[1].at("a").elements().at(0).boolean());
  EXPECT_TRUE(list[2].is_null());
  EXPECT_EQ(root.at("half").positive_number(), 0.5);
  EXPECT_FALSE(root.find("absent").has_value());
  EXPECT_FALSE(root.find("tie").has_value());
}

TEST(Json, NamesTheNearestKeyWhenOneIsMissing) {
  const json_value root = parse_json(config, "config.json");
  EXPECT_EQ(message_of([&] { root.at("hidden_size"); }),
            "config.json:1:1: field 'hidden_size': is missing; did you mean 'hiden_size'?");
  EXPECT_EQ(message_of([&] { root.at("rope_scaling").at("fctor"); }),
            "config.json:4:19: field 'rope_scaling.fctor': is missing; did you mean 'factor'?");
  EXPECT_EQ(message_of([&] { root.at("tie"); }), "config.json:5:10: field 'tie': is null");
}

TEST(Json, PlacesAValueOfTheWrongTypeAndShowsIt) {
  const json_value root = parse_json(config, "config.json");
  EXPECT_EQ(message_of([&] { root.at("num_hidden_layers").positive_integer(); }),
            "config.json:3:24: field 'num_hidden_layers': expected a positive integer, found \"eighty\"");
  EXPECT_EQ(message_of([&] { root.at("rope_scaling").at("factor").positive_number(); }),
            "config.json:4:48: field 'rope_scaling.factor': expected a positive number, found -2.5");
  EXPECT_EQ(message_of([&] { root.at("half").integer(); }),
            "config.json:5:53: field 'half': expected an integer, found 0.5");
  EXPECT_EQ(message_of([&] { root.at("big").integer(); }),
            "config.json:5:23: field 'big': expected an integer, found 18446744073709551615");
  EXPECT_EQ(message_of([&] { root.at("hiden_size").integer(1, 100); }),
            "config.json:2:17: field 'hiden_size': expected an integer in [1, 100], found 4096");
  EXPECT_EQ(message_of([&] { root.at("rope_scaling").at("list").elements()[1].at("a").text(); }),
            "config.json:4:72: field 'rope_scaling.list[1].a': expected a text, found [...]");
  EXPECT_EQ(message_of([&] { root.at("rope_scaling").at("list").elements()[2].number(); }),
            "config.json:4:81: field 'rope_scaling.list[2]': expected a number, found null");
  EXPECT_EQ(message_of([&] { root.at("escaped \"key\"").at("x.y").boolean(); }),
            "config.json:6:30: field '\"escaped \"key\"\".\"x.y\"': expected true or false, found \"text\"");
  EXPECT_EQ(message_of([&] { root.number(); }), "config.json:1:1: expected a number, found {...}");
  EXPECT_EQ(message_of([&] { root.at("half").at("x"); }),
            "config.json:5:53: field 'half': expected an object, found 0.5");
}

TEST(Json, KeepsTheOffendingTextAsAMember) {
  const json_value root = parse_json(config, "config.json");
  try {
    root.at("num_hidden_layers").positive_integer();
    FAIL();
  } catch (const io_error& error) {
    EXPECT_EQ(error.field, "num_hidden_layers");
    EXPECT_EQ(error.text, "\"eighty\"");
    EXPECT_EQ(error.line, 3U);
    EXPECT_EQ(error.column, 24U);
  }
  EXPECT_STREQ(root.at("half").error("is not a multiple of 8").what(),
               "config.json:5:53: field 'half': '0.5' is not a multiple of 8");
}

TEST(Json, RefusesUnknownKeysWhenAsked) {
  const json_value root = parse_json("{\"a\": 1,\n \"bb\": 2}", "c.json");
  EXPECT_EQ(message_of([&] {
              root.check_keys(std::array<std::string_view, 2>{"a", "bbb"});
            }),
            "c.json:2:2: field 'bb': is not a known key; did you mean 'bbb'?");
  root.check_keys(std::array<std::string_view, 2>{"a", "bb"});
}

TEST(Json, PlacesSyntaxErrors) {
  EXPECT_EQ(parse_message(""), "c.json:1:1: empty file, expected JSON");
  EXPECT_EQ(parse_message(" \n"), "c.json:1:1: empty file, expected JSON");
  EXPECT_EQ(parse_message("{\"a\": 1,\n \"b\" 2}"),
            "c.json:2:6: '2' is not well-formed JSON: unexpected number literal; expected ':'");
  EXPECT_EQ(parse_message("{\"a\": 1,\n}"),
            "c.json:2:1: '}' is not well-formed JSON: unexpected '}'; expected string literal");
  EXPECT_EQ(parse_message("[1, 2"), "c.json:1:6: JSON ends too early: unexpected end of input; expected ']'");
  EXPECT_EQ(parse_message("[\"a\n"),
            "c.json:1:4: '\\n' is not well-formed JSON: invalid string: control character U+000A (LF) must be "
            "escaped to \\u000A or \\n");
  EXPECT_EQ(parse_message("[\"a"), "c.json:1:4: JSON ends too early: invalid string: missing closing quote");
  EXPECT_EQ(parse_message("[1,\n NaN]"), "c.json:2:2: 'NaN' is not well-formed JSON: invalid literal");
  EXPECT_EQ(parse_message("[1] x"),
            "c.json:1:5: 'x' is not well-formed JSON: invalid literal; expected end of input");
  EXPECT_EQ(parse_message("{\"a\" \"b\"}"),
            "c.json:1:6: '\"b\"' is not well-formed JSON: unexpected string literal; expected ':'");
  EXPECT_EQ(parse_message("[\"\xff\"]"),
            "c.json:1:3: '\\xff' is not well-formed JSON: invalid string: ill-formed UTF-8 byte");
}

TEST(Json, RefusesNumbersBeyondDouble) {
  EXPECT_EQ(parse_message("{\"a\":\n 1e999}"), "c.json:2:2: '1e999' is outside the range of a double");
}

TEST(Json, RefusesRepeatedKeysAtTheLast) {
  EXPECT_EQ(parse_message("{\"a\": {\"b\": 1,\n  \"b\": 2}}"), "c.json:2:3: field 'a.b': is given twice");
  EXPECT_EQ(parse_message("{\"a\": {\"b\": 1}, \"c\": {\"b\": 2}}"), "no io_error");
}

TEST(Json, RefusesAbsurdNesting) {
  EXPECT_EQ(parse_message(std::string(100'000, '[')), "c.json: nests deeper than 256 levels");
  EXPECT_EQ(parse_message(std::string(256, '[') + std::string(256, ']')), "no io_error");
}

TEST(Json, TakesOneElementOfAList) {
  const json_value list = parse_json("{\"a\": [1, [2]]}", "c.json").at("a");
  EXPECT_EQ(list.element(0).integer(), 1);
  EXPECT_EQ(list.element(1).name(), "a[1]");
  EXPECT_EQ(message_of([&] { list.element(2); }),
            "c.json:1:7: field 'a': expected a list of more than 2 elements, found [...]");
}

// Text -> double -> float rounds twice where the double is half-way between two floats.
TEST(Json, RoundsToAFloatOnce) {
  for (const std::string text : {"1.00000017881393432617187499999", "1.00000017881393432617187500001", "1.1",
                                 "16777217", "-3.4028235e38", "1e-45", "9007199791611905", "0"}) {
    EXPECT_EQ(parse_json(text, "c.json").single(), std::strtof(text.c_str(), nullptr)) << text;
  }
  EXPECT_EQ(message_of([] { parse_json("[4e38]", "c.json").element(0).single(); }),
            "c.json:1:2: field '[0]': '4e38' is outside the range of a float");
}

TEST(Json, IgnoresAByteOrderMark) {
  EXPECT_EQ(parse_json("\xef\xbb\xbf[1]", "c.json").elements().at(0).place().column, 2U);
}

TEST(Json, ReadsFilesAndNamesThem) {
  const std::string path = std::filesystem::temp_directory_path() / "rafter-json-test.json";
  rafter::write_file(path, "{\"a\": [1, 2]}\n");
  EXPECT_EQ(rafter::read_json(path).at("a").elements().at(1).integer(), 2);
  rafter::write_file(path, "{");
  EXPECT_EQ(message_of([&] { rafter::read_json(path); }).substr(0, path.size() + 5), path + ":1:2:");
  std::filesystem::remove(path);
  EXPECT_EQ(message_of([&] { rafter::read_json(path); }), path + ": cannot open: No such file or directory");
}

}  // namespace
