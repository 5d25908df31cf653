// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "rafter/estimator/estimator.hpp"
#include "rafter/estimator/fitted_parameters.hpp"
#include "rafter/estimator/objective.hpp"
#include "rafter/expression/availability.hpp"
#include "rafter/solver/identifiability.hpp"
#include "rafter/solver/minimizer.hpp"
#include "rafter/solver/moments.hpp"
#include "rafter/solver/solve_least_squares.hpp"
#include "rafter/solver/trust_region.hpp"
#include "rafter/step/columns.hpp"
#include "rafter/units/quantity.hpp"

namespace rafter {

namespace detail {

// -- what an objective asks of a model ----------------------------------------------------------------------------

template <class Objective, class Model> constexpr auto residuals_of() {
  if constexpr (requires { Objective::residuals(Model{}, selected_target); }) {
    return Objective::residuals(Model{}, selected_target);
  } else {
    return expression_list<std::remove_cvref_t<decltype(Objective::residual(Model{}, selected_target))>>{};
  }
}
template <class Objective> constexpr auto weight_of() {
  if constexpr (requires { Objective::weight(); }) {
    return Objective::weight();
  } else {
    return constant<1, 0>{};
  }
}
template <class Objective> constexpr robust_loss loss_of() {
  if constexpr (requires { Objective::loss; }) {
    return Objective::loss;
  } else {
    return {};
  }
}
template <class Objective> inline constexpr bool weights_rows = requires { Objective::weight(); };
template <class Objective> inline constexpr bool balances = requires { Objective::balanced_axis; };
template <class Objective> inline constexpr bool measures_parts = requires { typename Objective::measured_parts; };

/// All that a nonlinear fit lowers together.
template <class Model, class Objective> struct nonlinear_form {
  using residuals = decltype(residuals_of<Objective, Model>());
  using weight = std::remove_cvref_t<decltype(weight_of<Objective>())>;

  template <class Binding, class... Rs> static auto plan_of(expression_list<Rs...>) {
    return std::type_identity<gradient_plan<Binding, static_cast<int>(sizeof...(Rs)), Rs..., weight, Model>>{};
  }
  /// Outputs: the residuals, the weight, the model itself, the residuals' derivatives: one plan to fit and to predict.
  template <class Binding> using plan_for = typename decltype(plan_of<Binding>(residuals{}))::type;

  template <class... Rs> static constexpr std::size_t count(expression_list<Rs...>) { return sizeof...(Rs); }
  static constexpr std::size_t residual_count = count(residuals{});
  template <class... Rs> static constexpr bool all_linear(expression_list<Rs...>) {
    return (linear_in_parameters<Rs> && ...);
  }
  /// Then the fit is a linear least-squares problem.
  static constexpr bool linear = all_linear(residuals{}) && loss_of<Objective>().kind == loss_kind::linear;

  template <class Binding, class... Rs> static constexpr std::string_view missing(expression_list<Rs...>) {
    return first_name(missing_in<Rs, Binding>..., missing_in<weight, Binding>, missing_in<Model, Binding>);
  }
};

template <bool AsFitted, class Form, class Binding, class Model> struct plan_to_predict {
  using type = plan<Binding, Model>;
};
template <class Form, class Binding, class Model> struct plan_to_predict<true, Form, Binding, Model> {
  using type = typename Form::template plan_for<Binding>;
};

/// The parameters of a form, in the order of first mention in its residuals.
template <class Model, class Objective>
inline constexpr auto parameters_of_form =
    nonlinear_form<Model, Objective>::template plan_for<as_written>::tape.parameters;

constexpr bool known_axes(std::span<const parameter_fact> facts) {
  for (const parameter_fact& one : facts) {
    if (!one.axis.empty() && !find_group(one.axis)) return false;
  }
  return true;
}

// -- residuals and derivatives, streamed from columns -------------------------------------------------------------

/// The residuals of a model on rows of a dataset: packs of rows go through one plan for value and derivatives into a
/// tile and from there into the sums of products. Parameters of one label enter only the sums of its rows, and
/// these small sums are added up in their places: per-label parameters cost no more than global ones.
template <class Model, class Objective, class Schema> class nonlinear_rows final : public residual_model {
  using form = nonlinear_form<Model, Objective>;
  using plan_type = typename form::template plan_for<dataset_binding<Schema>>;
  using evaluation = column_evaluation<plan_type, Schema>;
  using slots_type = typename evaluation::slot_array;
  static constexpr std::size_t residuals = form::residual_count;
  static constexpr std::size_t parameters_named = plan_type::parameters;
  /// Parameters that are not held, by their number in the plan.
  static constexpr std::size_t free = [] {
    std::size_t count = 0;
    for (const parameter_fact& one : plan_type::tape.parameters) count += !one.fixed();
    return count;
  }();
  static constexpr std::array<std::size_t, free> free_parameters = [] {
    std::array<std::size_t, free> found{};
    std::size_t n = 0;
    for (std::size_t k = 0; k < parameters_named; ++k) {
      if (!plan_type::tape.parameters[k].fixed()) found[n++] = k;
    }
    return found;
  }();
  /// Where in the tile the derivative by plan parameter k goes; `free` for held ones.
  static constexpr std::array<std::size_t, parameters_named> tile_column = [] {
    std::array<std::size_t, parameters_named> column{};
    column.fill(free);
    for (std::size_t k = 0; k < free; ++k) column[free_parameters[k]] = k;
    return column;
  }();

 public:
  static constexpr bool weighted = weights_rows<Objective>;

  RAFTER_COLD nonlinear_rows(const dataset<Schema>& data, const row_set& rows, const parameter_layout& layout)
      : data_(data), layout_(layout), evaluation_(data, rows), rows_(rows.size()) {
    if (rows.empty()) throw fit_error("no rows to fit on");
    std::vector<group> axes = layout.axes();
    if constexpr (balances<Objective>) axes.push_back(Objective::balanced_axis);
    cells_ = label_cells(data, rows, axes);
    if constexpr (balances<Objective>) {
      const group_column& labels = data.groups(Objective::balanced_axis);
      std::vector<std::size_t> count(labels.count());
      rows.for_each([&](std::size_t row) { ++count[labels.code(row)]; });
      const auto present =
          static_cast<double>(std::count_if(count.begin(), count.end(), [](std::size_t n) { return n > 0; }));
      for (label_cell& cell : cells_) {
        cell.weight = static_cast<double>(rows.size()) /
                      (present * static_cast<double>(count[labels.code(cell.rows.ranges().front().begin)]));
      }
    }
    for (label_cell& cell : cells_) cell.places = layout.places(data, cell.rows.ranges().front().begin);
    if constexpr (measures_parts<Objective>) {
      unmeasured_ = rows_without(data, rows, typename Objective::measured_parts{});
    }
    if constexpr (weighted) unmeasured_ += residuals * rows_without_weight(data, rows);
  }

  std::size_t rows() const override { return residuals * rows_ + layout_.prior_rows(); }
  std::size_t observations() const override { return rows() - unmeasured_; }
  std::size_t parameters() const override { return layout_.size(); }

  RAFTER_HOT void accumulate(const double* at, const robust_loss& loss, double& cost, double* gradient,
                             double* hessian) const override {
    const std::size_t n = parameters();
    cost = 0.0;
    std::fill(gradient, gradient + n, 0.0);
    std::fill(hessian, hessian + n * n, 0.0);
    for (const label_cell& cell : cells_) {
      sums current;
      double beyond = 0.0;
      stream(cell, at, current, loss, beyond);
      std::array<double, width * width> gram;
      current.copy_to(gram.data());
      cost += cell.weight * (loss.kind == loss_kind::linear ? 0.5 * gram[width * width - 1] : beyond);
      for (std::size_t i = 0; i < free; ++i) {
        const std::size_t to = cell.places[free_parameters[i]];
        gradient[to] += cell.weight * gram[i * width + free];
        for (std::size_t j = 0; j < free; ++j) {
          hessian[to * n + cell.places[free_parameters[j]]] += cell.weight * gram[i * width + j];
        }
      }
    }
    layout_.for_each_prior(at, [&](double residual, std::span<const prior_slope> slopes) {
      cost += 0.5 * residual * residual;
      for (const prior_slope& a : slopes) {
        gradient[a.parameter] += a.slope * residual;
        for (const prior_slope& b : slopes) hessian[a.parameter * n + b.parameter] += a.slope * b.slope;
      }
    });
  }

  RAFTER_HOT void for_each_block(const double* at, block_visitor visit) const override {
    constexpr std::size_t height = 256;
    constexpr std::size_t stride = height + pack_width;
    const std::size_t n = parameters();
    std::vector<double> jacobian(n * stride), residual(stride), weight(stride);
    for (const label_cell& cell : cells_) {
      std::fill(jacobian.begin(), jacobian.end(), 0.0);
      const std::array<double, parameters_named> values = local(cell, at);
      reduce(cell, values);
      evaluation_.for_each_run(
          cell.rows,
          [&](const slots_type& slots, row_range range) {
            for (std::size_t from = range.begin; from < range.end; from += height) {
              const std::size_t count = std::min(height, range.end - from);
              for (std::size_t which = 0; which < residuals; ++which) {
                for (std::size_t i = 0; i < count; i += pack_width) {
                  alignas(64) double tile[residuals * sums::tile_stride];
                  alignas(64) double weights[pack_width]{};
                  evaluate_pack(slots, from + i, tile, weights);
                  const double* of = tile + which * sums::tile_stride;
                  std::copy_n(of + free * pack_width, pack_width, residual.data() + i);
                  for (std::size_t lane = 0; lane < pack_width; ++lane) {
                    weight[i + lane] = cell.weight * (weighted ? weights[lane] : 1.0);
                  }
                  for (std::size_t k = 0; k < free; ++k) {
                    std::copy_n(of + k * pack_width, pack_width,
                                jacobian.data() + cell.places[free_parameters[k]] * stride + i);
                  }
                }
                visit(residual_block{.rows = count,
                                     .residual = residual.data(),
                                     .jacobian = jacobian.data(),
                                     .stride = stride,
                                     .weight = weighted || cell.weight != 1.0 ? weight.data() : nullptr});
              }
            }
          },
          values.data());
    }
    std::fill(jacobian.begin(), jacobian.end(), 0.0);
    layout_.for_each_prior(at, [&](double value, std::span<const prior_slope> slopes) {
      for (const prior_slope& one : slopes) jacobian[one.parameter * stride] = one.slope;
      visit(residual_block{.rows = 1,
                           .residual = &value,
                           .jacobian = jacobian.data(),
                           .stride = stride,
                           .weight = nullptr,
                           .quadratic = true});
      for (const prior_slope& one : slopes) jacobian[one.parameter * stride] = 0.0;
    });
  }

  /// @throws fit_error naming the first row whose residual or derivative is not finite at these parameters, or whose
  /// weight is negative
  RAFTER_COLD void refuse_non_finite(const double* at) const {
    for (const label_cell& cell : cells_) {
      const std::array<double, parameters_named> values = local(cell, at);
      reduce(cell, values);
      evaluation_.for_each_run(
          cell.rows,
          [&](const slots_type& slots, row_range range) {
            for (std::size_t row = range.begin; row < range.end; ++row) {
              alignas(64) double tile[residuals * sums::tile_stride];
              alignas(64) double weights[pack_width] = {1.0};
              evaluate_pack(slots, row, tile, weights);
              for (std::size_t k = 0; k < residuals * width + 1; ++k) {
                const bool of_weight = k == residuals * width;
                const std::size_t column = (k + free) % width;  // the residual first: its derivatives follow it
                const double value = of_weight ? weights[0] : tile[(k / width * width + column) * pack_width];
                if (std::isfinite(value) && !(of_weight && value < 0.0)) continue;
                std::string what = of_weight ? "the weight" : "the residual";
                if (!of_weight && column < free) {
                  what = "the derivative by '" +
                         std::string(plan_type::tape.parameters[free_parameters[column]].name) + "'";
                }
                throw fit_error(what + " is " +
                                (std::isnan(value)   ? "not a number"
                                 : std::isinf(value) ? "infinite"
                                                     : "negative") +
                                " at the start on row " + std::to_string(row) + " (" + data_.source() + ":" +
                                std::to_string(data_.line(row)) + ")" +
                                (data_.idle(row) ? "; the row has no tokens" : ""));
              }
            }
          },
          values.data());
    }
  }

  /// Why plan parameter k has no effect: its term is 0 by definition; nothing but conditions reads it; the observables,
  /// among those that its derivative reads, that are 0 on every training row; or a branch never taken.
  RAFTER_COLD std::string why_dead(std::size_t k) const {
    std::vector<bool> reads(plan_type::size), zero(plan_type::size);
    for (std::size_t i = 0; i < plan_type::size; ++i) {  // what is 0 whatever the row
      const instruction& one = plan_type::tape.code[i];
      const auto is_zero = [&](int operand) { return operand >= 0 && zero[static_cast<std::size_t>(operand)]; };
      using enum operation;
      zero[i] = (one.op == constant && one.value == 0.0) ||
                (one.op == multiply && (is_zero(one.a) || is_zero(one.b))) ||
                ((one.op == divide || one.op == negate || one.op == square_root || is_reduction(one.op)) &&
                 is_zero(one.a)) ||
                ((one.op == add || one.op == subtract || one.op == maximum || one.op == minimum) && is_zero(one.a) &&
                 is_zero(one.b)) ||
                (one.op == select && is_zero(one.b) && is_zero(one.c));
    }
    bool by_definition = true;
    std::vector<int> open;
    for (std::size_t which = 0; which < residuals; ++which) {
      open.push_back(plan_type::tape.outputs[residuals + 2 + which * parameters_named + k]);
      by_definition = by_definition && zero[static_cast<std::size_t>(open.back())];
    }
    if (by_definition) {
      std::vector<int> from(plan_type::tape.outputs.begin(), plan_type::tape.outputs.begin() + residuals);
      std::vector<bool> seen(plan_type::size);
      while (!from.empty()) {
        const auto i = static_cast<std::size_t>(from.back());
        from.pop_back();
        if (seen[i] || zero[i]) continue;
        seen[i] = true;
        const instruction& one = plan_type::tape.code[i];
        if (one.op == operation::parameter && static_cast<std::size_t>(one.leaf) == k) {
          return "only conditions or ceil read it, so it has no derivative; fit it by a method without derivatives";
        }
        for (const int operand : {one.a, one.b, one.c}) {
          if (operand >= 0) from.push_back(operand);
        }
      }
      return "its term of the model is 0 whatever the step";
    }
    while (!open.empty()) {
      const auto i = static_cast<std::size_t>(open.back());
      open.pop_back();
      if (reads[i]) continue;
      reads[i] = true;
      const instruction& one = plan_type::tape.code[i];
      for (const int operand : {one.a, one.b, one.c}) {
        if (operand >= 0) open.push_back(operand);
      }
    }
    std::string zeros;
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      const int order[] = {0, (name_if_zero<I>(reads, zeros), 0)...};  // a fold has at most 256 parts in clang
      (void)order;
    }
    (std::make_index_sequence<plan_type::size>{});
    if (!zeros.empty()) return zeros + " 0 on every training row";
    return "the branch of a max, min or select that reads it is never taken";
  }

