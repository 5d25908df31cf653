// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/version.hpp"

#include <gtest/gtest.h>

#include <string>

TEST(Version, TheStringSpellsTheThreeNumbers) {
  EXPECT_EQ(RAFTER_VERSION, std::to_string(RAFTER_VERSION_MAJOR) + "." + std::to_string(RAFTER_VERSION_MINOR) + "." +
                                std::to_string(RAFTER_VERSION_PATCH));
}
