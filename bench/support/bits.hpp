// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "support/hand_nls.hpp"
#include "support/plan_nls.hpp"

/// Residuals and Jacobians of the nine-parameter roofline, compared and hashed bit by bit. Build without contraction.
namespace bench {

/// Where they are compared: at the start of a fit, at a plausible end of one, and where all components are bound by
/// arithmetic, so that every derivative is other than zero somewhere.
inline constexpr std::array<hand::nls_values, 3> compared_parameters{
    {{1.0, 0.5, 1.0, 0.5, 1.0, 0.5, 1.0, 0.5, 50e-6},
     {0.54, 0.51, 1.26, 0.16, 0.98, 0.5, 1.3, 0.5, 2e-3},
     {0.83, 0.011, 2.2, 0.012, 1.3, 0.013, 1.9, 0.014, 1e-3}}};

/// Column-major [derivatives, residual], only the rows themselves.
struct residuals_and_jacobian {
  std::size_t rows, stride;
  std::vector<double> values;
  explicit residuals_and_jacobian(std::size_t count)
      : rows(count), stride(count + 2 * rafter::pack_width), values(stride * hand::nls_columns) {}
  double at(std::size_t column, std::size_t row) const { return values[column * stride + row]; }
};

template <class V>
residuals_and_jacobian derived_values(const reference_data& data, const hand::nls_values& parameters) {
  residuals_and_jacobian made(data.size());
  const rafter::row_set all = rafter::row_set::all(data.size());
  roofline9_to_matrix<V>(roofline9_columns(data, all), all, parameters.data(), made.values.data(), made.stride);
  return made;
}
template <class V>
residuals_and_jacobian hand_values(const reference_data& data, const hand::nls_values& parameters) {
  residuals_and_jacobian made(data.size());
  hand::nls_matrix<V>(hand::columns_of(data), hand::nls_runs_of(data), parameters, made.values.data(), made.stride);
  return made;
}

inline std::uint64_t bits_of(double value) { return std::bit_cast<std::uint64_t>(value); }

inline std::size_t unequal_values(const residuals_and_jacobian& a, const residuals_and_jacobian& b) {
  std::size_t count = 0;
  for (std::size_t column = 0; column < hand::nls_columns; ++column) {
    for (std::size_t row = 0; row < a.rows; ++row) count += bits_of(a.at(column, row)) != bits_of(b.at(column, row));
  }
  return count;
}

/// FNV-1a over the bits, word by word.
inline std::uint64_t hash_of(const residuals_and_jacobian& all, std::uint64_t hash = 0xcbf29ce484222325) {
  for (std::size_t column = 0; column < hand::nls_columns; ++column) {
    for (std::size_t row = 0; row < all.rows; ++row) hash = (hash ^ bits_of(all.at(column, row))) * 0x100000001b3;
  }
  return hash;
}

/// What every build without contraction must give for 2,000 rows of seed 1 at the three parameter vectors above. Another
/// order of operations in the model or its derivatives changes it: then all builds must agree on another one.
inline constexpr std::size_t hashed_rows = 2000;
inline constexpr std::uint64_t expected_hash = 4225951732211221218u;

}  // namespace bench
