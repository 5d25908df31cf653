// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rafter/evaluation/rendering/markup.hpp"

namespace rafter {

/// What stands in a cell, and the number that it was made from: tables that programs read keep all its digits.
struct table_cell {
  std::string text;
  double value = std::numeric_limits<double>::quiet_NaN();  ///< as shown: 12.5 where the text says "12.50 %"

  table_cell(std::string shown) : text(std::move(shown)) {}
  table_cell(const char* shown) : text(shown) {}
  table_cell(std::string shown, double number) : text(std::move(shown)), value(number) {}
};

/// A table of texts, rendered as aligned plain text or as Markdown. Columns are left-aligned when their title begins
/// with `<`, else right-aligned.
class text_table {
 public:
  explicit text_table(std::vector<std::string> titles) : titles_(std::move(titles)) {
    for (std::string& title : titles_) {
      left_.push_back(!title.empty() && title.front() == '<');
      if (left_.back()) title.erase(0, 1);
    }
  }
  /// Appends a row; missing cells are empty, surplus ones are left out.
  void add(std::vector<table_cell> cells) {
    cells.resize(titles_.size(), table_cell(""));
    rows_.push_back(std::move(cells));
  }
  bool empty() const { return rows_.empty(); }
  const std::vector<std::string>& titles() const { return titles_; }
  std::vector<std::string>& titles() { return titles_; }
  bool left_aligned(std::size_t column) const { return left_[column]; }
  const std::vector<std::vector<table_cell>>& rows() const { return rows_; }
  std::vector<std::vector<table_cell>>& rows() { return rows_; }

  std::string plain(std::string_view indent = "  ") const {
    const std::vector<std::size_t> widths = column_widths();
    std::string text = line({titles_.begin(), titles_.end()}, widths, indent);
    std::size_t total = 0;
    for (const std::size_t width : widths) total += width + 2;
    text += std::string(indent) + std::string(total > 2 ? total - 2 : 0, '-') + '\n';
    for (const auto& row : rows_) text += line(row, widths, indent);
    return text;
  }

  std::string markdown() const {
    std::string text = "|";
    for (const std::string& title : titles_) text += ' ' + detail::in_markdown(title, false) + " |";
    text += "\n|";
    for (const bool left : left_) text += left ? "---|" : "---:|";
    text += '\n';
    for (const auto& row : rows_) {
      text += '|';
      for (const table_cell& cell : row) text += ' ' + detail::in_markdown(cell.text, false) + " |";
      text += '\n';
    }
    return text;
  }

 private:
  /// Columns of a terminal: continuation bytes of UTF-8 take none.
  static std::size_t width_of(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(
        text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
  }
  std::vector<std::size_t> column_widths() const {
    std::vector<std::size_t> widths;
    for (std::size_t c = 0; c < titles_.size(); ++c) {
      std::size_t width = width_of(titles_[c]);
      for (const auto& row : rows_) width = std::max(width, width_of(row[c].text));
      widths.push_back(width);
    }
    return widths;
  }
  std::string line(const std::vector<table_cell>& cells, const std::vector<std::size_t>& widths,
                   std::string_view indent) const {
    std::string text(indent);
    for (std::size_t c = 0; c < cells.size(); ++c) {
      const std::string padding(widths[c] - width_of(cells[c].text), ' ');
      text += left_[c] ? cells[c].text + padding : padding + cells[c].text;
      if (c + 1 < cells.size()) text += "  ";
    }
    while (!text.empty() && text.back() == ' ') text.pop_back();
    return text + '\n';
  }

  std::vector<std::string> titles_;
  std::vector<bool> left_;
  std::vector<std::vector<table_cell>> rows_;
};

}  // namespace rafter
