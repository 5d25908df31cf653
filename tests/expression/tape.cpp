// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/expression/tape.hpp"

#include <gtest/gtest.h>

#include "rafter/architecture/quantities.hpp"
#include "rafter/step/record.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;

template <class... Es> constexpr const auto& tape_of(Es...) { return plan<as_written, Es...>::tape; }

TEST(Tape, EqualPartsAreOneInstruction) {
  // prefill, decode, their sum, the square: whoever wrote the sum.
  EXPECT_EQ(tape_of((prefill_tokens + decode_tokens) * (prefill_tokens + decode_tokens)).code.size(), 4U);
  EXPECT_EQ(tape_of(scheduled_tokens, prefill_tokens + decode_tokens).code.size(), 3U);
}

TEST(Tape, OperandsOfCommutativeOperationsHaveOneOrder) {
  EXPECT_EQ(tape_of(kv_sum * kv_max, kv_max * kv_sum).code.size(), 3U);
  EXPECT_EQ(tape_of(kv_sum + kv_max, kv_max + kv_sum).code.size(), 3U);
  EXPECT_EQ(tape_of(kv_sum - kv_max, kv_max - kv_sum).code.size(), 4U);
  EXPECT_EQ(tape_of(kv_sum / kv_max, kv_max / kv_sum).code.size(), 4U);
  EXPECT_EQ(tape_of(min(kv_sum, kv_max), min(kv_max, kv_sum)).code.size(), 4U);  // differ where one is NaN
}

TEST(Tape, SumsAreNotReassociated) {
  EXPECT_EQ(tape_of((kv_sum + kv_max) + kv_min, kv_sum + (kv_max + kv_min)).code.size(), 3U + 4U);
}

TEST(Tape, ConstantsAreFoldedAndTheirPartsDropped) {
  const auto& tape = tape_of(kv_usage_ratio * (2_c * 3_c + 1_c));
  ASSERT_EQ(tape.code.size(), 3U);
  int constants = 0;
  for (const instruction& one : tape.code) {
    if (one.op == operation::constant) {
      ++constants;
      EXPECT_EQ(one.value, 7.0);
    }
  }
  EXPECT_EQ(constants, 1);
}

TEST(Tape, DivisionByZeroIsNotFolded) {
  const auto& tape = tape_of(1_c / 0_c);
  EXPECT_EQ(tape.code[static_cast<std::size_t>(tape.outputs[0])].op, operation::divide);
  EXPECT_EQ(tape.slots, 1);
}

TEST(Tape, EqualNumbersOfDifferentUnitsAreOneConstant) {
  EXPECT_EQ(tape_of(kv_sum + one_token, kv_usage_ratio + 1_c).code.size(), 5U);
}

TEST(Tape, DeploymentPartsHaveSlots) {
  const auto& tape = tape_of(architecture::layers * architecture::hidden * kv_usage_ratio);
  EXPECT_EQ(tape.slots, 3);
  EXPECT_EQ(tape.leaves.size(), 3U);
  for (const instruction& one : tape.code) EXPECT_EQ(one.slot >= 0, one.varies == level::deployment);
}

TEST(Tape, OperandsComeFirst) {
  const auto& tape = tape_of(sum(square(context_tokens - for_each_request(mean(context_tokens)))), kv_sum * kv_sum);
  for (std::size_t i = 0; i < tape.code.size(); ++i) {
    for (const int operand : {tape.code[i].a, tape.code[i].b, tape.code[i].c})
      EXPECT_LT(operand, static_cast<int>(i));
  }
}

TEST(Tape, PhasesCountReductionsOfReductions) {
  EXPECT_EQ(tape_of(kv_usage_ratio).phases, 0);
  EXPECT_EQ(tape_of(sum(context_tokens)).phases, 1);
  EXPECT_EQ(tape_of(sum(context_tokens - for_each_request(mean(context_tokens)))).phases, 2);
}

TEST(Tape, LeavesKeepTheFactsOfTheirObservables) {
  const auto& leaf = tape_of(kv_sum).leaves[0].fact;
  EXPECT_EQ(leaf.name, "kv_sum");
  EXPECT_EQ(leaf.unit, units::token);
  EXPECT_EQ(leaf.varies, level::step);
  EXPECT_EQ(leaf.known, provenance::known_before_step);
}

TEST(Tape, ABindingThatLacksAnObservableUsesItsDefinition) {
  struct batch {
    request requests[2];
  };
  struct engine {};
  using tape_of_batch = plan<detail::record_binding<engine, batch>, kv_sum_t>;
  // context + 1, then its sum
  EXPECT_EQ(tape_of_batch::size, 4U);
  EXPECT_EQ(tape_of_batch::tape.leaves.size(), 1U);
  EXPECT_EQ(tape_of_batch::tape.leaves[0].fact.name, "context_tokens");
}

}  // namespace
