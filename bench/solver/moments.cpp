// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Sums of products of 28 columns: the register-blocked kernel on tiles, the naive triple loop, Eigen's rank update.
#include "rafter/solver/moments.hpp"

#include <benchmark/benchmark.h>

#include <array>
#include <memory>

#include "naive/eigen.hpp"
#include "support/measure.hpp"
#include "support/workload.hpp"

namespace {

constexpr std::size_t columns = 28, rows = 16'384;
using sums = rafter::moments<columns>;
constexpr std::size_t tile_packs = 9;

// [pack][column][lane], and the same rows column by column.
struct matrices {
  bench::aligned_doubles tiles{rows * columns}, x{rows * columns};
  matrices() {
    bench::random_numbers random(1);
    for (std::size_t row = 0; row < rows; ++row) {
      for (std::size_t column = 0; column < columns; ++column) {
        const double value = random.uniform() - 0.5;
        tiles.data()[(row / rafter::pack_width * columns + column) * rafter::pack_width + row % rafter::pack_width] =
            value;
        x.data()[column * rows + row] = value;
      }
    }
  }
};
const matrices& values() {
  static const matrices made;
  return made;
}
void count(benchmark::State& state) {
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(rows));
  state.counters["time/row"] = benchmark::Counter(
      static_cast<double>(rows), benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void kernel(benchmark::State& state) {
  const double* tiles = values().tiles.data();
  const auto total = std::make_unique<sums>();
  for (auto _ : state) {
    total->reset();
    for (std::size_t pack = 0; pack < rows / rafter::pack_width; pack += tile_packs) {
      total->accumulate(tiles + pack * sums::tile_stride, std::min(tile_packs, rows / rafter::pack_width - pack));
    }
    bench::keep(*total);
  }
  count(state);
}
BENCHMARK(kernel);

void naive_triple_loop(benchmark::State& state) {
  const double* x = values().x.data();
  std::array<double, columns * columns> gram;
  for (auto _ : state) {
    gram.fill(0.0);
    for (std::size_t i = 0; i < columns; ++i) {
      for (std::size_t j = i; j < columns; ++j) {
        double sum = 0.0;
        for (std::size_t row = 0; row < rows; ++row) sum += x[i * rows + row] * x[j * rows + row];
        gram[i * columns + j] = sum;
      }
    }
    bench::keep(gram);
  }
  count(state);
}
BENCHMARK(naive_triple_loop);

void eigen_rank_update(benchmark::State& state) {
  std::array<double, columns * columns> gram;
  for (auto _ : state) {
    bench::naive::eigen_gram(values().x.data(), rows, columns, rows, gram.data());
    bench::keep(gram);
  }
  count(state);
}
BENCHMARK(eigen_rank_update);

}  // namespace
