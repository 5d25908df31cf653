// rafter-study: evaluates step-time predictors on a file of steps and prints the report.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "rafter/core/nearest_name.hpp"
#include "rafter/evaluation/html.hpp"
#include "rafter/evaluation/json.hpp"
#include "rafter/evaluation/text.hpp"
#include "rafter/io/file.hpp"
#include "rafter/version.hpp"
#include "study.hpp"

namespace {

constexpr int bad_input = 2;

/// A progress bar on standard error; nothing where that is no terminal.
class progress_bar {
 public:
  void operator()(std::string_view stage, std::size_t done, std::size_t total) {
    if (!terminal_) return;
    constexpr std::size_t width = 30;
    const std::size_t filled = total == 0 ? width : width * done / total;
    std::string line = fmt::format("\r{:<24.24} [{:<{}}] ", stage, std::string(filled, '='), width);
    if (line != shown_) std::fputs(line.c_str(), stderr);
    shown_ = line;
  }
  void clear() {
    if (!shown_.empty()) std::fputs("\r\033[K", stderr);
    shown_.clear();
  }

 private:
  bool terminal_ = isatty(STDERR_FILENO) != 0;
  std::string shown_;
};

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

void print_list() {
  fmt::print("splits: {}\n", joined(study::split_names()));
  for (const study::offer& one :
       {study::offer_of_rafter_steps(), study::offer_of_kernel_steps(), study::offer_of_blis_steps()}) {
    fmt::print("schema {}\n  targets: {}\n  predictors: {}\n  usual split: {}\n", one.schema, joined(one.targets),
               joined(one.predictors), one.usual_split);
  }
}

int complain(std::string_view what) {
  std::string line(what);
  for (char& c : line) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  fmt::print(stderr, "rafter-study: {}\n", line);
  return bad_input;
}

rafter::evaluation_report run(const std::string& schema, const study::request& asked) {
  const std::vector<std::string> schemas{"rafter", "kernel_steps", "blis_steps"};
  if (schema == "rafter") return study::run_rafter_steps(asked);
  if (schema == "kernel_steps") return study::run_kernel_steps(asked);
  if (schema == "blis_steps") return study::run_blis_steps(asked);
  throw study::usage_error("unknown schema '" + schema + "'" + rafter::did_you_mean(schema, schemas) + " (see --list)");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Evaluates step-time predictors on measured steps: the plausibility of the target first, then every fold "
               "of every predictor, the worst before the mean.");
  app.set_version_flag("--version", std::string(RAFTER_VERSION));
  study::request asked;
  std::string schema;
  std::string json_path;
  std::string markdown_path;
  std::string html_path;
  bool list = false;
  app.add_option("--data", asked.data, "file of steps; without it, the embedded (generated) data");
  app.add_option("--schema", schema, "layout of the file: rafter, kernel_steps or blis_steps");
  app.add_option("--target", asked.target, "which time to predict (default: the schema's first)");
  app.add_option("--split", asked.split, "what is held out (default: the schema's usual split)");
  app.add_option("--predictors", asked.predictors, "names, separated by commas (default: all)")->delimiter(',');
  app.add_option("--test", asked.test, "fit on all of --data, evaluate on this file");
  app.add_option("--json", json_path, "write the report as JSON");
  app.add_option("--markdown", markdown_path, "write the report as Markdown");
  app.add_option("--html", html_path, "write the report as one HTML page");
  app.add_flag("--list", list, "name schemas, targets, splits and predictors");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& done) {
    return app.exit(done);
  } catch (const CLI::ParseError& error) {
    return complain(error.what());
  }

  progress_bar bar;
  try {
    if (list) {
      print_list();
      return 0;
    }
    if (asked.data.empty() && !asked.test.empty()) throw study::usage_error("--test needs --data");
    if (!asked.test.empty() && !asked.split.empty()) throw study::usage_error("--test and --split exclude each other");
    if (schema.empty()) {
      if (!asked.data.empty()) throw study::usage_error("--data needs --schema (rafter, kernel_steps or blis_steps)");
      schema = "rafter";
    }
    if (asked.data.empty() && schema != "rafter") throw study::usage_error("--schema " + schema + " needs --data");
    asked.progress = [&](std::string_view stage, std::size_t done, std::size_t total) { bar(stage, done, total); };
    const rafter::evaluation_report report = run(schema, asked);
    bar.clear();
    fmt::print("{}", rafter::text_of(report));
    if (!json_path.empty()) rafter::write_file(json_path, rafter::json_of(report).dump(2) + "\n");
    if (!markdown_path.empty()) rafter::write_file(markdown_path, rafter::markdown_of(report));
    if (!html_path.empty()) rafter::write_file(html_path, rafter::html_of(report));
  } catch (const std::exception& error) {
    bar.clear();
    return complain(error.what());
  }
  return 0;
}
