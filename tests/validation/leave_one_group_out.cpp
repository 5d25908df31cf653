// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/validation/leave_one_group_out.hpp"

#include <gtest/gtest.h>

#include "concepts/any_dataset.hpp"

namespace {

using namespace rafter;
using rafter::testing::any_dataset;

static_assert(lomo::name == "lomo" && lowo::name == "lowo" && loeo::name == "loeo" && loho::name == "loho");
static_assert(leave_one_attention_shape_out::name == "leave_one_attention_shape_out");
static_assert(lowo::held_out[0] == group::workload && loho::held_out[0] == group::hardware);
static_assert(holds_out<leave_one_attention_shape_out, group::attention_shape>);
static_assert(!holds_out<leave_one_attention_shape_out, group::model>);

TEST(LeaveOneGroupOut, TestsEachGroupOnceInOrderOfAppearance) {
  any_dataset data(5);
  data.set(group::model, {"70b", "7b", "70b", "moe", "7b"});
  EXPECT_EQ(lomo{}.folds(data), (std::vector<fold>{{"70b", row_set::of({1, 3, 4}), {}, row_set::of({0, 2})},
                                                   {"7b", row_set::of({0, 2, 3}), {}, row_set::of({1, 4})},
                                                   {"moe", row_set::of({0, 1, 2, 4}), {}, row_set::of({3})}}));
}

TEST(LeaveOneGroupOut, CountsAliasesAsOneGroup) {
  any_dataset data(4);
  data.set(group::model, {"llama-2-70b", "llama-2-7b", "llama-2-70b-hf", "llama-2-7b"});
  EXPECT_EQ(lomo{}.folds(data).size(), 3U);
  data.merge(group::model, {{"llama-2-70b-hf", "llama-2-70b"}});
  const auto folds = lomo{}.folds(data);
  ASSERT_EQ(folds.size(), 2U);
  EXPECT_EQ(folds[0], (fold{"llama-2-70b", row_set::of({1, 3}), {}, row_set::of({0, 2})}));
}

TEST(LeaveOneGroupOut, NeedsTwoGroupsAndNamesTheOneItHas) {
  any_dataset data(2);
  data.set(group::model, {"70b", "70b"}).set(group::hardware, {"h100", "h100"});
  try {
    lomo{}.folds(data);
    FAIL() << "one model was enough";
  } catch (const validation_error& problem) {
    EXPECT_STREQ(problem.what(), "lomo needs at least two models; this dataset has one: '70b'");
  }
  EXPECT_THROW(loho{}.folds(data), validation_error);
}

TEST(LeaveOneGroupOut, LetsTheDatasetSayThatItLacksTheAxis) {
  EXPECT_THROW(lowo{}.folds(any_dataset(3)), dataset_error);
}

}  // namespace
