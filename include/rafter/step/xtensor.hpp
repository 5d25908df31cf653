// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: a dataset's columns as xtensor expressions. Nothing is copied; the dataset must outlive them.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <xtensor/xadapt.hpp>

#include "rafter/step/dataset.hpp"

namespace rafter {

/// Numbers that somebody else keeps alive, as a one-dimensional xtensor expression.
inline auto tensor_of(std::span<const double> values) {
  return xt::adapt(values.data(), values.size(), xt::no_ownership(), std::array<std::size_t, 1>{values.size()});
}
/// One column of a dataset in base units: `tensor_of(data, prefill_tokens)`.
template <class Schema, class Leaf> auto tensor_of(const dataset<Schema>& data, Leaf) {
  return tensor_of(data.template column<Leaf>());
}
/// The selected target [s].
template <class Schema> auto target_tensor_of(const dataset<Schema>& data) { return tensor_of(data.target()); }
/// One id a row; of no elements where the data has no order.
template <class Schema> auto step_id_tensor_of(const dataset<Schema>& data) { return tensor_of(data.step_ids()); }

}  // namespace rafter
