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

TEST(ErrorOverTime, SaysTheSameOfMemoryAsTheStatistics) {
  const std::size_t rows = 3000;
  const step_view view = ordered(rows);
  std::mt19937_64 random(6);
  std::normal_distribution<double> normal(0.0, 0.05);
  std::vector<double> alternating{0.0};
  while (alternating.size() < rows) alternating.push_back(-0.6 * alternating.back() + normal(random));
  const predictor_result result = of_errors(view, alternating);
  const std::vector<double> relative = tested_errors_of(result).relative;
  const error_over_time_report found = over_time(view, result);
  EXPECT_EQ(found.sequences[0].effective_rows, effective_sample_size(relative).size);
  EXPECT_EQ(found.sequences[0].p, ljung_box(relative, 10).p);
  EXPECT_GT(found.effective_share, 2.0) << "n (1 + 0.6) / (1 - 0.6): neighbours cancel";
}

TEST(ErrorOverTime, AsksAboutSingleStepsInAnyCase) {
  const std::vector<double> e{0.2, -0.1, 0.3, 0.1};
  const step_view view = ordered(4);
  error_over_time_options options;
  options.steps = {0, 2};
  const error_over_time_report found = over_time(view, of_errors(view, e), options);
  ASSERT_EQ(found.sums.size(), 2U);
  EXPECT_EQ(found.sums[0].steps, 1U);
  EXPECT_NEAR(found.sums[0].error, 0.7 / 4, 1e-12);
  EXPECT_EQ(found.sums[1].steps, 2U);
}

TEST(ErrorOverTime, TellsWhatIsLeftOfErrorsInSums) {
  const std::size_t rows = 4000;
  step_view view = ordered(rows);
  group_column experiments;
  for (std::size_t row = 0; row < rows; ++row) experiments.push_back(row < rows / 2 ? "x" : "y");
  view.groups[static_cast<std::size_t>(group::experiment)] = experiments;
  std::mt19937_64 random(7);
  std::normal_distribution<double> normal(0.0, 0.05);
  std::vector<double> noise;
  for (std::size_t row = 0; row < rows; ++row) noise.push_back(normal(random));
  const auto verdict = [&](const std::vector<std::size_t>& steps, double bias, double of_each) {
    std::vector<double> e = noise;
    for (std::size_t row = 0; row < rows; ++row) e[row] += bias + (row < rows / 2 ? of_each : -of_each);
    error_over_time_options options;
    options.steps = steps;
    return verdict_of(over_time(view, of_errors(view, e), options)).verdict;
  };
  for (const std::vector<std::size_t>& steps : {std::vector<std::size_t>{2}, {3}, {10, 500}}) {
    EXPECT_EQ(verdict(steps, 0.0, 0.0), summed_verdict::cancel) << steps.front();
    EXPECT_EQ(verdict(steps, 0.2, 0.0), summed_verdict::bias) << steps.front();
    EXPECT_EQ(verdict(steps, 0.0, 0.2), summed_verdict::sequence_bias) << steps.front();
  }
  EXPECT_EQ(verdict({}, 0.2, 0.0), summed_verdict::not_known);
}

