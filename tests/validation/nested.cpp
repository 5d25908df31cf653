// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/validation/nested.hpp"

#include <gtest/gtest.h>

#include "concepts/any_dataset.hpp"
#include "rafter/validation/k_fold.hpp"
#include "rafter/validation/leave_one_group_out.hpp"

namespace {

using namespace rafter;
using rafter::testing::any_dataset;
using rafter::testing::random_dataset;

using tuned = nested<lomo, k_fold>;
static_assert(split_policy<tuned> && tuned::name == "lomo_tuned_by_k_fold" && tuned::is_random);
static_assert(holds_out<tuned, group::model> && tests_every_row<tuned>);

TEST(Nested, MakesInnerFoldsOfTheOuterTrainingRowsAlone) {
  any_dataset data(6);
  data.set(group::model, {"a", "b", "c", "a", "b", "c"});
  const nested split{lomo{}, lomo{}};
  const auto outer = split.folds(data);
  EXPECT_EQ(outer, lomo{}.folds(data));
  EXPECT_EQ(split.inner_folds(outer[1], data),
            (std::vector<fold>{{"a", row_set::of({2, 5}), {}, row_set::of({0, 3})},
                               {"c", row_set::of({0, 3}), {}, row_set::of({2, 5})}}));
}

TEST(Nested, NeverShowsTheTestRowsToTheTuning) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const any_dataset data = random_dataset(seed);
    const nested split{lowo{}, k_fold{.k = 3, .seed = seed}};
    for (const fold& outer : split.folds(data)) {
      const auto inner = split.inner_folds(outer, data);
      check_folds(inner, data.size());
      row_set seen;
      for (const fold& part : inner) {
        seen = seen | part.train | part.validation | part.test;
        EXPECT_TRUE((outer.test & part.train).empty() && (outer.test & part.test).empty());
      }
      EXPECT_EQ(seen, outer.train);
    }
  }
}

TEST(Nested, NamesTheOuterFoldWhoseTrainingRowsCannotBeSplit) {
  any_dataset data(2);
  data.set(group::model, {"a", "b"});
  const nested split{lomo{}, lomo{}};
  try {
    split.inner_folds(split.folds(data)[0], data);
    FAIL() << "one model was enough";
  } catch (const validation_error& problem) {
    EXPECT_STREQ(problem.what(),
                 "inside the training rows of fold 'a': lomo needs at least two models; this dataset has one: 'b'");
  }
}

}  // namespace
