// rafter-study: evaluates step-time predictors on a file of steps and prints the report.
// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "../common/command_line.hpp"
#include "../common/report_files.hpp"
#include "examples/data/embedded_steps.hpp"
#include "operations.hpp"
#include "rafter/core/sha256.hpp"
#include "rafter/io/error.hpp"
#include "rafter/io/file.hpp"
#include "study.hpp"

namespace {

constexpr std::string_view program = "rafter-study";

struct schema {
  study::offer offer;
  rafter::evaluation_report (*run)(const study::request&);
};

std::vector<schema> schemas() {
  return {{study::offer_of_rafter_steps(), study::run_rafter_steps},
          {study::offer_of_kernel_steps(), study::run_kernel_steps},
          {study::offer_of_blis_steps(), study::run_blis_steps}};
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

std::string list() {
  std::string text = "splits: " + joined(study::split_names()) + "\n";
  for (const schema& one : schemas()) {
    text += "schema " + one.offer.schema + "\n  targets: " + joined(study::target_names(one.offer)) +
            "\n  predictors: " + joined(one.offer.predictors) + "\n  usual split: " + one.offer.usual_split + "\n";
  }
  return text;
}

/// One file, whatever it is called? Also of files that are not there yet.
bool same_file(const std::string& a, const std::string& b) {
  const auto place = [](const std::string& path) {
    std::error_code failed;
    std::filesystem::path found = std::filesystem::absolute(path, failed);
    if (const auto canonical = std::filesystem::weakly_canonical(found, failed); !failed) found = canonical;
    return found.lexically_normal();
  };
  std::error_code failed;
  return place(a) == place(b) || std::filesystem::equivalent(a, b, failed);  // hard links
}

/// Each report has a file of its own, which is none that is read.
void require_distinct(const std::vector<std::string>& written, const std::vector<std::string>& read) {
  for (std::size_t i = 0; i < written.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (same_file(written[i], written[j])) {
        throw programs::usage_error("two reports cannot be written to one file, " + written[i]);
      }
    }
    for (const std::string& one : read) {
      if (!one.empty() && same_file(written[i], one)) {
        throw programs::usage_error("a report cannot be written to a file that is read, " + written[i]);
      }
    }
  }
}

/// Opens the file for writing as write_file() will, and leaves what is there as it is, or absent. Pipes and devices are
/// not tried: opening one may do something. @throws rafter::io_error
void require_writable(const std::string& path) {
  std::error_code failed;
  const std::filesystem::file_type kind = std::filesystem::status(path, failed).type();
  const bool there = kind == std::filesystem::file_type::regular || kind == std::filesystem::file_type::directory;
  if (!there && kind != std::filesystem::file_type::not_found && kind != std::filesystem::file_type::none) return;
  errno = 0;
  std::FILE* const file = std::fopen(path.c_str(), "ab");
  if (file == nullptr) {
    throw rafter::io_error({path}, {}, {}, "cannot open for writing: " + std::generic_category().message(errno));
  }
  static_cast<void>(std::fclose(file));
  if (there) return;
  const std::filesystem::path made = std::filesystem::canonical(path, failed);  // past links that led nowhere
  if (!failed) std::filesystem::remove(made, failed);
}

struct options {
  std::string data;
  std::string schema;
  std::string test;
  std::string tested;
  std::string tables;
  std::string json;
  std::string markdown;
  std::string html;
  std::string npy;
  std::string threads;
  bool errors_only = false;
  bool list = false;
};

int run(int argc, char** argv, programs::progress_bar& bar) {
  options given;
  study::request asked;
  programs::command_line line(
      std::string(program),
      "Evaluates step-time predictors on measured steps: the plausibility of the target first, "
      "then every fold of every predictor, the worst before the mean.");
  line.option("--data", given.data, "file of steps; without it, the embedded (generated) data");
  line.option("--schema", given.schema, "layout of the file: rafter, kernel_steps or blis_steps");
  line.option("--target", asked.target, "which time to predict (default: the schema's first)");
  line.option("--split", asked.split, "what is held out (default: the schema's usual split)");
  line.option("--predictors", asked.predictors, "names, separated by commas (default: all)");
  line.option("--test", given.test, "fit on all of --data, evaluate on this file");
  line.option("--tested", given.tested, "which held-out steps count: all, decode (no prompts) or prompts");
  line.option("--tables", given.tables, "folder of tables of measured operations, which per_op looks up");
  line.option("--json", given.json, "write the report as JSON");
  line.option("--markdown", given.markdown, "write the report as Markdown");
  line.option("--html", given.html, "write the report as one HTML page");
  line.option(
      "--npy", given.npy,
      "write arrays with names: STEM.npy and STEM.json (predictor, fold, metric), STEM_predictions.npy and .json");
  line.option("--threads", given.threads,
              "that fit and test folds (default: all processors); results do not depend on it");
  line.option("--reference", asked.reference,
              "predictor that the others are compared with (default: the best worst fold, picked by its errors)");
  line.flag("--ablation", asked.ablation, "evaluate predictors with features without each of them too (takes long)");
  line.flag("--errors-only", given.errors_only,
            "leave out intervals, diagnoses and plots: the errors of each fold alone");
  line.flag("--list", given.list, "name schemas, targets, splits and predictors");
  if (const std::optional<int> done = line.parse(argc, argv)) return *done;
  if (given.list) {
    programs::print(list());
    return 0;
  }
  using programs::usage_error;
  if (given.data.empty() && !given.test.empty()) throw usage_error("--test needs --data");
  if (!given.test.empty() && !asked.split.empty()) throw usage_error("--test and --split exclude each other");
  if (given.schema.empty() && !given.data.empty()) {
    throw usage_error("--data needs --schema (rafter, kernel_steps or blis_steps)");
  }
  const std::vector<schema> known = schemas();
  const schema* chosen = &known.front();
  if (!given.schema.empty()) {
    std::vector<std::string> names;
    for (const schema& one : known) names.push_back(one.offer.schema);
    study::require_known("schema", given.schema, names);
    for (const schema& one : known) {
      if (one.offer.schema == given.schema) chosen = &one;
    }
  }
  if (given.data.empty() && chosen != &known.front()) throw usage_error("--schema " + given.schema + " needs --data");

  study::require_offered(asked, chosen->offer);
  if (!given.tested.empty()) {
    study::require_known("set of steps", given.tested, {"all", "decode", "prompts"});
    asked.tested = given.tested == "all"      ? study::tested_steps::all
                   : given.tested == "decode" ? study::tested_steps::decode
                                              : study::tested_steps::prompts;
  }
  std::vector<std::string> written{given.json, given.markdown, given.html};
  if (!given.npy.empty()) {
    for (const char* end : {".npy", ".json", "_predictions.npy", "_predictions.json"}) {
      written.push_back(given.npy + end);
    }
  }
  std::erase(written, std::string());
  require_distinct(written, {given.data, given.test});

  asked.diagnose = !given.errors_only;
  if (!asked.reference.empty() && given.errors_only) {
    throw usage_error("--reference and --errors-only exclude each other");
  }
  if (asked.ablation && given.errors_only) throw usage_error("--ablation and --errors-only exclude each other");
  if (!given.threads.empty()) {
    const char* const end = given.threads.data() + given.threads.size();
    const auto [at, problem] = std::from_chars(given.threads.data(), end, asked.threads);
    if (problem != std::errc() || at != end || asked.threads == 0 || asked.threads > 1024) {
      throw usage_error("--threads '" + given.threads + "' is not a number from 1 to 1024");
    }
  }
  for (const std::string& path : written) require_writable(path);  // now, not after hours
  study::use_tables(given.tables);

  const rafter::file_bytes data = given.data.empty() ? rafter::file_bytes() : rafter::read_file(given.data);
  const rafter::file_bytes test = given.test.empty() ? rafter::file_bytes() : rafter::read_file(given.test);
  if (given.data.empty()) {
    asked.data = {std::string(rafter_data::embedded_steps_name), rafter_data::embedded_steps()};
  } else {
    asked.data = {given.data, data.view()};
  }
  if (!given.test.empty()) asked.test = study::input{given.test, test.view()};
  // While a predictor's folds are fitted and tested the bar says what the worst so far is.
  std::string early, of;
  double worst = 0.0;
  asked.on_fold = [&](std::string_view predictor, const rafter::fold_result& one) {
    if (of != predictor) worst = 0.0;
    of = predictor;
    if (!(one.errors.mape <= worst)) worst = one.errors.mape;
    std::array<char, 48> text{};
    std::snprintf(text.data(), text.size(), ", worst so far %.2f %%", 100.0 * worst);
    early = of + text.data();
  };
  asked.progress = [&](std::string_view stage, std::size_t done, std::size_t total) {
    bar(stage == of && done > 0 ? std::string_view(early) : stage, done, total);
  };

  rafter::evaluation_report report = chosen->run(asked);
  report.file_sha256 = rafter::sha256_hex(asked.data.text);
  if (report.test) report.test->file_sha256 = rafter::sha256_hex(asked.test->text);
  bar.clear();
  if (!given.json.empty()) rafter::write_file(given.json, programs::json_of(report));
  if (!given.markdown.empty()) rafter::write_file(given.markdown, programs::markdown_of(report));
  if (!given.html.empty()) rafter::write_file(given.html, programs::html_of(report));
  if (!given.npy.empty()) programs::write_arrays(report, given.npy);
  programs::print(programs::text_of(report, programs::wants_colour()));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  programs::progress_bar bar;
  try {
    return run(argc, argv, bar);
  } catch (const std::exception& error) {
    bar.clear();
    return programs::complain(program, error.what());
  }
}
