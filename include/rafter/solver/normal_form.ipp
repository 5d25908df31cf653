// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Definitions for rafter/solver/normal_form.hpp; include that instead.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <limits>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "rafter/solver/normal_form.hpp"

namespace rafter::detail {

/// Sums of products of candidate columns, one matrix per fold: column 0 is the constant, column 1 is y, then the terms,
/// each divided by its largest value (powers of large metrics leave the range of double otherwise).
class normal_form_sums {
 public:
  normal_form_sums(const normal_form_rows& data, std::vector<normal_form_term> terms, bool relative, bool pairs)
      : terms_(std::move(terms)), size_((terms_.size() + 2 + 3) / 4 * 4) {
    for (const normal_form_term& term : terms_) {
      std::vector<double> largest(data.metrics);
      for (const std::size_t metric : {term.metric, term.second}) {
        if (metric == normal_form_term::none) continue;
        largest[metric] = *std::max_element(data.x + metric * data.rows, data.x + (metric + 1) * data.rows);
      }
      const double most = term.value(largest.data());
      scale_.push_back(most > 0.0 && std::isfinite(most) ? 1.0 / most : 0.0);
    }
    for (std::size_t fold = 0; fold < data.folds; ++fold) sum_fold(data, fold, relative, pairs);
    train_.assign(data.folds, std::vector<double>(size_ * size_, 0.0));
    all_.assign(size_ * size_, 0.0);
    for (std::size_t fold = 0; fold < data.folds; ++fold) {
      add(all_, test_[fold]);
      for (std::size_t other = 0; other < data.folds; ++other) {
        if (other != fold) add(train_[fold], test_[other]);
      }
    }
  }

  const std::vector<normal_form_term>& terms() const { return terms_; }
  std::size_t folds() const { return test_.size(); }
  double scale(std::size_t term) const { return scale_[term]; }

  /// Coefficients (of scaled columns) for the constant and k terms, from the given sums. @returns false where the rows
  /// cannot tell the columns apart; columns that are all 0 get 0.
  static bool solve(const double* sums, std::size_t size, const std::size_t* columns, std::size_t count,
                    bool non_negative, double* b) {
    std::size_t kept[4];
    std::size_t active = 0;
    for (std::size_t i = 0; i < count; ++i) {
      b[i] = 0.0;
      if (sums[columns[i] * size + columns[i]] > 0.0) kept[active++] = i;
    }
    double x[4];
    if (!solve_subset(sums, size, columns, kept, active, x)) return false;
    const bool feasible = !non_negative || std::all_of(x, x + active, [](double v) { return v >= 0.0; });
    if (feasible) {
      for (std::size_t i = 0; i < active; ++i) b[kept[i]] = x[i];
      return true;
    }
    // At most 15 sets of columns: the least of the feasible solutions is the minimum, the problem being convex.
    double best = 0.0;
    for (unsigned chosen = 1; chosen + 1 < (1U << active); ++chosen) {
      std::size_t some[4];
      std::size_t number = 0;
      for (std::size_t i = 0; i < active; ++i) {
        if ((chosen >> i & 1U) != 0) some[number++] = kept[i];
      }
      if (!solve_subset(sums, size, columns, some, number, x)) continue;
      if (std::any_of(x, x + number, [](double v) { return v < 0.0; })) continue;
      double decrease = 0.0;
      for (std::size_t i = 0; i < number; ++i) decrease += x[i] * sums[columns[some[i]] * size + 1];
      if (decrease <= best) continue;
      best = decrease;
      std::fill(b, b + count, 0.0);
      for (std::size_t i = 0; i < number; ++i) b[some[i]] = x[i];
    }
    return true;
  }

  /// Root mean square of what the folds' fits leave of rows they have not seen; infinite for a hypothesis left out.
  /// @param columns  of the constant and the terms
  double error(const std::size_t* columns, std::size_t count, bool non_negative) const {
    double b[4];
    if (count > 1) {
      if (!solve(all_.data(), size_, columns, count, non_negative, b)) return infinity;
      for (std::size_t i = 1; i < count; ++i) {
        if (b[i] == 0.0 || (non_negative && !(b[i] > 0.0))) return infinity;
      }
    }
    double squares = 0.0;
    double total = 0.0;
    for (std::size_t fold = 0; fold < folds(); ++fold) {
      if (!solve(train_[fold].data(), size_, columns, count, non_negative, b)) return infinity;
      const double* test = test_[fold].data();
      double left = test[size_ + 1];
      total += left;
      for (std::size_t i = 0; i < count; ++i) {
        left -= 2.0 * b[i] * test[columns[i] * size_ + 1];
        for (std::size_t j = 0; j < count; ++j) left += b[i] * b[j] * test[columns[i] * size_ + columns[j]];
      }
      squares += std::max(0.0, left);
    }
    return total > 0.0 ? std::sqrt(squares / total) : 0.0;
  }

