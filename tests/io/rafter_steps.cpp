// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/io/rafter_steps.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "rafter/step/digest.hpp"
#include "support/message.hpp"

namespace {

using namespace rafter;

const std::string header =
    "experiment,model,workload,hardware,tp,step_id,start_ns,new_tokens,context_tokens,gpu_time_us\n";
const std::string good = "run,llama-2-7b,general,h100,1,41,1200345000,1*2;512,103;97;0,9120.4\n";

std::string refusal(const std::string& text) {
  return message_of([&] { parse_rafter_steps(text, "steps.csv"); });
}
std::string with(const std::string& from, const std::string& to) {
  std::string row = good;
  return row.replace(row.find(from), from.size(), to);
}

TEST(RafterSteps, RunLengthsAreUnfolded) {
  const auto data = parse_rafter_steps(header + with("103;97;0", "97*2;0"), "steps.csv");
  const auto requests = data.requests(0);
  ASSERT_EQ(requests.size(), 3U);
  EXPECT_TRUE(requests[0].decode && requests[1].decode);
  EXPECT_EQ(requests[0].new_tokens, 1.0);
  EXPECT_EQ(requests[1].context_tokens, 97.0);
  EXPECT_FALSE(requests[2].decode);
  EXPECT_EQ(requests[2].new_tokens, 512.0);
  EXPECT_EQ(data.column(kv_sum)[0], 2.0 * 98.0);
  EXPECT_EQ(data.column(gpu_step_time)[0], 9120.4e-6);
}

TEST(RafterSteps, OneNewTokenWithoutAContextIsAPrefill) {
  const auto data = parse_rafter_steps(header + with("1*2;512,103;97;0", "1,0"), "steps.csv");
  EXPECT_FALSE(data.requests(0)[0].decode);
  EXPECT_EQ(data.column(prefill_tokens)[0], 1.0);
}

TEST(RafterSteps, PhasesOverruleTheDefault) {
  const std::string phased = "model,hardware,tp,new_tokens,context_tokens,phases,gpu_time_us\n";
  const auto data = parse_rafter_steps(phased + "llama-2-7b,h100,1,1*3,10;20;30,d*2;p,5000\n", "steps.csv");
  EXPECT_EQ(data.column(decode_requests)[0], 2.0);
  EXPECT_EQ(data.column(prefill_requests)[0], 1.0);
  EXPECT_EQ(data.column(prefill_attention_pairs)[0], 31.0);
  EXPECT_EQ(
      message_of([&] { parse_rafter_steps(phased + "llama-2-7b,h100,1,1*3,10;20;30,d*2,5000\n", "steps.csv"); }),
      "steps.csv:2:32: field 'phases': 'd*2' lists 2 requests but new_tokens lists 3");
  EXPECT_EQ(message_of([&] { parse_rafter_steps(phased + "llama-2-7b,h100,1,1,10,x,5000\n", "steps.csv"); }),
            "steps.csv:2:24: field 'phases': 'x' has the item 1 'x', which is neither d (decode) nor p (prefill)");
}

TEST(RafterSteps, EmptyListsAreAnIdleStep) {
  const auto data = parse_rafter_steps(header + with("1*2;512,103;97;0", ","), "steps.csv");
  EXPECT_TRUE(data.idle(0));
}

TEST(RafterSteps, BadListsAreRefused) {
  EXPECT_EQ(
      refusal(header + with("1*2;512", "1*x;512")),
      "steps.csv:2:45: field 'new_tokens': '1*x;512' has the item 1 '1*x', which repeats something a number of times "
      "that is not a whole number");
  EXPECT_EQ(refusal(header + with("1*2;512", "1*2;5.5")),
            "steps.csv:2:45: field 'new_tokens': '1*2;5.5' has the item 2 '5.5', which is not a whole number");
  EXPECT_EQ(refusal(header + with("103;97;0", "103;-97;0")),
            "steps.csv:2:53: field 'context_tokens': '103;-97;0' has the item 2 '-97', which is negative");
  EXPECT_EQ(refusal(header + with("103;97;0", "103;97")),
            "steps.csv:2:53: field 'context_tokens': '103;97' lists 2 requests but new_tokens lists 3");
  EXPECT_EQ(refusal(header + with("103;97;0", "103;97;")),
            "steps.csv:2:53: field 'context_tokens': '103;97;' ends with a ';' and no item");
  EXPECT_EQ(
      refusal(header + with("1*2;512", "1*2000000;512")),
      "steps.csv:2:45: field 'new_tokens': '1*2000000;512' has the item 1 '1*2000000', which makes more than the "
      "1000000 requests that a step may have");
  EXPECT_EQ(refusal(header + with("1*2;512", "1*2;0")), "steps.csv:2: a request of the step has no new token");
}

TEST(RafterSteps, CommentsBecomeNotesAndLinesStillCountFromTheTop) {
  const std::string comments = "# label source: measured by hand\r\n#\n";
  const auto data = parse_rafter_steps(comments + header + good, "steps.csv");
  EXPECT_EQ(data.notes(), (std::vector<std::string>{"label source: measured by hand", ""}));
  EXPECT_EQ(data.line(0), 4U);
  EXPECT_EQ(refusal(comments + header + with("9120.4", "soon")),
            "steps.csv:4:62: field 'gpu_time_us': 'soon' is not a number");
  EXPECT_EQ(refusal(comments + header + good + good), "steps.csv:5: step_id 41 occurs twice in experiment 'run'");
  EXPECT_EQ(refusal(comments), "steps.csv:3:1: empty file, expected a header line");
}

TEST(RafterSteps, CollectedErrorsCountFromTheTopToo) {
  bad_row_report bad;
  std::vector<std::size_t> heard;
  step_read_options options;
  options.bad_rows = &bad;
  options.on_bad_row = [&](const io_error& why) { heard.push_back(why.line); };
  const auto data = parse_rafter_steps("# x\n" + header + with("9120.4", "-1") + good, "steps.csv", options);
  EXPECT_EQ(data.size(), 1U);
  ASSERT_EQ(bad.errors.size(), 1U);
  EXPECT_EQ(bad.errors[0].line, 3U);
  EXPECT_EQ(bad.errors[0].field, "gpu_time_us");
  EXPECT_STREQ(bad.errors[0].what(), "steps.csv:3:62: field 'gpu_time_us': '-1' is negative");
  EXPECT_EQ(heard, std::vector<std::size_t>{3});
}

TEST(RafterSteps, ARowMayLackATargetButNotAll) {
  const std::string two = "model,hardware,tp,new_tokens,context_tokens,gpu_time_us,wall_time_us\n";
  const auto data =
      parse_rafter_steps(two + "llama-2-7b,h100,1,1,10,5000,\nllama-2-7b,h100,1,1,11,5001,5600\n", "steps.csv");
  EXPECT_EQ(data.target_name(), "gpu_step_time");
  EXPECT_EQ(data.size(), 2U);
  const auto walls = data.for_target(wall_time);
  EXPECT_EQ(walls.size(), 1U);
  EXPECT_EQ(walls.target()[0], 5600e-6);
  EXPECT_EQ(refusal(two + "llama-2-7b,h100,1,1,10,,\n"), "steps.csv:2: the step has no time: every target is empty");
}

TEST(RafterSteps, AFileWithoutAnyTimeIsRefused) {
  EXPECT_EQ(refusal("model,hardware,tp,new_tokens,context_tokens\nllama-2-7b,h100,1,1,10\n"),
            "steps.csv:1: missing column 'gpu_time_us'");
}

TEST(RafterSteps, IntervalsAreDerivedFromTheStartsOfConsecutiveSteps) {
  std::string next = with(",41,1200345000,", ",42,1209533000,");
  const auto data = parse_rafter_steps(header + good + next, "steps.csv");
  const auto intervals = data.for_target(step_interval);
  ASSERT_EQ(intervals.size(), 1U);
  EXPECT_DOUBLE_EQ(intervals.target()[0], 9188e-6);
}

TEST(RafterSteps, EngineStateIsReadOnRequest) {
  const std::string queued = "model,hardware,tp,new_tokens,context_tokens,gpu_time_us,queue_running,queue_waiting\n";
  const std::string row = "llama-2-7b,h100,1,1,10,5000,7,3\n";
  const auto data = parse_rafter_steps<queue_waiting_t>(queued + row, "steps.csv");
  EXPECT_EQ(data.column(queue_waiting)[0], 3.0);
  EXPECT_EQ(data.notes(), std::vector<std::string>{"columns not asked for and not read: queue_running"});
  EXPECT_EQ(message_of([&] { parse_rafter_steps<kv_usage_ratio_t>(queued + row, "steps.csv"); }),
            "steps.csv:1: missing column 'kv_usage_ratio'");
}

TEST(RafterSteps, AWrongColumnIsNamedWithTheNearestName) {
  EXPECT_EQ(refusal("model,hardware,tp,new_tokens,context_token,gpu_time_us\nllama-2-7b,h100,1,1,10,5000\n"),
            "steps.csv:1:30: unexpected column 'context_token'; did you mean 'context_tokens'?");
}

TEST(RafterSteps, TimesThatAreNoTimesAreRefused) {
  EXPECT_EQ(refusal(header + with("9120.4", "0")),
            "steps.csv:2:62: field 'gpu_time_us': '0' is not a time that a step can take");
  EXPECT_EQ(refusal(header + with("9120.4", "nan")),
            "steps.csv:2:62: field 'gpu_time_us': 'nan' is not a finite number");
  EXPECT_EQ(refusal(header + with("9120.4", "1e-320")),
            "steps.csv:2:62: field 'gpu_time_us': '1e-320' is outside the range of a time in seconds");
}

TEST(RafterSteps, SpellingsOfOneDeviceAndOfOneNumberOfRanksAreOneGroup) {
  std::string second = with("h100,1,41,1200345000", "H100 SXM,01,42,1200355000");
  const auto data = parse_rafter_steps(header + good + second, "steps.csv");
  ASSERT_EQ(data.size(), 2U);
  EXPECT_EQ(data.groups(group::hardware).count(), 1U);
  EXPECT_EQ(data.groups(group::tp).count(), 1U);
}

TEST(RafterSteps, ArchitecturesCanBeGivenByName) {
  EXPECT_TRUE(refusal(header + with("llama-2-7b", "our-model"))
                  .starts_with("steps.csv:2:5: field 'model': 'our-model' is an unknown model"));
  step_read_options options;
  options.architectures["our-model"] = find_decoder("qwen3-8b");
  const auto data = parse_rafter_steps(header + with("llama-2-7b", "our-model"), "steps.csv", options);
  EXPECT_EQ(data.deployment(0).architecture.heads, 32);
  EXPECT_EQ(data.deployment(0).model_code,  // by its shape, whatever the file calls it
            parse_rafter_steps(header + with("llama-2-7b", "qwen3-8b"), "steps.csv").deployment(0).model_code);
}

TEST(RafterSteps, MicrosecondTextsGiveEveryTimeBack) {
  std::mt19937_64 random(1);
  const std::string columns = "model,hardware,tp,new_tokens,context_tokens,gpu_time_us\n";
  std::vector<double> times{1e-6, 5.0, 123456.789, 1e-9, 0.1, 1e300, 3e-300, std::nextafter(1e-3, 1.0)};
  for (int i = 0; i < 2000; ++i)
    times.push_back(static_cast<double>(random() >> 11U) * 0x1p-53 * (i % 2 == 0 ? 1.0 : 1e-3));
  std::string text = columns;
  for (const double time : times) text += "llama-2-7b,h100,1,1,10," + detail::text_in_microseconds(time) + '\n';
  const auto data = parse_rafter_steps(text, "steps.csv");
  for (std::size_t i = 0; i < times.size(); ++i) ASSERT_EQ(data.column(gpu_step_time)[i], times[i]) << i;
  EXPECT_EQ(detail::text_in_microseconds(9120.43e-6), "9120.43");
  EXPECT_EQ(detail::text_in_microseconds(0.25e-6), "0.25");
  EXPECT_EQ(detail::text_in_microseconds(2e-3), "2000");
}

TEST(RafterSteps, WhatIsWrittenReadsBackWithTheSameDigest) {
  dataset_builder<rafter_schema_of<queue_running_t>> build("made");
  const auto engine =
      build.add_deployment({find_decoder("llama-2-70b"), find_accelerator("h100"), 4.0, precision::bf16, 2.0});
  std::mt19937_64 random(7);
  for (int row = 0; row < 50; ++row) {
    build.begin_row(engine).set(queue_running, static_cast<double>(random() % 100));
    if (row % 3 != 0) build.set(gpu_step_time, static_cast<double>(random() >> 11U) * 0x1p-60);
    if (row % 3 != 1) build.set(wall_time, static_cast<double>(random() >> 11U) * 0x1p-60);
    build.label(group::experiment, "a, \"quoted\" name")
        .label(group::model, "llama-2-70b")
        .label(group::hardware, "h100");
    build.label(group::tp, "4")
        .label(group::attention_shape, "q16-kv2-d128")
        .step_id(3.0 * row + 1.0)
        .start_ns(9007199254740993 + row);
    for (std::uint64_t i = random() % 40; i > 0; --i) {
      build.add(random() % 5 == 0
                    ? request::prefilling(static_cast<double>(1 + random() % 3), static_cast<double>(random() % 2))
                    : request::decoding(static_cast<double>(random() % 9)));
    }
    build.end_row();
  }
  const auto data = build.finish();
  const std::vector<std::string> comments{"label source: made for a test"};
  const std::string text = rafter_steps_text(data, comments);
  const auto again = parse_rafter_steps<queue_running_t>(text, "again.csv");
  EXPECT_EQ(digest(again), digest(data));
  EXPECT_EQ(again.notes(), comments);
  EXPECT_EQ(again.start_ns()[0], 9007199254740993);
  EXPECT_EQ(rafter_steps_text(again, comments), text);
}

TEST(RafterSteps, ACommentOfTwoLinesIsNotWritten) {
  const auto data = parse_rafter_steps(header + good, "steps.csv");
  const std::vector<std::string> comments{"two\nlines"};
  EXPECT_EQ(message_of([&] { rafter_steps_text(data, comments); }),
            "a comment of a file of steps has one line: 'two\\nlines'");
}

TEST(RafterSteps, TheExampleInTheDocumentationReads) {
  std::ifstream file("docs/io/rafter_steps.md");
  if (!file) GTEST_SKIP() << "skipped: docs/io/rafter_steps.md is not below the working directory";
  std::stringstream all;
  all << file.rdbuf();
  const std::string page = all.str();
  const std::size_t begin = page.find("```\n") + 4;
  const auto data =
      parse_rafter_steps(page.substr(begin, page.find("```", begin) - begin), "docs/io/rafter_steps.md");
  EXPECT_EQ(data.size(), 2U);
  EXPECT_EQ(data.requests(0).size(), 13U);
  EXPECT_EQ(data.column(prefill_requests)[0], 1.0);
}

}  // namespace
