// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/estimator/quantile_trees.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "support/engine_steps.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;
using tiny::engine_step;
using data_type = dataset<tiny::aggregated>;

struct coarse {
  static boosting_options options() {
    return {.rounds = 60, .learning_rate = 0.2, .min_child_weight = 40.0, .max_depth = 3};
  }
};
struct overfitting {
  static boosting_options options() { return {.rounds = 60, .max_depth = 6}; }
};
using deciles = quantile_trees<tiny::mixture, objective::log_target, coarse, 0.1_c, 0.5_c, 0.9_c>;
using crossing = quantile_trees<tiny::mixture, objective::log_target, overfitting, 0.4_c, 0.45_c, 0.5_c, 0.55_c>;

data_type steps(std::size_t count, unsigned seed) { return tiny::noisy_steps(count, seed, 0.3); }
row_set all(const data_type& data) { return row_set::all(data.size()); }

template <class Predictor> std::vector<double> quantiles(const Predictor& fitted, const data_type& data) {
  std::vector<double> out(data.size() * Predictor::levels.size(), -1.0);
  fitted.predict_quantiles(data, all(data), out);
  return out;
}

TEST(QuantileTrees, NeverCross) {
  const auto data = steps(1300, 2), unseen = steps(700, 77);
  const auto fitted = crossing::fit(data, all(data));
  const auto sorted = quantiles(fitted, unseen);
  std::vector<double> lower(700), upper(700);
  fitted.part<0>().predict(unseen, all(unseen), lower);
  fitted.part<1>().predict(unseen, all(unseen), upper);
  std::size_t crossed = 0;
  for (std::size_t row = 0; row < 700; ++row) {
    EXPECT_TRUE(std::is_sorted(&sorted[4 * row], &sorted[4 * row] + 4)) << row;
    crossed += lower[row] > upper[row];
  }
  EXPECT_GT(crossed, 10U);  // the ensembles alone do
}

TEST(QuantileTrees, AreThoseOfTheEnsemblesInOrder) {
  const auto data = steps(1300, 2);
  const auto fitted = crossing::fit(data, all(data));
  const auto sorted = quantiles(fitted, data);
  std::vector<std::vector<double>> each(4, std::vector<double>(1300));
  fitted.part<0>().predict(data, all(data), each[0]);
  fitted.part<1>().predict(data, all(data), each[1]);
  fitted.part<2>().predict(data, all(data), each[2]);
  fitted.part<3>().predict(data, all(data), each[3]);
  for (std::size_t row = 0; row < 1300; ++row) {
    std::vector<double> own{each[0][row], each[1][row], each[2][row], each[3][row]};
    std::sort(own.begin(), own.end());
    for (std::size_t k = 0; k < 4; ++k) ASSERT_EQ(sorted[4 * row + k], own[k]) << row;
  }
}

/// Unseen rows of the same law: the share below a level within four standard deviations of a binomial count, and 3 % for
/// what the trees do not learn of 4000 rows.
TEST(QuantileTrees, CoverUnseenRowsAsTheirLevelsSay) {
  const auto data = steps(4000, 2), unseen = steps(3000, 77);
  const auto sorted = quantiles(deciles::fit(data, all(data)), unseen);
  for (std::size_t k = 0; k < 3; ++k) {
    const double level = deciles::levels[k];
    std::size_t below = 0;
    for (std::size_t row = 0; row < 3000; ++row) below += unseen.target()[row] <= sorted[3 * row + k];
    const double share = static_cast<double>(below) / 3000.0;
    EXPECT_NEAR(share, level, 0.03 + 4.0 * std::sqrt(level * (1.0 - level) / 3000.0));
  }
}

TEST(QuantileTrees, PredictTheMedianAsAnEstimator) {
  const auto data = steps(1300, 2);
  const auto fitted = deciles::fit(data, all(data));
  const auto sorted = quantiles(fitted, data);
  std::vector<double> out(1300);
  fitted.predict(data, all(data), out);
  for (std::size_t row = 0; row < 1300; ++row) ASSERT_EQ(out[row], sorted[3 * row + 1]);
}

TEST(QuantileTrees, TakeTheMiddleLevelWhereThereIsNoMedian) {
  EXPECT_EQ(
      (quantile_trees<tiny::mixture, objective::log_target, coarse, 0.5_c, 0.9_c, 0.99_c>::predictor_type::middle),
      0U);
  EXPECT_EQ(
      (quantile_trees<tiny::mixture, objective::log_target, coarse, 0.1_c, 0.7_c, 0.9_c>::predictor_type::middle),
      1U);
  EXPECT_EQ((quantile_trees<tiny::mixture, objective::log_target, coarse, 0.1_c, 0.9_c>::predictor_type::middle), 0U);
}

TEST(QuantileTrees, GiveTheSameBitsForARecord) {
  const auto rows = tiny::random_engine_steps(1300, 2);
  const auto data = steps(1300, 2);
  const auto fitted = crossing::fit(data, all(data));
  const auto sorted = quantiles(fitted, data);
  for (std::size_t row = 0; row < 1300; row += 3) {
    const auto one = fitted.predict_quantiles(rows[row], tiny::engines()[rows[row].engine]);
    for (std::size_t k = 0; k < 4; ++k) ASSERT_EQ(one[k], sorted[4 * row + k]);
    ASSERT_EQ(fitted.predict(rows[row], tiny::engines()[rows[row].engine]).value, one[2]);
  }
}

TEST(QuantileTrees, SayWhatTheyAre) {
  EXPECT_EQ(deciles::name(), "60 boosted trees of depth 3 on 6 features, quantile 0.1, 0.5, 0.9");
  const auto data = steps(300, 2);
  const auto fitted = deciles::fit(data, all(data));
  const auto summary = fitted.summary();
  EXPECT_EQ(summary.rows, 300U);
  EXPECT_EQ(summary.parameters, fitted.part<0>().ensemble().leaves() + fitted.part<1>().ensemble().leaves() +
                                    fitted.part<2>().ensemble().leaves());
  EXPECT_EQ(summary.status, "3 levels, each of them boosted trees");
}

}  // namespace
