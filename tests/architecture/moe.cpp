// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/architecture/moe.hpp"

#include <gtest/gtest.h>

#include <bitset>
#include <random>

#include "rafter/architecture/catalog/llama2.hpp"
#include "rafter/architecture/catalog/mixtral.hpp"

namespace {

using namespace rafter;

TEST(ExpertsTouched, IsNoneForNoTokensTheRoutedOnesForOneAndAllInTheLimit) {
  EXPECT_EQ(experts_touched(mixtral_8x7b{}, 0), 0);
  EXPECT_DOUBLE_EQ(experts_touched(mixtral_8x7b{}, 1), 2);
  EXPECT_DOUBLE_EQ(experts_touched(mixtral_8x7b{}, 1e4), 8);
  EXPECT_EQ(experts_touched(llama2_7b{}, 5), 1);
}

// Two distinct experts of eight per token, drawn 20,000 times: the standard error of the mean is below 0.01.
TEST(ExpertsTouched, IsTheMeanOfRandomRouting) {
  std::mt19937 random(7);
  double touched = 0;
  constexpr int trials = 20000;
  for (int trial = 0; trial < trials; ++trial) {
    std::bitset<8> seen;
    for (int token = 0; token < 4; ++token) {
      const unsigned first = random() % 8;
      const unsigned second = (first + 1 + random() % 7) % 8;
      seen.set(first).set(second);
    }
    touched += static_cast<double>(seen.count());
  }
  EXPECT_NEAR(experts_touched(mixtral_8x7b{}, 4), touched / trials, 0.04);
}

}  // namespace
