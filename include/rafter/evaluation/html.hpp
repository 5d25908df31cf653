// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "rafter/evaluation/report.hpp"
#include "rafter/evaluation/text.hpp"

namespace rafter {

/// The report as one self-contained HTML page: no scripts, nothing loaded from elsewhere.
inline std::string html_of(const evaluation_report& given) {
  using namespace detail;
  const evaluation_report report = shown(given);
  const auto safe = [](std::string_view text) {
    std::string out;
    for (const char c : text) {
      if (c == '<')
        out += "&lt;";
      else if (c == '>')
        out += "&gt;";
      else if (c == '&')
        out += "&amp;";
      else
        out += c;
    }
    return out;
  };
  std::string out =
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Step-time study</title><style>\n"
      "body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}\n"
      "table{border-collapse:collapse;font-variant-numeric:tabular-nums;margin:.5rem 0 1.5rem}\n"
      "th,td{padding:.25rem .7rem;text-align:right;border-bottom:1px solid #d8dee4}th{border-bottom:2px solid "
      "#8c959f}\n"
      ".l{text-align:left}.verdict{padding:.6rem 1rem;border-left:4px solid #1a7f37;background:#f0fff4}\n"
      ".verdict.bad{border-color:#cf222e;background:#fff0f0}h2{margin-top:2rem}code{font-size:.9em}\n"
      "</style></head><body>\n<h1>Step-time study</h1>\n";
  out += "<p>" + safe(report.source) + ": " + grouped(report.rows) + " rows of schema <code>" + safe(report.schema) +
         "</code>; target <code>" + safe(report.target) + "</code>; split <code>" + safe(report.split) + "</code>" +
         (report.split_title.empty() ? "" : " (" + safe(report.split_title) + ")") + "</p>\n";
  out += std::string("<h2>Plausibility of the target</h2>\n<p class=\"verdict") +
         (report.plausibility.plausible() ? "" : " bad") + "\">" + safe(report.plausibility.verdict()) + "</p>\n";
  if (report.plausibility.audited) out += audit_table(report.plausibility).html();
  if (report.test) {
    out += "<h2>Plausibility of the test data</h2>\n<p>" + safe(report.test->source) + ": " +
           grouped(report.test->rows) + " rows. " + safe(report.test->plausibility.verdict()) + "</p>\n";
    if (report.test->plausibility.audited) out += audit_table(report.test->plausibility).html();
  }
  out += "<h2>Results</h2>\n<p>Errors of the test rows; the best worst fold first.</p>\n" +
         overview_table(report).html();
  for (const predictor_result* one : by_worst_fold(report.results)) {
    if (one->folds.empty())
      out += "<p><b>" + safe(one->predictor) + "</b> was not evaluated: " + safe(one->refused) + "</p>\n";
  }
  for (const predictor_result* one : by_worst_fold(report.results)) {
    if (one->folds.empty()) continue;
    out += "<h3>" + safe(one->predictor) + "</h3>\n<p>" + safe(one->description) + "</p>\n" + fold_table(*one).html();
    if (is_parametric(*one)) {
      if (one->split) out += "<p>The " + safe(split_text(*one->split)) + ".</p>\n";
      out += "<p>The " + safe(parameters_title) + ".</p>\n" + parameter_table(*one).html();
    }
    for (const findings_list& each : findings_lists(*one)) {
      out += "<p>The " + safe(each.title) + ":</p>\n<ul>\n";
      for (const std::string& line : each.lines) out += "<li>" + safe(line) + "</li>\n";
      out += "</ul>\n";
    }
  }
  if (compares_parameters(report)) {
    const efficiency_report found = efficiency_of(report);
    out += "<h2>Accuracy against parameters</h2>\n<p>" + safe(efficiency_title(found)) + ".</p>\n" +
           efficiency_table(found).html();
  }
  const auto list = [&](std::string_view title, const std::vector<std::string>& lines) {
    if (lines.empty()) return;
    out += "<h2>" + std::string(title) + "</h2>\n<ul>\n";
    for (const std::string& line : lines) out += "<li>" + safe(line) + "</li>\n";
    out += "</ul>\n";
  };
  list("Cancellation", cancellations(report));
  list("Notes", report.notes);
  return out + "</body></html>\n";
}

}  // namespace rafter
