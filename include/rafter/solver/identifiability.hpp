// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

#include "rafter/solver/dense.hpp"
#include "rafter/solver/minimizer.hpp"

namespace rafter {

/// A way to move some parameters together that changes no residual, to first order. By logarithms: moving parameter
/// `members[i]` by exponents[i] per cent, for all i, changes nothing; so of two with exponents 1 and 1 only the quotient
/// is determined, with 1 and -1 only the product. Otherwise in the parameters' own units: with -1 and 1 only the sum.
struct undetermined_combination {
  std::vector<std::size_t> members;  ///< ascending
  std::vector<double> exponents;     ///< one each; the largest magnitude is 1
  bool by_logarithm = true;
};

/// What the training rows say of the parameters of a nonlinear fit, from the Jacobian at its solution.
struct identifiability {
  std::size_t parameters = 0;             ///< that are not held fixed
  std::size_t identifiable = 0;           ///< rank of the Jacobian of these, columns scaled to length 1
  std::size_t identifiable_at_start = 0;  ///< the same where the fit began (by JᵀJ alone, so to half the digits)
  std::vector<double> singular_values;    ///< descending, of the live columns scaled to length 1
  std::vector<std::size_t> dead;          ///< ascending: no effect on any row; left at their start
  std::vector<std::size_t> at_bound;      ///< ascending
  std::vector<undetermined_combination> undetermined;
  bool known = false;  ///< false: the method had no derivatives, nothing of this is known
};

/// Reads the solution's Jacobian. The rank counts singular values above machine precision times the number of rows
/// where the solution has the factor of the rows, and above 1e-6 where it has the sums JᵀJ alone.
RAFTER_NUMERICS_FUNCTION identifiability identify(const nonlinear_solution& solution, const parameter_bounds& bounds,
                                                  std::size_t rows);

}  // namespace rafter

#if !defined(RAFTER_COMPILED_NUMERICS)
#include "rafter/solver/identifiability.ipp"
#endif
