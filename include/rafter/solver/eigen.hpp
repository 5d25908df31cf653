// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: arrays of Eigen and of rafter as each other, nothing copied.
#pragma once

#include <Eigen/Core>
#include <cstddef>
#include <string>
#include <type_traits>
#include <vector>

#include "rafter/solver/least_squares.hpp"

// Eigen as a neighbour: its vectors and matrices in, rafter's arrays out as maps. Nothing is copied. Only for those
// who include this header; no other one includes Eigen.

namespace rafter {

/// Rows for a solver from a column-major matrix (a map, a block of rows or columns too) and a target. The design
/// refers to the memory of both, which must outlive it. What is not column-major memory of doubles (an expression, a
/// row-major matrix) does not compile: it would need a copy.
/// @throws solver_error when the sizes disagree or rows are not neighbours in memory
template <class Matrix, class Vector>
array_design design_of(const Eigen::DenseBase<Matrix>& columns, const Eigen::DenseBase<Vector>& target) {
  const Matrix& x = columns.derived();
  const Vector& y = target.derived();
  static_assert(std::is_same_v<typename Matrix::Scalar, double> && std::is_same_v<typename Vector::Scalar, double>,
                "rafter: a design refers to doubles");
  static_assert((int{Matrix::Flags} & int{Eigen::DirectAccessBit}) != 0 &&
                    (int{Vector::Flags} & int{Eigen::DirectAccessBit}) != 0,
                "rafter: a design refers to memory; evaluate the Eigen expression into a matrix first");
  static_assert(!Matrix::IsRowMajor || Matrix::ColsAtCompileTime == 1,
                "rafter: a design refers to columns in memory");
  if (x.rows() != y.size() || x.innerStride() != 1 || y.innerStride() != 1) {
    throw solver_error("rafter: design of an Eigen matrix: " + std::to_string(x.rows()) + " rows, " +
                       std::to_string(y.size()) + " targets, strides " + std::to_string(x.innerStride()) + " and " +
                       std::to_string(y.innerStride()));
  }
  return {static_cast<std::size_t>(x.rows()),       static_cast<std::size_t>(x.cols()), x.data(), y.data(), nullptr,
          static_cast<std::size_t>(x.outerStride())};
}

/// The coefficients (or another vector of a solution) as an Eigen vector.
inline Eigen::Map<const Eigen::VectorXd> map_of(const std::vector<double>& values) {
  return {values.data(), static_cast<Eigen::Index>(values.size())};
}

/// A column-major matrix of doubles (anything with rows(), columns() and data(), like `feature_values`) as an Eigen
/// matrix. It must outlive the map.
template <class Matrix>
requires requires(const Matrix& m) { static_cast<const double*>(m.data()), m.rows() + m.columns(); }
Eigen::Map<const Eigen::MatrixXd> map_of(const Matrix& m) {
  return {m.data(), static_cast<Eigen::Index>(m.rows()), static_cast<Eigen::Index>(m.columns())};
}

/// The Gram matrix of [1, x − shift, y − shift] as an Eigen matrix (symmetric, so the storage order does not matter).
inline Eigen::Map<const Eigen::MatrixXd> gram_of(const normal_equations& equations) {
  const auto n = static_cast<Eigen::Index>(equations.size());
  return {equations.gram.data(), n, n};
}

}  // namespace rafter
