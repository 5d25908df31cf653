// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <string>

#include "examples/data/serving_steps.hpp"
#include "rafter/io/file.hpp"

namespace {

using namespace rafter;

const char* const path = "examples/data/steps.csv";

TEST(EmbeddedSteps, AreWhatTheGeneratorMakes) {
  const file_bytes committed = read_file(path);
  const std::string generated = serving_steps::text();
  // Not EXPECT_EQ: a difference would print both files.
  EXPECT_TRUE(committed.view() == generated)
      << path << " is not what generate-steps writes: run it and review the change";
}

TEST(EmbeddedSteps, AnotherSeedGivesOtherSteps) {
  EXPECT_TRUE(serving_steps::text(serving_steps::default_seed + 1) != serving_steps::text());
}

TEST(EmbeddedSteps, SayThatTheyAreGenerated) {
  const auto data = read_rafter_steps(path);
  ASSERT_FALSE(data.notes().empty());
  EXPECT_TRUE(data.notes()[0].starts_with("label source: generated")) << data.notes()[0];
}

TEST(EmbeddedSteps, AreSixteenExperimentsOfFourHundredSteps) {
  const auto data = read_rafter_steps(path);
  EXPECT_EQ(data.size(), 6400U);
  EXPECT_EQ(data.idle_rows(), 0U);
  const group_column& experiments = data.groups(group::experiment);
  ASSERT_EQ(experiments.count(), 16U);
  for (std::uint32_t code = 0; code < 16; ++code) EXPECT_EQ(experiments.rows_of(code).size(), 400U);
  EXPECT_EQ(data.groups(group::model).count(), 4U);
  EXPECT_EQ(data.groups(group::workload).count(), 4U);
}

TEST(EmbeddedSteps, KeepTheLimitsOfTheEngine) {
  const auto data = read_rafter_steps(path);
  for (std::size_t row = 0; row < data.size(); ++row) {
    ASSERT_LE(data.requests(row).size(), serving_steps::most_sequences);
    ASSERT_LE(data.column(prefill_tokens)[row] + data.column(decode_tokens)[row],
              static_cast<double>(serving_steps::token_budget));
    ASSERT_LE(data.column(kv_max)[row], static_cast<double>(serving_steps::longest_sequence));
    ASSERT_GE(data.column(step_interval)[row], data.column(gpu_step_time)[row]);
  }
}

// The floor by hand, not by the library's expression: bytes of the weights that one token needs over the bandwidth.
TEST(EmbeddedSteps, NoStepIsBelowTheTimeToReadItsWeights) {
  const auto data = read_rafter_steps(path);
  for (std::size_t row = 0; row < data.size(); ++row) {
    const deployment& runs = data.deployment_of(row);
    const decoder& a = runs.architecture;
    const double d = a.hidden;
    const double attention = 2.0 * d * a.heads * a.head_dim + 2.0 * d * a.kv_heads * a.head_dim;
    const double mlp = 3.0 * d * a.intermediate * a.experts_per_token;
    const double floor = 2.0 * a.layers * (attention + mlp) / runs.tensor_parallel / 3.35e12;
    ASSERT_GT(data.column(gpu_step_time)[row], floor) << "row " << row;
  }
}

}  // namespace
