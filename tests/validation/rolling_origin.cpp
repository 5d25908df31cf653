// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/validation/rolling_origin.hpp"

#include <gtest/gtest.h>

#include "concepts/any_dataset.hpp"

namespace {

using namespace rafter;
using rafter::testing::any_dataset;

any_dataset one_run(std::vector<double> ids) {
  any_dataset data(ids.size());
  data.set(group::experiment, std::vector<std::string>(ids.size(), "run")).set_step_ids(std::move(ids));
  return data;
}

TEST(RollingOrigin, TestsTheLastBlocksEachAfterAllThatCameBefore) {
  const auto data = one_run({0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  EXPECT_EQ(
      rolling_origin{.origins = 3}.folds(data),
      (std::vector<fold>{{"run / block 1 of 3", row_set::of({0, 1, 2, 3}), {}, row_set::of({4, 5})},
                         {"run / block 2 of 3", row_set::of({0, 1, 2, 3, 4, 5}), {}, row_set::of({6, 7})},
                         {"run / block 3 of 3", row_set::of({0, 1, 2, 3, 4, 5, 6, 7}), {}, row_set::of({8, 9})}}));
}

TEST(RollingOrigin, LeavesOutTheEmbargoedRowsBeforeTheTest) {
  const auto folds = rolling_origin{.origins = 3, .embargo_rows = 2}.folds(one_run({0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  EXPECT_EQ(folds[0].train, row_set::of({0, 1}));
  EXPECT_EQ(folds[2].train, row_set::of({0, 1, 2, 3, 4, 5}));
}

TEST(RollingOrigin, MeasuresTheEmbargoInStepsWhereTheLogHasGaps) {
  // The test of the only block begins at row 3, step 100: steps 98 and 90 are within 10 of it, 89 is not.
  const auto folds = rolling_origin{.origins = 1, .embargo_steps = 10}.folds(one_run({89, 90, 98, 100, 107, 130}));
  ASSERT_EQ(folds.size(), 1U);
  EXPECT_EQ(folds[0].train, row_set::of({0}));
  EXPECT_EQ(folds[0].test, row_set::of({3, 4, 5}));
}

TEST(RollingOrigin, NamesTheBlockThatHasNothingToTrainOn) {
  for (const auto& split : {rolling_origin{.origins = 3, .embargo_rows = 4}, rolling_origin{.origins = 10},
                            rolling_origin{.origins = 3, .embargo_steps = 4}}) {
    try {
      split.folds(one_run({0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
      FAIL() << "trained on nothing";
    } catch (const validation_error& problem) {
      EXPECT_EQ(problem.what(), "fold 'run / block 1 of " + std::to_string(split.origins) +
                                    "' of rolling_origin: too few steps (10), none is left to train on");
    }
  }
}

TEST(RollingOrigin, RefusesNoOriginsAndANegativeEmbargo) {
  EXPECT_THROW(rolling_origin{.origins = 0}.folds(one_run({0, 1, 2})), validation_error);
  EXPECT_THROW((rolling_origin{.origins = 1, .embargo_steps = -1}.folds(one_run({0, 1, 2}))), validation_error);
}

TEST(RollingOrigin, PoolsTheBlocksOfEqualNumber) {
  any_dataset data(6);
  data.set(group::experiment, {"a", "a", "a", "b", "b", "b"}).set_step_ids({1, 2, 3, 9, 8, 7});
  EXPECT_EQ(rolling_origin{.origins = 2}.pooled_folds(data),
            (std::vector<fold>{{"block 1 of 2", row_set::of({0, 5}), {}, row_set::of({1, 4})},
                               {"block 2 of 2", row_set::of({0, 1, 4, 5}), {}, row_set::of({2, 3})}}));
}

}  // namespace
