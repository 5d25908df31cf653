// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/step/columns.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "support/steps.hpp"

namespace {

using namespace rafter;

const deployment engine_a = deployment_of(static_deployment<tiny::dense, tiny::memory_bound>{});
const deployment engine_b = deployment_of(static_deployment<tiny::moe, tiny::memory_bound, 2>{});

/// Rows of the deployments given, in order.
dataset<tiny::listed> rows_of(const std::vector<std::size_t>& engines) {
  std::mt19937_64 random(3);
  dataset_builder<tiny::listed> build("made");
  build.add_deployment(engine_a);
  build.add_deployment(engine_b);
  for (std::size_t i = 0; i < engines.size(); ++i) tiny::add_random_row(build, random, engines[i], i + 1);
  return build.finish();
}

template <class... Es> using listed_plan = plan<dataset<tiny::listed>::binding_type, Es...>;

/// layers·(1 + tp): 4 on engine a, 6 on engine b.
using marks_engine = std::remove_cvref_t<decltype(architecture::layers * (constant<1, 0>{} + tensor_parallel))>;

TEST(ColumnEvaluation, CutsRunsWhereTheDeploymentChanges) {
  const auto data = rows_of({0, 0, 0, 1, 1, 0, 0, 1});
  const row_set rows = row_set::of({1, 2, 3, 5, 6, 7});
  const column_evaluation<listed_plan<marks_engine>, tiny::listed> evaluation(data, rows);
  std::vector<row_range> seen;
  std::vector<double> marks;
  evaluation.for_each_run(rows, [&](const auto& slots, row_range range) {
    seen.push_back(range);
    evaluation.rows<double>(slots, range.begin, [&](auto, double v) { marks.push_back(v); });
  });
  EXPECT_EQ(seen, (std::vector<row_range>{{1, 3}, {3, 4}, {5, 7}, {7, 8}}));
  EXPECT_EQ(marks, (std::vector<double>{4, 6, 4, 6}));
}

TEST(ColumnEvaluation, SkipsWholeRunsThatNoRowIsAskedOf) {
  const auto data = rows_of({0, 1, 0, 1, 0, 1});
  const row_set rows = row_set::of({0, 4, 5});
  const column_evaluation<listed_plan<marks_engine>, tiny::listed> evaluation(data, rows);
  std::vector<double> marks;
  evaluation.for_each_run(rows, [&](const auto& slots, row_range range) {
    EXPECT_EQ(range.size(), 1U);
    evaluation.rows<double>(slots, range.begin, [&](auto, double v) { marks.push_back(v); });
  });
  EXPECT_EQ(marks, (std::vector<double>{4, 4, 6}));
}

TEST(ColumnEvaluation, TwoRangesOfOneRunHaveItsDeployment) {
  const auto data = rows_of({0, 0, 0, 0, 1});
  const row_set rows = row_set::of({0, 2, 4});
  const column_evaluation<listed_plan<marks_engine>, tiny::listed> evaluation(data, rows);
  std::vector<double> marks;
  evaluation.for_each_run(rows, [&](const auto& slots, row_range range) {
    evaluation.rows<double>(slots, range.begin, [&](auto, double v) { marks.push_back(v); });
  });
  EXPECT_EQ(marks, (std::vector<double>{4, 4, 6}));
}

TEST(ColumnEvaluation, NoRowsVisitNothing) {
  const auto data = rows_of({0, 1});
  const column_evaluation<listed_plan<marks_engine>, tiny::listed> evaluation(data, row_set());
  evaluation.for_each_run(row_set(), [&](const auto&, row_range) { FAIL(); });
}

TEST(ColumnEvaluation, ReducesOverTheRequestsOfTheRowsAskedFor) {
  const auto data = rows_of({0, 1, 0});
  using longest = std::remove_cvref_t<decltype(max(context_tokens, decode))>;  // no column of the schema
  const row_set rows = row_set::of({0, 2});
  const column_evaluation<listed_plan<longest>, tiny::listed> evaluation(data, rows);
  evaluation.for_each_run(rows, [&](const auto& slots, row_range range) {
    evaluation.rows<double>(slots, range.begin, [&](auto, double v) {
      double expected = 0.0;
      for (const request& one : data.requests(range.begin)) {
        if (one.decode) expected = std::max(expected, one.context_tokens);
      }
      EXPECT_EQ(v, expected);
    });
  });
}

TEST(ColumnEvaluation, APackMayReachPastTheLastRow) {
  const auto data = rows_of({0});
  using sum = std::remove_cvref_t<decltype(scheduled_tokens)>;
  const column_evaluation<listed_plan<sum>, tiny::listed> evaluation(data, row_set::all(1));
  evaluation.for_each_run(row_set::all(1), [&](const auto& slots, row_range) {
    evaluation.rows<pack>(slots, 0, [&](auto, pack v) {
      EXPECT_EQ(v[0], data[0].get(prefill_tokens) + data[0].get(decode_tokens));
      EXPECT_EQ(v[pack_width - 1], 0.0);
    });
  });
}

}  // namespace
