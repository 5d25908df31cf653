// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "rafter/core/error.hpp"

namespace rafter {

/// Thrown for calls that make no sense (sizes that disagree, a negative penalty). Numerical trouble is not an
/// exception: it is `linear_solution::status`.
struct solver_error : error {
  using error::error;
};

/// How a linear fit went. Only `rank_deficient` and worse leave coefficients that the data do not determine.
enum class fit_status {
  ok,               ///< every coefficient determined to about 7 digits or better
  refined,          ///< nearly collinear columns; refined with a second pass over the rows
  rank_deficient,   ///< some columns depend on others: the minimum-norm solution, see `rank`
  ill_conditioned,  ///< nearly collinear columns and no second pass to refine with: few correct digits
  too_few_rows,     ///< fewer rows than free parameters (no residual degrees of freedom): no standard errors
  non_finite,       ///< the sums hold infinities or NaN: all coefficients are 0
  not_converged,    ///< an iteration (active set, singular values, refinement) stopped at its limit
};

constexpr std::string_view text_of(fit_status status) {
  switch (status) {
    case fit_status::ok:
      return "ok";
    case fit_status::refined:
      return "refined";
    case fit_status::rank_deficient:
      return "rank deficient";
    case fit_status::ill_conditioned:
      return "ill conditioned";
    case fit_status::too_few_rows:
      return "too few rows";
    case fit_status::non_finite:
      return "non-finite sums";
    case fit_status::not_converged:
      return "not converged";
  }
  return "unknown";
}

/// Which arithmetic gave the coefficients.
enum class solution_path {
  none,          ///< nothing was solved
  gram,          ///< Cholesky of the sums of products
  gram_refined,  ///< the same, corrected by residuals from a second pass
  qr,            ///< orthogonal factor of the rows themselves
  svd,           ///< singular values of that factor
  active_set,    ///< Lawson-Hanson
  extended,      ///< sums of products in double-double, refined
};

constexpr std::string_view text_of(solution_path path) {
  switch (path) {
    case solution_path::none:
      return "none";
    case solution_path::gram:
      return "gram";
    case solution_path::gram_refined:
      return "gram, refined";
    case solution_path::qr:
      return "qr";
    case solution_path::svd:
      return "svd";
    case solution_path::active_set:
      return "active set";
    case solution_path::extended:
      return "extended precision";
  }
  return "unknown";
}

/// A fitted linear model, in the units of the raw columns: prediction = intercept + Σ coefficients[j]·x[j].
struct linear_solution {
  std::vector<double> coefficients;  ///< p; 0 for constant columns
  double intercept = 0.0;            ///< see least_squares_options::standardise for fits without one
  /// p. From sigma²(XᵀX)⁻¹, for a penalty sigma² A⁻¹XᵀXA⁻¹ with A = XᵀX + penalty (the bias is not in it).
  /// Infinite where the data do not determine the coefficient or no degrees of freedom are left; never NaN.
  std::vector<double> standard_errors;
  double intercept_standard_error = std::numeric_limits<double>::infinity();
  std::vector<double> mean;       ///< p; (weighted) mean of each raw column
  std::vector<double> deviation;  ///< p; population deviation, 1 for a constant column
  double target_mean = 0.0;
  double alpha = 0.0;                         ///< the penalty that was used
  std::vector<std::size_t> constant_columns;  ///< ascending; columns without variation (fits that centre)
  std::vector<std::size_t> at_bound;          ///< ascending; coefficients held at 0 by a sign constraint
  std::size_t rows = 0;
  std::size_t rank = 0;  ///< of the (centred) columns, the intercept not counted
  fit_status status = fit_status::ok;
  solution_path path = solution_path::none;
  /// Smallest Cholesky pivot of the centred, penalised, unit-diagonal matrix (1: orthogonal columns; 0: dependent).
  /// The Gram's coefficients have about 14 + log10 of it correct digits.
  double smallest_pivot = 0.0;
  double residual_sum_of_squares = 0.0;
  double effective_parameters = 0.0;  ///< trace of the hat matrix, the intercept included
  double degrees_of_freedom = 0.0;    ///< rows − effective parameters, at least 0

