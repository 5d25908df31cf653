// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/analytical/kernel_models.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string_view>
#include <vector>

#include "support/formula_steps.hpp"
#include "support/parametric_value.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;
using by_name = std::map<std::string_view, double>;
using analytical::benchmark_conditions;
using analytical::serving_conditions;

static_assert(parameter_count<analytical::kernel9> == 9);
static_assert(parameter_count<analytical::best<serving_conditions>> == 12);
static_assert(parameter_count<analytical::best<benchmark_conditions>> == 12);

by_name named(const std::vector<std::string_view>& names, const double* values) {
  by_name made;
  for (std::size_t i = 0; i < names.size(); ++i) made[names[i]] = values[i];
  return made;
}
by_name kernel9_values(const by_hand::nine& values) {
  return named(
      {"gemm_prefill_factor", "gemm_decode_factor", "prefill_attention_factor", "decode_attention_factor",
       "layer_floor", "prefill_attention_floor", "decode_attention_floor", "elementwise_factor", "elementwise_floor"},
      values.data());
}
by_name best_values(const by_hand::twelve& values) {
  return named({"gemm_compute", "weight_read", "kernel_floor", "wave_compute", "routing_time", "activation_traffic",
                "prefill_math", "attention_floor", "kv_read", "kv_head_wave", "ungrouped_heads", "split_growth"},
               values.data());
}
const by_hand::nine of_kernel9{1.3, 1.26, 3.2, 1.1, 9.4e-6, 15.7e-6, 16.8e-6, 4.8, 15.7e-6};
const by_hand::twelve of_best{1.21, 1.17, 2.81e-6, 1.11, 17.2e-6, 3.25, .795, 12.6e-6, 1.07, 3.32e-6, .713, 1.46e-6};

template <class Model, class Formula> void expect_formula(Model model, const by_name& values, Formula formula) {
  for (const deployment& engine : by_hand::engines()) {
    const by_hand::rank rank(engine);
    for (const by_hand::step& s : by_hand::steps()) {
      const double expected = formula(rank, s);
      EXPECT_NEAR(tiny::value_at(model, values, s, engine), expected, 1e-12 * expected)
          << engine.architecture.name << " tp " << engine.tensor_parallel << ", " << s.requests.size() << " requests";
    }
  }
}

TEST(KernelModels, Kernel9IsTheFormulaByHand) {
  expect_formula(analytical::kernel9, kernel9_values(of_kernel9),
                 [](const auto& rank, const auto& s) { return by_hand::kernel9(of_kernel9, rank, s); });
}
TEST(KernelModels, BestOfServingIsTheFormulaByHand) {
  expect_formula(analytical::best<serving_conditions>, best_values(of_best),
                 [](const auto& rank, const auto& s) { return by_hand::best(of_best, rank, s, false).sum(); });
}
TEST(KernelModels, BestOfBenchmarksIsTheFormulaByHand) {
  expect_formula(analytical::best<benchmark_conditions>, best_values(of_best),
                 [](const auto& rank, const auto& s) { return by_hand::best(of_best, rank, s, true).sum(); });
}

