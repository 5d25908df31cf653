// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/validation/fold.hpp"

#include <gtest/gtest.h>

#include <functional>

namespace {

using namespace rafter;

row_set rows(std::vector<std::size_t> which) { return row_set::of(std::move(which)); }

std::string complaint(const std::function<void()>& work) {
  try {
    work();
  } catch (const validation_error& problem) {
    return problem.what();
  }
  return "no complaint";
}

TEST(CheckFolds, AcceptsDisjointPartsWithinTheData) {
  EXPECT_NO_THROW(check_folds({{"a", rows({0, 1}), rows({2}), rows({3, 5})}}, 6));
}

TEST(CheckFolds, NamesTheFoldThatHasNothingToTrainOnOrToTest) {
  EXPECT_EQ(complaint([] { check_folds({{"70b", {}, {}, rows({0})}}, 1); }), "fold '70b': no rows to train on");
  EXPECT_EQ(complaint([] { check_folds({{"70b", rows({0}), {}, {}}}, 1); }), "fold '70b': no rows to test on");
}

TEST(CheckFolds, NamesARowInTwoPartsWhicheverTheyAre) {
  EXPECT_EQ(complaint([] {
              check_folds({{"a", rows({0, 4}), {}, rows({4, 5})}}, 6);
            }),
            "fold 'a': row 4 is in train and in test");
  EXPECT_EQ(complaint([] {
              check_folds({{"a", rows({0, 3}), rows({3}), rows({4})}}, 6);
            }),
            "fold 'a': row 3 is in train and in validation");
  EXPECT_EQ(complaint([] {
              check_folds({{"a", rows({0}), rows({2, 3}), rows({3, 4})}}, 6);
            }),
            "fold 'a': row 3 is in validation and in test");
}

TEST(CheckFolds, NamesARowOutsideTheData) {
  EXPECT_EQ(complaint([] {
              check_folds({{"a", rows({0}), {}, rows({6})}}, 6);
            }),
            "fold 'a': test row 6 is outside the dataset of 6 rows");
}

TEST(CheckFolds, RefusesASplitWithoutFolds) {
  EXPECT_EQ(complaint([] { check_folds({}, 6); }), "the split made no folds of a dataset of 6 rows");
}

TEST(TestsPartition, WantsEachRowTestedExactlyOnce) {
  EXPECT_TRUE(tests_partition({{"a", {}, {}, rows({0, 2})}, {"b", {}, {}, rows({1})}}, 3));
  EXPECT_FALSE(tests_partition({{"a", {}, {}, rows({0, 2})}, {"b", {}, {}, rows({1, 2})}}, 3));
  EXPECT_FALSE(tests_partition({{"a", {}, {}, rows({0, 2})}}, 3));
}

TEST(SharedLabel, IsTheFirstTestedLabelThatWasAlsoFittedOrTunedWith) {
  group_column labels;
  for (const char* label : {"a", "b", "c", "a"}) labels.push_back(label);
  EXPECT_EQ(shared_label({"", rows({0}), {}, rows({1, 3})}, labels), "a");
  EXPECT_EQ(shared_label({"", rows({1}), rows({0}), rows({2, 3})}, labels), "a");
  EXPECT_EQ(shared_label({"", rows({0, 3}), rows({1}), rows({2})}, labels), std::nullopt);
}

}  // namespace