  /// @param x  p values of one row
  double predict(const double* x) const {
    double sum = intercept;
    for (std::size_t j = 0; j < coefficients.size(); ++j) sum += coefficients[j] * x[j];
    return sum;
  }
  /// Coefficient of the column after (x − mean) / deviation.
  double standardised_coefficient(std::size_t j) const { return coefficients[j] * deviation[j]; }
  bool is_constant(std::size_t column) const {
    return std::binary_search(constant_columns.begin(), constant_columns.end(), column);
  }
};

/// Which arithmetic to use. `automatic` takes the QR of the rows at once where that costs microseconds
/// (least_squares_options::small_problem), and else follows the smallest pivot d: d ≥ 1e-7 Gram, d ≥ 1e-10 Gram with
/// refinement, below that QR of the rows. Without a second pass it is the Gram, and the status says so.
enum class least_squares_method { automatic, gram, qr, svd };

struct least_squares_options {
  /// rows · (columns + 1)² up to which `automatic` takes the QR: all digits, for less than a tenth of a millisecond.
  static constexpr std::size_t small_problem = 250'000;

  bool intercept = true;
  /// Penalise, and choose among equally good solutions by, the coefficients of (x − mean)/deviation (population
  /// deviation; 1 for a constant column) instead of the raw ones. Without an intercept the columns are still
  /// centred, the target is not: the model is then Σ b_j (x_j − mean_j)/deviation_j, and `intercept` is what that
  /// amounts to at x = 0.
  bool standardise = true;
  /// Penalty alpha·‖b‖² added to the sum (not the mean) of squares; the intercept is never penalised.
  double alpha = 0.0;
  least_squares_method method = least_squares_method::automatic;
  bool standard_errors = true;  ///< false saves O(p³) per fit in searches
};

namespace detail {
/// A reference to a callable; lives as long as the callable.
template <class Signature> class function_ref;
template <class Result, class... Arguments> class function_ref<Result(Arguments...)> {
 public:
  template <class Callable>
  requires(!std::is_same_v<std::remove_cvref_t<Callable>, function_ref>)
      function_ref(Callable&& callable)  // NOLINT: converts on purpose
      : object_(const_cast<void*>(static_cast<const void*>(std::addressof(callable)))),
        call_([](void* object, Arguments... arguments) -> Result {
          return (*static_cast<std::remove_reference_t<Callable>*>(object))(arguments...);
        }) {}
  Result operator()(Arguments... arguments) const { return call_(object_, arguments...); }

 private:
  void* object_;
  Result (*call_)(void*, Arguments...);
};
}  // namespace detail

/// A few consecutive rows of a design, in raw units.
struct design_block {
  std::size_t rows = 0;
  const double* x = nullptr;  ///< column-major: column j starts at x + j·stride
  std::size_t stride = 0;
  const double* y = nullptr;
  const double* weight = nullptr;  ///< null: all 1; else finite and >= 0
  const double* x_low = nullptr;   ///< null, or what the doubles of x lack (x + x_low is the value), same layout
  const double* y_low = nullptr;
};

/// The rows behind a fit, for solvers that need to see them again. Not a hot path.
///
/// A model implements `rows`, `columns` and `for_each_block`; blocks of a few hundred rows keep it in cache. Every
/// pass must visit the same rows in the same order.
class design {
 public:
  using block_visitor = detail::function_ref<void(const design_block&)>;

  virtual ~design() = default;
  virtual std::size_t rows() const = 0;
  virtual std::size_t columns() const = 0;
  virtual void for_each_block(block_visitor visit) const = 0;

  /// Copies all rows out. @param x  rows × columns, column-major; y, weight  rows (weight may be null)
  virtual void fill(double* x, double* y, double* weight) const {
    const std::size_t total = rows();
    std::size_t at = 0;
    for_each_block([&](const design_block& block) {
      for (std::size_t j = 0; j < columns(); ++j) {
        std::copy_n(block.x + j * block.stride, block.rows, x + j * total + at);
      }
      std::copy_n(block.y, block.rows, y + at);
      for (std::size_t i = 0; weight != nullptr && i < block.rows; ++i) {
        weight[at + i] = block.weight != nullptr ? block.weight[i] : 1.0;
      }
      at += block.rows;
    });
  }

