// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/statistics/multiple_comparisons.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "../support/message.hpp"
#include "rafter/core/random.hpp"

namespace {

using namespace rafter;

// The 15 p values of Benjamini and Hochberg 1995, section 4: at the level 0.05 Bonferroni rejects three hypotheses,
// their procedure four.
const std::vector<double> published{0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344,
                                    0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.000};

int rejected(const std::vector<double>& adjusted, double level) {
  int count = 0;
  for (const double p : adjusted) count += p <= level ? 1 : 0;
  return count;
}

TEST(MultipleComparisons, RejectWhatThePublishedExampleRejects) {
  EXPECT_EQ(rejected(bonferroni(published), 0.05), 3);
  EXPECT_EQ(rejected(holm(published), 0.05), 3);
  EXPECT_EQ(rejected(benjamini_hochberg(published), 0.05), 4);
  EXPECT_DOUBLE_EQ(bonferroni(published)[2], 15 * 0.0019);
  EXPECT_DOUBLE_EQ(benjamini_hochberg(published)[3], 15 * 0.0095 / 4);
  EXPECT_EQ(benjamini_hochberg(published)[14], 1.0);
}

// Closed testing: a hypothesis is rejected when every intersection that holds it is, each tested by Bonferroni's rule.
TEST(MultipleComparisons, HolmIsTheClosedTestOfBonferroni) {
  detail::seeded_numbers random(9);
  for (int round = 0; round < 30; ++round) {
    std::vector<double> p(1 + random.below(7));
    for (double& one : p) one = std::round(random.uniform() * 12.0) / 40.0;  // with ties
    const std::vector<double> adjusted = holm(p);
    std::vector<double> closed(p.size(), 0.0);
    for (unsigned set = 1; set < (1U << p.size()); ++set) {
      double smallest = 1.0;
      double members = 0.0;
      for (std::size_t i = 0; i < p.size(); ++i) {
        if ((set >> i & 1U) == 0) continue;
        smallest = std::min(smallest, p[i]);
        ++members;
      }
      for (std::size_t i = 0; i < p.size(); ++i) {
        if ((set >> i & 1U) != 0) closed[i] = std::max(closed[i], std::min(1.0, members * smallest));
      }
    }
    for (std::size_t i = 0; i < p.size(); ++i) EXPECT_DOUBLE_EQ(adjusted[i], closed[i]);
  }
}

// The step-up rule itself, at each level of a grid: reject the k smallest, k the last with p_k <= k q / m.
TEST(MultipleComparisons, BenjaminiHochbergIsTheStepUpRuleAtEveryLevel) {
  detail::seeded_numbers random(10);
  for (int round = 0; round < 20; ++round) {
    std::vector<double> p(1 + random.below(9));
    for (double& one : p) one = random.uniform() * random.uniform();
    std::vector<double> ascending = p;
    std::sort(ascending.begin(), ascending.end());
    const std::vector<double> adjusted = benjamini_hochberg(p);
    for (double q = 0.0123; q < 1.0; q += 0.0317) {
      std::size_t last = 0;
      for (std::size_t k = 1; k <= p.size(); ++k) {
        if (ascending[k - 1] <= static_cast<double>(k) * q / static_cast<double>(p.size())) last = k;
      }
      for (std::size_t i = 0; i < p.size(); ++i) {
        EXPECT_EQ(adjusted[i] <= q, last > 0 && p[i] <= ascending[last - 1]);
      }
    }
  }
}

TEST(MultipleComparisons, ATestThatWasNotMadeIsNotCounted) {
  const std::vector<double> p{0.01, NAN, 0.04};
  EXPECT_DOUBLE_EQ(bonferroni(p)[0], 0.02);
  EXPECT_TRUE(std::isnan(bonferroni(p)[1]));
  EXPECT_DOUBLE_EQ(holm(p)[2], 0.04);
  EXPECT_TRUE(std::isnan(holm(p)[1]));
  EXPECT_DOUBLE_EQ(benjamini_hochberg(p)[0], 0.02);
  EXPECT_TRUE(holm({}).empty());
  EXPECT_EQ(message_of([] { holm(std::vector<double>{0.5, 1.5}); }), "p value 1 of 2: 1.500000 is not in [0, 1]");
}

}  // namespace
