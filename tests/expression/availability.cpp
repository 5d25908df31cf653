// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/expression/availability.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "rafter/analytical/roofline.hpp"
#include "support/tiny.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;

struct counts {
  double prefill_tokens, decode_tokens;
};
struct with_lengths : counts {
  std::vector<double> kv_lengths;
};
struct no_engine {};

struct disguised_after : observable<"disguised", units::none, level::step> {
  using definition = decltype(finished_requests + 1_c);
};
struct disguised_model : observable<"disguised", units::none, level::deployment> {
  using definition = decltype(model_code + 1_c);
};
template <class Record, class Deployment = no_engine, class E> std::string_view missing(E) {
  return detail::first_missing<E, detail::record_binding<Deployment, Record>>();
}

TEST(Availability, NamesTheFirstObservableThatIsMissing) {
  EXPECT_EQ(missing<counts>(scheduled_tokens), "");
  EXPECT_EQ(missing<counts>(scheduled_tokens * kv_usage_ratio / queue_waiting), "kv_usage_ratio");
  EXPECT_EQ(missing<counts>(1_c + 2_c), "");
}

TEST(Availability, AnAggregateThatCannotBeReducedIsNamedItself) {
  EXPECT_EQ(missing<counts>(max(kv_length) * count(decode)), "kv_max");
  EXPECT_EQ(missing<counts>(mean(context_tokens)), "requests");  // has no name
  EXPECT_EQ(missing<with_lengths>(max(kv_length) * count(decode)), "");
}

TEST(Availability, KvLengthsSayNothingOfPrefillNorOfContexts) {
  EXPECT_EQ(missing<with_lengths>(count(prefill)), "prefill_requests");
  EXPECT_EQ(missing<with_lengths>(sum(context_tokens, decode)), "context_tokens");
  EXPECT_EQ(missing<with_lengths>(sum(kv_length * kv_length)), "");
}

TEST(Availability, RequestsFeedEverythingDefinedByThem) {
  EXPECT_EQ(missing<tiny::step>(prefill_attention_pairs + kv_sum * kv_sum), "");
  EXPECT_EQ(missing<tiny::step>(kv_usage_ratio), "kv_usage_ratio");
}

TEST(Availability, DeploymentQuantitiesComeFromTheDeployment) {
  EXPECT_EQ(missing<tiny::step>(analytical::floor_time), "layers");
  EXPECT_EQ((missing<tiny::step, deployment>(analytical::roofline_step_time)), "");
  using fixed = static_deployment<tiny::dense, tiny::memory_bound>;
  EXPECT_EQ((missing<tiny::step, fixed>(analytical::roofline_step_time)), "");
  EXPECT_EQ((missing<tiny::step, fixed>(model_code)), "model_code");
}

TEST(Availability, WhatIsObservedAfterTheStepIsFoundWhereverItHides) {
  EXPECT_EQ(detail::first_observed_after<decltype(kv_sum * (1_c + finished_requests))>(), "finished_requests");
  EXPECT_EQ(detail::first_observed_after<decltype(kv_sum * kv_mean)>(), "");
  EXPECT_EQ(detail::first_observed_after<decltype(kv_usage_ratio * disguised_after{})>(), "finished_requests");
}

TEST(Availability, IdentityIsFoundByAxis) {
  EXPECT_EQ(detail::first_identity_of<decltype(model_code * 2_c)>("model"), "model_code");
  EXPECT_EQ(detail::first_identity_of<decltype(model_code * 2_c)>("hardware"), "");
  EXPECT_EQ(detail::first_identity_of<decltype(kv_usage_ratio * disguised_model{})>("model"), "model_code");
}

TEST(Availability, EvaluableOnAnswersWithoutAnError) {
  using binding = detail::record_binding<no_engine, counts>;
  EXPECT_TRUE((evaluable_on<decltype(scheduled_tokens), binding>));
  EXPECT_FALSE((evaluable_on<decltype(kv_sum), binding>));
  EXPECT_FALSE((evaluable_on<int, binding>));
}

}  // namespace
