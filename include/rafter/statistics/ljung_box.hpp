// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: includes Boost.Math's special functions; for those who test errors for memory.
#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "rafter/statistics/autocorrelation.hpp"
#include "rafter/statistics/distributions.hpp"
#include "rafter/statistics/hypothesis.hpp"

namespace rafter {

struct ljung_box_test {
  double q = detail::no_number;
  double degrees_of_freedom = detail::no_number;
  double p = detail::no_number;
};

/// Ljung and Box 1978: are the autocorrelations up to `lags` all 0? Q = n(n+2) Σ rho_k²/(n-k), chi-square with `lags` -
/// `fitted` degrees of freedom (`fitted`: parameters of a time-series model whose residuals these are). NaN for a
/// constant or empty series, and when no lag or degree of freedom is left.
/// @throws statistics_error when there are no more rows than lags
inline ljung_box_test ljung_box(std::span<const double> values, std::size_t lags, std::size_t fitted = 0) {
  ljung_box_test test;
  if (values.empty()) return test;
  if (lags >= values.size()) {
    throw statistics_error("Ljung-Box test: " + std::to_string(lags) + " lags of " + std::to_string(values.size()) +
                           " rows");
  }
  const std::vector<double> rho = autocorrelation(values, lags);
  const auto n = static_cast<double>(values.size());
  double sum = 0.0;
  for (std::size_t k = 1; k <= lags; ++k) sum += rho[k] * rho[k] / (n - static_cast<double>(k));
  if (std::isnan(rho[0]) || lags <= fitted) return test;
  test.q = n * (n + 2.0) * sum;
  test.degrees_of_freedom = static_cast<double>(lags - fitted);
  test.p = detail::chi_square_above(test.q, test.degrees_of_freedom);
  return test;
}

}  // namespace rafter
