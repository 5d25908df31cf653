// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "rafter/evaluation/diagnostics/error_over_time.hpp"
#include "rafter/evaluation/diagnostics/overlap_audit.hpp"
#include "support/made_errors.hpp"

namespace {
using namespace rafter;

/// One experiment of equal steps, tested in one fold.
step_view ordered(std::size_t rows) {
  step_view view;
  view.rows = rows;
  view.times.assign(rows, 1e-3);
  view.deployment.assign(rows, 0);
  for (std::size_t row = 0; row < rows; ++row) view.step_ids.push_back(static_cast<double>(row));
  return view;
}
predictor_result of_errors(const step_view& view, const std::vector<double>& relative) {
  predictor_result made;
  made.predictor = "p";
  std::vector<std::size_t> rows;
  std::vector<double> predicted;
  for (std::size_t row = 0; row < view.rows; ++row) {
    rows.push_back(row);
    predicted.push_back(view.times[row] * (1.0 + relative[row]));
  }
  made.folds.push_back(tiny::fold_with("later", rows, view.times, predicted));
  return made;
}
error_over_time_report over_time(const step_view& view, const predictor_result& result,
                                 const error_over_time_options& options = {}) {
  return error_over_time(result, tested_errors_of(result), view, order_of(view), options);
}

TEST(ChiSquare, HasTheTailsOfTheTables) {
  // 95 % points of 1, 2, 5 and 10 degrees of freedom (Abramowitz and Stegun, table 26.8).
  EXPECT_NEAR(detail::chi_square_at_least(3.84145882, 1), 0.05, 1e-8);
  EXPECT_NEAR(detail::chi_square_at_least(5.99146455, 2), 0.05, 1e-8);
  EXPECT_NEAR(detail::chi_square_at_least(11.0704977, 5), 0.05, 1e-8);
  EXPECT_NEAR(detail::chi_square_at_least(18.3070381, 10), 0.05, 1e-8);
  EXPECT_EQ(detail::chi_square_at_least(0.0, 3), 1.0);
}

TEST(ErrorOverTime, GoesByStepIdsWithinFoldAndExperimentAndSeesGaps) {
  step_view view = ordered(6);
  view.step_ids = {5, 3, 4, 1, 9, 2};
  group_column experiments;
  for (const char* label : {"x", "x", "x", "y", "x", "y"}) experiments.push_back(label);
  view.groups[static_cast<std::size_t>(group::experiment)] = experiments;
  const predictor_result result = of_errors(view, std::vector<double>(6, 0.1));
  const auto found = sequences_of(tested_errors_of(result), view, order_of(view));
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].experiment, "x");
  EXPECT_EQ(found[0].tested, (std::vector<std::size_t>{1, 2, 0, 4}));
  EXPECT_EQ(found[0].gaps_before, (std::vector<std::size_t>{0, 0, 0, 3}));
  EXPECT_EQ(found[1].tested, (std::vector<std::size_t>{3, 5}));
}

TEST(ErrorOverTime, IsWhatTheDefinitionsGive) {
  const std::vector<double> e{0.2, 0.1, -0.1, 0.3, 0.0, 0.25, -0.2, 0.1, 0.05, 0.4, 0.3, -0.05};
  const step_view view = ordered(e.size());
  error_over_time_options options;
  options.lags = 3;
  options.lags_tested = 2;
  options.steps = {1, 4};
  const error_over_time_report found = over_time(view, of_errors(view, e), options);
  const auto n = static_cast<double>(e.size());
  double mean = 0.0, variance = 0.0;
  for (const double x : e) mean += x / n;
  for (const double x : e) variance += (x - mean) * (x - mean);
  ASSERT_EQ(found.sequences.size(), 1U);
  std::vector<double> rho;
  for (std::size_t lag = 1; lag <= 3; ++lag) {
    double sum = 0.0;
    for (std::size_t t = lag; t < e.size(); ++t) sum += (e[t] - mean) * (e[t - lag] - mean);
    rho.push_back(sum / variance);
    EXPECT_NEAR(found.autocorrelation[lag - 1], rho.back(), 1e-12);
  }
  const double q = n * (n + 2) * (rho[0] * rho[0] / (n - 1) + rho[1] * rho[1] / (n - 2));
  EXPECT_NEAR(found.sequences[0].ljung_box, q, 1e-11);
  EXPECT_NEAR(found.sequences[0].p, std::exp(-q / 2), 1e-12) << "two degrees of freedom";
  EXPECT_NEAR(found.drift, (0.05 + 0.4 + 0.3 - 0.05 - 0.2 - 0.1 + 0.1 - 0.3) / 4, 1e-12);
  // Slope by the normal equations, times the length.
  double tt = 0.0, te = 0.0;
  for (std::size_t t = 0; t < e.size(); ++t) {
    tt += (static_cast<double>(t) - 5.5) * (static_cast<double>(t) - 5.5);
    te += (static_cast<double>(t) - 5.5) * e[t];
  }
  EXPECT_NEAR(found.trend, te / tt * 11.0, 1e-12);
  double single = 0.0, sums = 0.0;
  for (const double x : e) single += std::fabs(x) / n;
  for (std::size_t t = 0; t + 4 <= e.size(); ++t) sums += std::fabs(e[t] + e[t + 1] + e[t + 2] + e[t + 3]) / 4 / 9;
  EXPECT_NEAR(found.sums[0].error, single, 1e-12);
  EXPECT_NEAR(found.sums[1].error, sums, 1e-12) << "steps of equal times";
  EXPECT_EQ(found.sums[1].windows, 9U);
  EXPECT_NEAR(found.sums[1].independent, single / 2, 1e-12);
  EXPECT_NEAR(found.bias, mean, 1e-12);
}

