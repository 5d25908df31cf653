// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <type_traits>

#include "rafter/analytical/corrected.hpp"
#include "rafter/estimator/nonlinear.hpp"
#include "support/measure.hpp"
#include "support/workload.hpp"

/// The nine-parameter roofline through the library's plan of value and derivatives, into the shapes that the
/// hand-written loops fill.
namespace bench {

inline constexpr auto roofline9_model = rafter::analytical::roofline9<rafter::analytical::physical_reading>;
using roofline9 = rafter::nonlinear<roofline9_model, rafter::objective::log_ratio, rafter::trust_region>;
using roofline9_plan =
    rafter::detail::nonlinear_form<std::remove_cvref_t<decltype(roofline9_model)>, rafter::objective::log_ratio>::
        plan_for<rafter::detail::dataset_binding<reference_schema>>;
using roofline9_columns = rafter::column_evaluation<roofline9_plan, reference_schema>;
using roofline9_rows = rafter::detail::nonlinear_rows<std::remove_cvref_t<decltype(roofline9_model)>,
                                                      rafter::objective::log_ratio, reference_schema>;
static_assert(roofline9_plan::parameters == 9 && roofline9_plan::outputs == 3 + 9);

/// Column of a tile for an output of the plan (residual, weight, model, nine derivatives): derivatives, then the residual.
template <int Output> inline constexpr std::size_t roofline9_column = Output == 0 ? 9 : std::size_t{Output} - 3;
template <int Output> inline constexpr bool in_tile = Output != 1 && Output != 2;

/// Tiles of `packs` packs, [pack][column][lane], each kept as something that somebody reads.
[[gnu::noinline]] inline void roofline9_to_tiles(const roofline9_columns& evaluation, const rafter::row_set& rows,
                                                 const double* at, double* tile, std::size_t packs) {
  evaluation.for_each_run(
      rows,
      [&](const auto& slots, rafter::row_range range) {
        for (std::size_t begin = range.begin; begin < range.end; begin += packs * rafter::pack_width) {
          const std::size_t end = std::min(range.end, begin + packs * rafter::pack_width);
          double* to = tile;
          for (std::size_t row = begin; row < end; row += rafter::pack_width, to += 10 * rafter::pack_width) {
            evaluation.rows<rafter::pack>(slots, row, [&](auto index, rafter::pack value) RAFTER_INLINE_LAMBDA {
              constexpr int k = decltype(index)::value;
              if constexpr (in_tile<k>) rafter::store(to + roofline9_column<k> * rafter::pack_width, value);
            });
          }
          keep(*tile);
        }
      },
      at);
}

/// Column k begins at x + k·stride; the stride leaves room for a pack after the last row.
template <class V>
[[gnu::noinline]] inline void roofline9_to_matrix(const roofline9_columns& evaluation, const rafter::row_set& rows,
                                                  const double* at, double* x, std::size_t stride) {
  evaluation.for_each_run(
      rows,
      [&](const auto& slots, rafter::row_range range) {
        for (std::size_t row = range.begin; row < range.end; row += rafter::lanes<V>) {
          evaluation.rows<V>(slots, row, [&](auto index, V value) RAFTER_INLINE_LAMBDA {
            constexpr int k = decltype(index)::value;
            if constexpr (in_tile<k>) rafter::store(x + roofline9_column<k> * stride + row, value);
          });
        }
      },
      at);
}

}  // namespace bench
