// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: arrays of xtensor and of rafter as each other, nothing copied.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <vector>
#include <xtensor/xadapt.hpp>

#include "rafter/solver/least_squares.hpp"

// xtensor as a neighbour: column-major tensors in, rafter's arrays out as adaptors. Nothing is copied.

namespace rafter {

/// Rows for a solver from a two-dimensional column-major tensor (strides {1, s}) and a one-dimensional target. The
/// design refers to both: they must outlive it.
/// @throws solver_error when the shapes disagree or the storage is not column-major
template <class Matrix, class Vector> array_design design_of_tensors(const Matrix& x, const Vector& y) {
  if (x.dimension() != 2 || y.dimension() != 1 || x.shape()[0] != y.shape()[0]) {
    throw solver_error("rafter: design of tensors: needs shapes {n, p} and {n}");
  }
  // xtensor gives extents of one element the stride 0.
  if ((x.shape()[0] > 1 && x.strides()[0] != 1) || (y.shape()[0] > 1 && y.strides()[0] != 1)) {
    throw solver_error("rafter: design of tensors: the matrix must be column-major and the target contiguous");
  }
  const auto rows = static_cast<std::size_t>(x.shape()[0]);
  const auto columns = static_cast<std::size_t>(x.shape()[1]);
  const auto stride = columns > 1 ? static_cast<std::size_t>(x.strides()[1]) : rows;
  return {rows, columns, x.data() + x.data_offset(), y.data() + y.data_offset(), nullptr, stride};
}

/// The coefficients (or another vector of a solution) as a one-dimensional xtensor expression.
inline auto tensor_of(const std::vector<double>& values) {
  return xt::adapt(values.data(), values.size(), xt::no_ownership(), std::array<std::size_t, 1>{values.size()});
}

/// A column-major matrix of doubles (anything with rows(), columns() and data(), like `feature_values`) as a
/// two-dimensional column-major xtensor expression. It must outlive the expression.
template <class Matrix>
requires requires(const Matrix& m) { static_cast<const double*>(m.data()), m.rows() + m.columns(); }
auto tensor_of(const Matrix& m) {
  return xt::adapt<xt::layout_type::column_major>(m.data(), m.rows() * m.columns(), xt::no_ownership(),
                                                  std::array<std::size_t, 2>{m.rows(), m.columns()});
}

/// The Gram matrix of [1, x − shift, y − shift] as a two-dimensional xtensor expression.
inline auto tensor_of(const normal_equations& equations) {
  return xt::adapt(equations.gram.data(), equations.gram.size(), xt::no_ownership(),
                   std::array<std::size_t, 2>{equations.size(), equations.size()});
}

}  // namespace rafter
