// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Ridge regression on the study's 30 features, from raw columns: one fit, many folds, prediction; by hand; with Eigen.
#include "rafter/estimator/linear.hpp"

#include <benchmark/benchmark.h>

#include "naive/eigen.hpp"
#include "rafter/solver/ridge.hpp"
#include "support/hand.hpp"
#include "support/plan.hpp"

namespace {

using ridge30 = rafter::linear<rafter::catalog::study30, rafter::ridge<1>>;
constexpr std::size_t rows = 30'688;  // a quarter of the reference workload
constexpr std::size_t stride = rows + 2 * rafter::pack_width;

const bench::reference_data& data() {
  static const bench::reference_data made = bench::make_reference_data(rows);
  return made;
}
const rafter::row_set all = rafter::row_set::all(rows);
void count(benchmark::State& state) { state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(rows)); }

void fit(benchmark::State& state) {
  const bench::reference_data& steps = data();
  for (auto _ : state) {
    auto fitted = ridge30::fit(steps, all);
    bench::keep(fitted);
  }
  count(state);
}
BENCHMARK(fit)->Unit(benchmark::kMillisecond);

void fit_by_hand(benchmark::State& state) {
  const auto raw = bench::hand::columns_of(data());
  const auto runs = bench::hand::runs_of(data());
  for (auto _ : state) {
    auto fitted = bench::hand::fit(raw, runs, 1.0);
    bench::keep(fitted);
  }
  count(state);
}
BENCHMARK(fit_by_hand)->Unit(benchmark::kMillisecond);

void fit_materialised_with_eigen(benchmark::State& state) {
  bench::aligned_doubles x(stride * bench::study30::size);
  const bench::study30_columns evaluation(data(), all);
  for (auto _ : state) {
    bench::plan_to_matrix(evaluation, all, x.data(), stride);
    auto fitted =
        bench::naive::eigen_ridge(x.data(), rows, bench::study30::size, stride, data().target().data(), 1.0);
    bench::keep(fitted);
  }
  count(state);
}
BENCHMARK(fit_materialised_with_eigen)->Unit(benchmark::kMillisecond);

void fit_each_fold(benchmark::State& state) {
  const auto trainings = bench::leave_block_out(rows, static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    auto fitted = ridge30::fit_each(data(), trainings);
    bench::keep(fitted);
  }
  count(state);
}
BENCHMARK(fit_each_fold)->Arg(4)->Arg(16)->Arg(250)->Unit(benchmark::kMillisecond);

// The naive way to the folds: one fit after the other.
void fit_folds_one_by_one(benchmark::State& state) {
  const auto trainings = bench::leave_block_out(rows, static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    for (const rafter::row_set& training : trainings) {
      auto fitted = ridge30::fit(data(), training);
      bench::keep(fitted);
    }
  }
  count(state);
}
BENCHMARK(fit_folds_one_by_one)->Arg(4)->Arg(16)->Unit(benchmark::kMillisecond);

void predict_rows(benchmark::State& state) {
  const auto fitted = ridge30::fit(data(), all);
  std::vector<double> out(rows);
  for (auto _ : state) {
    fitted.predict(data(), all, out);
    bench::keep(out);
  }
  count(state);
}
BENCHMARK(predict_rows)->Unit(benchmark::kMicrosecond);

void predict_materialised_with_eigen(benchmark::State& state) {
  const auto fitted = ridge30::fit(data(), all);
  bench::aligned_doubles x(stride * bench::study30::size);
  const bench::study30_columns evaluation(data(), all);
  std::vector<double> out(rows);
  for (auto _ : state) {
    bench::plan_to_matrix(evaluation, all, x.data(), stride);
    bench::naive::eigen_predict(x.data(), rows, bench::study30::size, stride, fitted.solution().coefficients.data(),
                                fitted.solution().intercept, out.data());
  }
  count(state);
}
BENCHMARK(predict_materialised_with_eigen)->Unit(benchmark::kMicrosecond);

}  // namespace
