// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/evaluation/uncertainty/interval_coverage.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace {

using namespace rafter;
constexpr double infinite = std::numeric_limits<double>::infinity();

TEST(CoverageOf, CountsWidthsAndScoresByHand) {
  const std::vector<double> actual{1.0, 2.0, 4.0, 8.0}, predicted{1.0, 1.0, 2.0, 1.0};
  const std::vector<double> lower{0.5, 2.5, 1.0, 1.0}, upper{2.0, 5.0, 3.0, infinite};
  const coverage_summary found = coverage_of("some", actual, predicted, lower, upper, 0.75);
  EXPECT_EQ(found.rows, 4U);
  EXPECT_EQ(found.covered, 2U);
  EXPECT_EQ(found.below, 1U);
  EXPECT_EQ(found.above, 1U);
  EXPECT_EQ(found.infinite, 1U);
  EXPECT_EQ(found.coverage(), 0.5);
  EXPECT_DOUBLE_EQ(found.mean_width, (1.5 + 2.5 + 1.0) / 3.0);  // of the finite ones
  EXPECT_DOUBLE_EQ(found.median_width, 0.5 * (1.5 + 2.5));      // of all: 1, 1.5, 2.5, infinite
  EXPECT_DOUBLE_EQ(found.median_factor, 0.5 * (2.0 + 3.0));     // of 1, 2, 3, infinite
  EXPECT_EQ(found.mean_score, infinite);
  const auto finite = [](const std::vector<double>& all) { return std::span<const double>(all).first(3); };
  const double score =
      (std::log(4.0) + (std::log(2.0) + 8.0 * std::log(1.25)) + (std::log(3.0) + 8.0 * std::log(4.0 / 3.0))) / 3.0;
  EXPECT_NEAR(coverage_of("", finite(actual), finite(predicted), finite(lower), finite(upper), 0.75).mean_score,
              score, 1e-12);
}

/// Predictions of 1 s; groups of rows whose times are log-normal with spreads of their own, each held out in turn and
/// calibrated by the others.
struct made_steps {
  nested_predictions nested;
  interval_rows known;
};
made_steps groups_of(const std::vector<double>& spreads, const std::vector<std::size_t>& sizes, unsigned seed) {
  std::mt19937_64 random(seed);
  made_steps made;
  for (std::size_t g = 0; g < spreads.size(); ++g) {
    made.known.groups.names.push_back("g" + std::to_string(g));
    std::normal_distribution<double> error(0.0, spreads[g]);
    for (std::size_t i = 0; i < sizes[g]; ++i) {
      made.known.times.push_back(std::exp(error(random)));
      made.known.groups.codes.push_back(static_cast<std::uint32_t>(g));
    }
  }
  made.nested.predictor = "one";
  for (std::uint32_t g = 0; g < spreads.size(); ++g) {
    nested_fold& part = made.nested.folds.emplace_back();
    part.held_out = made.known.groups.names[g];
    for (std::size_t row = 0; row < made.known.times.size(); ++row) {
      (made.known.groups.codes[row] == g ? part.test_rows : part.calibration_rows).push_back(row);
    }
    const auto ones = [](std::size_t rows) {
      return prediction_bands{std::vector<double>(rows, 1.0), std::vector<double>(rows, 1.0),
                              std::vector<double>(rows, 1.0)};
    };
    part.calibration = ones(part.calibration_rows.size());
    part.test = ones(part.test_rows.size());
  }
  return made;
}
interval_result by(const made_steps& steps, conformal_rule rule, double level = 0.9) {
  return evaluate_intervals(steps.nested, steps.known, {.rule = rule}, level);
}

