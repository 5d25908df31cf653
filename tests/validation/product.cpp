// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/validation/product.hpp"

#include <gtest/gtest.h>

#include "concepts/any_dataset.hpp"
#include "rafter/validation/k_fold.hpp"
#include "rafter/validation/leave_one_group_out.hpp"
#include "rafter/validation/temporal.hpp"
#include "rafter/validation/within.hpp"

namespace {

using namespace rafter;
using rafter::testing::any_dataset;

using lomo_later = decltype(lomo{} * temporal{0.6, 0.2});
static_assert(split_policy<lomo_later> && lomo_later::name == "lomo_x_temporal");
static_assert(lomo_later::held_out == std::array{group::model} && !lomo_later::fits_one_per.has_value());
static_assert(!lomo_later::is_random && !tests_every_row<lomo_later>);
using cells = decltype(lomo{} * lowo{});
static_assert(cells::held_out == std::array{group::model, group::workload} && tests_every_row<cells>);
static_assert(decltype(cells{} * lomo{})::held_out == cells::held_out);
static_assert(decltype(k_fold{} * lomo{})::is_random);
static_assert(decltype(within<group::workload, k_fold>{} * temporal{})::fits_one_per == group::workload);
static_assert(split_policy<pooled<temporal>> && pooled<temporal>::name == "pooled_temporal");
static_assert(!pooled<temporal>::fits_one_per.has_value() && !poolable_split<lomo>);

any_dataset two_models_in_time() {
  any_dataset data(10);
  data.set(group::model, {"a", "a", "a", "a", "a", "b", "b", "b", "b", "b"});
  data.set(group::experiment, {"x", "x", "x", "x", "x", "y", "y", "y", "y", "y"});
  data.set_step_ids({1, 2, 3, 4, 5, 1, 2, 3, 4, 5});
  return data;
}

TEST(Shared, FitsTheEarlyStepsOfAllAndTestsEachExperimentsLateOnes) {
  static_assert(split_policy<shared<temporal>> && shared<temporal>::name == "shared_temporal");
  const row_set early = row_set::of({0, 1, 2, 5, 6, 7});
  EXPECT_EQ((shared{temporal{0.6, 0.2}}.folds(two_models_in_time())),
            (std::vector<fold>{{"x", early, row_set::of({3, 8}), row_set::of({4})},
                               {"y", early, row_set::of({3, 8}), row_set::of({9})}}));
}

TEST(SplitProduct, HoldsAModelOutAndTestsItsLaterSteps) {
  EXPECT_EQ((lomo{} * temporal{0.6, 0.2}).folds(two_models_in_time()),
            (std::vector<fold>{{"a x later steps", row_set::of({5, 6, 7}), row_set::of({8}), row_set::of({4})},
                               {"b x later steps", row_set::of({0, 1, 2}), row_set::of({3}), row_set::of({9})}}));
}

TEST(SplitProduct, DoesNotDependOnTheOrderOfTheFactorsButForNames) {
  const auto data = two_models_in_time();
  auto one = (lomo{} * temporal{0.6, 0.2}).folds(data);
  auto other = (temporal{0.6, 0.2} * lomo{}).folds(data);
  ASSERT_EQ(one.size(), other.size());
  for (std::size_t i = 0; i < one.size(); ++i) {
    one[i].held_out.clear();
    other[i].held_out.clear();
    EXPECT_EQ(one[i], other[i]);
  }
}

TEST(SplitProduct, NeitherTrainsOnTheModelNorOnTheWorkloadUnderTest) {
  any_dataset data(5);  // the model b never ran the workload "code": that cell is no fold
  data.set(group::model, {"a", "a", "b", "c", "c"}).set(group::workload, {"chat", "code", "chat", "chat", "code"});
  EXPECT_EQ((lomo{} * lowo{}).folds(data),
            (std::vector<fold>{{"a x chat", row_set::of({4}), {}, row_set::of({0})},
                               {"a x code", row_set::of({2, 3}), {}, row_set::of({1})},
                               {"b x chat", row_set::of({1, 4}), {}, row_set::of({2})},
                               {"c x chat", row_set::of({1}), {}, row_set::of({3})},
                               {"c x code", row_set::of({0, 2}), {}, row_set::of({4})}}));
}

TEST(SplitProduct, NamesTheCellThatHasNothingToTrainOn) {
  any_dataset data(3);  // without model b and workload "chat" nothing remains
  data.set(group::model, {"a", "b", "b"}).set(group::workload, {"chat", "chat", "code"});
  try {
    (lomo{} * lowo{}).folds(data);
    FAIL() << "trained on nothing";
  } catch (const validation_error& problem) {
    EXPECT_STREQ(problem.what(), "fold 'b x chat' of lomo_x_lowo: no rows to train on");
  }
}

TEST(SplitProduct, ValidatesWhereNeitherSplitTests) {
  // Two time splits that disagree: rows 0-1 train in both; 2 trains in one and validates in the other; 3 validates in
  // one and is tested by the other, so it takes no part.
  any_dataset data(5);
  data.set(group::experiment, {"x", "x", "x", "x", "x"}).set_step_ids({1, 2, 3, 4, 5});
  EXPECT_EQ(
      (temporal{0.6, 0.2} * temporal{0.4, 0.2}).folds(data),
      (std::vector<fold>{{"later steps x later steps", row_set::of({0, 1}), row_set::of({2}), row_set::of({4})}}));
}

TEST(Pooled, FitsAllExperimentsTogether) {
  EXPECT_EQ((pooled{temporal{0.6, 0.2}}.folds(two_models_in_time())),
            (std::vector<fold>{
                {"later steps", row_set::of({0, 1, 2, 5, 6, 7}), row_set::of({3, 8}), row_set::of({4, 9})}}));
}

}  // namespace
