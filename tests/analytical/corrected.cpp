// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/analytical/corrected.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string_view>

#include "support/formula_steps.hpp"
#include "support/parametric_value.hpp"

namespace {

using namespace rafter;
using by_name = std::map<std::string_view, double>;
using analytical::physical_reading;
using analytical::study_reading;

inline constexpr auto physical9 = analytical::roofline9<physical_reading>;
inline constexpr auto study9 = analytical::roofline9<study_reading>;
inline constexpr auto physical16 = analytical::roofline16<physical_reading>;
inline constexpr auto physical18 = analytical::roofline18<physical_reading>;
static_assert(parameter_count<physical9> == 9 && parameter_count<study9> == 9);
static_assert(parameter_count<physical16> == 16 && parameter_count<analytical::roofline16<study_reading>> == 16);
static_assert(parameter_count<physical18> == 18 && parameter_count<analytical::roofline18<study_reading>> == 18);

const by_hand::nine truth{1.3, 0.6, 1.7, 0.35, 1.1, 0.5, 1.4, 0.45, 2e-4};
const char* const nine_names[] = {"prefill_gemm_factor",     "prefill_gemm_mfu",     "prefill_attention_factor",
                                  "prefill_attention_mfu",   "decode_gemm_factor",   "decode_gemm_mfu",
                                  "decode_attention_factor", "decode_attention_mfu", "overhead"};
by_name nine_by_name(const by_hand::nine& values = truth) {
  by_name named;
  for (std::size_t i = 0; i < 9; ++i) named[nine_names[i]] = values[i];
  return named;
}

template <class Check> void on_all(Check check) {
  for (const deployment& engine : by_hand::engines()) {
    const by_hand::rank rank(engine);
    for (const by_hand::step& s : by_hand::steps()) check(engine, rank, s);
  }
}

TEST(Corrected, NineParametersInThePhysicalReadingAreTheFormulaByHand) {
  int compute = 0, memory = 0;
  on_all([&](const deployment& engine, const by_hand::rank& rank, const by_hand::step& s) {
    const double expected = by_hand::roofline9(truth, rank, s);
    EXPECT_NEAR(tiny::value_at(physical9, nine_by_name(), s, engine), expected, 1e-13 * expected)
        << engine.architecture.name;
    const by_hand::amount work = by_hand::gemm(rank, s.tokens(false));
    (work.flops / rank.F / 0.6 > work.bytes / rank.Bw ? compute : memory) += s.tokens(false) > 0;
  });
  EXPECT_GT(compute, 10);
  EXPECT_GT(memory, 10);
}
TEST(Corrected, NineParametersInTheStudysReadingAreTheFormulaByHand) {
  on_all([&](const deployment& engine, const by_hand::rank& rank, const by_hand::step& s) {
    const double expected = by_hand::study_roofline9(truth, rank, s);
    EXPECT_NEAR(tiny::value_at(study9, nine_by_name(), s, engine), expected, 1e-13 * expected);
  });
}
TEST(Corrected, SixteenParametersAreTheFormulaByHand) {
  const by_hand::sixteen values{1.2, 1.3, 0.5, 80, 1.4, 1.1, 0.3, 40, 0.9, 1.6, 0.55, 150, 1.7, 1.05, 0.4, 5};
  by_name named;
  const char* const components[] = {"prefill_gemm", "prefill_attention", "decode_gemm", "decode_attention"};
  const char* const kinds[] = {"_compute_factor", "_memory_factor", "_mfu", "_threshold"};
  std::vector<std::string> names;
  names.reserve(16);
  for (std::size_t i = 0; i < 16; ++i) {
    names.push_back(std::string(components[i / 4]) + kinds[i % 4]);
    named[names.back()] = values[i];
  }
  on_all([&](const deployment& engine, const by_hand::rank& rank, const by_hand::step& s) {
    const double expected = by_hand::roofline16(values, rank, s);
    EXPECT_NEAR(tiny::value_at(physical16, named, s, engine), expected, 1e-12 * expected);
  });
}
TEST(Corrected, EighteenParametersAreNineOfItsKind) {
  const by_hand::nine of_moe{0.7, 0.3, 2.1, 0.5, 1.9, 0.6, 0.8, 0.2, 3e-4};
  by_name named;
  std::vector<std::string> names;
  names.reserve(18);
  for (std::size_t i = 0; i < 9; ++i) {
    names.push_back(std::string(nine_names[i]) + "_dense");
    named[names.back()] = truth[i];
    names.push_back(std::string(nine_names[i]) + "_moe");
    named[names.back()] = of_moe[i];
  }
  on_all([&](const deployment& engine, const by_hand::rank& rank, const by_hand::step& s) {
    const double expected = by_hand::roofline9(engine.architecture.experts > 1 ? of_moe : truth, rank, s);
    EXPECT_NEAR(tiny::value_at(physical18, named, s, engine), expected, 1e-13 * expected);
  });
}
TEST(Corrected, AStepWithoutTokensCostsTheOverhead) {
  const by_hand::step empty{};
  for (const deployment& engine : by_hand::engines()) {
    EXPECT_EQ(tiny::value_at(physical9, nine_by_name(), empty, engine), 2e-4);
    EXPECT_EQ(tiny::value_at(study9, nine_by_name(), empty, engine), 2e-4);
  }
}
TEST(Corrected, EqualPromptsHaveTheSamePairsFromTheirAggregates) {
  const by_hand::step equal{{request::prefilling(123), request::prefilling(123), request::prefilling(123)}, 1, 0};
  const deployment engine = by_hand::engines()[0];
  EXPECT_EQ(tiny::value_at(analytical::prefill_pairs_of_equal_prompts, std::vector<double>{}, equal, engine),
            tiny::value_at(prefill_attention_pairs, std::vector<double>{}, equal, engine));
  // Unequal ones have more than their aggregates say: that is a limit of such logs.
  const by_hand::step unequal{{request::prefilling(23), request::prefilling(223)}, 1, 0};
  EXPECT_LT(tiny::value_at(analytical::prefill_pairs_of_equal_prompts, std::vector<double>{}, unequal, engine),
            tiny::value_at(prefill_attention_pairs, std::vector<double>{}, unequal, engine));
}
TEST(Corrected, TheSwitchOfTheRegimesIsSmooth) {
  // At the threshold itself half of each regime.
  const deployment engine = by_hand::engines()[0];
  const by_hand::rank rank(engine);
  const by_hand::step s{{request::prefilling(64)}, 1, 0};
  const by_hand::amount work = by_hand::gemm(rank, 64);
  const std::map<std::string_view, double> at{{"prefill_gemm_compute_factor", 2.0},
                                              {"prefill_gemm_memory_factor", 3.0},
                                              {"prefill_gemm_mfu", 0.5},
                                              {"prefill_gemm_threshold", work.flops / work.bytes}};
  constexpr auto one =
      analytical::corrected_by_regime<physical_reading, "prefill_gemm">(physical_reading::prefill_gemm);
  EXPECT_NEAR(tiny::value_at(one, at, s, engine), work.flops / rank.F / 0.5 + 1.5 * work.bytes / rank.Bw, 1e-15);
}

}  // namespace