  const double* all() const { return all_.data(); }
  const double* training(std::size_t fold) const { return train_[fold].data(); }
  std::size_t size() const { return size_; }

 private:
  static constexpr std::size_t tile_rows = 64;
  static constexpr std::size_t across = 4;
  static constexpr std::size_t down = pack_width == 8 ? 4 : 2;

  /// Cholesky of the unit-diagonal sub-matrix. @returns false at a pivot below 1e-7.
  static bool solve_subset(const double* sums, std::size_t size, const std::size_t* columns, const std::size_t* kept,
                           std::size_t count, double* x) {
    double l[4][4];
    double unit[4];
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t column = columns[kept[i]];
      unit[i] = 1.0 / std::sqrt(sums[column * size + column]);
    }
    for (std::size_t i = 0; i < count; ++i) {
      for (std::size_t j = 0; j <= i; ++j) {
        double value = i == j ? 1.0 : sums[columns[kept[i]] * size + columns[kept[j]]] * unit[i] * unit[j];
        for (std::size_t k = 0; k < j; ++k) value -= l[i][k] * l[j][k];
        if (i == j) {
          if (!(value > 1e-7)) return false;
          l[i][i] = std::sqrt(value);
        } else {
          l[i][j] = value / l[j][j];
        }
      }
    }
    for (std::size_t i = 0; i < count; ++i) {
      double value = sums[columns[kept[i]] * size + 1] * unit[i];
      for (std::size_t k = 0; k < i; ++k) value -= l[i][k] * x[k];
      x[i] = value / l[i][i];
    }
    for (std::size_t i = count; i-- > 0;) {
      for (std::size_t k = i + 1; k < count; ++k) x[i] -= l[k][i] * x[k];
      x[i] /= l[i][i];
    }
    for (std::size_t i = 0; i < count; ++i) x[i] *= unit[i];
    return true;
  }

  static void add(std::vector<double>& to, const std::vector<double>& from) {
    for (std::size_t i = 0; i < to.size(); ++i) to[i] += from[i];
  }

  /// @param pairs  all products; else only those with the constant and y, and squares
  void sum_fold(const normal_form_rows& data, std::size_t fold, bool relative, bool pairs) {
    std::vector<double> sums(size_ * size_, 0.0);
    std::vector<double> tile(size_ * tile_rows, 0.0);
    std::vector<double> metric(data.metrics * tile_rows);
    std::vector<double> root(tile_rows);
    std::size_t filled = 0;
    const auto flush = [&] {
      if (filled == 0) return;
      for (std::size_t i = filled; i < tile_rows; ++i) {
        root[i] = 0.0;
        for (std::size_t m = 0; m < data.metrics; ++m) metric[m * tile_rows + i] = 0.0;
        tile[i] = tile[tile_rows + i] = 0.0;
      }
      for (std::size_t t = 0; t < terms_.size(); ++t) fill(tile.data() + (t + 2) * tile_rows, metric, root, t);
      pairs ? accumulate_all(sums.data(), tile.data()) : accumulate_some(sums.data(), tile.data());
      filled = 0;
    };
    for (std::size_t row = 0; row < data.rows; ++row) {
      if (data.fold[row] != fold) continue;
      root[filled] = relative ? 1.0 / data.y[row] : 1.0;
      tile[filled] = root[filled];
      tile[tile_rows + filled] = relative ? 1.0 : data.y[row];
      for (std::size_t m = 0; m < data.metrics; ++m) metric[m * tile_rows + filled] = data.x[m * data.rows + row];
      if (++filled == tile_rows) flush();
    }
    flush();
    for (std::size_t i = 0; i < size_; ++i) {
      for (std::size_t j = 0; j < i; ++j) sums[i * size_ + j] = sums[j * size_ + i];
    }
    test_.push_back(std::move(sums));
  }

