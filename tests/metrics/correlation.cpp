// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/metrics/correlation.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <random>
#include <vector>

#include "../concepts/metric.hpp"

namespace {

using namespace rafter;

/// Kendall's tau-b by its definition, over all pairs.
double tau_of_all_pairs(const std::vector<double>& a, const std::vector<double>& p) {
  double balance = 0.0;
  double untied_a = 0.0;
  double untied_p = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const int da = (a[i] > a[j]) - (a[i] < a[j]);
      const int dp = (p[i] > p[j]) - (p[i] < p[j]);
      balance += da * dp;
      untied_a += da != 0;
      untied_p += dp != 0;
    }
  }
  return balance / std::sqrt(untied_a * untied_p);
}

TEST(Correlation, MetricsObeyTheAxioms) {
  check_metric<pearson>();
  check_metric<spearman>();
  check_metric<kendall_tau_b>();
}

TEST(Correlation, RanksShareTheAverageOfTies) {
  EXPECT_EQ(average_ranks(std::array<double, 6>{5, 1, 5, 9, 5, 1}), (std::vector<double>{4, 1.5, 4, 6, 4, 1.5}));
  EXPECT_TRUE(average_ranks({}).empty());
}

TEST(Correlation, KendallEqualsItsDefinitionWithManyTies) {
  std::mt19937_64 random(31);
  for (std::size_t rows = 2; rows < 70; ++rows) {
    std::vector<double> a;
    std::vector<double> p;
    for (std::size_t i = 0; i < rows; ++i) {
      a.push_back(static_cast<double>(random() % 7));
      p.push_back(a.back() + static_cast<double>(random() % 5));
    }
    const double expected = tau_of_all_pairs(a, p);
    if (std::isnan(expected)) continue;
    EXPECT_NEAR(kendall_tau_b::evaluate(a, p), expected, 1e-14) << rows;
  }
}

TEST(Correlation, RankCorrelationsIgnoreAMonotoneTransformation) {
  auto [a, p] = any_predictions(150, 2);
  const double rho = spearman::evaluate(a, p);
  const double tau = kendall_tau_b::evaluate(a, p);
  for (double& value : p) value = std::exp(value / 10.0);
  EXPECT_EQ(spearman::evaluate(a, p), rho);
  EXPECT_EQ(kendall_tau_b::evaluate(a, p), tau);
}

TEST(Correlation, ReversedOrderIsMinusOne) {
  const std::array<double, 4> up = {1, 2, 3, 5};
  const std::array<double, 4> down = {-1, -2, -3, -5};
  EXPECT_DOUBLE_EQ(pearson::evaluate(up, down), -1.0);
  EXPECT_DOUBLE_EQ(spearman::evaluate(up, down), -1.0);
  EXPECT_DOUBLE_EQ(kendall_tau_b::evaluate(up, down), -1.0);
}

TEST(Correlation, WithAConstantIsUndefined) {
  const std::array<double, 3> constant = {2, 2, 2};
  const std::array<double, 3> other = {1, 2, 3};
  for (const double value : {pearson::evaluate(constant, other), spearman::evaluate(other, constant),
                             kendall_tau_b::evaluate(constant, other), kendall_tau_b::evaluate(other, constant)}) {
    EXPECT_TRUE(std::isnan(value));
  }
}

TEST(Pearson, IsUndefinedForAConstantWhoseMeanIsRounded) {
  const std::vector<double> actual{1.0, 2.0, 4.0, 8.0, 16.0, 32.0};
  // The sum of six times this number rounds, and so does its mean.
  for (const double constant : {0.1, 0.0123456789012345678, 1.0 / 3.0, 9.87654321e-3}) {
    const std::vector<double> predicted(actual.size(), constant);
    EXPECT_TRUE(std::isnan(rafter::pearson::evaluate(actual, predicted))) << constant;
    EXPECT_TRUE(std::isnan(rafter::pearson::evaluate(predicted, actual))) << constant;
  }
  for (std::size_t rows = 2; rows < 500; ++rows) {
    std::vector<double> times(rows);
    for (std::size_t i = 0; i < rows; ++i) times[i] = static_cast<double>(i);
    EXPECT_TRUE(std::isnan(rafter::pearson::evaluate(times, std::vector<double>(rows, 0.0071239 / 3.0)))) << rows;
  }
}

}  // namespace
