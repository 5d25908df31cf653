// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/step/columns.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "rafter/architecture/catalog.hpp"
#include "rafter/hardware/h100.hpp"
#include "support/battery.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;

/// Requests and some of what follows from them: kv_sum is a column here, the other aggregates are reduced.
struct schema {
  static constexpr std::string_view name = "property";
  using columns = column_list<queue_running_t, kv_sum_t, kv_usage_ratio_t, prefill_tokens_t>;
  using targets = column_list<>;
  static constexpr bool lists_requests = true;
  using deployment_type = deployment;
};

namespace w = tiny::written;
using battery = tiny::expressions_of<std::tuple<
    std::remove_cvref_t<decltype(w::busy / queue_running)>, std::remove_cvref_t<decltype(w::tokens + w::L * w::E)>,
    std::remove_cvref_t<decltype(select(w::busy < 0.5_c, queue_running,
                                        select(w::E > 1_c, w::tokens, log1p(w::busy))))>,
    std::remove_cvref_t<decltype(ratio(kv_sum, kv_max, 0_c) * exp(-w::busy))>,
    std::remove_cvref_t<decltype(sqrt(w::tokens) + pow<-3>(w::busy))>,
    std::remove_cvref_t<decltype(indicator(prefill_requests > 0_c && !(decode_requests == 0_c)))>,
    std::remove_cvref_t<decltype(sum(kv_length) / count(decode))>, std::remove_cvref_t<decltype(kv_deviation)>,
    std::remove_cvref_t<decltype(min(context_tokens, prefill))>,
    std::remove_cvref_t<decltype(sum(square(w::above_mean), decode) / max(decode_requests, 1_c))>,
    std::remove_cvref_t<decltype(max(context_tokens - for_each_request(mean(w::above_mean + context_tokens))))>,
    std::remove_cvref_t<decltype(sum(
        select(for_each_request(w::busy < 0.5_c), w::context, for_each_request(w::tokens))))>,
    std::remove_cvref_t<decltype(analytical::roofline_step_time)>, std::remove_cvref_t<decltype(1_c / 3_c)>,
    std::remove_cvref_t<decltype(architecture::layers)>>>;

const deployment engines[] = {deployment_of(static_deployment<tiny::dense, tiny::memory_bound>{}),
                              deployment_of(static_deployment<mixtral_8x7b, h100_sxm, 2>{}),
                              deployment_of(static_deployment<llama2_70b, h100_sxm, 4>{})};

struct sample {
  dataset<schema> data;
  std::vector<std::vector<double>> expected;  ///< per row, by walking the trees over the row's own requests
};
/// `rows` seeded steps; the deployment changes about every `stretch` rows.
sample sample_of(std::size_t rows, double stretch, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::bernoulli_distribution changes(1.0 / stretch);
  dataset_builder<schema> build("seeded");
  for (const deployment& engine : engines) build.add_deployment(engine);
  std::vector<std::vector<double>> expected;
  std::size_t engine = 0;
  for (std::size_t row = 0; row < rows; ++row) {
    if (changes(random)) engine = (engine + 1) % 3;
    const tiny::state_step step = tiny::random_state_step(random);
    build.begin_row(engine, row + 1).set(kv_usage_ratio, step.kv_usage_ratio).set(queue_running, step.queue_running);
    for (const request& one : step.requests) build.add(one);
    build.end_row();
    expected.push_back(battery::walked(step, engines[engine]));
  }
  return {build.finish(), std::move(expected)};
}

using schema_plan = battery::plan<dataset<schema>::binding_type>;

/// Scalar rows, packs of rows and the row's own view give the walked values; exactly the rows asked for are visited.
void expect_columns_are_walks(const sample& from, const row_set& rows) {
  const column_evaluation<schema_plan, schema> evaluation(from.data, rows);
  std::vector<std::size_t> visited;
  evaluation.for_each_run(rows, [&](const auto& slots, row_range range) {
    for (std::size_t row = range.begin; row < range.end; ++row) {
      visited.push_back(row);
      evaluation.template rows<double>(slots, row, [&](auto k, double v) {
        EXPECT_PRED2(tiny::same, from.expected[row][static_cast<std::size_t>(k())], v)
            << "row " << row << " output " << k();
      });
      double own[battery::size];
      detail::executor<schema_plan>::step(slots.data(), from.data[row], [&](auto k, double v) { own[k()] = v; });
      for (std::size_t k = 0; k < battery::size; ++k) {
        EXPECT_PRED2(tiny::same, from.expected[row][k], own[k]) << "row " << row << " output " << k;
      }
    }
    for (std::size_t row = range.begin; row < range.end; row += pack_width) {
      const std::size_t here = std::min(pack_width, range.end - row);
      evaluation.template rows<pack>(slots, row, [&](auto k, pack v) {
        for (std::size_t lane = 0; lane < here; ++lane) {
          EXPECT_PRED2(tiny::same, from.expected[row + lane][static_cast<std::size_t>(k())], v[lane])
              << "row " << row + lane << " output " << k();
        }
      });
    }
  });
  EXPECT_EQ(visited, rows.to_vector());
}

TEST(Columns, AnyNumberOfRowsAroundThePackWidth) {
  for (std::size_t rows = 1; rows <= 17; ++rows) {
    const sample from = sample_of(rows, 1e9, rows);
    expect_columns_are_walks(from, row_set::all(rows));
  }
}

TEST(Columns, DeploymentsThatChangeWithinAPack) {
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    const sample from = sample_of(61, seed % 2 == 0 ? 3.0 : 1.2, 100 + seed);
    EXPECT_GT(from.data.runs().size(), 5U);
    expect_columns_are_walks(from, row_set::all(from.data.size()));
  }
}

TEST(Columns, SetsOfRowsWithHoles) {
  std::mt19937_64 random(9);
  const sample from = sample_of(80, 7.0, 200);
  for (const double share : {0.1, 0.5, 0.9}) {
    std::bernoulli_distribution keep(share);
    expect_columns_are_walks(from, row_set::where(80, [&](std::size_t) { return keep(random); }));
  }
  expect_columns_are_walks(from, row_set::of({79}));
  expect_columns_are_walks(from, row_set());
}

TEST(Columns, KeptRowsEvaluateAsTheyDidInTheWhole) {
  const sample from = sample_of(40, 4.0, 300);
  const row_set rows = row_set::where(40, [](std::size_t row) { return row % 3 != 0; });
  std::vector<std::vector<double>> expected;
  rows.for_each([&](std::size_t row) { expected.push_back(from.expected[row]); });
  expect_columns_are_walks({from.data.keep(rows), expected}, row_set::all(rows.size()));
}

}  // namespace
