// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/estimator/objective.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <span>
#include <vector>

#include "rafter/analytical/roofline.hpp"
#include "rafter/estimator/analytical_model.hpp"
#include "rafter/estimator/linear.hpp"
#include "rafter/solver/ordinary_least_squares.hpp"
#include "rafter/validation/leave_one_group_out.hpp"
#include "support/engine_steps.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;

struct nothing_t : feature_set<> {};
inline constexpr nothing_t nothing{};

/// The constant that an objective likes best, times the base of the first step.
template <class Objective> double best_constant(const dataset<tiny::aggregated>& data) {
  double value = 0;
  linear<nothing, ordinary_least_squares, Objective>::fit(data, row_set::all(data.size()))
      .predict(data, row_set::of({0}), std::span<double>(&value, 1));
  return value;
}

std::vector<double> floors_of(const dataset<tiny::aggregated>& data) {
  std::vector<double> floors(data.size());
  const row_set all = row_set::all(data.size());
  analytical_model<analytical::floor_time>::fit(data, all).predict(data, all, floors);
  return floors;
}

TEST(Objective, SquaredErrorLikesTheMean) {
  const auto data = tiny::noisy_steps(60, 2, 0.5);
  double mean = 0;
  for (const double t : data.target()) mean += t / 60;
  EXPECT_NEAR(best_constant<objective::squared>(data), mean, 1e-15);
}
TEST(Objective, RelativeErrorLikesTheMeanWeightedBySquares) {
  const auto data = tiny::noisy_steps(60, 2, 0.5);
  double first = 0, second = 0;  // Σ (c/t − 1)² is least at Σ 1/t / Σ 1/t²
  for (const double t : data.target()) first += 1 / t, second += 1 / (t * t);
  EXPECT_NEAR(best_constant<objective::relative>(data), first / second, 1e-14);
}
TEST(Objective, LogarithmsLikeTheGeometricMean) {
  const auto data = tiny::noisy_steps(60, 2, 0.5);
  double logs = 0;
  for (const double t : data.target()) logs += std::log(t) / 60;
  EXPECT_NEAR(best_constant<objective::log_target>(data), std::exp(logs), 1e-14);
}
TEST(Objective, LogRatiosLikeTheGeometricMeanOfTheRatioTimesTheBase) {
  const auto data = tiny::noisy_steps(60, 2, 0.5);
  const auto floors = floors_of(data);
  double logs = 0;
  for (std::size_t i = 0; i < 60; ++i) logs += std::log(data.target()[i] / floors[i]) / 60;
  EXPECT_NEAR((best_constant<objective::log_ratio_to<analytical::floor_time>>(data)) / (std::exp(logs) * floors[0]),
              1.0, 1e-13);
}

// A base that tells the models apart is an identity feature like any other.
inline constexpr auto coded_time = model_code * with_unit<units::second>(1_c) + with_unit<units::second>(1_c);
using ratio_to_code = objective::log_ratio_to<coded_time>;
static_assert(linear<nothing, ordinary_least_squares, ratio_to_code>::reads_identity(group::model) == "model_code");
static_assert(linear<nothing, ordinary_least_squares, objective::log_target>::reads_identity(group::model).empty());
// … and one that the schema lacks is missed like any other.
using ratio_to_roofline = objective::log_ratio_to<analytical::roofline_step_time>;
static_assert(!linear<nothing, ordinary_least_squares, ratio_to_roofline>::missing_on<tiny::aggregated>().empty());
static_assert(linear<nothing, ordinary_least_squares,
                     objective::log_ratio_to<analytical::floor_time>>::missing_on<tiny::aggregated>()
                  .empty());

}  // namespace
