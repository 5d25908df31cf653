// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>

#include "rafter/core/pack.hpp"
#include "rafter/feature/catalog/study30.hpp"
#include "rafter/step/columns.hpp"
#include "support/measure.hpp"
#include "support/workload.hpp"

/// The same feature set through the library's plan, into the shapes that the hand-written loops fill.
namespace bench {

using study30 = rafter::catalog::study30_t::set_type;
using study30_plan = study30::plan_for<rafter::detail::dataset_binding<reference_schema>>;
using study30_columns = rafter::column_evaluation<study30_plan, reference_schema>;

/// Column k begins at x + k·stride; the stride leaves room for a pack after the last row.
[[gnu::noinline]] inline void plan_to_matrix(const study30_columns& evaluation, const rafter::row_set& rows,
                                             double* x, std::size_t stride) {
  evaluation.for_each_run(rows, [&](const auto& slots, rafter::row_range range) {
    for (std::size_t row = range.begin; row < range.end; row += rafter::pack_width) {
      evaluation.rows<rafter::pack>(slots, row, [&](auto k, rafter::pack value) RAFTER_INLINE_LAMBDA {
        rafter::store(x + static_cast<std::size_t>(decltype(k)::value) * stride + row, value);
      });
    }
  });
}

/// Tiles of `packs` packs, [pack][feature][lane], each kept as something that somebody reads.
[[gnu::noinline]] inline void plan_to_tiles(const study30_columns& evaluation, const rafter::row_set& rows,
                                            double* tile, std::size_t packs) {
  evaluation.for_each_run(rows, [&](const auto& slots, rafter::row_range range) {
    for (std::size_t at = range.begin; at < range.end; at += packs * rafter::pack_width) {
      const std::size_t end = std::min(range.end, at + packs * rafter::pack_width);
      double* to = tile;
      for (std::size_t row = at; row < end; row += rafter::pack_width, to += study30::size * rafter::pack_width) {
        evaluation.rows<rafter::pack>(slots, row, [&](auto k, rafter::pack value) RAFTER_INLINE_LAMBDA {
          rafter::store(to + static_cast<std::size_t>(decltype(k)::value) * rafter::pack_width, value);
        });
      }
      keep(*tile);
    }
  });
}

}  // namespace bench
