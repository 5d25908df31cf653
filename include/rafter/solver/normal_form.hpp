// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rafter/core/math.hpp"
#include "rafter/core/pack.hpp"
#include "rafter/solver/dense.hpp"
#include "rafter/solver/least_squares.hpp"

/// Performance-model normal form: f = c₀ + Σ_k c_k · Π_j x_j^{i_kj} · log₂(1 + x_j)^{l_kj}, found by search
/// (Calotoiu, Hoefler, Poke and Wolf 2013, "Using automated performance modeling to find scalability bugs in complex
/// codes"; for several metrics Calotoiu et al. 2016, "Fast multi-parameter performance modeling").
namespace rafter {

/// The exponents of one metric in a term: x^(numerator/denominator) · log₂(1 + x)^logs. Denominators: 1 to 5.
struct term_exponents {
  int numerator = 1;
  int denominator = 1;
  int logs = 0;

  friend constexpr bool operator==(const term_exponents&, const term_exponents&) = default;
};

/// The 42 pairs that Extra-P 4 searches by default (github.com/extra-p/extrap, single_parameter/basic.py), simple ones
/// first: exotic powers have no logarithms, which nothing could tell apart from the next power.
inline constexpr std::array<term_exponents, 42> extra_p_exponents{{
    {1, 1, 0}, {0, 1, 1}, {2, 1, 0}, {1, 2, 0},  {1, 1, 1}, {0, 1, 2}, {3, 2, 0}, {1, 3, 0}, {2, 3, 0},
    {1, 4, 0}, {3, 4, 0}, {4, 5, 0}, {5, 4, 0},  {4, 3, 0}, {5, 3, 0}, {7, 4, 0}, {3, 1, 0}, {5, 2, 0},
    {9, 4, 0}, {7, 3, 0}, {8, 3, 0}, {11, 4, 0}, {1, 2, 1}, {1, 2, 2}, {1, 3, 1}, {1, 3, 2}, {1, 4, 1},
    {1, 4, 2}, {2, 3, 1}, {2, 3, 2}, {3, 4, 1},  {3, 4, 2}, {1, 1, 2}, {5, 4, 1}, {4, 3, 1}, {3, 2, 1},
    {3, 2, 2}, {2, 1, 1}, {2, 1, 2}, {5, 2, 1},  {5, 2, 2}, {3, 1, 1},
}};

/// The whole grid: the 18 powers from 1/4 to 3 of quarters, thirds and halves, and 0, each with 0, 1 or 2 logarithms.
inline constexpr std::array<term_exponents, 56> all_exponents = [] {
  constexpr std::array<std::array<int, 2>, 19> powers{{{1, 1},
                                                       {0, 1},
                                                       {2, 1},
                                                       {1, 2},
                                                       {3, 2},
                                                       {1, 4},
                                                       {1, 3},
                                                       {2, 3},
                                                       {3, 4},
                                                       {5, 4},
                                                       {4, 3},
                                                       {5, 3},
                                                       {7, 4},
                                                       {9, 4},
                                                       {7, 3},
                                                       {5, 2},
                                                       {8, 3},
                                                       {11, 4},
                                                       {3, 1}}};
  std::array<term_exponents, 56> made{};
  std::size_t at = 0;
  for (int logs = 0; logs < 3; ++logs) {
    for (const auto& power : powers) {
      if (power[0] != 0 || logs != 0) made[at++] = {power[0], power[1], logs};
    }
  }
  return made;
}();

/// x^i · log₂(1 + x)^l for x ≥ 0. The logarithm is of 1 + x, not of x: a metric that is 0 (no decode request in the
/// step) then makes every one of its terms 0, all terms grow with x, and for large x it is log₂ x. Metrics should
/// count something, so that typical values are above 1; below it the logarithm is nearly the power 1.
template <lane_value V> RAFTER_ALWAYS_INLINE V term_factor(V x, term_exponents of) {
  V value = broadcast<V>(1.0);
  for (int whole = of.numerator / of.denominator; whole > 0; --whole) value = value * x;
  if (const int rest = of.numerator % of.denominator; rest != 0) {
    if (of.denominator == 2) {
      value = value * rafter::sqrt(x);
    } else if (of.denominator == 4) {
      const V root = rafter::sqrt(x);
      const V fourth = rafter::sqrt(root);
      value = value * (rest == 1 ? fourth : root * fourth);
    } else {
      const V power = rafter::exp((static_cast<double>(rest) / of.denominator) * rafter::log(x));
      value = value * choose(x > broadcast<V>(0.0), power, broadcast<V>(0.0));
    }
  }
  if (of.logs > 0) {
    const V logarithm = rafter::log1p(x) * 0x1.71547652b82fep+0;  // 1 / ln 2
    for (int power = of.logs; power > 0; --power) value = value * logarithm;
  }
  return value;
}

/// A term without its coefficient: exponents of one metric, or the product of two metrics' (`second` < metrics).
struct normal_form_term {
  static constexpr std::size_t none = static_cast<std::size_t>(-1);

