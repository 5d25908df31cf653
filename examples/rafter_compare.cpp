// rafter-compare: what changed between two JSON reports; fails when a metric got worse. SPDX-License-Identifier: Apache-2.0
#include "rafter/evaluation/rendering/compare.hpp"

#include <charconv>
#include <exception>
#include <optional>
#include <string>
#include <string_view>

#include "common/command_line.hpp"
#include "rafter/io/file.hpp"

namespace {

constexpr std::string_view program = "rafter-compare";
constexpr int got_worse = 1;

double number(std::string_view option, const std::string& text, double otherwise) {
  if (text.empty()) return otherwise;
  double value = 0.0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed == std::errc() && end == text.data() + text.size() && value >= 0.0 && value <= 1e6) return value;
  throw programs::usage_error("option " + std::string(option) + ": '" + rafter::printable(text) +
                              "' is not a number from 0 to 1e6");
}

int run(int argc, char** argv) {
  std::string before, after, margin, relative;
  rafter::compare_options options;
  std::vector<std::string> metrics;
  programs::command_line line(std::string(program),
                              "Compares two JSON reports of rafter-study, OLD.json and NEW.json, fold by fold. Exit "
                              "status 0: nothing got worse by "
                              "more than the margin; 1: something did, or is no longer there; 2: bad input, "
                              "reports of other data, or nothing to compare.");
  line.argument("old", before, "JSON report to compare with");
  line.argument("new", after, "JSON report that must not be worse");
  line.option("--margin", margin,
              "percentage points by which a metric may get worse (0.5); of correlations hundredths");
  line.option("--relative", relative, "or this share of the old value, whichever is more (0)");
  line.option(
      "--metrics", metrics,
      "names as in the reports, separated by commas (mape,mspe_signed,median_ape,p90_ape,share_above_50,not_finite)");
  line.flag("--allow-missing", options.allow_missing, "predictors and folds that are gone are no regression");
  line.flag("--allow-different-data", options.allow_different_data, "compare although data, target or split differ");
  if (const std::optional<int> done = line.parse(argc, argv)) return *done;
  if (before.empty() || after.empty())
    throw programs::usage_error("two reports are needed, OLD.json and NEW.json (see --help)");
  options.margin = number("--margin", margin, options.margin);
  options.relative = number("--relative", relative, options.relative);
  if (!metrics.empty()) options.metrics = metrics;

  const rafter::report_figures old = rafter::figures_of(rafter::read_file(before).view(), before);
  const rafter::report_figures now = rafter::figures_of(rafter::read_file(after).view(), after);
  const rafter::report_comparison found = rafter::compare_reports(old, now, options);
  if (!found.differences.empty() && !options.allow_different_data) {
    std::string all;
    for (const std::string& one : found.differences) all += (all.empty() ? "" : "; ") + one;
    throw programs::usage_error(after + ": not comparable with " + before + ": " + all +
                                " (see --allow-different-data)");
  }
  if (found.compared == 0 && found.worse() == 0) {
    throw programs::usage_error(after + ": no metric of a fold can be compared with " + before +
                                (old.folds.empty() ? ", which has no folds" : ", for no fold is in both"));
  }
  programs::print(rafter::text_of(found, options));
  return found.worse() == 0 ? 0 : got_worse;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    return programs::complain(program, error.what());
  }
}
