// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "rafter/core/pack.hpp"
#include "rafter/estimator/estimator.hpp"
#include "rafter/feature/feature_set.hpp"
#include "rafter/step/columns.hpp"

namespace rafter::detail {

/// Some rows' features and what else was asked for, column by column.
struct feature_tile {
  const double* values;  ///< column k begins at values + k·stride: the features, then the other expressions
  std::size_t stride;
  std::size_t first;  ///< place of the first row among the rows asked for
  std::size_t rows;

  const double* column(std::size_t k) const { return values + k * stride; }
};

/// Calls `visit(feature_tile)` for all the rows in order, some hundreds at a time: for solvers and predictors that are
/// no sums over features. @tparam More  expressions evaluated beside the features
template <class Features, expression... More, class Schema, class Visit>
RAFTER_HOT void for_each_feature_tile(const dataset<Schema>& data, const row_set& rows, Visit visit) {
  using plan_type = typename Features::template plan_with<dataset_binding<Schema>, More...>;
  constexpr std::size_t columns = Features::size + sizeof...(More);
  constexpr std::size_t height = 512, stride = height + pack_width;
  std::vector<double> tile(columns * stride);
  std::size_t first = 0, filled = 0;
  const auto flush = [&] {
    if (filled > 0) visit(feature_tile{tile.data(), stride, first, filled});
    first += filled;
    filled = 0;
  };
  const column_evaluation<plan_type, Schema> evaluation(data, rows);
  evaluation.for_each_run(rows, [&](const auto& slots, row_range range) {
    for (std::size_t row = range.begin; row < range.end; row += pack_width) {
      evaluation.template rows<pack>(slots, row, [&](auto index, pack value) RAFTER_INLINE_LAMBDA {
        store(tile.data() + static_cast<std::size_t>(decltype(index)::value) * stride + filled, value);
      });
      filled += std::min(pack_width, range.end - row);
      if (filled >= height) flush();
    }
  });
  flush();
}

/// The dataset's number of the i-th of some rows.
inline std::size_t nth_row(const row_set& rows, std::size_t i) {
  for (const row_range& range : rows.ranges()) {
    if (i < range.size()) return range.begin + i;
    i -= range.size();
  }
  return 0;
}

/// What a solver over whole columns is given.
struct labelled_columns {
  std::vector<float> x;         ///< column by column; NaN: missing
  std::vector<double> labels;   ///< one for each row
  std::vector<double> weights;  ///< empty: 1 each
  std::size_t rows = 0;
};

/// Features as `float`, with NaN for what is missing. @throws fit_error naming feature and row of an infinite value (as
/// `float`, beyond 1.7e38)
template <class Features, class Schema>
void take_features(labelled_columns& into, const feature_tile& tile, const dataset<Schema>& data,
                   const row_set& rows) {
  for (std::size_t k = 0; k < Features::size; ++k) {
    const double* const from = tile.column(k);
    float* const to = into.x.data() + k * into.rows + tile.first;
    for (std::size_t i = 0; i < tile.rows; ++i) {
      if (std::abs(from[i]) > 1.7e38) {
        throw fit_error("feature '" + std::string(Features::names[k]) + "' is infinite in single precision on " +
                        place_of_row(data, nth_row(rows, tile.first + i)));
      }
      to[i] = static_cast<float>(from[i]);
    }
  }
}

/// Features, labels and weights of an objective. @throws fit_error on no rows, an infinite feature, or a label or weight
/// that is not a finite number
template <class Features, class Objective, class Schema>
RAFTER_COLD labelled_columns columns_to_fit(const dataset<Schema>& data, const row_set& rows) {
  if (rows.empty()) throw fit_error("no rows to fit on");
  labelled_columns made;
  made.rows = rows.size();
  made.x.resize(Features::size * made.rows);
  made.labels.resize(made.rows);
  if (Objective::weighted) made.weights.resize(made.rows);
  using label_type = std::remove_cvref_t<decltype(Objective::label(target_t{}))>;
  using weight_type = std::remove_cvref_t<decltype(Objective::root_weight(target_t{}))>;
  for_each_feature_tile<Features, label_type, weight_type>(data, rows, [&](const feature_tile& tile) {
    take_features<Features>(made, tile, data, rows);
    for (std::size_t i = 0; i < tile.rows; ++i) {
      const double label = tile.column(Features::size)[i], root = tile.column(Features::size + 1)[i];
      if (!std::isfinite(label) || !std::isfinite(root)) {
        throw fit_error("the label of target '" + std::string(data.target_name()) + "' is not a finite number on " +
                        place_of_row(data, nth_row(rows, tile.first + i)));
      }
      made.labels[tile.first + i] = label;
      if (Objective::weighted) made.weights[tile.first + i] = root * root;
    }
  });
  return made;
}

}  // namespace rafter::detail
