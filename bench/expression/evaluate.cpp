// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// The study's 30 features of all rows: the plan in packs against the hand-written loop, and row by row.
#include "rafter/expression/evaluate.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>

#include "support/hand.hpp"
#include "support/plan.hpp"

namespace {

constexpr std::size_t rows = 16'384, packs = 8;
alignas(64) double tile[packs * rafter::pack_width * bench::study30::size];

const bench::reference_data& data() {
  static const bench::reference_data made = bench::make_reference_data(rows);
  return made;
}
void count(benchmark::State& state) {
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(rows));
  state.counters["time/step"] = benchmark::Counter(
      static_cast<double>(rows), benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
  state.counters["nodes"] = static_cast<double>(bench::study30_plan::size);
}

void plan_to_tiles(benchmark::State& state) {
  const rafter::row_set all = rafter::row_set::all(rows);
  const bench::study30_columns evaluation(data(), all);
  for (auto _ : state) bench::plan_to_tiles(evaluation, all, tile, packs);
  count(state);
}
BENCHMARK(plan_to_tiles);

void hand_to_tiles(benchmark::State& state) {
  const auto raw = bench::hand::columns_of(data());
  const auto runs = bench::hand::runs_of(data());
  for (auto _ : state) {
    for (const auto& run : runs) {
      for (std::size_t at = run.begin; at < run.end; at += packs * rafter::pack_width) {
        bench::hand::to_tile(raw, run.fixed, at, std::min(run.end, at + packs * rafter::pack_width), tile);
        bench::keep(*tile);
      }
    }
  }
  count(state);
}
BENCHMARK(hand_to_tiles);

void plan_row_by_row(benchmark::State& state) {
  const rafter::row_set all = rafter::row_set::all(rows);
  const bench::study30_columns evaluation(data(), all);
  for (auto _ : state) {
    evaluation.for_each_run(all, [&](const auto& slots, rafter::row_range range) {
      for (std::size_t row = range.begin; row < range.end; ++row) {
        evaluation.rows<double>(slots, row, [&](auto k, double value) RAFTER_INLINE_LAMBDA {
          tile[static_cast<std::size_t>(decltype(k)::value)] = value;
        });
        bench::keep(*tile);
      }
    });
  }
  count(state);
}
BENCHMARK(plan_row_by_row);

// What one gets without plans: nothing bound, every feature from the record and the deployment, step by step.
void unbound_record_by_record(benchmark::State& state) {
  std::vector<bench::aggregate_record> records;
  for (std::size_t row = 0; row < rows; ++row) records.push_back(bench::aggregates(data(), row));
  for (auto _ : state) {
    for (std::size_t row = 0; row < rows; ++row) {
      auto features = bench::study30::evaluate(records[row], data().deployment_of(row));
      bench::keep(features);
    }
  }
  count(state);
}
BENCHMARK(unbound_record_by_record);

}  // namespace
