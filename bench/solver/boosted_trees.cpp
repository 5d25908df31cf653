// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Training of boosted trees on the reference workload (122,752 steps, 30 features, logarithm of the step time): 200
// rounds of depth 6 at rate 0.1 with 256 bins, cuts and bins included; the same with hessians; the same done naively.
#include "rafter/solver/boosted_trees.hpp"

#include <benchmark/benchmark.h>

#include <cmath>
#include <vector>

#include "support/measure.hpp"
#include "support/study30_rows.hpp"

namespace {

constexpr std::size_t features = bench::study30::size;

const bench::study30_rows& workload() {
  static const bench::study30_rows made(bench::make_reference_data());
  return made;
}
rafter::tree_training_data training() {
  const bench::study30_rows& from = workload();
  return {{from.x.data(), from.rows, features, from.stride}, from.log_time, {}, {}};
}
rafter::boosting_options options_of(std::size_t rounds, std::size_t threads) {
  rafter::boosting_options options;
  options.rounds = rounds;
  options.learning_rate = 0.1;
  options.threads = threads;
  return options;
}
double mape(const rafter::tree_ensemble& ensemble) {
  const bench::study30_rows& from = workload();
  std::vector<double> row(features);
  double sum = 0.0;
  for (std::size_t i = 0; i < from.rows; ++i) {
    for (std::size_t f = 0; f < features; ++f) row[f] = from.x[f * from.stride + i];
    sum += std::abs(rafter::exp(ensemble.predict(row.data()) - from.log_time[i]) - 1.0);
  }
  return sum / static_cast<double>(from.rows);
}
void report(benchmark::State& state, const rafter::boosted_trees_fit& fit) {
  state.counters["binning_ms"] = 1e3 * fit.times.binning;
  state.counters["gradients_ms"] = 1e3 * fit.times.gradients;
  state.counters["histograms_ms"] = 1e3 * fit.times.histograms;
  state.counters["partition_ms"] = 1e3 * fit.times.partition;
  state.counters["train_mape_%"] = 100.0 * mape(fit.ensemble);
}

void trees_200(benchmark::State& state) {
  workload();
  rafter::boosted_trees_fit fit;
  for (auto _ : state) {
    fit = rafter::fit_boosted_trees(training(), rafter::tree_loss::squared(),
                                    options_of(200, static_cast<std::size_t>(state.range(0))));
  }
  report(state, fit);
}
BENCHMARK(trees_200)->ArgName("threads")->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMillisecond);

void trees_20(benchmark::State& state) {
  workload();
  rafter::boosted_trees_fit fit;
  for (auto _ : state) fit = rafter::fit_boosted_trees(training(), rafter::tree_loss::squared(), options_of(20, 1));
  report(state, fit);
}
BENCHMARK(trees_20)->UseRealTime()->Unit(benchmark::kMillisecond);

// Weights, or a loss with a hessian: two sums for each bin instead of one.
void trees_20_with_hessians(benchmark::State& state) {
  const std::vector<double> ones(workload().rows, 1.0);
  rafter::tree_training_data data = training();
  data.weights = ones;
  rafter::boosted_trees_fit fit;
  for (auto _ : state) fit = rafter::fit_boosted_trees(data, rafter::tree_loss::squared(), options_of(20, 1));
  report(state, fit);
}
BENCHMARK(trees_20_with_hessians)->UseRealTime()->Unit(benchmark::kMillisecond);