  std::size_t metric = 0;
  term_exponents exponents;
  std::size_t second = none;
  term_exponents second_exponents;

  /// @param x  one value per metric, ≥ 0
  double value(const double* x) const {
    const double own = term_factor(x[metric], exponents);
    return second == none ? own : own * term_factor(x[second], second_exponents);
  }
  friend constexpr bool operator==(const normal_form_term&, const normal_form_term&) = default;
};

/// Rows to search on. Plain arrays that must live during the call.
struct normal_form_rows {
  std::size_t rows = 0;
  std::size_t metrics = 0;
  const double* x = nullptr;            ///< column-major: metric j starts at x + j·rows; finite and ≥ 0
  const double* y = nullptr;            ///< rows; finite (and > 0 for relative errors)
  const std::uint32_t* fold = nullptr;  ///< rows; which part a row is left out with, below `folds`
  std::size_t folds = 0;                ///< fewer than two: nothing can be cross-validated, and the form is constant
};

struct normal_form_options {
  std::span<const term_exponents> exponents = extra_p_exponents;
  std::size_t max_terms = 3;  ///< 0 to 3, beside the constant
  /// Products of two metrics: for each pair, of the `product_terms` best single terms of either (by cross-validation)
  /// and of x itself. Extra-P combines the one best term of each metric.
  bool products = true;
  std::size_t product_terms = 3;
  /// How many of the best pairs of terms are tried with every third, beside the best pair of each kind (two terms of
  /// the same metrics are of one kind).
  std::size_t beam = 64;
  bool relative = true;      ///< errors relative to y: rows weigh 1/y². Else plain squares
  bool non_negative = true;  ///< coefficients and constant ≥ 0, as of times that add up
  /// One more term must lower the cross-validated error by this share, else the simpler form wins.
  double simpler_within = 0.02;
};

/// A formula that the search found. Errors are root mean squares, weighted as the fit and relative to the root mean
/// square of y: for relative errors the root mean square of (prediction/y − 1).
struct normal_form {
  double constant = 0.0;
  std::vector<normal_form_term> terms;
  std::vector<double> coefficients;    ///< one a term
  double cross_validated_error = 0.0;  ///< NaN where fewer than two folds
  double cross_validated_smape = 0.0;  ///< mean of 2|p − y|/(|p| + |y|) on rows left out; NaN likewise
  double training_error = 0.0;
  std::array<double, 4> error_by_terms{};  ///< the least cross-validated error with 0, 1, 2, 3 terms; NaN: not tried
  std::size_t rows = 0;
  std::size_t candidates = 0;  ///< terms
  std::size_t hypotheses = 0;  ///< sets of terms whose cross-validated error was computed

  /// @param x  one value per metric
  double predict(const double* x) const {
    double sum = constant;
    for (std::size_t k = 0; k < terms.size(); ++k) sum += coefficients[k] * terms[k].value(x);
    return sum;
  }
  /// "1.2e-05 + 3.4e-09 · tokens · log2(1 + tokens)". @param names  of the metrics
  std::string formula(std::span<const std::string_view> names) const;
};

/// Text of one term, "tokens^(3/2) · log2(1 + tokens)^2".
std::string text_of(const normal_form_term& term, std::span<const std::string_view> names);

/// Searches the normal form. Every hypothesis costs a solution of at most 4 × 4 for each fold: the sums of products of
/// all candidate columns are made once per fold, and the sums of a training set are the sums of the other folds' (added,
/// never subtracted). Tried are all single terms, all pairs, the best pairs with every third term, and what the best 16
/// of these become when one term after the other is exchanged until none improves. Hypotheses whose
/// terms the rows cannot tell apart (smallest pivot < 1e-7 in some fold), or one of whose coefficients would be ≤ 0
/// while they must not be negative, are left out: what is left of them is a hypothesis of its own. Of equally many
/// terms the least cross-validated error wins, then see `simpler_within`. The winner's coefficients are refined by
/// passes over the rows. Deterministic.
/// @throws solver_error for arguments that make no sense: a metric that is negative or not finite (named by number,
///         with the row), a y that is not finite (not positive), a fold number out of range
normal_form search_normal_form(const normal_form_rows& data, const normal_form_options& options = {});

/// The cross-validated error of one hypothesis, from sums: what the search ranks by. For tests and for comparison.
double normal_form_error(const normal_form_rows& data, const std::vector<normal_form_term>& terms,
                         const normal_form_options& options = {});

}  // namespace rafter

#if !defined(RAFTER_COMPILED_NUMERICS)
#include "rafter/solver/normal_form.ipp"
#endif
