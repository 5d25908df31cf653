// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/evaluation/importance.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "rafter/core/random.hpp"
#include "rafter/solver/ordinary_least_squares.hpp"
#include "rafter/validation/k_fold.hpp"
#include "support/engine_steps.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;
using data_type = dataset<tiny::aggregated>;

struct few_trees {
  static boosting_options options() {
    boosting_options made;
    made.rounds = 15;
    made.max_depth = 3;
    made.seed = 3;
    return made;
  }
};
using forest = trees<tiny::mixture, objective::log_target, few_trees>;
using line = linear<tiny::mixture, ordinary_least_squares>;

std::vector<fold> folds_of(const data_type& data) { return k_fold{.k = 3}.folds(data); }
std::string message_of(const auto& call) {
  try {
    call();
  } catch (const error& why) {
    return why.what();
  }
  return "nothing thrown";
}

TEST(Importance, OfSplitsIsTheSolvers) {
  const data_type data = tiny::noisy_steps(300, 21);
  const auto folds = folds_of(data);
  const auto outcome = evaluate_on_folds<forest>(data, folds);
  const std::array kinds{split_measure::gain, split_measure::total_gain, split_measure::cover,
                         split_measure::total_cover, split_measure::splits};
  std::vector<importance_by_fold> made;
  for (const split_measure each : kinds) made.push_back(split_importance(outcome.fitted, folds, each));
  EXPECT_EQ(made[4].measure, "splits");
  EXPECT_EQ(made[0].features[3], "decode_tokens");
  ASSERT_EQ(made[0].folds.size(), 3U);
  EXPECT_EQ(made[0].folds[1], folds[1].held_out);
  for (std::size_t f = 0; f < 3; ++f) {
    const auto expected = importance(outcome.fitted[f].ensemble());
    for (std::size_t j = 0; j < 6; ++j) {
      EXPECT_EQ(made[0].values[f][j], expected[j].gain());
      EXPECT_EQ(made[1].values[f][j], expected[j].total_gain);
      EXPECT_EQ(made[2].values[f][j], expected[j].cover());
      EXPECT_EQ(made[3].values[f][j], expected[j].total_cover);
      EXPECT_EQ(made[4].values[f][j], static_cast<double>(expected[j].weight));
    }
  }
}

TEST(Importance, OfAttributionsIsTheirMeanSizeOnTheTestRows) {
  const data_type data = tiny::noisy_steps(300, 22);
  const auto folds = folds_of(data);
  const auto outcome = evaluate_on_folds<forest>(data, folds);
  const importance_by_fold made = attribution_importance(outcome.fitted, data, folds);
  const auto steps = tiny::random_engine_steps(300, 22);
  for (std::size_t f = 0; f < 3; ++f) {
    const tree_attributions trees = explain(outcome.fitted[f].ensemble());
    auto work = trees.make_workspace();
    std::array<double, 6> phi{}, sum{};
    folds[f].test.for_each([&](std::size_t row) {
      trees.explain(tiny::mixture_of(steps[row]).data(), phi.data(), work);
      for (std::size_t j = 0; j < 6; ++j) sum[j] += std::abs(phi[j]);
    });
    for (std::size_t j = 0; j < 6; ++j) {
      EXPECT_NEAR(made.values[f][j], sum[j] / static_cast<double>(folds[f].test.size()), 1e-14);
    }
  }
  EXPECT_EQ(importance_stability(made, 1).features[0].name, "prefill_tokens");  // what the data were made with
}

