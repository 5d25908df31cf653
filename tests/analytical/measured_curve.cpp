// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/analytical/measured_curve.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <random>
#include <string_view>
#include <vector>

#include "support/battery.hpp"
#include "support/message.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;

constexpr double infinite = std::numeric_limits<double>::infinity();
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

/// An MFU that rises with work, levels off and stays: made up.
const std::vector<curve_point> rising{{1e6, 0.01}, {1e7, 0.08}, {1e8, 0.3}, {1e9, 0.55}, {1e10, 0.7}, {1e11, 0.7}};

/// Seeded points of rising x; y rises too, or falls, or does neither.
std::vector<curve_point> drawn(std::uint64_t seed, int direction) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> up(0.0, 1.0);
  std::vector<curve_point> points;
  double x = -3.0, y = 0.0;
  for (int i = 0; i < 12; ++i) {
    x += 0.01 + 2.0 * up(random);
    const double change = up(random) < 0.2 ? 0.0 : up(random);  // level pieces too
    y += direction == 0 ? change - 0.5 : direction * change;
    points.push_back({x, y});
  }
  return points;
}

/// Fritsch and Butland's formula, written from the paper: weighted harmonic means of the neighbouring secants.
struct by_hand {
  std::vector<curve_point> p;
  double secant(std::size_t i) const { return (p[i + 1].y - p[i].y) / (p[i + 1].x - p[i].x); }
  double derivative(std::size_t i) const {
    if (i == 0) return secant(0);
    if (i + 1 == p.size()) return secant(i - 1);
    if (!(secant(i - 1) * secant(i) > 0.0)) return 0.0;
    const double before = p[i].x - p[i - 1].x, after = p[i + 1].x - p[i].x;
    const double alpha = (before + 2.0 * after) / (3.0 * (before + after));
    return secant(i - 1) * secant(i) / (alpha * secant(i) + (1.0 - alpha) * secant(i - 1));
  }
  double value(double x) const {
    std::size_t i = 0;
    while (i + 2 < p.size() && x > p[i + 1].x) ++i;
    const double h = p[i + 1].x - p[i].x, t = (x - p[i].x) / h;
    return (1 + 2 * t) * (1 - t) * (1 - t) * p[i].y + t * (1 - t) * (1 - t) * h * derivative(i) +
           t * t * (3 - 2 * t) * p[i + 1].y + t * t * (t - 1) * h * derivative(i + 1);
  }
};

TEST(MeasuredCurve, PassesThroughItsPoints) {
  const measured_curve curve(rising, {.by_logarithm = true});
  for (const curve_point& one : rising) EXPECT_NEAR(curve.value(one.x), one.y, 1e-15);
}

TEST(MeasuredCurve, IsTheCurveOfThePaper) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    for (const int direction : {-1, 0, 1}) {
      const by_hand expected{drawn(seed, direction)};
      const measured_curve curve(expected.p);
      const double first = expected.p.front().x, last = expected.p.back().x;
      for (int i = 0; i <= 200; ++i) {
        const double x = std::min(first + (last - first) * i / 200.0, last);
        EXPECT_NEAR(curve.value(x), expected.value(x), 1e-12) << seed << " at " << x;
      }
    }
  }
}

TEST(MeasuredCurve, IsBoostsCurveBitForBit) {
  const auto points = drawn(3, 0);
  std::vector<double> xs, ys;
  for (const curve_point& one : points) {
    xs.push_back(one.x);
    ys.push_back(one.y);
  }
  const measured_curve curve(points);
  const double first = xs.front(), last = xs.back();
  const boost::math::interpolators::pchip<std::vector<double>> boosts(std::move(xs), std::move(ys));
  for (int i = 0; i <= 500; ++i) {
    const double x = std::min(first + (last - first) * i / 500.0, last);
    EXPECT_EQ(curve.value(x), boosts(x));
    EXPECT_EQ(curve.slope(x), boosts.prime(x));
  }
}

