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

/// Reduces vectors (columns of `basis`, q × k) to one pivot each, so that directions that concern few parameters show.
/// @param effect  q, what a unit of each entry does to the residuals; parameters differ in units, this does not
RAFTER_NUMERICS_FUNCTION void reduce_directions(std::vector<double>& basis, std::size_t q, std::size_t k,
                                                const std::vector<double>& effect) {
  std::vector<bool> used(q, false);
  for (std::size_t c = 0; c < k; ++c) {
    // The largest entry of the columns that have no pivot yet.
    std::size_t row = 0, column = c;
    double most = -1.0;
    for (std::size_t j = c; j < k; ++j) {
      double norm = 0.0;
      for (std::size_t i = 0; i < q; ++i) norm = std::max(norm, std::abs(basis[j * q + i]));
      for (std::size_t i = 0; i < q; ++i) {
        const double value = norm > 0.0 ? std::abs(basis[j * q + i]) / norm : 0.0;
        if (!used[i] && value > most) {
          most = value;
          row = i;
          column = j;
        }
      }
    }
    for (std::size_t i = 0; i < q; ++i) std::swap(basis[c * q + i], basis[column * q + i]);
    used[row] = true;
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
    double most = 0.0;
    for (std::size_t i = 0; i < q; ++i) {
      double& value = basis[j * q + i];
      if (std::abs(value) * effect[i] < 1e-2 * strongest) value = 0.0;
      most = std::max(most, std::abs(value));
    }
    for (std::size_t i = 0; i < q && most > 0.0; ++i) basis[j * q + i] /= most;
  }
}

/// Entries that are no simple ratio (a multiple of 1/2, 1/3 or 1/4, not 0 of it).
RAFTER_NUMERICS_FUNCTION std::size_t odd_entries(const double* direction, std::size_t q) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < q; ++i) {
    const double twelfths = 12.0 * direction[i];
    count += direction[i] != 0.0 && (std::abs(twelfths) < 0.5 || std::abs(twelfths - std::round(twelfths)) > 1e-3);
  }
  return count;
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
  // The same directions by logarithms and in the parameters' own units; the simpler telling is kept.
  std::vector<double> natural(q * free), logarithmic(q * free);
  bool none_zero = true;
  for (std::size_t k = 0; k < free; ++k) {
    for (std::size_t i = 0; i < q; ++i) {
      const double moved = at.v[(at.rank + k) * q + i] / at.length[i];
      natural[k * q + i] = moved;
      logarithmic[k * q + i] = moved / solution.parameters[at.live[i]];
      none_zero = none_zero && solution.parameters[at.live[i]] != 0.0;
    }
  }
  std::vector<double> by_share = at.length;
  for (std::size_t i = 0; i < q; ++i) by_share[i] *= std::abs(solution.parameters[at.live[i]]);
  detail::reduce_directions(natural, q, free, at.length);
  if (none_zero) detail::reduce_directions(logarithmic, q, free, by_share);
  const auto weight = [&](const std::vector<double>& of) {
    std::size_t members = 0;
    for (const double value : of) members += value != 0.0;
    for (std::size_t k = 0; k < free; ++k) members += 4 * detail::odd_entries(of.data() + k * q, q);
    return members;
  };
  const bool by_logarithm = none_zero && weight(logarithmic) <= weight(natural);
  const std::vector<double>& chosen = by_logarithm ? logarithmic : natural;
  for (std::size_t k = 0; k < free; ++k) {
    undetermined_combination one;
    one.by_logarithm = by_logarithm;
    for (std::size_t i = 0; i < q; ++i) {
      if (chosen[k * q + i] == 0.0) continue;
      one.members.push_back(at.live[i]);
      one.exponents.push_back(chosen[k * q + i]);
    }
    found.undetermined.push_back(std::move(one));
  }
  std::sort(found.undetermined.begin(), found.undetermined.end(),
            [](const auto& a, const auto& b) { return a.members < b.members; });
  return found;
}

}  // namespace rafter
