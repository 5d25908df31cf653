// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/step/observables.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "rafter/io/kernel_steps.hpp"
#include "rafter/step/columns.hpp"
#include "support/parametric_value.hpp"
#include "support/steps.hpp"
#include "support/tiny.hpp"

namespace {

using namespace rafter;

const deployment engine = deployment_of(static_deployment<tiny::dense, tiny::memory_bound>{});
struct saying {
  double elementwise_counted, gemm_in_waves;
};

TEST(WhatATimeCounts, IsElementwiseKernelsAndNoWavesForARecordThatDoesNotSay) {
  const tiny::step silent{{request::decoding(3)}};
  EXPECT_EQ(tiny::value(elementwise_counted, silent, engine), 1.0);
  EXPECT_EQ(tiny::value(gemm_in_waves, silent, engine), 0.0);
}
TEST(WhatATimeCounts, IsWhatTheRecordSays) {
  EXPECT_EQ(tiny::value(elementwise_counted, saying{0, 1}, engine), 0.0);
  EXPECT_EQ(tiny::value(gemm_in_waves, saying{0, 1}, engine), 1.0);
}

template <class Schema, class Leaf> double of_row(const dataset<Schema>& data, std::size_t row) {
  using plan_type = plan<detail::dataset_binding<Schema>, Leaf>;
  const column_evaluation<plan_type, Schema> evaluation(data, row_set::all(data.size()));
  double found = -1.0;
  evaluation.for_each_run(row_set::of({row}), [&](const auto& slots, row_range range) {
    evaluation.template rows<pack>(slots, range.begin, [&](auto, pack value) { found = value[0]; });
  });
  return found;
}
TEST(WhatATimeCounts, IsTheDefaultForASchemaWithoutTheColumn) {
  for (const bool lists : {true, false}) {
    if (lists) {
      dataset_builder<tiny::listed> build("listed");
      build.add_deployment(engine);
      std::mt19937_64 random(1);
      tiny::add_random_row(build, random, 0, 2);
      const auto data = build.finish();
      EXPECT_EQ((of_row<tiny::listed, elementwise_counted_t>(data, 0)), 1.0);
      EXPECT_EQ((of_row<tiny::listed, gemm_in_waves_t>(data, 0)), 0.0);
    } else {
      dataset_builder<tiny::aggregated> build("aggregated");
      build.add_deployment(engine);
      build.begin_row(0)
          .set(prefill_tokens, 1)
          .set(decode_tokens, 1)
          .set(prefill_requests, 1)
          .set(decode_requests, 1);
      build.set(kv_usage_ratio, 0.5).set(gpu_step_time, 1e-3);
      build.end_row();
      const auto data = build.finish();
      EXPECT_EQ((of_row<tiny::aggregated, elementwise_counted_t>(data, 0)), 1.0);
      EXPECT_EQ((of_row<tiny::aggregated, gemm_in_waves_t>(data, 0)), 0.0);
    }
  }
}

// Kernel tables say it by their rig: a column may say 0, though records that say nothing mean 1.
TEST(WhatATimeCounts, IsWhatTheColumnOfAKernelTableSays) {
  const std::string head =
      "hardware,model,tp,workload,gemm_source,attn_source,num_prefill_reqs,prefill_tokens,prefill_len,prefill_kv,"
      "num_decode_reqs,decode_kv,total_tokens,decode_kv_sum,gemm_us,moe_us,prefill_attn_us,decode_attn_us,other_us,"
      "total_us,allreduce_us,gate_up\n";
  const auto data = parse_kernel_steps(head +
                                           "h100,Llama-2-7b-hf,1,decode,vidur,vidur,0,0,0,0,2,16,2,32,5,0,0,3,1,9,0,"
                                           "fused\n"
                                           "h100,Llama-2-7b-hf,1,decode,aic_vllm,aic,0,0,0,0,2,16,2,32,5,0,0,3,0,8,0,"
                                           "fused\n",
                                       "table");
  EXPECT_EQ((of_row<kernel_schema, elementwise_counted_t>(data, 0)), 1.0);
  EXPECT_EQ((of_row<kernel_schema, gemm_in_waves_t>(data, 0)), 1.0);
  EXPECT_EQ((of_row<kernel_schema, elementwise_counted_t>(data, 1)), 0.0);
  EXPECT_EQ((of_row<kernel_schema, gemm_in_waves_t>(data, 1)), 0.0);
}

}  // namespace
