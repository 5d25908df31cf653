// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "rafter/config.hpp"
#include "rafter/evaluation/rendering/markup.hpp"
#include "rafter/evaluation/report.hpp"
#include "rafter/evaluation/section.hpp"
#include "rafter/evaluation/text.hpp"

namespace rafter {

/// Draws a plot as HTML (inline SVG and its legend, every text escaped), or nothing where it cannot; the page then says
/// whether there were points to draw.
using plot_renderer = std::function<std::optional<std::string>(const plot&)>;

struct html_options {
  std::string title = "Step-time study";
  plot_renderer draw = {};  ///< empty: the page says that its plots are left out; see rendering/gnuplot_process.hpp
};

namespace detail {

inline constexpr std::string_view page_style = R"(
:root{color-scheme:light dark;--page:#fff;--card:#f6f8fa;--text:#1f2328;--faint:#59636e;--line:#d1d9e0;--link:#0969da;
--good:#1a7f37;--odd:#9a6700;--bad:#cf222e}
@media (prefers-color-scheme:dark){:root{--page:#0d1117;--card:#161b22;--text:#e6edf3;--faint:#9198a1;--line:#3d444d;
--link:#4493f8;--good:#3fb950;--odd:#d29922;--bad:#f85149}}
*{box-sizing:border-box}
html{scroll-padding-top:1rem}
body{font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;color:var(--text);
background:var(--page);max-width:84rem;margin:0 auto;padding:1.5rem clamp(.8rem,3vw,2rem) 4rem}
a{color:var(--link)}
h1{font-size:1.9rem;margin:.2rem 0 .4rem}
h2{font-size:1.35rem;margin:2.6rem 0 .6rem;padding-top:.5rem;border-top:1px solid var(--line)}
h3{font-size:1.08rem;margin:1.4rem 0 .3rem}
p,ul,ol{max-width:62rem;margin:.5rem 0}
li{margin:.15rem 0}
code{font-size:.92em;overflow-wrap:anywhere}
p,li,dd,figcaption,summary,caption{overflow-wrap:anywhere}
dl{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.15rem 1rem;margin:.8rem 0;font-size:.94rem}
dt{color:var(--faint)}dd{margin:0}
nav{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.6rem 1rem;margin:1.2rem 0;font-size:.94rem}
nav ul{display:flex;flex-wrap:wrap;gap:.1rem 1.3rem;list-style:none;margin:0;padding:0}
.verdict{background:var(--card);border-left:.35rem solid var(--good);border-radius:.3rem;padding:.6rem 1rem;font-weight:600}
.verdict.odd{border-color:var(--odd)}.verdict.bad{border-color:var(--bad)}
.lead{font-weight:600}
.faint{color:var(--faint);font-size:.9rem}
.scroll{overflow-x:auto;margin:.6rem 0 1.2rem;max-width:100%}
.scroll:focus-visible{outline:2px solid var(--link)}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.9rem}
caption{text-align:left;color:var(--faint);padding:.2rem 0 .35rem}
th,td{padding:.28rem .75rem;text-align:right;vertical-align:top;border-bottom:1px solid var(--line)}
th{border-bottom:2px solid var(--faint);vertical-align:bottom;font-weight:600}
th:first-child,td:first-child{padding-left:.2rem}
.l{text-align:left}
td.l{max-width:34rem}
td:not(.l){white-space:nowrap}
tbody tr:hover{background:var(--card)}
figure{margin:1.2rem 0 1.4rem;max-width:42rem;min-width:0}
figcaption{font-weight:600;margin-bottom:.3rem}
figure .draw{overflow-x:auto}
figure svg{display:block;width:100%;min-width:22rem;height:auto;color:var(--text)}
.legend{display:flex;flex-wrap:wrap;gap:.1rem 1.2rem;list-style:none;padding:0;margin:.3rem 0;font-size:.9rem}
.legend span{display:inline-block;margin-right:.45rem;vertical-align:middle}
.dot{width:.65rem;height:.65rem;border-radius:50%;background:currentColor}
.bar{width:.8rem;height:.8rem;background:currentColor}
.line,.dash{width:1.5rem;border-top:3px solid currentColor}.dash{border-top:2px dashed currentColor}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,30rem),1fr));gap:0 2rem}
details{border:1px solid var(--line);border-radius:.5rem;margin:.5rem 0;padding:0 1rem}
details[open]{padding-bottom:.6rem}
summary{cursor:pointer;padding:.5rem 0}
summary h3{display:inline;margin:0 .6rem 0 0}
@media print{details{border:0}nav{display:none}}
)";