 private:
  static constexpr std::size_t width = free + 1;
  using sums = moments<width>;
  static constexpr std::size_t tile_packs =
      std::max<std::size_t>(residuals, std::size_t{16384} / (sums::tile_stride * sizeof(double)));

  template <std::size_t K> RAFTER_ALWAYS_INLINE static pack scaled(pack value) {
    if constexpr (requires { Objective::root_weights; }) {
      if constexpr (K > 0) return value * Objective::root_weights[K];
    }
    return value;
  }
  static std::array<double, parameters_named> local(const label_cell& cell, const double* at) {
    std::array<double, parameters_named> values{};
    for (std::size_t k = 0; k < parameters_named; ++k) {
      const parameter_fact& fact = plan_type::tape.parameters[k];
      values[k] = fact.fixed() ? fact.start : at[cell.places[k]];
    }
    return values;
  }
  void reduce(const label_cell& cell, const std::array<double, parameters_named>& values) const {
    if constexpr (plan_type::tape.parametric_reductions) evaluation_.reduce(cell.rows, values.data());
  }

  static constexpr std::size_t parameters_or_one = parameters_named > 0 ? parameters_named : 1;

  void stream(const label_cell& cell, const double* at, sums& current, const robust_loss& loss,
              double& beyond) const {
    const std::array<double, parameters_named> values = local(cell, at);
    reduce(cell, values);
    alignas(64) double tile[tile_packs * sums::tile_stride];
    std::size_t packs = 0;
    evaluation_.for_each_run(
        cell.rows,
        [&](const slots_type& slots, row_range range) {
          for (std::size_t row = range.begin; row < range.end; row += pack_width) {
            fill(tile + packs * sums::tile_stride, slots, row, range.end, loss, beyond);
            packs += residuals;
            if (packs + residuals > tile_packs) {
              current.accumulate(tile, packs);
              packs = 0;
            }
          }
        },
        values.data());
    if (packs > 0) current.accumulate(tile, packs);
  }

