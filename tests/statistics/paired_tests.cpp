// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/statistics/paired_tests.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "../support/message.hpp"
#include "rafter/core/random.hpp"

namespace {

using namespace rafter;

/// Rank sum of the positive ones of 1 … n, for each choice of signs.
std::vector<int> all_rank_sums(int n) {
  std::vector<int> sums;
  for (std::uint32_t signs = 0; signs < (1U << n); ++signs) {
    int sum = 0;
    for (int i = 0; i < n; ++i) sum += (signs >> i & 1U) != 0 ? i + 1 : 0;
    sums.push_back(sum);
  }
  return sums;
}

TEST(PairedTests, ExactSignedRanksAreTheEnumerationOfAllSigns) {
  for (int n = 1; n <= 12; ++n) {
    const std::vector<int> sums = all_rank_sums(n);
    for (std::uint32_t signs = 0; signs < (1U << n); signs += 1 + (1U << n) / 40) {
      std::vector<double> d;
      int observed = 0;
      for (int i = 0; i < n; ++i) {
        const bool positive = (signs >> i & 1U) != 0;
        d.push_back((positive ? 1.0 : -1.0) * (i + 1) * 0.37);
        observed += positive ? i + 1 : 0;
      }
      double less = 0.0;
      double greater = 0.0;
      for (const int sum : sums) {
        less += sum <= observed;
        greater += sum >= observed;
      }
      const auto all = static_cast<double>(sums.size());
      const auto p = [&](alternative against) { return wilcoxon_signed_rank(d, {.alternative = against}).p; };
      EXPECT_DOUBLE_EQ(p(alternative::less), less / all) << n;
      EXPECT_DOUBLE_EQ(p(alternative::greater), greater / all) << n;
      EXPECT_DOUBLE_EQ(p(alternative::two_sided), std::min(1.0, 2.0 * std::min(less, greater) / all)) << n;
    }
  }
}

TEST(PairedTests, TheSignedRankDistributionHasItsMomentsUpToSixtyRanks) {
  for (const std::size_t n : {20U, 50U, 60U}) {
    const std::vector<double> p = detail::signed_rank_distribution(n);
    double sum = 0.0;
    double mean = 0.0;
    double square = 0.0;
    const auto size = static_cast<double>(n);
    const double centre = size * (size + 1.0) / 4.0;
    for (std::size_t w = 0; w < p.size(); ++w) {
      EXPECT_DOUBLE_EQ(p[w], p[p.size() - 1 - w]);
      sum += p[w];
      mean += p[w] * static_cast<double>(w);
      square += p[w] * (static_cast<double>(w) - centre) * (static_cast<double>(w) - centre);
    }
    EXPECT_NEAR(sum, 1.0, 1e-13);
    EXPECT_NEAR(mean, centre, 1e-11);
    EXPECT_NEAR(square, size * (size + 1.0) * (2.0 * size + 1.0) / 24.0, 1e-9);
  }
}

// Wilcoxon's own limit of significance for n = 25: a rank sum of 89 is the largest with two-sided p <= 0.05 (published
// tables of the test).
TEST(PairedTests, TheFivePercentLimitOfTwentyFivePairsIsThatOfThePublishedTable) {
  EXPECT_LE(detail::exact_signed_rank_p(25, 89.0, alternative::two_sided), 0.05);
  EXPECT_GT(detail::exact_signed_rank_p(25, 90.0, alternative::two_sided), 0.05);
}

TEST(PairedTests, TheNormalApproximationIsNearTheExactValueAtFiftyPairs) {
  detail::seeded_numbers random(4);
  std::vector<double> d;
  for (int i = 0; i < 50; ++i) d.push_back(random.normal() + 0.25);
  const auto exact = wilcoxon_signed_rank(d);
  const auto normal = wilcoxon_signed_rank(d, {.method = p_value_method::asymptotic, .continuity_correction = true});
  EXPECT_TRUE(exact.exact);
  EXPECT_FALSE(normal.exact);
  EXPECT_NEAR(exact.p, normal.p, 0.003);
  d.push_back(0.1234);
  EXPECT_FALSE(wilcoxon_signed_rank(d).exact);
}

// The variance of the positive rank sum over all signs, by enumeration: with ties, and with Pratt's zeros.
TEST(PairedTests, TheVarianceOfTiedRanksIsThatOfAllSigns) {
  const std::vector<double> d{1, -1, 2, 2, -2, 3, 4, 4, 0, 0, 5};
  const std::vector<double> plain{1.5, 1.5, 4, 4, 4, 6, 7.5, 7.5, 9};
  for (const zero_differences zeros : {zero_differences::wilcox, zero_differences::pratt}) {
    const double raised = zeros == zero_differences::pratt ? 2.0 : 0.0;  // two zeros take the first two ranks
    double mean = 0.0;
    double variance = 0.0;
    for (const double rank : plain) {
      mean += (rank + raised) / 2.0;
      variance += (rank + raised) * (rank + raised) / 4.0;
    }
    const auto test = wilcoxon_signed_rank(d, {.zeros = zeros});
    EXPECT_NEAR(test.z, (test.statistic - mean) / std::sqrt(variance), 1e-12);
    EXPECT_EQ(test.zeros, 2U);
    EXPECT_EQ(test.tied, 7U);
    EXPECT_FALSE(test.exact);
  }
  const auto split = wilcoxon_signed_rank(d, {.zeros = zero_differences::zsplit});
  EXPECT_DOUBLE_EQ(split.positive + split.negative, 66.0);  // all ranks 1 … 11
}

TEST(PairedTests, WhatSaysNothingHasNoSignedRankP) {
  const std::vector<double> same{0, 0, 0};
  EXPECT_TRUE(std::isnan(wilcoxon_signed_rank(same).p));
  EXPECT_TRUE(std::isnan(wilcoxon_signed_rank(same, {.zeros = zero_differences::pratt}).p));
  EXPECT_EQ(wilcoxon_signed_rank(same, {.zeros = zero_differences::zsplit}).p, 1.0);
  EXPECT_TRUE(std::isnan(wilcoxon_signed_rank(std::vector<double>{}).p));
  EXPECT_TRUE(std::isnan(wilcoxon_signed_rank(std::vector<double>{1.0, NAN}).p));
  EXPECT_EQ(wilcoxon_signed_rank(std::vector<double>{2.0}).p, 1.0);  // one of two signs, twice
}

TEST(PairedTests, ErrorsNameWhatIsWrong) {
  const std::vector<double> two{1, 2};
  const std::vector<double> three{1, 2, 3};
  EXPECT_EQ(message_of([&] { wilcoxon_signed_rank(two, three); }),
            "Wilcoxon signed-rank test: 2 values, 3 to pair them with");
  EXPECT_EQ(message_of([&] {
              wilcoxon_signed_rank(std::vector<double>{0, 1, 1}, {.method = p_value_method::exact});
            }),
            "Wilcoxon signed-rank test: no exact p value with 1 differences of 0 and 2 tied ones");
  EXPECT_EQ(message_of([&] { t_test(two, alternative::less, 2.0); }),
            "paired t test: a confidence of 2.000000 is not in (0, 1)");
}

// Student's (1908) data of the hours of sleep gained by two drugs: t = -4.0621, df = 9, p = 0.002833, 95 % interval
// -2.4598858 … -0.7001142, as R prints them for t.test(extra ~ group, data = sleep, paired = TRUE).
TEST(PairedTests, StudentsSleepHasThePublishedT) {
  const std::vector<double> first{0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0};
  const std::vector<double> second{1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4};
  const auto test = t_test(first, second);
  EXPECT_NEAR(test.t, -4.0621, 5e-5);
  EXPECT_EQ(test.degrees_of_freedom, 9.0);
  EXPECT_NEAR(test.p, 0.002833, 5e-7);
  EXPECT_NEAR(test.lower, -2.4598858, 5e-8);
  EXPECT_NEAR(test.upper, -0.7001142, 5e-8);
  EXPECT_NEAR(t_test(first, second, alternative::less).p, test.p / 2.0, 1e-15);
  EXPECT_NEAR(t_test(first, second, alternative::greater).p, 1.0 - test.p / 2.0, 1e-15);
}

TEST(PairedTests, ATestOfEqualDifferencesIsInfiniteOrUndefined) {
  const auto all_one = t_test(std::vector<double>{0.1, 0.1, 0.1});
  EXPECT_EQ(all_one.t, INFINITY);
  EXPECT_EQ(all_one.p, 0.0);
  EXPECT_EQ(all_one.mean, 0.1);
  EXPECT_TRUE(std::isnan(t_test(std::vector<double>{0.0, 0.0}).p));
  const auto single = t_test(std::vector<double>{3.0});
  EXPECT_EQ(single.mean, 3.0);
  EXPECT_TRUE(std::isnan(single.p));
  EXPECT_TRUE(std::isnan(t_test(std::vector<double>{1.0, INFINITY}).p));
}

TEST(PairedTests, SignsAreCountedAsCoins) {
  const auto test = sign_test(std::vector<double>{1, 2, 3, 4, 5, 6, 7, 8, -1, -2, 0});
  EXPECT_EQ(test.positive, 8U);
  EXPECT_EQ(test.negative, 2U);
  EXPECT_EQ(test.zeros, 1U);
  EXPECT_NEAR(test.p, 2.0 * (45.0 + 10.0 + 1.0) / 1024.0, 1e-14);
  EXPECT_NEAR(sign_test(std::vector<double>{1, 1, -1}, alternative::greater).p, 0.5, 1e-15);
  EXPECT_NEAR(sign_test(std::vector<double>{1, 1, -1}, alternative::less).p, 0.875, 1e-15);
  EXPECT_TRUE(std::isnan(sign_test(std::vector<double>{0.0}).p));
}

}  // namespace
