// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Path-dependent Shapley values of 200 complete trees of depth 6 over 30 features: Gauss points, rows in lanes, and
// the textbook's recursion (Lundberg et al. 2020, algorithm 2). Splits are random: both visit every leaf whatever the
// splits say, so a trained ensemble of this shape takes about as long.
#include "rafter/solver/tree_attribution.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "rafter/core/random.hpp"
#include "support/measure.hpp"

namespace {

constexpr std::size_t features = 30, trees = 200, depth = 6, rows = 256;

rafter::tree_ensemble random_ensemble() {
  rafter::detail::seeded_numbers random(1);
  rafter::tree_ensemble made{.features = features};
  for (std::size_t t = 0; t < trees; ++t) {
    rafter::regression_tree tree;
    tree.nodes.resize((std::size_t{2} << depth) - 1);
    tree.nodes[0].cover = 10'000.0;
    for (std::size_t i = 0; i < tree.nodes.size(); ++i) {
      rafter::tree_node& node = tree.nodes[i];
      if (2 * i + 2 >= tree.nodes.size()) {
        node.value = static_cast<float>(random.normal());
        continue;
      }
      node.left = static_cast<std::int32_t>(2 * i + 1);
      node.right = node.left + 1;
      node.feature = static_cast<std::int32_t>(random.below(features));
      node.threshold = static_cast<float>(random.uniform());
      const double part = 0.1 + 0.8 * random.uniform();
      tree.nodes[2 * i + 1].cover = part * node.cover;
      tree.nodes[2 * i + 2].cover = (1.0 - part) * node.cover;
    }
    made.trees.push_back(tree);
  }
  return made;
}

/// The algorithm as it is printed and as most libraries have it: at each node a copy of the path so far.
class textbook {
 public:
  explicit textbook(const rafter::tree_ensemble& ensemble) : ensemble_(ensemble) {}

  void explain(const double* x, double* phi) const {
    std::fill_n(phi, features, 0.0);
    for (const rafter::regression_tree& tree : ensemble_.trees) walk(tree, 0, x, phi, {}, 0, 1.0, 1.0, -1);
  }

 private:
  struct step {
    int feature = -1;
    double zero = 0.0, one = 0.0, weight = 0.0;
  };
  using path = std::array<step, depth + 2>;

  static void extend(path& m, std::size_t length, double zero, double one, int feature) {
    m[length] = {feature, zero, one, length == 0 ? 1.0 : 0.0};
    const auto l = static_cast<double>(length);
    for (std::size_t i = length; i-- > 0;) {
      const auto k = static_cast<double>(i);
      m[i + 1].weight += one * m[i].weight * (k + 1.0) / (l + 1.0);
      m[i].weight = zero * m[i].weight * (l - k) / (l + 1.0);
    }
  }
  static void unwind(path& m, std::size_t last, std::size_t at) {
    const double one = m[at].one, zero = m[at].zero;
    const auto l = static_cast<double>(last);
    double next = m[last].weight;
    for (std::size_t i = last; i-- > 0;) {
      const auto k = static_cast<double>(i);
      if (one != 0.0) {
        const double kept = m[i].weight;
        m[i].weight = next * (l + 1.0) / ((k + 1.0) * one);
        next = kept - m[i].weight * zero * (l - k) / (l + 1.0);
      } else {
        m[i].weight = m[i].weight * (l + 1.0) / (zero * (l - k));
      }
    }
    for (std::size_t i = at; i < last; ++i) {
      m[i].feature = m[i + 1].feature;
      m[i].zero = m[i + 1].zero;
      m[i].one = m[i + 1].one;
    }
  }
  static double unwound_sum(const path& m, std::size_t last, std::size_t at) {
    const double one = m[at].one, zero = m[at].zero;
    const auto l = static_cast<double>(last);
    double next = m[last].weight, total = 0.0;
    for (std::size_t i = last; i-- > 0;) {
      const auto k = static_cast<double>(i);
      if (one != 0.0) {
        const double part = next * (l + 1.0) / ((k + 1.0) * one);
        total += part;
        next = m[i].weight - part * zero * (l - k) / (l + 1.0);
      } else {
        total += m[i].weight / (zero * (l - k) / (l + 1.0));
      }
    }
    return total;
  }
  static void walk(const rafter::regression_tree& tree, std::size_t at, const double* x, double* phi, path m,
                   std::size_t length, double zero, double one, int feature) {
    extend(m, length, zero, one, feature);
    const rafter::tree_node& node = tree.nodes[at];
    if (node.leaf()) {
      for (std::size_t i = 1; i <= length; ++i) {
        phi[m[i].feature] += unwound_sum(m, length, i) * (m[i].one - m[i].zero) * static_cast<double>(node.value);
      }
      return;
    }
    const auto value = static_cast<float>(x[node.feature]);
    const bool left = std::isnan(value) ? node.missing_left : value < node.threshold;
    const auto hot = static_cast<std::size_t>(left ? node.left : node.right);
    const auto cold = static_cast<std::size_t>(left ? node.right : node.left);
    double zero_so_far = 1.0, one_so_far = 1.0;
    for (std::size_t i = 1; i <= length; ++i) {
      if (m[i].feature != node.feature) continue;
      zero_so_far = m[i].zero;
      one_so_far = m[i].one;
      unwind(m, length, i);
      --length;
      break;
    }
    const double hot_share = tree.nodes[hot].cover / node.cover, cold_share = tree.nodes[cold].cover / node.cover;
    walk(tree, hot, x, phi, m, length + 1, zero_so_far * hot_share, one_so_far, node.feature);
    walk(tree, cold, x, phi, m, length + 1, zero_so_far * cold_share, 0.0, node.feature);
  }