  /// One pack of rows: for each residual a tile row [derivatives, residual], and the weights where rows have any. The
  /// one place where the plan becomes code.
  RAFTER_HOT void evaluate_pack(const slots_type& slots, std::size_t row, double* to, double* weights) const {
    evaluation_.template rows<pack>(slots, row, [&](auto index, pack value) RAFTER_INLINE_LAMBDA {
      constexpr std::size_t k = static_cast<std::size_t>(decltype(index)::value);
      if constexpr (k < residuals) {
        store(to + k * sums::tile_stride + free * pack_width, scaled<k>(value));
      } else if constexpr (k == residuals) {
        if constexpr (weighted) store(weights, value);
      } else if constexpr (k > residuals + 1) {
        constexpr std::size_t which = (k - residuals - 2) / parameters_or_one;
        constexpr std::size_t column = tile_column[(k - residuals - 2) % parameters_or_one];
        if constexpr (column < free) {
          store(to + which * sums::tile_stride + column * pack_width, scaled<which>(value));
        }
      }
    });
  }
  RAFTER_ALWAYS_INLINE void fill(double* to, const slots_type& slots, std::size_t row, std::size_t end,
                                 const robust_loss& loss, double& beyond) const {
    alignas(64) double weights[pack_width]{};
    evaluate_pack(slots, row, to, weights);
    const std::size_t count = std::min(pack_width, end - row);
    if (weighted || loss.kind != loss_kind::linear) weigh(to, weights, count, loss, beyond);
    if (count < pack_width) [[unlikely]] {  // lanes of other rows, or of padding
      for (std::size_t column = 0; column < residuals * width; ++column) {
        for (std::size_t lane = count; lane < pack_width; ++lane) to[column * pack_width + lane] = 0.0;
      }
    }
  }
  RAFTER_HOT static void weigh(double* to, const double* weight, std::size_t count, const robust_loss& loss,
                               double& beyond) {
    for (std::size_t which = 0; which < residuals; ++which, to += sums::tile_stride) {
      double* residual = to + free * pack_width;
      for (std::size_t lane = 0; lane < count; ++lane) {
        const robust_loss::terms terms = loss(residual[lane]);
        const double root = weighted ? rafter::sqrt(weight[lane]) : 1.0;
        beyond += (weighted ? weight[lane] : 1.0) * terms.cost;
        residual[lane] *= root * terms.residual;
        for (std::size_t column = 0; column < free; ++column) to[column * pack_width + lane] *= root * terms.jacobian;
      }
    }
  }