// Components of seven steps in microseconds, computed by a separate program from the definitions in docs/study.md with
// the parameters above; the requests are so many of one length, prompts without a past.
struct golden {
  decoder architecture;
  double ranks, counted;  // the older library counts elementwise kernels and works in waves
  int prompts;
  double length;
  int decodes;
  double kv;
  double gemm, elementwise, prefill, decode;
};
decoder shape(int layers, int hidden, int heads, int kv_heads, int head_dim, int intermediate, int experts = 1,
              int experts_per_token = 1) {
  decoder made;
  made.name = "golden";
  made.layers = layers, made.hidden = hidden, made.heads = heads, made.kv_heads = kv_heads, made.head_dim = head_dim;
  made.intermediate = intermediate, made.experts = experts, made.experts_per_token = experts_per_token;
  return made;
}
const std::vector<golden>& golden_steps() {
  static const std::vector<golden> all{
      {shape(32, 4096, 32, 32, 128, 11008), 1, 1, 0, 0, 1, 16, 5090.844, 449.610, 0, 427.358},
      {shape(80, 8192, 64, 8, 128, 28672), 2, 1, 2, 32, 32, 512, 27841.542, 1500.788, 1070.741, 1801.922},
      {shape(28, 1024, 16, 8, 128, 3072), 1, 0, 1, 32, 32, 512, 664.444, 0, 361.679, 1082.955},
      {shape(28, 2048, 16, 8, 128, 6144), 2, 0, 4, 32, 64, 256, 967.015, 0, 368.199, 676.437},
      {shape(16, 2048, 32, 8, 64, 8192), 4, 0, 8, 256, 0, 0, 1522.345, 0, 283.510, 0},
      {shape(32, 4096, 32, 8, 128, 14336, 8, 2), 2, 0, 1, 32, 128, 1024, 17961.611, 0, 412.109, 3354.966},
      {shape(48, 2048, 32, 4, 128, 768, 128, 8), 2, 0, 1, 32, 32, 256, 12099.584, 0, 617.233, 801.245},
  };
  return all;
}
by_hand::step step_of(const golden& one) {
  by_hand::step made{{}, one.counted, one.counted};
  for (int i = 0; i < one.prompts; ++i) made.requests.push_back(request::prefilling(one.length));
  for (int i = 0; i < one.decodes; ++i) made.requests.push_back(request::decoding(one.kv - 1));
  return made;
}

TEST(KernelModels, BestHasTheComponentsOfTheGoldenSteps) {
  for (const golden& one : golden_steps()) {
    const deployment engine{one.architecture, record_of<h100_sxm>(), one.ranks, precision::bf16, 0.0};
    const by_hand::step s = step_of(one);
    // That program rounds the cache bandwidth to 5.5 TB/s (41,667 GB/s per SM here) and times to 0.001 us.
    const by_hand::parts parts = by_hand::best(of_best, by_hand::rank(engine), s, true);
    EXPECT_NEAR(1e6 * parts.gemm, one.gemm, 6e-4 + 1e-5 * one.gemm);
    EXPECT_NEAR(1e6 * parts.elementwise, one.elementwise, 6e-4 + 1e-5 * one.elementwise);
    EXPECT_NEAR(1e6 * parts.prefill, one.prefill, 6e-4 + 1e-5 * one.prefill);
    EXPECT_NEAR(1e6 * parts.decode, one.decode, 6e-4 + 1e-5 * one.decode);
    const double total = one.gemm + one.elementwise + one.prefill + one.decode;
    EXPECT_NEAR(1e6 * tiny::value_at(analytical::best<benchmark_conditions>, best_values(of_best), s, engine), total,
                2e-3 + 1e-5 * total);
  }
}

TEST(KernelModels, OneRankMoreThanKvHeadsStillHoldsOne) {
  deployment engine = by_hand::engines()[3];  // 8 KV heads
  engine.tensor_parallel = 16;
  const by_hand::rank rank(engine);
  for (const by_hand::step& s : by_hand::steps()) {
    const double expected = by_hand::best(of_best, rank, s, false).sum();
    EXPECT_NEAR(tiny::value_at(analytical::best<serving_conditions>, best_values(of_best), s, engine), expected,
                1e-12 * expected);
  }
}
TEST(KernelModels, TheLongestTileIsOfTheMostLoadedPrompt) {
  const by_hand::step s{{request::prefilling(64, 1000), request::prefilling(500, 20), request::prefilling(129),
                         request::decoding(9e4)}};
  EXPECT_EQ(tiny::value_at(longest_prefill_tile, std::vector<double>{}, s, by_hand::engines()[0]), 64.0 * 1064.0);
  const by_hand::step none{{request::decoding(5)}};
  EXPECT_EQ(tiny::value_at(longest_prefill_tile, std::vector<double>{}, none, by_hand::engines()[0]), 0.0);
}
TEST(KernelModels, ARecordMayCarryTheLongestTile) {
  struct carrying {
    double longest_prefill_tile;
  };
  EXPECT_EQ(tiny::value_at(longest_prefill_tile, std::vector<double>{}, carrying{77.0}, by_hand::engines()[0]), 77.0);
}

