// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/step/load_direction.hpp"

#include <gtest/gtest.h>

#include <random>

#include "rafter/analytical/kernel_models.hpp"
#include "rafter/analytical/roofline.hpp"
#include "rafter/feature/feature_set.hpp"
#include "rafter/step/observables.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;

constexpr direction same = direction::constant, up = direction::rising, down = direction::falling;
constexpr direction open = direction::unknown;

// Leaves and what is made of them.
static_assert(direction_of(3_c) == same && direction_of(architecture::layers) == same);
static_assert(direction_of(prefill_tokens) == up && direction_of(prefill_tokens, load_kind::context) == same);
static_assert(direction_of(kv_mean, load_kind::context) == up && direction_of(kv_mean) == open);
static_assert(direction_of(kv_sum / decode_requests) == open);
static_assert(direction_of(0_c - decode_requests) == down && direction_of(-decode_requests) == down);
static_assert(direction_of(log(decode_requests)) == up && direction_of(1_c / decode_requests) == down);
static_assert(direction_of(decode_requests - prefill_requests) == open);
static_assert(direction_of(decode_requests - prefill_requests, load_kind::context) == same);
static_assert(direction_of((0_c - 2_c) * decode_requests) == down);
static_assert(direction_of((decode_requests - 5_c) * prefill_requests) == open, "may be negative");
static_assert(direction_of(indicator(decode_requests > 3_c)) == up &&
              direction_of(indicator(decode_requests < 3_c)) == down);
static_assert(direction_of(select(decode_requests > 0_c, decode_requests, 0_c)) == up);
static_assert(direction_of(select(decode_requests > 8_c, 1_c, 2_c)) == open);
static_assert(direction_of(square(decode_requests)) == up);
static_assert(direction_of(ratio(decode_requests, decode_requests + prefill_requests, 0_c)) == open);
// Reductions over requests.
static_assert(direction_of(sum(kv_length)) == up && direction_of(max(kv_length)) == up);
static_assert(direction_of(mean(kv_length)) == open && direction_of(mean(kv_length), load_kind::context) == up);
static_assert(direction_of(sum(kv_length - 10_c * one_token)) == open, "a short request lowers it");
static_assert(direction_of(sum(kv_length - 10_c * one_token), load_kind::context) == up);
static_assert(direction_of(count(decode)) == up);

// A roofline never predicts less for more work, and kernel9 for longer context. `best` crosses over smoothly between
// regimes, a form of which each operation alone shows nothing.
static_assert(never_faster_under_load<analytical::roofline_step_time>);
static_assert(direction_of(analytical::kernel9, load_kind::context) == up);
static_assert(direction_of(analytical::best<analytical::serving_conditions>, load_kind::context) == open);

TEST(LoadDirection, AnObservableOfTheUsersOwnIsUnknown) {
  struct mine : observable<"my_queue", units::none, level::step> {};
  EXPECT_EQ(direction_of(mine{}), open);
  EXPECT_EQ(direction_of(mine{} * 0_c + decode_requests), open);
}

// Against evaluation: what is said to rise does, on random batches to which a request, tokens or context are added.
struct batch {
  double prefill_tokens = 0, decode_tokens = 0, prefill_requests = 0, decode_requests = 0, kv_sum = 0, kv_max = 0;
};
constexpr auto risen = feature_set{
    "a"_f = log1p(kv_sum / one_token) + max(decode_requests, prefill_requests),
    "b"_f = sqrt(magnitude(scheduled_tokens)) * decode_requests,
    "c"_f = select(prefill_requests > 0_c, magnitude(prefill_tokens), 0_c) - 1_c / (1_c + decode_requests),
    "d"_f = min(magnitude(kv_max), 100_c * decode_requests),
};
TEST(LoadDirection, WhatIsSaidToRiseRises) {
  std::mt19937 random(5);
  const auto below = [&](int n) { return static_cast<double>(random() % static_cast<unsigned>(n)); };
  static_assert(direction_of(log1p(kv_sum / one_token) + max(decode_requests, prefill_requests)) == up);
  static_assert(direction_of(sqrt(magnitude(scheduled_tokens)) * decode_requests) == up);
  static_assert(direction_of(select(prefill_requests > 0_c, magnitude(prefill_tokens), 0_c) -
                             1_c / (1_c + decode_requests)) == up);
  static_assert(direction_of(min(magnitude(kv_max), 100_c * decode_requests)) == up);
  for (int trial = 0; trial < 500; ++trial) {
    batch one{below(3) * below(900), 0, below(3), below(5), 0, 0};
    one.decode_tokens = one.decode_requests;
    one.kv_max = one.decode_requests > 0 ? 1 + below(500) : 0;
    one.kv_sum = one.decode_requests * one.kv_max;
    batch heavier = one;
    const double joins = 1 + below(900);
    heavier.decode_requests += 1;
    heavier.decode_tokens += 1;
    heavier.kv_sum += joins;
    heavier.kv_max = std::max(heavier.kv_max, joins);
    const auto before = risen.evaluate(one), after = risen.evaluate(heavier);
    for (std::size_t k = 0; k < before.size(); ++k) EXPECT_GE(after[k], before[k]) << risen.names[k];
  }
}

}  // namespace