  /// How many values of these measured parts there are not.
  /// Rows of weight 0. @throws fit_error naming the first row whose weight is negative or not finite
  RAFTER_COLD static std::size_t rows_without_weight(const dataset<Schema>& data, const row_set& rows) {
    const column_evaluation<plan<dataset_binding<Schema>, typename form::weight>, Schema> weights(data, rows);
    std::size_t count = 0;
    weights.for_each_run(rows, [&](const auto& slots, row_range range) {
      for (std::size_t row = range.begin; row < range.end; ++row) {
        double weight = 0.0;
        weights.template rows<pack>(slots, row, [&](auto, pack value) { weight = value[0]; });
        count += weight == 0.0;
        if (weight >= 0.0 && std::isfinite(weight)) continue;
        throw fit_error(std::string("the weight is ") +
                        (std::isnan(weight)   ? "not a number"
                         : std::isinf(weight) ? "infinite"
                                              : "negative") +
                        " on " + place_of_row(data, row));
      }
    });
    return count;
  }
  template <class... Parts>
  RAFTER_COLD static std::size_t rows_without(const dataset<Schema>& data, const row_set& rows,
                                              expression_list<Parts...>) {
    using parts_plan = plan<dataset_binding<Schema>, Parts...>;
    const column_evaluation<parts_plan, Schema> parts(data, rows);
    std::size_t count = 0;
    parts.for_each_run(rows, [&](const auto& slots, row_range range) {
      for (std::size_t row = range.begin; row < range.end; ++row) {
        parts.template rows<pack>(slots, row, [&](auto, pack value) { count += !(value[0] > 0.0); });
      }
    });
    return count;
  }

