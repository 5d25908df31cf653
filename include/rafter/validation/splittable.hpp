// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <cstddef>
#include <span>

#include "rafter/step/groups.hpp"

namespace rafter {

/// What a split policy may know of a dataset: how many rows, which group each row belongs to and, where rows have an
/// order in time, the step ids. Never a feature and never a target, so that no policy can look at what it tests.
///
/// Axioms: `groups(axis).size() == size()` wherever `has_group(axis)`, with labels that are aliases of each other
/// already merged; `groups` throws `dataset_error`, naming the axis, where it is absent; `step_ids()` holds one id a
/// row, or nothing when the data has no order; within one experiment, time order is the order of the ids.
template <class Data>
concept splittable = requires(const Data& data, group axis) {
  { data.size() } -> std::convertible_to<std::size_t>;
  { data.has_group(axis) } -> std::same_as<bool>;
  { data.groups(axis) } -> std::same_as<const group_column&>;
  { data.step_ids() } -> std::convertible_to<std::span<const double>>;
};

namespace detail {

/// The shortest type that models `splittable`; declared only, for checking policies against.
struct splittable_archetype {
  std::size_t size() const;
  bool has_group(group axis) const;
  const group_column& groups(group axis) const;
  std::span<const double> step_ids() const;
};
static_assert(splittable<splittable_archetype>);

}  // namespace detail

}  // namespace rafter
