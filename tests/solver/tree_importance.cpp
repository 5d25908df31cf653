// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/solver/tree_importance.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numeric>
#include <vector>

namespace {

using rafter::permutation_importance;
using rafter::permutation_result;
using rafter::tree_ensemble;
using rafter::tree_error;

TEST(TreeImportance, CountsAndSumsTheSplitsOfEachFeature) {
  tree_ensemble made{.features = 3};
  made.trees.push_back({{{.left = 1, .right = 2, .feature = 2, .gain = 9.0, .cover = 8.0},
                         {.left = 3, .right = 4, .feature = 0, .gain = 3.0, .cover = 6.0},
                         {.cover = 2.0},
                         {.cover = 5.0},
                         {.cover = 1.0}}});
  made.trees.push_back({{{.left = 1, .right = 2, .feature = 2, .gain = 1.0, .cover = 8.0}, {}, {}}});
  const auto each = rafter::importance(made);
  ASSERT_EQ(each.size(), 3U);
  EXPECT_EQ(each[2].weight, 2U);
  EXPECT_EQ(each[2].total_gain, 10.0);
  EXPECT_EQ(each[2].gain(), 5.0);
  EXPECT_EQ(each[2].total_cover, 16.0);
  EXPECT_EQ(each[2].cover(), 8.0);
  EXPECT_EQ(each[0].gain(), 3.0);
  EXPECT_EQ(each[1].weight, 0U);
  EXPECT_EQ(each[1].gain(), 0.0);
}

constexpr std::size_t rows = 500;
// y = 3 a + b with a, b of variance 1 and a third column that nothing depends on.
struct linear_world {
  std::vector<double> x = std::vector<double>(3 * rows), y = std::vector<double>(rows);
  std::size_t calls = 0;

  linear_world() {
    rafter::detail::seeded_numbers random(3);
    for (double& each : x) each = random.normal();
    for (std::size_t i = 0; i < rows; ++i) y[i] = 3.0 * x[i] + x[rows + i];
  }
  permutation_result run(std::uint64_t seed, std::size_t repeats) {
    return permutation_importance(
        x, rows,
        [&](std::span<const double> columns, std::span<double> out) {
          ++calls;
          for (std::size_t i = 0; i < rows; ++i) out[i] = 3.0 * columns[i] + columns[rows + i];
        },
        [&](std::span<const double> predictions) {
          double sum = 0.0;
          for (std::size_t i = 0; i < rows; ++i) sum += (predictions[i] - y[i]) * (predictions[i] - y[i]);
          return sum / rows;
        },
        {.repeats = repeats, .seed = seed});
  }
};

// Where every row gets every other's value equally often, the mean of (x_i - x_j)² is twice the variance (divisor n).
TEST(PermutationImportance, RisesAsAUniformShuffleMust) {
  linear_world world;
  const permutation_result found = world.run(5, 60);
  EXPECT_EQ(found.loss, 0.0);
  EXPECT_EQ(world.calls, 1U + 3U * 60U);
  for (const auto& [column, factor] : {std::pair<std::size_t, double>{0, 9.0}, {1, 1.0}}) {
    const double* const values = world.x.data() + column * rows;
    const double mean = std::accumulate(values, values + rows, 0.0) / rows;
    double variance = 0.0;
    for (std::size_t i = 0; i < rows; ++i) variance += (values[i] - mean) * (values[i] - mean) / rows;
    const double wanted = factor * 2.0 * variance;
    const double error = found.columns[column].error(60);
    EXPECT_GT(error, 0.0);
    EXPECT_LT(error, 0.02 * wanted);
    EXPECT_NEAR(found.columns[column].mean, wanted, 4.0 * error);
  }
  EXPECT_EQ(found.columns[2].mean, 0.0);
  EXPECT_EQ(found.columns[2].deviation, 0.0);
}

TEST(PermutationImportance, DependsOnTheSeedAlone) {
  linear_world world;
  EXPECT_EQ(world.run(5, 3).columns[0].mean, world.run(5, 3).columns[0].mean);
  EXPECT_NE(world.run(5, 3).columns[0].mean, world.run(6, 3).columns[0].mean);
  EXPECT_TRUE(std::isnan(world.run(5, 1).columns[0].deviation));
}

// Six permutations of three rows, each as often as the others: chi-squared with 5 degrees of freedom is below 20.5
// in 99.9 % of cases.
TEST(PermutationImportance, EveryPermutationIsEquallyLikely) {
  const std::vector<double> x{1.0, 2.0, 3.0};
  std::map<std::vector<double>, int> seen;
  static_cast<void>(permutation_importance(
      x, 3,
      [&](std::span<const double> columns, std::span<double>) {
        ++seen[std::vector<double>(columns.begin(), columns.end())];
      },
      [](std::span<const double>) { return 0.0; }, {.repeats = 6000, .seed = 11}));
  --seen[x];  // the one that was not shuffled
  ASSERT_EQ(seen.size(), 6U);
  double chi_squared = 0.0;
  for (const auto& [order, times] : seen) chi_squared += (times - 1000.0) * (times - 1000.0) / 1000.0;
  EXPECT_LT(chi_squared, 20.5);
}

TEST(PermutationImportance, RefusesSizesThatDisagree) {
  const std::vector<double> x(5);
  const auto predict = [](std::span<const double>, std::span<double>) {};
  const auto loss = [](std::span<const double>) { return 0.0; };
  EXPECT_THROW(static_cast<void>(permutation_importance(x, 2, predict, loss)), tree_error);
  EXPECT_THROW(static_cast<void>(permutation_importance(x, 0, predict, loss)), tree_error);
  EXPECT_THROW(static_cast<void>(permutation_importance(x, 5, predict, loss, {.repeats = 0})), tree_error);
}

}  // namespace
