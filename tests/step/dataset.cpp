// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/step/dataset.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "support/steps.hpp"

namespace {

using namespace rafter;

const deployment engine_a = deployment_of(static_deployment<tiny::dense, tiny::memory_bound>{});
const deployment engine_b = deployment_of(static_deployment<tiny::moe, tiny::memory_bound, 2>{});
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr double infinite = std::numeric_limits<double>::infinity();

using aggregated_builder = dataset_builder<tiny::aggregated>;
using listed_builder = dataset_builder<tiny::listed>;

/// A good row of 10 prefill tokens in one request and 3 decodes.
aggregated_builder& good(aggregated_builder& build, std::size_t line = 7) {
  return build.begin_row(0, line)
      .set(prefill_tokens, 10)
      .set(decode_tokens, 3)
      .set(prefill_requests, 1)
      .set(decode_requests, 3)
      .set(kv_usage_ratio, 0.5)
      .set(gpu_step_time, 0.01);
}
listed_builder& good(listed_builder& build, std::size_t line = 7) {
  return build.begin_row(0, line)
      .add(request::prefilling(4, 2))
      .add(request::decoding(9))
      .set(kv_usage_ratio, 0.5)
      .set(gpu_step_time, 0.01);
}

/// What the builder says of the row that `change` spoils.
template <class Builder> std::string refusal(const std::function<void(Builder&)>& change) {
  Builder build("steps.csv");
  build.add_deployment(engine_a);
  good(build, 42);
  change(build);
  try {
    build.end_row();
  } catch (const dataset_error& refused) {
    EXPECT_EQ(build.rows(), 0U);
    return refused.what();
  }
  return "accepted";
}
std::string aggregated_refusal(const std::function<void(aggregated_builder&)>& change) {
  return refusal<aggregated_builder>(change);
}
std::string listed_refusal(const std::function<void(listed_builder&)>& change) {
  return refusal<listed_builder>(change);
}

TEST(DatasetBuilder, AcceptsAGoodRow) {
  EXPECT_EQ(aggregated_refusal([](auto&) {}), "accepted");
  EXPECT_EQ(listed_refusal([](auto&) {}), "accepted");
}

TEST(DatasetBuilder, RefusesNumbersThatAreNotFinite) {
  EXPECT_EQ(aggregated_refusal([](auto& row) { row.set(kv_usage_ratio, not_a_number); }),
            "steps.csv:42: kv_usage_ratio is not a finite number");
  EXPECT_EQ(aggregated_refusal([](auto& row) { row.set(gpu_step_time, infinite); }),
            "steps.csv:42: gpu_step_time is not a finite number");
  EXPECT_EQ(aggregated_refusal([](auto& row) { row.set(gpu_step_time, -infinite); }),
            "steps.csv:42: gpu_step_time is not a finite number");
}

TEST(DatasetBuilder, RefusesNegativeNumbers) {
  EXPECT_EQ(aggregated_refusal([](auto& row) { row.set(prefill_tokens, -1); }),
            "steps.csv:42: prefill_tokens = -1 is negative");
  EXPECT_EQ(aggregated_refusal([](auto& row) { row.set(gpu_step_time, -2.5e-9); }),
            "steps.csv:42: gpu_step_time = -2.5e-09 is negative");  // the text shows the number, however small
}

TEST(DatasetBuilder, RefusesATargetOfZero) {
  EXPECT_EQ(aggregated_refusal([](auto& row) { row.set(gpu_step_time, 0.0); }),
            "steps.csv:42: gpu_step_time = 0 is not a time that a step can take");
  EXPECT_EQ(aggregated_refusal([](auto& row) { row.set(kv_usage_ratio, 0.0); }), "accepted");  // no target
}

TEST(DatasetBuilder, RefusesCountsThatAreNotWhole) {
  EXPECT_EQ(aggregated_refusal([](auto& row) { row.set(prefill_tokens, 10.5); }),
            "steps.csv:42: prefill_tokens = 10.5 is not a whole number");
  EXPECT_EQ(aggregated_refusal([](auto& row) { row.set(prefill_requests, 0.25); }),
            "steps.csv:42: prefill_requests = 0.25 is not a whole number");
}

TEST(DatasetBuilder, RefusesMissingColumns) {
  EXPECT_EQ(aggregated_refusal([](auto& row) { row.begin_row(0, 42).set(prefill_tokens, 1); }),
            "steps.csv:42: decode_tokens is missing");
}

TEST(DatasetBuilder, RefusesDecodeTokensThatAreNotOnePerRequest) {
  EXPECT_EQ(aggregated_refusal([](auto& row) { row.set(decode_tokens, 4); }),
            "steps.csv:42: decode_tokens = 4 but decode_requests = 3");
}

TEST(DatasetBuilder, RefusesPrefillTokensThatTheRequestsCannotHave) {
  EXPECT_EQ(aggregated_refusal([](auto& row) { row.set(prefill_requests, 11); }),
            "steps.csv:42: prefill_tokens = 10 but prefill_requests = 11");
  EXPECT_EQ(aggregated_refusal([](auto& row) { row.set(prefill_requests, 0); }),
            "steps.csv:42: prefill_tokens = 10 but prefill_requests = 0");
}

TEST(DatasetBuilder, RefusesRequestsThatNoStepHas) {
  EXPECT_EQ(listed_refusal([](auto& row) {
              row.add({2, 5, true});
            }),
            "steps.csv:42: a decode request has 2 new tokens, not one");
  EXPECT_EQ(listed_refusal([](auto& row) { row.add(request::prefilling(0, 5)); }),
            "steps.csv:42: a request of the step has no new token");
  EXPECT_EQ(listed_refusal([](auto& row) { row.add(request::prefilling(1.5)); }),
            "steps.csv:42: new_tokens of a request = 1.5 is not a count of tokens");
  EXPECT_EQ(listed_refusal([](auto& row) { row.add(request::decoding(-1)); }),
            "steps.csv:42: context_tokens of a request = -1 is not a count of tokens");
  EXPECT_EQ(listed_refusal([](auto& row) { row.add(request::decoding(not_a_number)); }),
            "steps.csv:42: context_tokens of a request = nan is not a count of tokens");
}

TEST(DatasetBuilder, ComparesGivenAggregatesWithTheRequests) {
  EXPECT_EQ(listed_refusal([](auto& row) { row.set(prefill_tokens, 4).set(decode_tokens, 1).set(kv_sum, 10); }),
            "accepted");
  EXPECT_EQ(listed_refusal([](auto& row) { row.set(decode_tokens, 2); }),
            "steps.csv:42: decode_tokens = 2 but the requests give 1");
  EXPECT_EQ(listed_refusal([](auto& row) { row.set(kv_sum, 9); }),
            "steps.csv:42: kv_sum = 9 but the requests give 10");
  EXPECT_EQ(listed_refusal([](auto& row) { row.set(kv_sum, not_a_number); }),
            "steps.csv:42: kv_sum is not a finite number");
}

TEST(DatasetBuilder, RefusesARowOfNoDeployment) {
  EXPECT_EQ(aggregated_refusal([](auto& row) { row.begin_row(1, 42); }), "steps.csv:42: the row names no deployment");
}

TEST(DatasetBuilder, RefusesEmptyLabels) {
  EXPECT_EQ(aggregated_refusal([](auto& row) { row.label(group::model, ""); }),
            "steps.csv:42: label 'model' is empty");
}

TEST(DatasetBuilder, RefusesStepIdsThatAreNotFinite) {
  EXPECT_EQ(aggregated_refusal([](auto& row) { row.step_id(not_a_number); }),
            "steps.csv:42: step_id is not a finite number");
}

TEST(DatasetBuilder, LeavesTheLineOutWhenThereIsNone) {
  EXPECT_EQ(aggregated_refusal([](auto& row) { good(row, 0).set(prefill_tokens, -1); }),
            "steps.csv: prefill_tokens = -1 is negative");
}

/// What the second of two rows is refused for.
std::string second_refusal(const std::function<void(aggregated_builder&)>& first,
                           const std::function<void(aggregated_builder&)>& second) {
  aggregated_builder build("steps.csv");
  build.add_deployment(engine_a);
  first(good(build, 1));
  build.end_row();
  second(good(build, 2));
  try {
    build.end_row();
  } catch (const dataset_error& refused) {
    EXPECT_EQ(build.rows(), 1U);
    return refused.what();
  }
  return "accepted";
}

TEST(DatasetBuilder, RefusesLabelsIdsAndTimesOnSomeRowsOnly) {
  const auto nothing = [](auto&) {};
  const auto label = [](auto& row) { row.label(group::workload, "chat"); };
  EXPECT_EQ(second_refusal(label, nothing), "steps.csv:2: label 'workload' is given on some rows only");
  EXPECT_EQ(second_refusal(nothing, label), "steps.csv:2: label 'workload' is given on some rows only");
  const auto id = [](auto& row) { row.step_id(3); };
  EXPECT_EQ(second_refusal(id, nothing), "steps.csv:2: step_id is given on some rows only");
  EXPECT_EQ(second_refusal(nothing, id), "steps.csv:2: step_id is given on some rows only");
  const auto time = [](auto& row) { row.start_ns(5); };
  EXPECT_EQ(second_refusal(time, nothing), "steps.csv:2: the start time is given on some rows only");
  EXPECT_EQ(second_refusal(nothing, time), "steps.csv:2: the start time is given on some rows only");
}

TEST(DatasetBuilder, RefusesAStepIdTwiceInAnExperimentOnly) {
  const auto row = [](const char* experiment, double id) {
    return [=](aggregated_builder& build) { build.label(group::experiment, experiment).step_id(id); };
  };
  EXPECT_EQ(second_refusal(row("a", 5), row("a", 5)), "steps.csv:2: step_id 5 occurs twice in experiment 'a'");
  EXPECT_EQ(second_refusal(row("a", 5), row("b", 5)), "accepted");
  EXPECT_EQ(second_refusal(row("a", 5), row("a", 6)), "accepted");
  EXPECT_EQ(second_refusal(row("a", 1e-7), row("a", 2e-7)), "accepted");  // differ, though both print as 0.000000
  EXPECT_EQ(second_refusal(row("a", 0.0), row("a", -0.0)), "steps.csv:2: step_id -0 occurs twice in experiment 'a'");
  EXPECT_EQ(second_refusal([](auto& b) { b.step_id(9); }, [](auto& b) { b.step_id(9); }),
            "steps.csv:2: step_id 9 occurs twice");
}

TEST(DatasetBuilder, HandsRefusedRowsToTheCallbackAndSaysSo) {
  std::vector<std::string> refused;
  aggregated_builder build("steps.csv", [&](const dataset_error& why) { refused.emplace_back(why.what()); });
  build.add_deployment(engine_a);
  EXPECT_TRUE(good(build, 1).step_id(1).end_row());
  EXPECT_FALSE(good(build, 2).step_id(2).set(gpu_step_time, 0).end_row());
  EXPECT_TRUE(good(build, 3).step_id(2).end_row());  // the refused row did not take the id
  EXPECT_FALSE(good(build, 4).step_id(2).end_row());
  EXPECT_EQ(build.refused(), 2U);
  const auto data = build.finish();
  EXPECT_EQ(data.size(), 2U);
  EXPECT_EQ(data.line(1), 3U);
  EXPECT_EQ(refused, (std::vector<std::string>{"steps.csv:2: gpu_step_time = 0 is not a time that a step can take",
                                               "steps.csv:4: step_id 2 occurs twice"}));
  ASSERT_EQ(data.notes().size(), 1U);
  EXPECT_EQ(data.notes()[0], "2 rows were refused and are not in the data");
}

/// A column whose definition needs the deployment, and one that no list defines.
struct kv_bytes_of_step_t : observable<"kv_bytes_of_step", units::byte, level::step> {
  using definition = decltype(sum(context_tokens * constant<1, 0, units::per_token>{} * architecture::bytes_per_kv));
};
struct blocks_used_t : observable<"blocks_used", units::none, level::step> {
  using definition = decltype(kv_blocks_total - kv_blocks_free);
};
struct with_definitions : tiny::listed {
  using columns = column_list<kv_bytes_of_step_t, blocks_used_t, kv_mean_t, kv_deviation_t>;
  using targets = column_list<>;
};

TEST(DatasetBuilder, ComputesDefinitionsThatNeedTheDeployment) {
  dataset_builder<with_definitions> build("steps.csv");
  build.add_deployment(engine_a);
  build.begin_row(0).add(request::decoding(9)).add(request::decoding(4)).set(blocks_used_t{}, 6);
  build.end_row();
  const auto data = build.finish();
  EXPECT_EQ(data[0].get(kv_bytes_of_step_t{}), 13.0 * 2.0);
  EXPECT_EQ(data[0].get(kv_mean), 7.5);  // 10 and 5; averages need not be whole
  EXPECT_EQ(data[0].get(kv_deviation), 2.5);
}

TEST(DatasetBuilder, TakesWhatTheListsCannotDefineFromTheSource) {
  dataset_builder<with_definitions> build("steps.csv");
  build.add_deployment(engine_a);
  build.begin_row(0, 3).add(request::decoding(9));
  EXPECT_THROW(build.end_row(), dataset_error);
  build.set(blocks_used_t{}, 6).end_row();
  EXPECT_EQ(build.finish()[0].get(blocks_used_t{}), 6.0);
}

TEST(Dataset, ComputesColumnsFromTheRequests) {
  listed_builder build("steps.csv");
  build.add_deployment(engine_a);
  good(build).end_row();
  good(build).add(request::decoding(0)).end_row();
  const auto data = build.finish();
  EXPECT_EQ(data[0].get(prefill_tokens), 4.0);
  EXPECT_EQ(data[0].get(decode_tokens), 1.0);
  EXPECT_EQ(data[0].get(kv_sum), 10.0);
  EXPECT_EQ(data[1].get(kv_sum), 11.0);
  EXPECT_EQ(data.total_requests(), 5U);
  ASSERT_EQ(data.requests(1).size(), 3U);
  EXPECT_EQ(data.requests(1)[2].context_tokens, 0.0);
  EXPECT_EQ(data[1].requests().size(), 3U);
}

TEST(Dataset, PaddingFollowsTheLastRow) {
  aggregated_builder build("steps.csv");
  build.add_deployment(engine_a);
  good(build).end_row();
  const auto data = build.finish();
  const double* column = data.column(kv_usage_ratio).data();
  EXPECT_EQ(data.column(kv_usage_ratio).size(), 1U);
  for (std::size_t i = 1; i <= pack_width; ++i) EXPECT_EQ(column[i], 0.0);
}

TEST(Dataset, CountsIdleRowsAndKeepsThem) {
  aggregated_builder build("steps.csv");
  build.add_deployment(engine_a);
  good(build).end_row();
  good(build).set(prefill_tokens, 0).set(prefill_requests, 0).set(decode_tokens, 0).set(decode_requests, 0).end_row();
  const auto data = build.finish();
  EXPECT_EQ(data.size(), 2U);
  EXPECT_EQ(data.idle_rows(), 1U);
  EXPECT_FALSE(data.idle(0));
  EXPECT_TRUE(data.idle(1));
}

TEST(Dataset, AStepThatListsNoRequestIsIdleWithoutTokenColumns) {
  dataset_builder<with_definitions> build("steps.csv");
  build.add_deployment(engine_a);
  build.begin_row(0).set(blocks_used_t{}, 0).end_row();
  build.begin_row(0).set(blocks_used_t{}, 0).add(request::decoding(1)).end_row();
  const auto data = build.finish();
  EXPECT_TRUE(data.idle(0));
  EXPECT_FALSE(data.idle(1));
}

/// Rows of deployments a a b a a, models x x y x z, experiments e e e f f, ids 1 2 4 1 2, starts 100 300 600 50 950 ns.
dataset<tiny::listed> five_rows() {
  listed_builder build("five.csv");
  const std::size_t a = build.add_deployment(engine_a);
  const std::size_t b = build.add_deployment(engine_b);
  build.alias(group::model, "z", "x");
  build.note("made up");
  const std::size_t engines[] = {a, a, b, a, a};
  const char* const models[] = {"x", "x", "y", "x", "z"};
  const char* const experiments[] = {"e", "e", "e", "f", "f"};
  const double ids[] = {1, 2, 4, 1, 2};
  const std::int64_t starts[] = {100, 300, 600, 50, 950};
  for (std::size_t i = 0; i < 5; ++i) {
    build.begin_row(engines[i], 10 + i);
    build.label(group::model, models[i]).label(group::experiment, experiments[i]).step_id(ids[i]).start_ns(starts[i]);
    build.set(kv_usage_ratio, 0.1 * static_cast<double>(i)).set(gpu_step_time, 0.01);
    build.add(request::decoding(static_cast<double>(i)));
    build.end_row();
  }
  return build.finish();
}

TEST(Dataset, RunsAreMaximalStretchesOfOneDeployment) {
  const auto data = five_rows();
  ASSERT_EQ(data.runs().size(), 3U);
  EXPECT_EQ(data.runs()[0].rows, (row_range{0, 2}));
  EXPECT_EQ(data.runs()[1].rows, (row_range{2, 3}));
  EXPECT_EQ(data.runs()[2].rows, (row_range{3, 5}));
  EXPECT_EQ(data.runs()[1].deployment, 1U);
  EXPECT_EQ(data.runs()[2].deployment, 0U);
  EXPECT_EQ(data.deployment_of(2), engine_b);
  EXPECT_EQ(data[3].deployment(), engine_a);
  EXPECT_EQ(data.deployment_count(), 2U);
}

TEST(Dataset, AliasesAreOneGroup) {
  const auto data = five_rows();
  EXPECT_EQ(data.groups(group::model).codes(), (std::vector<std::uint32_t>{0, 0, 1, 0, 0}));
  EXPECT_EQ(data.groups(group::model).name(4), "x");
  ASSERT_EQ(data.aliases(group::model).size(), 1U);
  EXPECT_EQ(data.aliases(group::model)[0].first, "z");
}

TEST(Dataset, AGroupThatIsAbsentNamesItself) {
  const auto data = five_rows();
  EXPECT_FALSE(data.has_group(group::hardware));
  try {
    data.groups(group::hardware);
    FAIL();
  } catch (const dataset_error& absent) {
    EXPECT_STREQ(absent.what(), "five.csv: the data has no group 'hardware'");
  }
}

TEST(Dataset, KeepCopiesTheRowsAndEverythingOfThem) {
  const auto all = five_rows();
  const auto kept = all.keep(row_set::of({1, 2, 4}), "three of five");
  ASSERT_EQ(kept.size(), 3U);
  const std::size_t from[] = {1, 2, 4};
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t c = 0; c < all.column_count; ++c) EXPECT_EQ(kept.column(c)[i], all.column(c)[from[i]]);
    EXPECT_EQ(kept.line(i), all.line(from[i]));
    EXPECT_EQ(kept.step_ids()[i], all.step_ids()[from[i]]);
    EXPECT_EQ(kept.start_ns()[i], all.start_ns()[from[i]]);
    EXPECT_EQ(kept.deployment_of(i), all.deployment_of(from[i]));
    EXPECT_EQ(kept.groups(group::model).name(i), all.groups(group::model).name(from[i]));
    ASSERT_EQ(kept.requests(i).size(), all.requests(from[i]).size());
    EXPECT_EQ(kept.requests(i)[0].context_tokens, all.requests(from[i])[0].context_tokens);
  }
  EXPECT_EQ(kept.runs().size(), 3U);
  EXPECT_EQ(kept.source(), "five.csv");
  EXPECT_EQ(kept.notes(), (std::vector<std::string>{"made up", "three of five"}));
  EXPECT_EQ(kept.aliases(group::model), all.aliases(group::model));
  EXPECT_TRUE(all.keep(row_set()).empty());
  EXPECT_TRUE(all.keep(row_set()).runs().empty());
}

