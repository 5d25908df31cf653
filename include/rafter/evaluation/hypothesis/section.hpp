// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: the language of hypotheses takes a second or two to compile; for those who state them.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rafter/config.hpp"
#include "rafter/evaluation/hypothesis/hypothesis.hpp"
#include "rafter/evaluation/rendering/columns.hpp"
#include "rafter/evaluation/section.hpp"

namespace rafter {

namespace detail {

/// "29.33 % (Llama-3.2-1B), 9.33 points above 20 %", or why there is no number.
RAFTER_COLD inline std::string measured_text(const hypotheses::evidence_line& line) {
  using namespace hypotheses::detail;
  if (line.holds == hypotheses::truth::unknown) {
    const bool told = !line.decided_by.empty() && !std::isnan(line.measured);
    return "unknown: " + line.why_unknown + (told ? " (" + line.decided_by + ")" : std::string());
  }
  if (std::isnan(line.measured)) return line.decided_by.empty() ? "" : "decided by " + line.decided_by;
  std::string text = value_text(line.measured, line.in);
  if (!line.decided_by.empty()) text += " (" + line.decided_by + ")";
  if (!std::isnan(line.margin)) {
    text += ", " + difference_text(std::abs(line.margin), line.in) +
            (line.measured < line.threshold ? " below " : " above ") + threshold_text(line.threshold, line.in);
  }
  if (line.interval) {
    text += ", interval " + value_text(line.interval->lower, line.in) + " to " +
            value_text(line.interval->upper, line.in);
    if (!line.interval->how.empty()) text += " (" + line.interval->how + ")";
  }
  if (line.too_close) text += ": TOO CLOSE TO CALL";
  return text;
}

inline std::string title_of(const verdict& of) { return of.name.empty() ? of.claim : of.name + ": " + of.claim; }

}  // namespace detail

/// A verdict with its evidence, for a terminal.
RAFTER_COLD inline std::string text_of(const verdict& of, std::size_t width = 100) {
  std::string kind(name_of(of.kind));
  std::transform(kind.begin(), kind.end(), kind.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? char(c - 32) : c; });
  std::string text = wrapped(detail::title_of(of), width, "", "  ");
  text += wrapped(kind + (of.reason.empty() ? "" : ": " + of.reason), width, "  ", "    ");
  const std::string hanging(16, ' ');
  std::string role, unknown;
  for (const hypotheses::evidence_line& line : of.evidence) {
    if (line.role != role) {
      const auto asked = std::find_if(of.conditions.begin(), of.conditions.end(),
                                      [&](const verdict::asked& one) { return one.role == line.role; });
      text += "  " + line.role;
      if (asked != of.conditions.end()) text += ": " + std::string(hypotheses::name_of(asked->holds));
      text += "\n";
      role = line.role;
    }
    std::string measured = detail::measured_text(line);
    if (line.holds == hypotheses::truth::unknown) {
      if (measured == unknown)
        measured = "unknown, as above";
      else
        unknown = measured;
    }
    const bool only_shown = line.role == "observed" && line.holds == hypotheses::truth::yes;
    std::string mark(only_shown ? "" : hypotheses::name_of(line.holds));
    mark.resize(8, ' ');
    text += wrapped(line.condition, width, (line.part ? "      " : "    ") + mark, hanging);
    if (!measured.empty()) text += wrapped(measured, width, hanging.substr(2), hanging);
  }
  return text;
}

/// Verdicts first, then the evidence of each.
RAFTER_COLD inline report_section hypotheses_section(const std::vector<verdict>& all) {
  std::array<std::size_t, 6> counts{};
  std::size_t close = 0;
  for (const verdict& one : all) {
    ++counts[static_cast<std::size_t>(one.kind)];
    close += one.close_calls;
  }
  std::string summary = std::to_string(all.size()) + (all.size() == 1 ? " hypothesis" : " hypotheses");
  const char* sign = ": ";
  for (std::size_t k = 0; k < counts.size(); ++k) {
    if (counts[k] == 0) continue;
    summary += sign + std::to_string(counts[k]) + " " + std::string(name_of(static_cast<verdict_kind>(k)));
    sign = ", ";
  }
  if (close > 0)
    summary +=
        "; " + std::to_string(close) + (close == 1 ? " comparison is" : " comparisons are") + " too close to call";
  summary += ".";
  report_section made{"hypotheses", "Hypotheses", std::move(summary), {}};
  if (all.empty()) {
    made.blocks.push_back(paragraph{"No hypothesis was stated."});
    return made;
  }
  text_table verdicts({"<hypothesis", "<verdict", "supported if", "refuted if"});
  for (const verdict& one : all) {
    const auto holds = [&](std::string_view role) {
      for (const verdict::asked& asked : one.conditions) {
        if (asked.role == role) return std::string(hypotheses::name_of(asked.holds));
      }
      return std::string("-");
    };
    verdicts.add({one.name.empty() ? one.claim : one.name, std::string(name_of(one.kind)), holds("supported_if"),
                  holds("refuted_if")});
  }
  made.blocks.push_back(captioned_table{"Verdicts", std::move(verdicts)});
  for (const verdict& one : all) {
    made.blocks.push_back(paragraph{detail::title_of(one) + ": " + std::string(name_of(one.kind)) +
                                    (one.reason.empty() ? "." : ": " + one.reason + ".")});
    bullet_list lines;
    for (const hypotheses::evidence_line& line : one.evidence) {
      const std::string measured = detail::measured_text(line);
      lines.items.push_back(line.role +
                            (line.role == "observed" ? "" : ", " + std::string(hypotheses::name_of(line.holds))) +
                            ": " + line.condition + (measured.empty() ? "" : ": " + measured));
    }
    made.blocks.push_back(std::move(lines));
  }
  return made;
}

}  // namespace rafter