  [[gnu::noinline]] void fill(double* column, const std::vector<double>& metric, const std::vector<double>& root,
                              std::size_t t) const {
    const normal_form_term& term = terms_[t];
    const double* first = metric.data() + term.metric * tile_rows;
    const double* second = term.second == normal_form_term::none ? nullptr : metric.data() + term.second * tile_rows;
    for (std::size_t i = 0; i < tile_rows; i += pack_width) {
      pack value = term_factor(load<pack>(first + i), term.exponents);
      if (second != nullptr) value = value * term_factor(load<pack>(second + i), term.second_exponents);
      store(column + i, value * scale_[t] * load<pack>(root.data() + i));
    }
  }

  [[gnu::noinline]] void accumulate_some(double* sums, const double* tile) const {
    for (std::size_t j = 0; j < size_; ++j) {
      const double* right = tile + j * tile_rows;
      for (std::size_t i = 0; i < 2 && i < j; ++i) sums[i * size_ + j] += dot(tile + i * tile_rows, right);
      sums[j * size_ + j] += dot(right, right);
    }
  }
  static double dot(const double* a, const double* b) {
    pack sum{};
    for (std::size_t i = 0; i < tile_rows; i += pack_width) sum = sum + load<pack>(a + i) * load<pack>(b + i);
    return horizontal_sum(sum);
  }

  [[gnu::noinline]] void accumulate_all(double* sums, const double* tile) const {
    for (std::size_t i = 0; i < size_; i += down) {
      for (std::size_t j = i / across * across; j < size_; j += across) {
        pack sum[down][across] = {};
        for (std::size_t row = 0; row < tile_rows; row += pack_width) {
          pack right[across];
          for (std::size_t b = 0; b < across; ++b) right[b] = load<pack>(tile + (j + b) * tile_rows + row);
          for (std::size_t a = 0; a < down; ++a) {
            const pack left = load<pack>(tile + (i + a) * tile_rows + row);
            for (std::size_t b = 0; b < across; ++b) sum[a][b] = sum[a][b] + left * right[b];
          }
        }
        for (std::size_t a = 0; a < down; ++a) {
          for (std::size_t b = 0; b < across; ++b) sums[(i + a) * size_ + j + b] += horizontal_sum(sum[a][b]);
        }
      }
    }
  }

  std::vector<normal_form_term> terms_;
  std::size_t size_;  // columns, rounded up to whole blocks
  std::vector<double> scale_;
  std::vector<std::vector<double>> test_;
  std::vector<std::vector<double>> train_;
  std::vector<double> all_;
};

RAFTER_COLD_FUNCTION void check_normal_form(const normal_form_rows& data, const normal_form_options& options) {
  if (data.rows == 0) throw solver_error("the normal form needs at least one row");
  if (options.max_terms > 3) throw solver_error("the normal form has at most three terms");
  for (const term_exponents& one : options.exponents) {
    if (one.denominator < 1 || one.denominator > 5 || one.numerator < 0 || one.logs < 0 ||
        (one.numerator == 0 && one.logs == 0)) {
      throw solver_error("the exponents " + std::to_string(one.numerator) + "/" + std::to_string(one.denominator) +
                         " and " + std::to_string(one.logs) + " are no term of the normal form");
    }
  }
  for (std::size_t row = 0; row < data.rows; ++row) {
    for (std::size_t m = 0; m < data.metrics; ++m) {
      const double value = data.x[m * data.rows + row];
      if (!(value >= 0.0 && std::isfinite(value))) {
        throw solver_error("metric " + std::to_string(m) + " is " +
                           (value < 0.0 ? "negative" : "not a finite number") + " on row " + std::to_string(row));
      }
    }
    if (!std::isfinite(data.y[row])) throw solver_error("y is not a finite number on row " + std::to_string(row));
    if (options.relative && !(data.y[row] > 0.0)) {
      throw solver_error("y is not positive on row " + std::to_string(row) + ": it has no relative error");
    }
    if (data.folds > 1 && data.fold[row] >= data.folds) {
      throw solver_error("row " + std::to_string(row) + " is in fold " + std::to_string(data.fold[row]) + " of " +
                         std::to_string(data.folds));
    }
  }
}

