// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// The public study's figures on blis_steps, to the digits in which numpy and plain loops agree on them.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "rafter/estimator/predictors.hpp"
#include "rafter/evaluation/evaluate.hpp"
#include "rafter/io/blis_steps.hpp"
#include "rafter/validation/temporal.hpp"
#include "support/data.hpp"

namespace {

using namespace rafter;

const std::filesystem::path& path() {
  static const std::filesystem::path file = data_folder() / "blis_steps" / "steps.csv";
  return file;
}
#define RAFTER_NEEDS_BLIS_STEPS()       \
  if (!std::filesystem::exists(path())) \
  GTEST_SKIP() << "no blis_steps under RAFTER_DATA: the study's figures are not checked"

const dataset<blis_schema>& logged() {
  static const dataset<blis_schema> data = read_blis_steps(path().string());
  return data;
}

/// The study's 30 proxy features of one row, as its Python computed them: plain arithmetic on doubles.
std::array<double, 30> proxies(const dataset<blis_schema>& data, std::size_t row) {
  const auto at = [&](auto leaf) { return data.column(leaf)[row]; };
  const deployment& engine = data.deployment_of(row);
  const double d = engine.architecture.hidden, heads = engine.architecture.heads,
               kv_heads = engine.architecture.kv_heads;
  const double f = engine.architecture.intermediate, layers = engine.architecture.layers, tp = engine.tensor_parallel;
  const double d_kv = kv_heads * d / heads;
  const double share = double(engine.architecture.experts_per_token) / double(engine.architecture.experts);
  const double moe = engine.architecture.experts > 1 ? 1.0 : 0.0;
  const double P = at(prefill_tokens), D = at(decode_tokens), S = P + D;
  const double n_prefill = at(prefill_requests), n_decode = at(decode_requests);
  const double usage = at(kv_usage_ratio), total = at(kv_blocks_total), free = at(kv_blocks_free);
  const double used = total - free, pressure = used / std::max(total, 1.0);
  const auto F = [&](double T) {
    return (2 * T * (d * d + 2 * d * d_kv) + 2 * T * d * d + 6 * T * d * f * share) * layers / tp;
  };
  const double W = (d * (d + 2 * d_kv) + d * d + 3 * d * f) * 2 * layers / tp;
  const double intensity = F(S) / W;
  const std::string& model = data.groups(group::model).name(row);
  const double code = model.find("34b") != std::string::npos ? 0
                      : model.find("7b") != std::string::npos && model.find("70b") == std::string::npos &&
                              model.find("8x7b") == std::string::npos
                          ? 1
                      : model.find("70b") != std::string::npos ? 2
                                                               : 3;
  return {P,
          D,
          S,
          n_prefill,
          n_decode,
          usage,
          used,
          free,
          at(queue_running),
          pressure,
          P / std::max(S, 1.0),
          D / std::max(S, 1.0),
          n_prefill > 0 && n_decode > 0 ? 1.0 : 0.0,
          n_decode == 0 ? 1.0 : 0.0,
          F(S),
          intensity,
          intensity > 989.5e12 / (0.82 * 3.35e12) ? 1.0 : 0.0,
          P > 0 ? F(P) / W : 0.0,
          D > 0 ? W / F(D) : 0.0,
          0.0,
          1.0,
          share,
          code,
          tp,
          moe,
          P * D,
          pressure * n_decode,
          intensity * moe,
          P * usage,
          (n_prefill + n_decode) * pressure};
}

/// Solves A x = b by elimination with partial pivoting.
std::vector<long double> eliminate(std::vector<std::vector<long double>> a, std::vector<long double> b) {
  const std::size_t n = b.size();
  for (std::size_t k = 0; k < n; ++k) {
    std::size_t pivot = k;
    for (std::size_t i = k + 1; i < n; ++i) {
      if (std::abs(a[i][k]) > std::abs(a[pivot][k])) pivot = i;
    }
    std::swap(a[k], a[pivot]);
    std::swap(b[k], b[pivot]);
    for (std::size_t i = k + 1; i < n; ++i) {
      const long double factor = a[i][k] / a[k][k];
      for (std::size_t j = k; j < n; ++j) a[i][j] -= factor * a[k][j];
      b[i] -= factor * b[k];
    }
  }
  for (std::size_t k = n; k-- > 0;) {
    for (std::size_t j = k + 1; j < n; ++j) b[k] -= a[k][j] * b[j];
    b[k] /= a[k][k];
  }
  return b;
}

/// MAPE [%] on the test rows of ridge regression, alpha 1, on standardised columns with a free intercept.
double ridge_mape(const dataset<blis_schema>& data, const fold& part) {
  constexpr std::size_t p = 30;
  std::vector<std::array<double, p>> x;
  std::vector<double> y;
  part.train.for_each([&](std::size_t row) {
    x.push_back(proxies(data, row));
    y.push_back(data.target()[row]);
  });
  const auto n = static_cast<long double>(x.size());
  std::array<long double, p> mean{}, deviation{};
  long double mean_y = 0;
  for (const double v : y) mean_y += v / n;
  for (std::size_t j = 0; j < p; ++j) {
    for (const auto& row : x) mean[j] += row[j] / n;
    bool constant = true;
    for (const auto& row : x) {
      constant = constant && row[j] == x[0][j];
      deviation[j] += (row[j] - mean[j]) * (row[j] - mean[j]) / n;
    }
    deviation[j] = constant ? 1.0L : std::sqrt(deviation[j]);
    if (constant) mean[j] = x[0][j];
  }
  std::vector<std::vector<long double>> a(p, std::vector<long double>(p, 0.0L));
  std::vector<long double> b(p, 0.0L);
  for (std::size_t i = 0; i < x.size(); ++i) {
    std::array<long double, p> z;
    for (std::size_t j = 0; j < p; ++j) z[j] = (x[i][j] - mean[j]) / deviation[j];
    for (std::size_t j = 0; j < p; ++j) {
      b[j] += z[j] * (y[i] - mean_y);
      for (std::size_t k = 0; k < p; ++k) a[j][k] += z[j] * z[k];
    }
  }
  for (std::size_t j = 0; j < p; ++j) a[j][j] += 1.0L;
  const std::vector<long double> w = eliminate(a, b);
  long double sum = 0;
  part.test.for_each([&](std::size_t row) {
    const auto features = proxies(data, row);
    long double predicted = mean_y;
    for (std::size_t j = 0; j < p; ++j) predicted += w[j] * (features[j] - mean[j]) / deviation[j];
    sum += std::abs(predicted / data.target()[row] - 1.0L);
  });
  return static_cast<double>(100 * sum / static_cast<long double>(part.test.size()));
}

using figures = std::array<double, 3>;

void expect_figures(const evaluation_report& report, const char* predictor, const figures& expected) {
  const predictor_result* result = report.find(predictor);
  ASSERT_NE(result, nullptr);
  ASSERT_EQ(result->folds.size(), 3U);
  for (std::size_t f = 0; f < 3; ++f) {
    EXPECT_NEAR(100 * result->folds[f].errors.mape, expected[f], 5.1e-7)
        << predictor << " " << result->folds[f].held_out;
  }
}

/// Three ways agree: the library, plain loops, and what numpy gave.
void expect_ridge(const dataset<blis_schema>& data, const evaluation_report& report, const figures& by_numpy) {
  const auto folds = temporal{}.folds(data);
  for (std::size_t f = 0; f < 3; ++f) {
    const double mine = 100 * report.find("ridge30")->folds[f].errors.mape;
    EXPECT_NEAR(mine, ridge_mape(data, folds[f]), 5e-7) << folds[f].held_out;
    EXPECT_NEAR(mine, by_numpy[f], 1.01e-6) << folds[f].held_out;
  }
}

TEST(StudyFigures, OfTheLoggedDuration) {
  RAFTER_NEEDS_BLIS_STEPS();
  const auto report =
      evaluate<predictors::mean, predictors::blackbox, predictors::ridge30_proxies>(logged(), temporal{});
  expect_figures(report, "blackbox", {61.154178, 90.758319, 151.062705});
  expect_figures(report, "mean", {85.361175, 76.821865, 71.841659});
  expect_ridge(logged(), report, {57.447596, 64.334516, 143.665595});
}

TEST(StudyFigures, OfTheLoggedDurationComeAfterTheAuditThatRefusesIt) {
  RAFTER_NEEDS_BLIS_STEPS();
  const plausibility_report audit = plausibility(logged());
  EXPECT_EQ(logged().size(), 20112U);
  EXPECT_EQ(audit.all.rows, 20110U);
  EXPECT_EQ(audit.idle, 2U);
  EXPECT_FALSE(audit.plausible());
  EXPECT_NEAR(100 * audit.all.share_below(), 98.27, 0.005);
  EXPECT_EQ(audit.verdict(),
            "IMPLAUSIBLE: 98.27 % of the rows are below the time to read the weights once; "
            "'logged_duration' cannot be the time of the forward pass");
}

TEST(StudyFigures, OfTheStepInterval) {
  RAFTER_NEEDS_BLIS_STEPS();
  const auto data = logged().for_target(step_interval);
  const auto report = evaluate<predictors::blackbox, predictors::ridge30_proxies>(data, temporal{});
  EXPECT_EQ(data.size(), 1967U);
  const auto& labels = data.groups(group::experiment);
  std::vector<std::size_t> rows;
  for (std::uint32_t code = 0; code < labels.count(); ++code) rows.push_back(labels.rows_of(code).size());
  EXPECT_EQ(rows, (std::vector<std::size_t>{593, 658, 716}));
  expect_figures(report, "blackbox", {4.648220, 1.857699, 2.810313});
  expect_ridge(data, report, {3.829053, 1.661847, 2.650864});
  EXPECT_TRUE(report.plausibility.plausible());
  EXPECT_EQ(report.plausibility.verdict(),
            "plausible as a target, but 2 of 1967 rows (0.10 %) are below the floor: look at them");
}

}  // namespace
