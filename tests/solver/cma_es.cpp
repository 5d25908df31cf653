// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/solver/cma_es.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "rafter/solver/multi_start.hpp"
#include "rafter/solver/trust_region.hpp"

namespace {

using rafter::cma_es;
using rafter::minimum_status;
static_assert(rafter::minimizer<rafter::multi_start<cma_es>>);

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double pi = 3.14159265358979323846;

struct sphere {
  std::size_t n;
  double operator()(const double* x) const {
    double sum = 0.0;
    for (std::size_t j = 0; j < n; ++j) sum += (x[j] - 0.25) * (x[j] - 0.25);
    return sum;
  }
};

struct rosenbrock {
  std::size_t n;
  double operator()(const double* x) const {
    double sum = 0.0;
    for (std::size_t j = 0; j + 1 < n; ++j) {
      sum += 100.0 * (x[j + 1] - x[j] * x[j]) * (x[j + 1] - x[j] * x[j]) + (1.0 - x[j]) * (1.0 - x[j]);
    }
    return sum;
  }
};

// Σ 10^(6k/(n−1)) (h_k·x)², the axes h_k those of the reflection I − 2vvᵀ/vᵀv, v = (1, 2, …, n): condition 1e6.
struct rotated_ellipsoid {
  std::size_t n;
  double operator()(const double* x) const {
    double along = 0.0, square = 0.0, sum = 0.0;
    for (std::size_t j = 0; j < n; ++j) {
      const auto v = static_cast<double>(j + 1);
      along += v * x[j];
      square += v * v;
    }
    for (std::size_t j = 0; j < n; ++j) {
      const double h = x[j] - 2.0 * along / square * static_cast<double>(j + 1);
      sum += std::pow(1e6, static_cast<double>(j) / static_cast<double>(n - 1)) * h * h;
    }
    return sum;
  }
};

struct rastrigin {
  std::size_t n;
  double operator()(const double* x) const {
    double sum = 10.0 * static_cast<double>(n);
    for (std::size_t j = 0; j < n; ++j) sum += x[j] * x[j] - 10.0 * std::cos(2.0 * pi * x[j]);
    return sum;
  }
};

// Decay, y = 3 exp(−0.7 t) + 0.5 with disturbances: no parameters fit it exactly.
rafter::array_residuals decay() {
  return {20, 3, [](const double* x, double* r) {
            for (std::size_t i = 0; i < 20; ++i) {
              const double t = 0.25 * static_cast<double>(i);
              const double y = 3.0 * std::exp(-0.7 * t) + 0.5 + 0.02 * std::sin(17.0 * static_cast<double>(i));
              r[i] = x[0] * std::exp(-x[1] * t) + x[2] - y;
            }
          }};
}

TEST(CmaEs, FindsTheCentreOfASphere) {
  for (const std::size_t n : {1u, 2u, 10u}) {
    const auto fit = cma_es{}.minimize(sphere{n}, std::vector<double>(n, 2.0));
    EXPECT_TRUE(fit.converged()) << n;
    for (const double x : fit.parameters) EXPECT_NEAR(x, 0.25, 1e-9) << n;
  }
}

TEST(CmaEs, FollowsACurvedValley) {
  for (const std::size_t n : {2u, 4u, 8u}) {
    const auto fit = cma_es{}.minimize(rosenbrock{n}, std::vector<double>(n, 0.0));
    EXPECT_TRUE(fit.converged()) << n;
    for (const double x : fit.parameters) EXPECT_NEAR(x, 1.0, 1e-8) << n;
  }
}

// A search that does not learn the correlations needs about as many evaluations as the condition number.
TEST(CmaEs, LearnsTheAxesOfARotatedEllipsoid) {
  const auto fit = cma_es{}.minimize(rotated_ellipsoid{6}, std::vector<double>(6, 1.0));
  EXPECT_TRUE(fit.converged());
  EXPECT_LT(fit.cost, 1e-15);
  EXPECT_LT(fit.evaluations, 10000u);
}

// Only the order of the costs matters.
TEST(CmaEs, AMonotoneFunctionOfTheCostChangesNothing) {
  const sphere f{3};
  const cma_es method{.cost_tolerance = 0.0, .max_evaluations = 600};
  const auto plain = method.minimize(f, {1.0, 2.0, -1.0});
  const auto bent = method.minimize([&](const double* x) { return 4.0 * f(x) - 1000.0; }, {1.0, 2.0, -1.0});
  EXPECT_NEAR(plain.parameters[1], bent.parameters[1], 1e-5);
  const auto scaled = method.minimize([&](const double* x) { return 4.0 * f(x); }, {1.0, 2.0, -1.0});
  EXPECT_EQ(plain.parameters, scaled.parameters);
}

TEST(CmaEs, RestartsWithGrowingPopulationsLeaveLocalMinima) {
  const std::vector<double> start(5, 3.0);
  const rafter::parameter_bounds bounds{std::vector<double>(5, -5.12), std::vector<double>(5, 5.12)};
  const auto single = cma_es{}.minimize(rastrigin{5}, start, bounds);
  const auto several = cma_es{.restarts = 5}.minimize(rastrigin{5}, start, bounds);
  EXPECT_GT(single.cost, 0.9);
  EXPECT_LT(several.cost, 1e-9);
  EXPECT_TRUE(several.converged());
  ASSERT_EQ(several.start_costs.size(), 6u);
  EXPECT_NEAR(several.start_costs[0], single.cost, 1e-9);
  for (const double x : several.parameters) EXPECT_NEAR(x, 0.0, 1e-6);
}

TEST(CmaEs, StaysWithinTheBoundsAndNamesTheActiveOnes) {
  const auto watched = [](const double* x) {
    EXPECT_LE(x[0], 0.8);
    EXPECT_GE(x[0], -1.0);
    EXPECT_LE(x[1], 2.0);
    EXPECT_GE(x[1], -1.5);
    return rosenbrock{2}(x);
  };
  const auto fit = cma_es{}.minimize(watched, {-0.9, 0.4}, {{-1.0, -1.5}, {0.8, 2.0}});
  EXPECT_TRUE(fit.converged());
  EXPECT_EQ(fit.parameters[0], 0.8);
  EXPECT_NEAR(fit.parameters[1], 0.64, 1e-6);
  EXPECT_EQ(fit.active_mask, (std::vector<int>{1, 0}));
}

TEST(CmaEs, EndsOnABoundOnOneSideAlone) {
  const auto fit = cma_es{}.minimize(sphere{2}, {3.0, -3.0}, {{1.0, -infinity}, {infinity, -2.0}});
  EXPECT_EQ(fit.parameters, (std::vector<double>{1.0, -2.0}));
  EXPECT_EQ(fit.active_mask, (std::vector<int>{-1, 1}));
}

TEST(CmaEs, AParameterOfManySizesIsDrawnByItsLogarithm) {
  const auto watched = [](const double* x) {
    EXPECT_GE(x[0], 1e-9);
    EXPECT_LE(x[0], 1e3);
    const double away = std::log(x[0] / 3e-6);
    return 1.0 + away * away;
  };
  const auto fit = cma_es{}.minimize(watched, {1.0}, {{1e-9}, {1e3}});
  EXPECT_NEAR(fit.parameters[0] / 3e-6, 1.0, 1e-5);
  const auto ends = cma_es{}.minimize([](const double* x) { return x[0]; }, {1.0}, {{1e-9}, {1e3}});
  EXPECT_EQ(ends.parameters[0], 1e-9);
}

TEST(CmaEs, AHeldParameterStays) {
  const auto fit = cma_es{}.minimize(rosenbrock{2}, {0.5, 2.0}, {{0.5, -9.0}, {0.5, 9.0}});
  EXPECT_EQ(fit.parameters[0], 0.5);
  EXPECT_NEAR(fit.parameters[1], 0.25, 1e-6);
  const auto none = cma_es{}.minimize(rosenbrock{2}, {0.5, 2.0}, {{0.5, 2.0}, {0.5, 2.0}});
  EXPECT_EQ(none.parameters, (std::vector<double>{0.5, 2.0}));
  EXPECT_EQ(none.evaluations, 1u);
  EXPECT_TRUE(none.converged());
}

// y = x < t ? a : b x without noise: the cost is a step function of t, and no derivative shows where to put it.
TEST(CmaEs, FindsAThresholdWhereDerivativesAreZero) {
  const rafter::array_residuals regimes(40, 3, [](const double* p, double* r) {
    for (std::size_t i = 0; i < 40; ++i) {
      const auto x = static_cast<double>(i);
      r[i] = (x < p[0] ? p[1] : p[2] * x) - (x < 16.5 ? 30.0 : 2.0 * x);
    }
  });
  const std::vector<double> start{30.0, 10.0, 0.5};
  const rafter::parameter_bounds bounds{{0.0, 0.0, 0.0}, {40.0, 100.0, 10.0}};
  const auto fit = cma_es{.restarts = 2}.minimize(regimes, start, bounds);
  EXPECT_TRUE(fit.converged());
  EXPECT_GT(fit.parameters[0], 16.0);
  EXPECT_LE(fit.parameters[0], 17.0);
  EXPECT_NEAR(fit.parameters[1], 30.0, 1e-6);
  EXPECT_NEAR(fit.parameters[2], 2.0, 1e-7);
  const auto smooth = rafter::trust_region{}.minimize(regimes, start, bounds);
  EXPECT_GT(smooth.parameters[0], 29.0);  // what this test is about
  EXPECT_GT(smooth.cost, 100.0);
}

TEST(CmaEs, AgreesWithTheTrustRegionOnASmoothProblem) {
  const std::vector<double> start{1.0, 0.2, 0.0};
  const auto one = cma_es{}.minimize(decay(), start);
  const auto other = rafter::trust_region{}.minimize(decay(), start);
  ASSERT_TRUE(one.converged() && other.converged());
  EXPECT_GT(other.cost, 1e-4);
  EXPECT_NEAR(one.cost, other.cost, 1e-10 * other.cost);
  for (std::size_t j = 0; j < 3; ++j) EXPECT_NEAR(one.parameters[j], other.parameters[j], 1e-6);
}

TEST(CmaEs, MinimisesTheRobustCostThatItIsGiven) {
  const rafter::array_residuals model(5, 1, [](const double* x, double* r) {
    for (std::size_t i = 0; i < 5; ++i) r[i] = x[0] - (i == 4 ? 100.0 : static_cast<double>(i));
  });
  const rafter::robust_loss cauchy{rafter::loss_kind::cauchy, 1.0};
  const auto fit = cma_es{.loss = cauchy}.minimize(model, {10.0});
  const auto other = rafter::trust_region{.loss = cauchy}.minimize(model, {1.0});
  EXPECT_NEAR(fit.parameters[0], other.parameters[0], 1e-5);
  EXPECT_LT(fit.parameters[0], 2.0);
}

TEST(CmaEs, TheSeedDecidesEveryBit) {
  const std::vector<double> start{1.0, 0.2, 0.0};
  const auto one = cma_es{.restarts = 1, .seed = 4}.minimize(decay(), start);
  const auto again = cma_es{.restarts = 1, .seed = 4}.minimize(decay(), start);
  const auto other = cma_es{.restarts = 1, .seed = 5}.minimize(decay(), start);
  EXPECT_EQ(one.parameters, again.parameters);
  EXPECT_EQ(one.cost, again.cost);
  EXPECT_EQ(one.evaluations, again.evaluations);
  EXPECT_NE(one.parameters, other.parameters);
}

TEST(CmaEs, AvoidsValuesThatAreNotFinite) {
  const auto walled = [](const double* x) { return x[0] - std::log(x[0]) + (x[1] < 2.0 ? NAN : x[1]); };
  const auto fit = cma_es{}.minimize(walled, {0.05, 2.5}, {{-10.0, -10.0}, {10.0, 10.0}});
  EXPECT_TRUE(fit.converged());
  EXPECT_NEAR(fit.parameters[0], 1.0, 1e-5);
  EXPECT_NEAR(fit.parameters[1], 2.0, 1e-5);
}

// The costs are finite on a thousandth of each range only: the first generation sees none.
TEST(CmaEs, FindsItsWayOnASmallIsland) {
  const auto island = [](const double* x) {
    const double away = std::hypot(x[0] - 0.3, x[1] + 0.2);
    return away < 1e-3 ? 1.0 + away * away : NAN;
  };
  const auto fit = cma_es{}.minimize(island, {0.3005, -0.2005}, {{-1.0, -1.0}, {1.0, 1.0}});
  EXPECT_TRUE(fit.converged());
  EXPECT_NEAR(fit.parameters[0], 0.3, 1e-6);
  EXPECT_NEAR(fit.parameters[1], -0.2, 1e-6);
}

TEST(CmaEs, EndsWhereNoiseHidesTheMinimum) {
  rafter::detail::seeded_numbers noise(11);
  const auto fit =
      cma_es{}.minimize([&](const double* x) { return 1.0 + sphere{3}(x) + 0.01 * noise.normal(); }, {2.0, 2.0, 2.0});
  EXPECT_EQ(fit.status, minimum_status::cost_settled);
  EXPECT_LT(fit.evaluations, 5000u);
  for (const double x : fit.parameters) EXPECT_NEAR(x, 0.25, 0.2);  // 0.04 of cost, four deviations of the noise
}

TEST(CmaEs, LeavesAPlateauThatIsWiderThanItsFirstSteps) {
  const auto stairs = [](const double* x) { return std::floor(std::abs(x[0])) + std::floor(std::abs(x[1])); };
  const auto fit = cma_es{.first_step = 1e-4}.minimize(stairs, {10.5, 10.5});
  EXPECT_TRUE(fit.converged());
  EXPECT_EQ(fit.cost, 0.0);
}

TEST(CmaEs, AConstantCostEndsAtOnceWithTheStart) {
  const auto fit = cma_es{}.minimize([](const double*) { return 7.0; }, {1.0, 2.0});
  EXPECT_EQ(fit.status, minimum_status::cost_settled);
  EXPECT_EQ(fit.parameters, (std::vector<double>{1.0, 2.0}));
  EXPECT_LT(fit.evaluations, 500u);
}

TEST(CmaEs, AParameterWithoutEffectDoesNotDisturbTheOthers) {
  const auto fit = cma_es{}.minimize([](const double* x) { return 1.0 + rosenbrock{2}(x); }, {0.0, 0.0, 0.5, 5.0},
                                     {{-infinity, -infinity, 0.0, -infinity}, {infinity, infinity, 1.0, infinity}});
  EXPECT_TRUE(fit.converged());
  EXPECT_NEAR(fit.parameters[0], 1.0, 1e-5);
  EXPECT_NEAR(fit.parameters[1], 1.0, 1e-5);
}

TEST(CmaEs, ACostWithoutAMinimumEndsAtTheLimit) {
  const auto fit =
      cma_es{.max_evaluations = 20000}.minimize([](const double* x) { return -x[0] - x[1]; }, {1.0, 1.0});
  EXPECT_EQ(fit.status, minimum_status::evaluation_limit);
  EXPECT_LT(fit.cost, -1e6);
  EXPECT_TRUE(std::isfinite(fit.cost));
}

TEST(CmaEs, NeverExceedsTheLimitNorTheStartsCost) {
  for (const std::size_t limit : {1u, 2u, 5u, 30u}) {
    std::vector<double> seen;
    const auto watched = [&](const double* x) {
      seen.push_back(rosenbrock{2}(x));
      return seen.back();
    };
    const auto fit = cma_es{.max_evaluations = limit, .restarts = 3}.minimize(watched, {0.9, 0.8});
    EXPECT_EQ(fit.status, minimum_status::evaluation_limit);
    EXPECT_EQ(fit.evaluations, limit);
    EXPECT_EQ(seen.size(), limit);
    EXPECT_LE(fit.cost, seen.front());
    EXPECT_EQ(fit.cost, *std::min_element(seen.begin(), seen.end()));
    EXPECT_NEAR(fit.cost, rosenbrock{2}(fit.parameters.data()), 1e-15);
  }
}

TEST(CmaEs, WithoutNegativeWeightsItConvergesToo) {
  const auto fit = cma_es{.active = false}.minimize(rosenbrock{4}, std::vector<double>(4, 0.0));
  EXPECT_TRUE(fit.converged());
  EXPECT_LT(fit.cost, 1e-15);
}

TEST(CmaEs, ANonFiniteStartIsAStatus) {
  const auto fit = cma_es{}.minimize([](const double*) { return NAN; }, {1.0});
  EXPECT_EQ(fit.status, minimum_status::non_finite_start);
  EXPECT_EQ(fit.parameters, (std::vector<double>{1.0}));
}

TEST(CmaEs, RefusesArgumentsThatMakeNoSense) {
  EXPECT_THROW(cma_es{}.minimize(rosenbrock{2}, {3.0, 0.0}, {{}, {2.0, 2.0}}), rafter::solver_error);
  EXPECT_THROW(cma_es{.population = 1}.minimize(rosenbrock{2}, {3.0, 0.0}), rafter::solver_error);
  EXPECT_THROW(cma_es{.first_step = 0.0}.minimize(rosenbrock{2}, {3.0, 0.0}), rafter::solver_error);
}

}  // namespace
