// Five claims of a public study, each with what would show it right and what wrong, judged by measured steps.
//   five-hypotheses [FOLDER]    on kernel_steps and blis_steps below FOLDER, or $RAFTER_DATA
//   five-hypotheses none        on the embedded (generated) data; so also without FOLDER and $RAFTER_DATA
// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <future>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../common/command_line.hpp"
#include "../rafter_study/readers.hpp"
#include "../rafter_study/study.hpp"
#include "examples/data/embedded_steps.hpp"
#include "hypotheses.hpp"
#include "more.hpp"
#include "rafter/evaluation/hypothesis/bootstrap_intervals.hpp"
#include "rafter/io/file.hpp"

namespace {

using rafter::evaluation_report, rafter::hypotheses::evidence;

/// What conditions about labels, and intervals, need of the rows.
template <class Data> rafter::step_view groups_of(const Data& data) {
  rafter::step_view view;
  view.rows = data.size();
  view.step_ids.assign(data.step_ids().begin(), data.step_ids().end());
  for (std::size_t axis = 0; axis < rafter::group_axes; ++axis) {
    const auto which = static_cast<rafter::group>(axis);
    if (data.has_group(which)) view.groups[axis] = data.groups(which);
  }
  return view;
}

/// An evaluation that begins at once on a thread of its own.
std::future<evaluation_report> begin(evaluation_report (*run)(const study::request&), const study::input& data,
                                     const char* target, const char* split, std::vector<std::string> predictors) {
  study::request asked;
  asked.data = data;
  asked.target = target;
  asked.split = split;
  asked.predictors = std::move(predictors);
  asked.threads = 1;  // the evaluations run beside each other
  asked.diagnose = false;
  return std::async(std::launch::async, [run, asked = std::move(asked)] { return run(asked); });
}

void print(const std::string& title, const std::vector<rafter::verdict>& verdicts) {
  programs::print(title + "\n" + std::string(title.size(), '=') + "\n");
  for (const rafter::verdict& one : verdicts) programs::print("\n" + rafter::text_of(one, 100));
  programs::print("\n" + rafter::hypotheses_section(verdicts).summary + "\n\n");
}

const std::vector<std::string> transferring{"mean",   "blackbox",  "blackbox_relative", "ridge_scale_free",
                                            "trees",  "roofline9", "roofline18",        "roofline9_study",
                                            "kernel9"};

/// Steps whose requests are known: all five can be asked of them.
template <class Data>
evidence known_requests(evaluation_report (*run)(const study::request&), const study::input& from, const Data& data,
                        const rafter::step_view& view, std::vector<evaluation_report>& reports, bool in_time) {
  struct asked {
    const char *name, *split;
    std::vector<std::string> predictors;
  };
  std::vector<asked> all{
      {"lomo", "lomo", transferring},
      {"lowo",
       "lowo",
       {"trees", "roofline9", "roofline16", "roofline36", "roofline9_study", "roofline16_study", "roofline36_study"}},
      {"routing", "leave_one_routing_out", {"roofline9", "roofline18", "kernel9", "trees"}}};
  if (in_time) {
    all.push_back({"temporal", "temporal", {"mean", "blackbox", "blackbox_relative", "ridge30"}});
    all.push_back({"shared_temporal", "shared_temporal", {"roofline9", "roofline16", "roofline36"}});
  }
  std::vector<std::future<evaluation_report>> running;
  for (const asked& one : all) running.push_back(begin(run, from, "", one.split, one.predictors));
  auto incomplete = std::async(std::launch::async, [&] { return five::incomplete_backbones(data); });
  const auto importances = five::tree_importances(data);
  reports.clear();
  for (auto& one : running) reports.push_back(one.get());
  for (auto& one : incomplete.get()) reports[0].results.push_back(std::move(one));
  evidence known;
  known.interval = rafter::hypotheses::bootstrap_intervals();
  for (std::size_t i = 0; i < all.size(); ++i) known.evaluations.push_back({all[i].name, &reports[i], &view});
  known.evaluations[0].importances = {{"trees", importances}};
  if (!in_time) {
    const char* const why = "the rows were composed, not logged: they have no order in time";
    known.evaluations.push_back({.name = "temporal", .why_not = why});
  }
  return known;
}

/// Where the requests are known, decode attention too.
five::terms complete_physics(const char* seen) {
  return {.seen = seen,
          .nine = "roofline9",
          .sixteen = "roofline16",
          .thirty_six = "roofline36",
          .backbones = "lomo",
          .incomplete = {"roofline9_incomplete", "kernel9_incomplete", "ridge_incomplete"},
          .complete = {"roofline9", "kernel9", "ridge_scale_free"},
          .blackbox = "blackbox_relative"};
}

void judge_kernel_steps(const std::string& path) {
  const rafter::file_bytes file = rafter::read_file(path);
  const study::input from{path, file.view()};
  const auto data = study::read_kernel_steps(from, {});
  const rafter::step_view view = groups_of(data);
  std::vector<evaluation_report> reports;
  const evidence known = known_requests(study::run_kernel_steps, from, data, view, reports, false);
  five::terms here = complete_physics("lowo");
  std::vector<rafter::hypothesis> asked = five::hypotheses(here);
  here.nine = "roofline9_study";
  here.sixteen = "roofline16_study";
  here.thirty_six = "roofline36_study";
  asked.insert(asked.begin() + 2, five::hypotheses(here)[1]);
  asked[2].name = "2 again";
  print("kernel_steps: sums of measured kernels, 15 models, KV lengths known", judge(asked, known));
}

void judge_blis_steps(const std::string& path) {
  const rafter::file_bytes file = rafter::read_file(path);
  const study::input from{path, file.view()};
  const auto data = study::read_blis_steps(from, {});
  const std::vector<std::string> seen{"mean",
                                      "blackbox",
                                      "blackbox_relative",
                                      "ridge30",
                                      "roofline9",
                                      "roofline9_study",
                                      "roofline16_study",
                                      "roofline36_study",
                                      "ridge_scale_free"};
  const std::vector<std::string> unseen{"mean", "blackbox", "trees", "roofline9", "roofline18", "kernel9"};
  const five::terms here{.seen = "shared_temporal",
                         .nine = "roofline9_study",
                         .sixteen = "roofline16_study",
                         .thirty_six = "roofline36_study",
                         .backbones = "temporal",
                         .incomplete = {"roofline9_study"},
                         .complete = {"roofline9", "ridge_scale_free"},
                         .blackbox = "blackbox"};
  for (const auto& [column, target] :
       {std::pair{"interval_us", "step_interval"}, {"duration_us", "logged_duration"}}) {
    auto temporal = begin(study::run_blis_steps, from, column, "temporal", seen);
    auto lomo = begin(study::run_blis_steps, from, column, "lomo", unseen);
    auto lowo = begin(study::run_blis_steps, from, column, "lowo", {"trees", "roofline9_study"});
    auto shared = begin(study::run_blis_steps, from, column, "shared_temporal",
                        {"roofline9_study", "roofline16_study", "roofline36_study"});
    const rafter::step_view view = groups_of(data.for_target(target));
    const std::array<evaluation_report, 4> reports{temporal.get(), lomo.get(), lowo.get(), shared.get()};
    evidence known{{"temporal", &reports[0], &view},
                   {"lomo", &reports[1], &view},
                   {"lowo", &reports[2], &view},
                   {"shared_temporal", &reports[3], &view},
                   {.name = "routing", .why_not = "both models are dense"}};
    known.interval = rafter::hypotheses::bootstrap_intervals();
    if (column == std::string("interval_us")) {
      print("blis_steps, interval_us: steps of an engine in 3 runs, no KV lengths",
            judge(five::hypotheses(here), known));
    } else {
      const auto asked = five::hypotheses(here);
      print("blis_steps, duration_us: the target that the study took",
            judge({asked[0], five::at_face_value(asked[0]), five::at_face_value(asked[1]),
                   five::at_face_value(asked[3])},
                  known));
    }
  }
}

void judge_embedded_steps() {
  const study::input from{"embedded:steps.csv", rafter_data::embedded_steps()};
  const auto data = study::read_rafter_steps(from, {});
  const rafter::step_view view = groups_of(data);
  std::vector<evaluation_report> reports;
  const evidence known = known_requests(study::run_rafter_steps, from, data, view, reports, true);
  print("embedded data: generated by a law, 16 experiments",
        judge(five::hypotheses(complete_physics("shared_temporal")), known));
}

}  // namespace

