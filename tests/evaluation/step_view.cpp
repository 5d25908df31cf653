#include "rafter/evaluation/step_view.hpp"

#include <gtest/gtest.h>

#include "rafter/io/blis_steps.hpp"
#include "rafter/io/kernel_steps.hpp"

namespace {
using namespace rafter;

const char* const kernels =
    "hardware,model,tp,workload,gemm_source,attn_source,num_prefill_reqs,prefill_tokens,prefill_len,prefill_kv,num_"
    "decode_"
    "reqs,decode_kv,total_tokens,decode_kv_sum,gemm_us,moe_us,prefill_attn_us,decode_attn_us,other_us,total_us,"
    "allreduce_"
    "us,gate_up\n"
    "h100,Llama-2-7b-hf,1,w,vidur,a,0,0,0,0,2,16,2,32,4992.0,0.0,0.0,316.058,608.0,5916.058,0.0,fused\n"
    "h100,Llama-2-7b-hf,1,w,vidur,a,1,100,100,0,0,0,100,0,4992.0,0.0,316.058,0.0,608.0,5916.058,0.0,fused\n"
    "h100,Llama-2-7b-hf,2,w,vidur,a,1,100,100,0,1,50,101,50,4992.0,0.0,316.058,10.0,608.0,5926.058,0.0,fused\n";

TEST(StepView, HasTheColumnsOfTheSchemaAndWhatFollowsFromThem) {
  const auto data = parse_kernel_steps(kernels, "k.csv");
  const step_view view = step_view_of(data);
  EXPECT_EQ(view.rows, 3U);
  EXPECT_EQ(*view.find("batch_size"), (std::vector<double>{2, 1, 2}));
  EXPECT_EQ(*view.find("scheduled_tokens"), (std::vector<double>{2, 100, 101}));
  EXPECT_EQ(view.phases, (std::vector{step_phase::pure_decode, step_phase::pure_prefill, step_phase::mixed}));
  EXPECT_EQ(view.find("gemm_time"), nullptr) << "observed after the step";
  EXPECT_TRUE(view.attention_counted);
  // By hand, decode attention of row 0: 4·L·H·h·Σkv FLOP = 4·32·32·128·32; GEMM: L·2T·(4d² + 3df).
  const double d = 4096, f = 11008;
  EXPECT_DOUBLE_EQ((*view.find("flops"))[0], 4.0 * 32 * 4096 * 32 + 32 * 2.0 * 2 * (4 * d * d + 3 * d * f));
}

TEST(StepView, KnowsTheDeviceOfEachDeployment) {
  const step_view view = step_view_of(parse_kernel_steps(kernels, "k.csv"));
  ASSERT_EQ(view.peak_flops.size(), 2U);  // tp 1 and 2
  EXPECT_EQ(view.peak_flops[view.deployment[2]], 989.4e12);
  EXPECT_EQ(view.hbm_bandwidth[view.deployment[0]], 3.35e12);
  EXPECT_EQ(view.device[0], "h100");
  EXPECT_NE(view.deployment[0], view.deployment[2]);
}

TEST(StepView, CountsGemmAloneWhereTheSchemaHasNoKvLengths) {
  const auto data = parse_blis_steps(
      "experiment_id,model,workload,tp,step_id,ts_start_ns,ts_end_ns,duration_us,queue_running,queue_waiting,num_"
      "prefill_"
      "reqs,num_decode_reqs,scheduled_tokens,prefill_tokens,decode_tokens,num_finished,num_preempted,kv_usage_ratio,"
      "kv_"
      "blocks_total,kv_blocks_free,cycle_time_us\n"
      "e,llama-2-70b,general,4,1,1000000,2000000,1000,2,0,0,2,2,0,2,1,0,0.5,100,50,\n",
      "b.csv");
  const step_view view = step_view_of(data);
  const double d = 8192, f = 28672, kv = 1024;
  EXPECT_DOUBLE_EQ((*view.find("flops"))[0], 80 * 2.0 * 2 * (2 * d * d + 2 * d * kv + 3 * d * f) / 4);
  EXPECT_FALSE(view.attention_counted);
  EXPECT_EQ(view.find("kv_sum"), nullptr);
  EXPECT_EQ(view.find("finished_requests"), nullptr) << "known only after the step";
}

}  // namespace
