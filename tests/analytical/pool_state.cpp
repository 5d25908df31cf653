// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/analytical/pool_state.hpp"

#include <gtest/gtest.h>

#include <array>
#include <random>

#include "support/formula_steps.hpp"
#include "support/parametric_value.hpp"

namespace {

using namespace rafter;

static_assert(parameter_count<analytical::pool_state_step_time> == 6);
static_assert(linear_in_parameters<std::remove_cvref_t<decltype(analytical::pool_state_step_time)>>);

const std::array<double, 6> values{1.1, 1.9, 0.8, 40e-6, 12e-6, 3e-3};

double model(const by_hand::pool_state& s, const deployment& engine) {
  return tiny::value_at(analytical::pool_state_step_time,
                        {{"weight_factor", values[0]},
                         {"compute_factor", values[1]},
                         {"kv_factor", values[2]},
                         {"layer_floor", values[3]},
                         {"request_time", values[4]},
                         {"prompt_time", values[5]}},
                        s, engine);
}

TEST(PoolState, IsTheFormulaByHand) {
  std::mt19937_64 random(5);
  for (const deployment& engine : by_hand::engines()) {
    for (int i = 0; i < 40; ++i) {
      by_hand::pool_state s;
      s.prefill_requests = static_cast<double>(random() % 3);
      s.prefill_tokens = s.prefill_requests * static_cast<double>(1 + random() % 700);
      s.decode_requests = s.decode_tokens = static_cast<double>(random() % 200);
      s.kv_blocks_total = 20000;
      s.kv_blocks_free = static_cast<double>(random() % 20001);
      const double expected = by_hand::pool_state_time(values, by_hand::rank(engine), s);
      EXPECT_NEAR(model(s, engine), expected, 1e-13 * expected);
    }
  }
}
TEST(PoolState, CountsEveryBlockInUse) {
  // 2·32·32·128·2 B of one token of Llama 2 7B, 16 tokens a block.
  const deployment engine = by_hand::engines()[0];
  by_hand::pool_state s;
  s.kv_blocks_total = 100;
  s.kv_blocks_free = 97;
  const double block = tiny::value_at(analytical::pool_kv_bytes, std::vector<double>{}, s, engine);
  EXPECT_EQ(block, 3.0 * 16.0 * 2.0 * 32.0 * 32.0 * 128.0 * 2.0);
}

}  // namespace
