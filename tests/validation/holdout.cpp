// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/validation/holdout.hpp"

#include <gtest/gtest.h>

#include "concepts/any_dataset.hpp"

namespace {

using namespace rafter;
using rafter::testing::any_dataset;

static_assert(split_policy<holdout<group::hardware>> && holds_out<holdout<group::hardware>, group::hardware>);
static_assert(!holds_out<holdout<>, group::hardware>);

TEST(Holdout, IsOneFoldOfTheRowsGiven) {
  EXPECT_EQ((holdout{row_set::of({0, 1}), row_set::of({3})}.folds(any_dataset(4))),
            (std::vector<fold>{{"held-out rows", row_set::of({0, 1}), {}, row_set::of({3})}}));
  EXPECT_EQ((holdout{row_set::of({0}), row_set::of({3}), row_set::of({2}), "h200.csv"}.folds(any_dataset(4))),
            (std::vector<fold>{{"h200.csv", row_set::of({0}), row_set::of({2}), row_set::of({3})}}));
}

TEST(Holdout, RefusesRowsInBothPartsOrOutsideTheData) {
  EXPECT_THROW((holdout{row_set::of({0, 1}), row_set::of({1})}.folds(any_dataset(4))), validation_error);
  EXPECT_THROW((holdout{row_set::of({0, 1}), row_set::of({4})}.folds(any_dataset(4))), validation_error);
  EXPECT_THROW((holdout{row_set::of({0, 1}), row_set{}}.folds(any_dataset(4))), validation_error);
}

TEST(Holdout, ChecksTheAxesThatItSaysItHoldsOut) {
  any_dataset data(3);
  data.set(group::hardware, {"h100", "h200", "h200"});
  EXPECT_NO_THROW((holdout<group::hardware>{row_set::of({0}), row_set::of({1, 2})}.folds(data)));
  try {
    holdout<group::hardware>{row_set::of({0, 1}), row_set::of({2})}.folds(data);
    FAIL() << "a shared label went unnoticed";
  } catch (const validation_error& problem) {
    EXPECT_STREQ(problem.what(),
                 "fold 'held-out rows' of holdout: the hardware 'h200' is in training and under test");
  }
}

}  // namespace
