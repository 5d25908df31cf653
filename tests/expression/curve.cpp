// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string_view>
#include <tuple>
#include <vector>

#include "support/gradient_cases.hpp"

namespace {

using namespace tiny::gradients;
using tiny::same;
using tiny::state_step;

/// x/(1 + x), and how often it was asked.
struct saturating {
  static constexpr std::string_view name = "saturating";
  static inline int asked = 0;
  static double value(double x) {
    ++asked;
    return x / (1.0 + x);
  }
  static double slope(double x) { return 1.0 / ((1.0 + x) * (1.0 + x)); }
};
/// x², which the compiler can compute.
struct squared {
  static constexpr std::string_view name = "squared";
  static constexpr double value(double x) { return x * x; }
  static constexpr double slope(double x) { return 2.0 * x; }
};
/// Another function under a name that is taken.
struct also_squared {
  static constexpr std::string_view name = "squared";
  static double value(double x) { return -x * x; }
  static double slope(double x) { return -2.0 * x; }
};
struct without_slope {
  static constexpr std::string_view name = "without_slope";
  static constexpr double value(double x) { return x; }
};
static_assert(without_slope::value(1.0) == 1.0 && without_slope::name.size() == 13);
static_assert(curve_table<saturating> && curve_table<squared> && !curve_table<without_slope>);

constexpr auto busy_curve = curve<saturating>(busy);
static_assert(dimension_of<busy_curve> == units::none);
static_assert(level_of<busy_curve> == level::step && level_of<curve<saturating>(layers)> == level::deployment);
static_assert(linear_in_parameters<decltype(a * busy_curve)>);
static_assert(!linear_in_parameters<decltype(curve<saturating>(a * busy))>);

template <expression E> double value_of(E e, const state_step& step) { return tiny::value(e, step, engines[0]); }

TEST(Curve, IsTheFunctionOfTheArgument) {
  const state_step step{{request::decoding(9), request::decoding(4)}, 0.25, 3.0};
  EXPECT_EQ(value_of(busy_curve, step), 0.25 / 1.25);
  EXPECT_EQ(value_of(curve<squared>(busy + 1_c), step), 1.5625);
  EXPECT_EQ(value_of(curve<squared>(layers), step), 4.0);      // computed when the deployment is bound
  EXPECT_EQ(value_of(curve<squared>(3_c) + 1_c, step), 10.0);  // of a constant
  EXPECT_EQ(value_of(sum(curve<squared>(context)), step), 81.0 + 16.0);
  EXPECT_EQ(value_of(curve<squared>(curve<saturating>(busy)), step), 0.2 * 0.2);
}

TEST(Curve, WhatTheCompilerCanComputeIsAConstant) {
  struct nothing {
  } constexpr step{};
  using binding = rafter::detail::record_binding<static_deployment<tiny::dense, tiny::memory_bound>, nothing>;
  using run = rafter::detail::executor<plan<binding, decltype(curve<squared>(layers))>>;
  constexpr double value = [&] {
    typename run::slot_array slots{};
    run::bind(slots.data(), static_deployment<tiny::dense, tiny::memory_bound>{});
    double result = 0.0;
    run::step(slots.data(), step, [&](auto, double v) { result = v; });
    return result;
  }();
  static_assert(value == 4.0);
}

TEST(Curve, EqualUsesAreOneInstruction) {
  using twice = plan<as_written, decltype(curve<saturating>(busy + 1_c) * 2_c),
                     decltype(curve<saturating>(1_c + busy) + running)>;
  int curves = 0;
  for (const instruction& one : twice::tape.code) curves += one.op == operation::curve;
  EXPECT_EQ(curves, 1);
  EXPECT_EQ(twice::tape.curves.size(), 1U);

  const state_step step{{}, 0.5, 0.0};
  saturating::asked = 0;
  value_of(busy_curve + square(busy_curve) + running, step);
  EXPECT_EQ(saturating::asked, 1);
}

TEST(Curve, DifferentTablesOfOneArgumentAreDifferent) {
  using both = plan<as_written, decltype(busy_curve), decltype(curve<squared>(busy))>;
  ASSERT_EQ(both::tape.curves.size(), 2U);
  EXPECT_EQ(both::tape.curves[0].name, "saturating");
  EXPECT_EQ(both::tape.curves[1].name, "squared");
  EXPECT_NE(both::tape.outputs[0], both::tape.outputs[1]);
  const state_step step{{}, 0.25, 0.0};
  EXPECT_EQ(value_of(busy_curve - curve<squared>(busy), step), 0.2 - 0.0625);
}

TEST(Curve, TwoTablesOfOneNameAreSeen) {
  rafter::detail::tape_builder<256, as_written::reader_type> builder;
  builder.curve_index<squared>();
  EXPECT_FALSE(builder.ambiguous_curve);
  builder.curve_index<also_squared>();
  EXPECT_TRUE(builder.ambiguous_curve);
}

TEST(Curve, IsPrintedAsAFunctionOfItsName) {
  EXPECT_EQ(formula(2_c * curve<saturating>(busy + running)), "2*saturating(kv_usage_ratio + queue_running)");
}

TEST(Curve, ParametersInsideAreRewritten) {
  constexpr auto model = curve<saturating>(a * busy) / b;
  EXPECT_EQ(formula(with_parameters_by<"_lo", "_hi">(busy < 0.5_c, model)),
            "saturating(select(kv_usage_ratio < 0.5, a_lo, a_hi)*kv_usage_ratio)/"
            "select(kv_usage_ratio < 0.5, b_lo, b_hi)");
  static_assert(parameter_count<with_held<"a", 2_c>(model)> == 1);
}

TEST(Curve, ABranchThatTheDeploymentNeverTakesIsNotCalled) {
  const state_step step{{}, 0.5, 0.0};
  saturating::asked = 0;
  EXPECT_EQ(value_of(select(layers > 100_c, busy_curve, busy), step), 0.5);
  EXPECT_EQ(saturating::asked, 0);
}

constexpr auto of_curves = std::tuple{
    same_as(curve<saturating>(a * busy + b) * c,
            []<class T>(T p, T q, T r, const seen& s) -> T { return (p * s.busy + q) / (1.0 + p * s.busy + q) * r; }),
    same_as(a* b / curve<squared>(c + busy),
            []<class T>(T p, T q, T r, const seen& s) -> T { return p * q / ((r + s.busy) * (r + s.busy)); }),
    same_as(curve<squared>(curve<saturating>(a / b)) * busy,  // one inside the other
            []<class T>(T p, T q, T, const seen& s) -> T {
              return p / q / (1.0 + p / q) * (p / q / (1.0 + p / q)) * s.busy;
            }),
    same_as(a* curve<saturating>(busy) + b * curve<saturating>(busy),  // of no parameter
            []<class T>(T p, T q, T, const seen& s) -> T {
              return p * (s.busy / (1.0 + s.busy)) + q * (s.busy / (1.0 + s.busy));
            }),
    same_as(curve<saturating>(a* layers) * busy,  // the same for all steps
            []<class T>(T p, T, T, const seen& s) -> T { return p * s.layers / (1.0 + p * s.layers) * s.busy; }),
    same_as(select(running > 0_c, curve<saturating>(a / running), b) * max(curve<squared>(c), b),
            []<class T>(T p, T q, T r, const seen& s) -> T {
              const T first = s.running > 0.0 ? T(p / s.running / (1.0 + p / s.running)) : q;
              return first * larger<T>(r * r, q);
            }),
    same_as(sum(fresh* for_each_request(curve<squared>(a))) + mean(curve<saturating>(context * b)) * c,
            []<class T>(T p, T q, T r, const seen& s) -> T {
              return s.sum([&](const request& one) -> T { return one.new_tokens * p * p; }) +
                     s.mean([&](const request& one) -> T {
                       return one.context_tokens * q / (1.0 + one.context_tokens * q);
                     }) * r;
            }),
};
using check_curves = checks<decltype(of_curves)>;

TEST(Curve, DerivativesAreThoseOfAutomaticDifferentiation) { check_curves::expect_automatic(of_curves); }
TEST(Curve, DerivativesAreCentralDifferences) { check_curves::expect_central_differences(); }
TEST(Curve, DerivativesLeaveTheValuesAsTheyAre) { check_curves::expect_values_unchanged(); }
TEST(Curve, AStepAloneAndRowsInPacksGiveTheSameBits) { check_curves::expect_columns_are_steps(); }

TEST(Curve, EachLaneOfAPackIsTheFunctionItself) {
  const double special[] = {0.0, -0.0, 1.0, 3.7, -1.0, 1e300, std::numeric_limits<double>::infinity(), -2.5};
  for (std::size_t first = 0; first < 8; first += pack_width) {
    const pack got = rafter::detail::on_each_lane(&saturating::value, load<pack>(special + first));
    for (std::size_t lane = 0; lane < pack_width && first + lane < 8; ++lane) {
      EXPECT_PRED2(same, saturating::value(special[first + lane]), got[lane]);
    }
  }
}

}  // namespace
