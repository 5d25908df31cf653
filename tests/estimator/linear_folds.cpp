// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// linear::fit_each: the fits of all folds from one pass, against separate fits.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "rafter/estimator/linear.hpp"
#include "rafter/solver/ordinary_least_squares.hpp"
#include "rafter/solver/ridge.hpp"
#include "rafter/validation/leave_one_group_out.hpp"
#include "support/engine_steps.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;

using shrunk = linear<tiny::mixture, ridge<1>>;
using data_type = dataset<tiny::aggregated>;

std::vector<row_set> trainings_of(const std::vector<fold>& folds) {
  std::vector<row_set> trainings;
  for (const fold& part : folds) trainings.push_back(part.train);
  return trainings;
}

/// Coefficients times deviations to 1e-9 of the largest of them, and what the solution says of itself.
template <class Estimator> void expect_separate_fits(const data_type& data, const std::vector<row_set>& trainings) {
  const auto together = Estimator::fit_each(data, trainings);
  ASSERT_EQ(together.size(), trainings.size());
  for (std::size_t f = 0; f < trainings.size(); ++f) {
    const linear_solution& one = together[f].solution();
    const auto alone_predictor = Estimator::fit(data, trainings[f]);
    const linear_solution& alone = alone_predictor.solution();
    double scale = std::abs(alone.target_mean);
    for (std::size_t j = 0; j < alone.coefficients.size(); ++j) {
      scale = std::max(scale, std::abs(alone.coefficients[j] * alone.deviation[j]));
    }
    for (std::size_t j = 0; j < alone.coefficients.size(); ++j) {
      EXPECT_NEAR(one.coefficients[j] * alone.deviation[j], alone.coefficients[j] * alone.deviation[j], 1e-9 * scale)
          << "fold " << f << " column " << j;
    }
    EXPECT_NEAR(one.intercept, alone.intercept, 1e-9 * (scale + std::abs(alone.intercept))) << "fold " << f;
    EXPECT_EQ(one.constant_columns, alone.constant_columns) << "fold " << f;
    EXPECT_EQ(one.rank, alone.rank) << "fold " << f;
    EXPECT_EQ(one.rows, trainings[f].size()) << "fold " << f;
  }
}

template <class Estimator> void expect_separate_fits_under_all_splits() {
  const data_type data = tiny::noisy_steps(900, 21);
  expect_separate_fits<Estimator>(data, trainings_of(lomo{}.folds(data)));
  expect_separate_fits<Estimator>(data, trainings_of(loeo{}.folds(data)));
  expect_separate_fits<Estimator>(data, trainings_of(lowo{}.folds(data)));  // two folds
}

TEST(LinearFolds, OfRidgeAreSeparateFits) { expect_separate_fits_under_all_splits<shrunk>(); }
TEST(LinearFolds, OfLeastSquaresAreSeparateFits) {
  expect_separate_fits_under_all_splits<linear<tiny::mixture, ordinary_least_squares>>();
}
TEST(LinearFolds, OfRelativeErrorsAreSeparateFits) {
  expect_separate_fits_under_all_splits<linear<tiny::mixture, ordinary_least_squares, objective::relative>>();
}

TEST(LinearFolds, DoNotSeeVariationThatOnlyTheHeldOutGroupHas) {
  // tensor_parallel differs on engine 1 alone; kv_usage_ratio is made to vary on engine 2 alone.
  auto steps = tiny::random_engine_steps(600, 6);
  for (auto& s : steps) s.kv_usage_ratio = s.engine == 2 ? 1e-3 * s.decode_tokens : 0.3;
  const auto data = tiny::dataset_of(steps, [](const tiny::engine_step& s, std::size_t i) {
    return 1e-3 + 1e-5 * s.prefill_tokens + 1e-3 * s.kv_usage_ratio + 1e-6 * static_cast<double>(i * i % 97);
  });
  const auto folds = lomo{}.folds(data);
  expect_separate_fits<shrunk>(data, trainings_of(folds));
  const auto fitted = shrunk::fit_each(data, trainings_of(folds));
  for (std::size_t f = 0; f < folds.size(); ++f) {
    const linear_solution& solution = fitted[f].solution();
    EXPECT_EQ(solution.is_constant(2), folds[f].held_out == "model-2") << folds[f].held_out;
    EXPECT_EQ(solution.is_constant(4), folds[f].held_out == "model-1") << folds[f].held_out;
    EXPECT_EQ(solution.coefficients[2] == 0.0, solution.is_constant(2)) << folds[f].held_out;
    EXPECT_EQ(solution.coefficients[4] == 0.0, solution.is_constant(4)) << folds[f].held_out;
  }
}

