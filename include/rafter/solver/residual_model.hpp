// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "rafter/solver/least_squares.hpp"
#include "rafter/solver/robust_loss.hpp"

namespace rafter {

namespace detail {
// Four doubles side by side; both compilers turn it into whatever vectors the target has.
typedef double four_doubles __attribute__((vector_size(4 * sizeof(double))));

// Σ x·y[k] for four columns at once, each in four partial sums of a fixed order: fast without reassociation by the
// compiler.
inline void sums_of_products(const double* x, const double* const* y, std::size_t n, double* out) {
  // By reference: a vector returned by value would warn about the ABI where the target has narrower ones.
  const auto load = [](four_doubles& to, const double* from) { std::memcpy(&to, from, sizeof to); };
  four_doubles s0{}, s1{}, s2{}, s3{}, at, y0, y1, y2, y3;
  std::size_t i = 0;
  for (; i + 4 <= n; i += 4) {
    load(at, x + i);
    load(y0, y[0] + i);
    load(y1, y[1] + i);
    load(y2, y[2] + i);
    load(y3, y[3] + i);
    s0 += at * y0;
    s1 += at * y1;
    s2 += at * y2;
    s3 += at * y3;
  }
  const four_doubles* const sums[] = {&s0, &s1, &s2, &s3};
  for (std::size_t k = 0; k < 4; ++k) {
    const four_doubles& s = *sums[k];
    out[k] = (s[0] + s[1]) + (s[2] + s[3]);
    for (std::size_t rest = i; rest < n; ++rest) out[k] += x[rest] * y[k][rest];
  }
}

// Adds the products of columns [J, r] to JᵀJ (lower triangle) and Jᵀr.
inline void add_products(const std::vector<const double*>& column, std::size_t rows, double* gradient,
                         double* hessian) {
  const std::size_t n = column.size() - 1;
  for (std::size_t j = 0; j < n; ++j) {
    for (std::size_t first = j; first <= n; first += 4) {
      const double* four[4];
      double sum[4];
      for (std::size_t k = 0; k < 4; ++k) four[k] = column[std::min(first + k, n)];
      sums_of_products(column[j], four, rows, sum);
      for (std::size_t k = 0; k < 4 && first + k <= n; ++k) {
        (first + k == n ? gradient[j] : hessian[(first + k) * n + j]) += sum[k];
      }
    }
  }
}
}  // namespace detail

/// A few consecutive rows of a nonlinear least-squares problem at one parameter vector.
struct residual_block {
  std::size_t rows = 0;
  const double* residual = nullptr;
  const double* jacobian = nullptr;  ///< column-major: the derivatives by parameter j start at jacobian + j·stride
  std::size_t stride = 0;
  const double* weight = nullptr;  ///< null: all 1; else finite and >= 0, multiplies the row's cost
  bool quadratic = false;          ///< no measurement but a prior: no loss applies
};

/// A nonlinear least-squares problem, cost(x) = ½ Σ w C² rho((r(x)/C)²), block by block.
///
/// A model implements `rows`, `parameters` and `for_each_block`; blocks of a few hundred rows keep it in cache. Every
/// pass at the same parameters must visit the same rows with the same values. One that forms the sums of products
/// itself, fused with its evaluation, overrides `accumulate`; one whose residuals cost less without derivatives
/// overrides `cost`. Residuals may be infinite or NaN: a solver then does not go there.
class residual_model {
 public:
  using block_visitor = detail::function_ref<void(const residual_block&)>;

  virtual ~residual_model() = default;
  virtual std::size_t rows() const = 0;
  /// Rows that measure something, those that count in the degrees of freedom; the others are 0 whatever the parameters.
  virtual std::size_t observations() const { return rows(); }
  virtual std::size_t parameters() const = 0;
  /// @param at  `parameters()` values
  virtual void for_each_block(const double* at, block_visitor visit) const = 0;

