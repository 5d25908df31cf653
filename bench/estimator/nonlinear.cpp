// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Corrected rooflines side by side, by their number of parameters: what a fit takes, and what a step takes afterwards.
#include "rafter/estimator/nonlinear.hpp"

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "rafter/analytical/corrected.hpp"
#include "support/measure.hpp"
#include "support/workload.hpp"

namespace {

using reading = rafter::analytical::physical_reading;
constexpr std::size_t rows = 30'688;  // a quarter of the reference workload

const bench::reference_data& data() {
  static const bench::reference_data made = bench::make_reference_data(rows);
  return made;
}

template <class Estimator> void describe(benchmark::State& state) {
  const auto fitted = Estimator::fit(data(), rafter::row_set::all(rows));
  state.counters["parameters"] = static_cast<double>(fitted.summary().parameters);
  state.counters["identifiable"] = static_cast<double>(fitted.summary().identifiable);
  state.counters["evaluations"] = static_cast<double>(fitted.solution().evaluations);
}

template <auto Model> void fit(benchmark::State& state) {
  using estimator = rafter::nonlinear<Model>;
  const rafter::row_set all = rafter::row_set::all(rows);
  for (auto _ : state) {
    auto fitted = estimator::fit(data(), all);
    bench::keep(fitted);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(rows));
  describe<estimator>(state);
}
BENCHMARK(fit<rafter::analytical::roofline9<reading>>)->Name("fit/roofline9")->Unit(benchmark::kMillisecond);
BENCHMARK(fit<rafter::analytical::roofline16<reading>>)->Name("fit/roofline16")->Unit(benchmark::kMillisecond);
BENCHMARK(fit<rafter::analytical::roofline18<reading>>)->Name("fit/roofline18")->Unit(benchmark::kMillisecond);

// Bound to one deployment, aggregates given, 64 records that stay in the cache.
template <auto Model> void step(benchmark::State& state) {
  using estimator = rafter::nonlinear<Model>;
  const auto fitted = estimator::fit(data(), rafter::row_set::all(rows));
  const auto bound = fitted.template bind<bench::aggregate_record>(data().deployment(2));
  std::vector<bench::aggregate_record> records;
  for (std::size_t row = 0; row < 64; ++row) records.push_back(bench::aggregates(data(), row * (rows / 64)));
  for (auto _ : state) {
    for (const bench::aggregate_record& record : records) {
      double time = bound(record).value;
      bench::keep(time);
    }
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(records.size()));
  state.counters["step"] =
      benchmark::Counter(static_cast<double>(records.size()),
                         benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}
BENCHMARK(step<rafter::analytical::roofline9<reading>>)->Name("step/roofline9");
BENCHMARK(step<rafter::analytical::roofline16<reading>>)->Name("step/roofline16");
BENCHMARK(step<rafter::analytical::roofline18<reading>>)->Name("step/roofline18");

}  // namespace
