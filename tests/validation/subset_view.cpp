// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/validation/subset_view.hpp"

#include <gtest/gtest.h>

#include "concepts/any_dataset.hpp"

namespace {

using namespace rafter;
using rafter::testing::any_dataset;

any_dataset five_rows() {
  any_dataset data(5);
  data.set(group::model, {"a", "b", "c", "b", "a"}).set_step_ids({10, 11, 12, 13, 14});
  return data;
}

TEST(SubsetView, NumbersItsRowsFromZeroAndForgetsAbsentGroups) {
  const subset_view some(five_rows(), row_set::of({1, 2, 3}));
  EXPECT_EQ(some.size(), 3U);
  EXPECT_EQ(some.groups(group::model).names(), (std::vector<std::string>{"b", "c"}));
  EXPECT_EQ(some.groups(group::model).codes(), (std::vector<std::uint32_t>{0, 1, 0}));
  EXPECT_EQ(std::vector<double>(some.step_ids().begin(), some.step_ids().end()), (std::vector<double>{11, 12, 13}));
}

TEST(SubsetView, MapsRowsBackToTheDataset) {
  const subset_view some(five_rows(), row_set::of({0, 3, 4}));
  EXPECT_EQ(some.in_dataset(row_set::of({0, 2})), row_set::of({0, 4}));
  EXPECT_EQ(some.in_dataset(fold{"x", row_set::of({0}), row_set::of({1}), row_set::of({2})}),
            (fold{"x", row_set::of({0}), row_set::of({3}), row_set::of({4})}));
}

TEST(SubsetView, LacksWhatTheDatasetLacks) {
  const subset_view some(five_rows(), row_set::of({0}));
  EXPECT_FALSE(some.has_group(group::workload));
  EXPECT_THROW(some.groups(group::workload), dataset_error);
  EXPECT_TRUE(subset_view(any_dataset(3), row_set::all(3)).step_ids().empty());
}

TEST(SubsetView, OfASubsetSeesTheSameRows) {
  const subset_view outer(five_rows(), row_set::of({1, 2, 3, 4}));
  const subset_view inner(outer, row_set::of({1, 3}));
  EXPECT_EQ(inner.groups(group::model).names(), (std::vector<std::string>{"c", "a"}));
  EXPECT_EQ(outer.in_dataset(inner.in_dataset(row_set::all(2))), row_set::of({2, 4}));
}

TEST(SubsetView, RefusesRowsThatTheDatasetDoesNotHave) {
  EXPECT_THROW(subset_view(five_rows(), row_set::of({5})), validation_error);
}

}  // namespace
