// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/evaluation/profile_likelihood.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <random>
#include <string>
#include <vector>

#include "rafter/evaluation/inference.hpp"
#include "rafter/solver/trust_region.hpp"
#include "support/engine_steps.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;

// -- on arrays: y = a (1 − exp(−b x)), the model of NIST's Misra1a and BoxBOD ---------------------------------------

struct saturation {
  std::vector<double> x, y;
  array_residuals model{0, 0, [](const double*, double*) {}};

  explicit saturation(unsigned seed, double noise = 0.1, double a = 2.0, double b = 0.5) {
    std::mt19937_64 random(seed);
    std::normal_distribution<double> normal;
    for (int i = 1; i <= 12; ++i) {
      x.push_back(0.4 * i);
      y.push_back(a * (1.0 - std::exp(-b * x.back())) + noise * normal(random));
    }
    model = array_residuals(
        12, 2,
        [this](const double* at, double* out) {
          for (std::size_t i = 0; i < 12; ++i) out[i] = at[0] * (1.0 - std::exp(-at[1] * x[i])) - y[i];
        },
        [this](const double* at, double* out) {
          for (std::size_t i = 0; i < 12; ++i) {
            out[i] = 1.0 - std::exp(-at[1] * x[i]);
            out[12 + i] = at[0] * x[i] * std::exp(-at[1] * x[i]);
          }
        });
  }
  saturation(const saturation&) = delete;

  nonlinear_solution minimize(const std::vector<double>& start, const parameter_bounds& bounds) const {
    return trust_region{}.minimize(model, start, bounds);
  }
  profiled_problem problem(const parameter_bounds& bounds) const {
    return {.model = model, .bounds = bounds, .loss = {}, .minimize = [this](const auto& start, const auto& within) {
              return minimize(start, within);
            }};
  }
  profile_interval interval(std::size_t j, double confidence,
                            parameter_bounds bounds = {{1e-3, 1e-3}, {1e3, 1e3}}) const {
    nonlinear_solution best = minimize({1.0, 1.0}, bounds);
    return profile_interval_of(problem(bounds), best, j, confidence);
  }
  /// Least cost with b = at[1] held, in closed form: a is linear.
  double cost_with_b(double b) const {
    double uu = 0.0, uy = 0.0, yy = 0.0;
    for (std::size_t i = 0; i < 12; ++i) {
      const double u = 1.0 - std::exp(-b * x[i]);
      uu += u * u;
      uy += u * y[i];
      yy += y[i] * y[i];
    }
    return 0.5 * (yy - uy * uy / uu);
  }
};

TEST(ProfileLikelihood, EndsWhereTheHeldFitsCostIsAtTheQuantile) {
  const saturation data(3);
  const profile_interval b = data.interval(1, 0.95);
  ASSERT_FALSE(b.low_open || b.high_open);
  const double least = data.cost_with_b(b.value);
  const double quantile =
      4.964602743730714;  // t² where F(t) = 0.975, by bisection of the closed form for 10 degrees of freedom
  for (const double end : {b.low, b.high}) {
    EXPECT_NEAR(2.0 * (data.cost_with_b(end) - least) / (2.0 * least / 10.0), quantile, 1e-6 * quantile);
  }
}

TEST(ProfileLikelihood, IsAsymmetricWhereTheModelBends) {
  const saturation data(3);
  const profile_interval a = data.interval(0, 0.95);
  ASSERT_FALSE(a.low_open || a.high_open);
  EXPECT_GT(a.high - a.value, 1.5 * (a.value - a.low));  // the plateau may be far above what was seen, not below it
}

TEST(ProfileLikelihood, CoversTheTruthAsOftenAsStated) {
  constexpr int seeds = 200;
  for (const double confidence : {0.68, 0.95}) {
    int covered[2] = {};
    for (unsigned seed = 0; seed < seeds; ++seed) {
      const saturation data(1000 + seed);
      const double truth[] = {2.0, 0.5};
      for (std::size_t j = 0; j < 2; ++j) {
        const profile_interval one = data.interval(j, confidence);
        EXPECT_LE(one.low, one.value);
        EXPECT_LE(one.value, one.high);
        covered[j] += one.low <= truth[j] && truth[j] <= one.high;
      }
    }
    const double sigma = std::sqrt(seeds * confidence * (1.0 - confidence));
    for (const int count : covered) EXPECT_NEAR(count, seeds * confidence, 3.0 * sigma) << confidence;
  }
}

TEST(ProfileLikelihood, IsOpenWhereABoundComesFirst) {
  const saturation data(3);
  const profile_interval free = data.interval(1, 0.95);
  const double bound = 0.5 * (free.low + free.value);
  const profile_interval cut = data.interval(1, 0.95, {{1e-3, bound}, {1e3, 1e3}});
  EXPECT_TRUE(cut.low_open);
  EXPECT_EQ(cut.low, bound);
  EXPECT_FALSE(cut.high_open);
  EXPECT_NEAR(cut.high, free.high, 1e-6);
}

