// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Two feature sets side by side: nanoseconds a step, features, nodes of the shared plan and of the trees as written.
#include <benchmark/benchmark.h>

#include <vector>

#include "rafter/feature/catalog/scale_free.hpp"
#include "rafter/feature/catalog/study30.hpp"
#include "support/measure.hpp"
#include "support/workload.hpp"

namespace {

constexpr std::size_t steps = 512;

const std::vector<bench::aggregate_record>& sample_steps() {
  static const std::vector<bench::aggregate_record> sample = [] {
    const bench::reference_data data = bench::make_reference_data(16 * steps);
    std::vector<bench::aggregate_record> made;
    for (std::size_t i = 0; i < steps; ++i) made.push_back(bench::aggregates(data, 16 * i));
    return made;
  }();
  return sample;
}
template <class Features> void count(benchmark::State& state) {
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(steps));
  state.counters["time/step"] = benchmark::Counter(
      static_cast<double>(steps), benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
  state.counters["features"] = static_cast<double>(Features::size);
  state.counters["nodes"] = static_cast<double>(Features::plan_size);
  state.counters["nodes_as_written"] = static_cast<double>(Features::tree_size);
}

/// The deployment's part computed once.
template <auto Features> void evaluate_steps(benchmark::State& state) {
  const auto engine = bench::reference_deployments()[2];
  const auto bound = Features.template bind<bench::aggregate_record>(engine);
  for (auto _ : state) {
    for (const bench::aggregate_record& step : sample_steps()) {
      auto values = bound(step);
      bench::keep(values);
    }
  }
  count<std::remove_cvref_t<decltype(Features)>>(state);
}

/// The naive way: everything from the deployment again for each step.
template <auto Features> void evaluate_unbound(benchmark::State& state) {
  const auto engine = bench::reference_deployments()[2];
  for (auto _ : state) {
    for (const bench::aggregate_record& step : sample_steps()) {
      auto values = Features.evaluate(step, engine);
      bench::keep(values);
    }
  }
  count<std::remove_cvref_t<decltype(Features)>>(state);
}

namespace catalog = rafter::catalog;
inline constexpr auto without_physics =
    rafter::only<"prefill_tokens", "decode_tokens", "kv_sum", "kv_max">(catalog::study30);

BENCHMARK(evaluate_steps<catalog::study30>);
BENCHMARK(evaluate_steps<catalog::scale_free>);
BENCHMARK(evaluate_steps<without_physics>);
BENCHMARK(evaluate_unbound<catalog::study30>);
BENCHMARK(evaluate_unbound<catalog::scale_free>);

}  // namespace
