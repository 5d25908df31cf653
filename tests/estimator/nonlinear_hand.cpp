// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// The derived residual and Jacobian of the nine-parameter roofline against the same written by hand.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "support/bits.hpp"

namespace {

using rafter::pack;

const bench::reference_data& data() {
  static const bench::reference_data made = bench::make_reference_data(bench::hashed_rows);
  return made;
}

TEST(NonlinearByHand, ResidualsAndDerivativesHaveTheSameBitsAsTheHandWritten) {
  for (const auto& parameters : bench::compared_parameters) {
    const auto derived = bench::derived_values<pack>(data(), parameters);
    EXPECT_EQ(bench::unequal_values(derived, bench::hand_values<pack>(data(), parameters)), 0u);
    EXPECT_EQ(bench::unequal_values(derived, bench::hand_values<double>(data(), parameters)), 0u);
  }
}

TEST(NonlinearByHand, RowByRowAndInPacksAreTheSameBits) {
  for (const auto& parameters : bench::compared_parameters) {
    EXPECT_EQ(bench::unequal_values(bench::derived_values<pack>(data(), parameters),
                                    bench::derived_values<double>(data(), parameters)),
              0u);
  }
}

TEST(NonlinearByHand, EveryDerivativeIsOtherThanZeroSomewhere) {
  std::array<std::size_t, bench::hand::nls_columns> other{};
  for (const auto& parameters : bench::compared_parameters) {
    const auto derived = bench::derived_values<pack>(data(), parameters);
    for (std::size_t column = 0; column < other.size(); ++column) {
      for (std::size_t row = 0; row < derived.rows; ++row) other[column] += derived.at(column, row) != 0.0;
    }
  }
  for (const std::size_t count : other) EXPECT_GT(count, 100u);
}

TEST(NonlinearByHand, EveryCompilerAndVectorWidthGivesTheSameBits) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const auto& parameters : bench::compared_parameters) {
    hash = bench::hash_of(bench::derived_values<pack>(data(), parameters), hash);
  }
  EXPECT_EQ(hash, bench::expected_hash);
}

TEST(NonlinearByHand, APassSumsTheHandWrittenProducts) {
  constexpr std::size_t n = bench::hand::nls_parameters, width = n + 1;
  const rafter::row_set all = rafter::row_set::all(data().size());
  const rafter::parameter_layout layout(bench::roofline9::facts(), data(), all);
  const bench::roofline9_rows model(data(), all, layout);
  for (const auto& parameters : bench::compared_parameters) {
    std::vector<double> gram(width * width), gradient(n), hessian(n * n);
    double cost = 0.0;
    bench::hand::nls_pass(bench::hand::columns_of(data()), bench::hand::nls_runs_of(data()), parameters, gram.data());
    model.accumulate(parameters.data(), {}, cost, gradient.data(), hessian.data());
    // Sums of up to 2,000 terms in another order.
    const auto close = [&](double sum, std::size_t i, std::size_t j) {
      EXPECT_NEAR(sum, gram[i * width + j], 1e-13 * std::sqrt(gram[i * width + i] * gram[j * width + j]))
          << i << ", " << j;
    };
    close(2.0 * cost, n, n);
    for (std::size_t i = 0; i < n; ++i) {
      close(gradient[i], i, n);
      for (std::size_t j = 0; j < n; ++j) close(hessian[i * n + j], i, j);
    }
    EXPECT_NEAR(model.cost(parameters.data(), {}), cost, 1e-13 * cost);
  }
}

}  // namespace
