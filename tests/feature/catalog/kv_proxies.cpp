// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/feature/catalog/kv_proxies.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <string_view>

#include "rafter/architecture/catalog.hpp"
#include "rafter/hardware/h100.hpp"

namespace {

using namespace rafter;

struct pool_step {
  double prefill_tokens, decode_tokens, prefill_requests, decode_requests;
  double kv_usage_ratio, kv_blocks_total, kv_blocks_free, queue_running;
};

/// The study's features as its own code computes them, in its order.
std::array<double, 30> by_hand(const pool_step& s, const decoder& a, double tp, double code) {
  const double L = a.layers, d = a.hidden, H = a.heads, K = a.kv_heads, f = a.intermediate;
  const double moe = static_cast<double>(a.experts_per_token) / a.experts;
  const double is_moe = a.experts > 1 ? 1.0 : 0.0;
  const double d_kv = K * d / H;
  const auto F = [&](double T) {
    return (2 * T * (d * d + 2 * d * d_kv) + 2 * T * (d * d) + 6 * T * d * f * moe) * L / tp;
  };
  const double W = (d * (d + 2 * d_kv) + d * d + 3 * d * f) * 2 * L / tp;
  const double P = s.prefill_tokens, D = s.decode_tokens, S = P + D;
  const double n_prefill = s.prefill_requests, n_decode = s.decode_requests;
  const double used = s.kv_blocks_total - s.kv_blocks_free;
  const double pressure = used / std::max(s.kv_blocks_total, 1.0);
  const double peak = 989.5e12, bw = 0.82 * 3.35e12;
  return {P,
          D,
          S,
          n_prefill,
          n_decode,
          s.kv_usage_ratio,
          used,
          s.kv_blocks_free,
          s.queue_running,
          pressure,
          P / std::max(S, 1.0),
          D / std::max(S, 1.0),
          n_prefill > 0 && n_decode > 0 ? 1.0 : 0.0,
          n_decode == 0 ? 1.0 : 0.0,
          F(S),
          F(S) / W,
          F(S) / W > peak / bw ? 1.0 : 0.0,
          P > 0 ? F(P) / W : 0.0,
          D > 0 ? W / F(D) : 0.0,
          0.0,
          1.0,
          moe,
          code,
          tp,
          is_moe,
          P * D,
          pressure * n_decode,
          F(S) / W * is_moe,
          P * s.kv_usage_ratio,
          (n_prefill + n_decode) * pressure};
}

bool within_one_ulp(double a, double b) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  return a == b || std::nextafter(a, infinity) == b || std::nextafter(a, -infinity) == b;
}

TEST(KvProxies, AreTheStudysThirtyFormulas) {
  deployment codellama = deployment_of(static_deployment<codellama_34b, h100_sxm, 2>{});
  deployment llama7 = deployment_of(static_deployment<llama2_7b, h100_sxm>{});
  deployment llama70 = deployment_of(static_deployment<llama2_70b, h100_sxm, 4>{});
  deployment mixtral = deployment_of(static_deployment<mixtral_8x7b, h100_sxm, 2>{});
  codellama.model_code = 0;
  llama7.model_code = 1;
  llama70.model_code = 2;
  mixtral.model_code = 3;
  std::mt19937_64 random(1);
  std::uniform_int_distribution<int> tokens(0, 4000), requests(0, 8), blocks(0, 30000), running(0, 300);
  std::uniform_real_distribution<double> share(0.0, 1.0);
  bool compute_bound = false, memory_bound = false;
  for (const deployment& runs : {codellama, llama7, llama70, mixtral}) {
    const auto features = catalog::kv_proxies.bind<pool_step>(runs);
    for (int i = 0; i < 500; ++i) {
      pool_step step{};
      step.prefill_requests = requests(random);
      step.prefill_tokens = step.prefill_requests > 0 ? 1 + tokens(random) : 0;
      step.decode_requests = i % 3 == 0 ? 0 : requests(random) * 20;
      step.decode_tokens = step.decode_requests;
      step.kv_usage_ratio = share(random);
      step.kv_blocks_total = i % 50 == 0 ? 0 : blocks(random);
      step.kv_blocks_free = std::floor(step.kv_blocks_total * share(random));
      step.queue_running = running(random);
      if (i == 7) step = {};
      const auto expected = by_hand(step, runs.architecture, runs.tensor_parallel, runs.model_code);
      const auto got = features(step);
      for (std::size_t k = 0; k < 30; ++k) {
        EXPECT_PRED2(within_one_ulp, expected[k], got[k])
            << catalog::kv_proxies_t::names[k] << " of " << runs.architecture.name;
      }
      (got[16] == 1.0 ? compute_bound : memory_bound) = true;
    }
  }
  EXPECT_TRUE(compute_bound && memory_bound);  // the sample saw both
}

TEST(KvProxies, ReadThePoolAndNoLengths) {
  using binding = detail::record_binding<deployment, pool_step>;
  EXPECT_TRUE(catalog::kv_proxies_t::evaluable<binding>);
  struct without_pool {
    double prefill_tokens, decode_tokens, prefill_requests, decode_requests;
  };
  EXPECT_FALSE((catalog::kv_proxies_t::evaluable<detail::record_binding<deployment, without_pool>>));
}

TEST(KvProxies, OnlyTheModelCodeIdentifiesTheModel) {
  EXPECT_EQ(catalog::kv_proxies_t::identity_feature("model"), "model_code");
  EXPECT_EQ(catalog::kv_proxies_t::identity_feature("workload"), "");
  constexpr auto transferable = without_identity<"model">(catalog::kv_proxies);
  EXPECT_EQ(transferable.size, 29U);
  EXPECT_EQ(transferable.identity_feature("model"), "");
}

}  // namespace
