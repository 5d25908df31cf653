// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Definitions for rafter/solver/dense.hpp; include that instead.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "rafter/solver/dense.hpp"

namespace rafter::dense {

namespace detail {

// Four partial sums in a fixed order: fast without reassociation by the compiler.
RAFTER_NUMERICS_FUNCTION double dot(const double* x, const double* y, std::size_t n) {
  double s0 = 0.0, s1 = 0.0, s2 = 0.0, s3 = 0.0;
  std::size_t i = 0;
  for (; i + 4 <= n; i += 4) {
    s0 += x[i] * y[i];
    s1 += x[i + 1] * y[i + 1];
    s2 += x[i + 2] * y[i + 2];
    s3 += x[i + 3] * y[i + 3];
  }
  for (; i < n; ++i) s0 += x[i] * y[i];
  return (s0 + s1) + (s2 + s3);
}

// Euclidean norm that neither overflows nor underflows.
RAFTER_NUMERICS_FUNCTION double norm(const double* x, std::size_t n) {
  double largest = 0.0;
  for (std::size_t i = 0; i < n; ++i) largest = std::max(largest, std::abs(x[i]));
  if (largest == 0.0) return 0.0;
  if (largest > 1e-140 && largest < 1e140) return std::sqrt(dot(x, x, n));
  double sum = 0.0;
  for (std::size_t i = 0; i < n; ++i) sum += (x[i] / largest) * (x[i] / largest);
  return largest * std::sqrt(sum);
}

// The rotation that diagonalises [[a, c], [c, b]]: returns {cosine, sine, tangent}.
struct rotation {
  double cosine, sine, tangent;
};
RAFTER_NUMERICS_FUNCTION rotation diagonalise(double a, double b, double c) {
  const double zeta = (b - a) / (2.0 * c);
  const double tangent = std::copysign(1.0, zeta) / (std::abs(zeta) + std::hypot(1.0, zeta));
  const double cosine = 1.0 / std::hypot(1.0, tangent);
  return {cosine, cosine * tangent, tangent};
}

RAFTER_NUMERICS_FUNCTION void rotate(double* x, double* y, std::size_t n, rotation by) {
  for (std::size_t i = 0; i < n; ++i) {
    const double kept = x[i];
    x[i] = by.cosine * kept - by.sine * y[i];
    y[i] = by.sine * kept + by.cosine * y[i];
  }
}

}  // namespace detail

namespace detail {
// to ← to + Σ factor[k]·row k, k in [begin, end), over `width` neighbours; four rows at a time save loads and stores.
RAFTER_NUMERICS_FUNCTION void add_rows(double* to, const double* factor, std::size_t step, const double* rows,
                                       std::size_t n, std::size_t begin, std::size_t end, std::size_t width) {
  std::size_t k = begin;
  for (; k + 4 <= end; k += 4) {
    const double f0 = factor[k * step], f1 = factor[(k + 1) * step];
    const double f2 = factor[(k + 2) * step], f3 = factor[(k + 3) * step];
    const double* row = rows + k * n;
    for (std::size_t j = 0; j < width; ++j) {
      to[j] += (f0 * row[j] + f1 * row[n + j]) + (f2 * row[2 * n + j] + f3 * row[3 * n + j]);
    }
  }
  for (; k < end; ++k) {
    const double f = factor[k * step];
    for (std::size_t j = 0; j < width; ++j) to[j] += f * rows[k * n + j];
  }
}
}  // namespace detail

RAFTER_NUMERICS_FUNCTION double cholesky(double* a, std::size_t n) {
  // Left-looking over the rows of Lᵀ, so that the inner loop runs over neighbours.
  double smallest = std::numeric_limits<double>::infinity();
  std::vector<double> sum(n);
  for (std::size_t k = 0; k < n; ++k) {
    double* row = a + k * n;
    std::fill(sum.begin() + static_cast<std::ptrdiff_t>(k), sum.end(), 0.0);
    detail::add_rows(sum.data() + k, a + k, n, a + k, n, 0, k, n - k);
    const double rest = row[k] - sum[k];
    smallest = std::min(smallest, rest);
    if (!(rest > 0.0)) return rest;
    const double root = std::sqrt(rest);
    row[k] = root;
    for (std::size_t j = k + 1; j < n; ++j) row[j] = (row[j] - sum[j]) / root;
  }
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < i; ++j) a[i * n + j] = a[j * n + i];
  }
  return smallest;
}

