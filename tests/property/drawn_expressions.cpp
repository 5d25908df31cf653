// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "support/plan_is_walk.hpp"

namespace {

TEST(DrawnExpressions, TheirPlanIsTheirTreesBitForBit) {
  using battery = tiny::expressions_of<std::remove_cvref_t<decltype(tiny::written::random_battery)>>;
  static_assert(battery::plan<rafter::as_written>::tape.phases >= 2);
  tiny::expect_plan_is_walk<battery>(2);
}

}  // namespace
