// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/estimator/mean_of_target.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "support/engine_steps.hpp"

namespace {

using namespace rafter;

/// Two engines with two workloads each: experiments 0-chat, 0-batch, 1-chat, 1-batch; times 1, 2, 3, …
dataset<tiny::aggregated> eight_steps() {
  std::vector<tiny::engine_step> steps;
  for (std::size_t i = 0; i < 8; ++i) {
    steps.push_back({.prefill_tokens = 1,
                     .decode_tokens = 1,
                     .prefill_requests = 1,
                     .decode_requests = 1,
                     .kv_usage_ratio = 0.5,
                     .engine = i / 4,
                     .workload = i % 2 == 0 ? "chat" : "batch"});
  }
  return tiny::dataset_of(steps, [](const auto&, std::size_t i) { return 1.0 + static_cast<double>(i); });
}
std::vector<double> predictions(const mean_predictor& fitted, const dataset<tiny::aggregated>& data,
                                const row_set& rows) {
  std::vector<double> out(rows.size());
  fitted.predict(data, rows, out);
  return out;
}

TEST(MeanOfTarget, IsTheMeanOfTheRowsExperimentWhereTrainingSawIt) {
  const auto data = eight_steps();
  const auto fitted = mean_of_target::fit(data, row_set::of({0, 1, 2, 3, 4, 6}));  // not 1-batch
  EXPECT_EQ(fitted.overall(), (1 + 2 + 3 + 4 + 5 + 7) / 6.0);
  EXPECT_EQ(fitted.experiments(), 3U);
  EXPECT_EQ(predictions(fitted, data, row_set::all(8)),
            (std::vector<double>{2, 3, 2, 3, 6, fitted.overall(), 6, fitted.overall()}));
}

TEST(MeanOfTarget, FindsExperimentsByNameInOtherData) {
  const auto data = eight_steps();
  const auto fitted = mean_of_target::fit(data, row_set::all(8));
  const auto other = data.keep(row_set::of({5, 2}));  // codes are numbered anew
  EXPECT_EQ(predictions(fitted, other, row_set::all(2)), (std::vector<double>{2, 7}));
}

TEST(MeanOfTarget, IsTheOverallMeanWithoutExperiments) {
  dataset_builder<tiny::aggregated> build("plain");
  build.add_deployment(tiny::engines()[0]);
  for (const double time : {1.0, 2.0, 6.0}) {
    build.begin_row(0).set(prefill_tokens, 1).set(decode_tokens, 0).set(prefill_requests, 1).set(decode_requests, 0);
    build.set(kv_usage_ratio, 0).set(gpu_step_time, time).end_row();
  }
  const auto data = build.finish();
  const auto fitted = mean_of_target::fit(data, row_set::all(3));
  EXPECT_EQ(predictions(fitted, data, row_set::of({1})), std::vector<double>{3.0});
  EXPECT_EQ(fitted.summary().parameters, 1U);
  EXPECT_EQ(fitted.experiments(), 0U);
}

TEST(MeanOfTarget, CountsOneParameterPerExperiment) {
  const auto summary = mean_of_target::fit(eight_steps(), row_set::of({0, 4, 5})).summary();
  EXPECT_EQ(summary.parameters, 3U);
  EXPECT_EQ(summary.rows, 3U);
}

TEST(MeanOfTarget, RefusesToFitOnNothing) { EXPECT_THROW(mean_of_target::fit(eight_steps(), {}), fit_error); }

}  // namespace
