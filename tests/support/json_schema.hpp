// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

/// The part of JSON Schema (draft 7) that rafter's own schemas use; a keyword outside it is an error.
namespace tiny {

using json_value = nlohmann::ordered_json;

inline bool has_type(const json_value& value, const std::string& type) {
  if (type == "integer") return value.is_number_integer();
  if (type == "number") return value.is_number();
  return type == (value.is_object()    ? "object"
                  : value.is_array()   ? "array"
                  : value.is_string()  ? "string"
                  : value.is_boolean() ? "boolean"
                                       : "null");
}

/// Appends a line "place: what is wrong" for each way in which `value` is not what `schema` says.
inline void check_schema(const json_value& value, const json_value& schema, const json_value& root,
                         const std::string& place, std::vector<std::string>& wrong) {
  const auto add = [&](const std::string& what) { wrong.push_back(place + ": " + what); };
  static const std::set<std::string> known{
      "$schema", "title",   "description", "definitions", "$ref",       "type",     "const",
      "enum",    "minimum", "pattern",     "items",       "properties", "required", "additionalProperties",
      "oneOf"};
  for (const auto& [keyword, ignored] : schema.items()) {
    if (!known.contains(keyword)) throw std::runtime_error("the schema has the keyword " + keyword);
  }
  if (schema.contains("$ref")) {
    const auto target = nlohmann::ordered_json::json_pointer(schema["$ref"].get<std::string>().substr(1));
    check_schema(value, root.at(target), root, place, wrong);
  }
  if (schema.contains("type")) {
    const json_value types = schema["type"].is_array() ? schema["type"] : json_value::array({schema["type"]});
    if (std::none_of(types.begin(), types.end(), [&](const json_value& one) { return has_type(value, one); })) {
      add("is not " + types.dump());
      return;
    }
  }
  if (schema.contains("const") && value != schema["const"]) add("is not " + schema["const"].dump());
  if (schema.contains("enum") &&
      std::find(schema["enum"].begin(), schema["enum"].end(), value) == schema["enum"].end()) {
    add(value.dump() + " is not one of " + schema["enum"].dump());
  }
  if (schema.contains("minimum") && value.is_number() && value.get<double>() < schema["minimum"].get<double>()) {
    add(value.dump() + " is too small");
  }
  if (schema.contains("pattern") && value.is_string() &&
      !std::regex_search(value.get<std::string>(), std::regex(schema["pattern"].get<std::string>()))) {
    add(value.dump() + " does not match");
  }
  if (schema.contains("items") && value.is_array()) {
    for (std::size_t i = 0; i < value.size(); ++i) {
      check_schema(value[i], schema["items"], root, place + "[" + std::to_string(i) + "]", wrong);
    }
  }
  if (value.is_object()) {
    for (const json_value& name : schema.value("required", json_value::array())) {
      if (!value.contains(name.get<std::string>())) add("lacks " + name.dump());
    }
    for (const auto& [name, member] : value.items()) {
      if (schema.contains("properties") && schema["properties"].contains(name)) {
        check_schema(member, schema["properties"][name], root, place + "." + name, wrong);
      } else if (schema.value("additionalProperties", true) == false) {
        add("has \"" + name + "\", which the schema does not name");
      }
    }
  }
  if (schema.contains("oneOf")) {
    std::size_t fitting = 0;
    std::string all;
    for (const json_value& one : schema["oneOf"]) {
      std::vector<std::string> here;
      check_schema(value, one, root, place, here);
      fitting += here.empty();
      if (!here.empty()) all += "; " + here.front();
    }
    if (fitting != 1) add("fits " + std::to_string(fitting) + " of the alternatives" + all);
  }
}

inline std::vector<std::string> against_schema(const json_value& value, const json_value& schema) {
  std::vector<std::string> wrong;
  check_schema(value, schema, schema, "report", wrong);
  return wrong;
}

/// Names of all properties, at any depth.
inline void property_names(const json_value& schema, std::set<std::string>& names) {
  if (schema.is_object() && schema.contains("properties")) {
    for (const auto& [name, ignored] : schema["properties"].items()) names.insert(name);
  }
  for (const json_value& part : schema) {
    if (part.is_structured()) property_names(part, names);
  }
}

}  // namespace tiny
