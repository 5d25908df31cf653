// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/validation/split_policy.hpp"

#include <gtest/gtest.h>

#include "concepts/any_dataset.hpp"
#include "concepts/split_policy.hpp"
#include "rafter/validation/leave_one_group_out.hpp"
#include "rafter/validation/temporal.hpp"

namespace {

using namespace rafter;
using rafter::testing::any_dataset;
using rafter::testing::check_split_policy;

/// The shortest type that models the concept: the first row tests what the second teaches.
struct first_row {
  static constexpr std::string_view name = "first_row";
  static constexpr std::array held_out{group::model};
  static constexpr std::optional<group> fits_one_per{};
  static constexpr bool is_random = false;
  std::vector<fold> folds(const splittable auto&) const {
    return {{"first", row_set::of({1}), {}, row_set::of({0})}};
  }
};
static_assert(split_policy<first_row>);

struct without_facts {
  std::vector<fold> folds(const splittable auto&) const { return {}; }
};
static_assert(!split_policy<without_facts> && !split_policy<int>);

struct wants_features : first_row {
  template <class Data>
  requires requires(const Data& data) { data.features(); }
  std::vector<fold> folds(const Data&) const { return {}; }
};
static_assert(!split_policy<wants_features>);

static_assert(holds_out<first_row, group::model> && holds_out<first_row, group::experiment>);
static_assert(!holds_out<first_row, group::attention_shape> && !holds_out<first_row, group::workload>);
static_assert(!holds_out<temporal, group::experiment>);
static_assert(holds_out<loeo, group::experiment> && !holds_out<loeo, group::model> && !holds_out<loeo, group::tp>);
static_assert(fits_within<temporal, group::experiment> && fits_within<temporal, group::model>);
static_assert(!fits_within<lomo, group::model>);
static_assert(title_of<lomo> == "leave one model out" && title_of<first_row> == "first_row");
static_assert(tests_every_row<lomo> && !tests_every_row<temporal> && !tests_every_row<first_row>);

/// A policy that claims to hold models out, and does what it is told.
struct claims_lomo {
  static constexpr std::string_view name = "claims_lomo";
  static constexpr std::array held_out{group::model};
  static constexpr std::optional<group> fits_one_per = group::hardware;
  static constexpr bool is_random = false;
  static constexpr bool tests_every_row = true;
  std::vector<fold> made;
  std::vector<fold> folds(const splittable auto&) const { return made; }
};

TEST(CheckHeldOut, NamesTheFoldTheAxisAndTheLabelThatLeaks) {
  any_dataset data(3);
  data.set(group::model, {"7b", "70b", "70b"});
  const std::vector<fold> folds{{"x", row_set::of({0, 1}), {}, row_set::of({2})}};
  try {
    check_held_out<claims_lomo>(folds, data);
    FAIL() << "the leak went unnoticed";
  } catch (const validation_error& problem) {
    EXPECT_STREQ(problem.what(), "fold 'x' of claims_lomo: the model '70b' is in training and under test");
  }
}

TEST(CheckHeldOut, AlsoLooksAtTheExperimentsOfAModelLeftOut) {
  any_dataset data(2);
  data.set(group::model, {"7b", "70b"}).set(group::experiment, {"run", "run"});
  EXPECT_THROW(check_held_out<lomo>(lomo{}.folds(data), data), validation_error);
}

TEST(CheckHeldOut, ToleratesOtherAxesBeingShared) {
  any_dataset data(2);
  data.set(group::model, {"7b", "70b"}).set(group::hardware, {"h100", "h100"});
  EXPECT_NO_THROW(check_held_out<lomo>(lomo{}.folds(data), data));
}

TEST(CheckSplitPolicy, ReportsEveryPromiseThatIsBroken) {
  any_dataset data(4);
  data.set(group::model, {"a", "a", "b", "b"}).set(group::hardware, {"h", "h", "g", "h"});
  const claims_lomo broken{
      {{"one", row_set::of({0}), {}, row_set::of({1})}, {"one", row_set::of({2}), {}, row_set::of({0})}}};
  EXPECT_EQ(check_split_policy(broken, data),
            (std::vector<std::string>{
                "two folds are named 'one'", "fold 'one' of claims_lomo: the model 'a' is in training and under test",
                "fold 'one' is not within one hardware", "the tests do not hold each row once"}));
}

}  // namespace