RAFTER_NUMERICS_FUNCTION void cholesky_solve(const double* l, std::size_t n, double* b) {
  for (std::size_t j = 0; j < n; ++j) {
    const double* row = l + j * n;  // of Lᵀ
    const double known = b[j] / row[j];
    b[j] = known;
    for (std::size_t i = j + 1; i < n; ++i) b[i] -= row[i] * known;
  }
  for (std::size_t i = n; i-- > 0;) {
    const double* row = l + i * n;
    const double known = b[i] / row[i];
    b[i] = known;
    for (std::size_t j = 0; j < i; ++j) b[j] -= row[j] * known;
  }
}

namespace detail {
// L⁻¹, row-major, zero above the diagonal.
RAFTER_NUMERICS_FUNCTION void invert_factor(const double* l, std::size_t n, double* inverse) {
  std::fill(inverse, inverse + n * n, 0.0);
  for (std::size_t i = 0; i < n; ++i) {
    double* row = inverse + i * n;
    add_rows(row, l + i * n, 1, inverse, n, 0, i, i);
    const double scale = 1.0 / l[i * n + i];
    for (std::size_t j = 0; j < i; ++j) row[j] *= -scale;
    row[i] = scale;
  }
}
}  // namespace detail

RAFTER_NUMERICS_FUNCTION void cholesky_inverse_diagonal(const double* l, std::size_t n, double* diagonal) {
  std::vector<double> factor(n * n);
  detail::invert_factor(l, n, factor.data());
  std::fill(diagonal, diagonal + n, 0.0);
  for (std::size_t i = 0; i < n; ++i) {
    const double* row = factor.data() + i * n;
    for (std::size_t j = 0; j <= i; ++j) diagonal[j] += row[j] * row[j];
  }
}

RAFTER_NUMERICS_FUNCTION void cholesky_inverse(const double* l, std::size_t n, double* inverse) {
  std::vector<double> factor(n * n);
  detail::invert_factor(l, n, factor.data());
  // L⁻ᵀ L⁻¹: row i is a sum of the rows from i on, up to the diagonal.
  std::fill(inverse, inverse + n * n, 0.0);
  for (std::size_t i = 0; i < n; ++i) {
    detail::add_rows(inverse + i * n, factor.data() + i, n, factor.data(), n, i, n, i + 1);
    for (std::size_t j = 0; j < i; ++j) inverse[j * n + i] = inverse[i * n + j];
  }
}

RAFTER_NUMERICS_FUNCTION std::size_t pivoted_qr(double* a, std::size_t m, std::size_t n, double* tau,
                                                std::size_t* order, double tolerance) {
  std::iota(order, order + n, std::size_t{0});
  const std::size_t limit = std::min(m, n);
  double first = 0.0;
  for (std::size_t k = 0; k < limit; ++k) {
    // The matrices are small, so the norms are recomputed rather than down-dated.
    std::size_t pivot = k;
    double largest = -1.0;
    for (std::size_t j = k; j < n; ++j) {
      const double length = detail::norm(a + j * m + k, m - k);
      if (length > largest) largest = length, pivot = j;
    }
    if (k == 0) first = largest;
    if (!(largest > tolerance * first)) return k;
    if (pivot != k) {
      std::swap_ranges(a + k * m, a + (k + 1) * m, a + pivot * m);
      std::swap(order[k], order[pivot]);
    }
    double* column = a + k * m;
    const double head = column[k];
    const double beta = -std::copysign(largest, head);
    tau[k] = (beta - head) / beta;
    for (std::size_t i = k + 1; i < m; ++i) column[i] /= head - beta;
    column[k] = beta;
    for (std::size_t j = k + 1; j < n; ++j) {
      double* other = a + j * m;
      const double along = tau[k] * (other[k] + detail::dot(column + k + 1, other + k + 1, m - k - 1));
      other[k] -= along;
      for (std::size_t i = k + 1; i < m; ++i) other[i] -= along * column[i];
    }
  }
  return limit;
}

RAFTER_NUMERICS_FUNCTION void apply_q(const double* a, std::size_t m, std::size_t rank, const double* tau, double* b,
                                      bool transposed) {
  for (std::size_t step = 0; step < rank; ++step) {
    const std::size_t k = transposed ? step : rank - 1 - step;
    const double* column = a + k * m;
    const double along = tau[k] * (b[k] + detail::dot(column + k + 1, b + k + 1, m - k - 1));
    b[k] -= along;
    for (std::size_t i = k + 1; i < m; ++i) b[i] -= along * column[i];
  }
}

