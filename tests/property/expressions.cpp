// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "support/plan_is_walk.hpp"

namespace {

using namespace rafter;
using tiny::engines;
using tiny::planned;

TEST(Expressions, ThePlanOfTheBatteryIsItsTreesBitForBit) {
  using battery = tiny::expressions_of<std::remove_cvref_t<decltype(tiny::written::battery)>>;
  static_assert(battery::size >= 100);
  static_assert(battery::plan<as_written>::tape.phases == 3);
  tiny::expect_plan_is_walk<battery>(1);
}

// -- three ways to carry one step ----------------------------------------------------------------------------------

struct aggregated {
  double prefill_tokens, decode_tokens, prefill_requests, decode_requests;
  double kv_sum, kv_mean, kv_max, kv_min, kv_deviation, prefill_attention_pairs, prefill_kv_sum;
};
struct lengths {
  double prefill_tokens, decode_tokens;
  std::vector<double> kv_lengths;
};

TEST(Expressions, AggregatesListsAndLengthsGiveTheSameBits) {
  using namespace rafter::literals;
  using of_decode = tiny::expressions_of<
      std::tuple<decltype(kv_sum / count(decode)), decltype(max(kv_length) * count(decode) + decode_tokens),
                 decltype(standard_deviation(kv_length)), decltype(min(kv_length) + mean(kv_length)),
                 std::remove_cvref_t<decltype(analytical::decode_attention.bytes)>,
                 std::remove_cvref_t<decltype(prefill_tokens * kv_mean)>>>;
  using of_all = tiny::expressions_of<std::tuple<std::remove_cvref_t<decltype(analytical::roofline_step_time)>,
                                                 std::remove_cvref_t<decltype(analytical::floor_time)>,
                                                 std::remove_cvref_t<decltype(analytical::kv_write.bytes)>>>;
  std::mt19937_64 random(3);
  for (int i = 0; i < 100; ++i) {
    const tiny::step step = tiny::random_step(random);
    aggregated sums{};
    lengths only{};
    for (const request& r : step.requests) {
      if (r.decode) {
        only.kv_lengths.push_back(r.context_tokens + 1);
        sums.decode_tokens += 1;
      } else {
        sums.prefill_tokens += r.new_tokens;
        sums.prefill_requests += 1;
        sums.prefill_attention_pairs += r.new_tokens * r.context_tokens + r.new_tokens * (r.new_tokens + 1) / 2;
        sums.prefill_kv_sum += r.context_tokens + r.new_tokens;
      }
    }
    sums.decode_requests = sums.decode_tokens;
    only.prefill_tokens = sums.prefill_tokens;
    only.decode_tokens = sums.decode_tokens;
    const deployment& engine = engines[i % 2];
    sums.kv_sum = tiny::value(kv_sum, step, engine);
    sums.kv_mean = tiny::value(kv_mean, step, engine);
    sums.kv_max = tiny::value(kv_max, step, engine);
    sums.kv_min = tiny::value(kv_min, step, engine);
    sums.kv_deviation = tiny::value(kv_deviation, step, engine);
    const auto compare = [&]<class Battery>(Battery, const auto& left, const auto& right) {
      using of_left =
          typename Battery::template plan<detail::record_binding<deployment, std::remove_cvref_t<decltype(left)>>>;
      using of_right =
          typename Battery::template plan<detail::record_binding<deployment, std::remove_cvref_t<decltype(right)>>>;
      const std::vector<double> expected = planned<of_left>(left, engine);
      const std::vector<double> got = planned<of_right>(right, engine);
      for (std::size_t k = 0; k < Battery::size; ++k) EXPECT_PRED2(tiny::same, expected[k], got[k]) << k;
    };
    compare(of_decode{}, step, sums);
    compare(of_decode{}, step, only);
    compare(of_all{}, step, sums);
  }
}

}  // namespace
