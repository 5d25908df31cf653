// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/validation/time_order.hpp"

#include <gtest/gtest.h>

#include "concepts/any_dataset.hpp"

namespace {

using namespace rafter;
using rafter::testing::any_dataset;

TEST(InTimeOrder, SortsEachExperimentByStepIdAndKeepsTiesInRowOrder) {
  any_dataset data(6);
  data.set(group::experiment, {"b", "a", "b", "a", "b", "b"}).set_step_ids({9, 5, 7, 4, 9, 8});
  const auto ordered = in_time_order(data, "test");
  ASSERT_EQ(ordered.size(), 2U);
  EXPECT_EQ(ordered[0].experiment, "b");
  EXPECT_EQ(ordered[0].rows, (std::vector<std::size_t>{2, 5, 0, 4}));
  EXPECT_EQ(ordered[1].experiment, "a");
  EXPECT_EQ(ordered[1].rows, (std::vector<std::size_t>{3, 1}));
}

TEST(InTimeOrder, KeepsManyTiesInRowOrder) {
  any_dataset data(100);  // the ids 2 and 1 in turn: the odd rows come first
  std::vector<double> ids;
  for (std::size_t row = 0; row < 100; ++row) ids.push_back(row % 2 == 0 ? 2 : 1);
  data.set(group::experiment, std::vector<std::string>(100, "a")).set_step_ids(ids);
  const auto ordered = in_time_order(data, "test");
  ASSERT_EQ(ordered[0].rows.size(), 100U);
  for (std::size_t i = 0; i < 100; ++i) EXPECT_EQ(ordered[0].rows[i], i < 50 ? 2 * i + 1 : 2 * (i - 50));
}

TEST(InTimeOrder, NamesThePolicyThatMissesStepIds) {
  any_dataset data(1);
  data.set(group::experiment, {"a"});
  try {
    in_time_order(data, "rolling_origin");
    FAIL() << "order without step ids";
  } catch (const validation_error& problem) {
    EXPECT_STREQ(problem.what(), "rolling_origin needs steps in order of time; this dataset has no step ids");
  }
}

}  // namespace
