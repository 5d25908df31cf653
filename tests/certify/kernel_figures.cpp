// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Reference points on kernel_steps: how far a black box carries over to models that it never saw.
#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <filesystem>
#include <vector>

#include "rafter/estimator/predictors.hpp"
#include "rafter/evaluation/evaluate.hpp"
#include "rafter/io/kernel_steps.hpp"
#include "rafter/validation/leave_one_group_out.hpp"
#include "support/data.hpp"

namespace {

using namespace rafter;

/// MAPE of a relative least-squares fit of intercept, prefill and decode tokens, by the normal equations in long double.
double mape_by_hand(const dataset<kernel_schema>& data, const fold& part) {
  long double a[3][4] = {};
  const auto row_of = [&](std::size_t row, long double(&x)[3]) {
    x[0] = 1;
    x[1] = data[row].get(prefill_tokens);
    x[2] = data[row].get(decode_tokens);
  };
  part.train.for_each([&](std::size_t row) {
    long double x[3];
    row_of(row, x);
    const long double y = data.target()[row];
    for (int i = 0; i < 3; ++i) {
      for (int j = 0; j < 3; ++j) a[i][j] += x[i] * x[j] / (y * y);
      a[i][3] += x[i] / y;
    }
  });
  for (int k = 0; k < 3; ++k) {  // Gauss-Jordan; the matrix is positive definite
    for (int i = 0; i < 3; ++i) {
      if (i == k) continue;
      const long double factor = a[i][k] / a[k][k];
      for (int j = 0; j < 4; ++j) a[i][j] -= factor * a[k][j];
    }
  }
  long double sum = 0;
  part.test.for_each([&](std::size_t row) {
    long double x[3];
    row_of(row, x);
    long double predicted = 0;
    for (int i = 0; i < 3; ++i) predicted += x[i] * a[i][3] / a[i][i];
    const long double y = data.target()[row];
    sum += std::abs(predicted - y) / y;
  });
  return static_cast<double>(sum / static_cast<long double>(part.test.size()));
}

TEST(KernelFigures, OfTheBlackBoxLeavingModelsOut) {
  const std::filesystem::path path = data_folder() / "kernel_steps" / "steps.csv";
  if (!std::filesystem::exists(path))
    GTEST_SKIP() << "no kernel_steps under RAFTER_DATA: reference points not checked";
  const auto data = read_kernel_steps(path.string());
  const auto report = evaluate<predictors::blackbox_relative>(data, lomo{});
  const predictor_result& blackbox = report.results.front();
  EXPECT_EQ(data.size(), 48028U);
  EXPECT_EQ(blackbox.folds.size(), 14U);  // 15 names; two of them are one architecture
  const std::vector<fold> folds = lomo{}.folds(data);
  for (std::size_t f = 0; f < folds.size(); ++f) {
    EXPECT_NEAR(blackbox.folds[f].errors.mape, mape_by_hand(data, folds[f]), 1e-9) << folds[f].held_out;
  }
  // numpy's lstsq on weighted rows gives the same; with the two names apart, 15 folds, it is 76.14 and 94.90.
  EXPECT_NEAR(100 * blackbox.mean_mape(), 74.928, 5e-4);
  EXPECT_NEAR(100 * blackbox.worst_mape(), 94.347, 5e-4);
  EXPECT_TRUE(report.plausibility.plausible());
  EXPECT_EQ(report.plausibility.all.below, 0U);
}

}  // namespace