  template <std::size_t I> void name_if_zero(const std::vector<bool>& reads, std::string& zeros) const {
    constexpr const instruction& one = plan_type::tape.code[I];
    if constexpr (one.op == operation::leaf && one.varies == level::step) {
      constexpr const auto& leaf_of = plan_type::tape.leaves[static_cast<std::size_t>(one.leaf)];
      if (!reads[I]) return;
      const auto column = data_.column(leaf_of.reader.column);
      bool all_zero = true;
      for (const label_cell& cell : cells_) {
        for (const row_range& range : cell.rows.ranges()) {
          for (std::size_t row = range.begin; row < range.end; ++row) all_zero = all_zero && column[row] == 0.0;
        }
      }
      if (all_zero) zeros += (zeros.empty() ? "" : ", ") + std::string(leaf_of.fact.name);
    }
  }

  const dataset<Schema>& data_;
  const parameter_layout& layout_;
  mutable evaluation evaluation_;  // what reductions gave at the parameters at hand
  std::size_t rows_;
  std::size_t unmeasured_ = 0;  // residuals of parts that were not measured
  std::vector<label_cell> cells_;
};

/// A residual model that is linear in its parameters, as a linear least-squares problem for the step from `start`.
class linearised final : public design {
 public:
  linearised(const residual_model& model, const std::vector<double>& start) : model_(model), start_(start) {}
  std::size_t rows() const override { return model_.rows(); }
  std::size_t columns() const override { return model_.parameters(); }
  void for_each_block(block_visitor visit) const override {
    std::vector<double> negative;
    model_.for_each_block(start_.data(), [&](const residual_block& block) {
      negative.assign(block.residual, block.residual + block.rows);
      for (double& value : negative) value = -value;
      visit(design_block{.rows = block.rows,
                         .x = block.jacobian,
                         .stride = block.stride,
                         .y = negative.data(),
                         .weight = block.weight});
    });
  }

 private:
  const residual_model& model_;
  const std::vector<double>& start_;
};

/// Solves the linear problem and clips the solution to the bounds: where nothing was clipped the minimum itself.
RAFTER_COLD inline std::vector<double> linear_start(const residual_model& model, const std::vector<double>& start,
                                                    const parameter_bounds& bounds) {
  const linearised rows(model, start);
  normal_equations equations(std::vector<double>(start.size() + 1, 0.0));
  std::vector<double> from = start;
  double cost = 0.0;
  const std::size_t n = start.size();
  std::vector<double> gradient(n), hessian(n * n);
  model.accumulate(start.data(), {}, cost, gradient.data(), hessian.data());
  const std::size_t size = n + 2;
  equations.gram[0] = static_cast<double>(model.rows());
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) equations.gram[(i + 1) * size + j + 1] = hessian[i * n + j];
    equations.gram[(i + 1) * size + size - 1] = equations.gram[(size - 1) * size + i + 1] = -gradient[i];
  }
  equations.gram[size * size - 1] = 2.0 * cost;
  equations.rows = model.rows();
  for (std::size_t i = 0; i < size; ++i) equations.largest[i] = std::abs(equations(i, i));
  const linear_solution solved =
      solve_least_squares(equations, &rows, {.intercept = false, .standardise = false, .standard_errors = false});
  if (solved.coefficients.size() != n || solved.status == fit_status::non_finite) return start;
  for (std::size_t j = 0; j < n; ++j) {
    from[j] = std::clamp(start[j] + solved.coefficients[j], bounds.low(j), bounds.high(j));
    if (!std::isfinite(from[j])) return start;
  }
  return from;
}

