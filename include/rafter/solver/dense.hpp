// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

// The small dense factorisations behind the linear solvers, as plain functions on plain arrays.
//
// They are written out here rather than taken from Eigen because of what Eigen costs a header-only user: a
// translation unit with nothing but ColPivHouseholderQR<MatrixXd> took 4.1 s (g++ 12.2, -O2; clang++ 16: 4.3 s), with
// JacobiSVD added 7.8 s (5.8 s), with BDCSVD 22 s and 1.2 GB (14 s); the whole budget of a translation unit with 30
// features, a ridge fit and an evaluation is 4 s. Eigen is a neighbour instead (rafter/solver/eigen.hpp: maps in
// and out, and Eigen's own factorisations as an independent check in the tests).
//
// By default the definitions follow as inline functions. With RAFTER_COMPILED_NUMERICS defined for the whole
// program only the declarations are seen, and exactly one translation unit includes
// rafter/solver/compiled_numerics.ipp.
#if defined(RAFTER_COMPILED_NUMERICS)
#define RAFTER_NUMERICS_FUNCTION
#else
#define RAFTER_NUMERICS_FUNCTION inline
#endif
// Off the path of a fit from sums, which cross-validation runs a thousand times: compiled for size, quickly.
#define RAFTER_COLD_FUNCTION [[gnu::cold]] RAFTER_NUMERICS_FUNCTION

namespace rafter::dense {

/// Cholesky factor of a symmetric matrix, in place: the lower triangle becomes L with A = L Lᵀ, the upper one Lᵀ.
/// @param a  n × n, row-major, both triangles given
/// @returns the smallest pivot (before its root); the factor is usable only if it is > 0
RAFTER_NUMERICS_FUNCTION double cholesky(double* a, std::size_t n);

/// Solves L Lᵀ x = b in place.
RAFTER_NUMERICS_FUNCTION void cholesky_solve(const double* l, std::size_t n, double* b);

/// The diagonal of (L Lᵀ)⁻¹, at a third of the cost of all of it. @param diagonal  n
RAFTER_NUMERICS_FUNCTION void cholesky_inverse_diagonal(const double* l, std::size_t n, double* diagonal);

/// (L Lᵀ)⁻¹ as a full symmetric matrix. @param inverse  n × n, row-major
RAFTER_NUMERICS_FUNCTION void cholesky_inverse(const double* l, std::size_t n, double* inverse);

/// Householder QR with column pivoting, in place: A P = Q R, R in the upper triangle, the reflectors below.
/// @param a  m × n, column-major
/// @param tau  min(m, n) factors of the reflectors
/// @param order  n; column k of R is column order[k] of A
/// @param tolerance  stop when no remaining column's norm exceeds it times the first one's
/// @returns the rank (number of reflectors made)
RAFTER_NUMERICS_FUNCTION std::size_t pivoted_qr(double* a, std::size_t m, std::size_t n, double* tau,
                                                std::size_t* order, double tolerance);

/// b ← Qᵀ b (transposed) or Q b, with the first `rank` reflectors of pivoted_qr. @param b  m
RAFTER_NUMERICS_FUNCTION void apply_q(const double* a, std::size_t m, std::size_t rank, const double* tau, double* b,
                                      bool transposed);

/// Folds rows into a triangular factor: on return RᵀR is the old RᵀR plus XᵀX. The building block of a QR that
/// streams: backward stable like Householder's, and the rows are never stored together.
/// @param r  n × n upper triangle, column-major (r[j * n + i], i <= j); its diagonal may have any sign
/// @param x  rows × n, column-major with leading dimension `stride`; destroyed
RAFTER_NUMERICS_FUNCTION void fold_rows(double* r, std::size_t n, double* x, std::size_t rows, std::size_t stride);

/// One-sided Jacobi singular value decomposition A = U Σ Vᵀ of a matrix with m >= n; accurate for small singular
/// values too (Demmel and Veselić 1992).
/// @param a  m × n, column-major; becomes U Σ (columns of norm sigma)
/// @param sigma  n, descending
/// @param v  n × n, column-major
/// @returns false when it did not converge in 60 sweeps
RAFTER_NUMERICS_FUNCTION bool jacobi_svd(double* a, std::size_t m, std::size_t n, double* sigma, double* v);

/// Eigenvalues, descending, and orthonormal eigenvectors of a symmetric matrix by Jacobi rotations.
/// @param a  n × n, row-major; destroyed
/// @param vectors  n × n, column-major: column k belongs to values[k]
/// @returns false when it did not converge in 60 sweeps
RAFTER_NUMERICS_FUNCTION bool jacobi_eigen(double* a, std::size_t n, double* values, double* vectors);

}  // namespace rafter::dense

#if !defined(RAFTER_COMPILED_NUMERICS)
#include "rafter/solver/dense.ipp"
#endif
