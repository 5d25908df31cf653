// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/io/ubjson.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

namespace {

using namespace std::string_literals;
using rafter::io_error;
using rafter::parse_ubjson;

nlohmann::json read(const std::string& bytes) { return parse_ubjson(bytes, "m.ubj").json(); }
std::string complaint(const std::string& bytes) {
  try {
    static_cast<void>(parse_ubjson(bytes, "m.ubj"));
  } catch (const io_error& why) {
    return why.what();
  }
  return "none";
}

TEST(Ubjson, ReadsEveryScalar) {
  EXPECT_EQ(read("Z"), nullptr);
  EXPECT_EQ(read("NNT"), true);
  EXPECT_EQ(read("F"), false);
  EXPECT_EQ(read("i\xff"), -1);
  EXPECT_EQ(read("U\xff"), 255);
  EXPECT_EQ(read("I\x80\x00"s), -32768);
  EXPECT_EQ(read("l\xff\xff\xff\xfe"s), -2);
  EXPECT_EQ(read("L\x00\x00\x00\x01\x00\x00\x00\x02"s), 4294967298);
  EXPECT_EQ(read("d\x3f\xc0\x00\x00"s), 1.5);
  EXPECT_EQ(read("D\xbf\xd0\x00\x00\x00\x00\x00\x00"s), -0.25);
  EXPECT_EQ(read("Cx"), "x");
  EXPECT_EQ(read("SU\x03"
                 "abc"),
            "abc");
  EXPECT_EQ(read("Hi\x02"
                 "42"),
            42);
  EXPECT_EQ(read("Hi\x04"
                 "-0.5"),
            -0.5);
}

TEST(Ubjson, ReadsContainersWithAndWithoutCountsAndTypes) {
  const nlohmann::json three = {1, 2, 3};
  EXPECT_EQ(read("[i\x01i\x02Ni\x03]"), three);
  EXPECT_EQ(read("[#i\x03i\x01U\x02i\x03"), three);
  EXPECT_EQ(read("[$U#i\x03\x01\x02\x03"), three);
  EXPECT_EQ(read("[$T#i\x02"), nlohmann::json({true, true}));
  EXPECT_EQ(read("[$[#i\x02$i#i\x01\x05]"), nlohmann::json({{5}, nlohmann::json::array()}));
  const nlohmann::json object = {{"a", 1}, {"b", 2}};
  EXPECT_EQ(read("{i\x01"
                 "ai\x01Ni\x01"
                 "bi\x02}"),
            object);
  EXPECT_EQ(read("{$i#i\x02i\x01"
                 "a\x01i\x01"
                 "b\x02"),
            object);
}

// The other way round, by another implementation: what nlohmann::json writes in each of its three styles.
TEST(Ubjson, ReadsWhatAnotherLibraryWrites) {
  const auto value = nlohmann::json::parse(
      R"({"a":[1,2,3],"b":{"c":[1.5,-2.25,1e300],"d":[]},"e":"text","f":[true,false,null],"g":-70000,"h":[[1],[2]],
          "i":{},"j":300,"k":9007199254740993,"l":["x","yz"]})");
  for (const auto& [count, type] : {std::pair{false, false}, {true, false}, {true, true}}) {
    const auto bytes = nlohmann::json::to_ubjson(value, count, type);
    EXPECT_EQ(read(std::string(bytes.begin(), bytes.end())), value);
  }
}

TEST(Ubjson, EveryTruncationIsAnError) {
  const auto value = nlohmann::json::parse(R"({"a":[1,2,3],"b":{"c":[1.5,-2.25]},"e":"text","f":[true]})");
  for (const bool counted : {false, true}) {
    const auto bytes = nlohmann::json::to_ubjson(value, counted, counted);
    const std::string whole(bytes.begin(), bytes.end());
    for (std::size_t size = 0; size < whole.size(); ++size) {
      EXPECT_NE(complaint(whole.substr(0, size)).find("too early"), std::string::npos) << size;
    }
  }
}

TEST(Ubjson, RefusesWhatIsMalformedAndSaysWhere) {
  EXPECT_EQ(complaint("{i\x01"
                      "a[i\x01x]}"),
            "m.ubj: field 'a[1]': 'x' is not a type (UBJSON, byte 8)");
  EXPECT_EQ(complaint("[$i\x01\x02]"), "m.ubj: field '[0]': a container has a type and no count (UBJSON, byte 4)");
  EXPECT_NE(complaint("[#i\xff]").find("a length is negative"), std::string::npos);
  EXPECT_NE(complaint("[#d").find("'d' is not the type of a length"), std::string::npos);
  EXPECT_NE(complaint("TT").find("bytes follow the value"), std::string::npos);
  EXPECT_NE(complaint("{i\x01"
                      "aTi\x01"
                      "aT}")
                .find("a key is given twice"),
            std::string::npos);
  EXPECT_NE(complaint("HU\x03"
                      "nan")
                .find("'nan' is not a number"),
            std::string::npos);
}

TEST(Ubjson, RefusesCountsBeyondTheFileBeforeItAllocates) {
  const std::string huge = "L\x00\x00\xff\xff\xff\xff\xff\xff"s;
  EXPECT_NE(complaint("[#" + huge).find("is wrong"), std::string::npos);
  EXPECT_NE(complaint("[$d#" + huge).find("is wrong"), std::string::npos);
  EXPECT_NE(complaint("[$T#" + huge).find("is wrong"), std::string::npos);
  EXPECT_NE(complaint("S" + huge).find("is wrong"), std::string::npos);
  EXPECT_NE(complaint("{" + huge).find("is wrong"), std::string::npos);
  // Values without bytes: each list alone would be allowed.
  std::string bomb = "[";
  for (int i = 0; i < 200; ++i) bomb += "[$Z#U\xc8";
  EXPECT_NE(complaint(bomb + ']').find("is wrong"), std::string::npos);
}

TEST(Ubjson, RefusesAbsurdNesting) {
  EXPECT_NE(complaint(std::string(100'000, '[')).find("nests deeper than 256 levels"), std::string::npos);
}

TEST(Ubjson, ErrorsAboutValuesNameTheirPath) {
  const auto root = parse_ubjson(
      "{i\x01"
      "a[i\x01i\x02]}",
      "m.ubj");
  try {
    static_cast<void>(root.at("a").element(1).text());
    FAIL();
  } catch (const io_error& why) {
    EXPECT_STREQ(why.what(), "m.ubj: field 'a[1]': expected a text, found 2");
    EXPECT_EQ(why.line, 0U);
  }
}

}  // namespace