/// Parameters without effect at the solution stand where the search left them: back to their start, unless the cost minds.
RAFTER_COLD inline void put_back_dead(nonlinear_solution& solution, const identifiability& known,
                                      const std::vector<double>& start, const residual_model& model,
                                      const robust_loss& loss) {
  if (known.dead.empty()) return;
  std::vector<double> moved = solution.parameters;
  for (const std::size_t dead : known.dead) moved[dead] = start[dead];
  if (moved != solution.parameters && model.cost(moved.data(), loss) <= solution.cost * (1.0 + 1e-12)) {
    solution.parameters = std::move(moved);
    for (const std::size_t dead : known.dead) {
      if (dead < solution.active_mask.size()) solution.active_mask[dead] = 0;
    }
  }
}

/// Gives a minimizer the objective's loss.
template <class Minimizer> constexpr bool takes_loss() {
  return requires(Minimizer m) { m.loss; }
  || requires(Minimizer m) { m.method.loss; };
}
template <class Minimizer> Minimizer with_loss(Minimizer method, const robust_loss& loss) {
  if constexpr (requires { method.loss; }) {
    method.loss = loss;
  } else if constexpr (requires { method.method.loss; }) {
    method.method.loss = loss;
  }
  return method;
}

}  // namespace detail

/// A fitted parametric model bound to one deployment (and to the labels of its groups) for records of one type. Holds
/// numbers only; predicts without allocating; the same bits as the predictor's column evaluation.
template <class Model, class Deployment, class Record> class bound_nonlinear {
  using run = detail::executor<plan<detail::record_binding<Deployment, Record>, Model>>;

 public:
  /// @param parameters  one value for each parameter of the model, in the order of its plan
  bound_nonlinear(const double* parameters, const Deployment& deployment) {
    run::bind(slots_.data(), deployment, parameters);
  }
  seconds operator()(const Record& record) const {
    double time = 0.0;
    run::step(slots_.data(), record, [&](auto, double value) RAFTER_INLINE_LAMBDA { time = value; });
    return seconds{time};
  }

 private:
  typename run::slot_array slots_{};
};

