// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// The kernel models' figures on kernel_steps: to the digits in which a separate fit with numpy has them, and within what
// the project promises.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "rafter/estimator/predictors.hpp"
#include "rafter/io/kernel_steps.hpp"
#include "rafter/validation/leave_one_group_out.hpp"
#include "support/data.hpp"

namespace {

using namespace rafter;

std::filesystem::path table(const char* name) { return data_folder() / "kernel_steps" / name; }
#define RAFTER_NEEDS_KERNEL_STEPS()                                                                      \
  if (!std::filesystem::exists(table("steps.csv")) || !std::filesystem::exists(table("steps_h200.csv"))) \
  GTEST_SKIP() << "no kernel_steps under RAFTER_DATA: the parametric models' figures are not checked"

const dataset<kernel_schema>& h100() {
  static const dataset<kernel_schema> data = read_kernel_steps(table("steps.csv").string());
  return data;
}

/// MAPE [%] over rows, and over those without prompts.
struct errors {
  double all = 0.0, pure_decode = 0.0;
};
template <class Fitted>
errors errors_on(const Fitted& fitted, const dataset<kernel_schema>& data, const row_set& rows) {
  std::vector<double> predicted(rows.size());
  fitted.predict(data, rows, std::span<double>(predicted));
  long double sum = 0, of_decodes = 0;
  std::size_t at = 0, decodes = 0;
  rows.for_each([&](std::size_t row) {
    const double time = data.target()[row];
    const double error = std::abs(predicted[at++] - time) / time;
    sum += error;
    if (data.column<prefill_tokens_t>()[row] > 0.0) return;
    of_decodes += error;
    ++decodes;
  });
  return {static_cast<double>(100 * sum / static_cast<long double>(rows.size())),
          decodes > 0 ? static_cast<double>(100 * of_decodes / static_cast<long double>(decodes)) : 0.0};
}

struct figures {
  std::size_t folds = 0;
  double mean = 0.0, worst = 0.0, decode_mean = 0.0, decode_worst = 0.0;
};
/// Fits every fold and looks at what each fit says of itself.
template <class Estimator, class Split> figures under(Split split, std::size_t parameters) {
  figures found;
  for (const fold& part : split.folds(h100())) {
    const auto fitted = Estimator::fit(h100(), part.train);
    EXPECT_TRUE(fitted.summary().healthy) << part.held_out << ": " << fitted.summary().status;
    EXPECT_EQ(fitted.summary().parameters, parameters);
    EXPECT_EQ(fitted.summary().identifiable, parameters) << part.held_out;
    EXPECT_TRUE(fitted.findings().empty()) << part.held_out << ": " << fitted.findings().front();
    const errors of = errors_on(fitted, h100(), part.test);
    ++found.folds;
    found.mean += of.all;
    found.decode_mean += of.pure_decode;
    found.worst = std::max(found.worst, of.all);
    found.decode_worst = std::max(found.decode_worst, of.pure_decode);
  }
  found.mean /= static_cast<double>(found.folds);
  found.decode_mean /= static_cast<double>(found.folds);
  return found;
}
template <class Estimator> double on_h200() {
  const dataset<kernel_schema> h200 = read_kernel_steps(table("steps_h200.csv").string());
  EXPECT_EQ(h200.size(), 14826U);
  const auto fitted = Estimator::fit(h100(), row_set::all(h100().size()));
  return errors_on(fitted, h200, row_set::all(h200.size())).all;
}
/// numpy's figures are rounded to two digits, its constants to four.
constexpr double rounding = 0.01;

TEST(ParametricFigures, OfKernel9LeavingModelsOut) {
  RAFTER_NEEDS_KERNEL_STEPS();
  const figures found = under<predictors::kernel9>(lomo{}, 9);
  EXPECT_EQ(found.folds, 14U);
  EXPECT_NEAR(found.mean, 7.63, rounding);
  EXPECT_NEAR(found.worst, 10.65, rounding);
  EXPECT_NEAR(found.decode_mean, 7.67, rounding);
  EXPECT_LE(found.mean, 7.7);
  EXPECT_LE(found.worst, 10.7);
}
TEST(ParametricFigures, OfKernel9LeavingAttentionShapesOut) {
  RAFTER_NEEDS_KERNEL_STEPS();
  const figures found = under<predictors::kernel9>(leave_one_attention_shape_out{}, 9);
  EXPECT_NEAR(found.mean, 7.84, rounding);
  EXPECT_NEAR(found.worst, 13.10, rounding);
  EXPECT_LE(found.mean, 8.0);
}
TEST(ParametricFigures, OfKernel9OnAnotherDevice) {
  RAFTER_NEEDS_KERNEL_STEPS();
  EXPECT_NEAR(on_h200<predictors::kernel9>(), 6.73, rounding);
}

static_assert(predictors::best_of_kernels::facts().size() <= 20);

TEST(ParametricFigures, OfBestLeavingModelsOut) {
  RAFTER_NEEDS_KERNEL_STEPS();
  const figures found = under<predictors::best_of_kernels>(lomo{}, 12);
  EXPECT_EQ(found.folds, 14U);
  EXPECT_NEAR(found.mean, 3.58, rounding);
  EXPECT_NEAR(found.worst, 5.06, rounding);
  EXPECT_NEAR(found.decode_mean, 2.88, rounding);
  EXPECT_NEAR(found.decode_worst, 3.96, rounding);
  EXPECT_LE(found.mean, 4.0);
  EXPECT_LE(found.worst, 6.5);
  EXPECT_LE(found.decode_mean, 3.5);
}
TEST(ParametricFigures, OfBestLeavingAttentionShapesOut) {
  RAFTER_NEEDS_KERNEL_STEPS();
  const figures found = under<predictors::best_of_kernels>(leave_one_attention_shape_out{}, 12);
  EXPECT_NEAR(found.mean, 3.56, rounding);
  EXPECT_NEAR(found.worst, 5.44, rounding);
  EXPECT_LE(found.mean, 4.0);
  EXPECT_LE(found.worst, 7.0);
}
TEST(ParametricFigures, OfBestOnAnotherDevice) {
  RAFTER_NEEDS_KERNEL_STEPS();
  const double mape = on_h200<predictors::best_of_kernels>();
  EXPECT_NEAR(mape, 3.37, rounding);
  EXPECT_LE(mape, 4.0);
}
TEST(ParametricFigures, OfTheParametersOfBestOnAllRows) {
  RAFTER_NEEDS_KERNEL_STEPS();
  const auto fitted = predictors::best_of_kernels::fit(h100(), row_set::all(h100().size()));
  const auto near = [&](const char* name, double value, double tolerance) {
    EXPECT_NEAR(fitted.parameter(name), value, tolerance * value) << name;
  };
  near("gemm_compute", 1.20805, 1e-3);
  near("weight_read", 1.16694, 1e-3);
  near("kernel_floor", 2.81166e-6, 1e-3);
  near("wave_compute", 1.1055, 1e-3);
  near("routing_time", 17.2013e-6, 1e-3);
  near("activation_traffic", 3.24929, 1e-3);
  near("prefill_math", 0.795385, 1e-3);
  near("attention_floor", 12.5941e-6, 1e-3);
  near("kv_read", 1.06746, 1e-3);
  near("kv_head_wave", 3.32384e-6, 1e-3);
  near("ungrouped_heads", 0.712663, 1e-3);
  near("split_growth", 1.46395e-6, 1e-3);
  EXPECT_NEAR(2 * fitted.solution().cost, 109.6253, 2e-3);
}

}  // namespace
