// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/statistics/distribution_tests.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "../support/message.hpp"

namespace {

using namespace rafter;

double largest_gap(const std::vector<double>& a, const std::vector<double>& b) {
  double gap = 0.0;
  for (const auto& points : {a, b}) {
    for (const double at : points) {
      const auto share = [at](const std::vector<double>& of) {
        return static_cast<double>(std::count_if(of.begin(), of.end(), [at](double x) { return x <= at; })) /
               static_cast<double>(of.size());
      };
      gap = std::max(gap, std::fabs(share(a) - share(b)));
    }
  }
  return gap;
}

TEST(DistributionTests, TwoSamplesAreTheEnumerationOfAllWaysToMixThem) {
  for (const auto& [n, m] : std::vector<std::pair<int, int>>{{1, 1}, {3, 5}, {5, 5}, {4, 7}, {6, 3}}) {
    std::vector<std::vector<double>> firsts;
    std::vector<std::vector<double>> seconds;
    for (unsigned choice = 0; choice < (1U << (n + m)); ++choice) {
      std::vector<double> a;
      std::vector<double> b;
      for (int i = 0; i < n + m; ++i) ((choice >> i & 1U) != 0 ? a : b).push_back(i);
      if (a.size() != static_cast<std::size_t>(n)) continue;
      firsts.push_back(a);
      seconds.push_back(b);
    }
    std::vector<double> gaps;
    for (std::size_t k = 0; k < firsts.size(); ++k) gaps.push_back(largest_gap(firsts[k], seconds[k]));
    for (std::size_t k = 0; k < firsts.size(); k += 7) {
      const auto as_large = std::count_if(gaps.begin(), gaps.end(), [&](double g) { return g > gaps[k] - 1e-9; });
      const auto test = kolmogorov_smirnov(firsts[k], seconds[k]);
      EXPECT_TRUE(test.exact);
      EXPECT_NEAR(test.distance, gaps[k], 1e-15);
      EXPECT_NEAR(test.p, static_cast<double>(as_large) / static_cast<double>(gaps.size()), 1e-13) << n << ' ' << m;
    }
  }
}

// Massey 1951: the 5 % points of D for n = 10 and n = 20 are 0.410 and 0.294 (rounded).
TEST(DistributionTests, OneSampleHasTheFivePercentPointsOfThePublishedTable) {
  EXPECT_NEAR(detail::distance_above(10, 0.40925), 0.05, 2e-5);
  EXPECT_NEAR(detail::distance_above(20, 0.29408), 0.05, 2e-5);
}

// Marsaglia, Tsang and Wang 2003: P(D_10 < 0.274) = 0.6284796154565043.
TEST(DistributionTests, OneSampleHasTheValueThatItsAuthorsPrint) {
  EXPECT_NEAR(1.0 - detail::distance_above(10, 0.274), 0.6284796154565043, 1e-14);
}

TEST(DistributionTests, TheTailJoinsTheMatrixPower) {
  for (const std::size_t n : {5U, 21U, 100U, 400U}) {
    const double d = std::sqrt(4.0 / static_cast<double>(n));
    if (d >= 1.0) continue;
    const double tail = 2.0 * detail::one_sided_distance_above(n, d);
    EXPECT_NEAR(tail, 1.0 - detail::distance_below(n, d), 1e-10 * tail + 2e-13) << n;
  }
  // One value: |u - 1/2| + 1/2 >= d.
  EXPECT_NEAR(detail::distance_above(1, 0.7), 2.0 * 0.3, 1e-15);
  EXPECT_EQ(detail::distance_above(7, 1.0), 0.0);
  EXPECT_EQ(detail::distance_above(7, 1.0 / 14.0), 1.0);
}

// What the series leaves out is of order n^-1.5: a wrong term would shrink more slowly.
TEST(DistributionTests, TheSeriesOfManyValuesNearsTheMatrixPowerAsItsNextTermDoes) {
  std::vector<double> worst;
  for (const std::size_t n : {250U, 1000U}) {
    worst.push_back(0.0);
    for (const double z : {0.4, 0.6, 0.85, 1.2, 1.6, 1.95}) {
      const double d = z / std::sqrt(static_cast<double>(n));
      const double error = std::fabs(detail::distance_below_by_series(n, d) - detail::distance_below(n, d));
      worst.back() = std::max(worst.back(), error);
    }
  }
  EXPECT_NEAR(worst[0] / worst[1], 8.0, 0.5);
  EXPECT_LT(worst[1] / std::pow(2.0, 1.5), 1e-6);  // at n = 2000, from where on it is used
}

TEST(DistributionTests, BothFormsOfTheLimitAreOneFunction) {
  for (const double z : {0.9, 0.99999, 1.0, 1.00001}) {
    double sum = 0.0;
    for (int k = 1; k < 40; ++k) sum += (k % 2 == 1 ? 2.0 : -2.0) * std::exp(-2.0 * k * k * z * z);
    EXPECT_NEAR(detail::limiting_distance_above(z), sum, 1e-15) << z;
  }
  EXPECT_NEAR(detail::limiting_distance_above(1.3581), 0.05, 1e-5);  // Smirnov 1948
}

TEST(DistributionTests, KendallIsTheEnumerationOfAllOrders) {
  for (int n = 2; n <= 7; ++n) {
    std::vector<double> x(static_cast<std::size_t>(n));
    std::iota(x.begin(), x.end(), 0.0);
    std::vector<std::vector<double>> orders;
    std::vector<double> taus;
    std::vector<double> y = x;
    do {
      orders.push_back(y);
      taus.push_back(kendall_tau_b::evaluate(x, y));
    } while (std::next_permutation(y.begin(), y.end()));
    for (std::size_t k = 0; k < orders.size(); k += 1 + orders.size() / 30) {
      const auto as_large =
          std::count_if(taus.begin(), taus.end(), [&](double t) { return std::fabs(t) > std::fabs(taus[k]) - 1e-9; });
      const auto test = kendall_test(x, orders[k]);
      EXPECT_TRUE(test.exact);
      EXPECT_NEAR(test.p, static_cast<double>(as_large) / static_cast<double>(taus.size()), 1e-13) << n;
    }
  }
}

// The variance of the balance over all orders of tied columns, by enumeration.
TEST(DistributionTests, TheVarianceOfKendallWithTiesIsThatOfAllOrders) {
  const std::vector<double> x{1, 1, 2, 3, 3, 3, 4};
  std::vector<double> y{1, 2, 2, 2, 3, 4, 4};
  std::vector<std::size_t> order(y.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto balance = [&](const std::vector<double>& b) {
    double sum = 0.0;
    for (std::size_t i = 0; i < b.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) sum += ((x[i] > x[j]) - (x[i] < x[j])) * ((b[i] > b[j]) - (b[i] < b[j]));
    }
    return sum;
  };
  double squares = 0.0;
  double orders = 0.0;
  do {
    std::vector<double> b;
    for (const std::size_t i : order) b.push_back(y[i]);
    squares += balance(b) * balance(b);
    ++orders;
  } while (std::next_permutation(order.begin(), order.end()));
  const double z = balance(y) / std::sqrt(squares / orders);
  const auto test = kendall_test(x, y);
  EXPECT_FALSE(test.exact);
  EXPECT_NEAR(test.p, 2.0 * detail::normal_above(std::fabs(z)), 1e-12);
}

TEST(DistributionTests, ACorrelationOfOneHasNoChance) {
  const std::vector<double> x{1, 2, 3, 4};
  EXPECT_LT(pearson_test(x, x).p, 1e-15);  // r is rounded
  EXPECT_LT(spearman_test(x, x).p, 1e-15);
  EXPECT_EQ(detail::correlation_by_t(-1.0, 4).p, 0.0);
  EXPECT_NEAR(kendall_test(x, x).p, 2.0 / 24.0, 1e-15);
  // Four points with r = 0.5: t = 0.8165 of two degrees, p = 1/2 in closed form: 1 - r.
  EXPECT_NEAR(detail::correlation_by_t(0.5, 4).p, 0.5, 1e-14);
}

TEST(DistributionTests, WhatSaysNothingHasNoP) {
  const std::vector<double> none;
  const std::vector<double> two{1, 2};
  const std::vector<double> flat{1, 1, 1};
  const std::vector<double> rising{1, 2, 3};
  EXPECT_TRUE(std::isnan(kolmogorov_smirnov(none, two).p));
  EXPECT_TRUE(std::isnan(kolmogorov_smirnov(two, std::vector<double>{NAN}).p));
  EXPECT_TRUE(std::isnan(kolmogorov_smirnov(none, detail::normal_below).p));
  EXPECT_TRUE(std::isnan(pearson_test(two, two).p));
  EXPECT_TRUE(std::isnan(kendall_test(flat, rising).p));
  EXPECT_TRUE(std::isnan(spearman_test(flat, rising).p));
  EXPECT_EQ(kolmogorov_smirnov(two, two).p, 1.0);
  EXPECT_EQ(message_of([&] {
              kendall_test(std::vector<double>{1, 1, 2}, rising, p_value_method::exact);
            }),
            "Kendall's tau: no exact p value with 1 and 0 tied pairs");
}

}  // namespace