TEST(LinearFolds, KeepTheirDigitsWhenTheHeldOutGroupDominates) {
  for (const std::size_t dominating : {std::size_t{3}, std::size_t{0}}) {  // engine 0 has the first row: the shift
    auto steps = tiny::random_engine_steps(600, 9);
    for (auto& s : steps) {
      if (s.engine == dominating) s.prefill_requests = 1, s.prefill_tokens = 1e9 + 1e6 * s.prefill_tokens;
    }
    const auto data = tiny::dataset_of(steps, [](const tiny::engine_step& s, std::size_t i) {
      return 1e-3 + 1e-5 * s.prefill_tokens + 1e-4 * s.decode_tokens + 1e-5 * static_cast<double>(i * i % 97);
    });
    expect_separate_fits<shrunk>(data, trainings_of(lomo{}.folds(data)));
  }
}

TEST(LinearFolds, MayOverlapInWhatTheyLeaveOut) {
  const data_type data = tiny::noisy_steps(400, 2);
  const auto rows = [](std::size_t from, std::size_t to) {
    return row_set::where(400, [=](std::size_t row) { return row >= from && row < to; });
  };
  expect_separate_fits<shrunk>(data, {rows(0, 100), rows(50, 250), rows(100, 400)});            // rolling windows
  expect_separate_fits<shrunk>(data, {rows(0, 300), rows(0, 300), rows(0, 300), rows(0, 99)});  // repeated sets
  expect_separate_fits<shrunk>(data, {rows(0, 100), rows(100, 200), rows(200, 300)});           // disjoint trainings
  expect_separate_fits<shrunk>(data, {rows(7, 400)});
  EXPECT_TRUE(shrunk::fit_each(data, {}).empty());
}

TEST(LinearFolds, LeaveOutRowsThatNoFoldTrainsOn) {
  // The last 100 rows are for validation in every fold: neither fitted nor among what a fold leaves out.
  const data_type data = tiny::noisy_steps(500, 12);
  const row_set fitted = row_set::where(500, [](std::size_t row) { return row < 400; });
  std::vector<row_set> trainings;
  for (const fold& part : lomo{}.folds(data)) trainings.push_back(part.train & fitted);
  expect_separate_fits<shrunk>(data, trainings);
}

TEST(LinearFolds, RefuseAnEmptyTraining) {
  const data_type data = tiny::noisy_steps(50, 1);
  EXPECT_THROW(shrunk::fit_each(data, {row_set::all(50), {}, row_set::all(50)}), fit_error);
}

TEST(LinearFolds, DoNotDependOnTheRowsThatTheyLeaveOut) {
  const auto steps = tiny::random_engine_steps(500, 33);
  auto changed = steps;
  for (auto& s : changed) {
    if (s.engine == 2) s.prefill_requests = 2, s.prefill_tokens = 4000, s.kv_usage_ratio = 0.5;
  }
  const auto time = [](const tiny::engine_step& s, std::size_t) {
    return (1e-3 + 1e-5 * s.prefill_tokens) * (s.prefill_tokens == 4000 ? 1e5 : 1.0);
  };
  const data_type data = tiny::dataset_of(steps, time);
  const data_type spoilt = tiny::dataset_of(changed, time);
  const auto folds = lomo{}.folds(data);
  const auto fitted = shrunk::fit_each(data, trainings_of(folds));
  const auto again = shrunk::fit_each(spoilt, trainings_of(folds));
  for (std::size_t f = 0; f < folds.size(); ++f) {
    if (folds[f].held_out == "model-2") {
      EXPECT_EQ(fitted[f].solution().coefficients, again[f].solution().coefficients);
      EXPECT_EQ(fitted[f].solution().intercept, again[f].solution().intercept);
    } else {
      EXPECT_NE(fitted[f].solution().coefficients, again[f].solution().coefficients);
    }
  }
}

}  // namespace
