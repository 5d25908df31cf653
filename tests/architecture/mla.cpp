// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/architecture/mla.hpp"

#include <gtest/gtest.h>

#include "rafter/architecture/catalog/deepseek_v3.hpp"

namespace {

using namespace rafter;

// DeepSeek-V3 Technical Report, abstract: 671 B weights in total, 37 B activated for each token (which leaves out the
// embedding table, 0.93 B: no arithmetic is done on it).
TEST(LatentDecoder, HasThePublishedWeightsOfDeepseekV3) {
  EXPECT_NEAR(weight_count(deepseek_v3{}), 671e9, 0.5e9);
  EXPECT_NEAR(active_weight_count(deepseek_v3{}), 37e9, 0.02 * 37e9);
  EXPECT_EQ(weight_bytes(deepseek_v3{}).value, weight_count(deepseek_v3{}));
}

TEST(LatentDecoder, CachesOneLatentAndOneRotaryKeyPerLayer) {
  EXPECT_EQ(kv_bytes_per_token(deepseek_v3{}).value, 61 * (512 + 64) * 2);
  deepseek_v3 narrow;
  narrow.bytes_per_kv = 1;
  EXPECT_EQ(kv_bytes_per_token(narrow).value, 61 * (512 + 64));
}

}  // namespace