  /// The refinement pass. With r = y − at_centre − Σ coefficients[j]·(x_j − centre[j]):
  /// gradient[j] = Σ w (x_j − centre[j]) r for j < p, gradient[p] = Σ w r. @returns Σ w r²
  virtual double gradient(const double* coefficients, double at_centre, const double* centre, double* out) const {
    const std::size_t p = columns();
    std::fill(out, out + p + 1, 0.0);
    double squares = 0.0;
    std::vector<double> residual;
    for_each_block([&](const design_block& block) {
      residual.assign(block.y, block.y + block.rows);
      for (std::size_t i = 0; i < block.rows; ++i) residual[i] -= at_centre;
      for (std::size_t j = 0; j < p; ++j) {
        const double* x = block.x + j * block.stride;
        for (std::size_t i = 0; i < block.rows; ++i) residual[i] -= coefficients[j] * (x[i] - centre[j]);
      }
      for (std::size_t i = 0; i < block.rows; ++i) {
        const double weight = block.weight != nullptr ? block.weight[i] : 1.0;
        squares += weight * residual[i] * residual[i];
        residual[i] *= weight;
        out[p] += residual[i];
      }
      for (std::size_t j = 0; j < p; ++j) {
        const double* x = block.x + j * block.stride;
        double sum = 0.0;
        for (std::size_t i = 0; i < block.rows; ++i) sum += (x[i] - centre[j]) * residual[i];
        out[j] += sum;
      }
    });
    return squares;
  }
};

/// A design over arrays that somebody else keeps alive. Nothing is copied.
class array_design final : public design {
 public:
  /// @param x  column-major, column j at x + j·stride (0: stride = rows)
  /// @param weight, x_low, y_low  as in design_block; may be null
  array_design(std::size_t rows, std::size_t columns, const double* x, const double* y,
               const double* weight = nullptr, std::size_t stride = 0, const double* x_low = nullptr,
               const double* y_low = nullptr)
      : rows_(rows), columns_(columns), all_{rows, x, stride == 0 ? rows : stride, y, weight, x_low, y_low} {}

  std::size_t rows() const override { return rows_; }
  std::size_t columns() const override { return columns_; }
  void for_each_block(block_visitor visit) const override {
    constexpr std::size_t size = 256;
    for (std::size_t at = 0; at < rows_; at += size) {
      design_block block = all_;
      block.rows = std::min(size, rows_ - at);
      if (block.x != nullptr) block.x += at;  // a design of no columns has none
      block.y += at;
      if (block.weight != nullptr) block.weight += at;
      if (block.x_low != nullptr) block.x_low += at;
      if (block.y_low != nullptr) block.y_low += at;
      visit(block);
    }
  }

 private:
  std::size_t rows_;
  std::size_t columns_;
  design_block all_;
};

/// The sums behind a linear fit of p columns: the Gram matrix of [1, x − shift, y − shift], all rows weighted.
///
/// Adds, subtracts and moves to another shift, so that the fits of all folds come from one pass over the rows.
/// Shift every column by one row of the data: a constant column's sums are then exactly zero.
struct normal_equations {
  std::size_t columns = 0;    ///< p
  std::size_t rows = 0;       ///< number of rows (not the sum of weights: that is gram[0])
  std::vector<double> gram;   ///< (p+2)², row-major
  std::vector<double> shift;  ///< p+1: the columns', then the target's
  /// p+2: the largest each diagonal entry has ever been, here or in what it was merged and subtracted from. What is
  /// smaller than its rounding errors is noise, not variation.
  std::vector<double> largest;

  normal_equations() = default;
  explicit normal_equations(std::size_t p) : normal_equations(std::vector<double>(p + 1, 0.0)) {}
  /// No rows yet. @param shift_  p+1 values
  explicit normal_equations(std::vector<double> shift_)
      : columns(shift_.size() - 1),
        gram((columns + 2) * (columns + 2), 0.0),
        shift(std::move(shift_)),
        largest(columns + 2, 0.0) {}

