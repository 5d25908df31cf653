// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/validation/temporal.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "concepts/any_dataset.hpp"
#include "support/data.hpp"

namespace {

using namespace rafter;
using rafter::testing::any_dataset;

any_dataset one_run(std::size_t steps) {
  any_dataset data(steps);
  std::vector<double> ids(steps);
  for (std::size_t i = 0; i < steps; ++i) ids[i] = static_cast<double>(i);
  data.set(group::experiment, std::vector<std::string>(steps, "run")).set_step_ids(std::move(ids));
  return data;
}

std::array<std::size_t, 3> sizes(const fold& part) {
  return {part.train.size(), part.validation.size(), part.test.size()};
}

TEST(RoundHalfToEven, TakesHalvesToTheEvenNeighbour) {
  for (const auto& [value, nearest] : std::vector<std::pair<double, double>>{
           {0.0, 0.0}, {0.5, 0.0}, {1.5, 2.0}, {2.5, 2.0}, {3.5, 4.0}, {2.49999, 2.0}, {2.50001, 3.0}, {7.0, 7.0}}) {
    EXPECT_EQ(detail::round_half_to_even(value), nearest) << value;
  }
}

TEST(Temporal, CutsFiveStepsIntoThreeOneOne) {
  const auto folds = temporal{0.6, 0.2}.folds(one_run(5));
  ASSERT_EQ(folds.size(), 1U);
  EXPECT_EQ(folds[0], (fold{"run", row_set::of({0, 1, 2}), row_set::of({3}), row_set::of({4})}));
}

TEST(Temporal, RoundsHalvesToTheEvenNumberOfSteps) {
  EXPECT_EQ(sizes(temporal{0.5, 0.25}.folds(one_run(10))[0]), (std::array<std::size_t, 3>{5, 2, 3}));   // 2.5 -> 2
  EXPECT_EQ(sizes(temporal{0.5, 0.25}.folds(one_run(14))[0]), (std::array<std::size_t, 3>{7, 4, 3}));   // 3.5 -> 4
  EXPECT_EQ(sizes(temporal{0.5, 0.0}.folds(one_run(25))[0]), (std::array<std::size_t, 3>{12, 0, 13}));  // 12.5 -> 12
  EXPECT_EQ(sizes(temporal{0.5, 0.0}.folds(one_run(27))[0]), (std::array<std::size_t, 3>{14, 0, 13}));  // 13.5 -> 14
  EXPECT_EQ(sizes(temporal{0.6, 0.2}.folds(one_run(7))[0]), (std::array<std::size_t, 3>{4, 1, 2}));     // 4.2, 1.4
}

TEST(Temporal, GoesByStepIdAndNotByRow) {
  any_dataset data(5);
  data.set(group::experiment, {"b", "a", "b", "b", "a"}).set_step_ids({30, 2, 10, 20, 1});
  const auto folds = temporal{0.5, 0.0}.folds(data);
  ASSERT_EQ(folds.size(), 2U);
  EXPECT_EQ(folds[0], (fold{"b", row_set::of({2, 3}), {}, row_set::of({0})}));
  EXPECT_EQ(folds[1], (fold{"a", row_set::of({4}), {}, row_set::of({1})}));
}

TEST(Temporal, NamesTheExperimentThatIsTooShort) {
  const auto complaint = [](temporal split, std::size_t steps) -> std::string {
    try {
      split.folds(one_run(steps));
    } catch (const validation_error& problem) {
      return problem.what();
    }
    return "no complaint";
  };
  EXPECT_EQ(complaint({0.6, 0.2}, 2), "fold 'run' of temporal: too few steps (2), none is left to validate on");
  EXPECT_EQ(complaint({0.6, 0.0}, 1), "fold 'run' of temporal: too few steps (1), none is left to test on");
  EXPECT_EQ(complaint({0.2, 0.0}, 2), "fold 'run' of temporal: too few steps (2), none is left to train on");
}

TEST(Temporal, RefusesSharesThatLeaveNothingToTest) {
  for (const temporal split : {temporal{0.8, 0.2}, temporal{0.0, 0.2}, temporal{0.5, -0.1}, temporal{NAN, 0.2}}) {
    EXPECT_THROW(split.folds(one_run(100)), validation_error) << split.train << ' ' << split.validation;
  }
}

TEST(Temporal, SaysWhatItMissesInDataWithoutOrderOrExperiments) {
  any_dataset unordered(2);
  unordered.set(group::experiment, {"a", "a"});
  EXPECT_THROW(temporal{}.folds(unordered), validation_error);
  any_dataset ungrouped(2);
  ungrouped.set_step_ids({1, 2});
  EXPECT_THROW(temporal{}.folds(ungrouped), dataset_error);
}

TEST(Temporal, PoolsTheExperimentsIntoOneFold) {
  any_dataset data(4);
  data.set(group::experiment, {"a", "a", "b", "b"}).set_step_ids({1, 2, 8, 7});
  EXPECT_EQ((temporal{0.5, 0.0}.pooled_folds(data)),
            (std::vector<fold>{{"later steps", row_set::of({0, 3}), {}, row_set::of({1, 2})}}));
}

TEST(Temporal, MakesTheStudysSizesOfTheStudysSteps) {
  std::ifstream file(data_folder() / "blis_steps" / "steps.csv");
  if (!file) GTEST_SKIP() << "blis_steps/steps.csv is absent: the study's split sizes are not checked";
  std::string line;
  std::getline(file, line);
  std::vector<std::string> experiments;
  std::vector<double> step_ids;
  while (std::getline(file, line)) {
    std::istringstream fields(line);
    std::array<std::string, 5> field;
    for (std::string& text : field) std::getline(fields, text, ',');
    experiments.push_back(field[0]);
    step_ids.push_back(std::stod(field[4]));
  }
  any_dataset data(step_ids.size());
  data.set(group::experiment, experiments).set_step_ids(std::move(step_ids));
  const auto folds = temporal{0.6, 0.2}.folds(data);
  ASSERT_EQ(folds.size(), 3U);
  EXPECT_EQ(sizes(folds[0]), (std::array<std::size_t, 3>{3595, 1198, 1199}));
  EXPECT_EQ(sizes(folds[1]), (std::array<std::size_t, 3>{4007, 1336, 1336}));
  EXPECT_EQ(sizes(folds[2]), (std::array<std::size_t, 3>{4465, 1488, 1488}));
}

}  // namespace
