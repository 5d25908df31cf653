// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// The public study's boosted trees on blis_steps: the time itself, 30 proxy features, its hyper-parameters, per
// experiment. It drew its samples of rows and features otherwise, so its figures can only be met within what seeds do.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <utility>
#include <vector>

#include "rafter/estimator/trees.hpp"
#include "rafter/evaluation/tree_predictors.hpp"
#include "rafter/feature/catalog/kv_proxies.hpp"
#include "rafter/io/blis_steps.hpp"
#include "rafter/validation/temporal.hpp"
#include "support/data.hpp"

namespace {

using namespace rafter;

constexpr std::size_t seeds = 10;

/// study_boosting with another seed.
template <std::size_t Depth, std::size_t Seed> struct seeded {
  static boosting_options options() {
    boosting_options made = study_boosting<Depth>::options();
    made.seed = Seed;
    return made;
  }
};

struct spread {
  double of_the_study_seed = 0.0, mean = 0.0, deviation = 0.0, least = 0.0, most = 0.0;
};

/// MAPE [%] of each experiment's last fifth.
template <std::size_t Depth, std::size_t Seed> double mape(const dataset<blis_schema>& data, const fold& part) {
  std::vector<double> predicted(part.test.size());
  trees<catalog::kv_proxies, objective::squared, seeded<Depth, Seed>>::fit(data, part.train)
      .predict(data, part.test, predicted);
  double sum = 0.0;
  std::size_t at = 0;
  part.test.for_each([&](std::size_t row) { sum += std::abs(predicted[at++] / data.target()[row] - 1.0); });
  return 100.0 * sum / static_cast<double>(at);
}

template <std::size_t Depth> std::vector<spread> spreads(const dataset<blis_schema>& data) {
  std::vector<spread> made;
  for (const fold& part : temporal{}.folds(data)) {
    const auto all = [&]<std::size_t... Seed>(std::index_sequence<Seed...>) {
      return std::array{mape<Depth, Seed>(data, part)...};
    }
    (std::make_index_sequence<seeds>{});
    spread found;
    found.of_the_study_seed = mape<Depth, 42>(data, part);
    for (const double one : all) found.mean += one / seeds;
    for (const double one : all) found.deviation += (one - found.mean) * (one - found.mean) / (seeds - 1);
    found.deviation = std::sqrt(found.deviation);
    found.least = *std::min_element(all.begin(), all.end());
    found.most = *std::max_element(all.begin(), all.end());
    std::printf("depth %zu, %-34s seed 42: %7.3f %%; of %zu seeds: mean %7.3f, deviation %6.3f, %7.3f ... %7.3f\n",
                Depth, part.held_out.c_str(), found.of_the_study_seed, seeds, found.mean, found.deviation,
                found.least, found.most);
    made.push_back(found);
  }
  return made;
}

TEST(TreeFigures, OfTheStudyAreWithinWhatOtherSeedsGive) {
  const auto path = data_folder() / "blis_steps" / "steps.csv";
  if (!std::filesystem::exists(path))
    GTEST_SKIP() << "no blis_steps under RAFTER_DATA: the study's trees not checked";
  const auto data = read_blis_steps(path.string());
  const auto of_four = spreads<4>(data), of_eight = spreads<8>(data);
  ASSERT_EQ(of_four.size(), 3U);
  const auto expect_near = [](const spread& found, double published) {
    EXPECT_NEAR(published, found.mean, 3.0 * found.deviation);
    EXPECT_LT(found.deviation, 0.01 * found.mean);
  };
  expect_near(of_four[0], 55.4);    // llama-2-70b, general
  expect_near(of_four[1], 31.1);    // llama-2-70b, codegen
  expect_near(of_eight[2], 121.5);  // codellama-34b, general: the depth that it chose there
}

TEST(TreeFigures, AreThoseOfThePredictorsByTheirNames) {
  const auto path = data_folder() / "blis_steps" / "steps.csv";
  if (!std::filesystem::exists(path))
    GTEST_SKIP() << "no blis_steps under RAFTER_DATA: the study's trees not checked";
  const auto data = read_blis_steps(path.string());
  const fold part = temporal{}.folds(data)[1];
  std::vector<double> predicted(part.test.size()), expected = predicted;
  predictors::trees_study_proxies::fit(data, part.train).predict(data, part.test, predicted);
  trees<catalog::kv_proxies, objective::squared, seeded<4, 42>>::fit(data, part.train)
      .predict(data, part.test, expected);
  EXPECT_EQ(predicted, expected);
}

}  // namespace
