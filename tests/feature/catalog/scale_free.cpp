// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/feature/catalog/scale_free.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "rafter/architecture/catalog.hpp"
#include "rafter/hardware/h100.hpp"
#include "support/tiny.hpp"

namespace {

using namespace rafter;

std::size_t at(std::string_view name) { return catalog::scale_free_t::index_of(name); }

// tests/analytical/roofline.cpp: GEMM 121.6 s, prefill 11.2, decode 24, KV write 6.4 of 163.2 in all;
// FLOP/byte: GEMM 1920/1216, prefill 160/112; machine balance 100/10.
TEST(ScaleFree, CountedByHand) {
  const tiny::step mixed{{request::prefilling(2, 1), request::decoding(3), request::decoding(6)}};
  const auto got = catalog::scale_free.evaluate(mixed, static_deployment<tiny::dense, tiny::memory_bound>{});
  EXPECT_DOUBLE_EQ(got[at("gemm_share")], 121.6 / 163.2);
  EXPECT_DOUBLE_EQ(got[at("prefill_attention_share")], 11.2 / 163.2);
  EXPECT_DOUBLE_EQ(got[at("decode_attention_share")], 24.0 / 163.2);
  EXPECT_DOUBLE_EQ(got[at("gemm_balance")], std::log1p(1920.0 / 1216.0 / 10.0));
  EXPECT_DOUBLE_EQ(got[at("prefill_attention_balance")], std::log1p(160.0 / 112.0 / 10.0));
  EXPECT_DOUBLE_EQ(got[at("layers_per_roofline_us")], std::log1p(2.0 / 163.2e6));
  EXPECT_EQ(got[at("mixed")], 1.0);
  EXPECT_EQ(got[at("has_prefill")], 1.0);
  EXPECT_EQ(got[at("has_decode")], 1.0);
  EXPECT_EQ(got[at("is_moe")], 0.0);
}

TEST(ScaleFree, DoesNotMoveWhenTheDeviceIsTenTimesFaster) {
  deployment slow = deployment_of(static_deployment<llama2_70b, h100_sxm, 4>{});
  deployment fast = slow;
  fast.hardware.hbm_bandwidth = slow.hardware.hbm_bandwidth * 10.0;
  fast.hardware.peak_flops = peak_table{{precision::bf16, *slow.hardware.peak_flops.at(precision::bf16) * 10.0}};
  std::mt19937_64 random(6);
  for (int i = 0; i < 50; ++i) {
    tiny::step step = tiny::random_step(random);
    step.requests.push_back(request::decoding(10));
    const auto a = catalog::scale_free.evaluate(step, slow);
    const auto b = catalog::scale_free.evaluate(step, fast);
    for (std::size_t k = 0; k < a.size(); ++k) {
      if (k == at("layers_per_roofline_us")) continue;  // launch overhead per roofline time: it does have a scale
      EXPECT_NEAR(a[k], b[k], 1e-12) << catalog::scale_free_t::names[k];
    }
  }
}

TEST(ScaleFree, NothingInItIdentifiesAGroup) {
  for (const char* axis : {"model", "workload", "hardware"})
    EXPECT_EQ(catalog::scale_free_t::identity_feature(axis), "");
}

}  // namespace
