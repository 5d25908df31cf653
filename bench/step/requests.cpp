// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Reductions over ragged KV lengths: in one pass by a plan, by hand in one pass, naively one pass each; and what they
// cost once the dataset carries them as columns.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <vector>

#include "rafter/feature/catalog/study30.hpp"
#include "rafter/feature/feature_set.hpp"
#include "support/measure.hpp"
#include "support/workload.hpp"

namespace {

constexpr std::size_t rows = 4096;
using statistics = std::remove_cvref_t<decltype(rafter::catalog::kv_statistics)>;

struct sample {
  bench::reference_data data = bench::make_reference_data(rows);
  bench::kv_lists kv = bench::kv_lengths_of(data);
  std::vector<bench::listed_record> listed;
  std::vector<bench::aggregate_record> aggregate;
  sample() {
    for (std::size_t row = 0; row < rows; ++row) {
      listed.push_back(bench::lists(data, kv, row));
      aggregate.push_back(bench::aggregates(data, row));
    }
  }
};
const sample& steps() {
  static const sample made;
  return made;
}
void count(benchmark::State& state) {
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(rows));
  state.counters["time/step"] = benchmark::Counter(
      static_cast<double>(rows), benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
  state.counters["lengths/step"] = static_cast<double>(steps().kv.lengths.size()) / static_cast<double>(rows);
}

void plan_over_lists(benchmark::State& state) {
  const auto bound = statistics::bind<bench::listed_record>(steps().data.deployment(0));
  for (auto _ : state) {
    for (const auto& step : steps().listed) {
      auto values = bound(step);
      bench::keep(values);
    }
  }
  count(state);
}
BENCHMARK(plan_over_lists);

void hand_one_pass(benchmark::State& state) {
  for (auto _ : state) {
    for (const auto& step : steps().listed) {
      std::array<double, 5> values{};
      if (!step.kv_lengths.empty()) {
        const double first = step.kv_lengths.front();
        double sum = 0.0, shifted = 0.0, squares = 0.0, high = first, low = first;
        for (const double length : step.kv_lengths) {
          sum += length;
          shifted += length - first;
          squares += (length - first) * (length - first);
          high = std::max(high, length);
          low = std::min(low, length);
        }
        const double n = static_cast<double>(step.kv_lengths.size());
        values = {sum / n, high, low, std::sqrt(std::max(0.0, (squares - shifted * shifted / n) / n)), sum};
      }
      bench::keep(values);
    }
  }
  count(state);
}
BENCHMARK(hand_one_pass);

void naive_one_pass_each(benchmark::State& state) {
  for (auto _ : state) {
    for (const auto& step : steps().listed) {
      const auto& kv = step.kv_lengths;
      std::array<double, 5> values{};
      if (!kv.empty()) {
        const double n = static_cast<double>(kv.size());
        const double sum = std::accumulate(kv.begin(), kv.end(), 0.0);
        const double mean = sum / n;
        const double squares = std::accumulate(kv.begin(), kv.end(), 0.0, [&](double total, double length) {
          return total + (length - mean) * (length - mean);
        });
        values = {mean, *std::max_element(kv.begin(), kv.end()), *std::min_element(kv.begin(), kv.end()),
                  std::sqrt(squares / n), sum};
      }
      bench::keep(values);
    }
  }
  count(state);
}
BENCHMARK(naive_one_pass_each);

void aggregates_given(benchmark::State& state) {
  const auto bound = statistics::bind<bench::aggregate_record>(steps().data.deployment(0));
  for (auto _ : state) {
    for (const auto& step : steps().aggregate) {
      auto values = bound(step);
      bench::keep(values);
    }
  }
  count(state);
}
BENCHMARK(aggregates_given);

}  // namespace
