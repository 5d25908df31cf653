// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
//
// What must not get lost in a refactoring: a lambda that is no longer inlined, a loop that no longer vectorises, costs
// 2-4 times and breaks no other test. Limits are wide (a busy machine passes), and each ratio has five tries.

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <vector>

#include "naive/eigen.hpp"
#include "rafter/solver/boosted_trees.hpp"
#include "rafter/solver/tree_layout.hpp"
#include "support/bits.hpp"
#include "support/hand.hpp"
#include "support/measure.hpp"
#include "support/plan.hpp"
#include "support/study30_rows.hpp"

#if defined(__SANITIZE_ADDRESS__)
#define BENCH_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define BENCH_SANITIZED 1
#endif
#endif

namespace {

using rafter::pack;
using rafter::pack_width;

int failures = 0;

/// The median ratio of a to b, over 15 turns each, must be within the limit in one of five tries.
void expect_ratio(const char* what, double limit, const std::function<void()>& a, const std::function<void()>& b) {
  double best = 0.0;
  for (int tries = 0; tries < 5; ++tries) {
    bench::race race;
    race.enter("a", a);
    race.enter("b", b);
    race.run(15);
    const double ratio = race.ratio("a", "b");
    best = tries == 0 ? ratio : std::min(best, ratio);
    if (best <= limit) break;
  }
  std::printf("%-76s %5.2f  (limit %.2f)%s\n", what, best, limit, best <= limit ? "" : "  FAILED");
  failures += best <= limit ? 0 : 1;
}

void expect(const char* what, bool holds) {
  std::printf("%-76s %s\n", what, holds ? "yes" : "no  FAILED");
  failures += holds ? 0 : 1;
}

/// Every feature of every row, in packs, row by row, and from a record: the same bits.
bool same_features(const bench::reference_data& data) {
  const rafter::row_set all = rafter::row_set::all(data.size());
  const bench::study30_columns evaluation(data, all);
  bool same = true;
  evaluation.for_each_run(all, [&](const auto& slots, rafter::row_range range) {
    const auto bound = bench::study30::bind<bench::aggregate_record>(data.deployment_of(range.begin));
    for (std::size_t row = range.begin; row < range.end; row += pack_width) {
      std::array<pack, bench::study30::size> packs;
      evaluation.rows<pack>(slots, row, [&](auto k, pack value) RAFTER_INLINE_LAMBDA {
        packs[static_cast<std::size_t>(decltype(k)::value)] = value;
      });
      for (std::size_t lane = 0; lane < pack_width && row + lane < range.end; ++lane) {
        const auto record = bound(bench::aggregates(data, row + lane));
        for (std::size_t k = 0; k < bench::study30::size; ++k) {
          same = same && bench::bits_of(packs[k][lane]) == bench::bits_of(record[k]);
        }
      }
    }
  });
  return same;
}

#if !defined(BENCH_SANITIZED)
/// 100 trees of depth 6 on the 30 features and the logarithm of the time, laid out against walked node by node.
void expect_trees_faster_than_their_walk(const bench::reference_data& data) {
  const bench::study30_rows from(data);
  constexpr std::size_t features = bench::study30::size, some = 1024;
  rafter::boosting_options options;
  options.learning_rate = 0.1;
  const rafter::tree_ensemble ensemble =
      rafter::fit_boosted_trees({{from.x.data(), from.rows, features, from.stride}, from.log_time, {}, {}},
                                rafter::tree_loss::squared(), options)
          .ensemble;
  const rafter::tree_layout layout(ensemble);
  std::vector<double> by_row(some * features), walked(some), batch(some), one_by_one(some);
  const std::size_t apart = from.rows / some;
  std::vector<double> by_column(some * features);
  for (std::size_t i = 0; i < some; ++i) {
    for (std::size_t f = 0; f < features; ++f) {
      by_row[i * features + f] = by_column[f * some + i] = from.x[f * from.stride + i * apart];
    }
  }
  const auto walk = [&] {
    for (std::size_t i = 0; i < some; ++i) walked[i] = ensemble.predict(by_row.data() + i * features);
    bench::keep(walked);
  };
  const auto rows = [&] {
    for (std::size_t i = 0; i < some; ++i) one_by_one[i] = layout.predict(by_row.data() + i * features);
    bench::keep(one_by_one);
  };
  const auto together = [&] {
    layout.predict(by_column.data(), some, some, batch.data());
    bench::keep(batch);
  };
  expect_ratio("100 trees, many rows: layout with binning / walk node by node", 0.25, together, walk);
  expect_ratio("100 trees, one row: layout with binning / walk node by node", 0.7, rows, walk);
  expect("100 trees: the same bits in batches, one by one and by the walk", batch == walked && one_by_one == walked);
}
#endif

}  // namespace

