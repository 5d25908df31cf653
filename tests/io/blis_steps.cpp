// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/io/blis_steps.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "support/data.hpp"
#include "support/message.hpp"

namespace {

using namespace rafter;

const std::string header =
    "experiment_id,model,workload,tp,step_id,ts_start_ns,ts_end_ns,duration_us,queue_running,queue_waiting,"
    "num_prefill_reqs,num_decode_reqs,scheduled_tokens,prefill_tokens,decode_tokens,num_finished,num_preempted,"
    "kv_usage_ratio,kv_blocks_total,kv_blocks_free,cycle_time_us\n";
const std::string good =
    "run,llama-2-70b,general,4,5,20020938183118,20020938865786,682,10,1,8,2,2048,2046,2,0,0,0.25,31356,31030,\n";

/// The good row with one field replaced.
std::string with(std::size_t field, const std::string& text) {
  std::size_t at = 0;
  for (std::size_t i = 0; i < field; ++i) at = good.find(',', at) + 1;
  return good.substr(0, at) + text + good.substr(good.find_first_of(",\n", at));
}
std::string refusal(const std::string& rows) {
  return message_of([&] { parse_blis_steps(header + rows, "steps.csv"); });
}

TEST(BlisSteps, ARowBecomesColumnsInBaseUnits) {
  const auto data = parse_blis_steps(header + good, "steps.csv");
  ASSERT_EQ(data.size(), 1U);
  EXPECT_EQ(data.column(prefill_tokens)[0], 2046.0);
  EXPECT_EQ(data.column(decode_tokens)[0], 2.0);
  EXPECT_EQ(data.column(prefill_requests)[0], 8.0);
  EXPECT_EQ(data.column(queue_running)[0], 10.0);
  EXPECT_EQ(data.column(queue_waiting)[0], 1.0);
  EXPECT_EQ(data.column(kv_usage_ratio)[0], 0.25);
  EXPECT_EQ(data.column(kv_blocks_free)[0], 31030.0);
  EXPECT_EQ(data.column(logged_duration)[0], 682e-6);
  EXPECT_EQ(data.start_ns()[0], 20020938183118);
  EXPECT_EQ(data.step_ids()[0], 5.0);
  EXPECT_EQ(data.line(0), 2U);
  EXPECT_EQ(data.groups(group::experiment).name(0), "run");
  EXPECT_EQ(data.groups(group::hardware).name(0), "h100");
  EXPECT_EQ(data.groups(group::tp).name(0), "4");
  EXPECT_EQ(data.groups(group::attention_shape).name(0), "q16-kv2-d128");
  EXPECT_EQ(data.deployment_of(0).tensor_parallel, 4.0);
  EXPECT_EQ(data.deployment_of(0).hardware.name, h100_sxm::name);
}

TEST(BlisSteps, ModelCodesAreTheStudys) {
  const auto code = [](const std::string& model) {
    return parse_blis_steps(header + with(1, model), "steps.csv").deployment(0).model_code;
  };
  EXPECT_EQ(code("codellama-34b"), 0.0);
  EXPECT_EQ(code("llama-2-7b"), 1.0);
  EXPECT_EQ(code("llama-2-70b-hf"), 2.0);
  EXPECT_EQ(code("mixtral-8x7b-v0-1"), 3.0);
}

TEST(BlisSteps, AModelHasOneCodeInEveryFile) {
  std::string second = with(1, "qwen3-8b");
  second.replace(second.find(",5,"), 3, ",7,");
  std::string third = with(1, "llama-3.1-8b");
  third.replace(third.find(",5,"), 3, ",9,");
  const auto data = parse_blis_steps(header + good + second + third, "steps.csv");
  const auto alone = parse_blis_steps(header + third, "steps.csv");
  EXPECT_EQ(data.deployment_of(0).model_code, 2.0);
  EXPECT_GE(data.deployment_of(1).model_code, 4.0);
  EXPECT_GE(data.deployment_of(2).model_code, 4.0);
  EXPECT_NE(data.deployment_of(1).model_code, data.deployment_of(2).model_code);
  EXPECT_EQ(data.deployment_of(2).model_code, alone.deployment_of(0).model_code);
}

TEST(BlisSteps, TheCycleTimeIsNotReadAndTheNotesSayWhy) {
  const auto data = parse_blis_steps(header + good, "steps.csv");
  ASSERT_EQ(data.notes().size(), 1U);
  EXPECT_EQ(data.notes()[0],
            "cycle_time_us is not read: it was matched between two clocks and does not follow the true interval");
}

TEST(BlisSteps, AMissingFileIsNamed) {
  EXPECT_EQ(message_of([] { read_blis_steps("no/such/steps.csv"); }),
            "no/such/steps.csv: cannot open: No such file or directory");
}

TEST(BlisSteps, AnEmptyFileIsRefused) {
  EXPECT_EQ(message_of([] { parse_blis_steps("", "steps.csv"); }),
            "steps.csv:1:1: empty file, expected a header line");
}

TEST(BlisSteps, AHeaderWithoutRowsIsRefused) {
  EXPECT_EQ(message_of([] { parse_blis_steps(header, "steps.csv"); }), "steps.csv:2:1: header without rows");
}

TEST(BlisSteps, AWrongColumnIsNamedWithTheNearestName) {
  std::string wrong = header;
  wrong.replace(wrong.find("duration_us"), 11, "duration_ms");
  EXPECT_EQ(message_of([&] { parse_blis_steps(wrong + good, "steps.csv"); }),
            "steps.csv:1:63: unexpected column 'duration_ms'; did you mean 'duration_us'?");
}

TEST(BlisSteps, AMissingColumnIsNamed) {
  EXPECT_EQ(message_of(
                [] { parse_blis_steps("experiment_id,model,workload,tp\nrun,llama-2-7b,general,1\n", "steps.csv"); }),
            "steps.csv:1: missing column 'step_id'");
}

TEST(BlisSteps, TextInANumberIsRefused) {
  EXPECT_EQ(refusal(with(13, "many")), "steps.csv:2:77: field 'prefill_tokens': 'many' is not an integer");
}

TEST(BlisSteps, NanIsRefused) {
  EXPECT_EQ(refusal(with(17, "nan")), "steps.csv:2:88: field 'kv_usage_ratio': 'nan' is not a finite number");
}

TEST(BlisSteps, NegativeAndZeroTimesAreRefused) {
  EXPECT_EQ(refusal(with(7, "-682")), "steps.csv:2:59: field 'duration_us': '-682' is negative");
  EXPECT_EQ(refusal(with(7, "0")), "steps.csv:2:59: field 'duration_us': '0' is not a time that a step can take");
}

TEST(BlisSteps, ADurationThatIsNotBetweenTheTimeStampsIsRefused) {
  EXPECT_EQ(refusal(with(7, "684")),
            "steps.csv:2:59: field 'duration_us': '684' is not (ts_end_ns - ts_start_ns)/1000 = 682 within 1");
  EXPECT_EQ(refusal(with(6, "20020938183117")),
            "steps.csv:2:44: field 'ts_end_ns': '20020938183117' is before ts_start_ns");
}

TEST(BlisSteps, TokensThatDoNotAddUpAreRefused) {
  EXPECT_EQ(refusal(with(12, "2047")),
            "steps.csv:2:72: field 'scheduled_tokens': '2047' is not prefill_tokens + decode_tokens = 2048");
  EXPECT_EQ(refusal(with(11, "3")), "steps.csv:2: decode_tokens = 2 but decode_requests = 3");
}

TEST(BlisSteps, APoolThatIsMoreThanFullIsRefused) {
  EXPECT_EQ(refusal(with(19, "31357")),
            "steps.csv:2:99: field 'kv_blocks_free': '31357' is more than kv_blocks_total = 31356");
  EXPECT_EQ(refusal(with(17, "1.5")), "steps.csv:2:88: field 'kv_usage_ratio': '1.5' is not in [0, 1]");
}

TEST(BlisSteps, AnUnknownModelIsNamedWithTheNearestOne) {
  const std::string message = refusal(with(1, "lama-2-70b"));
  EXPECT_TRUE(
      message.starts_with("steps.csv:2:5: field 'model': 'lama-2-70b' is an unknown model; did you mean "
                          "'llama-2-70b'? (known: llama-2-7b, "))
      << message;
  EXPECT_EQ(message.find('\n'), std::string::npos);
}

TEST(BlisSteps, ATpThatDoesNotDivideTheHeadsIsRefused) {
  EXPECT_EQ(refusal(with(3, "3")),
            "steps.csv:2:25: field 'tp': '3' architecture 'llama-2-70b': tp = 3 does not divide heads = 64");
  EXPECT_EQ(refusal(with(3, "0")), "steps.csv:2:25: field 'tp': '0' is not a number of tensor-parallel ranks");
}

TEST(BlisSteps, AStepIdIsUniqueWithinItsExperiment) {
  EXPECT_EQ(refusal(good + good), "steps.csv:3: step_id 5 occurs twice in experiment 'run'");
  EXPECT_EQ(parse_blis_steps(header + good + with(0, "other"), "steps.csv").size(), 2U);
}

TEST(BlisSteps, AClockThatRunsBackwardsIsRefused) {
  std::string next = good;
  next.replace(next.find(",5,"), 3, ",6,");
  EXPECT_EQ(refusal(good + next), "steps.csv:2: step_interval is not positive: the next step starts no later");
}

TEST(BlisSteps, ATruncatedFileIsRefused) {
  EXPECT_EQ(refusal(good + good.substr(0, 40)), "steps.csv:3:41: wrong number of fields: expected 21, found 6");
}

TEST(BlisSteps, BadRowsAreCollectedOnRequest) {
  bad_row_report bad;
  std::vector<std::string> heard;
  step_read_options options;
  options.bad_rows = &bad;
  options.on_bad_row = [&](const io_error& why) { heard.emplace_back(why.what()); };
  const auto data = parse_blis_steps(header + with(7, "-1") + good + good, "steps.csv", options);
  EXPECT_EQ(data.size(), 1U);
  ASSERT_EQ(bad.errors.size(), 2U);
  EXPECT_EQ(bad.errors[0].line, 2U);
  EXPECT_EQ(bad.errors[0].field, "duration_us");
  EXPECT_EQ(bad.errors[0].text, "-1");
  EXPECT_EQ(bad.errors[1].line, 4U);
  EXPECT_EQ(heard.size(), 2U);
  EXPECT_EQ(bad.rows, (csv_row_counts{3, 1, 2}));
  EXPECT_EQ(data.notes().back(), "2 of 3 rows were refused and are not in the data");
}

TEST(BlisSteps, NothingButBadRowsIsAnError) {
  bad_row_report bad;
  step_read_options options;
  options.bad_rows = &bad;
  EXPECT_EQ(message_of([&] { parse_blis_steps(header + with(7, "-1"), "steps.csv", options); }),
            "steps.csv: no usable row: all 1 were refused");
}

// What data/blis_steps/README.md says of the file.
TEST(BlisSteps, TheRealFileReadsAsItsReadmeSays) {
  const auto path = data_folder() / "blis_steps" / "steps.csv";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "skipped: " << path << " is absent";
  const auto data = read_blis_steps(path.string());
  EXPECT_EQ(data.size(), 20112U);
  EXPECT_EQ(data.idle_rows(), 2U);
  EXPECT_EQ(data.groups(group::experiment).count(), 3U);
  EXPECT_EQ(data.groups(group::model).names(), (std::vector<std::string>{"llama-2-70b", "codellama-34b"}));
  EXPECT_EQ(data.aliases(group::model),
            (std::vector<std::pair<std::string, std::string>>{{"llama-2-70b-hf", "llama-2-70b"}}));
  EXPECT_EQ(data.deployment_count(), 2U);

  const auto durations = data.column(logged_duration);
  EXPECT_EQ(*std::max_element(durations.begin(), durations.end()), 36086e-6);

  const auto intervals = data.for_target(step_interval);
  EXPECT_EQ(intervals.size(), 593U + 658U + 716U);
  const std::vector<std::size_t> counts{593, 658, 716};
  const std::vector<double> medians_us{18999, 18092, 15095};
  const auto& experiments = intervals.groups(group::experiment);
  std::vector<std::string> names = experiments.names();
  std::sort(names.begin(), names.end());
  for (std::size_t e = 0; e < 3; ++e) {
    std::vector<double> times;
    for (std::size_t row = 0; row < intervals.size(); ++row) {
      if (experiments.name(row) == names[e]) times.push_back(intervals.column(step_interval)[row] * 1e6);
    }
    ASSERT_EQ(times.size(), counts[e]) << names[e];
    std::sort(times.begin(), times.end());
    const std::size_t middle = times.size() / 2;
    const double median = times.size() % 2 == 1 ? times[middle] : (times[middle - 1] + times[middle]) / 2.0;
    EXPECT_NEAR(median, medians_us[e], 0.5) << names[e];
  }
}

}  // namespace
