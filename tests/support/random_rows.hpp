// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <random>
#include <vector>

#include "rafter/solver/least_squares.hpp"

/// Seeded rows of standard normal columns with a linear target and noise, for tests of solvers.
struct random_rows {
  std::size_t rows;
  std::size_t columns;
  std::vector<double> x;  // column-major
  std::vector<double> y, weight;

  random_rows(std::size_t n, std::size_t p, unsigned seed, double noise = 0.1) : rows(n), columns(p) {
    std::mt19937_64 random(seed);
    std::normal_distribution<double> normal;
    std::uniform_real_distribution<double> positive(0.2, 3.0);
    for (std::size_t k = 0; k < n * p; ++k) x.push_back(normal(random));
    for (std::size_t i = 0; i < n; ++i) {
      double sum = 3.0 + noise * normal(random);
      for (std::size_t j = 0; j < p; ++j) sum += static_cast<double>(j + 1) * x[j * n + i];
      y.push_back(sum);
      weight.push_back(positive(random));
    }
  }
  double* column(std::size_t j) { return x.data() + j * rows; }
  rafter::array_design design() const { return {rows, columns, x.data(), y.data()}; }
  rafter::array_design weighted() const { return {rows, columns, x.data(), y.data(), weight.data()}; }
};
