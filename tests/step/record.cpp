// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/step/record.hpp"

#include <gtest/gtest.h>

#include <array>
#include <span>
#include <string_view>
#include <vector>

#include "support/tiny.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;
using tiny::value;

constexpr static_deployment<tiny::dense, tiny::memory_bound> engine{};

struct counts_only {
  double prefill_tokens, decode_tokens;
};
struct log_row {
  double prefill_tokens, decode_tokens;
  std::vector<double> kv_lengths;
};
struct aggregates {
  int prefill_tokens, decode_tokens, prefill_requests, decode_requests;
  float kv_sum;
};
struct list_by_function {
  std::vector<request> stored;
  std::span<const request> requests() const { return stored; }
};
/// Requests of the user's own type, in an array.
struct my_request {
  int new_tokens;
  long context_tokens;
  int decode;
};
struct my_batch {
  std::array<my_request, 2> requests;
};
/// A record that answers for observables itself.
struct by_get {
  double prefill_tokens = 1.0;
  template <class Leaf>
  requires(Leaf::name == std::string_view("decode_tokens") ||
           Leaf::name == std::string_view("prefill_tokens")) double get() const {
    return 42.0;
  }
};

TEST(StepRecord, ConceptsSayWhatARecordCarries) {
  EXPECT_TRUE(step_record<counts_only> && !has_requests<counts_only> && !has_kv_lengths<counts_only>);
  EXPECT_TRUE(step_record<log_row> && !has_requests<log_row> && has_kv_lengths<log_row>);
  EXPECT_TRUE(step_record<tiny::step> && has_requests<tiny::step> && has_kv_lengths<tiny::step>);
  EXPECT_TRUE(has_requests<list_by_function> && has_requests<my_batch>);
  EXPECT_FALSE(step_record<int> || has_kv_lengths<counts_only>);
}

TEST(StepRecord, AggregatesOfTheRequestsAreThoseOfTheirDefinition) {
  const tiny::step step{
      {request::prefilling(5, 7), request::decoding(3), request::prefilling(2), request::decoding(9)}};
  EXPECT_EQ(value(prefill_tokens, step, engine), 7.0);
  EXPECT_EQ(value(decode_tokens, step, engine), 2.0);
  EXPECT_EQ(value(prefill_requests, step, engine), 2.0);
  EXPECT_EQ(value(decode_requests, step, engine), 2.0);
  EXPECT_EQ(value(kv_sum, step, engine), 4.0 + 10.0);
  EXPECT_EQ(value(kv_mean, step, engine), 7.0);
  EXPECT_EQ(value(kv_max, step, engine), 10.0);
  EXPECT_EQ(value(kv_min, step, engine), 4.0);
  EXPECT_EQ(value(kv_deviation, step, engine), 3.0);
}

TEST(StepRecord, AggregatesOfAnEmptyBatchAreZero) {
  const tiny::step none{};
  EXPECT_EQ(value(kv_sum + kv_mean + kv_max + kv_min + kv_deviation, none, engine), 0.0);
  const tiny::step only_prefill{{request::prefilling(5, 7)}};
  EXPECT_EQ(value(kv_sum + kv_mean + kv_max + kv_min + kv_deviation, only_prefill, engine), 0.0);
}

TEST(StepRecord, MembersOfAnyNumberTypeAreRead) {
  const aggregates step{10, 3, 1, 3, 44.0F};
  EXPECT_EQ(value(kv_sum / count(decode), step, engine), 44.0 / 3.0);
  EXPECT_EQ(value(scheduled_tokens, step, engine), 13.0);
}

TEST(StepRecord, AMemberIsPreferredToItsDefinition) {
  struct both {
    double kv_sum;
    std::vector<request> requests;
  };
  EXPECT_EQ(value(kv_sum, both{99.0, {request::decoding(1)}}, engine), 99.0);
}

TEST(StepRecord, KvLengthsAloneFeedTheStatistics) {
  const log_row step{100, 3, {4, 10, 1}};
  EXPECT_EQ(value(kv_sum, step, engine), 15.0);
  EXPECT_EQ(value(max(kv_length) * count(decode), step, engine), 30.0);
  EXPECT_EQ(value(decode_tokens, step, engine), 3.0);
}

TEST(StepRecord, RequestsMayComeFromAFunctionOrBeTheUsersOwn) {
  EXPECT_EQ(value(kv_sum, list_by_function{{request::decoding(4)}}, engine), 5.0);
  EXPECT_EQ(value(kv_sum + prefill_tokens, my_batch{{{{1, 8, 1}, {6, 0, 0}}}}, engine), 15.0);
}

TEST(StepRecord, GetAnswersWhereThereIsNoMember) {
  EXPECT_EQ(value(decode_tokens, by_get{}, engine), 42.0);
  EXPECT_EQ(value(prefill_tokens, by_get{}, engine), 1.0);  // the member first
}

}  // namespace
