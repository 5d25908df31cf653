// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// 200 trees of depth 6 on 30 features: layouts for many rows and for one, the ensemble walked node by node.
#include "rafter/solver/tree_layout.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <vector>

#include "rafter/core/random.hpp"
#include "support/measure.hpp"

namespace {

constexpr std::size_t features = 30, rows = 4'096, trees = 200, cuts = 255;

// Rows of skewed features, and trees that split at quantiles of them: in each node a random feature, at a random one
// of its cuts. A tree `depth` deep is complete but for `stop` of the nodes below the third level.
struct workload {
  std::vector<double> by_row = std::vector<double>(rows * features), by_column = by_row;
  std::vector<std::vector<float>> quantiles{features};
  rafter::detail::seeded_numbers random{1};

  workload() {
    for (std::size_t j = 0; j < features; ++j) {
      std::vector<double> column(rows);
      for (std::size_t i = 0; i < rows; ++i) {
        const double u = random.uniform();
        column[i] = by_row[i * features + j] = by_column[j * rows + i] =
            j % 2 == 0 ? 1e4 * u * u * u : random.normal();
      }
      std::sort(column.begin(), column.end());
      for (std::size_t c = 1; c <= cuts; ++c) {
        quantiles[j].push_back(static_cast<float>(column[c * rows / (cuts + 1)]));
      }
    }
  }
  rafter::tree_ensemble ensemble(std::size_t depth, double stop) {
    rafter::tree_ensemble made{.features = features, .base = 1.0};
    for (std::size_t t = 0; t < trees; ++t) {
      made.trees.push_back({{rafter::tree_node{}}});
      grow(made.trees.back(), 0, 0, depth, stop);
    }
    return made;
  }
  void grow(rafter::regression_tree& tree, std::size_t at, std::size_t level, std::size_t depth, double stop) {
    if (level == depth || (level > 3 && random.uniform() < stop)) {
      tree.nodes[at].value = static_cast<float>(0.1 * random.normal());
      return;
    }
    const auto left = static_cast<std::int32_t>(tree.nodes.size());
    const std::size_t feature = random.below(features);
    tree.nodes[at].left = left;
    tree.nodes[at].right = left + 1;
    tree.nodes[at].feature = static_cast<std::int32_t>(feature);
    tree.nodes[at].threshold = quantiles[feature][random.below(cuts)];
    tree.nodes.resize(tree.nodes.size() + 2);
    grow(tree, static_cast<std::size_t>(left), level + 1, depth, stop);
    grow(tree, static_cast<std::size_t>(left) + 1, level + 1, depth, stop);
  }
};

struct setting {
  workload values;
  rafter::tree_ensemble ensemble;
  rafter::tree_layout layout;
  std::vector<double> out = std::vector<double>(rows);
  setting(std::size_t depth, double stop) : ensemble(values.ensemble(depth, stop)), layout(ensemble) {}
};
template <int Depth> setting& of_depth() {
  static setting made(Depth, Depth > 6 ? 0.3 : 0.0);
  return made;
}
void count(benchmark::State& state, std::size_t of) {
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(of));
  state.counters["time/row"] = benchmark::Counter(
      static_cast<double>(of), benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

template <int Depth> void many_rows(benchmark::State& state) {
  setting& with = of_depth<Depth>();
  for (auto _ : state) {
    with.layout.predict(with.values.by_column.data(), rows, rows, with.out.data());
    bench::keep(with.out);
  }
  count(state, rows);
}
BENCHMARK(many_rows<6>);
BENCHMARK(many_rows<8>);

template <int Depth> void many_rows_row_by_row(benchmark::State& state) {
  setting& with = of_depth<Depth>();
  const double* x = with.values.by_row.data();
  for (auto _ : state) {
    with.layout.predict([x](std::size_t i) { return x + i * features; }, rows, with.out.data());
    bench::keep(with.out);
  }
  count(state, rows);
}
BENCHMARK(many_rows_row_by_row<6>);

template <int Depth> void one_row(benchmark::State& state) {
  setting& with = of_depth<Depth>();
  for (auto _ : state) {
    for (std::size_t i = 0; i < rows; ++i) {
      with.out[i] = with.layout.predict(with.values.by_row.data() + i * features);
      bench::keep(with.out[i]);
    }
  }
  count(state, rows);
}
BENCHMARK(one_row<6>);
BENCHMARK(one_row<8>);

template <int Depth> void naive_walk(benchmark::State& state) {
  setting& with = of_depth<Depth>();
  for (auto _ : state) {
    for (std::size_t i = 0; i < rows; ++i) {
      with.out[i] = with.ensemble.predict(with.values.by_row.data() + i * features);
      bench::keep(with.out[i]);
    }
  }
  count(state, rows);
}
BENCHMARK(naive_walk<6>);
BENCHMARK(naive_walk<8>);

}  // namespace