/// A fitted parametric model.
template <class Model, class Objective> class nonlinear_predictor {
 public:
  nonlinear_predictor(parameter_layout layout, nonlinear_solution solution, identifiability known, std::size_t rows,
                      std::vector<std::string> reasons)
      : layout_(std::move(layout)),
        solution_(std::move(solution)),
        identifiability_(std::move(known)),
        rows_(rows),
        reasons_(std::move(reasons)) {}

  /// Everything that the solver said; its parameters are in the order of `parameters()`.
  const nonlinear_solution& solution() const { return solution_; }
  const rafter::identifiability& identifiability() const { return identifiability_; }
  const parameter_layout& layout() const { return layout_; }

  /// The fitted (and held) parameters with names, units, values, standard errors and what is to be said of each.
  std::vector<fitted_parameter> parameters() const {
    return fitted_parameters(layout_, solution_, identifiability_, reasons_);
  }
  /// The value of one fitted parameter; of one with a value per label, `"factor[llama-2-7b]"`.
  /// @throws fit_error when there is none of that name
  double parameter(std::string_view name) const { return solution_.parameters[layout_.find(name)]; }
  /// What a reader of the fit should know: dead parameters, combinations that nothing determines, parameters at bounds.
  std::vector<std::string> findings() const {
    return identifiability_findings(layout_, solution_, identifiability_, reasons_);
  }

  fit_summary summary() const {
    const bool healthy = solution_.converged();
    std::string status(text_of(solution_.status));
    if (!identifiability_.known) {
      status += "; identifiability not known";
    } else if (identifiability_.identifiable < identifiability_.parameters) {
      status += "; " + std::to_string(identifiability_.identifiable) + " of " +
                std::to_string(identifiability_.parameters) + " parameters identifiable";
    }
    if (!identifiability_.at_bound.empty()) {
      status += "; " + std::to_string(identifiability_.at_bound.size()) + " at a bound";
    }
    return {.rows = rows_,
            .parameters = identifiability_.parameters,
            .identifiable = identifiability_.identifiable,
            .healthy = healthy,
            .status = status};
  }

  /// Predicts rows of a dataset [s]. @param out  rows.size() values
  /// @throws fit_error naming a label that nothing was fitted for
  template <class Schema>
  RAFTER_HOT void predict(const dataset<Schema>& data, const row_set& rows, std::span<double> out) const {
    using binding = detail::dataset_binding<Schema>;
    if (rows.empty()) return;
    using form = detail::nonlinear_form<Model, Objective>;
    // The plan of the fit, unless these rows lack what only the objective reads.
    constexpr bool as_fitted = form::template missing<binding>(typename form::residuals{}).empty();
    using plan_type = typename detail::plan_to_predict<as_fitted, form, binding, Model>::type;
    constexpr std::size_t model_output = as_fitted ? form::residual_count + 1 : 0;
    column_evaluation<plan_type, Schema> evaluation(data, rows);
    const std::vector<label_cell> cells = label_cells(data, rows, layout_.axes());
    std::vector<std::size_t> place;  // of a row among those asked for, when cells interleave
    if (cells.size() > 1) {
      place.resize(data.size());
      std::size_t at = 0;
      rows.for_each([&](std::size_t row) { place[row] = at++; });
    }
    std::size_t next = 0;
    for (const label_cell& cell : cells) {
      const auto values = values_for<plan_type>(layout_.places(data, cell.rows.ranges().front().begin));
      if constexpr (plan_type::tape.parametric_reductions) evaluation.reduce(cell.rows, values.data());
      evaluation.for_each_run(
          cell.rows,
          [&](const auto& slots, row_range range) {
            if (cells.size() > 1) next = place[range.begin];
            for (std::size_t row = range.begin; row < range.end; row += pack_width) {
              pack value{};
              evaluation.template rows<pack>(slots, row, [&](auto index, pack computed) RAFTER_INLINE_LAMBDA {
                if constexpr (static_cast<std::size_t>(decltype(index)::value) == model_output) value = computed;
              });
              const std::size_t count = std::min(pack_width, range.end - row);
              for (std::size_t lane = 0; lane < count; ++lane) out[next++] = value[lane];
            }
          },
          values.data());
    }
  }

  /// Everything that depends on the deployment and the parameters computed once; the result predicts records of type
  /// `Record`. @param labels  the deployment's label on each axis that parameters are fitted per, in the order of
  /// `layout().axes()`; an unseen one gets the common value of pooled parameters
  /// @throws fit_error naming a label that nothing was fitted for
  template <class Record, class Deployment>
  auto bind(const Deployment& deployment, const std::vector<std::string>& labels = {}) const {
    using binding = detail::record_binding<Deployment, Record>;
    constexpr std::string_view missing = detail::first_missing<Model, binding>();
    if constexpr (!missing.empty()) {
      binding::template refuse<detail::name_constant<detail::missing_name<Model, binding>>, "the model">();
    } else {
      const auto values = values_for<plan<binding, Model>>(layout_.places_of(labels));
      return bound_nonlinear<Model, Deployment, Record>(values.data(), deployment);
    }
  }
  /// One step of one deployment.
  template <class Record, class Deployment>
  seconds predict(const Record& record, const Deployment& deployment) const {
    return bind<Record>(deployment)(record);
  }

 private:
  /// The parameters of a plan of the model, which may mention fewer than were fitted.
  template <class Plan> auto values_for(const std::vector<std::size_t>& places) const {
    constexpr const auto& facts = Plan::tape.parameters;
    std::array<double, facts.size() + 1> values{};
    for (std::size_t k = 0; k < facts.size(); ++k) {
      constexpr const auto& all = detail::parameters_of_form<Model, Objective>;
      std::size_t at = 0;
      while (all[at].name != facts[k].name) ++at;
      values[k] = facts[k].fixed() ? facts[k].start : solution_.parameters[places[at]];
    }
    return values;
  }

  parameter_layout layout_;
  nonlinear_solution solution_;
  rafter::identifiability identifiability_;
  std::size_t rows_;
  std::vector<std::string> reasons_;  // why each dead parameter is dead, in the order of identifiability_.dead
};

/// The least-squares problem behind a fit, for those who solve it their own way. Refers to the data that it was made
/// of.
template <class Model, class Objective, class Schema> class nonlinear_problem {
 public:
  RAFTER_COLD nonlinear_problem(std::span<const parameter_fact> facts, const dataset<Schema>& data,
                                const row_set& rows)
      : layout_(facts, data, rows), model_(data, rows, layout_) {}
  nonlinear_problem(const nonlinear_problem&) = delete;
  nonlinear_problem& operator=(const nonlinear_problem&) = delete;

  const residual_model& model() const { return model_; }
  /// Names, start and bounds of what a minimizer moves.
  const parameter_layout& layout() const { return layout_; }
  static constexpr robust_loss loss() { return detail::loss_of<Objective>(); }

 private:
  parameter_layout layout_;
  detail::nonlinear_rows<Model, Objective, Schema> model_;
};