/// A table with its caption, in a box of its own that scrolls where the page is narrow.
RAFTER_COLD inline std::string html_table(const text_table& table, std::string_view caption = {},
                                          std::string_view label = "table") {
  std::string out = "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"" +
                    in_html(caption.empty() ? label : caption) + "\"><table>";
  if (!caption.empty()) out += "<caption>" + in_html(caption) + "</caption>";
  out += "<thead><tr>";
  for (std::size_t c = 0; c < table.titles().size(); ++c) {
    out += std::string(table.left_aligned(c) ? "<th scope=\"col\" class=\"l\">" : "<th scope=\"col\">") +
           in_html(table.titles()[c]) + "</th>";
  }
  out += "</tr></thead><tbody>\n";
  for (const auto& row : table.rows()) {
    out += "<tr>";
    for (std::size_t c = 0; c < row.size(); ++c) {
      out += std::string(table.left_aligned(c) ? "<td class=\"l\">" : "<td>") + in_html(row[c].text) + "</td>";
    }
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

RAFTER_COLD inline std::string html_list(const std::vector<std::string>& items) {
  std::string out = "<ul>\n";
  for (const std::string& item : items) out += "<li>" + in_html(item) + "</li>\n";
  return out + "</ul>\n";
}

RAFTER_COLD inline std::string html_verdict(const plausibility_report& audit) {
  const std::string_view kind = audit.audited && !audit.plausible()     ? " bad"
                                : !audit.audited || audit.all.below > 0 ? " odd"
                                                                        : "";
  return "<p class=\"verdict" + std::string(kind) + "\">" + in_html(audit.verdict()) + "</p>\n";
}

/// The blocks of a section. Plots that `draw` cannot draw are named in a sentence.
RAFTER_COLD inline std::string html_blocks(const report_section& section, const plot_renderer& draw) {
  std::string out;
  if (!section.summary.empty()) out += "<p class=\"lead\">" + in_html(section.summary) + "</p>\n";
  bool side_by_side = false;
  for (const section_block& block : section.blocks) {
    const bool picture_here = draw && std::holds_alternative<plot>(block);
    if (picture_here != side_by_side) out += picture_here ? "<div class=\"cards\">\n" : "</div>\n";
    side_by_side = picture_here;
    if (const auto* text = std::get_if<paragraph>(&block)) {
      out += "<p>" + in_html(text->text) + "</p>\n";
    } else if (const auto* list = std::get_if<bullet_list>(&block)) {
      out += html_list(list->items);
    } else if (const auto* table = std::get_if<captioned_table>(&block)) {
      constexpr std::size_t longest = 24;  // rows that a reader passes on the way to what comes next
      if (table->table.rows().size() > longest) {
        out += "<details><summary>" + in_html(table->caption.empty() ? section.title : table->caption) +
               " <span class=\"faint\">(" + grouped(table->table.rows().size()) + " rows)</span></summary>\n" +
               html_table(table->table, "", table->caption.empty() ? section.title : table->caption) + "</details>\n";
      } else {
        out += html_table(table->table, table->caption, section.title);
      }
    } else if (const auto* picture = std::get_if<plot>(&block); picture != nullptr && draw) {
      const std::optional<std::string> drawn = draw(*picture);
      out += "<figure id=\"figure-" + as_id(picture->id) + "\"><figcaption>" + in_html(picture->title) +
             "</figcaption>\n<div class=\"draw\" role=\"region\" tabindex=\"0\" aria-label=\"" +
             in_html("plot: " + picture->title) + "\">" +
             (drawn ? *drawn
              : has_points(*picture)
                  ? "<p class=\"faint\">The picture could not be drawn; the JSON report has its points.</p>"
                  : "<p class=\"faint\">There is nothing to draw: no point has a place on these axes.</p>") +
             "</div>\n";
      if (!picture->note.empty()) out += "<p class=\"faint\">" + in_html(picture->note) + "</p>\n";
      out += "</figure>\n";
    }
  }
  return side_by_side ? out + "</div>\n" : out;
}

}  // namespace detail

/// The report as one self-contained HTML page: no scripts, nothing loaded from elsewhere, light or dark as the reader has
/// it. First what it comes to (plausibility, hypotheses where a section "hypotheses" has them, the overview with each
/// predictor's worst fold), then the other sections with their plots, then every fold of every predictor.
RAFTER_COLD inline std::string html_of(const evaluation_report& given, const html_options& options = {}) {
  using namespace detail;
  const evaluation_report report = shown(given);
  const auto& safe = in_html;
  const auto order = by_worst_fold(report.results);

  distinct_ids own_id;
  std::vector<std::string> section_ids;
  for (const report_section& one : report.sections) section_ids.push_back(own_id("s-" + as_id(one.id)));
  struct part {
    std::string id, title, body;
  };
  std::vector<part> parts;
  std::size_t pictures = 0;
  for (const report_section& one : report.sections) {
    pictures +=
        static_cast<std::size_t>(std::count_if(one.blocks.begin(), one.blocks.end(), [](const section_block& block) {
          return std::holds_alternative<plot>(block);
        }));
  }

  std::string audited = html_verdict(report.plausibility), summary;
  if (report.test) {
    audited += "<p>Of the test data, " + safe(report.test->source) + ", " + grouped(report.test->rows) +
               " rows:</p>\n" + html_verdict(report.test->plausibility);
  }
  summary += "<p>Errors of the test rows; the best worst fold first.</p>\n" +
             html_table(overview_table(report), "", "results");
  std::vector<std::string> refused;
  for (const predictor_result* one : order) {
    if (one->folds.empty()) refused.push_back(one->predictor + " was not evaluated: " + one->refused);
  }
  if (!refused.empty()) {
    summary += "<details><summary>" + std::to_string(refused.size()) +
               (refused.size() == 1 ? " predictor was" : " predictors were") + " not evaluated</summary>\n" +
               html_list(refused) + "</details>\n";
  }
  std::string sentences;
  for (std::size_t i = 0; i < report.sections.size(); ++i) {
    const report_section& one = report.sections[i];
    if (one.summary.empty() || one.id == "hypotheses") continue;
    sentences +=
        "<li><a href=\"#" + section_ids[i] + "\">" + safe(one.title) + "</a>: " + safe(one.summary) + "</li>\n";
  }
  if (!sentences.empty()) summary += "<h3>In short</h3>\n<ul>\n" + sentences + "</ul>\n";
  if (pictures > 0 && !options.draw) {
    summary +=
        "<p class=\"faint\">The " + std::to_string(pictures) +
        " plots are left out, for gnuplot was not there when the page was made; the tables stand alone, and the "
        "JSON report has the plots' points.</p>\n";
  }
  const auto show_sections = [&](bool hypotheses) {
    for (std::size_t i = 0; i < report.sections.size(); ++i) {
      const report_section& one = report.sections[i];
      if ((one.id == "hypotheses") != hypotheses) continue;
      parts.push_back({section_ids[i], one.title, html_blocks(one, options.draw)});
    }
  };
  show_sections(true);
  parts.push_back({"results", "Results", summary});
  show_sections(false);

  std::string predictors = "<p>Every fold, the worst first. Open a line to read on.</p>\n";
  for (const predictor_result* one : order) {
    if (one->folds.empty()) continue;
    predictors += "<details id=\"" + own_id("p-" + as_id(one->predictor)) + "\"><summary><h3>" +
                  safe(one->predictor) + "</h3> <span class=\"faint\">worst fold " + safe(one->worst()->held_out) +
                  ": " + percent(one->worst_mape()) + " %, mean " + percent(one->mean_mape()) +
                  " %</span></summary>\n<p>" + safe(one->description) + "</p>\n" +
                  html_table(fold_table(*one), "", one->predictor + ": folds");
    if (is_parametric(*one)) {
      if (one->split) predictors += "<p>The " + safe(split_text(*one->split)) + ".</p>\n";
      predictors += html_table(parameter_table(*one), "The " + std::string(parameters_title) + ".");
    }
    for (const findings_list& each : findings_lists(*one)) {
      predictors += "<p>The " + safe(each.title) + ":</p>\n" + html_list(each.lines);
    }
    predictors += "</details>\n";
  }
  parts.push_back({"predictors", "Predictors, fold by fold", predictors});
  if (compares_parameters(report)) {
    const efficiency_report found = efficiency_of(report);
    const bool said = std::any_of(parts.begin(), parts.end(),
                                  [](const part& one) { return one.title == "Accuracy against parameters"; });
    parts.push_back({"parameters", said ? "What a parameter removes" : "Accuracy against parameters",
                     "<p>" + safe(efficiency_title(found)) + ".</p>\n" +
                         html_table(efficiency_table(found), "", "accuracy against parameters")});
  }
  if (report.plausibility.audited || (report.test && report.test->plausibility.audited)) {
    std::string audit =
        "<p>Each measured time beside the least that the step can take: reading the weights that it touches "
        "once.</p>\n";
    const auto add = [&](const plausibility_report& of, std::string_view caption) {
      if (!of.audited) return;
      audit += html_table(audit_table(of), caption, "plausibility");
      std::vector<std::string> lowest;
      for (const implausible_row& row : of.worst) {
        lowest.push_back(
            fmt::format("line {}: {} us, floor {} us", row.line, microseconds(row.time), microseconds(row.floor)));
      }
      if (!lowest.empty()) audit += "<p>The lowest:</p>\n" + html_list(lowest);
    };
    add(report.plausibility, report.test ? "the data" : "");
    if (report.test) add(report.test->plausibility, "the test data");
    if (report.idle_rows > 0) {
      audit += fmt::format("<p>{} idle rows (no tokens) have no floor.</p>\n", report.idle_rows);
    }
    parts.push_back({"plausibility", "Plausibility of the target", audit});
  }
  if (const std::vector<std::string> hidden = cancellations(report); !hidden.empty()) {
    parts.push_back(
        {"cancellation", "Cancellation", "<p>Errors of both signs that a mean hides.</p>\n" + html_list(hidden)});
  }
  if (!report.notes.empty()) parts.push_back({"notes", "Notes", html_list(report.notes)});

  std::string out =
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
      "<meta name=\"color-scheme\" content=\"light dark\">\n<title>" +
      safe(options.title) + ": " + safe(report.source) + "</title>\n<style>" + std::string(page_style) +
      "</style></head><body>\n<header><h1>" + safe(options.title) + "</h1>\n<dl>";
  const auto fact = [&](std::string_view name, const std::string& value) {
    if (!value.empty()) out += "<dt>" + std::string(name) + "</dt><dd>" + safe(value) + "</dd>";
  };
  fact("data", report.source + ", " + grouped(report.rows) + " rows of schema " + report.schema);
  fact("target", report.target);
  fact("split", report.split_title.empty() || report.split_title == report.split
                    ? report.split
                    : report.split + ": " + report.split_title);
  fact("content sha256", report.digest);
  out += "</dl></header>\n" + audited + "<nav aria-label=\"contents\"><ul>";
  for (const part& one : parts) out += "<li><a href=\"#" + one.id + "\">" + safe(one.title) + "</a></li>";
  out += "</ul></nav>\n<main>\n";
  for (const part& one : parts) {
    out += "<section id=\"" + one.id + "\" aria-labelledby=\"h-" + one.id + "\"><h2 id=\"h-" + one.id + "\">" +
           safe(one.title) + "</h2>\n" + one.body + "</section>\n";
  }
  return out + "</main>\n</body></html>\n";
}

}  // namespace rafter