TEST(ProfileLikelihood, IsOneSidedOfAParameterAtItsBound) {
  const saturation data(3);
  const profile_interval free = data.interval(1, 0.95);
  const double bound = free.value + 0.25 * (free.high - free.value);
  const profile_interval cut = data.interval(1, 0.95, {{1e-3, bound}, {1e3, 1e3}});
  EXPECT_EQ(cut.value, bound);
  EXPECT_TRUE(cut.low_open);
  EXPECT_EQ(cut.low, bound);
  EXPECT_FALSE(cut.high_open);
  EXPECT_GT(cut.high, bound);
}

TEST(ProfileLikelihood, IsOpenOnBothSidesOfAParameterThatNothingDetermines) {
  // y = a b x: only the product.
  const saturation data(3);
  const array_residuals product(12, 2, [&](const double* at, double* out) {
    for (std::size_t i = 0; i < 12; ++i) out[i] = at[0] * at[1] * data.x[i] - data.y[i];
  });
  const parameter_bounds bounds{{1e-2, 1e-2}, {1e2, 1e2}};
  const profiled_problem problem{
      .model = product, .bounds = bounds, .loss = {}, .minimize = [&](const auto& start, const auto& within) {
        return trust_region{}.minimize(product, start, within);
      }};
  nonlinear_solution best = problem.minimize({1.0, 1.0}, bounds);
  const profile_interval one = profile_interval_of(problem, best, 0);
  EXPECT_TRUE(one.low_open);  // b up to its bound 100 makes up for any a down to 0.01
  EXPECT_TRUE(one.high_open == (one.high == 1e2));
  EXPECT_GT(one.high, 20.0 * one.value);
}

TEST(ProfileLikelihood, BeginsAgainFromALowerCost) {
  const saturation data(3);
  const parameter_bounds bounds{{1e-3, 1e-3}, {1e3, 1e3}};
  trust_region hasty;
  hasty.max_evaluations = 3;
  nonlinear_solution no_minimum = hasty.minimize(data.model, {1.0, 1.0}, bounds);
  const profile_interval right = data.interval(1, 0.95);
  ASSERT_GT(std::abs(no_minimum.parameters[1] - right.value), 1e-3);
  const profile_interval one = profile_interval_of(data.problem(bounds), no_minimum, 1);
  EXPECT_GE(one.restarts, 1U);
  EXPECT_LT(one.restarts, profile_interval::most_restarts);
  EXPECT_NEAR(one.value, right.value, 1e-6);
  EXPECT_NEAR(one.low, right.low, 1e-6);
  EXPECT_NEAR(one.high, right.high, 1e-6);
  EXPECT_NEAR(no_minimum.parameters[1], right.value, 1e-6);  // a minimum now
}

TEST(ProfileLikelihood, RefusesAConfidenceThatIsNone) {
  const saturation data(3);
  EXPECT_THROW(data.interval(0, 1.0), error);
  EXPECT_THROW(data.interval(0, 0.0), error);
  EXPECT_THROW(data.interval(2, 0.5), error);
}

// -- on estimators ---------------------------------------------------------------------------------------------------

inline constexpr unbounded<"start", 1e-3_c, units::second> start_time{};
inline constexpr unbounded<"per_prefill", 1e-5_c, units::second / units::token> per_prefill{};
inline constexpr unbounded<"per_decode", 1e-5_c, units::second / units::token> per_decode{};
using straight =
    nonlinear<start_time + per_prefill * prefill_tokens + per_decode * decode_tokens, objective::squared>;

TEST(ProfileLikelihood, IsStudentsIntervalForAModelLinearInItsParameters) {
  const auto data = tiny::noisy_steps(60, 5);
  const row_set rows = row_set::all(60);
  const auto profiles = profile_likelihoods<straight>(data, rows, 0.9);
  const parameter_inference students(straight::fit(data, rows), 0.9);
  ASSERT_EQ(profiles.size(), 3U);
  for (const profile_interval& one : profiles) {
    const parameter_row& row = students.row(one.parameter);
    EXPECT_FALSE(one.low_open || one.high_open);
    const double width = row.high - row.low;
    EXPECT_NEAR(one.low, row.low, 1e-6 * width) << one.parameter;
    EXPECT_NEAR(one.high, row.high, 1e-6 * width) << one.parameter;
    EXPECT_EQ(one.unconverged, 0U);
  }
}

TEST(ProfileLikelihood, NamesTheParameter) {
  const auto data = tiny::noisy_steps(60, 5);
  const profile_interval one = profile_likelihood<straight>(data, row_set::all(60), "per_prefill");
  EXPECT_EQ(one.parameter, "per_prefill");
  EXPECT_EQ(one.unit, "s/token");
  EXPECT_THROW(profile_likelihood<straight>(data, row_set::all(60), "per_prefil"), fit_error);
  const std::string table = profile_table({one}).plain();
  EXPECT_NE(table.find("per_prefill  s/token"), std::string::npos) << table;
}

}  // namespace