TEST(EvaluateIntervals, OfANoisierNewGroupPooledRowsCoverLessThanGroupsAlike) {
  // Nine quiet groups of which one has most rows, three noisy ones of few.
  const std::vector<double> spreads{.1, .1, .1, .1, .1, .1, .1, .1, .1, .4, .4, .4};
  const std::vector<std::size_t> sizes{4000, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200};
  const made_steps steps = groups_of(spreads, sizes, 3);
  const auto pooled = by(steps, conformal_rule::pooled), cdfs = by(steps, conformal_rule::pooled_cdfs),
             alike = by(steps, conformal_rule::groups_alike),
             worst = by(steps, conformal_rule::worst_of_groups, 0.8);  // of 11 groups, 90 % would be infinite
  EXPECT_LT(pooled.folds[10].coverage(), 0.5);
  EXPECT_GT(cdfs.folds[10].coverage(), pooled.folds[10].coverage() + 0.1);
  EXPECT_GT(alike.folds[10].coverage(), cdfs.folds[10].coverage() + 0.02);
  EXPECT_GT(worst.folds[10].coverage(), 0.85);
  EXPECT_LT(pooled.mean_coverage, 0.88);
  EXPECT_GE(alike.mean_coverage, 0.9);
  EXPECT_LT(pooled.all.median_width, alike.all.median_width);
  // Rows of a group are not independent of each other: folds differ by much more than binomially.
  EXPECT_GT(pooled.spread_ratio(), 5.0);
  EXPECT_LT(pooled.mean_limits.lower, pooled.mean_coverage - 0.05);
  EXPECT_EQ(pooled.worst_coverage,
            std::min({pooled.folds[9].coverage(), pooled.folds[10].coverage(), pooled.folds[11].coverage()}));
}

TEST(EvaluateIntervals, OfGroupsThatAreAlikeSpreadAsIndependentRowsDo) {
  const made_steps steps = groups_of(std::vector<double>(30, 0.2), std::vector<std::size_t>(30, 300), 4);
  const auto found = by(steps, conformal_rule::pooled_cdfs);
  EXPECT_NEAR(found.mean_coverage, 0.9, 0.01);
  EXPECT_GT(found.spread_ratio(), 0.6);
  EXPECT_LT(found.spread_ratio(), 1.5);
  EXPECT_LE(found.all.limits.lower, found.all.coverage());
  EXPECT_GE(found.all.limits.upper, found.all.coverage());
}

TEST(EvaluateIntervals, TellsWhereALevelAsksForMoreGroupsThanThereAre) {
  const made_steps steps = groups_of(std::vector<double>(6, 0.2), std::vector<std::size_t>(6, 50), 5);
  const auto found = by(steps, conformal_rule::groups_alike);
  EXPECT_EQ(found.all.infinite, 300U);
  EXPECT_EQ(found.all.coverage(), 1.0);
  EXPECT_EQ(found.all.median_width, infinite);
  ASSERT_EQ(found.findings.size(), 1U);
  EXPECT_EQ(found.findings[0], "90 % intervals: infinite, too little to calibrate with: all rows (every fold)");
  const auto few = by(steps, conformal_rule::pooled_cdfs);
  EXPECT_EQ(few.all.infinite, 0U);
  ASSERT_EQ(few.findings.size(), 1U);
  EXPECT_NE(few.findings[0].find("fewer groups than 1 / alpha"), std::string::npos);
}

calibration_rows rows_of(std::vector<double> actual) {
  calibration_rows rows;
  const std::vector<double> ones(actual.size(), 1.0);
  rows.actual = std::move(actual);
  rows.bands = {ones, ones, ones};
  return rows;
}

TEST(IntervalCalibration, ByOneRowKnowsOneHalfAndSaysSoOfTheRest) {
  const interval_calibration made({.rule = conformal_rule::pooled}, {0.5, 0.9}, {}, {}, rows_of({std::exp(0.25)}));
  EXPECT_NEAR(made.limits(2.0, 2.0, 1.0, 0, 0).upper, 2.0 * std::exp(0.25), 1e-14);
  EXPECT_EQ(made.limits(2.0, 2.0, 1.0, 0, 1).upper, infinite);
  EXPECT_EQ(made.limits(2.0, 2.0, 1.0, 0, 1).lower, 0.0);
  ASSERT_EQ(made.findings().size(), 1U);
  EXPECT_EQ(made.findings()[0], "90 % intervals: infinite, too little to calibrate with: all rows (1 rows, 1 group)");
}

TEST(IntervalCalibration, OfNothingKnowsNothing) {
  EXPECT_EQ(interval_calibration().limits(1.0, 1.0, 1.0, 0, 0).upper, infinite);
  const interval_calibration none({.rule = conformal_rule::pooled}, {0.5}, {}, {}, {});
  EXPECT_EQ(none.limits(1.0, 1.0, 1.0, 0, 0).upper, infinite);
  EXPECT_EQ(none.limits(1.0, 1.0, 1.0, 5, 0).upper, infinite);  // no such cell
  EXPECT_TRUE(std::isnan(none.limits(std::nan(""), 1.0, 1.0, 0, 0).upper));
  EXPECT_TRUE(std::isnan(none.limits(-1.0, 1.0, 1.0, 0, 0).lower));
}

