// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/solver/multi_start.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "rafter/solver/nelder_mead.hpp"
#include "rafter/solver/trust_region.hpp"

namespace {

using rafter::multi_start;
using rafter::trust_region;
static_assert(rafter::minimizer<multi_start<trust_region>>);
static_assert(rafter::minimizer<multi_start<rafter::nelder_mead>>);

// Two minima: a poor one near x = 1, the good one (cost 0) at x = 6.
rafter::array_residuals two_valleys() {
  return {2, 1, [](const double* x, double* r) { r[0] = std::sin(x[0] - 6.0), r[1] = 0.1 * (x[0] - 6.0); }};
}

TEST(MultiStart, FindsTheBetterOfTwoMinima) {
  const std::vector<double> start{3.0};
  const rafter::parameter_bounds bounds{{0.0}, {10.0}};
  const auto single = trust_region{}.minimize(two_valleys(), start, bounds);
  const auto several = multi_start<trust_region>{.starts = 8}.minimize(two_valleys(), start, bounds);
  EXPECT_GT(single.cost, 0.01);
  EXPECT_LT(several.cost, 1e-15);
  EXPECT_NEAR(several.parameters[0], 6.0, 1e-7);
  ASSERT_EQ(several.start_costs.size(), 8u);
  EXPECT_EQ(several.start_costs[0], single.cost);
  EXPECT_EQ(several.cost, *std::min_element(several.start_costs.begin(), several.start_costs.end()));
  EXPECT_GT(several.evaluations, single.evaluations);
}

TEST(MultiStart, TheSeedDecidesTheStarts) {
  const multi_start<trust_region> one{.seed = 1}, again{.seed = 1}, other{.seed = 2};
  const rafter::parameter_bounds bounds{{0.0}, {10.0}};
  EXPECT_EQ(one.points({3.0}, bounds), again.points({3.0}, bounds));
  EXPECT_NE(one.points({3.0}, bounds), other.points({3.0}, bounds));
}

TEST(MultiStart, EachStratumOfEachParameterIsDrawnOnce) {
  const auto points =
      multi_start<trust_region>{.starts = 11, .seed = 5}.points({0.5, 1.0}, {{0.0, 0.01}, {1.0, 100.0}});
  ASSERT_EQ(points.size(), 11u);
  EXPECT_EQ(points[0], (std::vector<double>{0.5, 1.0}));
  std::vector<int> first(10), second(10);
  for (std::size_t k = 1; k < points.size(); ++k) {
    ++first.at(static_cast<std::size_t>(points[k][0] * 10.0));
    ++second.at(static_cast<std::size_t>((std::log10(points[k][1]) + 2.0) / 4.0 * 10.0));  // by the logarithm
  }
  EXPECT_EQ(first, std::vector<int>(10, 1));
  EXPECT_EQ(second, std::vector<int>(10, 1));
}

TEST(MultiStart, MissingBoundsEndAtTheSpread) {
  const double none = std::numeric_limits<double>::infinity();
  const auto points =
      multi_start<trust_region>{.starts = 50, .spread = 3.0}.points({4.0, 4.0}, {{-none, 2.0}, {none, none}});
  for (const auto& at : points) {
    EXPECT_LE(std::abs(at[0] - 4.0), 12.0);
    EXPECT_GE(at[1], 2.0);
    EXPECT_LE(at[1], 16.0);
  }
}

TEST(MultiStart, RefusesAnInfeasibleStart) {
  EXPECT_THROW(multi_start<trust_region>{}.minimize(two_valleys(), {11.0}, {{0.0}, {10.0}}), rafter::solver_error);
}

}  // namespace