TEST(ErrorOverTime, TellsIndependentErrorsFromThoseThatComeInRuns) {
  const std::size_t rows = 6000;
  const step_view view = ordered(rows);
  std::mt19937_64 random(5);
  std::normal_distribution<double> normal(0.0, 0.05);
  std::vector<double> alone, runs{0.0};
  for (std::size_t row = 0; row < rows; ++row) alone.push_back(normal(random));
  while (runs.size() < rows) runs.push_back(0.95 * runs.back() + normal(random));
  const error_over_time_report first = over_time(view, of_errors(view, alone));
  const error_over_time_report second = over_time(view, of_errors(view, runs));
  EXPECT_NEAR(first.sums[2].error / first.sums[2].independent, 1.0, 0.2);
  EXPECT_NEAR(first.sums[2].shuffled / first.sums[2].independent, 1.0, 0.2);
  EXPECT_GT(first.effective_share, 0.7);
  EXPECT_GT(first.sequences[0].p, 0.001);
  // AR(1) with 0.95: n (1 - 0.95) / (1 + 0.95) rows, and sums of 100 that hardly cancel.
  EXPECT_NEAR(second.effective_share, 0.05 / 1.95, 0.012);
  EXPECT_GT(second.sums[2].error, 3.0 * second.sums[2].shuffled);
  EXPECT_NEAR(second.autocorrelation[0], 0.95, 0.02);
  EXPECT_LT(second.sequences[0].p, 1e-12);
}

TEST(ErrorOverTimeSection, SaysWhenTheDataHasNoOrder) {
  step_view view = ordered(30);
  evaluation_report report;
  report.results.push_back(of_errors(view, std::vector<double>(30, 0.1)));
  EXPECT_NE(tiny::first_block<captioned_table>(error_over_time_section(report, view)), nullptr);
  EXPECT_NE(error_over_time_section(report, view).summary.find("a bias that does not cancel"), std::string::npos);
  view.step_ids.clear();
  const report_section section = error_over_time_section(report, view);
  ASSERT_EQ(section.blocks.size(), 1U);
  EXPECT_NE(section.summary.find("no order"), std::string::npos);
}

TEST(ErrorOverTimeSection, SaysThatErrorsComeInRuns) {
  const step_view view = ordered(400);
  std::vector<double> error;
  for (std::size_t row = 0; row < 400; ++row) error.push_back(row / 20 % 2 == 0 ? 0.2 : -0.2);
  evaluation_report report;
  report.results.push_back(of_errors(view, error));
  const report_section section = error_over_time_section(report, view);
  EXPECT_NE(section.summary.find("come in runs: the sum of 10 steps"), std::string::npos) << section.summary;
}