TEST(MeasuredCurve, MonotoneDataStaysMonotone) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const auto points = drawn(seed, 1);
    const measured_curve curve(points);
    double before = points.front().y;
    for (int i = 1; i <= 2000; ++i) {
      const double x = points.front().x + (points.back().x - points.front().x) * i / 2001.0;
      const double value = curve.value(x);
      EXPECT_GE(value, before - 1e-14) << seed << " at " << x;
      EXPECT_GE(curve.slope(x), -1e-12);
      before = value;
    }
  }
}

TEST(MeasuredCurve, NeverLeavesTheRangeOfItsNeighbours) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const auto points = drawn(seed, 0);
    const measured_curve curve(points);
    for (std::size_t i = 0; i + 1 < points.size(); ++i) {
      const auto [low, high] = std::minmax(points[i].y, points[i + 1].y);
      for (int k = 1; k < 50; ++k) {
        const double value = curve.value(points[i].x + (points[i + 1].x - points[i].x) * k / 50.0);
        EXPECT_GE(value, low - 1e-14);
        EXPECT_LE(value, high + 1e-14);
      }
    }
  }
}

TEST(MeasuredCurve, ByLogarithmIsTheCurveOfTheLogarithms) {
  std::vector<curve_point> of_logarithms = rising;
  for (curve_point& one : of_logarithms) one.x = std::log(one.x);
  const measured_curve curve(rising, {.by_logarithm = true});
  const by_hand expected{of_logarithms};
  for (double x = 1.1e6; x < 1e11; x *= 1.37) EXPECT_NEAR(curve.value(x), expected.value(std::log(x)), 1e-13);
}

TEST(MeasuredCurve, TheSlopeIsTheDerivativeOfTheValue) {
  const measured_curve curve(
      rising, {.by_logarithm = true, .below = extrapolation::proportional, .above = extrapolation::hold});
  for (double x = 1.3e5; x < 1e12; x *= 1.61) {
    const double h = 1e-5 * x;
    const double difference = (curve.value(x + h) - curve.value(x - h)) / (2.0 * h);
    EXPECT_NEAR(curve.slope(x) * x, difference * x, 1e-8) << x;
  }
}

TEST(MeasuredCurve, BeyondThePointsNothingIsGuessedUnlessAskedFor) {
  const measured_curve curve(rising, {.by_logarithm = true});
  for (const double x : {-1.0, 0.0, 9.9e5, 1.01e11, infinite, -infinite, not_a_number}) {
    EXPECT_TRUE(std::isnan(curve.value(x))) << x;
    EXPECT_TRUE(std::isnan(curve.slope(x))) << x;
  }
  EXPECT_FALSE(std::isnan(curve.value(1e6)));
  EXPECT_FALSE(std::isnan(curve.slope(1e11)));
}

TEST(MeasuredCurve, HoldsTheLastValueWhereAskedTo) {
  const measured_curve curve(rising,
                             {.by_logarithm = true, .below = extrapolation::hold, .above = extrapolation::hold});
  for (const double x : {0.0, 1.0, 9e5}) {
    EXPECT_EQ(curve.value(x), 0.01);
    EXPECT_EQ(curve.slope(x), 0.0);
  }
  for (const double x : {2e11, 1e300, infinite}) EXPECT_EQ(curve.value(x), 0.7);
  EXPECT_TRUE(std::isnan(curve.value(not_a_number)));
  EXPECT_TRUE(std::isnan(curve.value(-1.0)));  // no logarithm
}

TEST(MeasuredCurve, InProportionToTheWorkTheTimeStays) {
  const measured_curve curve(rising, {.by_logarithm = true, .below = extrapolation::proportional});
  const double time = 1e6 / curve.value(1e6);  // work / (peak · MFU), peak 1
  for (const double x : {1.0, 123.0, 9e5}) EXPECT_NEAR(x / curve.value(x), time, 1e-12 * time);
  EXPECT_EQ(curve.value(0.0), 0.0);
  EXPECT_EQ(curve.slope(5.0), 0.01 / 1e6);
}

