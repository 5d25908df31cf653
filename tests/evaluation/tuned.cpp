// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/evaluation/tuned.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "rafter/evaluation/evaluate.hpp"
#include "rafter/validation/leave_one_group_out.hpp"
#include "rafter/validation/nested.hpp"
#include "support/engine_steps.hpp"

namespace {

using namespace rafter;
using data_type = dataset<tiny::aggregated>;
using tuned = tuned_ridge<tiny::mixture, lomo, objective::relative>;
using tuned_by_worst = tuned_ridge<tiny::mixture, lomo, objective::relative, tuning_criterion::worst_fold>;

/// Noisy steps whose weights (1/time²) are small enough for the grid to matter.
data_type slow_steps(unsigned seed) {
  const auto steps = tiny::random_engine_steps(240, seed);
  return tiny::dataset_of(steps, [](const tiny::engine_step& s, std::size_t i) {
    return 2.0 + 0.01 * s.prefill_tokens + 0.5 * static_cast<double>((i * i + 3 * i) % 17) +
           static_cast<double>(s.engine * s.engine % 5);
  });
}

/// Every inner fold fitted anew for every penalty, by `folds_inside`.
std::vector<std::vector<double>> brute_force(const data_type& data, const row_set& rows) {
  std::vector<std::vector<double>> scores;
  for (const double alpha : tuned::grid) {
    scores.emplace_back();
    for (const fold& part : folds_inside(fold{"outer", rows, {}, {}}, lomo{}, data)) {
      const detail::linear_rows<tiny::mixture_t::set_type, objective::relative, tiny::aggregated> all(data,
                                                                                                      part.train);
      const linear_predictor<tiny::mixture_t::set_type, objective::relative> fitted(
          ridge_with{alpha}.solve(all.equations(part.train), &all), true);
      std::vector<double> predicted(part.test.size());
      fitted.predict(data, part.test, predicted);
      double sum = 0;
      std::size_t at = 0;
      part.test.for_each([&](std::size_t row) { sum += std::abs(predicted[at++] / data.target()[row] - 1.0); });
      scores.back().push_back(sum / static_cast<double>(part.test.size()));
    }
  }
  return scores;
}

TEST(TunedRidge, ChoosesWhatBruteForceChooses) {
  for (const unsigned seed : {1U, 2U, 3U}) {
    const data_type data = slow_steps(seed);
    const row_set rows = row_set::where(data.size(), [](std::size_t row) { return row % 6 != 1; });
    const auto expected = brute_force(data, rows);
    const auto fitted = tuned::fit(data, rows);
    const auto by_worst = tuned_by_worst::fit(data, rows);
    std::vector<double> means, worsts;
    for (std::size_t a = 0; a < tuned::grid.size(); ++a) {
      double mean = 0;
      for (const double one : expected[a]) mean += one / static_cast<double>(expected[a].size());
      means.push_back(mean);
      worsts.push_back(*std::max_element(expected[a].begin(), expected[a].end()));
      ASSERT_EQ(fitted.scores()[a].inner_mape.size(), expected[a].size());
      for (std::size_t f = 0; f < expected[a].size(); ++f) {
        EXPECT_NEAR(fitted.scores()[a].inner_mape[f], expected[a][f], 1e-9 * expected[a][f]);
      }
      EXPECT_NEAR(fitted.scores()[a].score, mean, 1e-9 * mean);
      EXPECT_NEAR(by_worst.scores()[a].score, worsts.back(), 1e-9 * worsts.back());
    }
    const auto best = [](const std::vector<double>& of) {
      return tuned::grid[static_cast<std::size_t>(std::min_element(of.begin(), of.end()) - of.begin())];
    };
    EXPECT_EQ(fitted.alpha(), best(means)) << seed;
    EXPECT_EQ(by_worst.alpha(), best(worsts)) << seed;
    const detail::linear_rows<tiny::mixture_t::set_type, objective::relative, tiny::aggregated> all(data, rows);
    const linear_solution refit = ridge_with{fitted.alpha()}.solve(all.equations(rows), &all);
    EXPECT_EQ(fitted.solution().coefficients, refit.coefficients);
    EXPECT_EQ(fitted.summary().rows, rows.size());
  }
}

TEST(TunedRidge, SaysWhatItChose) {
  const auto fitted = tuned::fit(slow_steps(1), row_set::all(240));
  const std::string status = fitted.summary().status;
  EXPECT_EQ(status.find("ok; alpha "), 0U) << status;
  EXPECT_NE(status.find(" by nested lomo"), std::string::npos) << status;
  EXPECT_EQ(fitted.solution().alpha, fitted.alpha());
  EXPECT_EQ(tuned::name(), "ridge, alpha by nested lomo on 6 features, relative error");
}

TEST(TunedRidge, NeverSeesTheRowsOfTheOuterTest) {
  auto steps = tiny::random_engine_steps(300, 4);
  const auto time = [](const tiny::engine_step& s, std::size_t i) {
    return (2.0 + 0.01 * s.prefill_tokens + static_cast<double>(i * i % 7)) * (s.prefill_tokens == 4000 ? 1e4 : 1.0);
  };
  const data_type data = tiny::dataset_of(steps, time);
  for (auto& s : steps) {
    if (s.engine == 3) s.prefill_requests = 1, s.prefill_tokens = 4000, s.kv_usage_ratio = 0.99;
  }
  const data_type spoilt = tiny::dataset_of(steps, time);
  const auto before = evaluate<tuned>(data, lomo{});
  const auto after = evaluate<tuned>(spoilt, lomo{});
  const auto& one = before.fit<tuned>("model-3");
  const auto& other = after.fit<tuned>("model-3");
  EXPECT_EQ(one.alpha(), other.alpha());
  EXPECT_EQ(one.solution().coefficients, other.solution().coefficients);
  for (std::size_t a = 0; a < one.scores().size(); ++a) {
    EXPECT_EQ(one.scores()[a].inner_mape, other.scores()[a].inner_mape);
    EXPECT_EQ(one.scores()[a].inner_mape.size(), 3U);  // of the three models in training
  }
  EXPECT_NE(before.fit<tuned>("model-0").solution().coefficients,
            after.fit<tuned>("model-0").solution().coefficients);
}

TEST(TunedRidge, SaysWhichFoldHasTooFewGroupsToTuneWith) {
  const data_type data = tiny::noisy_steps(100, 5, 0.2, 2);  // two models: each outer training has one
  try {
    evaluate<tuned>(data, lomo{});
    FAIL() << "tuned with one group";
  } catch (const evaluation_error& refused) {
    EXPECT_STREQ(
        refused.what(),
        ("predictor '" + tuned::name() + "', fold 'model-0': cannot be fitted: cannot tune: the " +
         std::to_string(data.groups(group::model).rows_of(1).size()) +
         " training rows cannot be split by lomo: lomo needs at least two models; this dataset has one: 'model-1'")
            .c_str());
  }
}

TEST(TunedRidge, RefusesToFitOnNothing) { EXPECT_THROW(tuned::fit(slow_steps(1), {}), fit_error); }

}  // namespace