TEST(ErrorOverTimeSection, SaysNothingOfARequestWhoseStepsAreMissing) {
  step_view view = ordered(400);
  evaluation_report report;
  report.results.push_back(of_errors(view, tiny::made_errors(400, 3)));
  EXPECT_NE(error_over_time_section(report, view).summary.find("over a request"), std::string::npos);
  for (double& id : view.step_ids) id *= 2.0;
  const report_section section = error_over_time_section(report, view);
  EXPECT_EQ(section.summary.find("request"), std::string::npos) << section.summary;
  EXPECT_NE(section.summary.find("over successive tested steps"), std::string::npos) << section.summary;
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
        set(overlap_kind::neighbouring_step, together && (row + 1 == other || other + 1 == row));  // all rows in use
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

/// `folds` folds of rows drawn at random.
std::vector<fold> random_folds(std::size_t rows, std::size_t folds) {
  std::mt19937_64 random(11);
  std::vector<std::size_t> of(rows);
  for (std::size_t& one : of) one = random() % folds;
  std::vector<fold> made;
  for (std::size_t k = 0; k < folds; ++k) {
    const row_set test = row_set::where(rows, [&](std::size_t row) { return of[row] == k; });
    made.push_back({"fold " + std::to_string(k), test.complement(rows), {}, test});
  }
  return made;
}
overlap_verdict verdict_of(const overlap_report& report, overlap_kind kind) {
  return report.verdicts[static_cast<std::size_t>(kind)];
}

TEST(Overlap, OfARandomSplitOfALogWithGapsIsALeak) {
  step_view view = ordered(300);
  group_column experiments;
  for (std::size_t row = 0; row < 300; ++row) {
    view.step_ids[row] *= 7.0;  // one step of seven was logged
    experiments.push_back("run");
  }
  view.groups[static_cast<std::size_t>(group::experiment)] = experiments;
  const overlap_report found = overlap_audit(random_folds(300, 5), view);
  EXPECT_GT(found.share(overlap_kind::neighbouring_step), 0.9);
  EXPECT_EQ(verdict_of(found, overlap_kind::neighbouring_step), overlap_verdict::leak);
  EXPECT_EQ(verdict_of(found, overlap_kind::experiment), overlap_verdict::leak);
  EXPECT_NE(overlap_section(found, "k_fold").summary.find("leak by experiment"), std::string::npos);
  view.step_ids.clear();
  const overlap_report without = overlap_audit(random_folds(300, 5), view);
  EXPECT_EQ(verdict_of(without, overlap_kind::neighbouring_step), overlap_verdict::not_known);
  EXPECT_EQ(verdict_of(without, overlap_kind::experiment), overlap_verdict::leak) << "nothing is held out";
  for (std::size_t row = 0; row < 300; ++row) view.start_ns.push_back(static_cast<std::int64_t>(row) * 1000);
  EXPECT_EQ(overlap_audit(random_folds(300, 5), view).folds[0].affected, found.folds[0].affected);
}

TEST(Overlap, OfNeighboursLooksPastRowsThatAreNotInUse) {
  const step_view view = ordered(10);
  const auto affected = [&](row_set train, row_set test) {
    return overlap_audit({{"f", std::move(train), {}, std::move(test)}}, view)
        .folds[0]
        .affected[static_cast<std::size_t>(overlap_kind::neighbouring_step)];
  };
  EXPECT_EQ(affected(row_set::of({0, 1, 9}), row_set::of({4, 5, 6})), 2U);
  EXPECT_EQ(affected(row_set::of({0, 9}), row_set::of({4})), 1U) << "one row with two neighbours is one row";
  EXPECT_EQ(affected(row_set::of({0, 3, 6}), row_set::of({1, 4, 7})), 3U);
  EXPECT_EQ(affected(row_set{}, row_set::of({1, 4, 7})), 0U);
}

TEST(Overlap, OfOneFoldOfCopiesIsNotHiddenByTheOthers) {
  step_view view = tiny::made_view(20020);
  view.step_ids.clear();
  for (std::size_t i = 0; i < view.rows; ++i) view.times[i] = 1e-3 + 1e-9 * static_cast<double>(i);
  for (std::size_t i = 0; i < 20; ++i) {
    for (step_column& one : view.columns) one.values[20000 + i] = one.values[i];
    view.deployment[20000 + i] = view.deployment[i];
    view.times[20000 + i] = view.times[i];
  }
  std::vector<fold> folds;
  for (std::size_t k = 1; k < 10; ++k) {
    const row_set test = row_set::where(20000, [&](std::size_t row) { return row / 2000 == k; });
    folds.push_back({"fold " + std::to_string(k), test.complement(20000), {}, test});
  }
  folds.push_back({"copies", row_set::all(20000), {}, row_set::all(20000).complement(20020)});
  const overlap_report found = overlap_audit(folds, view);
  EXPECT_LT(found.share(overlap_kind::copied_step), chance_share);
  EXPECT_EQ(found.worst(overlap_kind::copied_step)->held_out, "copies");
  EXPECT_EQ(verdict_of(found, overlap_kind::copied_step), overlap_verdict::leak);
  EXPECT_NE(overlap_section(found, "s")
                .summary.find("copied step (0.11 % of the tested rows; worst fold, copies: 100.00 %)"),
            std::string::npos)
      << overlap_section(found, "s").summary;
}

TEST(Overlap, OfTwoFilesFindsTheRowsThatAreInBoth) {
  const step_view training = tiny::made_view(400);
  step_view tested = tiny::made_view(200, 77);  // other rows
  const auto clear = [](step_view view) {
    view.step_ids.clear();
    view.groups[static_cast<std::size_t>(group::experiment)].reset();
    view.groups[static_cast<std::size_t>(group::decode_attention_measurement)].reset();
    return view;
  };
  // Half of the tested rows are training rows, in another order; deployments have other numbers there.
  group_column models;
  for (std::size_t row = 0; row < 200; ++row) {
    const std::size_t from = 399 - row;
    if (row % 2 == 0) {
      for (std::size_t c = 0; c < tested.columns.size(); ++c) {
        tested.columns[c].values[row] = training.columns[c].values[from];
      }
      tested.times[row] = training.times[from];
    }
    models.push_back(row % 2 == 0 ? training.labels(group::model)->name(from)
                                  : tested.labels(group::model)->name(row));
    tested.deployment[row] = 2 - static_cast<std::size_t>(models.name(row)[0] - 'a');
    if (row % 4 == 0) tested.times[row] *= 2.0;
  }
  tested.groups[static_cast<std::size_t>(group::model)] = models;
  tested.source = "later.csv";
  tested.columns.push_back({"queue", std::vector<double>(200, 1.0)});
  std::array<std::size_t, 3> expected{};
  for (std::size_t row = 0; row < 200; ++row) {
    bool copied = false, duplicated = false, work = false;
    for (std::size_t other = 0; other < 400; ++other) {
      bool equal = true;
      for (const step_column& one : training.columns)
        equal = equal && one.values[other] == (*tested.find(one.name))[row];
      const bool same = equal && models.name(row) == training.labels(group::model)->name(other);
      work = work || equal;
      duplicated = duplicated || same;
      copied = copied || (same && tested.times[row] == training.times[other]);
    }
    expected[0] += copied ? 1U : 0U;
    expected[1] += duplicated ? 1U : 0U;
    expected[2] += work ? 1U : 0U;
  }
  EXPECT_GE(expected[0], 50U);
  EXPECT_GE(expected[1], 100U);
  const overlap_report found = overlap_audit(clear(training), clear(tested));
  ASSERT_EQ(found.folds.size(), 1U);
  EXPECT_EQ(found.folds[0].rows, 200U);
  for (std::size_t kind = 0; kind < 3; ++kind) EXPECT_EQ(found.folds[0].affected[kind], expected[kind]) << kind;
  EXPECT_EQ(found.verdict, overlap_verdict::leak);
  EXPECT_EQ(verdict_of(found, overlap_kind::neighbouring_step), overlap_verdict::not_known);
  EXPECT_EQ(found.not_common, std::vector<std::string>{"queue"});
  const report_section section = overlap_section(found, "not looked at");
  EXPECT_EQ(section.summary.find("Trained on made.csv, tested on later.csv: leak by copied step"), 0U)
      << section.summary;
}

TEST(Overlap, OfTwoFilesWithoutACommonColumnIsNotKnown) {
  step_view training = ordered(5), tested = ordered(4);
  training.columns = {{"a", std::vector<double>(5, 1.0)}};
  tested.columns = {{"b", std::vector<double>(4, 1.0)}};
  const overlap_report found = overlap_audit(training, tested);
  EXPECT_NE(overlap_section(found, "").summary.find("not known"), std::string::npos);
  EXPECT_EQ(found.not_common, (std::vector<std::string>{"a", "b"}));
}

}  // namespace
