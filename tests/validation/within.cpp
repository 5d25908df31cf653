// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/validation/within.hpp"

#include <gtest/gtest.h>

#include "concepts/any_dataset.hpp"
#include "rafter/validation/leave_one_group_out.hpp"
#include "rafter/validation/product.hpp"
#include "rafter/validation/temporal.hpp"

namespace {

using namespace rafter;
using rafter::testing::any_dataset;

using lomo_within_workload = within<group::workload, lomo>;
static_assert(split_policy<lomo_within_workload> && lomo_within_workload::name == "lomo_within_workload");
static_assert(lomo_within_workload::fits_one_per == group::workload);
static_assert(holds_out<lomo_within_workload, group::model> && tests_every_row<lomo_within_workload>);
static_assert(within<group::model, temporal>::fits_one_per == group::experiment);
static_assert(within<group::model, pooled<temporal>>::fits_one_per == group::model);

TEST(Within, SplitsEachGroupAsIfTheOthersDidNotExist) {
  any_dataset data(6);
  data.set(group::workload, {"chat", "code", "chat", "code", "chat", "code"});
  data.set(group::model, {"7b", "7b", "70b", "moe", "7b", "7b"});
  EXPECT_EQ(lomo_within_workload{}.folds(data),
            (std::vector<fold>{{"chat / 7b", row_set::of({2}), {}, row_set::of({0, 4})},
                               {"chat / 70b", row_set::of({0, 4}), {}, row_set::of({2})},
                               {"code / 7b", row_set::of({3}), {}, row_set::of({1, 5})},
                               {"code / moe", row_set::of({1, 5}), {}, row_set::of({3})}}));
}

TEST(Within, PassesOnTheParametersOfTheSplit) {
  any_dataset data(8);
  data.set(group::model, {"a", "a", "a", "a", "b", "b", "b", "b"});
  data.set(group::experiment, {"x", "x", "x", "x", "y", "y", "y", "y"}).set_step_ids({1, 2, 3, 4, 8, 7, 6, 5});
  EXPECT_EQ((within<group::model, temporal>{{0.5, 0.25}}.folds(data)),
            (std::vector<fold>{{"a / x", row_set::of({0, 1}), row_set::of({2}), row_set::of({3})},
                               {"b / y", row_set::of({6, 7}), row_set::of({5}), row_set::of({4})}}));
}

TEST(Within, NamesTheGroupThatCannotBeSplit) {
  any_dataset data(3);
  data.set(group::workload, {"chat", "chat", "code"}).set(group::model, {"7b", "70b", "7b"});
  try {
    lomo_within_workload{}.folds(data);
    FAIL() << "one model was enough";
  } catch (const validation_error& problem) {
    EXPECT_STREQ(problem.what(),
                 "within the workload 'code': lomo needs at least two models; this dataset has one: '7b'");
  }
}

}  // namespace