TEST(Importance, OfALinePutsAttributionsAgainstItsTrainingRows) {
  const data_type data = tiny::noisy_steps(200, 23);
  const auto folds = folds_of(data);
  const auto outcome = evaluate_on_folds<line>(data, folds);
  const importance_by_fold made = attribution_importance(outcome.fitted, data, folds);
  const auto steps = tiny::random_engine_steps(200, 23);
  for (std::size_t f = 0; f < 3; ++f) {
    double mean = 0.0, size = 0.0;
    folds[f].train.for_each([&](std::size_t row) { mean += steps[row].prefill_tokens; });
    mean /= static_cast<double>(folds[f].train.size());
    folds[f].test.for_each([&](std::size_t row) { size += std::abs(steps[row].prefill_tokens - mean); });
    const double slope = std::abs(outcome.fitted[f].solution().coefficients[0]);
    const double expected = slope * size / static_cast<double>(folds[f].test.size());
    EXPECT_NEAR(made.values[f][0], expected, 1e-11 * expected);
  }
}

template <class Estimator> void expect_permuted_by_hand() {
  // Predictions of a dataset in which the column itself was shuffled, by the shuffle that the solver makes.
  const auto steps = tiny::random_engine_steps(150, 24);
  const auto time = [&](const tiny::engine_step& s, std::size_t) {
    return 1e-3 + 2e-5 * s.prefill_tokens + 1e-5 * s.decode_tokens;
  };
  const data_type data = tiny::dataset_of(steps, time);
  const auto folds = folds_of(data);
  const auto outcome = evaluate_on_folds<Estimator>(data, folds);
  const permutation_options once{.repeats = 1, .seed = 7};
  const importance_by_fold made = permuted_importance(outcome.fitted, data, folds, once);
  EXPECT_EQ(made.measure, "rise of MAPE when shuffled");
  constexpr std::size_t column = 3;  // decode_tokens: no other feature is made of it
  for (std::size_t f = 0; f < 3; ++f) {
    std::vector<std::size_t> rows;
    folds[f].test.for_each([&](std::size_t row) { rows.push_back(row); });
    std::vector<std::size_t> from = rows;
    detail::seeded_numbers random(once.seed + 0x9e3779b97f4a7c15U * (2 * column + 1));
    for (std::size_t i = rows.size(); i > 1; --i) std::swap(from[i - 1], from[random.below(i)]);
    auto moved = steps;
    for (std::size_t i = 0; i < rows.size(); ++i) moved[rows[i]].decode_tokens = steps[from[i]].decode_tokens;
    for (auto& s : moved) s.decode_requests = s.decode_tokens;
    const data_type shuffled = tiny::dataset_of(moved, time);
    const auto error_on = [&](const data_type& tested) {
      std::vector<double> predicted(rows.size());
      outcome.fitted[f].predict(tested, folds[f].test, std::span<double>(predicted));
      double sum = 0.0;
      for (std::size_t i = 0; i < rows.size(); ++i) sum += std::abs(predicted[i] / data.target()[rows[i]] - 1.0);
      return sum / static_cast<double>(rows.size());
    };
    EXPECT_NEAR(made.values[f][column], error_on(shuffled) - error_on(data), 1e-12);
    EXPECT_GT(made.values[f][column], 0.0);
  }
}
TEST(Importance, ByShufflingAColumnOfTreesIsTheErrorOnShuffledData) { expect_permuted_by_hand<forest>(); }
TEST(Importance, ByShufflingAColumnOfALineIsTheErrorOnShuffledData) { expect_permuted_by_hand<line>(); }

constexpr bounded<"per_token", 1e-9_c, 1e-5_c, 1_c, units::second> per_token{};
constexpr bounded<"floor", 1e-9_c, 1e-3_c, 1_c, units::second> floor_time{};

TEST(Importance, OfAHybridIsThatOfItsCorrection) {
  const data_type data = tiny::dataset_of(tiny::random_engine_steps(400, 25), [](const auto& s, std::size_t) {
    return (1e-3 + 2e-5 * s.prefill_tokens) * (s.kv_usage_ratio > 0.5 ? 1.5 : 1.0);
  });
  using physics = nonlinear<per_token*(prefill_tokens / one_token) + floor_time>;
  using corrected = hybrid<physics, only<"prefill_tokens", "kv_usage_ratio">(tiny::mixture)>;
  const auto folds = folds_of(data);
  const auto outcome = evaluate_on_folds<corrected>(data, folds);
  ASSERT_GT(outcome.fitted[0].strength(), 0.0);
  for (const importance_by_fold& made :
       {split_importance(outcome.fitted, folds), attribution_importance(outcome.fitted, data, folds),
        permuted_importance(outcome.fitted, data, folds)}) {
    ASSERT_EQ(made.features, (std::vector<std::string>{"prefill_tokens", "kv_usage_ratio"}));
    for (const auto& values : made.values) EXPECT_GT(values[1], 2.0 * std::abs(values[0])) << made.measure;
  }
}