int main(int argc, char** argv) {
  constexpr std::string_view program = "five-hypotheses";
  try {
    std::string given;
    programs::command_line line(
        std::string(program),
        "Five claims of a public study, judged by measured steps: verdicts with their evidence.");
    line.argument("folder", given, "of kernel_steps and blis_steps (default: $RAFTER_DATA); none: the embedded data");
    if (const std::optional<int> done = line.parse(argc, argv)) return *done;
    if (const char* const set = std::getenv("RAFTER_DATA"); given.empty() && set != nullptr) given = set;
    if (given.empty() || given == "none") {
      judge_embedded_steps();
      return 0;
    }
    bool found = false;
    std::string skipped;
    const auto judge_if_there = [&](const char* name, void (*judge_file)(const std::string&)) {
      const std::string path = (std::filesystem::path(given) / name / "steps.csv").string();
      if (std::filesystem::exists(path)) {
        judge_file(path);
        found = true;
      } else {
        skipped += std::string("skipped: ") + name + ", which is not below " + given + "\n";
      }
    };
    judge_if_there("kernel_steps", judge_kernel_steps);
    judge_if_there("blis_steps", judge_blis_steps);
    if (!found) throw programs::usage_error("there is neither kernel_steps nor blis_steps below " + given);
    programs::print(skipped);
    return 0;
  } catch (const std::exception& why) {
    return programs::complain(program, why.what());
  }
}
