// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "rafter/config.hpp"
#include "rafter/evaluation/parameter_efficiency.hpp"
#include "rafter/evaluation/parameter_table.hpp"
#include "rafter/evaluation/rendering/columns.hpp"
#include "rafter/evaluation/rendering/markup.hpp"
#include "rafter/evaluation/report.hpp"
#include "rafter/evaluation/section.hpp"
#include "rafter/evaluation/table.hpp"
#include "rafter/io/error.hpp"

namespace rafter {
namespace detail {

/// The sections with their texts as they may be shown, and plots with an id of their own.
RAFTER_COLD inline std::vector<report_section> shown(std::vector<report_section> sections) {
  constexpr std::size_t longest = 65536;
  const auto show = [](std::string& text) { text = printable(text, longest); };
  distinct_ids plots;
  for (report_section& one : sections) {
    show(one.title);
    show(one.summary);
    for (section_block& block : one.blocks) {
      if (auto* text = std::get_if<paragraph>(&block)) {
        show(text->text);
      } else if (auto* list = std::get_if<bullet_list>(&block)) {
        for (std::string& item : list->items) show(item);
      } else if (auto* table = std::get_if<captioned_table>(&block)) {
        show(table->caption);
        for (std::string& title : table->table.titles()) show(title);
        for (auto& row : table->table.rows()) {
          for (table_cell& cell : row) show(cell.text);
        }
      } else if (auto* picture = std::get_if<plot>(&block)) {
        for (std::string* one_of : {&picture->title, &picture->x.label, &picture->y.label, &picture->note})
          show(*one_of);
        for (plot_series& series : picture->series) show(series.name);
        for (std::string& name : picture->categories) show(name);
        picture->id = plots(std::move(picture->id));
      }
    }
  }
  return sections;
}

/// The report with its texts as they may be shown: labels and notes come from files, and may hold control characters,
/// line ends and bytes that are not UTF-8. Without the predictions, which no report shows.
RAFTER_COLD inline evaluation_report shown(const evaluation_report& given) {
  const auto text = [](const std::string& from) { return printable(from, 4096); };
  evaluation_report report;
  report.source = text(given.source);
  report.schema = given.schema;
  report.digest = given.digest;
  report.file_sha256 = given.file_sha256;
  report.rows = given.rows;
  report.idle_rows = given.idle_rows;
  report.target = text(given.target);
  report.split = given.split;
  report.split_title = text(given.split_title);
  report.plausibility = given.plausibility;
  report.test = given.test;
  report.sections = shown(given.sections);
  for (const std::string& note : given.notes) report.notes.push_back(text(note));
  const auto show_audit = [&](plausibility_report& audit) {
    audit.target = text(audit.target);
    for (plausibility_group& one : audit.groups) one.label = text(one.label);
  };
  show_audit(report.plausibility);
  if (report.test) {
    report.test->source = text(report.test->source);
    show_audit(report.test->plausibility);
  }
  for (const predictor_result& from : given.results) {
    predictor_result result;
    result.predictor = from.predictor;
    result.description = text(from.description);
    result.refused = text(from.refused);
    result.split = from.split;
    if (result.split) {
      result.split->held_out = text(result.split->held_out);
      result.split->refused = text(result.split->refused);
    }
    for (const fold_result& one : from.folds) {
      fold_result fold;
      fold.held_out = text(one.held_out);
      fold.train_rows = one.train_rows;
      fold.rows = one.rows;
      fold.fit = one.fit;
      fold.errors = one.errors;
      fold.parameters = one.parameters;
      for (fitted_parameter& each : fold.parameters) {  // of a parameter per label the name has the label
        each.name = text(each.name);
        each.note = text(each.note);
      }
      for (const std::string& line : one.findings) fold.findings.push_back(text(line));
      result.folds.push_back(std::move(fold));
    }
    report.results.push_back(std::move(result));
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
    std::string counts;
    if (one.fit.identifiable < one.fit.parameters) {
      counts = fmt::format("{}/{} identifiable", one.fit.identifiable, one.fit.parameters);
    }
    const auto at_bound =
        std::count_if(one.parameters.begin(), one.parameters.end(), [](const fitted_parameter& each) {
          return each.state == parameter_state::at_lower_bound || each.state == parameter_state::at_upper_bound;
        });
    if (at_bound > 0) counts += fmt::format("{}{} at bound", counts.empty() ? "" : ", ", at_bound);
    if (!one.fit.healthy) fit += one.fit.status.substr(0, one.fit.status.find(';')) + (counts.empty() ? "" : ", ");
    fit += one.fit.healthy && counts.empty() ? "ok" : counts;
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

/// How a report stands on a terminal.
struct text_options {
  std::size_t columns = 100;  ///< no line is longer; at least 40
  bool colour = false;        ///< ANSI colours for headings, the verdict, implausible groups and worst folds
};

namespace detail {

namespace ansi {
inline constexpr std::string_view bold = "\x1b[1m", red = "\x1b[31m", yellow = "\x1b[33m", green = "\x1b[32m",
                                  off = "\x1b[0m";
}

/// A report that grows line by line, none longer than asked.
class text_writer {
 public:
  explicit text_writer(const text_options& options)
      : columns_(std::max<std::size_t>(options.columns, 40)), colour_(options.colour) {}

  void blank() { out_ += '\n'; }
  void line(std::string_view text, std::string_view indent = "", std::string_view hanging = "  ",
            std::string_view colour = {}) {
    for (std::size_t at = 0; at <= text.size();) {  // a line end of ours stays one
      const std::size_t end = std::min(text.find('\n', at), text.size());
      const std::string lines = wrapped(text.substr(at, end - at), columns_, indent, hanging);
      out_ += colour_ && !colour.empty() ? coloured(lines, colour) : lines;
      at = end + 1;
    }
  }
  void heading(std::string_view name, std::string_view text, std::string_view colour = {}) {
    std::string lines =
        wrapped(std::string(name) + (text.empty() ? "" : "  ") + std::string(text), columns_, "", "  ");
    if (colour_) {
      const std::size_t after = std::min(name.size(), lines.size());
      lines = coloured(lines.substr(0, after), ansi::bold) + coloured(lines.substr(after), colour);
    }
    out_ += lines;
  }
  /// @param colours    of the rows, none: plain
  /// @param droppable  columns that it does without when it is too wide
  void table(const text_table& table, std::vector<std::string_view> colours = {},
             std::vector<std::string_view> droppable = {}) {
    if (!colour_) colours.clear();
    const fitted_table fitted = plain_table(table, {columns_, "  ", std::move(droppable), std::move(colours)});
    for (const std::string& title : fitted.left_out) {
      if (std::find(left_out_.begin(), left_out_.end(), title) == left_out_.end()) left_out_.push_back(title);
    }
    shortened_ = shortened_ || fitted.any_shortened;
    out_ += fitted.text;
  }
  std::string finished() && {
    if (shortened_ || !left_out_.empty()) {
      std::string what = shortened_ ? "labels with … are shortened" : "";
      for (std::size_t i = 0; i < left_out_.size(); ++i) {
        what += (i > 0          ? ", '"
                 : what.empty() ? "tables are without '"
                                : " and tables are without '") +
                left_out_[i] + "'";
      }
      out_ += '\n';
      line("To fit " + std::to_string(columns_) + " columns, " + what + "; the other reports have them.");
    }
    return std::move(out_);
  }

 private:
  static std::string coloured(const std::string& lines, std::string_view colour) {
    if (colour.empty()) return lines;
    std::string out;
    for (std::size_t at = 0; at < lines.size();) {
      const std::size_t end = std::min(lines.find('\n', at), lines.size());
      out.append(colour).append(lines, at, end - at).append(ansi::off);
      if (end < lines.size()) out += '\n';
      at = end + 1;
    }
    return out;
  }
  std::string out_;
  std::size_t columns_;
  bool colour_;
  bool shortened_ = false;
  std::vector<std::string> left_out_;
};

inline std::string_view verdict_colour(const plausibility_report& audit) {
  if (!audit.audited) return ansi::yellow;
  return !audit.plausible() ? ansi::red : audit.all.below > 0 ? ansi::yellow : ansi::green;
}
inline std::vector<std::string_view> audit_colours(const plausibility_report& audit) {
  std::vector<std::string_view> colours;
  for (const plausibility_group& one : audit.groups) {
    colours.push_back(one.share_below() > tolerated_share_below_floor ? ansi::red : std::string_view());
  }
  return colours;
}

RAFTER_COLD inline void write_section(text_writer& to, const report_section& section) {
  std::string title;
  for (const char c : section.title) title += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  to.blank();
  to.heading(title, section.summary);
  std::string elsewhere;
  const auto left = [&](const std::string& what) { elsewhere += (elsewhere.empty() ? "" : "; ") + what; };
  bool after_table = false;
  for (const section_block& block : section.blocks) {
    if (after_table && !std::holds_alternative<plot>(block)) to.blank();
    after_table = false;
    if (const auto* text = std::get_if<paragraph>(&block)) {
      to.line(text->text, "  ", "  ");
    } else if (const auto* list = std::get_if<bullet_list>(&block)) {
      for (const std::string& item : list->items) to.line("* " + item, "  ", "    ");
    } else if (const auto* table = std::get_if<captioned_table>(&block)) {
      if (table->wide) {
        left("table '" + (table->caption.empty() ? section.title : table->caption) + "'");
        continue;
      }
      if (!table->caption.empty()) to.line(table->caption, "  ", "  ");
      to.table(table->table);
      after_table = true;
    } else if (const auto* picture = std::get_if<plot>(&block)) {
      left("plot '" + picture->title + "'");
    }
  }
  if (!elsewhere.empty()) to.line("In the HTML report: " + elsewhere + ".", "  ", "  ");
}

}  // namespace detail

/// The report as plain text: audit, what the sections come to, overview (worst fold before any mean), every fold of every
/// predictor, sections, notes. Tables that are too wide are made to fit, see plain_table.
RAFTER_COLD inline std::string text_of(const evaluation_report& given, const text_options& options = {}) {
  using namespace detail;
  const evaluation_report report = shown(given);
  text_writer to(options);
  to.line(fmt::format("{}: {} rows of schema {}{}", report.source, grouped(report.rows), report.schema,
                      report.digest.empty() ? "" : ", content sha256 " + report.digest.substr(0, 16)));
  to.line(fmt::format("target {}, split {}", report.target,
                      report.split_title.empty() || report.split_title == report.split
                          ? report.split
                          : report.split + " (" + report.split_title + ")"));
  to.blank();

  to.heading("PLAUSIBILITY", report.plausibility.verdict(), verdict_colour(report.plausibility));
  if (report.plausibility.audited) {
    to.table(audit_table(report.plausibility), audit_colours(report.plausibility));
    if (!report.plausibility.worst.empty()) {
      std::string lowest = "lowest:";
      for (const implausible_row& row : report.plausibility.worst) {
        lowest +=
            fmt::format(" line {} ({} us, floor {} us);", row.line, microseconds(row.time), microseconds(row.floor));
      }
      lowest.pop_back();
      to.line(lowest, "  ", "    ");
    }
    if (report.idle_rows > 0) to.line(fmt::format("{} idle rows (no tokens) have no floor", report.idle_rows), "  ");
  }

  if (report.test) {
    to.blank();
    to.heading("PLAUSIBILITY",
               fmt::format("of the test data, {}: {} rows", report.test->source, grouped(report.test->rows)));
    to.line(report.test->plausibility.verdict(), "  ", "  ", verdict_colour(report.test->plausibility));
    if (report.test->plausibility.audited) {
      to.table(audit_table(report.test->plausibility), audit_colours(report.test->plausibility));
    }
  }
  if (std::any_of(report.sections.begin(), report.sections.end(),
                  [](const report_section& one) { return !one.summary.empty(); })) {
    to.blank();
    to.heading("SUMMARY", "what the sections below come to");
    for (const report_section& one : report.sections) {
      if (!one.summary.empty()) to.line(one.title + ": " + one.summary, "  ", "    ");
    }
  }

  to.blank();
  to.heading("RESULTS", "error of the test rows, best worst fold first");
  to.table(overview_table(report));
  for (const predictor_result* one : by_worst_fold(report.results)) {
    if (one->folds.empty()) to.line(fmt::format("{}: not evaluated: {}", one->predictor, one->refused), "  ", "    ");
  }
  for (const predictor_result* one : by_worst_fold(report.results)) {
    if (one->folds.empty()) continue;
    to.blank();
    to.heading(one->predictor, one->description);
    to.table(fold_table(*one), {one->folds.size() > 1 ? ansi::bold : std::string_view()}, {"train", "r"});
    if (is_parametric(*one)) {
      if (one->split) to.line(split_text(*one->split), "  ", "    ");
      to.blank();
      to.line(parameters_title, "  ", "  ");
      to.table(parameter_table(*one), {}, {"deviation"});
    }
    for (const findings_list& list : findings_lists(*one)) {
      to.line(list.title + ":", "  ", "    ");
      for (const std::string& line : list.lines) to.line(line, "    ", "      ");
    }
  }
  if (compares_parameters(report)) {
    const efficiency_report found = efficiency_of(report);
    to.blank();
    to.heading("ACCURACY AGAINST PARAMETERS", efficiency_title(found));
    to.table(efficiency_table(found));
  }
  for (const report_section& one : report.sections) write_section(to, one);
  const std::vector<std::string> hidden = cancellations(report);
  if (!hidden.empty()) {
    to.blank();
    to.heading("CANCELLATION", "errors of both signs that a mean hides");
    for (const std::string& line : hidden) to.line(line, "  ", "    ");
  }
  if (!report.notes.empty()) {
    to.blank();
    to.heading("NOTES", "");
    for (const std::string& note : report.notes) to.line(note, "  ", "    ");
  }
  return std::move(to).finished();
}

/// A report as text of 100 columns, without colours.
inline std::ostream& operator<<(std::ostream& to, const evaluation_report& report) { return to << text_of(report); }

namespace detail {

RAFTER_COLD inline std::string markdown_of(const report_section& section) {
  std::string out = "\n## " + in_markdown(section.title) + "\n";
  if (!section.summary.empty()) out += "\n**" + in_markdown(section.summary) + "**\n";
  std::string pictures;
  for (const section_block& block : section.blocks) {
    if (const auto* text = std::get_if<paragraph>(&block)) {
      out += '\n' + in_markdown(text->text) + '\n';
    } else if (const auto* list = std::get_if<bullet_list>(&block)) {
      out += '\n';
      for (const std::string& item : list->items) out += "* " + in_markdown(item) + '\n';
    } else if (const auto* table = std::get_if<captioned_table>(&block)) {
      if (!table->caption.empty()) out += '\n' + in_markdown(table->caption) + '\n';
      out += '\n' + table->table.markdown();
    } else if (const auto* picture = std::get_if<plot>(&block)) {
      pictures += (pictures.empty() ? "" : "; ") + in_markdown(picture->title);
    }
  }
  if (!pictures.empty()) out += "\nPlots, in the HTML report: " + pictures + ".\n";
  return out;
}

}  // namespace detail

/// The same as Markdown. Tables are whole; plots are named.
RAFTER_COLD inline std::string markdown_of(const evaluation_report& given) {
  using namespace detail;
  const evaluation_report report = shown(given);
  std::string out = "# Step-time study\n\n";
  out += fmt::format("| | |\n|---|---|\n| data | {} |\n| rows | {} |\n| schema | {} |\n", in_markdown(report.source),
                     grouped(report.rows), in_markdown(report.schema));
  if (!report.digest.empty()) out += fmt::format("| content sha256 | `{}` |\n", report.digest);
  out += fmt::format("| target | {} |\n| split | {}{} |\n\n", in_markdown(report.target), in_markdown(report.split),
                     report.split_title.empty() || report.split_title == report.split
                         ? ""
                         : ": " + in_markdown(report.split_title, false));
  out += "## Plausibility\n\n**" + in_markdown(report.plausibility.verdict()) + "**\n\n";
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
    out += "## Plausibility of the test data\n\n" + in_markdown(report.test->source) + ": " +
           grouped(report.test->rows) + " rows. **" + in_markdown(report.test->plausibility.verdict()) + "**\n\n";
    if (report.test->plausibility.audited) out += audit_table(report.test->plausibility).markdown() + "\n";
  }
  if (std::any_of(report.sections.begin(), report.sections.end(),
                  [](const report_section& one) { return !one.summary.empty(); })) {
    out += "## Summary\n\n";
    for (const report_section& one : report.sections) {
      if (!one.summary.empty()) out += "* " + in_markdown(one.title) + ": " + in_markdown(one.summary) + "\n";
    }
    out += "\n";
  }
  out += "## Results\n\nErrors of the test rows; the best worst fold first.\n\n" + overview_table(report).markdown();
  for (const predictor_result* one : by_worst_fold(report.results)) {
    if (one->folds.empty())
      out += fmt::format("\n{} was not evaluated: {}\n", code_in_markdown(one->predictor),
                         in_markdown(one->refused, false));
  }
  for (const predictor_result* one : by_worst_fold(report.results)) {
    if (one->folds.empty()) continue;
    out += fmt::format("\n### {}\n\n{}\n\n", in_markdown(one->predictor), in_markdown(one->description)) +
           fold_table(*one).markdown();
    if (is_parametric(*one)) {
      if (one->split) out += "\nThe " + in_markdown(split_text(*one->split), false) + ".\n";
      out += std::string("\nThe ") + parameters_title + ".\n\n" + parameter_table(*one).markdown();
    }
    for (const findings_list& list : findings_lists(*one)) {
      out += "\nThe " + in_markdown(list.title, false) + ":\n\n";
      for (const std::string& line : list.lines) out += "* " + in_markdown(line) + "\n";
    }
  }
  if (compares_parameters(report)) {
    const efficiency_report found = efficiency_of(report);
    out += "\n## Accuracy against parameters\n\n" + in_markdown(efficiency_title(found)) + "\n\n" +
           efficiency_table(found).markdown();
  }
  for (const report_section& one : report.sections) out += detail::markdown_of(one);
  const std::vector<std::string> hidden = cancellations(report);
  if (!hidden.empty()) {
    out += "\n## Cancellation\n\n";
    for (const std::string& line : hidden) out += "* " + in_markdown(line) + "\n";
  }
  if (!report.notes.empty()) {
    out += "\n## Notes\n\n";
    for (const std::string& note : report.notes) out += "* " + in_markdown(note) + "\n";
  }
  return out;
}

}  // namespace rafter