/// One number, and two targets of which a row may lack either.
struct two_targets {
  static constexpr std::string_view name = "two_targets";
  using columns = column_list<kv_usage_ratio_t, gpu_step_time_t, step_interval_t>;
  using targets = column_list<gpu_step_time_t, step_interval_t>;
  static constexpr bool lists_requests = false;
  static constexpr bool partial_targets = true;
  using deployment_type = rafter::deployment;
};
struct timed_row {
  const char* experiment;
  double id;
  std::int64_t start;
  std::optional<double> gpu = 0.01;
};

dataset<two_targets> timed(const std::vector<timed_row>& rows) {
  dataset_builder<two_targets> build("timed.csv");
  build.add_deployment(engine_a);
  std::size_t line = 10;
  for (const timed_row& row : rows) {
    build.begin_row(0, line++).label(group::experiment, row.experiment).step_id(row.id).start_ns(row.start);
    build.set(kv_usage_ratio, row.id / 10);
    if (row.gpu) build.set(gpu_step_time, *row.gpu);
    build.end_row();
  }
  return build.finish();
}

TEST(Dataset, StepIntervalIsStartToStartOfConsecutiveIds) {
  const auto all = timed({{"e", 1, 100}, {"e", 2, 300}, {"e", 4, 600}, {"f", 1, 50}, {"f", 2, 950}});
  EXPECT_EQ(all.target_name(), "gpu_step_time");
  EXPECT_EQ(all.rows_with_target(), 5U);
  const auto data = all.for_target(step_interval);
  // e: 1 → 2 (200 ns); 2 → 4 is no successor; f: 1 → 2 (900 ns).
  ASSERT_EQ(data.size(), 2U);
  EXPECT_EQ(data.target_name(), "step_interval");
  EXPECT_DOUBLE_EQ(data.target()[0], 200e-9);
  EXPECT_DOUBLE_EQ(data[1].get(step_interval), 900e-9);
  EXPECT_EQ(data.line(0), 10U);
  EXPECT_EQ(data.line(1), 13U);
  EXPECT_EQ(data[1].get(kv_usage_ratio), 0.1);
  EXPECT_EQ(data.column(step_interval).data()[2], 0.0);  // padding
  ASSERT_EQ(data.notes().size(), 1U);
  EXPECT_EQ(data.notes()[0], "step_interval exists for 2 of 5 rows; the others are left out");
}

