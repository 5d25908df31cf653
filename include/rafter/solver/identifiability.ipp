// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Definitions for rafter/solver/identifiability.hpp; include that instead.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "rafter/solver/identifiability.hpp"

namespace rafter::detail {

struct scaled_spectrum {
  std::vector<std::size_t> live;
  std::vector<double> length;  // of each live column
  std::vector<double> sigma;   // descending
  std::vector<double> v;       // live × live, column-major
  std::size_t rank = 0;
};

/// Singular values and right vectors of the Jacobian with columns of length 1, from its factor or its Gram matrix.
RAFTER_NUMERICS_FUNCTION scaled_spectrum spectrum_of(const std::vector<double>& gram,
                                                     const std::vector<double>& factor,
                                                     const std::vector<bool>& counted, std::size_t rows) {
  const std::size_t n = counted.size();
  scaled_spectrum made;
  const auto length_of = [&](std::size_t j) {
    return factor.empty() ? std::sqrt(std::max(0.0, gram[j * n + j]))
                          : dense::detail::norm(factor.data() + j * (n + 1), j + 1);
  };
  for (std::size_t j = 0; j < n; ++j) {
    if (!counted[j] || !(length_of(j) > 0.0)) continue;
    made.live.push_back(j);
    made.length.push_back(length_of(j));
  }
  const std::size_t q = made.live.size();
  made.sigma.resize(q);
  made.v.resize(q * q);
  if (q == 0) return made;
  constexpr double epsilon = std::numeric_limits<double>::epsilon();
  double least = epsilon * static_cast<double>(std::max(rows, n));
  if (factor.empty()) {
    std::vector<double> a(q * q);
    for (std::size_t i = 0; i < q; ++i) {
      for (std::size_t j = 0; j < q; ++j) {
        a[i * q + j] = gram[made.live[i] * n + made.live[j]] / made.length[i] / made.length[j];
      }
    }
    dense::jacobi_eigen(a.data(), q, made.sigma.data(), made.v.data());
    for (double& value : made.sigma) value = std::sqrt(std::max(0.0, value));
    least = 1e-6;  // the sums hold half the digits
  } else {
    std::vector<double> a(n * q, 0.0);
    for (std::size_t k = 0; k < q; ++k) {
      const double* column = factor.data() + made.live[k] * (n + 1);
      for (std::size_t i = 0; i <= made.live[k]; ++i) a[k * n + i] = column[i] / made.length[k];
    }
    dense::jacobi_svd(a.data(), n, q, made.sigma.data(), made.v.data());
  }
  while (made.rank < q && made.sigma[made.rank] > least * made.sigma[0]) ++made.rank;
  return made;
}

/// The rank that JᵀJ shows, by its pivots where they are clear and else by its eigenvalues.
RAFTER_NUMERICS_FUNCTION std::size_t rank_of(const std::vector<double>& gram, const std::vector<bool>& counted) {
  const std::size_t n = counted.size();
  std::vector<std::size_t> live;
  for (std::size_t j = 0; j < n; ++j) {
    if (counted[j] && gram[j * n + j] > 0.0) live.push_back(j);
  }
  const std::size_t q = live.size();
  std::vector<double> unit(q * q);
  for (std::size_t i = 0; i < q; ++i) {
    for (std::size_t j = 0; j < q; ++j) {
      unit[i * q + j] =
          gram[live[i] * n + live[j]] / std::sqrt(gram[live[i] * n + live[i]] * gram[live[j] * n + live[j]]);
    }
  }
  if (q == 0 || dense::cholesky(unit.data(), q) > 1e-10) return q;
  return spectrum_of(gram, {}, counted, 0).rank;
}

/// For each of k orthonormal directions (columns of `v`, q × k) an entry that it is told by: those that lie in the
/// directions most, one after the other, the first of equal ones. It depends on the space alone and not on the
/// directions that happen to span it, so that every path and compiler tells the same.
RAFTER_NUMERICS_FUNCTION std::vector<std::size_t> pivots_of(const double* v, std::size_t q, std::size_t k) {
  std::vector<double> row(q * k);
  for (std::size_t i = 0; i < q; ++i) {
    for (std::size_t c = 0; c < k; ++c) row[i * k + c] = v[c * q + i];
  }
  std::vector<std::size_t> pivots;
  while (pivots.size() < k) {
    std::size_t best = 0;
    double most = -1.0;
    for (std::size_t i = 0; i < q; ++i) {
      const double length = dense::detail::norm(row.data() + i * k, k);
      if (length > most * (1.0 + 1e-4)) {
        most = length;
        best = i;
      }
    }
    pivots.push_back(best);
    std::vector<double> along(row.begin() + static_cast<std::ptrdiff_t>(best * k),
                              row.begin() + static_cast<std::ptrdiff_t>((best + 1) * k));
    for (double& value : along) value /= most;
    for (std::size_t i = 0; i < q && most > 0.0; ++i) {
      const double part = dense::detail::dot(row.data() + i * k, along.data(), k);
      for (std::size_t c = 0; c < k; ++c) row[i * k + c] -= part * along[c];
    }
  }
  return pivots;
}

/// Reduces vectors (columns of `basis`, q × k) to one pivot each, so that directions that concern few parameters show.
/// @param effect  q, what a unit of each entry does to the residuals; parameters differ in units, this does not
RAFTER_NUMERICS_FUNCTION void reduce_directions(std::vector<double>& basis, std::size_t q, std::size_t k,
                                                const std::vector<std::size_t>& pivots,
                                                const std::vector<double>& effect) {
  for (std::size_t c = 0; c < k; ++c) {
    const std::size_t row = pivots[c];
    std::size_t column = c;
    for (std::size_t j = c; j < k; ++j) {
      if (std::abs(basis[j * q + row]) > std::abs(basis[column * q + row])) column = j;
    }
    for (std::size_t i = 0; i < q; ++i) std::swap(basis[c * q + i], basis[column * q + i]);
    const double pivot = basis[c * q + row];
    if (pivot == 0.0) continue;
    for (std::size_t i = 0; i < q; ++i) basis[c * q + i] /= pivot;
    for (std::size_t j = 0; j < k; ++j) {
      const double factor = basis[j * q + row];
      if (j == c || factor == 0.0) continue;
      for (std::size_t i = 0; i < q; ++i) basis[j * q + i] -= factor * basis[c * q + i];
    }
  }
  for (std::size_t j = 0; j < k; ++j) {
    double strongest = 0.0;
    for (std::size_t i = 0; i < q; ++i) strongest = std::max(strongest, std::abs(basis[j * q + i]) * effect[i]);
    for (std::size_t i = 0; i < q; ++i) {
      double& value = basis[j * q + i];
      if (std::abs(value) * effect[i] < 1e-2 * strongest) value = 0.0;
    }
  }
}

/// Divides by the largest magnitude. @returns how many entries are no simple ratio then (a multiple of 1/2, 1/3 or 1/4);
/// more than there are where one is not finite
RAFTER_NUMERICS_FUNCTION std::size_t normalise(std::vector<double>& exponents) {
  double most = 0.0;
  for (const double value : exponents) most = std::max(most, std::abs(value));
  if (!std::isfinite(most)) return exponents.size() + 1;
  std::size_t odd = 0;
  for (double& value : exponents) {
    value /= most;
    const double twelfths = std::abs(12.0 * value);
    odd += twelfths < 0.5 || std::abs(twelfths - std::round(twelfths)) > 1e-3;
  }
  return odd;
}

}  // namespace rafter::detail

