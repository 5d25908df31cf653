// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/feature/feature.hpp"

#include <gtest/gtest.h>

#include <type_traits>

#include "rafter/step/observables.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;

constexpr auto pressure = "kv_pressure"_f = max(kv_length) * count(decode);

TEST(Feature, ANameAndAnExpressionAreItsType) {
  EXPECT_EQ(pressure.name, "kv_pressure");
  EXPECT_EQ(pressure.dimension_v, units::token);
  EXPECT_TRUE(std::is_empty_v<decltype(pressure)>);
  EXPECT_TRUE(
      (std::is_same_v<decltype(pressure)::expression_type, node<operation::multiply, kv_max_t, decode_requests_t>>));
}

TEST(Feature, AConstantOrADeploymentQuantityIsAFeatureToo) {
  constexpr auto one = "one"_f = 1_c;
  EXPECT_EQ(one.name, "one");
}

}  // namespace