TEST(Dataset, StepIntervalFindsSuccessorsInAnyOrderOfRows) {
  const auto data = timed({{"e", 3, 700}, {"e", 1, 100}, {"e", 2, 300}}).for_target(step_interval);
  ASSERT_EQ(data.size(), 2U);
  EXPECT_DOUBLE_EQ(data.target()[0], 200e-9);
  EXPECT_DOUBLE_EQ(data.target()[1], 400e-9);
}

TEST(Dataset, StepIntervalsThatRunBackwardsAreRefused) {
  try {
    timed({{"e", 1, 100}, {"e", 2, 90}});
    FAIL() << "accepted";
  } catch (const dataset_error& refused) {
    EXPECT_STREQ(refused.what(), "timed.csv:10: step_interval is not positive: the next step starts no later");
  }
}

TEST(Dataset, ATargetThatNoRowHasNamesItself) {
  try {
    timed({{"e", 1, 100}, {"e", 3, 300}}).for_target(step_interval);
    FAIL() << "accepted";
  } catch (const dataset_error& refused) {
    EXPECT_STREQ(refused.what(), "timed.csv: no row has a step_interval");
  }
  try {
    timed({{"e", 1, 100}}).for_target("interval");
    FAIL() << "accepted";
  } catch (const dataset_error& refused) {
    EXPECT_STREQ(refused.what(), "timed.csv: unknown target 'interval'; known: gpu_step_time, step_interval");
  }
}

