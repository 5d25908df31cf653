// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/architecture/kv_cache.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "rafter/architecture/catalog/codellama.hpp"
#include "rafter/architecture/catalog/deepseek_v3.hpp"
#include "rafter/architecture/catalog/llama2.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;

TEST(KvCache, FillsWhatTheWeightsLeave) {
  const llama2_7b a;
  const double block = 16.0 * 2 * 32 * 32 * 128 * 2;
  const double weights = 2.0 * 6738415616;
  kv_pool pool{.memory_per_device = bytes{weights + 10.5 * block}, .memory_utilisation = 1.0};
  EXPECT_EQ(kv_blocks(a, pool), 10);
  EXPECT_EQ(kv_tokens(a, pool), 160);
  pool.activations_per_device = bytes{block};
  EXPECT_EQ(kv_blocks(a, pool), 9);
  pool.memory_per_device = bytes{weights};
  EXPECT_EQ(kv_blocks(a, pool), 0) << "the weights alone do not fit";
}

// blis_steps: vLLM reported 31,356 blocks for 70B on 4 and 26,602 for 34B on 2 H100 of 80 GB (kv_blocks_total). The
// activations that this implies must be a plausible share of 80 GiB and alike on both; with 80e9 bytes they are
// negative.
TEST(KvCache, ImpliesPlausibleActivationsForThePoolsOfTheStudy) {
  const auto implied = [](const auto& a, int tp, double blocks, double memory) {
    return (memory * 0.9 * tp - weight_bytes(a).value - blocks * 16 * kv_bytes_per_token(a).value) / tp;
  };
  constexpr double gib_80 = 80.0 * 1024 * 1024 * 1024;
  const double large = implied(llama2_70b{}, 4, 31356, gib_80);
  const double small = implied(codellama_34b{}, 2, 26602, gib_80);
  EXPECT_GT(large, 0);
  EXPECT_LT(large, 3e9);
  EXPECT_NEAR(large, small, 0.5e9);
  EXPECT_LT(implied(llama2_70b{}, 4, 31356, 80e9), 0);

  kv_pool pool{.memory_per_device = bytes{gib_80}, .tp = 4, .activations_per_device = bytes{large - 1e3}};
  EXPECT_EQ(kv_blocks(llama2_70b{}, pool), 31356);
}

TEST(KvCache, ReplicatesKvHeadsBeyondOnePerRankAndLatentsAlways) {
  EXPECT_EQ(kv_bytes_per_token_per_rank(llama2_70b{}, 4), kv_bytes_per_token(llama2_70b{}) / 4.0);
  EXPECT_EQ(kv_bytes_per_token_per_rank(llama2_70b{}, 16), kv_bytes_per_token(llama2_70b{}) / 8.0);
  EXPECT_EQ(kv_bytes_per_token_per_rank(deepseek_v3{}, 8), kv_bytes_per_token(deepseek_v3{}));
}

TEST(KvCache, RefusesAnImpossiblePool) {
  const kv_pool good{.memory_per_device = 80_GB};
  EXPECT_GT(kv_blocks(llama2_7b{}, good), 0);
  const auto refused = [&](auto change) {
    kv_pool pool = good;
    change(pool);
    try {
      static_cast<void>(kv_blocks(llama2_7b{}, pool));
    } catch (const architecture_error&) {
      return true;
    }
    return false;
  };
  EXPECT_TRUE(refused([](kv_pool& p) { p.tp = 0; }));
  EXPECT_TRUE(refused([](kv_pool& p) { p.block_tokens = 0; }));
  EXPECT_TRUE(refused([](kv_pool& p) { p.memory_utilisation = 1.1; }));
  EXPECT_TRUE(refused([](kv_pool& p) { p.memory_per_device = bytes{std::numeric_limits<double>::quiet_NaN()}; }));
  EXPECT_TRUE(refused([](kv_pool& p) { p.activations_per_device = bytes{-1}; }));
}

}  // namespace