importance_by_fold made_of(std::vector<std::vector<double>> values) {
  importance_by_fold made{"by hand", {}, {}, std::move(values)};
  for (std::size_t j = 0; j < made.values[0].size(); ++j)
    made.features.push_back(std::string(1, static_cast<char>('a' + j)));
  for (std::size_t f = 0; f < made.values.size(); ++f) made.folds.push_back("fold " + std::to_string(f));
  return made;
}

TEST(ImportanceStability, IsWhatIsComputedByHand) {
  // Ranks: 1 2 3 4 | 2 1 3 4 | 4 3 2 1. Pairs: d² 2, 20, 18: rho = 1 - 6 d²/60; discordant 1, 6, 5 of 6.
  const auto made = importance_stability(made_of({{8, 4, 2, 1}, {4, 8, 2, 1}, {1, 2, 4, 8}}), 2);
  EXPECT_DOUBLE_EQ(made.spearman.mean, (0.8 - 1.0 - 0.8) / 3.0);
  EXPECT_DOUBLE_EQ(made.spearman.worst, -1.0);
  EXPECT_NEAR(made.kendall.mean, (4.0 - 6.0 - 4.0) / 6.0 / 3.0, 1e-15);
  EXPECT_DOUBLE_EQ(made.kendall.worst, -1.0);
  EXPECT_DOUBLE_EQ(made.overlap.mean, 1.0 / 3.0);
  EXPECT_DOUBLE_EQ(made.overlap.worst, 0.0);
  EXPECT_EQ(made.overlap.pairs, 3U);
  ASSERT_EQ(made.features[0].name, "b");
  EXPECT_DOUBLE_EQ(made.features[0].mean, 2.0);
  EXPECT_EQ(made.features[0].best, 1.0);
  EXPECT_EQ(made.features[0].worst, 3.0);
  EXPECT_EQ(made.features[0].among, 2U);
  EXPECT_NEAR(made.features[0].share, (4.0 + 8.0 + 2.0) / 15.0 / 3.0, 1e-15);
}

TEST(ImportanceStability, GivesTiesTheirMeanRank) {
  // 1.5 1.5 3 against 1 2 3: Pearson of ranks 1.5/√(1.5·2); τ-b: 2 concordant, 1 tied: 2/√(2·3).
  const auto made = importance_stability(made_of({{5, 5, 1}, {9, 4, 1}}), 3);
  EXPECT_NEAR(made.spearman.mean, 1.5 / std::sqrt(3.0), 1e-15);
  EXPECT_NEAR(made.kendall.mean, 2.0 / std::sqrt(6.0), 1e-15);
  EXPECT_EQ(made.features[0].worst, 1.5);
}

TEST(ImportanceStability, CountsNoFeatureWithoutImportanceAmongTheFirst) {
  const auto made = importance_stability(made_of({{3, 0, 0, -1}, {2, 1, 0, 0}}), 3);
  EXPECT_DOUBLE_EQ(made.overlap.mean, 0.5);
  EXPECT_EQ(made.features.back().among, 0U);
}

TEST(ImportanceStability, LeavesOutPairsWithoutARanking) {
  const auto made = importance_stability(made_of({{0, 0}, {2, 1}, {2, 1}}));
  EXPECT_EQ(made.spearman.pairs, 1U);
  EXPECT_NEAR(made.spearman.worst, 1.0, 1e-15);
  EXPECT_EQ(made.k, 2U);
  EXPECT_TRUE(std::isnan(importance_stability(made_of({{0, 0}, {0, 0}})).kendall.mean));
}

