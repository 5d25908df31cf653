// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Ridge that chooses its penalty by leave-one-out, as the solver of a linear estimator.
#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include "rafter/estimator/linear.hpp"
#include "rafter/solver/ridge.hpp"
#include "rafter/solver/ridge_path.hpp"
#include "rafter/validation/leave_one_group_out.hpp"
#include "support/engine_steps.hpp"

namespace {

using namespace rafter;
using chooses = linear<tiny::mixture, ridge_by_cross_validation>;

dataset<tiny::aggregated> few_noisy_steps() { return tiny::noisy_steps(60, 14, 0.8); }

TEST(LinearCrossValidation, ChoosesThePenaltyWithTheLeastErrorOnRowsLeftOutOneByOne) {
  const auto steps = tiny::random_engine_steps(40, 31);
  const auto data = tiny::noisy_steps(40, 31, 0.8);
  // Each row left out and the rest fitted again, in the centred and scaled columns of all rows (RidgeCV's convention:
  // the intercept is the only thing that moves).
  std::vector<double> x(6 * 40), y(40);
  for (std::size_t i = 0; i < 40; ++i) {
    const auto row = tiny::mixture_of(steps[i]);
    for (std::size_t j = 0; j < 6; ++j) x[j * 40 + i] = row[j];
    y[i] = data.target()[i];
  }
  const array_design all(40, 6, x.data(), y.data());
  const auto whole = ridge_with{1.0}.solve(normal_equations::of(all), &all);
  for (std::size_t j = 0; j < 6; ++j) {
    for (std::size_t i = 0; i < 40; ++i) x[j * 40 + i] = (x[j * 40 + i] - whole.mean[j]) / whole.deviation[j];
  }
  double best = 0.0;
  double least = std::numeric_limits<double>::infinity();
  for (const double alpha : ridge_by_cross_validation{}.alphas) {
    double squares = 0.0;
    for (std::size_t left = 0; left < 40; ++left) {
      std::vector<double> weight(40, 1.0);
      weight[left] = 0.0;
      const array_design rest(40, 6, x.data(), y.data(), weight.data());
      const auto fitted = ridge_with{.alpha = alpha, .standardise = false}.solve(normal_equations::of(rest), &rest);
      double predicted = fitted.intercept;
      for (std::size_t j = 0; j < 6; ++j) predicted += fitted.coefficients[j] * x[j * 40 + left];
      squares += (y[left] - predicted) * (y[left] - predicted);
    }
    if (squares < least) least = squares, best = alpha;
  }
  EXPECT_EQ(chooses::fit(data, row_set::all(40)).solution().alpha, best);
}

TEST(LinearCrossValidation, FitsAsTheChosenPenaltyDoes) {
  const auto data = few_noisy_steps();
  const auto fitted = chooses::fit(data, row_set::all(60));
  const detail::linear_rows<tiny::mixture_t::set_type, objective::squared, tiny::aggregated> rows(data,
                                                                                                  row_set::all(60));
  const auto same = ridge_with{fitted.solution().alpha}.solve(rows.equations(row_set::all(60)), &rows);
  for (std::size_t j = 0; j < 6; ++j) {
    EXPECT_NEAR(fitted.solution().standardised_coefficient(j), same.standardised_coefficient(j), 1e-12);
  }
}

TEST(LinearCrossValidation, SaysWhichPenaltyItChose) {
  const auto fitted = chooses::fit(few_noisy_steps(), row_set::all(60));
  const std::string status = fitted.summary().status;
  EXPECT_EQ(status, "ok; alpha " + detail::number_text(fitted.solution().alpha) + " by leave-one-out");
  EXPECT_TRUE(fitted.summary().healthy);
}

TEST(LinearCrossValidation, ChoosesAnewInEachFold) {
  const auto data = tiny::noisy_steps(200, 3, 0.8);
  std::vector<row_set> trainings;
  for (const fold& part : lomo{}.folds(data)) trainings.push_back(part.train);
  const auto together = chooses::fit_each(data, trainings);
  for (std::size_t f = 0; f < trainings.size(); ++f) {
    EXPECT_EQ(together[f].solution().alpha, chooses::fit(data, trainings[f]).solution().alpha);
  }
}

TEST(LinearCrossValidation, FixedPenaltiesAreInTheSolutionToo) {
  const auto data = few_noisy_steps();
  EXPECT_EQ((linear<tiny::mixture, ridge<1>>::fit(data, row_set::all(60)).solution().alpha), 1.0);
  EXPECT_EQ((linear<tiny::mixture, ridge<1>>::fit(data, row_set::all(60)).summary().status), "ok");
}

}  // namespace
