// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// The suite of the concept on the named predictors that read requests.
#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <vector>

#include "concepts/estimator.hpp"
#include "rafter/estimator/predictors.hpp"
#include "support/kernel_like_steps.hpp"

namespace {

using namespace rafter;

template <class Estimator> std::vector<std::string> violations() {
  const row_set rows = row_set::where(160, [](std::size_t row) { return row % 5 != 1; });
  return rafter::testing::check_estimator<Estimator>(
      tiny::kernel_like_steps(), rows, [](const row_set& kept) { return tiny::kernel_like_steps(&kept); });
}
const std::vector<std::string> none;

TEST(Predictors, Ridge30KeepsItsPromises) { EXPECT_EQ(violations<predictors::ridge30>(), none); }
TEST(Predictors, ScaleFreeRidgeKeepsItsPromises) { EXPECT_EQ(violations<predictors::ridge_scale_free>(), none); }
TEST(Predictors, RooflineKeepsItsPromises) { EXPECT_EQ(violations<predictors::roofline0>(), none); }

}  // namespace