  /// From the moments of streamed tiles (anything with `columns` and `copy_to(double*)`).
  template <class Moments>
  static normal_equations from(const Moments& moments, std::vector<double> shift, std::size_t rows) {
    normal_equations made(std::move(shift));
    if (Moments::columns != made.size()) {
      throw solver_error("rafter: normal equations: moments of " + std::to_string(Moments::columns) +
                         " columns with a shift of " + std::to_string(made.shift.size()));
    }
    made.rows = rows;
    moments.copy_to(made.gram.data());
    made.note_largest();
    return made;
  }

  /// One pass over a design, shifted by its first row.
  static normal_equations of(const design& rows_of) {
    const std::size_t p = rows_of.columns();
    normal_equations made(p);
    const std::size_t size = made.size();
    bool first = true;
    std::vector<double> row(size);
    rows_of.for_each_block([&](const design_block& block) {
      for (std::size_t i = 0; i < block.rows; ++i) {
        if (first) {
          for (std::size_t j = 0; j < p; ++j) made.shift[j] = block.x[j * block.stride + i];
          made.shift[p] = block.y[i];
          first = false;
        }
        const double weight = block.weight != nullptr ? block.weight[i] : 1.0;
        row[0] = 1.0;
        for (std::size_t j = 0; j < p; ++j) row[j + 1] = block.x[j * block.stride + i] - made.shift[j];
        row[p + 1] = block.y[i] - made.shift[p];
        for (std::size_t a = 0; a < size; ++a) {
          const double scaled = weight * row[a];
          for (std::size_t b = a; b < size; ++b) made.gram[a * size + b] += scaled * row[b];
        }
      }
      made.rows += block.rows;
    });
    for (std::size_t a = 0; a < size; ++a) {
      for (std::size_t b = 0; b < a; ++b) made.gram[a * size + b] = made.gram[b * size + a];
    }
    made.note_largest();
    return made;
  }

  std::size_t size() const { return columns + 2; }
  double operator()(std::size_t i, std::size_t j) const { return gram[i * size() + j]; }
  double sum_of_weights() const { return gram.empty() ? 0.0 : gram[0]; }

  /// Adds the rows of `other`, moving its sums to this shift when they differ.
  normal_equations& operator+=(const normal_equations& other) { return combine(other, 1.0); }
  /// Takes the rows of `other` out. Where they held nearly all of a column's variation, what is left may be noise;
  /// solvers recognise that (`largest`) and look at the rows when they may.
  normal_equations& operator-=(const normal_equations& other) { return combine(other, -1.0); }
  friend normal_equations operator+(normal_equations a, const normal_equations& b) { return a += b; }
  friend normal_equations operator-(normal_equations a, const normal_equations& b) { return a -= b; }

  /// The same rows about another shift (p+1 values).
  void move_to(const std::vector<double>& to) {
    const std::size_t n = size();
    std::vector<double> by(n, 0.0);
    for (std::size_t j = 1; j < n; ++j) by[j] = to[j - 1] - shift[j - 1];
    const std::vector<double> sums(gram.begin(), gram.begin() + static_cast<std::ptrdiff_t>(n));
    const double weight = gram[0];
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) {
        if (i == 0 && j == 0) continue;
        gram[i * n + j] += by[i] * by[j] * weight - by[i] * sums[j] - by[j] * sums[i];
      }
    }
    shift = to;
    note_largest();
  }

 private:
  void note_largest() {
    for (std::size_t i = 0; i < size(); ++i) largest[i] = std::max(largest[i], std::abs(gram[i * size() + i]));
  }
  normal_equations& combine(const normal_equations& other, double sign) {
    if (other.columns != columns) {
      throw solver_error("rafter: normal equations: cannot combine " + std::to_string(columns) + " with " +
                         std::to_string(other.columns) + " columns");
    }
    if (other.shift != shift) {
      normal_equations moved = other;
      moved.move_to(shift);
      return combine(moved, sign);
    }
    for (std::size_t k = 0; k < gram.size(); ++k) gram[k] += sign * other.gram[k];
    rows = sign > 0.0 ? rows + other.rows : rows - std::min(rows, other.rows);
    for (std::size_t i = 0; i < size(); ++i) largest[i] = std::max(largest[i], other.largest[i]);
    note_largest();
    return *this;
  }
};

}  // namespace rafter