TEST(Dataset, TheFirstTargetWithValuesIsSelected) {
  const auto data = timed({{"e", 1, 100, std::nullopt}, {"e", 2, 300, std::nullopt}});
  EXPECT_EQ(data.target_name(), "step_interval");
  EXPECT_EQ(data.rows_with_target(), 1U);
  const auto some = timed({{"e", 1, 100, std::nullopt}, {"e", 3, 300, 0.5}});
  EXPECT_EQ(some.target_name(), "gpu_step_time");
  EXPECT_EQ(some.rows_with_target(), 1U);
  ASSERT_EQ(some.for_target(gpu_step_time).size(), 1U);
  EXPECT_EQ(some.for_target(gpu_step_time).target()[0], 0.5);
}

TEST(Dataset, KeepKeepsTheSelectedTarget) {
  const auto data = timed({{"e", 1, 100}, {"e", 2, 300}, {"e", 3, 600}}).for_target(step_interval);
  EXPECT_EQ(data.keep(row_set::of({1})).target_name(), "step_interval");
  EXPECT_DOUBLE_EQ(data.keep(row_set::of({1})).target()[0], 300e-9);
}

dataset<tiny::listed> three_random_steps() {
  listed_builder build("steps.csv");
  build.add_deployment(engine_a);
  std::mt19937_64 random(5);
  for (std::size_t row = 0; row < 3; ++row) tiny::add_random_row(build, random, 0, 10 + row);
  return build.finish();
}