namespace rafter {

RAFTER_NUMERICS_FUNCTION identifiability identify(const nonlinear_solution& solution, const parameter_bounds& bounds,
                                                  std::size_t rows) {
  identifiability found;
  const std::size_t n = solution.parameters.size();
  std::vector<bool> counted(n);
  for (std::size_t j = 0; j < n; ++j) {
    counted[j] = bounds.low(j) != bounds.high(j);
    found.parameters += counted[j];
    if (counted[j] && j < solution.active_mask.size() && solution.active_mask[j] != 0) found.at_bound.push_back(j);
  }
  found.identifiable = found.parameters;
  if (solution.gram.empty()) return found;
  found.known = true;
  const detail::scaled_spectrum at = detail::spectrum_of(solution.gram, solution.factor, counted, rows);
  found.singular_values = at.sigma;
  found.identifiable = at.rank;
  if (!solution.start_gram.empty()) {
    found.identifiable_at_start = detail::rank_of(solution.start_gram, counted);
  }
  for (std::size_t j = 0, k = 0; j < n; ++j) {
    const bool alive = k < at.live.size() && at.live[k] == j;
    k += alive;
    if (counted[j] && !alive) found.dead.push_back(j);
  }
  const std::size_t q = at.live.size();
  const std::size_t free = q - at.rank;
  if (free == 0) return found;
  std::vector<double> moved(q * free);
  for (std::size_t k = 0; k < free; ++k) {
    for (std::size_t i = 0; i < q; ++i) moved[k * q + i] = at.v[(at.rank + k) * q + i] / at.length[i];
  }
  detail::reduce_directions(moved, q, free, detail::pivots_of(at.v.data() + at.rank * q, q, free), at.length);
  for (std::size_t k = 0; k < free; ++k) {
    // By logarithms and in the parameters' own units; the simpler telling is kept.
    undetermined_combination natural{.members = {}, .exponents = {}, .by_logarithm = false}, logarithmic;
    for (std::size_t i = 0; i < q; ++i) {
      const double by = moved[k * q + i];
      if (by == 0.0) continue;
      natural.members.push_back(at.live[i]);
      natural.exponents.push_back(by);
      logarithmic.exponents.push_back(by / solution.parameters[at.live[i]]);
    }
    logarithmic.members = natural.members;
    const std::size_t odd = detail::normalise(natural.exponents);
    const bool by_logarithm = detail::normalise(logarithmic.exponents) <= odd;  // false where a parameter is 0
    found.undetermined.push_back(by_logarithm ? std::move(logarithmic) : std::move(natural));
  }
  std::sort(found.undetermined.begin(), found.undetermined.end(),
            [](const auto& a, const auto& b) { return a.members < b.members; });
  return found;
}

}  // namespace rafter
