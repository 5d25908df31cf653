// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/core/pack.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

namespace {

using rafter::pack;
using rafter::pack_width;

TEST(Pack, HasTheWidthItSays) {
  static_assert(sizeof(pack) == pack_width * sizeof(double));
  static_assert(rafter::lanes<pack> == pack_width && rafter::lanes<double> == 1 &&
                rafter::lanes<const pack&> == pack_width);
  static_assert(rafter::is_pack<pack> && !rafter::is_pack<double>);
}

TEST(Pack, LoadsAndStoresUnalignedMemory) {
  std::array<double, pack_width + 2> from{};
  for (std::size_t i = 0; i < from.size(); ++i) from[i] = static_cast<double>(i);
  std::array<double, pack_width + 2> to{};
  rafter::store(to.data() + 1, rafter::load<pack>(from.data() + 1));
  EXPECT_EQ(to.front(), 0.0);
  EXPECT_EQ(to.back(), 0.0);
  for (std::size_t i = 1; i <= pack_width; ++i) EXPECT_EQ(to[i], from[i]);
  EXPECT_EQ(rafter::load<double>(from.data() + 1), 1.0);
}

TEST(Pack, BroadcastKeepsTheSignOfZero) {
  const pack zeros = rafter::broadcast<pack>(-0.0);
  for (std::size_t lane = 0; lane < pack_width; ++lane) EXPECT_TRUE(std::signbit(zeros[lane]));
  EXPECT_EQ(rafter::broadcast<double>(2.5), 2.5);
}

TEST(Pack, ChoosesLaneByLane) {
  pack value = rafter::broadcast<pack>(1.0);
  value[0] = -1.0;
  value[pack_width - 1] = std::nan("");
  const pack chosen = rafter::choose(value > rafter::broadcast<pack>(0.0), value, rafter::broadcast<pack>(7.0));
  EXPECT_EQ(chosen[0], 7.0);
  EXPECT_EQ(chosen[pack_width - 1], 7.0);
  for (std::size_t lane = 1; lane + 1 < pack_width; ++lane) EXPECT_EQ(chosen[lane], 1.0);
  EXPECT_EQ(rafter::choose(true, 1.0, 2.0), 1.0);
}

TEST(Pack, SumsItsLanesInOrder) {
  pack value{};
  double expected = 0.0;
  for (std::size_t lane = 0; lane < pack_width; ++lane) {
    value[lane] = lane % 2 == 0 ? 1e16 : 1.0;
    expected += lane % 2 == 0 ? 1e16 : 1.0;
  }
  EXPECT_EQ(rafter::horizontal_sum(value), expected);
  EXPECT_EQ(rafter::horizontal_sum(3.0), 3.0);
}

}  // namespace
