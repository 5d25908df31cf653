// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "rafter/estimator/quantile_trees.hpp"
#include "rafter/evaluation/uncertainty/quantile_intervals.hpp"
#include "rafter/validation/k_fold.hpp"
#include "support/engine_steps.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;

struct overfitting {
  static boosting_options options() { return {.rounds = 40, .learning_rate = 0.3, .max_depth = 5}; }
};
using band = quantile_trees<tiny::mixture, objective::log_target, overfitting, 0.1_c, 0.5_c, 0.9_c>;
struct of_rows : conformal_defaults {
  static constexpr conformal_rule rule = conformal_rule::pooled;
};

TEST(QuantileIntervals, OfOverfittedTreesHoldTheirLevelOnlyWhenCalibrated) {
  std::size_t raw = 0, calibrated = 0, tested = 0;
  for (unsigned seed = 0; seed < 4; ++seed) {
    const auto data = tiny::noisy_steps(900, seed, 0.3);
    const row_set test = row_set::where(900, [](std::size_t row) { return row % 3 == 0; });
    const row_set train = test.complement(900);
    const auto as_they_are = quantile_intervals<band>::fit(data, train);
    const auto moved = conformalized_quantiles<band, k_fold, of_rows>::fit(data, train);
    std::vector<double> lower(test.size()), upper(test.size());
    const auto covered = [&](const auto& fitted) {
      fitted.intervals(data, test, 0.8, lower, upper);
      std::size_t count = 0, i = 0;
      test.for_each([&](std::size_t row) {
        count += lower[i] <= data.target()[row] && data.target()[row] <= upper[i];
        ++i;
      });
      return count;
    };
    raw += covered(as_they_are);
    calibrated += covered(moved);
    tested += test.size();
  }
  const auto share = [&](std::size_t count) { return static_cast<double>(count) / static_cast<double>(tested); };
  EXPECT_LT(share(raw), 0.74);
  const double deviation = std::sqrt(0.8 * 0.2 * (1.0 / 2400 + 1.0 / 1200));
  EXPECT_NEAR(share(calibrated), 0.8, 4 * deviation + 0.02);  // fits on four fifths of the rows are a little worse
}

struct tells : band {
  static std::string tuned() { return "the number of trees, on held-out rows"; }
};
TEST(QuantileIntervals, TellWhatTheirEstimatorTunesAndWhatTheyCalibrateOn) {
  const std::string width = "the width of the intervals, on rows that k_fold holds out inside the training rows";
  EXPECT_EQ((conformalized_quantiles<tells, k_fold, of_rows>::tuned()),
            "the number of trees, on held-out rows; " + width);
  EXPECT_EQ((conformal<tells, k_fold, of_rows>::tuned()), "the number of trees, on held-out rows; " + width);
  EXPECT_EQ(quantile_intervals<tells>::tuned(), tells::tuned());
  struct silent {};
  EXPECT_EQ((conformal<silent, k_fold, of_rows>::tuned()), width);
}

TEST(QuantileIntervals, GiveRecordsTheIntervalsOfRows) {
  const auto steps = tiny::random_engine_steps(300, 5);
  const auto data = tiny::noisy_steps(300, 5, 0.3);
  const row_set all = row_set::all(300);
  const auto raw = quantile_intervals<band>::fit(data, all);
  const auto moved = conformalized_quantiles<band, k_fold, of_rows>::fit(data, all);
  std::vector<double> lower(300), upper(300), low(300), high(300), median(300);
  raw.intervals(data, all, 0.8, lower, upper);
  moved.intervals(data, all, 0.8, low, high);
  raw.predict(data, all, median);
  for (std::size_t i = 0; i < 300; i += 7) {
    const auto& engine = tiny::engines()[steps[i].engine];
    EXPECT_EQ(raw.interval(steps[i], engine, 0.8).upper.value, upper[i]);
    EXPECT_EQ(raw.interval(steps[i], engine, 0.8).lower.value, lower[i]);
    EXPECT_EQ(moved.interval(steps[i], engine, 0.8).upper.value, high[i]);
    EXPECT_LE(lower[i], median[i]);
    EXPECT_LE(median[i], upper[i]);
    EXPECT_TRUE(std::isinf(raw.interval(steps[i], engine, 0.6).upper.value));
  }
  EXPECT_NE(moved.findings().at(0).find("calibrated by 5 fits"), std::string::npos) << moved.findings().at(0);
}

}  // namespace