  const rafter::tree_ensemble& ensemble_;
};

struct workload {
  rafter::tree_ensemble ensemble = random_ensemble();
  rafter::tree_attributions attributions = rafter::explain(ensemble);
  std::vector<double> x = std::vector<double>(rows * features);

  workload() {
    rafter::detail::seeded_numbers random(2);
    for (double& each : x) each = random.uniform();
    // A race between things that compute something else would mean nothing.
    std::vector<double> ours(features), theirs(features);
    auto work = attributions.make_workspace();
    attributions.explain(x.data(), ours.data(), work);
    textbook(ensemble).explain(x.data(), theirs.data());
    for (std::size_t f = 0; f < features; ++f) {
      if (!(std::abs(ours[f] - theirs[f]) < 1e-9)) throw std::logic_error("the contenders disagree");
    }
  }
};
const workload& given() {
  static const workload made;
  return made;
}
void count(benchmark::State& state, std::size_t done) {
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(done));
  state.counters["time/row"] = benchmark::Counter(
      static_cast<double>(done), benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void many_rows(benchmark::State& state) {
  auto work = given().attributions.make_workspace();
  std::vector<double> phi(rows * features);
  for (auto _ : state) {
    given().attributions.explain(given().x.data(), rows, phi.data(), work);
    bench::keep(phi);
  }
  count(state, rows);
}
BENCHMARK(many_rows);

void row_by_row(benchmark::State& state) {
  auto work = given().attributions.make_workspace();
  std::vector<double> phi(features);
  for (auto _ : state) {
    for (std::size_t r = 0; r < rows; ++r) {
      given().attributions.explain(given().x.data() + r * features, phi.data(), work);
      bench::keep(phi);
    }
  }
  count(state, rows);
}
BENCHMARK(row_by_row);

void against_one_background_row(benchmark::State& state) {
  const rafter::interventional_attributions attributions(given().ensemble, given().x.data(), 1);
  auto work = attributions.make_workspace();
  std::vector<double> phi(features);
  for (auto _ : state) {
    for (std::size_t r = 1; r < rows; ++r) {
      attributions.explain(given().x.data() + r * features, phi.data(), work);
      bench::keep(phi);
    }
  }
  count(state, rows - 1);
}
BENCHMARK(against_one_background_row);

void textbook_recursion(benchmark::State& state) {
  const textbook recursion(given().ensemble);
  std::vector<double> phi(features);
  for (auto _ : state) {
    for (std::size_t r = 0; r < 16; ++r) {
      recursion.explain(given().x.data() + r * features, phi.data());
      bench::keep(phi);
    }
  }
  count(state, 16);
}
BENCHMARK(textbook_recursion);

void building(benchmark::State& state) {
  for (auto _ : state) {
    rafter::tree_attributions made(given().ensemble);
    bench::keep(made);
  }
}
BENCHMARK(building);

}  // namespace