TEST(Dataset, OtherDeploymentsChangeNothingElse) {
  const dataset<tiny::listed> data = five_rows();
  const auto other = data.with_deployments([](deployment one) {
    one.tensor_parallel = 8.0;
    return one;
  });
  ASSERT_EQ(other.size(), data.size());
  EXPECT_EQ(other.deployment_count(), data.deployment_count());
  for (std::size_t row = 0; row < data.size(); ++row) {
    EXPECT_EQ(other.deployment_of(row).tensor_parallel, 8.0);
    EXPECT_NE(data.deployment_of(row).tensor_parallel, 8.0);
    EXPECT_EQ(other.target()[row], data.target()[row]);
    EXPECT_EQ(other.column<kv_sum_t>()[row], data.column<kv_sum_t>()[row]);
    EXPECT_EQ(other.line(row), data.line(row));
  }
  EXPECT_EQ(other.target_name(), data.target_name());
  EXPECT_EQ(other.groups(group::model), data.groups(group::model));
}

TEST(Dataset, OtherRequestsAreCountedAnew) {
  listed_builder build("steps.csv");
  build.add_deployment(engine_a);
  good(build, 2).end_row();
  build.begin_row(0, 3).set(kv_usage_ratio, 0.25).set(gpu_step_time, 0.5).end_row();  // idle
  const dataset<tiny::listed> data = build.finish();
  const auto other = data.with_requests([](std::size_t row, std::vector<request>& list) {
    if (row == 0) list[0].new_tokens += 6;
    list.push_back(request::decoding(99));
  });
  EXPECT_EQ(other.column<prefill_tokens_t>()[0], 10.0);
  EXPECT_EQ(other.column<decode_tokens_t>()[0], 2.0);
  EXPECT_EQ(other.column<kv_sum_t>()[0], 10.0 + 100.0);
  EXPECT_EQ(other.column<kv_sum_t>()[1], 100.0);
  EXPECT_EQ(other.requests(1).size(), 1U);
  EXPECT_EQ(other.idle_rows(), 0U);
  EXPECT_EQ(other.column<kv_usage_ratio_t>()[1], 0.25) << "no list defines it";
  EXPECT_EQ(other.target()[1], 0.5);
  EXPECT_EQ(data.requests(1).size(), 0U);
  EXPECT_EQ(data.idle_rows(), 1U);
}

