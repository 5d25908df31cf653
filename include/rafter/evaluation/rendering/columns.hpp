// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "rafter/config.hpp"
#include "rafter/evaluation/table.hpp"

/// Text within the columns of a terminal: wrapped lines, and tables that are made to fit.
namespace rafter {

namespace detail {

/// Columns of a terminal: continuation bytes of UTF-8 take none.
inline std::size_t shown_width(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}
/// Bytes of the first `columns` characters.
inline std::size_t bytes_of(std::string_view text, std::size_t columns) {
  std::size_t at = 0;
  while (at < text.size()) {
    std::size_t next = at + 1;
    while (next < text.size() && (static_cast<unsigned char>(text[next]) & 0xC0U) == 0x80U) ++next;
    if (columns-- == 0) break;
    at = next;
  }
  return at;
}

/// Lines of at most `columns` characters, broken at spaces; a longer word is broken after '-', '_', '/', ',' or, where
/// it has none, anywhere. Spaces at a break are left out, others stay.
RAFTER_COLD inline std::vector<std::string> lines_of(std::string_view text, std::size_t columns,
                                                     std::size_t first = 0) {
  std::vector<std::string> lines;
  columns = std::max<std::size_t>(columns, 1);
  for (std::size_t room = first == 0 ? columns : std::max<std::size_t>(first, 1);; room = columns) {
    if (shown_width(text) <= room) {
      lines.emplace_back(text);
      return lines;
    }
    const std::size_t most = bytes_of(text, room);
    std::size_t end = text[most] == ' ' ? most : text.substr(0, most).rfind(' ');
    if (end == std::string_view::npos || text.substr(0, end).find_first_not_of(' ') == std::string_view::npos) {
      const std::size_t mark = text.substr(0, most).find_last_of("-_/,");
      end = mark == std::string_view::npos || 2 * (mark + 1) < most ? most : mark + 1;
    }
    lines.emplace_back(text.substr(0, end));
    while (!lines.back().empty() && lines.back().back() == ' ') lines.back().pop_back();
    text.remove_prefix(end);
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    if (text.empty()) return lines;
  }
}

/// The beginning and the end of a text with … between them, in `columns` characters.
inline std::string shortened(std::string_view text, std::size_t columns) {
  const std::size_t width = shown_width(text);
  if (width <= columns || columns < 3) return std::string(text);
  const std::size_t front = (columns - 1) / 2, back = columns - 1 - front;
  return std::string(text.substr(0, bytes_of(text, front))) + "…" +
         std::string(text.substr(bytes_of(text, width - back)));
}

/// Cells of one column in `columns` characters: each a list of lines. Texts with spaces are wrapped; those without
/// (labels) are shortened in the middle, or wrapped too where two would look the same.
RAFTER_COLD inline std::vector<std::vector<std::string>> fitted_cells(const std::vector<std::string>& cells,
                                                                      std::size_t columns, bool& any_shortened) {
  std::vector<std::string> before, after;
  for (const std::string& cell : cells) {
    if (shown_width(cell) <= columns || cell.find(' ') != std::string::npos) continue;
    before.push_back(cell);
  }
  std::sort(before.begin(), before.end());
  before.erase(std::unique(before.begin(), before.end()), before.end());
  for (const std::string& cell : before) after.push_back(shortened(cell, columns));
  std::sort(after.begin(), after.end());
  const bool distinct = columns >= 16 && std::adjacent_find(after.begin(), after.end()) == after.end();
  std::vector<std::vector<std::string>> fitted;
  for (const std::string& cell : cells) {
    if (shown_width(cell) <= columns) {
      fitted.push_back({cell});
    } else if (distinct && cell.find(' ') == std::string::npos) {
      fitted.push_back({shortened(cell, columns)});
      any_shortened = true;
    } else {
      fitted.push_back(lines_of(cell, columns));
    }
  }
  return fitted;
}

}  // namespace detail

/// `text` as lines of at most `columns` characters, the first after `indent`, the others after `hanging`.
RAFTER_COLD inline std::string wrapped(std::string_view text, std::size_t columns, std::string_view indent = "",
                                       std::string_view hanging = "") {
  const std::size_t inside = columns > hanging.size() ? columns - hanging.size() : 1;
  const std::size_t first = columns > indent.size() ? columns - indent.size() : 1;
  std::string out;
  for (const std::string& line : detail::lines_of(text, inside, first)) {
    out.append(out.empty() ? indent : hanging).append(line).append("\n");
  }
  return out;
}

/// How a table stands on a terminal.
struct table_look {
  std::size_t columns = 100;
  std::string_view indent = "  ";
  std::vector<std::string_view> droppable =
      {};  ///< titles of columns that a table too wide does without, in this order
  std::vector<std::string_view> row_colours = {};  ///< ANSI sequences before a row; rows without one are plain
};
struct fitted_table {
  std::string text;
  bool any_shortened = false;         ///< does a label have … where its middle was?
  std::vector<std::string> left_out;  ///< titles of columns that were dropped
};

/// A table as plain text of at most `look.columns` characters a line. One that is too wide gets, in this order and as
/// little as needed: titles over two lines; fewer columns, of those that may be dropped; titles over more lines; its
/// left-aligned columns narrowed, texts wrapped and labels shortened in the middle; last, it is split into tables of fewer
/// columns, each with the first one.
RAFTER_COLD inline fitted_table plain_table(const text_table& table, const table_look& look = {}) {
  using namespace detail;
  const std::size_t count = table.titles().size();
  fitted_table made;
  if (count == 0) return made;
  const auto& rows = table.rows();
  // Widths: as is; title on two lines; title wrapped; cells narrowed too; and with as much as a short text or label wants.
  std::vector<std::size_t> natural(count, 0), titled_twice(count, 0), titled(count, 0), least(count, 0),
      easy(count, 0);
  std::vector<std::size_t> all;
  for (std::size_t c = 0; c < count; ++c) {
    all.push_back(c);
    constexpr std::size_t narrow_text = 16, narrow_label = 24;
    std::size_t cells = 0, word = 0;
    bool spaced = false;
    for (const auto& row : rows) {
      cells = std::max(cells, shown_width(row[c].text));
      spaced = spaced || row[c].text.find(' ') != std::string::npos;
    }
    const std::string& title = table.titles()[c];
    for (std::size_t at = 0; at <= title.size();) {
      const std::size_t end = std::min(title.find(' ', at), title.size());
      word = std::max(word, std::min(narrow_label, shown_width(std::string_view(title).substr(at, end - at))));
      at = end + 1;
    }
    natural[c] = std::max(cells, shown_width(title));
    std::size_t twice = shown_width(title);
    for (std::size_t at = title.find(' '); at != std::string::npos; at = title.find(' ', at + 1)) {
      twice = std::min(twice, std::max(shown_width(std::string_view(title).substr(0, at)),
                                       shown_width(std::string_view(title).substr(at + 1))));
    }
    titled_twice[c] = std::max(cells, twice);
    titled[c] = std::max(cells, word);
    const std::size_t down_to = spaced ? narrow_text : narrow_label;
    least[c] = table.left_aligned(c) ? std::max(word, std::min(cells, down_to)) : titled[c];
    easy[c] = table.left_aligned(c) ? std::max(word, std::min(cells, spaced ? 2 * down_to : down_to)) : titled[c];
  }
  const auto total = [&](const std::vector<std::size_t>& of) {
    std::size_t sum = look.indent.size() + 2 * (of.empty() ? 0 : of.size() - 1);
    for (const std::size_t one : of) sum += one;
    return sum;
  };
  const auto of_part = [](const std::vector<std::size_t>& part, const std::vector<std::size_t>& from) {
    std::vector<std::size_t> made_of;
    for (const std::size_t c : part) made_of.push_back(from[c]);
    return made_of;
  };
  // Widths of columns that stand together: by and by the widest of those that have something to give gives one.
  const auto widths_of = [&](const std::vector<std::size_t>& part) {
    std::vector<std::size_t> width = of_part(part, natural);
    for (const auto* const floor : {&titled_twice, &titled, &least}) {
      const std::vector<std::size_t> down_to = of_part(part, *floor);
      while (total(width) > look.columns) {
        std::size_t best = width.size();
        for (std::size_t i = 0; i < width.size(); ++i) {
          if (width[i] > down_to[i] && (best == width.size() || width[i] > width[best])) best = i;
        }
        if (best == width.size()) break;
        --width[best];
      }
    }
    const std::size_t over = total(width) - std::min(total(width), look.columns);  // few columns, and even so
    if (over > 0) width.back() -= std::min(over, width.back() - 1);
    return width;
  };
  for (const std::string_view title : look.droppable) {
    if (total(of_part(all, easy)) <= look.columns) break;
    const auto at = std::find_if(all.begin(), all.end(), [&](std::size_t c) { return table.titles()[c] == title; });
    if (at == all.end()) continue;
    made.left_out.emplace_back(title);
    all.erase(at);
  }
  std::vector<std::vector<std::size_t>> parts(1);  // which columns stand together: all, or as many as fit
  for (const std::size_t c : all) {
    std::vector<std::size_t> with = parts.back();
    with.push_back(c);
    if (total(of_part(with, least)) > look.columns && parts.back().size() > 1) {
      parts.push_back({0, c});
    } else {
      parts.back() = std::move(with);
    }
  }
  for (const std::vector<std::size_t>& part : parts) {
    const std::vector<std::size_t> widths = widths_of(part);
    std::vector<std::vector<std::vector<std::string>>> lines;  // column, row (the first: titles), line
    for (std::size_t i = 0; i < part.size(); ++i) {
      std::vector<std::string> texts;
      for (const auto& row : rows) texts.push_back(row[part[i]].text);
      lines.push_back(fitted_cells(texts, widths[i], made.any_shortened));
      lines[i].insert(lines[i].begin(), lines_of(table.titles()[part[i]], widths[i]));
    }
    for (std::size_t r = 0; r <= rows.size(); ++r) {
      std::size_t height = 1;
      for (const auto& column : lines) height = std::max(height, column[r].size());
      const std::string_view colour =
          r == 0 || r > look.row_colours.size() ? std::string_view() : look.row_colours[r - 1];
      for (std::size_t l = 0; l < height; ++l) {
        std::string line;
        for (std::size_t i = 0; i < part.size(); ++i) {
          const std::vector<std::string>& cell = lines[i][r];
          const std::size_t above = r == 0 ? height - cell.size() : 0;  // titles stand on the rule
          const std::string text = l >= above && l - above < cell.size() ? cell[l - above] : std::string();
          const std::string padding(widths[i] - std::min(widths[i], shown_width(text)), ' ');
          line += table.left_aligned(part[i]) ? text + padding : padding + text;
          if (i + 1 < part.size()) line += "  ";
        }
        while (!line.empty() && line.back() == ' ') line.pop_back();
        made.text.append(look.indent)
            .append(colour)
            .append(line)
            .append(colour.empty() ? "" : "\x1b[0m")
            .append("\n");
      }
      if (r == 0) {
        made.text.append(look.indent).append(std::string(total(widths) - look.indent.size(), '-')).append("\n");
      }
    }
    if (&part != &parts.back()) made.text += '\n';
  }
  return made;
}

}  // namespace rafter