/// A parametric model: any expression in seconds that mentions parameters, fitted under an objective by a minimizer.
///
///   using roofline9 = nonlinear<step_time, objective::log_ratio, trust_region>;
///
/// Bounds, starts and priors live in the parameters; derivatives come from the expression. A model whose residuals are
/// linear in the parameters is solved as a linear problem; the minimizer then only has to see to bounds.
template <auto Model, class Objective = objective::log_ratio, class Minimizer = trust_region> struct nonlinear {
  using model_type = std::remove_cvref_t<decltype(Model)>;
  using objective_type = Objective;
  static_assert(model_type::dimension_v == units::second, "rafter: a step-time model is an expression in seconds");
  static_assert(detail::first_observed_after<model_type>().empty(),
                "rafter: a step-time model reads an observable that is known only after the step");
  static_assert(model_type::level_v != level::request,
                "rafter: a step-time model is one number per step; reduce this per-request expression with sum, "
                "mean, max, ...");
  static_assert(parametric<model_type>,
                "rafter: this model has no parameter to fit; analytical_model<...> evaluates it as it is");
  static_assert(minimizer<Minimizer>, "rafter: the third argument of nonlinear<...> is a minimizer");
  static_assert(detail::loss_of<Objective>().kind == loss_kind::linear || detail::takes_loss<Minimizer>(),
                "rafter: this minimizer takes no robust loss");
  /// The parameters of the model and of what the objective adds, in the order of first mention. A function, so that who
  /// only names the estimator does not wait for its derivatives.
  static constexpr std::span<const parameter_fact> facts() {
    static_assert(detail::known_axes(detail::parameters_of_form<model_type, Objective>),
                  "rafter: per_label<...> names an axis that datasets do not have; see rafter::group");
    return detail::parameters_of_form<model_type, Objective>;
  }

  static std::string name() {
    std::size_t fitted = 0;
    for (const parameter_fact& one : facts()) fitted += !one.fixed();
    std::string text = std::to_string(fitted) + (fitted == 1 ? " parameter" : " parameters");
    for (std::size_t axis = 0; axis < group_axes; ++axis) {
      const std::string_view label = name_of(static_cast<group>(axis));
      std::size_t alone = 0, pooled = 0;
      for (const parameter_fact& one : facts()) {
        if (one.axis != label || one.fixed()) continue;
        ++(one.pooling > 0.0 ? pooled : alone);
      }
      const auto tell = [&](std::size_t count, const char* how) {
        if (count > 0) text += ", " + std::to_string(count) + " of them per " + std::string(label) + how;
      };
      tell(alone, "");
      tell(pooled, ", pooled");
    }
    text += ", " + std::string(Objective::name);
    if constexpr (requires { Objective::root_weights; }) {
      text += " with " + std::to_string(Objective::root_weights.size() - 1) + " measured parts";
    }
    if constexpr (detail::balances<Objective>)
      text += ", each " + std::string(name_of(Objective::balanced_axis)) + " alike";
    if constexpr (detail::weights_rows<Objective>) text += ", weighted";
    return text + ", " + (linear_problem() ? "linear least squares" : method().name());
  }
  static constexpr std::string_view reads_identity(group axis) {
    return detail::first_identity_of<model_type>(name_of(axis));
  }
  static constexpr bool fitted_per(group axis) {
    for (const parameter_fact& one : facts()) {
      if (one.axis == name_of(axis) && one.pooling == 0.0 && !one.fixed()) return true;
    }
    return false;
  }
  template <class Schema> static constexpr std::string_view missing_on() {
    using form = detail::nonlinear_form<model_type, Objective>;
    return form::template missing<detail::dataset_binding<Schema>>(typename form::residuals{});
  }

  /// @throws fit_error on no rows, or a row on which the model is not finite (or, for a log ratio, not positive) at the
  ///         start
  template <class Schema> RAFTER_COLD static auto fit(const dataset<Schema>& data, const row_set& rows) {
    using binding = detail::dataset_binding<Schema>;
    if constexpr (!missing_on<Schema>().empty()) {
      binding::template refuse<detail::name_constant<missing_name<Schema>>, "the model or its objective">();
    } else {
      parameter_layout layout(facts(), data, rows);
      const detail::nonlinear_rows<model_type, Objective, Schema> model(data, rows, layout);
      const parameter_bounds bounds = layout.bounds();
      std::vector<double> start = layout.start();
      if constexpr (linear_problem()) start = detail::linear_start(model, start, bounds);
      nonlinear_solution solution = method().minimize(model, start, bounds);
      if (solution.status == minimum_status::non_finite_start) model.refuse_non_finite(start.data());
      rafter::identifiability known = identify(solution, bounds, model.rows());
      detail::put_back_dead(solution, known, layout.start(), model, detail::loss_of<Objective>());
      std::vector<std::string> reasons;
      for (const std::size_t dead : known.dead) reasons.push_back(model.why_dead(layout.fact_of(dead)));
      return nonlinear_predictor<model_type, Objective>(std::move(layout), std::move(solution), std::move(known),
                                                        rows.size(), std::move(reasons));
    }
  }

  /// What `fit` minimises, and with what. @throws fit_error on no rows
  template <class Schema> RAFTER_COLD static auto problem(const dataset<Schema>& data, const row_set& rows) {
    return nonlinear_problem<model_type, Objective, Schema>(facts(), data, rows);
  }
  static Minimizer method() { return detail::with_loss(Minimizer{}, detail::loss_of<Objective>()); }

 private:
  /// Residuals are linear in all parameters, those of priors and pooling too: these may act on logarithms.
  static constexpr bool linear_problem() {
    if (!detail::nonlinear_form<model_type, Objective>::linear) return false;
    for (const parameter_fact& one : facts()) {
      if (!one.fixed() && one.by_logarithm() && (one.prior_weight > 0.0 || one.pooling > 0.0)) return false;
    }
    return true;
  }
  template <class Schema> struct missing_name { static constexpr std::string_view value = missing_on<Schema>(); };
};

}  // namespace rafter