TEST(Overlap, CountsEachKindAsComparingAllPairsDoes) {
  step_view view = tiny::made_view(240);
  // Copies: rows 10..19 are rows 0..9 over again, the last five with other times; 30..34 with another deployment.
  const auto copy = [&](std::size_t from, std::size_t to) {
    for (step_column& one : view.columns) one.values[to] = one.values[from];
    view.deployment[to] = view.deployment[from];
    view.times[to] = view.times[from];
  };
  for (std::size_t i = 0; i < 10; ++i) {
    copy(i, i + 10);
    if (i >= 5) view.times[i + 10] *= 1.5;
  }
  for (std::size_t i = 0; i < 5; ++i) {
    copy(i, i + 30);
    view.deployment[i + 30] = (view.deployment[i] + 1) % 3;
  }
  std::vector<fold> folds;
  for (std::size_t k = 0; k < 2; ++k) {
    const row_set test = row_set::where(240, [&](std::size_t row) { return row % 7 % 2 == k; });
    folds.push_back({"fold " + std::to_string(k), test.complement(240), {}, test});
  }
  const overlap_report found = overlap_audit(folds, view);
  const group_column& measured = *view.labels(group::decode_attention_measurement);
  for (std::size_t f = 0; f < folds.size(); ++f) {
    std::array<std::size_t, overlap_kinds> expected{};
    folds[f].test.for_each([&](std::size_t row) {
      std::array<bool, overlap_kinds> shared{};
      const auto set = [&](overlap_kind kind, bool is) {
        shared[static_cast<std::size_t>(kind)] = shared[static_cast<std::size_t>(kind)] || is;
      };
      folds[f].train.for_each([&](std::size_t other) {
        bool equal = true;
        for (const step_column& one : view.columns) equal = equal && one.values[row] == one.values[other];
        const bool same = equal && view.deployment[row] == view.deployment[other];
        set(overlap_kind::equal_work, equal);
        set(overlap_kind::duplicated_step, same);
        set(overlap_kind::copied_step, same && view.times[row] == view.times[other]);
        set(overlap_kind::decode_measurement,
            measured.name(row) != "none" && measured.name(row) == measured.name(other));
        const bool together =
            view.labels(group::experiment)->code(row) == view.labels(group::experiment)->code(other);
        set(overlap_kind::experiment, together);
        set(overlap_kind::neighbouring_step, together && (row + 1 == other || other + 1 == row));
      });
      for (std::size_t kind = 0; kind < overlap_kinds; ++kind) expected[kind] += shared[kind] ? 1U : 0U;
    });
    EXPECT_EQ(found.folds[f].affected, expected);
    EXPECT_GT(expected[0], 0U);
    EXPECT_GT(expected[2], expected[1]);
  }
  const auto verdict = [&](overlap_kind kind) { return found.verdicts[static_cast<std::size_t>(kind)]; };
  EXPECT_EQ(verdict(overlap_kind::copied_step), overlap_verdict::leak);
  EXPECT_EQ(verdict(overlap_kind::neighbouring_step), overlap_verdict::leak);
  EXPECT_EQ(verdict(overlap_kind::decode_measurement), overlap_verdict::leak) << "no group axis is held out";
  EXPECT_EQ(verdict(overlap_kind::gemm_measurement), overlap_verdict::not_known);
  EXPECT_EQ(found.verdict, overlap_verdict::leak);
  EXPECT_TRUE(found.held_out_axes.empty());
}

TEST(Overlap, OfHeldOutModelsSharesMeasurementsByDesign) {
  step_view view = tiny::made_view(400);
  view.step_ids.clear();
  std::vector<fold> folds;
  for (std::uint32_t code = 0; code < 3; ++code) {
    const row_set test = view.labels(group::model)->rows_of(code);
    folds.push_back({view.labels(group::model)->names()[code], test.complement(400), {}, test});
  }
  const overlap_report found = overlap_audit(folds, view);
  EXPECT_EQ(found.held_out_axes, std::vector<std::string>{"model"});
  EXPECT_GT(found.share(overlap_kind::decode_measurement), 0.5);
  EXPECT_EQ(found.verdicts[static_cast<std::size_t>(overlap_kind::decode_measurement)], overlap_verdict::by_design);
  EXPECT_EQ(found.verdicts[static_cast<std::size_t>(overlap_kind::neighbouring_step)], overlap_verdict::not_known);
  const report_section section = overlap_section(found, "lomo");
  EXPECT_NE(section.summary.find("shared by design"), std::string::npos) << section.summary;
}

TEST(Overlap, OfASplitInTimeIsItsSeam) {
  step_view view = ordered(300);
  const std::vector<fold> folds{{"later", row_set::all(200), {}, row_set::all(200).complement(300)}};
  const overlap_report found = overlap_audit(folds, view);
  EXPECT_EQ(found.folds[0].affected[static_cast<std::size_t>(overlap_kind::neighbouring_step)], 1U);
  EXPECT_EQ(found.verdicts[static_cast<std::size_t>(overlap_kind::neighbouring_step)], overlap_verdict::by_design);
  EXPECT_EQ(found.verdict, overlap_verdict::by_design);
}

}  // namespace