// -- smooth_max ----------------------------------------------------------------------------------------------------

inline constexpr unbounded<"a", 1_c> a{};
inline constexpr unbounded<"b", 1_c> b{};
struct nothing {};

template <class Max> std::array<double, 3> value_and_slopes(Max, double at_a, double at_b) {
  using form = gradient_plan<detail::record_binding<deployment, nothing>, 1, Max>;
  using run = detail::executor<form>;
  typename run::slot_array slots{};
  const double parameters[] = {at_a, at_b};
  run::bind(slots.data(), deployment{}, parameters);
  std::array<double, 3> found{};
  run::step(slots.data(), nothing{}, [&](auto index, double v) { found[static_cast<std::size_t>(index.value)] = v; });
  return found;
}
template <int Twice> void check_smooth_max() {
  const double power = Twice / 2.0;
  const auto formula = [&](double x, double y) {
    return std::pow(std::pow(x, power) + std::pow(y, power), 1 / power);
  };
  for (const double x : {1e-6, 0.3, 1.0, 7.0}) {
    for (const double y : {2e-6, 0.4, 1.1, 9.0, 1e5}) {
      const auto [value, by_a, by_b] = value_and_slopes(smooth_max<Twice>(a, b), x, y);
      EXPECT_NEAR(value, formula(x, y), 4e-15 * value) << x << ", " << y;
      EXPECT_GE(value, std::fmax(x, y));
      EXPECT_LE(value, std::fmax(x, y) * std::pow(2.0, 1 / power) * (1 + 1e-15));
      // ∂/∂x = (x/m)^(P−1)
      EXPECT_NEAR(by_a, std::pow(x / value, power - 1), 1e-13) << x << ", " << y;
      EXPECT_NEAR(by_b, std::pow(y / value, power - 1), 1e-13) << x << ", " << y;
    }
  }
  EXPECT_EQ(value_and_slopes(smooth_max<Twice>(a, b), 0.0, 3.0)[0], 3.0);
  EXPECT_EQ(value_and_slopes(smooth_max<Twice>(a, b), 3.0, 0.0)[0], 3.0);
  EXPECT_EQ(value_and_slopes(smooth_max<Twice>(a, b), 0.0, 0.0)[0], 0.0);
  EXPECT_NEAR(value_and_slopes(smooth_max<Twice>(a, b), 5.0, 5.0)[0], 5 * std::pow(2.0, 1 / power), 1e-14);
}
TEST(SmoothMax, IsTheNormWithItsDerivatives) {
  check_smooth_max<3>();
  check_smooth_max<4>();
  check_smooth_max<6>();
}
TEST(SmoothMax, OfPowerOneIsTheSum) { EXPECT_NEAR(value_and_slopes(smooth_max<2>(a, b), 0.3, 1.1)[0], 1.4, 1e-15); }
TEST(SmoothMax, HasADerivativeWhereOneSideIsZero) {
  const auto [value, by_a, by_b] = value_and_slopes(smooth_max<3>(a, b), 0.0, 2.0);
  EXPECT_EQ(value, 2.0);
  EXPECT_EQ(by_a, 0.0);
  EXPECT_EQ(by_b, 1.0);
  const auto at_origin = value_and_slopes(smooth_max<3>(a, b), 0.0, 0.0);
  EXPECT_TRUE(std::isfinite(at_origin[1]) && std::isfinite(at_origin[2]));
}

}  // namespace
