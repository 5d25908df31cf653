// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/validation/k_fold.hpp"

#include <gtest/gtest.h>

#include "concepts/any_dataset.hpp"

namespace {

using namespace rafter;
using rafter::testing::any_dataset;

TEST(KFold, CutsConsecutiveRunsWhenNotShuffled) {
  const auto folds = k_fold{.k = 3, .shuffle = false}.folds(any_dataset(8));
  ASSERT_EQ(folds.size(), 3U);
  EXPECT_EQ(folds[0], (fold{"fold 1 of 3", row_set::of({3, 4, 5, 6, 7}), {}, row_set::of({0, 1, 2})}));
  EXPECT_EQ(folds[1].test, row_set::of({3, 4, 5}));
  EXPECT_EQ(folds[2].test, row_set::of({6, 7}));
}

TEST(KFold, ShufflesBySeedIntoPartsOfEqualSize) {
  const any_dataset data(103);
  const auto one = k_fold{.k = 5, .seed = 1}.folds(data);
  EXPECT_EQ(one, (k_fold{.k = 5, .seed = 1}.folds(data)));
  EXPECT_NE(one, (k_fold{.k = 5, .seed = 2}.folds(data)));
  EXPECT_GT(one[0].test.ranges().size(), 5U);  // not a run of rows
  std::vector<std::size_t> sizes;
  for (const fold& part : one) sizes.push_back(part.test.size());
  EXPECT_EQ(sizes, (std::vector<std::size_t>{21, 21, 21, 20, 20}));
}

TEST(KFold, RefusesOneFoldAndMoreFoldsThanRows) {
  EXPECT_THROW(k_fold{.k = 1}.folds(any_dataset(10)), validation_error);
  EXPECT_THROW(k_fold{.k = 11}.folds(any_dataset(10)), validation_error);
  EXPECT_EQ(k_fold{.k = 10}.folds(any_dataset(10)).size(), 10U);
}

TEST(GroupedKFold, PutsTheLargestGroupsInTheEmptiestParts) {
  any_dataset data(10);  // a: 1 row, b: 4, c: 2, d: 3
  data.set(group::model, {"a", "b", "b", "b", "b", "c", "c", "d", "d", "d"});
  const auto folds = grouped_k_fold<group::model>{.k = 2}.folds(data);
  ASSERT_EQ(folds.size(), 2U);
  EXPECT_EQ(folds[0].test, row_set::of({0, 1, 2, 3, 4}));  // b (4), then a (1): 4 < 5
  EXPECT_EQ(folds[1].test, row_set::of({5, 6, 7, 8, 9}));  // d (3) and c (2)
}

TEST(GroupedKFold, ShufflesWholeGroupsBySeed) {
  any_dataset data(12);
  data.set(group::model, {"a", "b", "c", "d", "e", "f", "a", "b", "c", "d", "e", "f"});
  const auto folds_of = [&](std::uint64_t seed) {
    return grouped_k_fold<group::model>{.k = 3, .seed = seed, .shuffle = true}.folds(data);
  };
  EXPECT_EQ(folds_of(4), folds_of(4));
  bool differs = false;
  for (std::uint64_t seed = 5; seed < 10; ++seed) differs = differs || folds_of(seed) != folds_of(4);
  EXPECT_TRUE(differs);
  for (const fold& part : folds_of(4)) {
    EXPECT_EQ(part.test.size(), 4U);
    EXPECT_EQ(shared_label(part, data.groups(group::model)), std::nullopt);
  }
}

TEST(GroupedKFold, RefusesMoreFoldsThanGroups) {
  any_dataset data(4);
  data.set(group::model, {"a", "a", "b", "b"});
  try {
    grouped_k_fold<group::model>{.k = 3}.folds(data);
    FAIL() << "three folds of two groups";
  } catch (const validation_error& problem) {
    EXPECT_STREQ(problem.what(), "k_fold_of_models needs k from 2 to the number of groups, 2; k is 3");
  }
}

}  // namespace