/// The coefficients of constant and terms on the rows for which `seen(row)`: from sums, refined over the rows.
template <class Seen>
RAFTER_COLD_FUNCTION std::vector<double> refined_normal_form(const normal_form_rows& data,
                                                             const normal_form_sums& sums, const double* gram,
                                                             const std::vector<std::size_t>& columns,
                                                             const normal_form_options& options, Seen seen) {
  const std::size_t count = columns.size();
  std::vector<double> b(count);
  normal_form_sums::solve(gram, sums.size(), columns.data(), count, options.non_negative, b.data());
  std::vector<std::size_t> active;
  for (std::size_t i = 0; i < count; ++i) {
    if (b[i] != 0.0) active.push_back(i);
  }
  // Newton steps with the same matrix: each gains the digits that its conditioning leaves.
  std::vector<double> x(data.metrics);
  std::vector<double> column(count);
  for (int pass = 0; pass < 3 && !active.empty(); ++pass) {
    std::vector<double> gradient(count, 0.0);
    for (std::size_t row = 0; row < data.rows; ++row) {
      if (!seen(row)) continue;
      for (std::size_t m = 0; m < data.metrics; ++m) x[m] = data.x[m * data.rows + row];
      const double root = options.relative ? 1.0 / data.y[row] : 1.0;
      double left = data.y[row];
      for (const std::size_t i : active) {
        column[i] = i == 0 ? 1.0 : sums.terms()[columns[i] - 2].value(x.data()) * sums.scale(columns[i] - 2);
        left -= b[i] * column[i];
      }
      for (const std::size_t i : active) gradient[i] += column[i] * left * root * root;
    }
    // The same solver, its right-hand side replaced.
    std::vector<double> small(6 * 6, 0.0);
    std::vector<std::size_t> own;
    for (std::size_t a = 0; a < active.size(); ++a) {
      const std::size_t at = a == 0 ? 0 : a + 1;
      own.push_back(at);
      for (std::size_t c = 0; c < active.size(); ++c) {
        small[at * 6 + (c == 0 ? 0 : c + 1)] = gram[columns[active[a]] * sums.size() + columns[active[c]]];
      }
      small[at * 6 + 1] = small[6 + at] = gradient[active[a]];
    }
    std::vector<double> step(active.size());
    if (!normal_form_sums::solve(small.data(), 6, own.data(), own.size(), false, step.data())) break;
    for (std::size_t a = 0; a < active.size(); ++a) {
      double& value = b[active[a]];
      value += step[a];
      if (options.non_negative) value = std::max(0.0, value);
    }
  }
  for (std::size_t i = 1; i < count; ++i) b[i] *= sums.scale(columns[i] - 2);
  return b;
}

RAFTER_COLD_FUNCTION std::string factor_text(term_exponents of, std::string_view name) {
  const auto logarithm = [&] {
    return "log2(1 + " + std::string(name) + ")" + (of.logs > 1 ? "^" + std::to_string(of.logs) : "");
  };
  if (of.numerator == 0) return logarithm();
  std::string text(name);
  if (of.denominator != 1) {
    text += "^(" + std::to_string(of.numerator) + "/" + std::to_string(of.denominator) + ")";
  } else if (of.numerator != 1) {
    text += "^" + std::to_string(of.numerator);
  }
  return of.logs > 0 ? text + " · " + logarithm() : text;
}

/// Sets of terms, the best first.
struct normal_form_hypothesis {
  double error = std::numeric_limits<double>::infinity();
  std::array<std::size_t, 4> columns{};  // 0, then of the terms
  std::size_t count = 1;
};

}  // namespace rafter::detail