int main() {
  {
    const bench::reference_data data = bench::make_reference_data(bench::hashed_rows);
    expect("30 features: the same bits in packs and from records", same_features(data));
    std::size_t unequal = 0;
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const auto& parameters : bench::compared_parameters) {
      const auto derived = bench::derived_values<pack>(data, parameters);
      unequal += bench::unequal_values(derived, bench::derived_values<double>(data, parameters));
      unequal += bench::unequal_values(derived, bench::hand_values<pack>(data, parameters));
      hash = bench::hash_of(derived, hash);
    }
    expect("residuals and Jacobian: the same bits in packs, row by row and by hand", unequal == 0);
    expect("residuals and Jacobian: the same bits as in every other build", hash == bench::expected_hash);
  }
#if defined(BENCH_SANITIZED)
  std::puts("times are not compared in a sanitized build");
#else
  const bench::reference_data data = bench::make_reference_data(60'000);
  const rafter::row_set all = rafter::row_set::all(data.size());
  const bench::hand::columns raw = bench::hand::columns_of(data);
  {
    constexpr std::size_t packs = 8;
    alignas(64) static double tile[packs * pack_width * bench::study30::size];
    const bench::study30_columns evaluation(data, all);
    const auto runs = bench::hand::runs_of(data);
    expect_ratio(
        "30 features into tiles: plan / hand-written loop", 1.6,
        [&] { bench::plan_to_tiles(evaluation, all, tile, packs); },
        [&] {
          for (const auto& run : runs) {
            for (std::size_t at = run.begin; at < run.end; at += packs * pack_width) {
              bench::hand::to_tile(raw, run.fixed, at, std::min(run.end, at + packs * pack_width), tile);
              bench::keep(*tile);
            }
          }
        });
  }
  constexpr std::size_t n = bench::hand::nls_parameters, columns = bench::hand::nls_columns, packs = 24;
  alignas(64) static double tile[packs * pack_width * columns];
  const bench::hand::nls_values at = bench::compared_parameters[1];
  const auto runs = bench::hand::nls_runs_of(data);
  const bench::roofline9_columns evaluation(data, all);
  const rafter::parameter_layout layout(bench::roofline9::facts(), data, all);
  const bench::roofline9_rows model(data, all, layout);
  double cost = 0.0, gradient[n], hessian[n * n], gram[columns * columns];
  const auto fused = [&] {
    model.accumulate(at.data(), {}, cost, gradient, hessian);
    bench::keep(hessian);
  };
  expect_ratio(
      "residuals and Jacobian into tiles: plan / hand-written loop", 1.6,
      [&] { bench::roofline9_to_tiles(evaluation, all, at.data(), tile, packs); },
      [&] {
        bench::hand::nls_tiles(raw, runs, at, tile, packs,
                               [&](std::size_t) RAFTER_INLINE_LAMBDA { bench::keep(*tile); });
      });
  expect_ratio("one pass of a fit: fused / hand-written loop", 1.6, fused, [&] {
    bench::hand::nls_pass(raw, runs, at, gram);
    bench::keep(gram);
  });
  const std::size_t stride = data.size() + 2 * pack_width;
  bench::aligned_doubles x(stride * columns);
  // An analytic Jacobian written by hand, stored (two lanes gain little), and one by forward differences.
  expect_ratio("one pass of a fit: fused / hand-written row by row, stored, Eigen", pack_width == 2 ? 1.0 : 0.65,
               fused, [&] {
                 bench::hand::nls_matrix<double>(raw, runs, at, x.data(), stride);
                 bench::naive::eigen_gram(x.data(), data.size(), columns, stride, gram);
               });
  expect_ratio("one pass of a fit: fused / differences, stored, Eigen", 0.4, fused, [&] {
    for (std::size_t k = 0; k < columns; ++k) {
      bench::hand::nls_values there = at;
      if (k < n) there[k] *= 1.0 + 1e-8;
      double* column = x.data() + k * stride;
      bench::hand::nls_residuals(raw, runs, there, column);
    }
    bench::naive::eigen_gram(x.data(), data.size(), columns, stride, gram);
  });
  expect_trees_faster_than_their_walk(data);
#endif
  return failures == 0 ? 0 : 1;
}
