// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <type_traits>
#include <vector>

#include "rafter/config.hpp"
#include "rafter/expression/evaluate.hpp"
#include "rafter/step/dataset.hpp"

namespace rafter {

/// A plan over the columns of a dataset. Reductions over requests that are no columns of the schema are made once,
/// for the rows asked for, when this is constructed; after that, packs of rows are evaluated from columns alone.
/// The dataset must outlive it.
template <class Plan, dataset_schema Schema> class column_evaluation {
 public:
  using run = detail::executor<Plan>;
  using slot_array = typename run::slot_array;

  /// A plan whose reductions depend on parameters is reduced by `reduce`, at each parameter vector anew.
  column_evaluation(const dataset<Schema>& data, const row_set& rows) : data_(data) {
    if constexpr (Plan::tape.phases > 0) {
      for (auto& column : reduced_) column.resize(data.size() + pack_width);
      if constexpr (!Plan::tape.parametric_reductions) reduce(rows, nullptr);
    }
  }

  /// Reduces the requests of the given rows at these parameters.
  void reduce(const row_set& rows, const double* parameters) {
    for_each_run(
        rows,
        [&](const slot_array& slots, row_range range) {
          for (std::size_t row = range.begin; row < range.end; ++row) {
            run::reductions(slots.data(), row_view<Schema>(data_, row), [&](auto index, double value) {
              constexpr int i = decltype(index)::value;
              reduced_[static_cast<std::size_t>(reduction_number(i))][row] = value;
            });
          }
        },
        parameters);
  }

  /// Calls `visit(slots, range)` or `visit(slots, range, deployment)` for the rows in order, cut where the deployment
  /// changes; `slots` holds what depends on the deployment alone.
  /// @param parameters  one value for each of the plan's parameters; null where it has none
  template <class Visit>
  void for_each_run(const row_set& rows, Visit visit, const double* parameters = nullptr) const {
    const auto& runs = data_.runs();
    std::size_t at = 0;
    std::size_t bound = static_cast<std::size_t>(-1);
    slot_array slots{};
    for (const row_range& range : rows.ranges()) {
      at = static_cast<std::size_t>(
          std::upper_bound(runs.begin() + static_cast<std::ptrdiff_t>(at), runs.end(), range.begin,
                           [](std::size_t row, const deployment_run& r) { return row < r.rows.end; }) -
          runs.begin());
      for (std::size_t row = range.begin; row < range.end;) {
        const deployment_run& current = runs[at];
        if (current.deployment != bound) {
          bind(slots, current.deployment, parameters);
          bound = current.deployment;
        }
        const std::size_t end = std::min(range.end, current.rows.end);
        if constexpr (std::is_invocable_v<Visit&, const slot_array&, row_range, std::size_t>) {
          visit(static_cast<const slot_array&>(slots), row_range{row, end}, current.deployment);
        } else {
          visit(static_cast<const slot_array&>(slots), row_range{row, end});
        }
        row = end;
        if (end == current.rows.end) ++at;
      }
      if (at > 0 && at >= runs.size()) --at;
    }
  }

  /// Evaluates rows [row, row + lanes<V>) of a run; lanes past the run's end are other rows' values under these
  /// slots, or padding, and the caller drops them.
  template <class V, class Take>
  RAFTER_ALWAYS_INLINE void rows(const slot_array& slots, std::size_t row, Take&& take) const {
    run::template rows<V>(slots.data(), *this, row, take);
  }

  // For the executor.
  template <int Leaf> RAFTER_ALWAYS_INLINE const double* column() const {
    return data_.column(Plan::tape.leaves[static_cast<std::size_t>(Leaf)].reader.column).data();
  }
  template <int Instruction> RAFTER_ALWAYS_INLINE const double* reduced() const {
    return reduced_[static_cast<std::size_t>(reduction_number(Instruction))].data();
  }

 private:
  RAFTER_HOT void bind(slot_array& slots, std::size_t deployment, const double* parameters) const {
    run::bind(slots.data(), data_.deployment(deployment), parameters);
  }
  static constexpr int reduction_number(int instruction) {
    int number = 0;
    for (int i = 0; i < instruction; ++i) number += is_reduction(Plan::tape.code[static_cast<std::size_t>(i)].op);
    return number;
  }
  static constexpr std::size_t reductions = [] {
    std::size_t count = 0;
    for (const instruction& one : Plan::tape.code) count += is_reduction(one.op);
    return count;
  }();

  const dataset<Schema>& data_;
  std::array<std::vector<double>, reductions> reduced_;
};

}  // namespace rafter
