// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/solver/moments.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace {

using rafter::pack_width;

// rows × columns integers, so that sums in any order are exact; column 0 is ones.
std::vector<double> rows_of_integers(std::size_t rows, std::size_t columns, unsigned seed) {
  std::mt19937_64 random(seed);
  std::vector<double> x(rows * columns);
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < columns; ++j) {
      x[i * columns + j] = j == 0 ? 1.0 : static_cast<double>(random() % 2001) - 1000.0;
    }
  }
  return x;
}

std::vector<double> tile_of(const std::vector<double>& x, std::size_t rows, std::size_t columns) {
  const std::size_t packs = (rows + pack_width - 1) / pack_width;
  std::vector<double> tile(packs * columns * pack_width, 0.0);
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < columns; ++j) {
      tile[((i / pack_width) * columns + j) * pack_width + i % pack_width] = x[i * columns + j];
    }
  }
  return tile;
}

double product_sum(const std::vector<double>& x, std::size_t rows, std::size_t columns, std::size_t a,
                   std::size_t b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < rows; ++i) sum += x[i * columns + a] * x[i * columns + b];
  return sum;
}

template <std::size_t Columns> void check_against_naive(std::size_t rows) {
  const auto x = rows_of_integers(rows, Columns, 7);
  const auto tile = tile_of(x, rows, Columns);
  rafter::moments<Columns> sums;
  sums.accumulate(tile.data(), tile.size() / (Columns * pack_width));
  std::vector<double> all(Columns * Columns);
  sums.copy_to(all.data());
  for (std::size_t a = 0; a < Columns; ++a) {
    for (std::size_t b = 0; b < Columns; ++b) {
      const double expected = product_sum(x, rows, Columns, a, b);
      EXPECT_EQ(sums.gram(a, b), expected) << Columns << " columns, entry " << a << ", " << b;
      EXPECT_EQ(all[a * Columns + b], expected);
    }
  }
}

template <std::size_t... Columns> void check_widths(std::index_sequence<Columns...>) {
  const int done[] = {(check_against_naive<Columns + 1>(101), 0)...};
  static_cast<void>(done);
}

TEST(Moments, EqualTheNaiveSumsForEveryRemainderOfTheBlocks) { check_widths(std::make_index_sequence<10>{}); }

TEST(Moments, CountRowsNotDeadLanes) {
  const std::size_t rows = 3 * pack_width + 1;
  const auto tile = tile_of(rows_of_integers(rows, 4, 1), rows, 4);
  rafter::moments<4> sums;
  sums.accumulate(tile.data(), 4);
  EXPECT_EQ(sums.gram(0, 0), static_cast<double>(rows));
}

TEST(Moments, AddUpOverTilesAndGroupsAndComeApartAgain) {
  const auto a = rows_of_integers(64, 6, 2);
  const auto b = rows_of_integers(40, 6, 3);
  rafter::moments<6> of_a, of_b, of_both;
  of_a.accumulate(tile_of(a, 64, 6).data(), 64 / pack_width);
  of_b.accumulate(tile_of(b, 40, 6).data(), 40 / pack_width);
  of_both.accumulate(tile_of(a, 64, 6).data(), 64 / pack_width);
  of_both.accumulate(tile_of(b, 40, 6).data(), 40 / pack_width);
  auto sum = of_a;
  sum += of_b;
  auto rest = of_both;
  rest -= of_a;
  for (std::size_t i = 0; i < 6; ++i) {
    for (std::size_t j = 0; j < 6; ++j) {
      EXPECT_EQ(sum.gram(i, j), of_both.gram(i, j));
      EXPECT_EQ(rest.gram(i, j), of_b.gram(i, j));
    }
  }
  sum.reset();
  EXPECT_EQ(sum.gram(0, 0), 0.0);
}

}  // namespace
