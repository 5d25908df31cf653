// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "rafter/config.hpp"

namespace rafter::detail {

/// Text that HTML and SVG show as it is, in elements and in quoted attributes.
inline std::string in_html(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

/// What may stand in an id: letters, digits and hyphens; all else becomes a hyphen.
inline std::string as_id(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    out += plain || c == '_' ? c : '-';
  }
  return out;
}

/// Ids, each once: one that was there before, or that as_id makes the same, gets a number.
class distinct_ids {
 public:
  std::string operator()(std::string id) {
    const std::string wanted = id;
    for (int next = 2; std::find(taken_.begin(), taken_.end(), as_id(id)) != taken_.end(); ++next) {
      id = wanted + "-" + std::to_string(next);
    }
    taken_.push_back(as_id(id));
    return id;
  }

 private:
  std::vector<std::string> taken_;
};

/// Text that Markdown shows as it is, links and HTML included. Underscores inside words are no markup.
/// @param line  does it begin a line, where further characters mean something? Not in a cell of a table
RAFTER_COLD inline std::string in_markdown(std::string_view text, bool line = true) {
  const auto is_word = [&](std::size_t at) {
    return at < text.size() && (std::isalnum(static_cast<unsigned char>(text[at])) != 0);
  };
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    const bool start = line && at == 0 && std::string_view("#+->=").find(c) != std::string_view::npos;
    const bool markup = std::string_view("\\*`<[]|~").find(c) != std::string_view::npos ||
                        (c == '_' && !(at > 0 && is_word(at - 1) && is_word(at + 1))) ||
                        (c == '&' && (is_word(at + 1) || text.substr(at + 1, 1) == "#"));
    if (start || markup) out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}
/// A name as code, where it can be.
RAFTER_COLD inline std::string code_in_markdown(std::string_view name) {
  return name.find('`') == std::string_view::npos ? '`' + std::string(name) + '`' : in_markdown(name);
}

}  // namespace rafter::detail
