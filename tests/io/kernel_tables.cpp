// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/io/kernel_tables.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "support/message.hpp"

namespace {

using namespace rafter;

const std::string attention_header =
    "kernel_source,batch_size,isl,num_heads,num_key_value_heads,head_dim,attn_dtype,kv_cache_dtype,step,window_size,"
    "latency_us\n";
const std::string moe_header =
    "kernel_source,moe_dtype,num_tokens,hidden_size,inter_size,topk,num_experts,moe_tp_size,moe_ep_size,distribution,"
    "latency_us\n";
const std::string allreduce_header = "kernel_source,allreduce_dtype,num_gpus,message_size,backend,latency_us\n";
const std::string nccl_header = "op_name,nccl_dtype,num_gpus,message_size,latency_us\n";
const std::string network_header = "num_workers,devices_per_node,size_bytes,median_ms,mean_ms,min_ms,max_ms\n";
const std::string vidur_header =
    "tp,num_tokens,n_head,n_kv_head,n_embd,n_expanded_embd,vocab_size,use_gated_mlp,emb_ms,input_layernorm_ms,"
    "attn_pre_proj_ms,attn_rope_ms,attn_post_proj_ms,post_attention_layernorm_ms,mlp_up_proj_ms,mlp_act_ms,"
    "mlp_down_proj_ms,add_ms\n";

TEST(KernelTables, TheKvLengthOfGenerationAttentionCountsTheNewToken) {
  const auto points = parse_generation_attention(attention_header + "fa3,4,1,32,8,128,bfloat16,fp8,1023,0,12.5\n",
                                                 "generation_attention.csv");
  ASSERT_EQ(points.size(), 1U);
  EXPECT_EQ(points[0].shape, (std::array<double, 4>{8, 32, 8, 128}));
  EXPECT_EQ(points[0].at, (std::array<double, 2>{4, 1024}));
  EXPECT_DOUBLE_EQ(points[0].seconds, 12.5e-6);
}

TEST(KernelTables, AttentionOfAnotherWindowIsAnotherOperation) {
  const std::string rows = attention_header + "fa3,1,512,8,8,64,bfloat16,bfloat16,0,0,20\n" +
                           "fa3,1,512,8,8,64,bfloat16,bfloat16,0,128,15\n";
  const auto full = parse_context_attention(rows, "context_attention.csv");
  ASSERT_EQ(full.size(), 1U);
  EXPECT_EQ(full[0].at, (std::array<double, 2>{1, 512}));
  EXPECT_DOUBLE_EQ(full[0].seconds, 20e-6);
  const auto windowed = parse_context_attention(rows, "context_attention.csv", {.window = 128});
  ASSERT_EQ(windowed.size(), 1U);
  EXPECT_DOUBLE_EQ(windowed[0].seconds, 15e-6);
}

TEST(KernelTables, ExpertsAreThoseOfOneRank) {
  const auto points = parse_moe(moe_header + "triton,bfloat16,64,4096,14336,2,8,4,2,power_law_1.2,99\n", "moe.csv");
  ASSERT_EQ(points.size(), 1U);
  const auto skewed = static_cast<double>(expert_routing::power_law_1_2);
  EXPECT_EQ(points[0].shape, (std::array<double, 7>{16, skewed, 4096, 14336.0 / 4, 2, 8, 4}));
  EXPECT_EQ(points[0].at[0], 64);
}

TEST(KernelTables, MessagesAreInBytesWhateverTheFileCounts) {
  const auto custom = parse_custom_allreduce(
      allreduce_header + "x,bfloat16,4,1024,vllm_graph,5\nx,bfloat16,4,1024,vllm_eager,20\n", "custom_allreduce.csv");
  ASSERT_EQ(custom.size(), 1U);
  EXPECT_EQ(custom[0].shape[0], 4);
  EXPECT_EQ(custom[0].at[0], 2048);
  EXPECT_DOUBLE_EQ(custom[0].seconds, 5e-6);
  const auto nccl = parse_nccl_all_reduce(
      nccl_header + "all_reduce,half,2,256,9\nall_reduce,int8,2,256,8\nall_gather,half,2,256,7\n", "nccl.csv");
  ASSERT_EQ(nccl.size(), 1U);
  EXPECT_EQ(nccl[0].at[0], 512);
  const auto vidur = parse_vidur_all_reduce(network_header + "8,8,4096,0.007,0.0193,0.006,0.045\n", "all_reduce.csv");
  EXPECT_EQ(vidur[0].at[0], 4096);
  EXPECT_DOUBLE_EQ(vidur[0].seconds, 7e-6);
}

TEST(KernelTables, ElementwiseKernelsOfALayerAreSummed) {
  const auto points = parse_vidur_elementwise(
      vidur_header + "2,16,64,8,8192,22016,32768,True,0.003,0.006,0.065,0.004,0.048,0.005,0.2405,0.012,0.125,0.001\n",
      "mlp.csv");
  ASSERT_EQ(points.size(), 1U);
  EXPECT_EQ(points[0].shape, (std::array<double, 5>{8192, 32, 4, 128, 11008}));
  EXPECT_DOUBLE_EQ(points[0].seconds, (0.006 + 0.004 + 0.005 + 0.012 + 0.001) / 1e3);
}

TEST(KernelTables, ProductsAreKeyedByTheBitsOfTheirOperands) {
  const std::array gemms{measured_gemm{"a", precision::fp16, 16, 64, 32, 1e-6},
                         measured_gemm{"b", precision::fp8, 16, 64, 32, 1e-6}};
  const auto points = points_of(gemms);
  EXPECT_EQ(points[0].shape, (std::array<double, 3>{16, 64, 32}));
  EXPECT_EQ(points[1].shape, (std::array<double, 3>{8, 64, 32}));
  EXPECT_EQ(points[1].at[0], 16);
}

TEST(KernelTables, BadRowsAreNamedByLineFieldAndText) {
  const auto expect = [](const std::string& text, const std::string& place, const std::string& field,
                         const std::string& offending) {
    EXPECT_NE(text.find(place), std::string::npos) << text;
    EXPECT_NE(text.find("'" + field + "'"), std::string::npos) << text;
    EXPECT_NE(text.find("'" + offending + "'"), std::string::npos) << text;
  };
  const std::string good = "fa3,1,1,8,8,64,bfloat16,bfloat16,7,0,20\n";
  expect(message_of([&] {
           parse_generation_attention(attention_header + good + "fa3,1,2,8,8,64,bfloat16,bfloat16,7,0,20\n", "g.csv");
         }),
         "g.csv:3", "isl", "2");
  expect(message_of([&] { parse_context_attention(attention_header + good, "c.csv"); }), "c.csv:2", "step", "7");
  expect(message_of([&] {
           parse_generation_attention(attention_header + "fa3,1,1,8,8,64,bfloat16,int4,7,0,20\n", "g.csv");
         }),
         "g.csv:2", "kv_cache_dtype", "int4");
  expect(message_of([&] { parse_moe(moe_header + "t,bfloat16,1,64,64,2,8,1,1,zipf,9\n", "m.csv"); }), "m.csv:2",
         "distribution", "zipf");
  expect(message_of([&] { parse_moe(moe_header + "t,bfloat16,1,64,64,2,8,1,3,balanced,9\n", "m.csv"); }), "m.csv:2",
         "num_experts", "8");
  expect(message_of([&] { parse_nccl_all_reduce(nccl_header + "all_reduce,half,2,256,0\n", "n.csv"); }), "n.csv:2",
         "latency_us", "0");
  expect(message_of([&] { parse_custom_allreduce(allreduce_header + "x,bfloat16,4,-1,vllm_graph,5\n", "a.csv"); }),
         "a.csv:2", "message_size", "-1");
}

TEST(KernelTables, BadRowsCanBeCollected) {
  bad_row_report bad;
  const auto points =
      parse_moe(moe_header + "t,bfloat16,1,64,64,2,8,1,1,zipf,9\nt,bfloat16,1,64,64,2,8,1,1,balanced,9\n", "m.csv",
                {.bad_rows = &bad});
  EXPECT_EQ(points.size(), 1U);
  EXPECT_EQ(bad.errors.size(), 1U);
}

}  // namespace