TEST(Dataset, OtherRequestsMustBeThoseOfAStep) {
  listed_builder build("steps.csv");
  build.add_deployment(engine_a);
  good(build, 42).end_row();
  const dataset<tiny::listed> data = build.finish();
  try {
    data.with_requests([](std::size_t, std::vector<request>& list) { list[1].new_tokens = 2; });
    FAIL();
  } catch (const dataset_error& why) {
    EXPECT_STREQ(why.what(), "steps.csv:42: a decode request has 2 new tokens, not one");
  }
}

TEST(Dataset, AnotherColumnIsCheckedLikeTheFirst) {
  aggregated_builder build("steps.csv");
  build.add_deployment(engine_a);
  good(build, 42).end_row();
  const dataset<tiny::aggregated> data = build.finish();
  EXPECT_EQ(data.with_column(prefill_tokens, {26.0}).column<prefill_tokens_t>()[0], 26.0);
  EXPECT_EQ(data.column<prefill_tokens_t>()[0], 10.0);
  EXPECT_THROW(data.with_column(prefill_tokens, {26.5}), dataset_error);
  EXPECT_THROW(data.with_column(prefill_tokens, {}), dataset_error);
}

TEST(Dataset, CopiesShareTheirColumns) {
  const auto data = three_random_steps();
  const auto copy = data;
  EXPECT_EQ(copy.column(prefill_tokens).data(), data.column(prefill_tokens).data());
  EXPECT_EQ(copy.target().data(), data.target().data());
}

