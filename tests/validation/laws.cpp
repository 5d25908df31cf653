// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/validation.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "concepts/any_dataset.hpp"
#include "concepts/split_policy.hpp"

namespace {

using namespace rafter;
using rafter::testing::any_dataset;
using rafter::testing::check_split_policy;
using rafter::testing::no_violations;
using rafter::testing::random_dataset;

constexpr std::uint64_t datasets = 25;

template <class Split> class AnySplit : public ::testing::Test {};

using all_splits =
    ::testing::Types<temporal, lomo, lowo, loeo, loho, k_fold, rolling_origin, pooled<temporal>,
                     pooled<rolling_origin>, shared<temporal>, shared<rolling_origin>, within<group::workload, lomo>,
                     within<group::model, temporal>, within<group::experiment, k_fold>, split_product<lomo, temporal>,
                     split_product<k_fold, temporal>, split_product<lomo, rolling_origin>, split_product<lomo, lowo>,
                     nested<lowo, k_fold>>;
TYPED_TEST_SUITE(AnySplit, all_splits);

TYPED_TEST(AnySplit, KeepsItsPromisesOnRandomDatasets) {
  for (std::uint64_t seed = 0; seed < datasets; ++seed) {
    EXPECT_EQ(check_split_policy(TypeParam{}, random_dataset(seed)), no_violations) << "seed " << seed;
  }
}

TEST(GroupedKFoldLaw, KeepsItsPromisesShuffledOrNot) {
  for (std::uint64_t seed = 0; seed < datasets; ++seed) {
    const any_dataset data = random_dataset(seed);
    for (const bool shuffle : {false, true}) {
      const grouped_k_fold<group::experiment> split{.k = 2 + seed % 3, .seed = seed, .shuffle = shuffle};
      EXPECT_EQ(check_split_policy(split, data), no_violations) << "seed " << seed;
    }
  }
}

/// The least distance in step id from a row of `earlier` to a later row of `later` of the same experiment; negative
/// when some row comes after one that it should precede.
double gap(const any_dataset& data, const row_set& earlier, const row_set& later) {
  const group_column& experiments = data.groups(group::experiment);
  double least = std::numeric_limits<double>::infinity();
  earlier.for_each([&](std::size_t early) {
    later.for_each([&](std::size_t late) {
      if (experiments.code(early) != experiments.code(late)) return;
      least = std::min(least, data.step_ids()[late] - data.step_ids()[early]);
    });
  });
  return least;
}

TEST(TimeLaw, TemporalTrainsBeforeItValidatesBeforeItTests) {
  for (std::uint64_t seed = 0; seed < datasets; ++seed) {
    const any_dataset data = random_dataset(seed);
    for (const auto& folds : {temporal{}.folds(data), temporal{}.pooled_folds(data)}) {
      for (const fold& part : folds) {
        EXPECT_GT(gap(data, part.train, part.validation), 0.0);
        EXPECT_GT(gap(data, part.validation, part.test), 0.0);
        EXPECT_GT(gap(data, part.train, part.test), 0.0);
      }
    }
  }
}

TEST(TimeLaw, RollingOriginKeepsTheEmbargoAndTestsNoRowTwice) {
  for (std::uint64_t seed = 0; seed < datasets; ++seed) {
    const any_dataset data = random_dataset(seed);
    const double embargo = 3.0 + static_cast<double>(seed % 3);
    row_set tested;
    for (const fold& part : rolling_origin{.origins = 3, .embargo_steps = embargo}.folds(data)) {
      EXPECT_GT(gap(data, part.train, part.test), embargo);
      EXPECT_TRUE((tested & part.test).empty());
      tested = tested | part.test;
    }
  }
}

TEST(TimeLaw, EmbargoedTrainingIsThatWithoutEmbargoLessTheNearSteps) {
  for (std::uint64_t seed = 0; seed < datasets; ++seed) {
    const any_dataset data = random_dataset(seed);
    const auto free = rolling_origin{.origins = 3}.folds(data);
    const auto embargoed = rolling_origin{.origins = 3, .embargo_steps = 5}.folds(data);
    ASSERT_EQ(free.size(), embargoed.size());
    for (std::size_t i = 0; i < free.size(); ++i) {
      EXPECT_EQ(free[i].test, embargoed[i].test);
      EXPECT_EQ(embargoed[i].train, row_set::where(data.size(), [&](std::size_t row) {
                  return free[i].train.contains(row) && gap(data, row_set::of({row}), free[i].test) > 5.0;
                }));
    }
  }
}

TEST(ProductLaw, TestsAreTheCommonTestsOfTheFactors) {
  for (std::uint64_t seed = 0; seed < datasets; ++seed) {
    const any_dataset data = random_dataset(seed);
    const fold later = temporal{}.pooled_folds(data).front();
    const auto models = lomo{}.folds(data);
    const auto both = (lomo{} * temporal{}).folds(data);
    ASSERT_EQ(both.size(), models.size());
    for (std::size_t i = 0; i < both.size(); ++i) {
      EXPECT_EQ(both[i].test, models[i].test & later.test);
      EXPECT_EQ(both[i].train, models[i].train & later.train);
    }
  }
}

}  // namespace
