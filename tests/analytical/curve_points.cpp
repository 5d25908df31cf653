// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/analytical/curve_points.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <vector>

#include "support/message.hpp"

namespace {

using namespace rafter;

TEST(MedianPerBin, IsTheMedianOfXAndOfYInEachBin) {
  const std::vector<curve_point> points{{150, 3}, {1, 0.5}, {110, 1}, {9.99, 0.7}, {10, 9}, {900, 2}, {100, 8}};
  const std::vector<curve_point> expected{{5.495, 0.6}, {10, 9}, {130, 2.5}};
  const auto got = median_per_bin(points, 1);
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    EXPECT_DOUBLE_EQ(got[i].x, expected[i].x);
    EXPECT_DOUBLE_EQ(got[i].y, expected[i].y);
  }
  EXPECT_EQ(median_per_bin(points, 3).size(), 5U);  // 1; 9.99; 10; 100, 110, 150; 900
  EXPECT_TRUE(median_per_bin({}, 3).empty());
}

TEST(MedianPerBin, ZeroHasNoBin) {
  const std::vector<curve_point> points{{1, 1}, {0, 0.25}};
  EXPECT_EQ(message_of([&] { median_per_bin(points, 4); }),
            "median_per_bin: point 2 is (0, 0.25); x must be positive, and both finite");
  EXPECT_EQ(message_of([&] { median_per_bin(points, 0); }),
            "median_per_bin: 0 bins for each power of ten; 1 to 1000");
}

}  // namespace
