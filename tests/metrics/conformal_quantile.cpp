// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/metrics/conformal_quantile.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

namespace {

using namespace rafter;
constexpr double infinite = std::numeric_limits<double>::infinity();

TEST(ConformalQuantile, TakesTheRankThatOneMoreRowNeeds) {
  EXPECT_EQ(conformal_rank(9, 0.1), 9U);  // (9 + 1) · 0.9, which rounds above 9 in floating point for some alphas
  EXPECT_EQ(conformal_rank(19, 0.05), 19U);
  EXPECT_EQ(conformal_rank(99, 1.0 - 0.9), 90U);
  EXPECT_EQ(conformal_rank(8, 0.1), 9U);  // one too few: ⌈8.1⌉
  EXPECT_EQ(conformal_rank(0, 0.1), 1U);
  EXPECT_EQ(conformal_rank(5, 1.0), 0U);
  EXPECT_EQ(conformal_rank(5, 0.0), 6U);
}

TEST(ConformalQuantile, IsInfiniteWhenThereAreTooFewRowsAndTold) {
  EXPECT_EQ(conformal_quantile(std::vector<double>{3.0}, 0.5), 3.0);  // one row is enough for one half
  EXPECT_EQ(conformal_quantile(std::vector<double>{3.0}, 0.4), infinite);
  EXPECT_EQ(conformal_quantile(std::vector<double>{}, 0.1), infinite);
  EXPECT_EQ(conformal_quantile(std::vector<double>{1.0, 2.0}, 1.0), -infinite);
  EXPECT_TRUE(std::isnan(conformal_quantile(std::vector<double>{1.0, std::nan("")}, 0.5)));
}

TEST(GroupQuantile, OfOneRowPerGroupIsTheOrdinaryOne) {
  std::mt19937_64 random(1);
  std::vector<double> scores;
  std::vector<std::uint32_t> groups;
  for (std::uint32_t i = 0; i < 37; ++i) scores.push_back(static_cast<double>(random() % 1000)), groups.push_back(i);
  for (const double alpha : {0.01, 0.05, 0.1, 0.25, 0.5, 0.9, 1.0}) {
    EXPECT_EQ(group_quantile(scores, groups, alpha), conformal_quantile(scores, alpha)) << alpha;
  }
}

/// The definition: over all candidate values, the weights at or below.
double by_brute_force(const std::vector<double>& scores, const std::vector<std::uint32_t>& groups, double alpha,
                      std::size_t unknown) {
  std::vector<double> candidates = scores;
  std::sort(candidates.begin(), candidates.end());
  const auto rows_of = [&](std::uint32_t code) {
    return static_cast<long double>(std::count(groups.begin(), groups.end(), code));
  };
  std::vector<std::uint32_t> present = groups;
  std::sort(present.begin(), present.end());
  present.erase(std::unique(present.begin(), present.end()), present.end());
  for (const double value : candidates) {
    long double weight = 0;
    for (std::size_t i = 0; i < scores.size(); ++i) {
      if (scores[i] <= value) weight += 1 / (static_cast<long double>(present.size() + unknown) * rows_of(groups[i]));
    }
    if (weight >= 1 - static_cast<long double>(alpha) - 1e-12L) return value;
  }
  return infinite;
}

TEST(GroupQuantile, IsItsDefinitionForGroupsOfAnySize) {
  std::mt19937_64 random(2);
  for (int trial = 0; trial < 60; ++trial) {
    std::vector<double> scores;
    std::vector<std::uint32_t> groups;
    const std::size_t count = 1 + random() % 14;
    for (std::uint32_t group = 0; group < count; ++group) {
      for (std::size_t n = random() % 9; n-- > 0;) {
        scores.push_back(static_cast<double>(random() % 40));  // with ties
        groups.push_back(3 * group);                           // codes with gaps
      }
    }
    for (const double alpha : {0.03, 0.1, 0.2, 0.3, 0.5}) {
      EXPECT_EQ(group_quantile(scores, groups, alpha), by_brute_force(scores, groups, alpha, 1)) << trial;
      EXPECT_EQ(pooled_cdf_quantile(scores, groups, alpha), by_brute_force(scores, groups, alpha, 0)) << trial;
    }
  }
}

TEST(GroupQuantile, NeedsNineGroupsForNinetyPercent) {
  std::vector<double> scores;
  std::vector<std::uint32_t> groups;
  for (std::uint32_t group = 0; group < 8; ++group) {
    for (int i = 0; i < 100; ++i) scores.push_back(static_cast<double>(i)), groups.push_back(group);
  }
  EXPECT_EQ(group_quantile(scores, groups, 0.1), infinite);
  scores.push_back(7.0), groups.push_back(8);
  EXPECT_EQ(group_quantile(scores, groups, 0.1), 99.0);
  EXPECT_LT(group_quantile(scores, groups, 0.2), 99.0);
}

TEST(QuantileOfGroupQuantiles, IsTheWorstGroupsOwnWhenGroupsAreFew) {
  std::vector<double> scores;
  std::vector<std::uint32_t> groups;
  for (std::uint32_t group = 0; group < 13; ++group) {
    for (int i = 1; i <= 99; ++i) scores.push_back(i * (group == 4 ? 10.0 : 1.0)), groups.push_back(group);
  }
  EXPECT_EQ(quantile_of_group_quantiles(scores, groups, 0.1, 0.1), 900.0);  // rank ⌈14 · 0.9⌉ = 13 of 13
  EXPECT_EQ(quantile_of_group_quantiles(scores, groups, 0.1, 0.2), 90.0);   // rank 12
  EXPECT_EQ(quantile_of_group_quantiles(scores, groups, 0.1, 0.05), infinite);
  EXPECT_EQ(quantile_of_group_quantiles(scores, groups, 0.005, 0.2), infinite);  // 99 rows are too few for 99.5 %
}

TEST(GroupQuantiles, TakeAnyCodes) {
  std::mt19937_64 random(3);
  std::uniform_real_distribution<double> score(0.0, 1.0);
  std::vector<double> scores;
  std::vector<std::uint32_t> groups, far;
  for (int i = 0; i < 300; ++i) {
    scores.push_back(score(random));
    groups.push_back(static_cast<std::uint32_t>(random() % 12));
    far.push_back(0xFFFFFFFFU - 300'000'000U * (11U - groups.back()));
  }
  for (const double alpha : {0.1, 0.3, 0.5}) {
    EXPECT_EQ(pooled_cdf_quantile(scores, far, alpha), pooled_cdf_quantile(scores, groups, alpha));
    EXPECT_EQ(group_quantile(scores, far, alpha), group_quantile(scores, groups, alpha));
    EXPECT_EQ(quantile_of_group_quantiles(scores, far, alpha, alpha),
              quantile_of_group_quantiles(scores, groups, alpha, alpha));
  }
  EXPECT_EQ(group_quantile(std::vector<double>{3.0}, std::vector<std::uint32_t>{0xFFFFFFFFU}, 0.5), 3.0);
  EXPECT_EQ(quantile_of_group_quantiles(std::vector<double>{3.0}, std::vector<std::uint32_t>{0xFFFFFFFFU}, 0.5, 0.5),
            3.0);
  EXPECT_EQ(group_quantile(std::vector<double>{}, std::vector<std::uint32_t>{}, 0.5), infinite);
}

/// Share of new rows covered, of groups whose errors have spreads of their own.
double coverage_of_new_groups(conformal_rule rule, std::size_t calibrated, std::size_t rows_of_first, unsigned seed) {
  std::mt19937_64 random(seed);
  std::lognormal_distribution<double> spread(0.0, 1.0);
  std::size_t covered = 0;
  const std::size_t trials = 3000;
  for (std::size_t trial = 0; trial < trials; ++trial) {
    std::vector<double> scores;
    std::vector<std::uint32_t> groups;
    for (std::uint32_t g = 0; g < calibrated; ++g) {
      std::normal_distribution<double> error(0.0, spread(random));
      // Groups are exchangeable only when their sizes are too: a random one is the large one.
      const std::size_t rows = random() % calibrated == 0 ? rows_of_first : 20;
      for (std::size_t i = 0; i < rows; ++i) scores.push_back(std::abs(error(random))), groups.push_back(g);
    }
    const double q = conformal_quantile(rule, scores, groups, 0.1);
    covered += std::abs(std::normal_distribution<double>(0.0, spread(random))(random)) <= q;
  }
  return static_cast<double>(covered) / static_cast<double>(trials);
}

TEST(ConformalRules, OnlyGroupAwareOnesKeepTheirLevelOnNewGroups) {
  const double limit = 3.0 * std::sqrt(0.9 * 0.1 / 3000.0);
  EXPECT_LT(coverage_of_new_groups(conformal_rule::pooled, 10, 200, 1), 0.9 - limit);
  // The mean of many groups' distributions is right on average; that of ten is nearly so.
  EXPECT_NEAR(coverage_of_new_groups(conformal_rule::pooled_cdfs, 60, 200, 6), 0.9, 0.9 / 60 + limit);
  EXPECT_GE(coverage_of_new_groups(conformal_rule::pooled_cdfs, 10, 200, 7), 0.9 - 1.0 / 10 - limit);
  const double alike = coverage_of_new_groups(conformal_rule::groups_alike, 10, 200, 2);
  EXPECT_GE(alike, 0.9 - limit);
  EXPECT_LE(alike, 0.9 + 2.0 / 11.0);
  EXPECT_GE(coverage_of_new_groups(conformal_rule::worst_of_groups, 19, 200, 3), 0.9 - limit);
  EXPECT_EQ(coverage_of_new_groups(conformal_rule::worst_of_groups, 18, 20, 3), 1.0);  // too few at 90 %
  EXPECT_EQ(coverage_of_new_groups(conformal_rule::groups_alike, 5, 20, 4), 1.0);      // too few: everything, said so
}

TEST(ConformalRules, HalveAlphaForTheWorstOfGroups) {
  std::vector<double> scores;
  std::vector<std::uint32_t> groups;
  for (std::uint32_t group = 0; group < 30; ++group) {
    for (int i = 1; i <= 99; ++i) scores.push_back(i * (1.0 + group)), groups.push_back(group);
  }
  EXPECT_EQ(conformal_quantile(conformal_rule::worst_of_groups, scores, groups, 0.2),
            quantile_of_group_quantiles(scores, groups, 0.1, 0.1));
  EXPECT_EQ(conformal_quantile(conformal_rule::worst_of_groups, scores, groups, 0.2),
            28.0 * 90.0);  // rank ⌈31 · 0.9⌉
}

TEST(ConformalRules, TakeAnyCodesForGroups) {
  const std::vector<double> scores{1, 2, 3, 4, 5, 6};
  const std::vector<std::uint32_t> small{0, 0, 1, 1, 2, 2},
      huge{0xFFFFFFFFU, 0xFFFFFFFFU, 7, 7, 0x80000000U, 0x80000000U};
  for (const conformal_rule rule :
       {conformal_rule::pooled_cdfs, conformal_rule::groups_alike, conformal_rule::worst_of_groups}) {
    EXPECT_EQ(conformal_quantile(rule, scores, huge, 0.7), conformal_quantile(rule, scores, small, 0.7));
  }
}

TEST(ConformalRules, OfExchangeableRowsKeepTheLevelExactly) {
  std::mt19937_64 random(5);
  std::exponential_distribution<double> draw(1.0);
  std::size_t covered = 0;
  const std::size_t trials = 20000;
  for (std::size_t trial = 0; trial < trials; ++trial) {
    std::vector<double> scores(29);
    for (double& one : scores) one = draw(random);
    covered += draw(random) <= conformal_quantile(scores, 0.1);
  }
  const double expected = 27.0 / 30.0;  // k / (n + 1), no two scores being equal
  EXPECT_NEAR(static_cast<double>(covered) / trials, expected, 4.0 * std::sqrt(expected * 0.1 / trials));
}

}  // namespace