namespace rafter {

RAFTER_COLD_FUNCTION std::string text_of(const normal_form_term& term, std::span<const std::string_view> names) {
  std::string text = detail::factor_text(term.exponents, names[term.metric]);
  if (term.second != normal_form_term::none) {
    text += " · " + detail::factor_text(term.second_exponents, names[term.second]);
  }
  return text;
}

RAFTER_COLD_FUNCTION std::string normal_form::formula(std::span<const std::string_view> names) const {
  const auto number = [](double value) {
    char digits[32];
    std::snprintf(digits, sizeof digits, "%.6g", value);
    return std::string(digits);
  };
  std::string text;
  if (constant != 0.0 || terms.empty()) text = number(constant);
  for (std::size_t k = 0; k < terms.size(); ++k) {
    const double coefficient = coefficients[k];
    if (!text.empty()) text += coefficient < 0.0 ? " - " : " + ";
    text += number(text.empty() ? coefficient : std::abs(coefficient)) + " · " + text_of(terms[k], names);
  }
  return text;
}

RAFTER_COLD_FUNCTION double normal_form_error(const normal_form_rows& data,
                                              const std::vector<normal_form_term>& terms,
                                              const normal_form_options& options) {
  detail::check_normal_form(data, options);
  if (data.folds < 2 || terms.size() > 3)
    throw solver_error("an error by cross-validation needs two folds, a hypothesis at most three terms");
  const detail::normal_form_sums sums(data, terms, options.relative, true);
  std::array<std::size_t, 4> columns{0, 2, 3, 4};
  return sums.error(columns.data(), terms.size() + 1, options.non_negative);
}

RAFTER_COLD_FUNCTION normal_form search_normal_form(const normal_form_rows& data,
                                                    const normal_form_options& options) {
  using detail::normal_form_hypothesis;
  using detail::normal_form_sums;
  detail::check_normal_form(data, options);
  const double unknown = std::numeric_limits<double>::quiet_NaN();
  normal_form found;
  found.cross_validated_error = found.cross_validated_smape = unknown;
  found.rows = data.rows;
  found.error_by_terms.fill(unknown);
  const bool searched = data.folds > 1 && options.max_terms > 0;

  std::vector<normal_form_term> terms;
  for (std::size_t m = 0; searched && m < data.metrics; ++m) {
    for (const term_exponents& exponents : options.exponents) {
      terms.push_back(
          {.metric = m, .exponents = exponents, .second = normal_form_term::none, .second_exponents = {}});
    }
  }
  if (searched && options.products && data.metrics > 1) {
    const normal_form_sums singles(data, terms, options.relative, false);
    std::vector<std::vector<term_exponents>> best(data.metrics);
    for (std::size_t m = 0; m < data.metrics; ++m) {
      std::vector<std::pair<double, std::size_t>> ranked;
      for (std::size_t t = 0; t < terms.size(); ++t) {
        if (terms[t].metric != m) continue;
        const std::array<std::size_t, 2> columns{0, t + 2};
        const double error = singles.error(columns.data(), 2, options.non_negative);
        if (std::isfinite(error)) ranked.emplace_back(error, t);
      }
      std::sort(ranked.begin(), ranked.end());
      ranked.resize(std::min(ranked.size(), options.product_terms));
      best[m].push_back({1, 1, 0});
      for (const auto& [error, t] : ranked) {
        if (terms[t].exponents != best[m].front()) best[m].push_back(terms[t].exponents);
      }
    }
    for (std::size_t m = 0; m < data.metrics; ++m) {
      for (std::size_t other = m + 1; other < data.metrics; ++other) {
        for (const term_exponents& a : best[m]) {
          for (const term_exponents& b : best[other]) {
            terms.push_back({.metric = m, .exponents = a, .second = other, .second_exponents = b});
          }
        }
      }
    }
  }
  found.candidates = terms.size();

  std::vector<std::uint32_t> one_fold;
  normal_form_rows rows = data;
  if (data.folds < 2) {
    one_fold.assign(data.rows, 0);
    rows.fold = one_fold.data();
    rows.folds = 1;
  }
  const normal_form_sums sums(rows, terms, options.relative, true);
  std::array<normal_form_hypothesis, 4> best;
  std::vector<normal_form_hypothesis> pairs;
  const auto attempt = [&](std::initializer_list<std::size_t> chosen) {
    normal_form_hypothesis one;
    for (const std::size_t term : chosen) one.columns[one.count++] = term + 2;
    one.error = sums.error(one.columns.data(), one.count, options.non_negative);
    ++found.hypotheses;
    if (one.error < best[one.count - 1].error) best[one.count - 1] = one;
    return one;
  };
  if (data.folds > 1) attempt({});
  if (searched) {
    for (std::size_t a = 0; a < terms.size(); ++a) attempt({a});
    for (std::size_t a = 0; options.max_terms > 1 && a < terms.size(); ++a) {
      for (std::size_t b = a + 1; b < terms.size(); ++b) {
        const normal_form_hypothesis one = attempt({a, b});
        if (std::isfinite(one.error)) pairs.push_back(one);
      }
    }
    if (options.max_terms > 2) {
      const auto better = [](const normal_form_hypothesis& a, const normal_form_hypothesis& b) {
        return a.error != b.error ? a.error < b.error : a.columns < b.columns;
      };
      std::sort(pairs.begin(), pairs.end(), better);
      const auto kind = [&](std::size_t column) {
        return std::pair(terms[column - 2].metric, terms[column - 2].second);
      };
      std::set<std::array<std::size_t, 3>> seen;
      std::vector<normal_form_hypothesis> triples;
      const auto attempt_once = [&](std::size_t a, std::size_t b, std::size_t c) {
        std::array<std::size_t, 3> key{a, b, c};
        std::sort(key.begin(), key.end());
        normal_form_hypothesis none;
        if (key[0] == key[1] || key[1] == key[2] || !seen.insert(key).second) return none;
        return attempt({key[0], key[1], key[2]});
      };
      std::set<std::array<std::pair<std::size_t, std::size_t>, 2>> kinds;
      for (std::size_t p = 0; p < pairs.size(); ++p) {
        const std::size_t a = pairs[p].columns[1];
        const std::size_t b = pairs[p].columns[2];
        if (!kinds.insert({kind(a), kind(b)}).second && p >= options.beam) continue;
        normal_form_hypothesis best_of_pair;
        for (std::size_t c = 0; c < terms.size(); ++c) {
          const normal_form_hypothesis one = attempt_once(a - 2, b - 2, c);
          if (one.error < best_of_pair.error) best_of_pair = one;
        }
        if (best_of_pair.count == 4) triples.push_back(best_of_pair);
      }
      std::sort(triples.begin(), triples.end(), better);
      triples.resize(std::min(triples.size(), std::size_t{16}));
      for (normal_form_hypothesis one : triples) {
        for (bool improved = true; improved;) {
          improved = false;
          for (std::size_t exchanged = 1; exchanged < 4; ++exchanged) {
            const std::size_t a = one.columns[exchanged % 3 + 1] - 2;
            const std::size_t b = one.columns[(exchanged + 1) % 3 + 1] - 2;
            for (std::size_t c = 0; c < terms.size(); ++c) {
              const normal_form_hypothesis other = attempt_once(a, b, c);
              if (!(other.error < one.error)) continue;
              one = other;
              improved = true;
            }
            if (improved) break;  // its columns have another order now
          }
        }
      }
    }
  }
  // Errors below a millionth are rounding: the simpler form of two that are exact is the one.
  const normal_form_hypothesis* chosen = &best[0];
  for (std::size_t k = 0; k < best.size(); ++k) {
    if (best[k].error < detail::infinity) found.error_by_terms[k] = best[k].error;
    if (k > 0 && std::max(best[k].error, 1e-6) < (1.0 - options.simpler_within) * chosen->error) chosen = &best[k];
  }

  const std::vector<std::size_t> columns(chosen->columns.begin(),
                                         chosen->columns.begin() + static_cast<std::ptrdiff_t>(chosen->count));
  const std::vector<double> b =
      detail::refined_normal_form(data, sums, sums.all(), columns, options, [](std::size_t) { return true; });
  found.constant = b[0];
  for (std::size_t i = 1; i < columns.size(); ++i) {
    found.terms.push_back(terms[columns[i] - 2]);
    found.coefficients.push_back(b[i]);
  }
  std::vector<double> x(data.metrics);
  const auto prediction = [&](std::size_t row, const std::vector<double>& with) {
    for (std::size_t m = 0; m < data.metrics; ++m) x[m] = data.x[m * data.rows + row];
    double sum = with[0];
    for (std::size_t k = 0; k < found.terms.size(); ++k) sum += with[k + 1] * found.terms[k].value(x.data());
    return sum;
  };
  double squares = 0.0;
  double total = 0.0;
  for (std::size_t row = 0; row < data.rows; ++row) {
    const double weight = options.relative ? 1.0 / data.y[row] : 1.0;
    const double left = weight * (data.y[row] - prediction(row, b));
    squares += left * left;
    total += weight * data.y[row] * weight * data.y[row];
  }
  found.training_error = total > 0.0 ? std::sqrt(squares / total) : 0.0;
  if (data.folds > 1) {
    found.cross_validated_error = chosen->error;
    double apart = 0.0;
    for (std::size_t fold = 0; fold < data.folds; ++fold) {
      const std::vector<double> of_fold = detail::refined_normal_form(
          data, sums, sums.training(fold), columns, options, [&](std::size_t row) { return data.fold[row] != fold; });
      for (std::size_t row = 0; row < data.rows; ++row) {
        if (data.fold[row] != fold) continue;
        const double predicted = prediction(row, of_fold);
        const double size = std::abs(predicted) + std::abs(data.y[row]);
        if (size > 0.0) apart += 2.0 * std::abs(predicted - data.y[row]) / size;
      }
    }
    found.cross_validated_smape = apart / static_cast<double>(data.rows);
  }
  return found;
}

}  // namespace rafter
