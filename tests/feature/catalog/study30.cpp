// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/feature/catalog/study30.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <vector>

#include "rafter/architecture/catalog.hpp"
#include "rafter/hardware/h100.hpp"
#include "support/tiny.hpp"

namespace {

using namespace rafter;

/// The 30 by plain loops over the requests.
std::array<double, 30> by_loops(const tiny::step& step, const deployment& runs) {
  const decoder& a = runs.architecture;
  const double tp = runs.tensor_parallel;
  double P = 0, D = 0, prefills = 0, decodes = 0;
  double attention_flops_prefill = 0, attention_bytes_prefill = 0, attention_flops_decode = 0,
         attention_bytes_decode = 0;
  std::vector<double> lengths;
  const double head = a.layers * (a.heads / tp) * a.head_dim;
  const double kv_head = a.layers * (a.kv_heads / tp) * a.head_dim;
  for (const request& r : step.requests) {
    const double n = r.new_tokens, c = r.context_tokens;
    if (r.decode) {
      D += 1;
      decodes += 1;
      lengths.push_back(c + 1);
      attention_flops_decode += 4 * head * (c + 1);
      attention_bytes_decode += 2 * kv_head * a.bytes_per_kv * (c + 1) + 2 * head * a.bytes_per_activation;
    } else {
      P += n;
      prefills += 1;
      attention_flops_prefill += 4 * head * (n * c + n * (n + 1) / 2);
      attention_bytes_prefill += 2 * n * head * a.bytes_per_activation + 2 * (c + n) * kv_head * a.bytes_per_kv;
    }
  }
  double sum = 0, largest = 0, smallest = 0, deviation = 0;
  for (const double x : lengths) sum += x;
  const double mean = lengths.empty() ? 0 : sum / decodes;
  if (!lengths.empty()) {
    largest = *std::max_element(lengths.begin(), lengths.end());
    smallest = *std::min_element(lengths.begin(), lengths.end());
    for (const double x : lengths) deviation += (x - mean) * (x - mean);
    deviation = std::sqrt(deviation / decodes);
  }
  const double T = P + D, d = a.hidden, f = a.intermediate;
  const double attention = 2 * d * a.heads * a.head_dim + 2 * d * a.kv_heads * a.head_dim;
  const double gemm_flops = a.layers * 2.0 * T * (attention + 3 * d * f * a.experts_per_token) / tp;
  const double touched = experts_touched(a, T);
  const double gemm_bytes =
      T == 0 ? 0.0
             : a.layers * a.bytes_per_weight * (attention + 3 * d * f * touched) / tp +
                   a.layers * T * a.bytes_per_activation *
                       (4 * d + (2.0 * (a.heads + a.kv_heads) * a.head_dim + 3 * f * a.experts_per_token) / tp);
  const double attention_flops = attention_flops_prefill + attention_flops_decode;
  const double flops = gemm_flops + attention_flops;
  const double moved =
      gemm_bytes + attention_bytes_prefill + attention_bytes_decode + 2 * kv_head * a.bytes_per_kv * T;
  const double intensity = moved == 0 ? 0.0 : flops / moved;
  const double is_moe = a.experts > 1 ? 1.0 : 0.0;
  const double balance = runs.hardware.peak_flops.at(precision::bf16)->value / runs.hardware.hbm_bandwidth.value;
  return {P,
          D,
          T,
          prefills,
          decodes,
          mean,
          largest,
          smallest,
          deviation,
          sum,
          P / std::max(T, 1.0),
          D / std::max(T, 1.0),
          prefills > 0 && decodes > 0 ? 1.0 : 0.0,
          decodes == 0 ? 1.0 : 0.0,
          flops,
          intensity,
          intensity > balance ? 1.0 : 0.0,
          attention_bytes_prefill == 0 ? 0.0 : attention_flops_prefill / attention_bytes_prefill,
          attention_flops_decode == 0 ? 0.0 : attention_bytes_decode / attention_flops_decode,
          flops == 0 ? 0.0 : attention_flops / flops,
          flops == 0 ? 0.0 : gemm_flops / flops,
          (attention + 3 * d * f * a.experts_per_token) / (attention + 3 * d * f * a.experts),
          runs.model_code,
          tp,
          is_moe,
          P * D,
          largest * decodes,
          intensity * is_moe,
          P * mean,
          (prefills + decodes) * largest};
}

TEST(Study30, IsWhatPlainLoopsGive) {
  deployment llama = deployment_of(static_deployment<llama2_70b, h100_sxm, 4>{});
  llama.model_code = 2;
  const deployment mixtral = deployment_of(static_deployment<mixtral_8x7b, h100_sxm, 2>{});
  std::mt19937_64 random(4);
  bool compute_bound = false, memory_bound = false;
  for (const deployment& runs : {llama, mixtral}) {
    const auto features = catalog::study30.bind<tiny::step>(runs);
    for (int i = 0; i < 300; ++i) {
      const tiny::step step = i == 0 ? tiny::step{} : tiny::random_step(random, 20, i % 2 == 0 ? 1.0 : 0.5);
      const auto expected = by_loops(step, runs);
      const auto got = features(step);
      for (std::size_t k = 0; k < 30; ++k) {
        const double scale =
            k == 8 ? got[7] + got[6] : std::abs(expected[k]);  // the deviation loses digits by cancelling
        EXPECT_NEAR(expected[k], got[k], 4e-14 * scale) << catalog::study30_t::names[k];
      }
      (got[16] == 1.0 ? compute_bound : memory_bound) = true;
    }
  }
  EXPECT_TRUE(compute_bound && memory_bound);
}

TEST(Study30, HasTheSixGroupsInTheStudysOrder) {
  EXPECT_EQ(catalog::batch_tokens.size, 5U);
  EXPECT_EQ(catalog::kv_statistics.size, 5U);
  EXPECT_EQ(catalog::phase.size, 4U);
  EXPECT_EQ(catalog::physics.size, 8U);
  EXPECT_EQ(catalog::model_architecture.size, 3U);
  EXPECT_EQ(catalog::interactions.size, 5U);
  EXPECT_EQ(catalog::study30_t::names[5], "kv_mean");
  EXPECT_EQ(catalog::study30_t::names[14], "total_flops");
  EXPECT_EQ(catalog::study30_t::names[22], "model_code");
  EXPECT_EQ(catalog::study30_t::names[29], "batch_size*kv_max");
}

TEST(Study30, SharesWhatItsFeaturesHaveInCommon) {
  EXPECT_LT(catalog::study30_t::plan_size, catalog::study30_t::tree_size / 4);
}

TEST(Study30, SharedExpertsCountAsActive) {
  deployment runs = deployment_of(static_deployment<tiny::moe, tiny::memory_bound>{});
  runs.architecture.shared_intermediate = 5;  // 3·4·5 = 60; attention 48, an expert 72
  const auto got = catalog::study30.evaluate(tiny::step{}, runs);
  EXPECT_DOUBLE_EQ(got[21], (48.0 + 60.0 + 2 * 72.0) / (48.0 + 60.0 + 4 * 72.0));
}

}  // namespace