  /// Cost, gradient and Gauss-Newton Hessian JᵀJ of the loss-scaled rows in one pass, J never stored.
  /// @param cost  set, not added to
  /// @param gradient  n, set
  /// @param hessian  n × n, row-major, both triangles, set
  virtual void accumulate(const double* at, const robust_loss& loss, double& cost, double* gradient,
                          double* hessian) const {
    const std::size_t n = parameters();
    cost = 0.0;
    std::fill(gradient, gradient + n, 0.0);
    std::fill(hessian, hessian + n * n, 0.0);
    std::vector<double> scaled;
    std::vector<const double*> column(n + 1);
    // Rows that no loss and no weight scale are used where they are.
    const auto take = [&](const residual_block& block) {
      for (std::size_t j = 0; j < n; ++j) column[j] = block.jacobian + j * block.stride;
      column[n] = block.residual;
      detail::add_products(column, block.rows, gradient, hessian);
    };
    for_each_block(at, [&](const residual_block& block) {
      if (block.weight == nullptr && (loss.kind == loss_kind::linear || block.quadratic)) {
        cost += cost_of(block, loss);
        take(block);
        return;
      }
      scale_rows(block, loss, scaled, [&](const double* columns, std::size_t count, double added) {
        cost += added;
        take({count, columns + n * count, columns, count, nullptr});
      });
    });
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < i; ++j) hessian[j * n + i] = hessian[i * n + j];
    }
  }

  /// The cost alone.
  virtual double cost(const double* at, const robust_loss& loss) const {
    double sum = 0.0;
    for_each_block(at, [&](const residual_block& block) { sum += cost_of(block, loss); });
    return sum;
  }

  /// The rows as a least-squares problem: visits (columns, count, cost) with columns = [J, r] scaled by the loss and
  /// the weights, column-major with leading dimension count, at most 256 rows at a time. The visitor may destroy
  /// them.
  /// @param scaled  working space, kept between calls
  void for_each_scaled(const double* at, const robust_loss& loss, std::vector<double>& scaled,
                       detail::function_ref<void(double*, std::size_t, double)> visit) const {
    for_each_block(at, [&](const residual_block& block) { scale_rows(block, loss, scaled, visit); });
  }

 protected:
  static double cost_of(const residual_block& block, const robust_loss& asked) {
    const robust_loss loss = block.quadratic ? robust_loss{} : asked;
    double sum = 0.0;
    for (std::size_t i = 0; i < block.rows; ++i) {
      sum += (block.weight != nullptr ? block.weight[i] : 1.0) * loss(block.residual[i]).cost;
    }
    return sum;
  }

 private:
  void scale_rows(const residual_block& block, const robust_loss& asked, std::vector<double>& scaled,
                  detail::function_ref<void(double*, std::size_t, double)> visit) const {
    const robust_loss loss = block.quadratic ? robust_loss{} : asked;
    constexpr std::size_t size = 256;
    const std::size_t n = parameters();
    scaled.resize((n + 1) * size);
    double by[size];
    for (std::size_t first = 0; first < block.rows; first += size) {
      const std::size_t count = std::min(size, block.rows - first);
      double cost = 0.0;
      for (std::size_t i = 0; i < count; ++i) {
        const robust_loss::terms row = loss(block.residual[first + i]);
        const double weight = block.weight != nullptr ? block.weight[first + i] : 1.0;
        const double root = block.weight != nullptr ? std::sqrt(weight) : 1.0;
        cost += weight * row.cost;
        by[i] = root * row.jacobian;
        scaled[n * count + i] = root * row.residual * block.residual[first + i];
      }
      for (std::size_t j = 0; j < n; ++j) {
        const double* column = block.jacobian + j * block.stride + first;
        for (std::size_t i = 0; i < count; ++i) scaled[j * count + i] = by[i] * column[i];
      }
      visit(scaled.data(), count, cost);
    }
  }
};

/// Central differences, each with the step that balances truncation against rounding: ∛ε · max(|x_j|, scale).
/// @param jacobian  rows × n, column-major, set
/// @param lower, upper  n or null; steps stay within them (one-sided, of second order, next to a bound)
inline void numerical_jacobian(const std::function<void(const double* at, double* residual)>& residual,
                               std::size_t rows, std::size_t n, const double* at, double* jacobian,
                               const double* lower = nullptr, const double* upper = nullptr) {
  const double relative = std::cbrt(std::numeric_limits<double>::epsilon());
  std::vector<double> x(at, at + n), first(rows), second(rows), here;
  for (std::size_t j = 0; j < n; ++j) {
    double step = relative * (at[j] != 0.0 ? std::abs(at[j]) : 1.0);
    const double below = lower != nullptr ? at[j] - lower[j] : std::numeric_limits<double>::infinity();
    const double above = upper != nullptr ? upper[j] - at[j] : std::numeric_limits<double>::infinity();
    const auto sample = [&](double offset, std::vector<double>& out) {
      x[j] = at[j] + offset;
      residual(x.data(), out.data());
      const double taken = x[j] - at[j];
      x[j] = at[j];
      return taken;
    };
    if (std::min(below, above) >= step) {
      const double up = sample(step, first);
      const double down = sample(-step, second);
      for (std::size_t i = 0; i < rows; ++i) jacobian[j * rows + i] = (first[i] - second[i]) / (up - down);
      continue;
    }
    // The parabola through three points on the roomier side.
    step = std::min(step, 0.5 * std::max(below, above));
    if (here.empty()) {
      here.resize(rows);
      residual(at, here.data());
    }
    const double sign = above >= below ? 1.0 : -1.0;
    const double a = sample(sign * step, first);
    const double b = sample(2.0 * sign * step, second);
    for (std::size_t i = 0; i < rows; ++i) {
      const double slope_a = (first[i] - here[i]) / a;
      const double slope_b = (second[i] - here[i]) / b;
      jacobian[j * rows + i] = step > 0.0 ? slope_a + (slope_a - slope_b) * a / (b - a) : 0.0;
    }
  }
}