TEST(MeasuredCurve, PointsOfOneXBecomeTheirMedian) {
  const std::vector<curve_point> points{{3, 7}, {1, 1}, {2, 5}, {2, 100}, {2, 4}, {3, 9}, {4, 0}};
  const measured_curve curve(points);
  const std::vector<curve_point> expected{{1, 1}, {2, 5}, {3, 8}, {4, 0}};
  EXPECT_TRUE(std::equal(curve.points().begin(), curve.points().end(), expected.begin(), expected.end()));
  EXPECT_EQ(curve.value(2.0), 5.0);
}

TEST(MeasuredCurve, NumbersOfOneLogarithmAreOneX) {
  std::vector<curve_point> points = rising;
  points.push_back({std::nextafter(1e9, 2e9), 0.65});
  const measured_curve curve(points, {.by_logarithm = true});
  EXPECT_EQ(curve.points().size(), rising.size());
  EXPECT_NEAR(curve.value(1e9), 0.6, 1e-15);
}

TEST(MeasuredCurve, WhatNoCurveCanBeDrawnThroughIsRefused) {
  const auto refusal = [](std::vector<curve_point> points, measured_curve_options options) {
    options.name = "mfu";
    return message_of([&] { measured_curve(points, options); });
  };
  EXPECT_EQ(refusal({{1, 1}, {2, 1}, {2, 3}, {3, 1}}, {}),
            "mfu: a monotone cubic curve needs points at 4 or more different x, not 3");
  EXPECT_EQ(refusal({}, {}), "mfu: a monotone cubic curve needs points at 4 or more different x, not 0");
  EXPECT_EQ(refusal({{1, 1}, {2, not_a_number}, {3, 1}, {4, 1}}, {}),
            "mfu: point 2 is (2, nan), which is not finite");
  EXPECT_EQ(refusal({{1, 1}, {2, 1}, {infinite, 1}, {4, 1}}, {}), "mfu: point 3 is (inf, 1), which is not finite");
  EXPECT_EQ(refusal({{0, 0.5}, {2, 1}, {3, 1}, {4, 1}}, {.by_logarithm = true}),
            "mfu: point 1 is (0, 0.5), whose x has no logarithm");
  EXPECT_EQ(refusal({{0, 0.5}, {2, 1}, {3, 1}, {4, 1}}, {.below = extrapolation::proportional}),
            "mfu: no extrapolation in proportion to x from the point (0, 0.5), whose x is not positive");
  EXPECT_EQ(refusal({{0, 0.5}, {2, 1}, {3, 1}, {4, 1}}, {}), "no exception");
}

struct gemm_mfu : curve_of<gemm_mfu> {
  static constexpr std::string_view name = "gemm_mfu";
  static const measured_curve& measured() {
    static const measured_curve made(rising,
                                     {.name = "gemm_mfu", .by_logarithm = true, .above = extrapolation::hold});
    return made;
  }
};

TEST(MeasuredCurve, IsPartOfAFormula) {
  constexpr auto flops = with_unit<units::flop>(magnitude(scheduled_tokens) * 3e7_c);
  constexpr auto time = flops / (hardware::peak_flops * curve<gemm_mfu>(magnitude(flops)));
  static_assert(dimension_of<time> == units::second);
  EXPECT_EQ(formula(time),
            "(prefill_tokens + decode_tokens)*3e7/(peak_flops*gemm_mfu((prefill_tokens + decode_tokens)*3e7))");
  const tiny::step step{{request::prefilling(200), request::decoding(9)}};
  const double work = 201 * 3e7;
  const auto engine = deployment_of(static_deployment<tiny::dense, tiny::memory_bound>{});
  EXPECT_DOUBLE_EQ(tiny::value(time, step, engine), work / (100.0 * gemm_mfu::measured().value(work)));
}

}  // namespace
