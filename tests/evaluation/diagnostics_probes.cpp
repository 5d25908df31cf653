// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/evaluation/diagnostics/probes.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "rafter/estimator/nonlinear.hpp"
#include "rafter/evaluation/diagnostics/hardware_sensitivity.hpp"
#include "rafter/evaluation/diagnostics/monotonicity.hpp"
#include "rafter/evaluation/diagnostics/parameter_sensitivity.hpp"
#include "rafter/validation/leave_one_group_out.hpp"
#include "support/made_errors.hpp"
#include "support/steps.hpp"

namespace {
using namespace rafter;
using namespace rafter::literals;

/// Two models on one device; each row has a few requests.
dataset<tiny::listed> listed_steps(std::size_t rows) {
  dataset_builder<tiny::listed> build("listed.csv");
  for (int i = 0; i < 2; ++i)
    build.add_deployment(deployment_of(static_deployment<tiny::dense, tiny::memory_bound>{}));
  std::mt19937_64 random(8);
  for (std::size_t row = 0; row < rows; ++row) {
    build.begin_row(row % 2, row + 2).label(group::model, row % 2 == 0 ? "even" : "odd");
    for (const request& one : tiny::random_step(random).requests) build.add(one);
    build.add(request::decoding(static_cast<double>(random() % 100)));
    build.set(kv_usage_ratio, 0.5).set(gpu_step_time, 1e-3 + 1e-6 * static_cast<double>(random() % 1000)).end_row();
  }
  return build.finish();
}

/// 1 us a decode token, 2 us a prompt token *less*, 1/peak, 1/sqrt(bandwidth), from an offset: no good model.
struct odd_model {
  static std::string name() { return "odd"; }
  struct fitted {
    fit_summary summary() const { return {}; }
    template <class Schema>
    void predict(const dataset<Schema>& data, const row_set& rows, std::span<double> out) const {
      std::size_t at = 0;
      rows.for_each([&](std::size_t row) {
        const double peak = data.deployment_of(row).hardware.peak_flops.at(precision::bf16)->value;
        const double bandwidth = data.deployment_of(row).hardware.hbm_bandwidth.value;
        const double load = 1.0 + 1e-6 * data.template column<decode_tokens_t>()[row] -
                            2e-6 * data.template column<prefill_tokens_t>()[row];
        out[at++] = load * (100.0 / peak) * std::sqrt(10.0 / bandwidth);
      });
    }
  };
  template <class Schema> static fitted fit(const dataset<Schema>&, const row_set&) { return {}; }
};

TEST(Probes, OfListsChangeOneThingOfEachStepAndAllThatFollows) {
  const auto data = listed_steps(60);
  const auto found = load_probes(data, row_set::all(60), {.rows = 25});
  ASSERT_EQ(found.probes.size(), 4U);
  EXPECT_EQ(found.notes, std::vector<std::string>{"left as it was where a step gets more to do: kv_usage_ratio"});
  const row_set sample = sample_of(row_set::all(60), 25, 1);
  EXPECT_EQ(sample.size(), 25U);
  for (const probe<tiny::listed>& one : found.probes) {
    ASSERT_EQ(one.data.size(), one.rows.size()) << one.name;
    std::size_t at = 0;
    one.rows.for_each([&](std::size_t row) {
      EXPECT_TRUE(sample.contains(row));
      const auto was = data.requests(row), is = one.data.requests(at);
      const double prompts = one.data.column<prefill_tokens_t>()[at] - data.column<prefill_tokens_t>()[row];
      const double decodes = one.data.column<decode_tokens_t>()[at] - data.column<decode_tokens_t>()[row];
      const double kv = one.data.column<kv_sum_t>()[at] - data.column<kv_sum_t>()[row];
      if (one.name == "load: 16 more tokens of a prompt") {
        EXPECT_EQ(prompts, 16.0);
        EXPECT_EQ(decodes + kv, 0.0);
      } else if (one.name == "load: 16 more tokens of context") {
        EXPECT_EQ(kv, 16.0 * data.column<decode_tokens_t>()[row]);
        EXPECT_EQ(decodes + prompts, 0.0);
      } else if (one.name == "load: a quarter more context") {
        double expected = 0.0;
        for (const request& each : was) {
          expected += each.decode ? std::ceil(1.25 * each.context_tokens) - each.context_tokens : 0.0;
        }
        EXPECT_EQ(kv, expected);
      } else {
        EXPECT_EQ(is.size(), was.size() + 1);
        EXPECT_EQ(decodes, 1.0);
        const double mean = data.column<kv_sum_t>()[row] / data.column<decode_tokens_t>()[row];
        EXPECT_NEAR(kv, mean, 0.5);
      }
      EXPECT_EQ(one.data.line(at), data.line(row));
      ++at;
    });
  }
}

TEST(Probes, OfAggregatedStepsHoldThePoolAndSayWhatTheyCannotAsk) {
  dataset_builder<tiny::aggregated> build("a.csv");
  build.add_deployment(deployment_of(static_deployment<tiny::dense, tiny::memory_bound>{}));
  const auto add = [&](double prompt, double decodes) {
    build.begin_row(0)
        .set(prefill_tokens, prompt)
        .set(prefill_requests, prompt > 0.0 ? 1.0 : 0.0)
        .set(decode_tokens, decodes)
        .set(decode_requests, decodes)
        .set(kv_usage_ratio, 0.5)
        .set(gpu_step_time, 0.01)
        .end_row();
  };
  add(10, 0);
  add(0, 4);
  add(3, 2);
  const auto data = build.finish();
  const auto found = load_probes(data, row_set::all(3));
  ASSERT_EQ(found.probes.size(), 2U);
  EXPECT_EQ(found.probes[0].rows, row_set::of({0, 2}));
  EXPECT_EQ(found.probes[0].data.column<prefill_tokens_t>()[1], 19.0);
  EXPECT_EQ(found.probes[1].rows, row_set::of({1, 2}));
  EXPECT_EQ(found.probes[1].data.column<decode_requests_t>()[0], 5.0);
  EXPECT_EQ(found.probes[1].data.column<decode_tokens_t>()[0], 5.0);
  ASSERT_EQ(found.notes.size(), 2U);
  EXPECT_NE(found.notes[0].find("more context was not asked for"), std::string::npos);
}

/// Lists of requests, and a queue that a new one leaves.
struct with_queue : tiny::listed {
  using columns = column_list<decode_tokens_t, queue_running_t, gpu_step_time_t>;
};
TEST(Probes, OfOneMoreRequestCountItAmongThoseThatRun) {
  dataset_builder<with_queue> build("q.csv");
  build.add_deployment(deployment_of(static_deployment<tiny::dense, tiny::memory_bound>{}));
  build.begin_row(0).add(request::decoding(9)).set(queue_running, 7.0).set(gpu_step_time, 0.5).end_row();
  const auto found = load_probes(build.finish(), row_set::all(1));
  ASSERT_EQ(found.probes.size(), 3U);
  for (const auto& one : found.probes) {
    EXPECT_EQ(one.data.column<queue_running_t>()[0], one.name == "load: one more decode request" ? 8.0 : 7.0);
  }
  EXPECT_EQ(found.notes, std::vector<std::string>{"'load: 16 more tokens of a prompt' concerns no sampled step"});
}

/// Counts and KV lengths without lists: how their deviation would follow, nobody can say.
struct with_deviation : tiny::aggregated {
  using columns = column_list<prefill_tokens_t, decode_tokens_t, prefill_requests_t, decode_requests_t,
                              kv_deviation_t, gpu_step_time_t>;
};
TEST(Probes, AreNotMadeWhereAColumnWouldFollowUnknown) {
  dataset_builder<with_deviation> build("a.csv");
  const auto found = load_probes(build.finish(), row_set{});
  EXPECT_TRUE(found.probes.empty());
  EXPECT_NE(found.notes.back().find("kv_deviation"), std::string::npos);
}

TEST(Probes, ReachTheReportRowByRow) {
  const auto data = listed_steps(80);
  const auto folds = lomo{}.folds(data);
  auto load = load_probes(data, row_set::all(80), {.rows = 50});
  const auto hardware = hardware_probes(data, row_set::all(80), {.rows = 30});
  ASSERT_EQ(hardware.probes.size(), 4U);
  load.probes.insert(load.probes.end(), hardware.probes.begin(), hardware.probes.end());
  evaluation_report report;
  report.results.push_back(evaluate_on_folds<odd_model>(data, folds, {}, load.probes).result);
  const predictor_result& result = report.results[0];
  const std::vector<probe_falls> falls = falls_of_probes(result);
  ASSERT_EQ(falls.size(), 4U);
  std::size_t prompts = 0;
  sample_of(row_set::all(80), 50, 1).for_each([&](std::size_t row) {
    prompts += data.column<prefill_tokens_t>()[row] > 0.0 ? 1U : 0U;
  });
  EXPECT_EQ(falls[0].pairs, prompts);
  EXPECT_EQ(falls[0].falls, prompts) << "this model takes less time for more of a prompt";
  EXPECT_EQ(falls[0].share(), 1.0);
  // The largest fall by hand: 16 tokens of 2e-6 against 1 + 1e-6 d - 2e-6 p.
  double largest = 0.0;
  std::size_t where = 0;
  sample_of(row_set::all(80), 50, 1).for_each([&](std::size_t row) {
    const double p = data.column<prefill_tokens_t>()[row], d = data.column<decode_tokens_t>()[row];
    const double fall = 32e-6 / (1.0 + 1e-6 * d - 2e-6 * p);
    if (p > 0.0 && fall > largest) {
      largest = fall;
      where = row;
    }
  });
  EXPECT_NEAR(falls[0].largest, largest, 1e-12);
  EXPECT_EQ(falls[0].row, where);
  EXPECT_EQ(falls[0].fold, where % 2 == 0 ? "even" : "odd");
  EXPECT_EQ(falls[1].falls + falls[2].falls + falls[3].falls, 0U);

  const sensitivity_report sensitive = hardware_sensitivity(result);
  ASSERT_EQ(sensitive.figures.size(), 2U);
  EXPECT_EQ(sensitive.figures[0].figure, "peak_flops");
  EXPECT_EQ(sensitive.figures[0].rows, 30U);
  EXPECT_NEAR(sensitive.figures[0].elasticity, -1.0, 1e-12);
  EXPECT_NEAR(sensitive.figures[0].lowest, -1.0, 1e-12);
  EXPECT_NEAR(sensitive.figures[1].elasticity, -0.5, 1e-12);
  EXPECT_NEAR(sensitive.figures[0].mean_change, 0.5 * ((1.0 - 1.0 / 1.1) + (1.0 / 0.9 - 1.0)), 1e-12);
  double mape = 0.0, more = 0.0;
  sample_of(row_set::all(80), 30, 1).for_each([&](std::size_t row) {
    const double t = 1.0 + 1e-6 * data.column<decode_tokens_t>()[row] - 2e-6 * data.column<prefill_tokens_t>()[row];
    mape += std::fabs(t / data.target()[row] - 1.0) / 30.0;
    more += std::fabs(t / 1.1 / data.target()[row] - 1.0) / 30.0;
  });
  EXPECT_NEAR(sensitive.figures[0].mape, mape, 1e-9 * mape);
  EXPECT_NEAR(sensitive.figures[0].mape_more, more, 1e-9 * more);
  const step_view view = step_view_of(data);
  EXPECT_NE(tiny::first_block<captioned_table>(hardware_sensitivity_section(report)), nullptr);
  EXPECT_NE(tiny::first_block<captioned_table>(monotonicity_section(report, view)), nullptr);
}

TEST(Dominance, PairsAreOrderedInEveryLoadAndOfOneDeploymentAndFold) {
  const step_view view = tiny::made_view(300);
  const predictor_result result =
      tiny::made_result("p", view, [](std::size_t row) { return row % 5 == 0 ? -0.4 : 0.0; });
  const auto pairs = dominance_pairs(result, view, {.pairs = 500, .draws = 20000});
  ASSERT_EQ(pairs.size(), 3U);
  std::size_t total = 0, falls = 0, measured = 0;
  double largest = 0.0;
  for (std::size_t f = 0; f < 3; ++f) {
    const row_set& rows = result.folds[f].predictions.rows;
    for (const dominance_pair& one : pairs[f]) {
      ++total;
      ASSERT_TRUE(rows.contains(one.lighter) && rows.contains(one.heavier));
      bool more = false;
      for (const auto name : load_columns) {
        const std::vector<double>* of = view.find(name);
        if (of == nullptr) continue;
        EXPECT_GE((*of)[one.heavier], (*of)[one.lighter]);
        more = more || (*of)[one.heavier] > (*of)[one.lighter];
      }
      EXPECT_TRUE(more);
      const auto predicted = [&](std::size_t row) { return view.times[row] * (row % 5 == 0 ? 0.6 : 1.0); };
      measured += view.times[one.heavier] < view.times[one.lighter] ? 1U : 0U;
      if (predicted(one.heavier) < predicted(one.lighter) * (1.0 - fall_tolerance)) {
        ++falls;
        largest = std::max(largest, 1.0 - predicted(one.heavier) / predicted(one.lighter));
      }
    }
  }
  EXPECT_GT(total, 400U);
  const dominance_report found = dominance(result, view, pairs);
  EXPECT_EQ(found.pairs, total);
  EXPECT_EQ(found.falls, falls);
  EXPECT_GT(falls, 0U);
  EXPECT_EQ(found.measured_falls, measured);
  EXPECT_NEAR(found.largest, largest, 1e-12);
  EXPECT_EQ(dominance_pairs(result, view, {.pairs = 500, .draws = 20000})[1].front().heavier,
            pairs[1].front().heavier);
}

inline constexpr positive<"scale", 1_c> scale{};
inline constexpr constant<1, 0, units::second / units::token> second_per_token{};
struct scaled : nonlinear<scale * second_per_token * decode_tokens, objective::relative> {};

TEST(ParameterSensitivity, IsTheElasticityOfThePrediction) {
  const auto data = listed_steps(40);
  const auto folds = lomo{}.folds(data);
  const auto outcome = evaluate_on_folds<scaled>(data, folds);
  const sensitivity_report found = parameter_sensitivity(data, folds, outcome);
  ASSERT_FALSE(found.figures.empty());
  EXPECT_EQ(found.figures[0].figure, "scale");
  EXPECT_NEAR(found.figures[0].elasticity, 1.0, 1e-12);
  EXPECT_EQ(found.figures[0].rows, 40U);
  EXPECT_NEAR(found.figures[0].mean_change, 0.1, 1e-12);
}

/// Two folds with probes of the first three rows of each; the answers to the second fold's are refused.
predictor_result half_refused(const step_view& view) {
  predictor_result made = tiny::made_result("p", view, [](std::size_t) { return 0.0; });
  made.folds.resize(2);
  for (std::size_t f = 0; f < 2; ++f) {
    const std::vector<std::size_t> tested = made.folds[f].predictions.rows.to_vector();
    const row_set rows = row_set::of({tested[0], tested[1], tested[2]});
    for (const char* name : {"load: more", "hardware: peak x1.1", "hardware: peak x0.9"}) {
      probe_predictions one{name, rows, {}, f == 1 ? "too heavy" : ""};
      const double factor = std::string(name) == "load: more" ? 0.5 : std::string(name).ends_with("x1.1") ? 0.9 : 1.1;
      for (std::size_t i = 0; i < 3 && f == 0; ++i) one.predicted.push_back(factor * view.times[tested[i]]);
      made.folds[f].probes.push_back(std::move(one));
    }
  }
  return made;
}

TEST(Probes, ThatOneFoldRefusesAreShownForTheOthers) {
  const step_view view = tiny::made_view(90);
  evaluation_report report;
  report.results.push_back(half_refused(view));
  const std::string fold = report.results[0].folds[1].held_out;
  const auto falls = falls_of_probes(report.results[0]);
  ASSERT_EQ(falls.size(), 1U);
  EXPECT_EQ(falls[0].pairs, 3U);
  EXPECT_EQ(falls[0].falls, 3U);
  EXPECT_EQ(falls[0].refused, std::vector<std::string>{"refused in fold " + fold + ": too heavy"});
  const report_section monotonicity = monotonicity_section(report, view);
  EXPECT_EQ(tiny::first_block<captioned_table>(monotonicity)->table.rows().size(), 1U);
  ASSERT_NE(tiny::first_block<bullet_list>(monotonicity), nullptr);
  EXPECT_EQ(tiny::first_block<bullet_list>(monotonicity)->items,
            std::vector<std::string>{"p, load: more: refused in fold " + fold + ": too heavy"});
  const auto sensitive = hardware_sensitivity(report.results[0]);
  EXPECT_EQ(sensitive.figures[0].rows, 3U);
  EXPECT_NEAR(sensitive.figures[0].elasticity, -1.0, 1e-12);
  const report_section hardware = hardware_sensitivity_section(report);
  EXPECT_EQ(tiny::first_block<captioned_table>(hardware)->table.rows().size(), 1U);
  EXPECT_EQ(tiny::first_block<bullet_list>(hardware)->items,
            std::vector<std::string>{"p, peak: refused in fold " + fold + ": too heavy"});
}

TEST(HardwareSensitivitySection, LeavesUndefinedFiguresOutOfItsSummary) {
  const step_view view = tiny::made_view(90);
  evaluation_report report;
  report.results.push_back(half_refused(view));
  predictor_result second = report.results[0];
  second.predictor = "q";
  for (double& one : report.results[0].folds[0].probes[1].predicted) one = std::nan("");
  report.results.push_back(second);
  EXPECT_NE(hardware_sensitivity_section(report).summary.find("the error of q by +10.00 points"), std::string::npos)
      << hardware_sensitivity_section(report).summary;
  report.results.pop_back();
  EXPECT_NE(hardware_sensitivity_section(report).summary.find("not known"), std::string::npos);
}

TEST(MonotonicitySection, SaysThatNoPredictorFalls) {
  step_view view = tiny::made_view(300);
  for (std::size_t row = 0; row < 300; row += 7) view.times[row] *= 3.0;
  evaluation_report report;
  predictor_result result = tiny::made_result("p", view, [](std::size_t) { return 0.0; });
  report.results.push_back(result);
  EXPECT_NE(monotonicity_section(report, view).summary.find("p predicts the heavier one shorter in"),
            std::string::npos);
  for (fold_result& one : report.results[0].folds) {
    std::fill(one.predictions.predicted.begin(), one.predictions.predicted.end(), 1e-3);
  }
  const std::string summary = monotonicity_section(report, view).summary;
  EXPECT_NE(summary.find("no predictor predicts the heavier one shorter; "), std::string::npos) << summary;
  EXPECT_EQ(summary.find("0.00 %"), std::string::npos) << summary;
}

}  // namespace