// What one would write first: bins column by column, a histogram of two floats for each leaf and feature, made anew
// from the rows for each node, and rows that know their node.
void naive_20(benchmark::State& state) {
  const bench::study30_rows& from = workload();
  const rafter::binned_features bins =
      rafter::bin_features({from.x.data(), from.rows, features, from.stride},
                           rafter::find_tree_cuts({from.x.data(), from.rows, features, from.stride}));
  struct sums {
    float gradient = 0.0F, hessian = 0.0F;
  };
  struct leaf {
    std::vector<std::uint32_t> rows;
    double gradient = 0.0;
  };
  double sum = 0.0;
  for (const double y : from.log_time) sum += y;
  const double base = sum / static_cast<double>(from.rows);
  double rmse = 0.0;
  for (auto _ : state) {
    std::vector<double> margin(from.rows, base);
    std::vector<float> gradient(from.rows);
    for (int round = 0; round < 20; ++round) {
      leaf root;
      for (std::size_t i = 0; i < from.rows; ++i) {
        gradient[i] = static_cast<float>(margin[i] - from.log_time[i]);
        root.gradient += static_cast<double>(gradient[i]);
        root.rows.push_back(static_cast<std::uint32_t>(i));
      }
      std::vector<leaf> level;
      level.push_back(std::move(root));
      const auto finish = [&](const leaf& of) {
        const double value = -0.1 * of.gradient / (static_cast<double>(of.rows.size()) + 1.0);
        for (const std::uint32_t row : of.rows) margin[row] += value;
      };
      for (int depth = 0; depth < 6; ++depth) {
        std::vector<leaf> next;
        for (const leaf& of : level) {
          const double count = static_cast<double>(of.rows.size());
          double best = of.gradient * of.gradient / (count + 1.0) + 1e-6;
          std::size_t feature = features, cut = 0;
          for (std::size_t f = 0; f < features; ++f) {
            std::vector<sums> histogram(256);
            const std::uint8_t* bin = bins.by_column.data() + f * from.rows;
            for (const std::uint32_t row : of.rows) {
              histogram[bin[row]].gradient += gradient[row];
              histogram[bin[row]].hessian += 1.0F;
            }
            double g = 0.0, h = 0.0;
            for (std::size_t b = 0; b + 1 < bins.cuts.upper[f].size(); ++b) {
              g += static_cast<double>(histogram[b].gradient);
              h += static_cast<double>(histogram[b].hessian);
              if (h < 1.0 || count - h < 1.0) continue;
              const double rest = of.gradient - g;
              const double gain = g * g / (h + 1.0) + rest * rest / (count - h + 1.0);
              if (gain > best) {
                best = gain;
                feature = f;
                cut = b;
              }
            }
          }
          if (feature == features) {
            finish(of);
            continue;
          }
          std::array<leaf, 2> child;
          for (const std::uint32_t row : of.rows) {
            leaf& to = child[bins.by_column[feature * from.rows + row] <= cut ? 0 : 1];
            to.rows.push_back(row);
            to.gradient += static_cast<double>(gradient[row]);
          }
          for (leaf& each : child) next.push_back(std::move(each));
        }
        level = std::move(next);
      }
      for (const leaf& of : level) finish(of);
    }
    double squares = 0.0;
    for (std::size_t i = 0; i < from.rows; ++i)
      squares += (margin[i] - from.log_time[i]) * (margin[i] - from.log_time[i]);
    rmse = std::sqrt(squares / static_cast<double>(from.rows));
    bench::keep(rmse);
  }
  state.counters["rmse"] = rmse;
  state.counters["rmse_of_the_library"] =
      rafter::fit_boosted_trees(training(), rafter::tree_loss::squared(), options_of(20, 1)).train_metric.back();
}
BENCHMARK(naive_20)->UseRealTime()->Unit(benchmark::kMillisecond);

void cuts_and_bins(benchmark::State& state) {
  const bench::study30_rows& from = workload();
  const rafter::feature_columns x(from.x.data(), from.rows, features, from.stride);
  double cut_time = 0.0;
  for (auto _ : state) {
    const double begin = bench::thread_time();
    rafter::tree_cuts cuts = rafter::find_tree_cuts(x);
    cut_time += bench::thread_time() - begin;
    rafter::binned_features bins = rafter::bin_features(x, std::move(cuts));
    bench::keep(bins);
  }
  state.counters["cuts_ms"] = 1e-6 * cut_time / static_cast<double>(state.iterations());
}
BENCHMARK(cuts_and_bins)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
