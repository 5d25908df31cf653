// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/solver/boosted_trees.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "../support/message.hpp"
#include "rafter/core/random.hpp"

namespace {

using rafter::boosted_trees_fit;
using rafter::boosting_options;
using rafter::fit_boosted_trees;
using rafter::regression_tree;
using rafter::tree_ensemble;
using rafter::tree_loss;
using rafter::tree_training_data;

constexpr double missing = std::numeric_limits<double>::quiet_NaN();

// Column-major features, labels and weights.
struct sample {
  std::size_t rows, features;
  std::vector<double> x, y, w;

  sample(std::size_t rows_, std::size_t features_, std::uint64_t seed, double missing_share = 0.0)
      : rows(rows_), features(features_), x(rows_ * features_), y(rows_), w(rows_) {
    rafter::detail::seeded_numbers random(seed);
    for (double& each : x) each = random.normal();
    for (std::size_t i = 0; i < rows; ++i) {
      const auto at = [&](std::size_t f) { return x[f % features * rows + i]; };
      y[i] = std::exp(0.3 * at(0) + 0.2 * std::sin(3.0 * at(1)) + 0.2 * at(2) * at(0)) + 0.1 * random.uniform();
      w[i] = 0.25 + random.uniform();
    }
    for (double& each : x) {
      if (random.uniform() < missing_share) each = missing;
    }
  }
  tree_training_data data(bool weighted = false) const {
    return {{x.data(), rows, features}, y, weighted ? std::span<const double>(w) : std::span<const double>(), {}};
  }
  std::vector<double> row(std::size_t i) const {
    std::vector<double> values(features);
    for (std::size_t f = 0; f < features; ++f) values[f] = x[f * rows + i];
    return values;
  }
};

boosting_options small_options(std::size_t rounds = 10) {
  boosting_options options;
  options.rounds = rounds;
  options.max_depth = 4;
  return options;
}
double rmse_of(const tree_ensemble& ensemble, const sample& on) {
  double sum = 0.0;
  for (std::size_t i = 0; i < on.rows; ++i) {
    const double by = ensemble.predict(on.row(i).data()) - on.y[i];
    sum += by * by;
  }
  return std::sqrt(sum / static_cast<double>(on.rows));
}
std::size_t only_leaves(const tree_ensemble& ensemble) {
  std::size_t count = 0;
  for (const regression_tree& tree : ensemble.trees) count += tree.nodes.size() == 1 ? 1 : 0;
  return count;
}

const std::vector<tree_loss> every_loss{tree_loss::squared(), tree_loss::pseudo_huber(0.5), tree_loss::poisson(),
                                        tree_loss::gamma(), tree_loss::quantile(0.8)};

// -- one split -----------------------------------------------------------------------------------------------------------

// Chen and Guestrin 2016, equation 7 (twice it), for every way to divide the rows by a threshold and to send the missing.
TEST(BoostedTrees, SplitWhereTheGainIsLargest) {
  for (const std::uint64_t seed : {1U, 2U, 3U, 4U, 5U}) {
    const sample given(60, 3, seed, 0.15);
    boosting_options options;
    options.rounds = 1;
    options.max_depth = 1;
    options.lambda = 0.7;
    options.alpha = 0.3;
    options.min_child_weight = 4.0;
    options.base_score = 1.0;
    const boosted_trees_fit fit = fit_boosted_trees(given.data(true), tree_loss::squared(), options);
    const auto part = [&](double g, double h) {
      const double t = std::max(0.0, std::abs(g) - 0.3);
      return t * t / (h + 0.7);
    };
    double g_all = 0.0, h_all = 0.0;
    for (std::size_t i = 0; i < given.rows; ++i) {
      g_all += given.w[i] * (1.0 - given.y[i]);
      h_all += given.w[i];
    }
    double best = 0.0;
    for (std::size_t f = 0; f < 3; ++f) {
      for (std::size_t at = 0; at < given.rows; ++at) {
        for (const bool missing_left : {false, true}) {
          double g = 0.0, h = 0.0;
          for (std::size_t i = 0; i < given.rows; ++i) {
            const auto value = static_cast<float>(given.x[f * given.rows + i]);
            const bool left =
                value != value ? missing_left : value < static_cast<float>(given.x[f * given.rows + at]);
            g += left ? given.w[i] * (1.0 - given.y[i]) : 0.0;
            h += left ? given.w[i] : 0.0;
          }
          if (h < 4.0 || h_all - h < 4.0) continue;
          best = std::max(best, part(g, h) + part(g_all - g, h_all - h) - part(g_all, h_all));
        }
      }
    }
    const auto& nodes = fit.ensemble.trees[0].nodes;
    ASSERT_EQ(nodes.size(), 3U);
    EXPECT_NEAR(nodes[0].gain, best, 1e-6 * best);
    // And the leaves: -η T(G) / (H + λ) of the rows that arrive there.
    for (const std::size_t leaf : {1U, 2U}) {
      double g = 0.0, h = 0.0;
      for (std::size_t i = 0; i < given.rows; ++i) {
        if (fit.ensemble.trees[0].leaf_of(given.row(i).data()) != leaf) continue;
        g += given.w[i] * (1.0 - given.y[i]);
        h += given.w[i];
      }
      const double t = std::copysign(std::max(0.0, std::abs(g) - 0.3), g);
      EXPECT_NEAR(static_cast<double>(nodes[leaf].value), -0.3 * t / (h + 0.7), 1e-6);
      EXPECT_NEAR(nodes[leaf].cover, h, 1e-9);
    }
  }
}

TEST(BoostedTrees, TakeTheFirstOfEqualSplits) {
  // Features 1 and 2 are the same; between 1 and 9 nothing lies.
  const std::vector<double> x{5, 5, 5, 5, 0, 1, 9, 10, 0, 1, 9, 10};
  const std::vector<double> y{0, 0, 1, 1};
  boosting_options options = small_options(1);
  options.max_depth = 1;
  const auto fit = fit_boosted_trees({{x.data(), 4, 3}, y, {}, {}}, tree_loss::squared(), options);
  const rafter::tree_node& root = fit.ensemble.trees[0].nodes[0];
  EXPECT_EQ(root.feature, 1);
  EXPECT_EQ(root.threshold, 9.0F);
  EXPECT_FALSE(root.missing_left);
}

TEST(BoostedTrees, LearnWhereMissingValuesGo) {
  const std::vector<double> x{1, 2, 3, 4, missing, missing};
  for (const bool with_small : {true, false}) {
    const std::vector<double> y{0, 0, 8, 8, with_small ? 0.0 : 8.0, with_small ? 0.0 : 8.0};
    boosting_options options = small_options(1);
    const auto fit = fit_boosted_trees({{x.data(), 6, 1}, y, {}, {}}, tree_loss::squared(), options);
    EXPECT_EQ(fit.ensemble.trees[0].nodes[0].missing_left, with_small);
    EXPECT_EQ(fit.ensemble.trees[0].nodes[0].threshold, 3.0F);
  }
}

// The sentinel cut: numbers left, what is missing right. Rising: the missing ones must be the smaller.
TEST(BoostedTrees, TellMissingFromPresent) {
  const std::vector<double> x{7, 7, 7, missing, missing, missing};
  const std::vector<double> y{9, 9, 9, 0, 0, 0};
  boosting_options options = small_options(1);
  const tree_training_data data{{x.data(), 6, 1}, y, {}, {}};
  const auto node_of = [](const boosted_trees_fit& fit) { return fit.ensemble.trees[0].nodes[0]; };
  const auto free = node_of(fit_boosted_trees(data, tree_loss::squared(), options));
  EXPECT_EQ(free.threshold, 7.0F + (7.0F + 1e-5F));
  EXPECT_FALSE(free.missing_left);
  options.monotone = {1};
  const auto rising = node_of(fit_boosted_trees(data, tree_loss::squared(), options));
  EXPECT_LT(rising.threshold, 7.0F);
  EXPECT_TRUE(rising.missing_left);
}

// -- whole trainings -------------------------------------------------------------------------------------------------------

TEST(BoostedTrees, LowerTheirLoss) {
  const sample given(3000, 5, 3, 0.05);
  for (const tree_loss& loss : every_loss) {
    for (const bool weighted : {false, true}) {
      const auto fit = fit_boosted_trees(given.data(weighted), loss, small_options(40));
      ASSERT_EQ(fit.train_metric.size(), 40U);
      fit.ensemble.check();
      for (std::size_t r = 1; r < 40; ++r) {
        EXPECT_LT(fit.train_metric[r], fit.train_metric[r - 1] * (1.0 + 1e-6)) << loss.name() << " round " << r;
      }
      EXPECT_LT(fit.train_metric[39], 0.7 * fit.train_metric[0]) << loss.name();
      EXPECT_EQ(fit.metric, loss.metric_name());
      EXPECT_EQ(fit.best_round, 40U);
    }
  }
}

TEST(BoostedTrees, ReportTheMetricOfTheEnsemble) {
  const sample given(500, 4, 8, 0.1);
  for (const tree_loss& loss : every_loss) {
    const auto fit = fit_boosted_trees(given.data(true), loss, small_options());
    double sum = 0.0, total = 0.0;
    for (std::size_t i = 0; i < given.rows; ++i) {
      const double margin = fit.ensemble.margin(given.row(i).data());
      sum += given.w[i] * loss.visit([&](const auto& one) { return one.deviance(margin, given.y[i]); });
      total += given.w[i];
    }
    EXPECT_NEAR(loss.metric(sum / total), fit.train_metric.back(), 1e-12) << loss.name();
  }
}

TEST(BoostedTrees, FindQuantiles) {
  const sample given(4000, 3, 21);
  for (const double q : {0.1, 0.5, 0.9}) {
    const auto fit = fit_boosted_trees(given.data(), tree_loss::quantile(q), small_options(60));
    double below = 0.0;
    for (std::size_t i = 0; i < given.rows; ++i) {
      below += given.y[i] <= fit.ensemble.predict(given.row(i).data()) ? 1.0 : 0.0;
    }
    EXPECT_NEAR(below / 4000.0, q, 0.02);
  }
}

TEST(BoostedTrees, LearnEachRowWithoutLimits) {
  const sample given(200, 2, 5);
  boosting_options options = small_options(1);
  options.learning_rate = 1.0;
  options.lambda = 0.0;
  options.least_gain = 0.0;
  options.max_depth = 0;
  const auto fit = fit_boosted_trees(given.data(), tree_loss::squared(), options);
  EXPECT_LT(rmse_of(fit.ensemble, given), 1e-6);
}

TEST(BoostedTrees, DoNotDependOnTheNumberOfThreads) {
  const sample given(50'000, 11, 17, 0.05);
  for (const tree_loss& loss : {tree_loss::squared(), tree_loss::gamma(), tree_loss::quantile(0.7)}) {
    for (const bool loss_guided : {false, true}) {
      boosting_options options = small_options(3);
      options.max_depth = 5;
      options.subsample = 0.8;
      options.columns_per_node = 0.7;
      if (loss_guided) {
        options.growth = rafter::tree_growth::loss_guided;
        options.max_leaves = 10;
      }
      const auto one = fit_boosted_trees(given.data(), loss, options);
      for (const std::size_t threads : {2U, 3U}) {
        options.threads = threads;
        const auto several = fit_boosted_trees(given.data(), loss, options);
        EXPECT_EQ(several.ensemble.trees, one.ensemble.trees) << loss.name() << ", threads " << threads;
        EXPECT_EQ(several.train_metric, one.train_metric) << loss.name() << ", threads " << threads;
      }
    }
  }
}

TEST(BoostedTrees, AreTheSameForRowsInAnotherOrder) {
  const sample given(5000, 4, 30, 0.1);
  sample turned = given;
  for (std::size_t f = 0; f < 4; ++f) {
    std::reverse(turned.x.begin() + static_cast<std::ptrdiff_t>(f * 5000),
                 turned.x.begin() + static_cast<std::ptrdiff_t>((f + 1) * 5000));
  }
  std::reverse(turned.y.begin(), turned.y.end());
  boosting_options options = small_options(5);
  options.base_score = 1.0;
  const auto a = fit_boosted_trees(given.data(), tree_loss::squared(), options);
  const auto b = fit_boosted_trees(turned.data(), tree_loss::squared(), options);
  EXPECT_EQ(a.ensemble.trees, b.ensemble.trees);
}

TEST(BoostedTrees, TakeWeightTwoForTwoRowsAndWeightZeroForNone) {
  const sample once(400, 3, 12, 0.1);
  std::vector<double> weight(400, 1.0);
  sample twice(0, 3, 1);
  for (std::size_t i = 0; i < 400; ++i) {
    weight[i] = static_cast<double>(i % 3);
    for (std::size_t k = 0; k < i % 3; ++k) {
      twice.y.push_back(once.y[i]);
      ++twice.rows;
    }
  }
  for (std::size_t f = 0; f < 3; ++f) {
    for (std::size_t i = 0; i < 400; ++i) twice.x.insert(twice.x.end(), i % 3, once.x[f * 400 + i]);
  }
  boosting_options options = small_options();
  options.base_score = 1.0;
  tree_training_data weighted = once.data();
  weighted.weights = weight;
  const rafter::tree_cuts cuts = rafter::find_tree_cuts(weighted.x);
  const auto a = fit_boosted_trees(weighted, tree_loss::squared(), options, {.cuts = &cuts});
  const auto b = fit_boosted_trees(twice.data(), tree_loss::squared(), options, {.cuts = &cuts});
  ASSERT_EQ(a.ensemble.trees.size(), b.ensemble.trees.size());
  for (std::size_t t = 0; t < a.ensemble.trees.size(); ++t) {
    const auto& left = a.ensemble.trees[t].nodes;
    const auto& right = b.ensemble.trees[t].nodes;
    ASSERT_EQ(left.size(), right.size());
    for (std::size_t i = 0; i < left.size(); ++i) {
      EXPECT_EQ(left[i].feature, right[i].feature);
      EXPECT_EQ(left[i].threshold, right[i].threshold);
      EXPECT_NEAR(static_cast<double>(left[i].value), static_cast<double>(right[i].value), 1e-6);
    }
  }
}

TEST(BoostedTrees, BeginAtTheMeanOrWhereTheyAreTold) {
  const sample given(300, 2, 6);
  double mean = 0.0;
  for (const double y : given.y) mean += y / 300.0;
  boosting_options options = small_options(1);
  EXPECT_NEAR(fit_boosted_trees(given.data(), tree_loss::squared(), options).ensemble.base, mean, 1e-12);
  EXPECT_NEAR(fit_boosted_trees(given.data(), tree_loss::gamma(), options).ensemble.base, std::log(mean), 1e-12);
  options.base_score = 2.5;
  EXPECT_EQ(fit_boosted_trees(given.data(), tree_loss::squared(), options).ensemble.base, 2.5);
  EXPECT_DOUBLE_EQ(fit_boosted_trees(given.data(), tree_loss::poisson(), options).ensemble.base, std::log(2.5));
}

TEST(BoostedTrees, GoOnFromAnEnsemble) {
  const sample given(2000, 4, 14, 0.1);
  for (const tree_loss& loss : every_loss) {
    boosting_options options = small_options(10);
    options.subsample = 0.7;
    const auto whole = fit_boosted_trees(given.data(), loss, options);
    options.rounds = 4;
    const auto first = fit_boosted_trees(given.data(), loss, options);
    options.rounds = 6;
    const auto both = fit_boosted_trees(given.data(), loss, options, {.start = &first.ensemble});
    ASSERT_EQ(both.ensemble.trees.size(), 10U);
    EXPECT_EQ(both.best_round, 6U);
    EXPECT_NEAR(both.train_metric.back(), whole.train_metric.back(), 1e-6 * whole.train_metric.back()) << loss.name();
    for (std::size_t t = 0; t < 4; ++t) EXPECT_EQ(both.ensemble.trees[t], whole.ensemble.trees[t]);
  }
}

// -- early stopping --------------------------------------------------------------------------------------------------------

TEST(BoostedTrees, StopWhenValidationNoLongerImproves) {
  sample given(400, 3, 40), held(400, 3, 41);
  rafter::detail::seeded_numbers random(7);
  for (double& y : given.y) y += 0.5 * random.normal();
  for (double& y : held.y) y += 0.5 * random.normal();
  boosting_options options = small_options(500);
  options.early_stopping_rounds = 7;
  const tree_training_data validation = held.data();
  const auto fit = fit_boosted_trees(given.data(), tree_loss::squared(), options, {.validation = &validation});
  EXPECT_TRUE(fit.stopped_early);
  const auto best = std::min_element(fit.validation_metric.begin(), fit.validation_metric.end());
  EXPECT_EQ(fit.best_round, static_cast<std::size_t>(best - fit.validation_metric.begin()) + 1);
  EXPECT_EQ(fit.validation_metric.size(), fit.best_round + 7);
  EXPECT_EQ(fit.train_metric.size(), fit.validation_metric.size());
  EXPECT_EQ(fit.ensemble.trees.size(), fit.best_round);
  EXPECT_NEAR(rmse_of(fit.ensemble, held), *best, 1e-12);
}

TEST(BoostedTrees, ReportValidationWithoutStopping) {
  const sample given(400, 3, 40), held(300, 3, 41);
  const tree_training_data validation = held.data(true);
  const auto fit =
      fit_boosted_trees(given.data(), tree_loss::squared(), small_options(12), {.validation = &validation});
  EXPECT_EQ(fit.validation_metric.size(), 12U);
  EXPECT_EQ(fit.ensemble.trees.size(), 12U);
  EXPECT_FALSE(fit.stopped_early);
}

TEST(BoostedTrees, TellTheirProgress) {
  const sample given(100, 2, 1);
  std::vector<std::size_t> done;
  fit_boosted_trees(given.data(), tree_loss::squared(), small_options(4),
                    {.progress = [&](std::string_view stage, std::size_t now, std::size_t total) {
                      EXPECT_EQ(stage, "boosting");
                      EXPECT_EQ(total, 4U);
                      done.push_back(now);
                    }});
  EXPECT_EQ(done, (std::vector<std::size_t>{1, 2, 3, 4}));
}

// -- constraints -----------------------------------------------------------------------------------------------------------

TEST(BoostedTrees, RiseAndFallWhereTheyMust) {
  const sample given(3000, 3, 50, 0.1);
  for (const tree_loss& loss : every_loss) {
    for (const bool loss_guided : {false, true}) {
      boosting_options options = small_options(25);
      options.monotone = {1, 0, -1};
      options.max_depth = 6;
      if (loss_guided) {
        options.growth = rafter::tree_growth::loss_guided;
        options.max_leaves = 20;
      }
      const auto fit = fit_boosted_trees(given.data(), loss, options);
      for (const std::size_t feature : {0U, 2U}) {
        bool moves = false;
        for (std::size_t i = 0; i < 60; ++i) {
          std::vector<double> row = given.row(i);
          double before = 0.0;
          for (int step = -40; step <= 40; ++step) {
            row[feature] = 0.1 * step;
            const double now = fit.ensemble.margin(row.data());
            if (step > -40) {
              const double change = (now - before) * (feature == 0 ? 1.0 : -1.0);
              ASSERT_GE(change, -1e-12) << loss.name() << ", feature " << feature << " at " << row[feature];
              moves = moves || change > 1e-3;
            }
            before = now;
          }
        }
        EXPECT_TRUE(moves) << loss.name() << ", feature " << feature;
      }
    }
  }
}

// On any path at most one set that holds every feature asked before.
TEST(BoostedTrees, CombineOnlyFeaturesThatMayInteract) {
  const sample given(3000, 6, 51);
  boosting_options options = small_options(30);
  options.max_depth = 5;
  options.interactions = {{0, 1}, {1, 2, 3}, {4}};
  const auto fit = fit_boosted_trees(given.data(), tree_loss::squared(), options);
  std::set<std::set<int>> seen;
  for (const regression_tree& tree : fit.ensemble.trees) {
    std::vector<std::set<int>> path(tree.nodes.size());
    for (std::size_t i = 0; i < tree.nodes.size(); ++i) {
      const rafter::tree_node& node = tree.nodes[i];
      if (node.leaf()) {
        seen.insert(path[i]);
        continue;
      }
      for (const std::int32_t child : {node.left, node.right}) {
        path[static_cast<std::size_t>(child)] = path[i];
        path[static_cast<std::size_t>(child)].insert(node.feature);
      }
    }
  }
  const std::vector<std::set<int>> sets{{0, 1}, {1, 2, 3}, {4}, {5}};  // 5 is in no set: alone
  for (const std::set<int>& path : seen) {
    EXPECT_TRUE(std::any_of(sets.begin(), sets.end(), [&](const std::set<int>& set) {
      return std::includes(set.begin(), set.end(), path.begin(), path.end());
    }));
  }
  EXPECT_TRUE(seen.contains({0, 1}));
  EXPECT_FALSE(seen.contains({0, 2}));
}

TEST(BoostedTrees, KeepToDepthLeavesAndWeight) {
  const sample given(4000, 4, 52);
  boosting_options options = small_options(5);
  options.max_depth = 3;
  options.min_child_weight = 50.0;
  for (const auto& tree : fit_boosted_trees(given.data(), tree_loss::squared(), options).ensemble.trees) {
    EXPECT_LE(tree.depth(), 3U);
    for (const auto& node : tree.nodes) EXPECT_GE(node.cover, 50.0);
  }
  options.max_depth = 0;
  options.max_leaves = 13;
  for (const auto growth : {rafter::tree_growth::depth_wise, rafter::tree_growth::loss_guided}) {
    options.growth = growth;
    for (const auto& tree : fit_boosted_trees(given.data(), tree_loss::squared(), options).ensemble.trees) {
      EXPECT_EQ(tree.leaves(), 13U);
    }
  }
  options.gamma = 1e9;
  EXPECT_EQ(only_leaves(fit_boosted_trees(given.data(), tree_loss::squared(), options).ensemble), 5U);
}

TEST(BoostedTrees, DrawColumnsForTreesLevelsAndNodes) {
  const sample given(2000, 8, 53);
  const auto features_of = [](const regression_tree& tree, std::size_t level) {
    std::set<int> used;
    std::vector<std::size_t> depth(tree.nodes.size());
    for (std::size_t i = 0; i < tree.nodes.size(); ++i) {
      if (tree.nodes[i].leaf()) continue;
      depth[static_cast<std::size_t>(tree.nodes[i].left)] = depth[static_cast<std::size_t>(tree.nodes[i].right)] =
          depth[i] + 1;
      if (level == 99 || depth[i] == level) used.insert(tree.nodes[i].feature);
    }
    return used;
  };
  boosting_options options = small_options(12);
  options.columns_per_tree = 0.25;
  std::set<int> over_trees;
  for (const auto& tree : fit_boosted_trees(given.data(), tree_loss::squared(), options).ensemble.trees) {
    EXPECT_LE(features_of(tree, 99).size(), 2U);
    over_trees.merge(features_of(tree, 99));
  }
  EXPECT_GT(over_trees.size(), 4U);
  options.columns_per_tree = 1.0;
  options.columns_per_level = 0.125;
  std::size_t most = 0;
  for (const auto& tree : fit_boosted_trees(given.data(), tree_loss::squared(), options).ensemble.trees) {
    for (std::size_t level = 0; level < 4; ++level) EXPECT_LE(features_of(tree, level).size(), 1U);
    most = std::max(most, features_of(tree, 99).size());
  }
  EXPECT_GT(most, 1U);
  options.columns_per_level = 1.0;
  options.columns_per_node = 0.125;
  most = 0;
  for (const auto& tree : fit_boosted_trees(given.data(), tree_loss::squared(), options).ensemble.trees) {
    most = std::max(most, features_of(tree, 3).size());
  }
  EXPECT_GT(most, 1U);
}

TEST(BoostedTrees, DrawTheSameRowsFromTheSameSeed) {
  const sample given(2000, 3, 54);
  boosting_options options = small_options(6);
  options.subsample = 0.5;
  const auto a = fit_boosted_trees(given.data(), tree_loss::squared(), options);
  EXPECT_EQ(fit_boosted_trees(given.data(), tree_loss::squared(), options).ensemble.trees, a.ensemble.trees);
  EXPECT_NEAR(a.ensemble.trees[0].nodes[0].cover, 1000.0, 100.0);
  std::set<double> covers;
  for (const auto& tree : a.ensemble.trees) covers.insert(tree.nodes[0].cover);
  EXPECT_GE(covers.size(), 4U);
  options.seed = 1;
  EXPECT_NE(fit_boosted_trees(given.data(), tree_loss::squared(), options).ensemble.trees, a.ensemble.trees);
}

// -- input that says little, or nothing --------------------------------------------------------------------------------------

TEST(BoostedTrees, MakeLeavesOfWhatCannotBeSplit) {
  const std::vector<double> constant(20, 3.0), nothing(20, missing), x{1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  std::vector<double> y(20);
  for (std::size_t i = 0; i < 20; ++i) y[i] = static_cast<double>(i % 5) + 1.0;
  boosting_options options = small_options(3);
  options.min_child_weight = 0.0;
  options.lambda = 0.0;
  for (const tree_loss& loss : every_loss) {
    for (const auto& column : {constant, nothing}) {
      const auto fit = fit_boosted_trees({{column.data(), 20, 1}, y, {}, {}}, loss, options);
      EXPECT_EQ(only_leaves(fit.ensemble), 3U) << loss.name();
      fit.ensemble.check();
    }
    const std::vector<double> same(10, 2.0);
    const auto alike = fit_boosted_trees({{x.data(), 10, 1}, same, {}, {}}, loss, options);
    EXPECT_EQ(only_leaves(alike.ensemble), 3U) << loss.name();
    EXPECT_NEAR(alike.ensemble.predict(x.data()), 2.0, 1e-6) << loss.name();
    const auto one_row = fit_boosted_trees({{x.data(), 1, 1}, std::span(y).first(1), {}, {}}, loss, options);
    EXPECT_EQ(only_leaves(one_row.ensemble), 3U) << loss.name();
    EXPECT_NEAR(one_row.ensemble.predict(x.data()), 1.0, 1e-6) << loss.name();
  }
}

TEST(BoostedTrees, LearnAStepOfOneFeature) {
  const std::vector<float> x{1, 2, 3, 4};
  const std::vector<double> y{1, 1, 5, 5};
  boosting_options options = small_options(60);
  const auto fit = fit_boosted_trees({{x.data(), 4, 1}, y, {}, {}}, tree_loss::squared(), options);
  const double two = 2.0, three = 3.0, unknown = missing;
  EXPECT_NEAR(fit.ensemble.predict(&two), 1.0, 1e-3);
  EXPECT_NEAR(fit.ensemble.predict(&three), 5.0, 1e-3);
  EXPECT_EQ(fit.ensemble.predict(&unknown), fit.ensemble.predict(&three));  // never missing in training: right
}

// XGBoost's least gain is absolute: times in seconds are too small for it. In microseconds they are not.
TEST(BoostedTrees, NeedLabelsThatAreNotTiny) {
  sample given(500, 3, 60);
  for (double& y : given.y) y *= 1e-6;
  boosting_options options = small_options(3);
  EXPECT_EQ(only_leaves(fit_boosted_trees(given.data(), tree_loss::squared(), options).ensemble), 3U);
  options.least_gain = 0.0;
  EXPECT_EQ(only_leaves(fit_boosted_trees(given.data(), tree_loss::squared(), options).ensemble), 0U);
}

TEST(BoostedTrees, TakeLargeLabels) {
  sample given(500, 3, 61);
  const auto normal = fit_boosted_trees(given.data(), tree_loss::squared(), small_options());
  for (double& y : given.y) y *= 0x1p80;
  const auto large = fit_boosted_trees(given.data(), tree_loss::squared(), small_options());
  EXPECT_NEAR(large.train_metric.back() / 0x1p80, normal.train_metric.back(), 1e-6);
}

// -- refusals ------------------------------------------------------------------------------------------------------------

TEST(BoostedTrees, RefuseBadData) {
  const sample given(10, 2, 1);
  const auto said = [&](auto change) {
    sample made = given;
    tree_training_data data = made.data(true);
    change(made, data);
    return message_of([&] { fit_boosted_trees(data, tree_loss::squared(), small_options()); });
  };
  const std::string place = "rafter: boosted_trees: ";
  EXPECT_EQ(said([](sample& s, auto& d) { d.labels = std::span(s.y).first(9); }), place + "9 labels for 10 rows");
  EXPECT_EQ(said([](sample& s, auto& d) { d.weights = std::span(s.w).first(9); }), place + "9 weights for 10 rows");
  EXPECT_EQ(said([](sample& s, auto& d) { d.x = {s.x.data(), 0, 2}; }), place + "no rows");
  EXPECT_EQ(said([](sample& s, auto& d) { d.x = {s.x.data(), 10, 0}; }), place + "no features");
  EXPECT_EQ(said([](sample&, auto& d) { d.names = {"a"}; }), place + "1 names for 2 features");
  EXPECT_EQ(said([](sample& s, auto&) { s.w[3] = -1.0; }),
            place + "weight -1 of row 3, must be a finite number, 0 or more (up to 1e30)");
  EXPECT_EQ(said([](sample& s, auto&) { s.w[3] = missing; }),
            place + "weight nan of row 3, must be a finite number, 0 or more (up to 1e30)");
  EXPECT_EQ(said([](sample& s, auto&) { s.w.assign(10, 0.0); }), place + "all weights are 0");
  EXPECT_EQ(said([](sample& s, auto&) { s.y[4] = missing; }),
            "rafter: tree_loss: squared error: label nan of row 4, must be a finite number (up to 1e30)");
  EXPECT_EQ(said([](sample& s, auto& d) {
              s.x[15] = std::numeric_limits<double>::infinity();
              d.names = {"a", "b"};
            }),
            "rafter: tree_bins: feature 1 (b), row 5: not a finite number as float");
}

TEST(BoostedTrees, RefuseBadOptions) {
  const sample given(10, 2, 1);
  const auto said = [&](auto change) {
    boosting_options options;
    change(options);
    return message_of([&] { fit_boosted_trees(given.data(), tree_loss::squared(), options); });
  };
  const std::string place = "rafter: boosted_trees: ";
  EXPECT_EQ(said([](auto& o) { o.learning_rate = 0.0; }), place + "learning_rate 0, must be positive");
  EXPECT_EQ(said([](auto& o) { o.lambda = -1.0; }), place + "lambda -1, must be 0 or more");
  EXPECT_EQ(said([](auto& o) { o.alpha = missing; }), place + "alpha nan, must be 0 or more");
  EXPECT_EQ(said([](auto& o) { o.gamma = -2.0; }), place + "gamma -2, must be 0 or more");
  EXPECT_EQ(said([](auto& o) { o.min_child_weight = -2.0; }), place + "min_child_weight -2, must be 0 or more");
  EXPECT_EQ(said([](auto& o) { o.subsample = 0.0; }), place + "subsample 0, must be above 0 and at most 1");
  EXPECT_EQ(said([](auto& o) { o.columns_per_level = 1.5; }),
            place + "columns_per_level 1.5, must be above 0 and at most 1");
  EXPECT_EQ(said([](auto& o) { o.max_bins = 1; }), place + "max_bins 1, must be 2 to 256");
  EXPECT_EQ(said([](auto& o) { o.max_bins = 257; }), place + "max_bins 257, must be 2 to 256");
  EXPECT_EQ(said([](auto& o) { o.monotone = {1}; }), place + "monotone has 1 entries for 2 features");
  EXPECT_EQ(said([](auto& o) { o.monotone = {0, 2}; }), place + "monotone of feature 1 is 2, must be -1, 0 or 1");
  EXPECT_EQ(said([](auto& o) {
              o.interactions = {{0}, {1, 2}};
            }),
            place + "interactions: set 1 names feature 2 of 2");
  EXPECT_EQ(said([](auto& o) { o.early_stopping_rounds = 3; }),
            place + "early_stopping_rounds without validation data");
  EXPECT_EQ(said([](auto& o) { o.base_score = missing; }),
            place + "base_score nan, must be a finite number (up to 1e30)");
}

TEST(BoostedTrees, RefuseWhatDoesNotBelongTogether) {
  const sample given(10, 2, 1), other(10, 3, 2);
  const boosting_options options = small_options(2);
  const auto fit = fit_boosted_trees(given.data(), tree_loss::squared(), options);
  const std::string place = "rafter: boosted_trees: ";
  const tree_training_data validation = other.data();
  EXPECT_EQ(message_of(
                [&] { fit_boosted_trees(given.data(), tree_loss::squared(), options, {.validation = &validation}); }),
            place + "validation: 3 features, the training data have 2");
  EXPECT_EQ(
      message_of([&] { fit_boosted_trees(other.data(), tree_loss::squared(), options, {.start = &fit.ensemble}); }),
      place + "start: an ensemble of 2 features for 3");
  EXPECT_EQ(
      message_of([&] { fit_boosted_trees(given.data(), tree_loss::gamma(), options, {.start = &fit.ensemble}); }),
      place + "start: an ensemble with another link than gamma deviance");
}

}  // namespace
