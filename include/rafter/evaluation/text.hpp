// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "rafter/evaluation/parameter_efficiency.hpp"
#include "rafter/evaluation/parameter_table.hpp"
#include "rafter/evaluation/report.hpp"
#include "rafter/evaluation/table.hpp"
#include "rafter/io/error.hpp"

namespace rafter {
namespace detail {

/// The report with its texts as they may be shown: labels and notes come from files, and may hold control characters,
/// line ends and bytes that are not UTF-8.
inline evaluation_report shown(evaluation_report report) {
  const auto show = [](std::string& text) { text = printable(text, 4096); };
  show(report.source);
  show(report.split_title);
  for (std::string& note : report.notes) show(note);
  for (plausibility_group& one : report.plausibility.groups) show(one.label);
  for (predictor_result& result : report.results) {
    show(result.refused);
    for (fold_result& one : result.folds) {
      show(one.held_out);
      for (fitted_parameter& each : one.parameters) {  // of a parameter per label the name has the label
        show(each.name);
        show(each.note);
      }
      for (std::string& line : one.findings) show(line);
    }
    if (result.split) {
      show(result.split->held_out);
      show(result.split->refused);
    }
  }
  return report;
}

/// A fraction as a percentage; never a bare `nan`.
inline std::string percent(double fraction, int digits = 2) {
  if (std::isnan(fraction)) return "n/a";
  if (std::abs(fraction) >= 1e4) return fmt::format("{:.3g}", 100.0 * fraction);
  return fmt::format("{:.{}f}", 100.0 * fraction, digits);
}
inline std::string signed_percent(double fraction) {
  return std::isnan(fraction) ? "n/a" : fmt::format("{:+.2f}", 100.0 * fraction);
}
inline std::string number(double value, int digits) {
  return std::isnan(value) ? "n/a" : fmt::format("{:.{}f}", value, digits);
}
inline std::string microseconds(double time) {
  return time * 1e6 >= 100.0 ? fmt::format("{:.0f}", time * 1e6) : fmt::format("{:.1f}", time * 1e6);
}
inline std::string grouped(std::size_t count) {
  std::string digits = std::to_string(count);
  for (std::size_t at = digits.size(); at > 3;) digits.insert(at -= 3, 1, ',');
  return digits;
}

inline text_table audit_table(const plausibility_report& audit) {
  text_table table({"<" + (audit.axis.empty() ? "rows" : audit.axis), "rows", "below floor %", "lowest time/floor",
                    "median time/floor", "median floor us"});
  const auto add = [&](const plausibility_group& g) {
    table.add({g.label, grouped(g.rows), percent(g.share_below()), number(g.lowest_ratio, 3),
               number(g.median_ratio, 3), microseconds(g.median_floor)});
  };
  for (const plausibility_group& g : audit.groups) add(g);
  if (audit.groups.size() != 1) add(audit.all);
  return table;
}

/// Predictors in the order of their worst fold, best first; those without folds last.
inline std::vector<const predictor_result*> by_worst_fold(const std::vector<predictor_result>& results) {
  std::vector<const predictor_result*> order;
  for (const predictor_result& one : results) order.push_back(&one);
  std::stable_sort(order.begin(), order.end(), [](const predictor_result* a, const predictor_result* b) {
    const auto key = [](const predictor_result* r) {
      return r->folds.empty() ? 2e300 : std::isnan(r->worst_mape()) ? 1e300 : r->worst_mape();
    };
    return key(a) < key(b);
  });
  return order;
}

inline text_table overview_table(const evaluation_report& report) {
  text_table table(
      {"<predictor", "worst fold MAPE %", "<worst fold", "mean %", "median %", "parameters", "identifiable"});
  for (const predictor_result* one : by_worst_fold(report.results)) {
    if (one->folds.empty()) continue;
    table.add({one->predictor, percent(one->worst_mape()), one->worst()->held_out, percent(one->mean_mape()),
               percent(one->median_mape()), std::to_string(one->parameters()), std::to_string(one->identifiable())});
  }
  return table;
}

/// How a fit went, in few words: of a parametric one the counts, for its findings are told beside the table.
inline std::string fit_text(const fold_result& one) {
  std::string fit = one.fit.healthy ? std::string() : "! ";
  if (one.parameters.empty()) {
    fit += one.fit.status;
  } else {
    fit += one.fit.healthy ? "ok" : one.fit.status.substr(0, one.fit.status.find(';'));
    if (one.fit.identifiable < one.fit.parameters) {
      fit += fmt::format(", {}/{} identifiable", one.fit.identifiable, one.fit.parameters);
    }
    const auto at_bound =
        std::count_if(one.parameters.begin(), one.parameters.end(), [](const fitted_parameter& each) {
          return each.state == parameter_state::at_lower_bound || each.state == parameter_state::at_upper_bound;
        });
    if (at_bound > 0) fit += fmt::format(", {} at bound", at_bound);
  }
  if (one.errors.not_finite > 0) fit += fmt::format("; {} predictions not finite", one.errors.not_finite);
  if (one.errors.zero_actual > 0) fit += fmt::format("; {} rows with time 0 left out", one.errors.zero_actual);
  return fit;
}

inline text_table fold_table(const predictor_result& result) {
  text_table table({"<held out", "train", "test", "MAPE %", "MSPE (signed) %", "median %", "p90 %", "p99 %",
                    "> 50 % off", "r", "<fit"});
  std::vector<const fold_result*> order;
  for (const fold_result& one : result.folds) order.push_back(&one);
  std::stable_sort(order.begin(), order.end(), [](const fold_result* a, const fold_result* b) {
    const auto key = [](const fold_result* f) { return std::isnan(f->errors.mape) ? 1e300 : f->errors.mape; };
    return key(a) > key(b);
  });
  for (const fold_result* one : order) {
    const error_summary& e = one->errors;
    table.add({one->held_out, grouped(one->train_rows), grouped(one->rows), percent(e.mape),
               signed_percent(e.mean_signed_percentage_error), percent(e.median_ape), percent(e.p90_ape),
               percent(e.p99_ape), percent(e.share_above_half), number(e.pearson, 3), fit_text(*one)});
  }
  return table;
}

/// What the error of a parametric model's worst fold is made of, in one line.
inline std::string split_text(const error_split& split) {
  const auto both = [](const error_summary& e) {
    return percent(e.mape) + " % (signed " + signed_percent(e.mean_signed_percentage_error) + ")";
  };
  std::string text = fmt::format("worst fold {}: {} = ", split.held_out, both(split.transferred));
  if (split.refused.empty()) {
    const double lost = split.correction_error();
    text += both(split.refitted) + " of the form (fitted on these rows, a diagnosis that no prediction sees) " +
            (lost < 0.0 ? "- " : "+ ") + percent(std::abs(lost)) + " % not transferred";
  } else {
    text += "unknown parts, for the form cannot be fitted on these rows alone (" + split.refused + ")";
  }
  return text + "; nothing fitted: " + both(split.uncorrected);
}

/// Headed lines about a predictor's fits.
struct findings_list {
  std::string title;
  std::vector<std::string> lines;
};
inline std::vector<findings_list> findings_lists(const predictor_result& result) {
  constexpr std::size_t most = 12;
  fit_findings found = findings_of(result);
  std::vector<findings_list> lists;
  const auto add = [&](std::string title, std::vector<std::string>& lines) {
    if (lines.empty()) return;
    if (lines.size() > most) {
      const std::size_t left = lines.size() - most;
      lines.resize(most);
      lines.push_back(fmt::format("and {} more, all in the JSON report", left));
    }
    lists.push_back({std::move(title), std::move(lines)});
  };
  add(result.folds.size() == 1 ? "findings" : "findings in every fold", found.every_fold);
  add("findings in the worst fold, " + found.worst_fold, found.worst);
  return lists;
}
inline const char* const parameters_title =
    "fitted parameters over the folds; stable: CV, deviation/|mean|, below 0.3; times below 1 s in us";

/// Predictors with parameters have something to be compared by when there are two.
inline bool compares_parameters(const evaluation_report& report) {
  return std::count_if(report.results.begin(), report.results.end(), is_parametric) >= 2;
}
/// Against the black box where that is better than the mean, else against the best parametric predictor.
inline efficiency_report efficiency_of(const evaluation_report& report) {
  efficiency_report found = parameter_efficiency(report, "blackbox");
  const auto usual = std::find_if(found.rows.begin(), found.rows.end(),
                                  [](const efficiency_row& one) { return one.predictor == "blackbox"; });
  if (usual != found.rows.end() && usual->per_parameter > 0.0) return found;
  for (const predictor_result* one : by_worst_fold(report.results)) {
    if (is_parametric(*one)) return parameter_efficiency(report, one->predictor);
  }
  return found;
}
inline text_table efficiency_table(const efficiency_report& found) {
  const bool known = !found.baseline.empty();  // else nothing can be said per parameter
  std::vector<std::string> header{"<predictor", "identifiable", "parameters", "mean MAPE %", "worst MAPE %"};
  if (known) header.insert(header.end(), {"% per parameter", "against " + found.reference});
  text_table table(header);
  for (const efficiency_row& one : found.rows) {
    std::vector<table_cell> cells{one.predictor, std::to_string(one.identifiable), std::to_string(one.parameters),
                                  percent(one.mean_mape), percent(one.worst_mape)};
    if (known) cells.insert(cells.end(), {percent(one.per_parameter), number(one.ratio, 2)});
    table.add(cells);
  }
  return table;
}
inline std::string efficiency_title(const efficiency_report& found) {
  return found.baseline.empty()
             ? "without the predictor 'mean', what a parameter removes is not known"
             : "per parameter: by how much each identifiable one lowers the mean error of '" + found.baseline + "'";
}

/// Folds whose signed errors hide most of the absolute ones.
inline std::vector<std::string> cancellations(const evaluation_report& report) {
  std::vector<std::string> found;
  for (const predictor_result& result : report.results) {
    for (const fold_result& one : result.folds) {
      if (one.errors.cancellation > 0.9 && one.errors.mape > 0.1) {
        found.push_back(fmt::format("{}, {}: a signed error of {} % hides an absolute one of {} %", result.predictor,
                                    one.held_out, signed_percent(one.errors.mean_signed_percentage_error),
                                    percent(one.errors.mape)));
      }
    }
  }
  return found;
}

}  // namespace detail

/// The report as plain text: audit, overview (worst fold before any mean), every fold of every predictor, notes.
inline std::string text_of(const evaluation_report& given) {
  using namespace detail;
  const evaluation_report report = shown(given);
  std::string out;
  out += fmt::format("{}: {} rows of schema {}{}\n", report.source, grouped(report.rows), report.schema,
                     report.digest.empty() ? "" : ", content sha256 " + report.digest.substr(0, 16));
  out += fmt::format("target {}, split {}\n\n", report.target,
                     report.split_title.empty() || report.split_title == report.split
                         ? report.split
                         : report.split + " (" + report.split_title + ")");

  out += "PLAUSIBILITY  " + report.plausibility.verdict() + "\n";
  if (report.plausibility.audited) {
    out += audit_table(report.plausibility).plain();
    if (!report.plausibility.worst.empty()) {
      out += "  lowest:";
      for (const implausible_row& row : report.plausibility.worst) {
        out +=
            fmt::format(" line {} ({} us, floor {} us);", row.line, microseconds(row.time), microseconds(row.floor));
      }
      out.back() = '\n';
    }
    if (report.idle_rows > 0) out += fmt::format("  {} idle rows (no tokens) have no floor\n", report.idle_rows);
  }

  if (report.test) {
    out += fmt::format("\nPLAUSIBILITY of the test data, {}: {} rows\n  {}\n", report.test->source,
                       grouped(report.test->rows), report.test->plausibility.verdict());
    if (report.test->plausibility.audited) out += audit_table(report.test->plausibility).plain();
  }

  out += "\nRESULTS  error of the test rows, best worst fold first\n" + overview_table(report).plain();
  for (const predictor_result* one : by_worst_fold(report.results)) {
    if (one->folds.empty()) {
      out += fmt::format("  {}: not evaluated: {}\n", one->predictor, one->refused);
    }
  }
  for (const predictor_result* one : by_worst_fold(report.results)) {
    if (one->folds.empty()) continue;
    out += fmt::format("\n{}  {}\n", one->predictor, one->description) + fold_table(*one).plain();
    if (is_parametric(*one)) {
      if (one->split) out += "  " + split_text(*one->split) + "\n";
      out += std::string("\n  ") + parameters_title + "\n" + parameter_table(*one).plain();
    }
    for (const findings_list& list : findings_lists(*one)) {
      out += "  " + list.title + ":\n";
      for (const std::string& line : list.lines) out += "    " + line + "\n";
    }
  }
  if (compares_parameters(report)) {
    const efficiency_report found = efficiency_of(report);
    out += "\nACCURACY AGAINST PARAMETERS  " + efficiency_title(found) + "\n" + efficiency_table(found).plain();
  }
  const std::vector<std::string> hidden = cancellations(report);
  if (!hidden.empty()) {
    out += "\nCANCELLATION  errors of both signs that a mean hides\n";
    for (const std::string& line : hidden) out += "  " + line + "\n";
  }
  if (!report.notes.empty()) {
    out += "\nNOTES\n";
    for (const std::string& note : report.notes) out += "  " + note + "\n";
  }
  return out;
}

inline std::ostream& operator<<(std::ostream& to, const evaluation_report& report) { return to << text_of(report); }

/// The same as Markdown.
inline std::string markdown_of(const evaluation_report& given) {
  using namespace detail;
  const evaluation_report report = shown(given);
  std::string out = "# Step-time study\n\n";
  out += fmt::format("| | |\n|---|---|\n| data | {} |\n| rows | {} |\n| schema | {} |\n", report.source,
                     grouped(report.rows), report.schema);
  if (!report.digest.empty()) out += fmt::format("| content sha256 | `{}` |\n", report.digest);
  out +=
      fmt::format("| target | {} |\n| split | {}{} |\n\n", report.target, report.split,
                  report.split_title.empty() || report.split_title == report.split ? "" : ": " + report.split_title);
  out += "## Plausibility\n\n**" + report.plausibility.verdict() + "**\n\n";
  if (report.plausibility.audited) {
    out += audit_table(report.plausibility).markdown() + "\n";
    for (const implausible_row& row : report.plausibility.worst) {
      out +=
          fmt::format("* line {}: {} us, floor {} us\n", row.line, microseconds(row.time), microseconds(row.floor));
    }
    if (!report.plausibility.worst.empty()) out += "\n";
    if (report.idle_rows > 0) out += fmt::format("{} idle rows (no tokens) have no floor.\n\n", report.idle_rows);
  }
  if (report.test) {
    out += "## Plausibility of the test data\n\n" + report.test->source + ": " + grouped(report.test->rows) +
           " rows. **" + report.test->plausibility.verdict() + "**\n\n";
    if (report.test->plausibility.audited) out += audit_table(report.test->plausibility).markdown() + "\n";
  }
  out += "## Results\n\nErrors of the test rows; the best worst fold first.\n\n" + overview_table(report).markdown();
  for (const predictor_result* one : by_worst_fold(report.results)) {
    if (one->folds.empty()) out += fmt::format("\n`{}` was not evaluated: {}\n", one->predictor, one->refused);
  }
  for (const predictor_result* one : by_worst_fold(report.results)) {
    if (one->folds.empty()) continue;
    out += fmt::format("\n### {}\n\n{}\n\n", one->predictor, one->description) + fold_table(*one).markdown();
    if (is_parametric(*one)) {
      if (one->split) out += "\nThe " + split_text(*one->split) + ".\n";
      out += std::string("\nThe ") + parameters_title + ".\n\n" + parameter_table(*one).markdown();
    }
    for (const findings_list& list : findings_lists(*one)) {
      out += "\nThe " + list.title + ":\n\n";
      for (const std::string& line : list.lines) out += "* " + line + "\n";
    }
  }
  if (compares_parameters(report)) {
    const efficiency_report found = efficiency_of(report);
    out += "\n## Accuracy against parameters\n\n" + efficiency_title(found) + "\n\n" +
           efficiency_table(found).markdown();
  }
  const std::vector<std::string> hidden = cancellations(report);
  if (!hidden.empty()) {
    out += "\n## Cancellation\n\n";
    for (const std::string& line : hidden) out += "* " + line + "\n";
  }
  if (!report.notes.empty()) {
    out += "\n## Notes\n\n";
    for (const std::string& note : report.notes) out += "* " + note + "\n";
  }
  return out;
}

}  // namespace rafter
