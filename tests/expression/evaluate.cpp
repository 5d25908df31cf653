// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/expression/evaluate.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "support/tiny.hpp"

namespace {

using namespace rafter;
using detail::accumulator;
using detail::apply;

constexpr double infinite = std::numeric_limits<double>::infinity();
const double nan = std::numeric_limits<double>::quiet_NaN();

template <operation Op, int Detail = 0> double scalar(double a, double b = 0.0, double c = 0.0) {
  return apply<Op, Detail, double>(a, b, c);
}

TEST(Apply, OperationsAreThoseOfTheLanguage) {
  using enum operation;
  EXPECT_EQ(scalar<negate>(2), -2.0);
  EXPECT_EQ(scalar<add>(2, 3), 5.0);
  EXPECT_EQ(scalar<subtract>(2, 3), -1.0);
  EXPECT_EQ(scalar<multiply>(2, 3), 6.0);
  EXPECT_EQ(scalar<divide>(3, 2), 1.5);
  EXPECT_EQ(scalar<divide>(3, 0), infinite);
  EXPECT_EQ(scalar<minimum>(2, 3), 2.0);
  EXPECT_EQ(scalar<maximum>(2, 3), 3.0);
  EXPECT_EQ((scalar<integer_power, 5>(2)), 32.0);
  EXPECT_EQ((scalar<integer_power, -2>(2)), 0.25);
  EXPECT_EQ(scalar<square_root>(9), 3.0);
  EXPECT_EQ(scalar<round_up>(2.25), 3.0);
  EXPECT_NEAR(scalar<exponential>(1), std::exp(1.0), 1e-15);
  EXPECT_NEAR(scalar<logarithm>(3), std::log(3.0), 1e-15);
  EXPECT_NEAR(scalar<logarithm_1p>(1e-9), std::log1p(1e-9), 1e-24);
}

TEST(Apply, ConditionsAreOneOrZero) {
  using enum operation;
  EXPECT_EQ(scalar<less>(1, 2), 1.0);
  EXPECT_EQ(scalar<less>(2, 2), 0.0);
  EXPECT_EQ(scalar<less_equal>(2, 2), 1.0);
  EXPECT_EQ(scalar<greater>(2, 2), 0.0);
  EXPECT_EQ(scalar<greater_equal>(2, 2), 1.0);
  EXPECT_EQ(scalar<equal>(0.0, -0.0), 1.0);
  EXPECT_EQ(scalar<not_equal>(nan, nan), 1.0);
  EXPECT_EQ(scalar<less>(nan, 1), 0.0);
  for (const double a : {0.0, 1.0}) {
    EXPECT_EQ(scalar<logical_not>(a), 1.0 - a);
    for (const double b : {0.0, 1.0}) {
      EXPECT_EQ(scalar<logical_and>(a, b), a != 0.0 && b != 0.0 ? 1.0 : 0.0);
      EXPECT_EQ(scalar<logical_or>(a, b), a != 0.0 || b != 0.0 ? 1.0 : 0.0);
    }
  }
}

TEST(Apply, ABranchNotTakenLeavesNoTrace) {
  using enum operation;
  EXPECT_EQ(scalar<select>(1, 5, nan), 5.0);
  EXPECT_EQ(scalar<select>(0, infinite, 6), 6.0);
  EXPECT_EQ(scalar<ratio>(1, 0, 7), 7.0);
  EXPECT_EQ(scalar<ratio>(0, 0, 7), 7.0);
  EXPECT_EQ(scalar<ratio>(1, -0.0, 7), 7.0);
  EXPECT_EQ(scalar<ratio>(1, 4, 7), 0.25);
}

template <operation Op, int Detail = 0> void expect_lanes_are_scalars() {
  std::mt19937_64 random(static_cast<std::uint64_t>(Op) + 1);
  std::normal_distribution<double> normal(0.0, 3.0);
  const double special[] = {0.0, -0.0, 1.0, infinite, -infinite, nan, 1e-310, 1e300};
  for (int i = 0; i < 400; ++i) {
    pack a{};
    pack b{};
    pack c{};
    for (std::size_t lane = 0; lane < pack_width; ++lane) {
      a[lane] = i % 4 == 0 ? special[random() % 8] : normal(random);
      b[lane] = i % 5 == 0 ? special[random() % 8] : normal(random);
      c[lane] = normal(random);
    }
    const pack got = apply<Op, Detail, pack>(a, b, c);
    for (std::size_t lane = 0; lane < pack_width; ++lane) {
      const double expected = apply<Op, Detail, double>(a[lane], b[lane], c[lane]);
      EXPECT_TRUE(std::bit_cast<std::uint64_t>(expected) == std::bit_cast<std::uint64_t>(double{got[lane]}) ||
                  (std::isnan(expected) && std::isnan(got[lane])))
          << static_cast<int>(Op) << ": " << a[lane] << " " << b[lane] << " " << c[lane] << " -> " << expected << " "
          << got[lane];
    }
  }
}

TEST(Apply, EachLaneOfAPackIsTheScalarBitForBit) {
  using enum operation;
  expect_lanes_are_scalars<negate>();
  expect_lanes_are_scalars<square_root>();
  expect_lanes_are_scalars<logarithm>();
  expect_lanes_are_scalars<logarithm_1p>();
  expect_lanes_are_scalars<exponential>();
  expect_lanes_are_scalars<round_up>();
  expect_lanes_are_scalars<integer_power, 3>();
  expect_lanes_are_scalars<integer_power, -2>();
  expect_lanes_are_scalars<add>();
  expect_lanes_are_scalars<subtract>();
  expect_lanes_are_scalars<multiply>();
  expect_lanes_are_scalars<divide>();
  expect_lanes_are_scalars<minimum>();
  expect_lanes_are_scalars<maximum>();
  expect_lanes_are_scalars<less>();
  expect_lanes_are_scalars<less_equal>();
  expect_lanes_are_scalars<greater>();
  expect_lanes_are_scalars<greater_equal>();
  expect_lanes_are_scalars<equal>();
  expect_lanes_are_scalars<not_equal>();
  expect_lanes_are_scalars<select>();
  expect_lanes_are_scalars<ratio>();
}

template <operation Op> double reduced(const std::vector<double>& values) {
  accumulator<Op> state;
  for (const double v : values) state.add(v);
  return state.result();
}

TEST(Accumulator, ReductionsOfAFewNumbers) {
  using enum operation;
  const std::vector<double> values{3, -1, 4, 2};
  EXPECT_EQ(reduced<reduce_sum>(values), 8.0);
  EXPECT_EQ(reduced<reduce_mean>(values), 2.0);
  EXPECT_EQ(reduced<reduce_minimum>(values), -1.0);
  EXPECT_EQ(reduced<reduce_maximum>(values), 4.0);
  EXPECT_EQ(reduced<reduce_count>(values), 4.0);
  EXPECT_DOUBLE_EQ(reduced<reduce_deviation>(values), std::sqrt((1.0 + 9.0 + 4.0 + 0.0) / 4.0));
  EXPECT_EQ(reduced<reduce_maximum>({-5, -7}), -5.0);  // not 0
}

TEST(Accumulator, NothingIsReducedToZero) {
  using enum operation;
  EXPECT_EQ(reduced<reduce_sum>({}), 0.0);
  EXPECT_EQ(reduced<reduce_mean>({}), 0.0);
  EXPECT_EQ(reduced<reduce_minimum>({}), 0.0);
  EXPECT_EQ(reduced<reduce_maximum>({}), 0.0);
  EXPECT_EQ(reduced<reduce_count>({}), 0.0);
  EXPECT_EQ(reduced<reduce_deviation>({}), 0.0);
}

TEST(Accumulator, EqualValuesDeviateByExactlyZeroAndLargeOnesDoNotCancel) {
  using enum operation;
  EXPECT_EQ(reduced<reduce_deviation>({0.1, 0.1, 0.1}), 0.0);
  EXPECT_EQ(reduced<reduce_deviation>({1e15 + 1, 1e15 + 3}), 1.0);
  EXPECT_EQ(reduced<reduce_deviation>({42}), 0.0);
}

TEST(Accumulator, TheDeviationIsThatOfTwoPasses) {
  std::mt19937_64 random(8);
  std::uniform_real_distribution<double> value(1.0, 1e5);
  for (int i = 0; i < 100; ++i) {
    std::vector<double> values(1 + random() % 300);
    double mean = 0.0;
    for (double& v : values) mean += v = value(random);
    mean /= static_cast<double>(values.size());
    double squares = 0.0;
    for (const double v : values) squares += (v - mean) * (v - mean);
    const double expected = std::sqrt(squares / static_cast<double>(values.size()));
    EXPECT_NEAR(reduced<operation::reduce_deviation>(values), expected, 1e-11 * mean);
  }
}

TEST(Executor, GivesEachReductionByItsInstruction) {
  using namespace rafter::literals;
  const tiny::step step{{request::prefilling(4, 2), request::decoding(9)}};
  using binding = detail::record_binding<static_deployment<tiny::dense, tiny::memory_bound>, tiny::step>;
  using two = plan<binding, decltype(max(context_tokens)), decltype(sum(new_tokens) / 2_c)>;
  using run = detail::executor<two>;
  typename run::slot_array slots{};
  run::bind(slots.data(), static_deployment<tiny::dense, tiny::memory_bound>{});
  int seen = 0;
  run::reductions(slots.data(), step, [&](auto index, double value) {
    ++seen;
    const instruction& one = two::tape.code[static_cast<std::size_t>(index())];
    EXPECT_EQ(value, one.op == operation::reduce_maximum ? 9.0 : 5.0);
  });
  EXPECT_EQ(seen, 2);
}

}  // namespace