TEST(ImportanceStability, IsATable) {
  const auto made = importance_stability(made_of({{3, 1}, {1, 3}}), 1);
  EXPECT_EQ(made.table(1).plain(""),
            "feature  mean rank  best  worst  share %  first 1\n"
            "---------------------------------------------------\n"
            "a             1.50     1      2     50.0  in 1 of 2\n");
  EXPECT_EQ(made.agreement().plain(""),
            "folds agree by            mean   worst  pairs\n"
            "---------------------------------------------\n"
            "Spearman rho            -1.000  -1.000      1\n"
            "Kendall tau-b           -1.000  -1.000      1\n"
            "overlap of the first 1   0.000   0.000      1\n");
}

TEST(ImportanceStability, RefusesWhatHasNoRanking) {
  EXPECT_EQ(message_of([] {
              importance_stability(made_of({{1, 2}}));
            }),
            "agreement of rankings takes two folds or more");
  EXPECT_EQ(message_of([] {
              importance_stability(made_of({{1, 2}, {1, std::nan("")}}));
            }),
            "the importance of 'b' is not a finite number in fold 'fold 1'");
  EXPECT_EQ(message_of([] {
              importance_stability(made_of({{1, 2}, {1}}));
            }),
            "1 values for 2 features in fold 'fold 1'");
}

TEST(ImportanceSection, CallsARankingStableByItsRule) {
  importance_by_fold same{"gain", {"a", "b", "c"}, {"x", "y"}, {{3, 2, 1}, {30, 20, 10}}};
  importance_by_fold turned = same;
  turned.values[1] = {10, 20, 30};
  importance_by_fold flat = same;
  flat.values = {{1, 1, 1}, {1, 1, 1}};
  const auto stable = importance_stability(same, 2), unstable = importance_stability(turned, 2);
  EXPECT_EQ(verdict_of(stable), stability_verdict::stable);
  EXPECT_EQ(verdict_of(unstable), stability_verdict::unstable);
  EXPECT_EQ(verdict_of(unstable, {.least_spearman = -1.0, .least_overlap = 0.5}), stability_verdict::stable);
  EXPECT_EQ(verdict_of(importance_stability(flat, 2)), stability_verdict::not_known);
  const report_section section = importance_section({{"forest", stable}, {"line", unstable}});
  EXPECT_EQ(section.summary, "1 of 2 rankings are stable over the folds. Not stable: line.");
  EXPECT_EQ(section.blocks.size(), 7U);
  const auto* first = std::get_if<paragraph>(&section.blocks[1]);
  ASSERT_NE(first, nullptr);
  EXPECT_NE(first->text.find("forest: the ranking is stable over 2 folds (mean rho 1.00, 100 % of the first 2"),
            std::string::npos)
      << first->text;
  EXPECT_EQ(importance_section({{"even", importance_stability(flat, 2)}, {"forest", stable}}).summary,
            "1 of 2 rankings are stable over the folds. Not known: even.");
}

TEST(ImportanceStability, HasNoOverlapOfAllFeatures) {
  const auto all = importance_stability(made_of({{8, 4, 2, 1}, {9, 4, 2, 1}}));  // the first 5 of 4
  EXPECT_EQ(all.overlap.pairs, 0U);
  EXPECT_TRUE(std::isnan(all.overlap.mean));
  EXPECT_EQ(verdict_of(all), stability_verdict::stable);
  EXPECT_EQ(verdict_of(importance_stability(made_of({{1, 2}, {2, 1}}))), stability_verdict::unstable);
  const report_section section = importance_section({{"forest", all}});
  EXPECT_NE(std::get_if<paragraph>(&section.blocks[1])->text.find("judged by rho alone"), std::string::npos);
}

}  // namespace