TEST(IntervalCalibration, SmallCellsAreInfiniteOrBorrowAndTell) {
  calibration_rows rows = rows_of({1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9, 2.0});
  rows.cells = {0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  const interval_calibration honest({.rule = conformal_rule::pooled}, {0.9}, {"many", "one"}, {}, rows);
  EXPECT_NEAR(honest.limits(1.0, 1.0, 1.0, 0, 0).upper, 1.9, 1e-12);
  EXPECT_EQ(honest.limits(1.0, 1.0, 1.0, 1, 0).upper, infinite);
  const interval_calibration lent({.rule = conformal_rule::pooled, .small = small_cells::pooled_when_small}, {0.9},
                                  {"many", "one"}, {}, rows);
  EXPECT_NEAR(lent.limits(1.0, 1.0, 1.0, 0, 0).upper, 1.9, 1e-12);
  EXPECT_NEAR(lent.limits(1.0, 1.0, 1.0, 1, 0).upper, 2.0, 1e-12);  // ⌈11 · 0.9⌉ = 10th of all ten
  EXPECT_TRUE(lent.pooled(1, 0));
  ASSERT_EQ(lent.findings().size(), 1U);
  EXPECT_EQ(lent.findings()[0],
            "90 % intervals: those of all cells together, its own rows being too few: one (1 rows, 1 group)");
}

TEST(IntervalCalibration, TwoSidesFollowErrorsThatLean) {
  std::vector<double> actual;
  for (int i = 1; i <= 39; ++i) actual.push_back(std::exp(0.01 * i));  // never below what is predicted
  const interval_calibration made({.rule = conformal_rule::pooled, .sides = interval_sides::two_sided}, {0.9}, {}, {},
                                  rows_of(actual));
  // Each side at 5 %: the 38th of 39 either way.
  EXPECT_NEAR(std::log(made.limits(1.0, 1.0, 1.0, 0, 0).upper), 0.38, 1e-12);
  EXPECT_NEAR(std::log(made.limits(1.0, 1.0, 1.0, 0, 0).lower), 0.02, 1e-12);
}

TEST(IntervalCalibration, SpreadsGiveEachCellItsWidth) {
  calibration_rows rows = rows_of({});
  for (int i = 1; i <= 99; ++i) {
    rows.actual.push_back(std::exp(0.001 * i)), rows.spread_cells.push_back(0), rows.groups.push_back(0);
    rows.actual.push_back(std::exp(-0.01 * i)), rows.spread_cells.push_back(1),
        rows.groups.push_back(i <= 50 ? 0U : 1U);
  }
  const std::vector<double> ones(rows.actual.size(), 1.0);
  rows.bands = {ones, ones, ones};
  const interval_calibration made({.rule = conformal_rule::pooled}, {0.9}, {}, {"quiet", "loud"}, rows);
  EXPECT_NEAR(made.spread(0), 0.05, 1e-12);
  EXPECT_NEAR(made.spread(1), 0.5 * (0.255 + 0.75), 1e-12);  // each group alike
  EXPECT_TRUE(std::isnan(made.spread(2)));
  const double quiet = std::log(made.limits(1.0, 1.0, made.spread(0), 0, 0).upper),
               loud = std::log(made.limits(1.0, 1.0, made.spread(1), 0, 0).upper);
  EXPECT_NEAR(loud / quiet, made.spread(1) / made.spread(0), 1e-9);
  EXPECT_EQ(made.limits(1.0, 1.0, made.spread(2), 0, 0).upper, infinite);
}

TEST(IntervalCalibration, ThatWouldTurnABandInsideOutLeavesItsMiddle) {
  calibration_rows rows = rows_of(std::vector<double>(19, 1.0));
  rows.bands.lower.assign(19, 0.25), rows.bands.upper.assign(19, 4.0);
  const interval_calibration made({.rule = conformal_rule::pooled}, {0.9}, {}, {}, rows);
  EXPECT_NEAR(made.above(0, 0), -std::log(4.0), 1e-12);
  const time_limits narrow = made.limits(1.0, 2.0, 1.0, 0, 0);  // a band narrower than what it would lose
  EXPECT_EQ(narrow.lower, narrow.upper);
  EXPECT_NEAR(narrow.lower, std::sqrt(2.0), 1e-12);
}

}  // namespace