TEST(Dataset, WithTargetSharesAllButTheTarget) {
  const auto data = three_random_steps();
  const auto residual = data.with_target({-1.0, 0.0, 2.5}, "what is left");
  EXPECT_EQ(residual.size(), 3U);
  EXPECT_EQ(residual.column(prefill_tokens).data(), data.column(prefill_tokens).data());
  EXPECT_EQ(residual.requests(1).data(), data.requests(1).data());
  EXPECT_EQ(&residual.runs(), &data.runs());
  EXPECT_EQ(residual.target()[0], -1.0);
  EXPECT_EQ(residual.column(dataset<tiny::listed>::column_count)[2], 2.5);  // as plans read it
  EXPECT_EQ(residual.target_name(), "what is left");
  EXPECT_TRUE(residual.derived_target());
  EXPECT_FALSE(data.derived_target());
  for (std::size_t i = 0; i < pack_width; ++i) EXPECT_EQ(residual.target().data()[3 + i], 0.0);  // readable padding
}

TEST(Dataset, WithTargetLeavesWhatWasMeasured) {
  const auto data = three_random_steps();
  const auto residual = data.with_target({-1.0, 0.0, 2.5});
  EXPECT_EQ(residual.measured_target().data(), data.target().data());
  EXPECT_EQ(residual.measured_name(), "gpu_step_time");
  EXPECT_EQ(residual[1].get(gpu_step_time), data.target()[1]);
  const auto again = residual.for_target(gpu_step_time);
  EXPECT_EQ(again.target().data(), data.target().data());
  EXPECT_FALSE(again.derived_target());
}