/// A residual model from two functions over whole arrays, for tests and for models that fit in memory. Not a hot
/// path.
class array_residuals final : public residual_model {
 public:
  using function = std::function<void(const double* at, double* out)>;

  /// @param residual  fills `rows` values
  /// @param jacobian  fills rows × parameters, column-major; empty: central differences
  array_residuals(std::size_t rows, std::size_t parameters, function residual, function jacobian = {})
      : rows_(rows), parameters_(parameters), residual_(std::move(residual)), jacobian_(std::move(jacobian)) {
    if (!residual_) throw solver_error("rafter: array_residuals: no residual function");
  }

  std::size_t rows() const override { return rows_; }
  std::size_t parameters() const override { return parameters_; }
  void for_each_block(const double* at, block_visitor visit) const override {
    std::vector<double> residual(rows_), jacobian(rows_ * parameters_);
    residual_(at, residual.data());
    if (jacobian_) {
      jacobian_(at, jacobian.data());
    } else {
      numerical_jacobian(residual_, rows_, parameters_, at, jacobian.data());
    }
    visit({rows_, residual.data(), jacobian.data(), rows_, nullptr});
  }
  double cost(const double* at, const robust_loss& loss) const override {
    std::vector<double> residual(rows_);
    residual_(at, residual.data());
    return cost_of({rows_, residual.data(), nullptr, 0, nullptr}, loss);
  }

 private:
  std::size_t rows_;
  std::size_t parameters_;
  function residual_;
  function jacobian_;
};

/// Where a model's derivatives differ most from central differences of its own residuals.
struct jacobian_check {
  double worst = 0.0;  ///< |derivative − difference| / (column's largest |derivative| or |difference|)
  std::size_t row = 0;
  std::size_t parameter = 0;
  double derivative = 0.0;
  double difference = 0.0;
};

/// About 1e-9 for a smooth model with right derivatives; kinks and noise make it larger.
/// @param lower, upper  n or null
inline jacobian_check check_jacobian(const residual_model& model, const double* at, const double* lower = nullptr,
                                     const double* upper = nullptr) {
  const std::size_t m = model.rows();
  const std::size_t n = model.parameters();
  const auto residual = [&](const double* x, double* out) {
    model.for_each_block(x, [&](const residual_block& block) { out = std::copy_n(block.residual, block.rows, out); });
  };
  std::vector<double> numerical(m * n), given(m * n);
  numerical_jacobian(residual, m, n, at, numerical.data(), lower, upper);
  std::size_t first = 0;
  model.for_each_block(at, [&](const residual_block& block) {
    for (std::size_t j = 0; j < n; ++j) {
      std::copy_n(block.jacobian + j * block.stride, block.rows, given.data() + j * m + first);
    }
    first += block.rows;
  });
  jacobian_check found;
  for (std::size_t j = 0; j < n; ++j) {
    double largest = 0.0;
    for (std::size_t i = 0; i < m; ++i) {
      largest = std::max({largest, std::abs(given[j * m + i]), std::abs(numerical[j * m + i])});
    }
    for (std::size_t i = 0; i < m && largest > 0.0; ++i) {
      const double off = std::abs(given[j * m + i] - numerical[j * m + i]) / largest;
      if (!(off <= found.worst)) found = {off, i, j, given[j * m + i], numerical[j * m + i]};
    }
  }
  return found;
}

}  // namespace rafter
