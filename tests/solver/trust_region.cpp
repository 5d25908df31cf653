// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/solver/trust_region.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "../support/message.hpp"
#include "rafter/solver/ordinary_least_squares.hpp"

namespace {

using rafter::array_residuals;
using rafter::jacobian_path;
using rafter::minimum_status;
using rafter::trust_region;

constexpr double infinity = std::numeric_limits<double>::infinity();

array_residuals rosenbrock() {
  return {2, 2, [](const double* x, double* r) { r[0] = 10.0 * (x[1] - x[0] * x[0]), r[1] = 1.0 - x[0]; },
          [](const double* x, double* j) { j[0] = -20.0 * x[0], j[1] = -1.0, j[2] = 10.0, j[3] = 0.0; }};
}

// A straight line through noisy points: r_i = b0 + b1 t_i − y_i, with `copies` further columns equal to t.
struct line {
  std::vector<double> t{1, 2, 3, 4, 5, 6, 7, 8}, y{2.1, 3.9, 6.2, 7.8, 10.1, 12.2, 13.8, 16.1};
  array_residuals model(std::size_t copies = 0) const {
    const std::size_t m = t.size();
    return {m, 2 + copies,
            [*this, m, copies](const double* x, double* r) {
              for (std::size_t i = 0; i < m; ++i) {
                r[i] = x[0] - y[i];
                for (std::size_t k = 0; k <= copies; ++k) r[i] += x[1 + k] * t[i];
              }
            },
            [*this, m, copies](const double*, double* j) {
              std::fill(j, j + m, 1.0);
              for (std::size_t k = 0; k <= copies; ++k) std::copy(t.begin(), t.end(), j + (1 + k) * m);
            }};
  }
};

TEST(TrustRegion, FindsAZeroResidual) {
  const auto fit = trust_region{}.minimize(rosenbrock(), {-1.2, 1.0});
  EXPECT_TRUE(fit.converged());
  EXPECT_NEAR(fit.parameters[0], 1.0, 1e-8);
  EXPECT_NEAR(fit.parameters[1], 1.0, 1e-8);
  EXPECT_EQ(fit.active_mask, (std::vector<int>{0, 0}));
}

// With x2 >= 1.5 the minimum is where the derivative of 100 (1.5 − x²)² + (1 − x)² vanishes.
TEST(TrustRegion, EndsOnTheBoundThatHoldsIt) {
  const auto fit = trust_region{}.minimize(rosenbrock(), {2.0, 2.0}, {{-infinity, 1.5}, {}});
  EXPECT_TRUE(fit.converged());
  EXPECT_EQ(fit.parameters[1], 1.5);
  EXPECT_EQ(fit.active_mask, (std::vector<int>{0, -1}));
  const double x = fit.parameters[0];
  EXPECT_NEAR(-400.0 * x * (1.5 - x * x) - 2.0 * (1.0 - x), 0.0, 1e-4);
  EXPECT_GT(fit.gradient[1], 0.0);
  EXPECT_EQ(fit.standard_errors[1], 0.0);
}

TEST(TrustRegion, NeverEvaluatesOutsideTheBounds) {
  std::size_t calls = 0;
  const array_residuals model(2, 2, [&](const double* x, double* r) {
    ++calls;
    r[0] = 10.0 * (x[1] - x[0] * x[0]);
    r[1] = 1.0 - x[0];
  });
  struct watched final : rafter::residual_model {
    const array_residuals& inner;
    explicit watched(const array_residuals& of) : inner(of) {}
    std::size_t rows() const override { return 2; }
    std::size_t parameters() const override { return 2; }
    void for_each_block(const double* at, block_visitor visit) const override {
      EXPECT_GE(at[0], -1.0);
      EXPECT_LE(at[0], 0.8);
      EXPECT_GE(at[1], -1.5);
      EXPECT_LE(at[1], 2.0);
      inner.for_each_block(at, visit);
    }
  };
  const auto fit = trust_region{}.minimize(watched(model), {-0.9, 0.4}, {{-1.0, -1.5}, {0.8, 2.0}});
  EXPECT_GT(calls, 0u);
  EXPECT_EQ(fit.parameters[0], 0.8);
  EXPECT_NEAR(fit.parameters[1], 0.64, 1e-8);
}

TEST(TrustRegion, AgreesWithLinearLeastSquares) {
  const line data;
  for (const auto path : {jacobian_path::gram, jacobian_path::rows}) {
    const auto fit = trust_region{.path = path}.minimize(data.model(), {0.0, 0.0});
    const rafter::array_design rows(data.t.size(), 1, data.t.data(), data.y.data());
    const auto reference = rafter::ordinary_least_squares{}.solve(rafter::normal_equations::of(rows), &rows);
    EXPECT_NEAR(fit.parameters[0], reference.intercept, 1e-9);
    EXPECT_NEAR(fit.parameters[1], reference.coefficients[0], 1e-10);
    EXPECT_NEAR(fit.standard_errors[0], reference.intercept_standard_error, 1e-9);
    EXPECT_NEAR(fit.standard_errors[1], reference.standard_errors[0], 1e-9);
    EXPECT_EQ(fit.rank, 2u);
    EXPECT_EQ(fit.degrees_of_freedom, 6.0);
    EXPECT_LE(fit.evaluations, 8u);
  }
}

TEST(TrustRegion, ReportsADeadParameterAndLeavesItAlone) {
  const array_residuals model(
      3, 2, [](const double* x, double* r) { r[0] = x[0] - 1.0, r[1] = 2.0 * x[0] - 1.9, r[2] = x[0] - 1.1; },
      [](const double*, double* j) { j[0] = 1.0, j[1] = 2.0, j[2] = 1.0, j[3] = j[4] = j[5] = 0.0; });
  for (const auto path : {jacobian_path::gram, jacobian_path::rows}) {
    const auto fit = trust_region{.path = path}.minimize(model, {5.0, 0.25}, {{0.0, 0.0}, {9.0, 1.0}});
    EXPECT_TRUE(fit.converged());
    EXPECT_EQ(fit.parameters[1], 0.25);
    EXPECT_EQ(fit.dead_parameters, std::vector<std::size_t>{1});
    EXPECT_EQ(fit.rank, 1u);
    EXPECT_EQ(fit.singular_values, (std::vector<double>{1.0, 0.0}));
    EXPECT_EQ(fit.standard_errors[1], infinity);
    EXPECT_TRUE(std::isfinite(fit.standard_errors[0]));
    EXPECT_NEAR(fit.parameters[0], (1.0 + 3.8 + 1.1) / 6.0, 1e-10);
  }
}

TEST(TrustRegion, ReportsCombinationsThatNothingDetermines) {
  const auto fit = trust_region{}.minimize(line{}.model(1), {0.0, 0.5, 0.1});
  EXPECT_TRUE(fit.converged());
  EXPECT_EQ(fit.rank, 2u);
  EXPECT_EQ(fit.dead_parameters.size(), 0u);
  EXPECT_LT(fit.singular_values[2], 1e-14);
  // The direction (0, 1, −1)/√2 in scaled parameters.
  EXPECT_NEAR(std::abs(fit.singular_directions[6]), 0.0, 1e-12);
  EXPECT_NEAR(fit.singular_directions[7], -fit.singular_directions[8], 1e-12);
  EXPECT_TRUE(std::isfinite(fit.standard_errors[0]));
  EXPECT_EQ(fit.standard_errors[1], infinity);
  EXPECT_EQ(fit.standard_errors[2], infinity);
  const auto alone = trust_region{}.minimize(line{}.model(), {0.0, 0.0});
  EXPECT_NEAR(fit.parameters[1] + fit.parameters[2], alone.parameters[1], 1e-10);
  EXPECT_NEAR(fit.standard_errors[0], alone.standard_errors[0], 1e-10);
}

TEST(TrustRegion, SumsThatCannotTellSaySo) {
  const auto fit = trust_region{.path = jacobian_path::gram}.minimize(line{}.model(1), {0.0, 0.5, 0.1});
  EXPECT_EQ(fit.status, minimum_status::ill_conditioned);
}

TEST(TrustRegion, EqualBoundsHoldAParameter) {
  const auto fit = trust_region{}.minimize(line{}.model(), {0.5, 1.0}, {{0.5, -infinity}, {0.5, infinity}});
  EXPECT_TRUE(fit.converged());
  EXPECT_EQ(fit.parameters[0], 0.5);
  EXPECT_EQ(fit.active_mask, (std::vector<int>{-1, 0}));
  double tt = 0.0, ty = 0.0;
  const line data;
  for (std::size_t i = 0; i < data.t.size(); ++i) {
    tt += data.t[i] * data.t[i];
    ty += data.t[i] * (data.y[i] - 0.5);
  }
  EXPECT_NEAR(fit.parameters[1], ty / tt, 1e-10);
}

TEST(TrustRegion, ARobustLossIgnoresAnOutlier) {
  line data;
  data.y[7] = 100.0;
  const auto plain = trust_region{}.minimize(data.model(), {0.0, 0.0});
  const auto robust = trust_region{.loss = {rafter::loss_kind::cauchy, 0.2}}.minimize(data.model(), {0.0, 0.0});
  EXPECT_GT(plain.parameters[1], 5.0);
  EXPECT_TRUE(robust.converged());
  EXPECT_NEAR(robust.parameters[1], 2.0, 0.05);
}

TEST(TrustRegion, UnitsOfTheParametersDoNotMatter) {
  const auto fit = [](double unit) {
    const array_residuals model(
        2, 2,
        [=](const double* x, double* r) {
          r[0] = 10.0 * (x[1] - x[0] * x[0] * unit * unit), r[1] = 1.0 - x[0] * unit;
        },
        [=](const double* x, double* j) {
          j[0] = -20.0 * x[0] * unit * unit, j[1] = -unit, j[2] = 10.0, j[3] = 0.0;
        });
    return trust_region{}.minimize(model, {-1.2 / unit, 1.0});
  };
  const auto small = fit(0x1p-30), one = fit(1.0);
  EXPECT_EQ(small.evaluations, one.evaluations);
  EXPECT_EQ(small.parameters[0] * 0x1p-30, one.parameters[0]);
}

TEST(TrustRegion, StopsAtTheLimitAndSaysSo) {
  const auto fit = trust_region{.max_evaluations = 5}.minimize(rosenbrock(), {-1.2, 1.0});
  EXPECT_EQ(fit.status, minimum_status::evaluation_limit);
  EXPECT_FALSE(fit.converged());
  EXPECT_EQ(fit.evaluations, 5u);
  EXPECT_LT(fit.cost, 12.1);
}

TEST(TrustRegion, ANonFiniteStartIsAStatus) {
  const array_residuals model(1, 1, [](const double* x, double* r) { r[0] = std::log(x[0]); });
  const auto fit = trust_region{}.minimize(model, {-1.0});
  EXPECT_EQ(fit.status, minimum_status::non_finite_start);
  EXPECT_EQ(fit.parameters, std::vector<double>{-1.0});
}

TEST(TrustRegion, TurnsBackFromWhereTheModelIsNotFinite) {
  const array_residuals model(
      1, 1, [](const double* x, double* r) { r[0] = std::log(x[0]) + 3.0; },
      [](const double* x, double* j) { j[0] = 1.0 / x[0]; });
  const auto fit = trust_region{}.minimize(model, {20.0});
  EXPECT_TRUE(fit.converged());
  EXPECT_NEAR(fit.parameters[0], std::exp(-3.0), 1e-12);
}

TEST(TrustRegion, NoParametersIsAlreadyDone) {
  const array_residuals model(
      1, 0, [](const double*, double* r) { r[0] = 2.0; }, [](const double*, double*) {});
  const auto fit = trust_region{}.minimize(model, {});
  EXPECT_TRUE(fit.converged());
  EXPECT_EQ(fit.cost, 2.0);
}

TEST(TrustRegion, RefusesArgumentsThatMakeNoSense) {
  const auto model = rosenbrock();
  const trust_region method;
  EXPECT_NE(message_of([&] {
              method.minimize(model, {3.0, 0.0}, {{}, {2.0, 2.0}});
            }).find("parameter 0 starts at 3.000000, outside its bounds"),
            std::string::npos);
  EXPECT_THROW(method.minimize(model, {0.0}), rafter::solver_error);
  EXPECT_THROW(method.minimize(model, {0.0, 0.0}, {{0.0}, {}}), rafter::solver_error);
  EXPECT_THROW(method.minimize(model, {0.0, 0.0}, {{1.0, 0.0}, {0.0, 0.0}}), rafter::solver_error);
  EXPECT_THROW(method.minimize(model, {0.0, NAN}), rafter::solver_error);
  EXPECT_THROW((trust_region{.loss = {rafter::loss_kind::huber, 0.0}}.minimize(model, {0.0, 0.0})),
               rafter::solver_error);
  EXPECT_THROW((trust_region{.parameter_scale = {1.0, 0.0}}.minimize(model, {0.0, 0.0})), rafter::solver_error);
  EXPECT_THROW((trust_region{.cost_tolerance = -1.0}.minimize(model, {0.0, 0.0})), rafter::solver_error);
}

TEST(TrustRegion, SaysItsLoss) {
  EXPECT_EQ(trust_region{}.name(), "trust region");
  EXPECT_EQ((trust_region{.loss = {rafter::loss_kind::soft_l1, 0.1}}.name()), "trust region, soft L1 loss at 0.1");
}

}  // namespace