TEST(Dataset, ADerivedTargetOutlivesTheDatasetThatItWasMadeOf) {
  const auto residual = [] {
    return three_random_steps().with_target({1.0, 2.0, 3.0}).with_target({4.0, 5.0, 6.0});
  }();
  EXPECT_EQ(residual.target()[2], 6.0);
  EXPECT_GT(residual.measured_target()[0], 0.0);
}

TEST(Dataset, RowsMayHaveNoDerivedTarget) {
  EXPECT_EQ(three_random_steps().with_target({1.0, not_a_number, 3.0}).rows_with_target(), 2U);
}

TEST(Dataset, KeepKeepsTheDerivedTarget) {
  const auto kept = three_random_steps().with_target({1.0, 2.0, 3.0}, "left").keep(row_set::of({0, 2}));
  ASSERT_EQ(kept.target().size(), 2U);
  EXPECT_EQ(kept.target()[1], 3.0);
  EXPECT_EQ(kept.target_name(), "left");
}

TEST(Dataset, WithTargetRefusesWhatIsNoTarget) {
  const auto refusal_of = [](std::vector<double> values) -> std::string {
    try {
      three_random_steps().with_target(std::move(values), "left");
    } catch (const dataset_error& refused) {
      return refused.what();
    }
    return "accepted";
  };
  EXPECT_EQ(refusal_of({1.0, 2.0}), "steps.csv: left has 2 values for 3 rows");
  EXPECT_EQ(refusal_of({1.0, -infinite, 2.0}), "steps.csv:11: left is infinite on row 1");
}

}  // namespace
