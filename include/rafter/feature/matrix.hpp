// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "rafter/core/pack.hpp"
#include "rafter/feature/feature_set.hpp"
#include "rafter/step/columns.hpp"

namespace rafter {

/// The values of a feature set on some rows, for libraries that want a matrix: column-major, one column a feature,
/// rows in ascending order of the dataset. rafter's own fits never form it.
class feature_values {
 public:
  feature_values(std::vector<double> values, std::vector<std::string_view> names, std::size_t rows)
      : values_(std::move(values)), names_(std::move(names)), rows_(rows) {}

  std::size_t rows() const { return rows_; }
  std::size_t columns() const { return names_.size(); }
  /// Column j starts at data() + j · rows().
  const double* data() const { return values_.data(); }
  std::span<const double> column(std::size_t j) const { return {values_.data() + j * rows_, rows_}; }
  double operator()(std::size_t row, std::size_t column) const { return values_[column * rows_ + row]; }
  /// Static texts: they outlive the matrix.
  const std::vector<std::string_view>& names() const { return names_; }

 private:
  std::vector<double> values_;
  std::vector<std::string_view> names_;
  std::size_t rows_;
};

/// Evaluates a feature set on rows of a dataset: `feature_matrix(catalog::blackbox, data, row_set::all(data.size()))`.
/// The values are those that estimators fit and predict with, bit for bit; what is not a finite number is kept.
template <feature_set_type Set, class Schema>
feature_values feature_matrix(Set, const dataset<Schema>& data, const row_set& rows) {
  using set = typename Set::set_type;
  using binding = detail::dataset_binding<Schema>;
  set::template require_on<binding>();
  const std::size_t height = rows.size();
  std::vector<double> values(set::size * height);
  if constexpr (set::template evaluable<binding> && set::size > 0) {
    const column_evaluation<typename set::template plan_for<binding>, Schema> evaluation(data, rows);
    std::size_t at = 0;
    evaluation.for_each_run(rows, [&](const auto& slots, row_range range) {
      for (std::size_t row = range.begin; row < range.end; row += pack_width) {
        const std::size_t count = std::min(pack_width, range.end - row);
        evaluation.template rows<pack>(slots, row, [&](auto index, pack value) RAFTER_INLINE_LAMBDA {
          constexpr std::size_t k = static_cast<std::size_t>(decltype(index)::value);
          for (std::size_t lane = 0; lane < count; ++lane) values[k * height + at + lane] = value[lane];
        });
        at += count;
      }
    });
  }
  return {std::move(values), {set::names.begin(), set::names.end()}, height};
}

}  // namespace rafter
