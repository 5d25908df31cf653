// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/statistics/bootstrap.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "../support/message.hpp"
#include "rafter/metrics/absolute_error.hpp"
#include "rafter/metrics/percentage_error.hpp"
#include "rafter/statistics/block_length.hpp"

namespace {

using namespace rafter;
using numbers = std::vector<double>;

numbers skewed(std::size_t size, std::uint64_t seed) {
  detail::seeded_numbers random(seed);
  numbers made(size);
  for (double& value : made) value = -std::log(1.0 - random.uniform());
  return made;
}

double mean_of_values(std::span<const double> values) { return accurate_mean(values); }

double quantile_of_values(std::span<const double> values, double q) {
  numbers sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  return quantile_of_sorted(sorted, q);
}

void expect_same(const resampled_statistic& one, const resampled_statistic& other, double tolerance) {
  EXPECT_NEAR(one.estimate, other.estimate, tolerance);
  ASSERT_EQ(one.values.size(), other.values.size());
  for (std::size_t b = 0; b < one.values.size(); ++b) ASSERT_NEAR(one.values[b], other.values[b], tolerance) << b;
  ASSERT_EQ(one.left_out.size(), other.left_out.size());
  for (std::size_t u = 0; u < one.left_out.size(); ++u)
    ASSERT_NEAR(one.left_out[u], other.left_out[u], tolerance) << u;
}

// Short cuts against the plain way: every row list gathered, every unit left out and the rest counted anew.
template <resampling Scheme> void check_short_cuts(const Scheme& scheme, const numbers& x) {
  const bootstrap_options options{.resamples = 40};
  expect_same(resample(scheme, mean_of(x), options), resample(scheme, statistic_of(x, mean_of_values), options),
              1e-14);
  for (const double q : {0.0, 0.25, 0.5, 0.9, 0.99, 1.0}) {
    const auto plain = statistic_of(x, [q](std::span<const double> v) { return quantile_of_values(v, q); });
    expect_same(resample(scheme, quantile_of(x, q), options), resample(scheme, plain, options), 1e-14);
  }
  const auto root = [](std::span<const double> means) { return std::sqrt(means[0]) / means[1]; };
  numbers squares = x;
  for (double& value : squares) value *= value;
  const auto of_rows = [&](std::span<const std::size_t> rows) {
    double square = 0.0;
    double sum = 0.0;
    for (const std::size_t row : rows) {
      square += x[row] * x[row];
      sum += x[row];
    }
    const auto n = static_cast<double>(rows.size());
    return std::sqrt(square / n) / (sum / n);
  };
  expect_same(resample(scheme, means_of({squares, x}, root), options), resample(scheme, of_rows, options), 1e-13);
}

TEST(Bootstrap, ShortCutsAreThePlainStatistics) {
  numbers x = skewed(37, 1);
  x[4] = x[5] = x[6];  // ties
  check_short_cuts(independent_rows(37), x);
  std::vector<std::size_t> groups;
  for (std::size_t i = 0; i < 37; ++i) groups.push_back(i * i % 5);
  check_short_cuts(grouped_rows(groups), x);
  check_short_cuts(blocked_rows(std::vector<std::size_t>{20, 1, 16}, 4.0), x);
}

TEST(Bootstrap, IsTheSameForTheSameSeedAndAnotherForAnother) {
  const numbers x = skewed(50, 2);
  const auto one = bootstrap(independent_rows(50), mean_of(x), {.resamples = 200, .seed = 5});
  const auto again = bootstrap(independent_rows(50), mean_of(x), {.resamples = 200, .seed = 5});
  const auto other = bootstrap(independent_rows(50), mean_of(x), {.resamples = 200, .seed = 6});
  EXPECT_EQ(one.lower, again.lower);
  EXPECT_EQ(one.upper, again.upper);
  EXPECT_NE(one.lower, other.lower);
  // More resamples begin with the same ones.
  const auto few = resample(independent_rows(50), mean_of(x), {.resamples = 10});
  const auto many = resample(independent_rows(50), mean_of(x), {.resamples = 20});
  for (std::size_t b = 0; b < 10; ++b) EXPECT_EQ(few.values[b], many.values[b]);
}

// The same draw written in Python 3.11.
TEST(Bootstrap, DrawsTheSameRowsEverywhere) {
  std::vector<std::size_t> rows;
  independent_rows(10).draw(1, 0, rows);
  EXPECT_EQ(rows, (std::vector<std::size_t>{0, 0, 3, 2, 4, 4, 6, 3, 3, 1}));
}

TEST(Bootstrap, StandardErrorIsThatOfTheMean) {
  const numbers x = skewed(200, 3);
  double square = 0.0;
  for (const double value : x) square += (value - accurate_mean(x)) * (value - accurate_mean(x));
  const auto made = bootstrap(independent_rows(200), mean_of(x), {.resamples = 2000});
  EXPECT_NEAR(made.standard_error, std::sqrt(square) / 200.0, 0.05 * std::sqrt(square) / 200.0);
  // Acceleration of a mean: skewness / (6 √n).
  double cube = 0.0;
  for (const double value : x) cube += std::pow(value - accurate_mean(x), 3.0);
  EXPECT_NEAR(made.acceleration, cube / (6.0 * std::pow(square, 1.5)), 1e-12);
}

// Means of exponential values: BCa is to cover the true mean in 90 of 100 samples, within three standard deviations of
// that count; and to miss on either side alike, where percentile ends too low.
TEST(Bootstrap, BcaCoversTheMeanOfASkewedSampleAsOftenAsItSays) {
  int bca = 0;
  int below = 0;
  int percentile_below = 0;
  const std::size_t n = 100;
  for (std::uint64_t sample = 0; sample < 500; ++sample) {
    const numbers x = skewed(n, 1000 + sample);
    const auto drawn = resample(independent_rows(n), mean_of(x), {.resamples = 500, .seed = sample});
    const auto corrected = interval_of(drawn, bootstrap_method::bca, 0.9);
    bca += corrected.lower <= 1.0 && 1.0 <= corrected.upper ? 1 : 0;
    below += corrected.upper < 1.0 ? 1 : 0;
    percentile_below += interval_of(drawn, bootstrap_method::percentile, 0.9).upper < 1.0 ? 1 : 0;
  }
  RecordProperty("covered", bca);
  RecordProperty("below", below);
  RecordProperty("percentile_below", percentile_below);
  EXPECT_NEAR(bca, 450, 20);
  EXPECT_LT(below, percentile_below);
}

// An AR(1) of coefficient 0.7: the mean's variance is (1 + 0.7)/(1 - 0.7) = 5.67 times that of independent rows.
TEST(Bootstrap, BlocksKnowThatNeighboursAreAlike) {
  double blocks = 0.0;
  double rows = 0.0;
  for (std::uint64_t sample = 0; sample < 10; ++sample) {
    detail::seeded_numbers random(40 + sample);
    numbers x(4000);
    double state = random.normal() / std::sqrt(1.0 - 0.49);
    for (double& value : x) value = state = 0.7 * state + random.normal();
    const bootstrap_options options{.resamples = 200, .seed = sample};
    const double length = automatic_block_length(x).stationary;
    blocks += std::pow(bootstrap(blocked_rows(x.size(), length), mean_of(x), options).standard_error, 2.0) / 10.0;
    rows += std::pow(bootstrap(independent_rows(x.size()), mean_of(x), options).standard_error, 2.0) / 10.0;
  }
  const double theory = 1.0 / (0.3 * 0.3) / 4000.0;  // (Σ of the weights)² · noise / n
  RecordProperty("of_theory", std::to_string(blocks / theory));
  EXPECT_NEAR(blocks / theory, 0.9, 0.2);  // cut blocks lose some of the covariance
  EXPECT_NEAR(rows / theory, 0.3 / 1.7, 0.03);
}

// Values that are alike within a group: the mean of 12 groups is as uncertain as 12 numbers.
TEST(Bootstrap, GroupsAreAsUncertainAsTheirNumber) {
  detail::seeded_numbers random(8);
  numbers x;
  numbers levels;
  std::vector<std::size_t> groups;
  for (std::size_t g = 0; g < 12; ++g) {
    levels.push_back(random.normal());
    for (int i = 0; i < 50; ++i) {
      x.push_back(levels.back());
      groups.push_back(g);
    }
  }
  const bootstrap_options options{.resamples = 2000};
  const auto grouped = bootstrap(grouped_rows(groups), mean_of(x), options);
  const auto of_levels = bootstrap(independent_rows(12), mean_of(levels), options);
  EXPECT_EQ(grouped.units, 12U);
  EXPECT_NEAR(grouped.standard_error, of_levels.standard_error, 0.06 * of_levels.standard_error);
  EXPECT_NEAR(grouped.acceleration, of_levels.acceleration, 1e-12);
}

TEST(Bootstrap, AStatisticWithoutAShortCutLeavesOutJoinedRows) {
  const numbers x = skewed(3000, 4);
  const auto exact = bootstrap(independent_rows(3000), mean_of(x), {.resamples = 50});
  const auto joined = bootstrap(independent_rows(3000), statistic_of(x, mean_of_values), {.resamples = 50});
  EXPECT_EQ(exact.left_out_units, 3000U);
  EXPECT_EQ(joined.left_out_units, 1000U);
  EXPECT_NEAR(joined.acceleration, exact.acceleration, 0.002);
  EXPECT_GT(exact.acceleration, 0.004);
}

TEST(Bootstrap, WhatSaysNothingHasNoLimits) {
  const auto none = bootstrap(independent_rows(0), mean_of(numbers{}));
  EXPECT_TRUE(std::isnan(none.estimate));
  const auto single = bootstrap(independent_rows(1), mean_of(numbers{3.0}));
  EXPECT_EQ(single.estimate, 3.0);
  EXPECT_TRUE(std::isnan(single.lower));
  EXPECT_TRUE(std::isnan(single.standard_error));
  const auto one_group = bootstrap(grouped_rows(std::vector<std::size_t>{4, 4}), mean_of(numbers{3.0, 5.0}));
  EXPECT_EQ(one_group.estimate, 4.0);
  EXPECT_TRUE(std::isnan(one_group.upper));
  EXPECT_TRUE(std::isnan(bootstrap(independent_rows(2), mean_of(numbers{3.0, NAN})).estimate));
  EXPECT_TRUE(std::isnan(bootstrap(independent_rows(2), quantile_of(numbers{3.0, NAN}, 0.5)).estimate));
  // 1/variance: some resamples of four rows are one row four times.
  const auto broken = bootstrap(independent_rows(4), statistic_of(numbers{1, 2, 3, 4}, [](std::span<const double> v) {
                                  double square = 0.0;
                                  for (const double value : v) square += std::pow(value - accurate_mean(v), 2.0);
                                  return 1.0 / square;
                                }));
  EXPECT_GT(broken.undefined_resamples, 0U);
  EXPECT_TRUE(std::isnan(broken.lower));
}

TEST(Bootstrap, AConstantColumnIsAPoint) {
  const numbers x(7, 0.1);
  for (const bootstrap_method method :
       {bootstrap_method::percentile, bootstrap_method::basic, bootstrap_method::bca}) {
    const auto made = bootstrap(independent_rows(7), mean_of(x), {.method = method});
    EXPECT_EQ(made.lower, 0.1);
    EXPECT_EQ(made.upper, 0.1);
    EXPECT_EQ(made.standard_error, 0.0);
  }
}

TEST(Bootstrap, PairsOfPredictorsAreComparedOnTheSameRows) {
  detail::seeded_numbers random(12);
  numbers actual, first, second, first_loss, second_loss;
  for (int i = 0; i < 300; ++i) {
    actual.push_back(std::exp(random.normal()));
    const double shared = 0.3 * random.normal();
    first.push_back(actual.back() * std::exp(shared + 0.02 * random.normal()));
    second.push_back(actual.back() * std::exp(shared + 0.02 * random.normal() + 0.02));
    first_loss.push_back(std::fabs(first.back() - actual.back()) / actual.back());
    second_loss.push_back(std::fabs(second.back() - actual.back()) / actual.back());
  }
  const independent_rows scheme(300);
  const bootstrap_options options{.resamples = 300, .most_left_out = 300};
  const auto by_metric = paired_bootstrap<mape>(scheme, actual, first, second, options);
  const auto by_loss = paired_bootstrap(scheme, first_loss, second_loss, options);
  EXPECT_EQ(by_metric.first, mape::evaluate(actual, first));
  EXPECT_EQ(by_metric.second, mape::evaluate(actual, second));
  EXPECT_NEAR(by_metric.difference.estimate, by_metric.first - by_metric.second, 1e-15);
  EXPECT_NEAR(by_metric.difference.lower, by_loss.difference.lower, 1e-12);
  EXPECT_NEAR(by_metric.difference.upper, by_loss.difference.upper, 1e-12);
  EXPECT_EQ(by_metric.p, by_loss.p);
  // The error that both share does not widen the interval of the difference.
  const auto alone = bootstrap(scheme, mean_of(first_loss), options);
  EXPECT_LT(by_loss.difference.standard_error, 0.5 * alone.standard_error);

  const auto equal = paired_bootstrap<rmse>(scheme, actual, first, first, options);
  EXPECT_EQ(equal.p, 1.0);
  EXPECT_EQ(equal.share_below, 0.5);
  EXPECT_EQ(equal.difference.lower, 0.0);
}

TEST(Bootstrap, ADifferenceOnEveryFoldHasTheSmallestP) {
  const numbers first{0.10, 0.12, 0.11, 0.14, 0.13};
  const numbers second{0.20, 0.21, 0.23, 0.22, 0.25};
  const auto made = paired_bootstrap(independent_rows(5), first, second);
  EXPECT_DOUBLE_EQ(made.p, 2.0 / 1001.0);
  EXPECT_EQ(made.share_below, 1.0);
  EXPECT_LT(made.difference.upper, 0.0);
}

TEST(Bootstrap, ErrorsNameWhatIsWrong) {
  const numbers x{1, 2, 3};
  EXPECT_EQ(message_of([&] { bootstrap(independent_rows(2), mean_of(x)); }),
            "bootstrap: 2 values, 3 to pair them with");
  EXPECT_EQ(message_of([&] { bootstrap(independent_rows(3), mean_of(x), {.confidence = 1.0}); }),
            "bootstrap: a confidence of 1.000000 is not in (0, 1)");
  EXPECT_EQ(message_of([&] { paired_bootstrap(independent_rows(3), x, numbers{1.0}); }),
            "paired bootstrap: 3 values, 1 to pair them with");
  EXPECT_EQ(message_of([&] {
              means_of({x, numbers{1.0}}, mean_of_values);
            }),
            "bootstrap of means: 3 values, 1 to pair them with");
}

}  // namespace