RAFTER_NUMERICS_FUNCTION void fold_rows(double* r, std::size_t n, double* x, std::size_t rows, std::size_t stride) {
  for (std::size_t k = 0; k < n; ++k) {
    double* column = x + k * stride;
    const double length = detail::norm(column, rows);
    if (length == 0.0) continue;
    const double head = r[k * n + k];
    const double beta = -std::copysign(std::hypot(head, length), head);
    const double tau = (beta - head) / beta;
    for (std::size_t i = 0; i < rows; ++i) column[i] /= head - beta;
    r[k * n + k] = beta;
    for (std::size_t j = k + 1; j < n; ++j) {
      double* other = x + j * stride;
      const double along = tau * (r[j * n + k] + detail::dot(column, other, rows));
      r[j * n + k] -= along;
      for (std::size_t i = 0; i < rows; ++i) other[i] -= along * column[i];
    }
  }
}

RAFTER_NUMERICS_FUNCTION bool jacobi_svd(double* a, std::size_t m, std::size_t n, double* sigma, double* v) {
  std::fill(v, v + n * n, 0.0);
  for (std::size_t j = 0; j < n; ++j) v[j * n + j] = 1.0;
  const double negligible = std::numeric_limits<double>::epsilon();
  bool converged = false;
  for (int sweep = 0; sweep < 60 && !converged; ++sweep) {
    converged = true;
    for (std::size_t p = 0; p + 1 < n; ++p) {
      for (std::size_t q = p + 1; q < n; ++q) {
        const double across = detail::dot(a + p * m, a + q * m, m);
        const double left = detail::dot(a + p * m, a + p * m, m);
        const double right = detail::dot(a + q * m, a + q * m, m);
        if (!(std::abs(across) > negligible * std::sqrt(left) * std::sqrt(right)) || left == 0.0 || right == 0.0) {
          continue;
        }
        converged = false;
        const detail::rotation by = detail::diagonalise(left, right, across);
        detail::rotate(a + p * m, a + q * m, m, by);
        detail::rotate(v + p * n, v + q * n, n, by);
      }
    }
  }
  for (std::size_t j = 0; j < n; ++j) sigma[j] = detail::norm(a + j * m, m);
  for (std::size_t j = 0; j + 1 < n; ++j) {
    const auto largest = static_cast<std::size_t>(std::max_element(sigma + j, sigma + n) - sigma);
    if (largest == j) continue;
    std::swap(sigma[j], sigma[largest]);
    std::swap_ranges(a + j * m, a + (j + 1) * m, a + largest * m);
    std::swap_ranges(v + j * n, v + (j + 1) * n, v + largest * n);
  }
  return converged;
}

RAFTER_NUMERICS_FUNCTION bool jacobi_eigen(double* a, std::size_t n, double* values, double* vectors) {
  std::fill(vectors, vectors + n * n, 0.0);
  for (std::size_t j = 0; j < n; ++j) vectors[j * n + j] = 1.0;
  bool converged = false;
  for (int sweep = 0; sweep < 60 && !converged; ++sweep) {
    converged = true;
    for (std::size_t p = 0; p + 1 < n; ++p) {
      for (std::size_t q = p + 1; q < n; ++q) {
        const double across = a[p * n + q];
        // Negligible relative to both diagonal entries: keeps small eigenvalues of graded matrices accurate.
        const double scale = std::sqrt(std::abs(a[p * n + p])) * std::sqrt(std::abs(a[q * n + q]));
        if (std::abs(across) <= std::numeric_limits<double>::epsilon() * scale || across == 0.0) continue;
        if (std::abs(across) < std::numeric_limits<double>::min()) continue;
        converged = false;
        const detail::rotation by = detail::diagonalise(a[p * n + p], a[q * n + q], across);
        a[p * n + p] -= by.tangent * across;
        a[q * n + q] += by.tangent * across;
        a[p * n + q] = a[q * n + p] = 0.0;
        for (std::size_t k = 0; k < n; ++k) {
          if (k == p || k == q) continue;
          const double kp = a[k * n + p];
          const double kq = a[k * n + q];
          a[k * n + p] = a[p * n + k] = by.cosine * kp - by.sine * kq;
          a[k * n + q] = a[q * n + k] = by.sine * kp + by.cosine * kq;
        }
        detail::rotate(vectors + p * n, vectors + q * n, n, by);
      }
    }
  }
  for (std::size_t j = 0; j < n; ++j) values[j] = a[j * n + j];
  for (std::size_t j = 0; j + 1 < n; ++j) {
    const auto largest = static_cast<std::size_t>(std::max_element(values + j, values + n) - values);
    if (largest == j) continue;
    std::swap(values[j], values[largest]);
    std::swap_ranges(vectors + j * n, vectors + (j + 1) * n, vectors + largest * n);
  }
  return converged;
}

}  // namespace rafter::dense
