// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

/// A whole CSV file as text, for reference tables in tests. No quoting.
struct csv_table {
  std::vector<std::string> names;
  std::vector<std::vector<std::string>> rows;

  explicit csv_table(const std::filesystem::path& path) {
    std::ifstream in(path);
    if (!in) throw std::runtime_error("cannot open " + path.string());
    std::string line;
    std::getline(in, line);
    names = split(line);
    while (std::getline(in, line)) {
      if (!line.empty()) rows.push_back(split(line));
    }
  }
  bool has(const std::string& name) const {
    for (const auto& n : names) {
      if (n == name) return true;
    }
    return false;
  }
  std::size_t column(const std::string& name) const {
    for (std::size_t j = 0; j < names.size(); ++j) {
      if (names[j] == name) return j;
    }
    throw std::runtime_error("no column " + name);
  }
  /// NaN where empty.
  double number(std::size_t row, std::size_t column) const {
    const std::string& text = rows[row].at(column);
    return text.empty() ? std::numeric_limits<double>::quiet_NaN() : std::strtod(text.c_str(), nullptr);
  }
  double number(std::size_t row, const std::string& name) const { return number(row, column(name)); }

 private:
  static std::vector<std::string> split(const std::string& line) {
    std::vector<std::string> fields;
    std::stringstream stream(line);
    for (std::string field; std::getline(stream, field, ',');) fields.push_back(field);
    if (!line.empty() && line.back() == ',') fields.emplace_back();
    return fields;
  }
};
