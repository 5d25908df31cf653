// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "rafter/estimator/estimator.hpp"
#include "rafter/estimator/objective.hpp"
#include "rafter/feature/feature_set.hpp"
#include "rafter/solver/linear_solver.hpp"
#include "rafter/solver/moments.hpp"
#include "rafter/step/columns.hpp"
#include "rafter/units/quantity.hpp"

namespace rafter {

namespace detail {

/// One plan for fitting and for predicting rows of a dataset: the features, what predictions are relative to, the label
/// and the root of the row's weight. Whoever does not take an output does not pay for it.
template <class Features, class Objective, class Schema>
using linear_plan =
    typename Features::template plan_with<dataset_binding<Schema>, std::remove_cvref_t<decltype(Objective::base())>,
                                          std::remove_cvref_t<decltype(Objective::label(target_t{}))>,
                                          std::remove_cvref_t<decltype(Objective::root_weight(target_t{}))>>;

/// Is output k of the plan the same for all steps of a deployment?
template <class Plan> constexpr bool uniform_output(std::size_t k) {
  return Plan::tape.code[static_cast<std::size_t>(Plan::tape.outputs[k])].varies <= level::deployment;
}

/// What a linear fit needs of its rows, streamed from columns through one plan: features, label, root of the weight.
/// The feature matrix is never formed: packs of rows go through a tile of a few kilobytes into sums of products.
template <class Features, class Objective, class Schema> class linear_rows final : public design {
  using plan_type = linear_plan<Features, Objective, Schema>;
  using evaluation = column_evaluation<plan_type, Schema>;
  using run = typename evaluation::run;
  using slots_type = typename evaluation::slot_array;

 public:
  static constexpr std::size_t features = Features::size;

  /// A feature that is the same for all steps of a deployment never enters a tile.
  static constexpr bool uniform(std::size_t k) { return uniform_output<plan_type>(k); }
  static constexpr std::size_t varying = [] {
    std::size_t count = 0;
    for (std::size_t k = 0; k < features; ++k) count += !uniform(k);
    return count;
  }();
  /// Where feature k stands in the tile, or among the uniform features.
  static constexpr std::size_t place(std::size_t k) {
    std::size_t before = 0;
    for (std::size_t j = 0; j < k; ++j) before += uniform(j) == uniform(k);
    return before;
  }

  RAFTER_COLD linear_rows(const dataset<Schema>& data, row_set rows)
      : data_(data), rows_(std::move(rows)), evaluation_(data, rows_) {
    if (rows_.empty()) throw fit_error("no rows to fit on");
    shift_.resize(features + 1);
    const row_set first = row_set::of({rows_.ranges().front().begin});
    alignas(64) double values[outputs * pack_width];
    evaluation_.for_each_run(first, [&](const slots_type& slots, row_range range) {
      evaluate_pack(slots, range.begin, values);
      for (std::size_t k = 0; k < features; ++k) shift_[k] = values[k * pack_width];
      shift_[features] = values[label * pack_width];
    });
    for (double& value : shift_) {
      if (!std::isfinite(value)) value = 0.0;  // found and named by refuse_non_finite
    }
  }

  const row_set& all_rows() const { return rows_; }

  /// Sums of products of the given rows, which must be among this design's.
  RAFTER_HOT normal_equations equations(const row_set& of) const {
    normal_equations total(shift_);
    std::array<double, features> constants{};
    sums current;
    std::size_t deployment = no_deployment;
    std::size_t pending = 0;
    alignas(64) double tile[tile_packs * sums::tile_stride];
    const auto flush = [&] {
      if (pending == 0) return;
      add(total, current, constants, pending);
      pending = 0;
    };
    evaluation_.for_each_run(of, [&](const slots_type& slots, row_range range, std::size_t in) {
      if (in != deployment) {
        flush();
        if (deployment != no_deployment) current.reset();
        deployment = in;
        constants = uniform_values(slots);
      }
      pending += range.size();
      std::size_t packs = 0;
      for (std::size_t row = range.begin; row < range.end; row += pack_width) {
        fill_pack(tile + packs * sums::tile_stride, slots, row, range.end);
        if (++packs == tile_packs) {
          current.accumulate(tile, packs);
          packs = 0;
        }
      }
      if (packs > 0) current.accumulate(tile, packs);
    });
    flush();
    total.largest = largest_of(total);
    return total;
  }

  /// @throws fit_error naming the first feature and row whose value is not a finite number
  RAFTER_COLD void refuse_non_finite(const normal_equations& sums_of, const row_set& of) const {
    if (std::all_of(sums_of.gram.begin(), sums_of.gram.end(), [](double v) { return std::isfinite(v); })) return;
    alignas(64) double values[outputs * pack_width];
    evaluation_.for_each_run(of, [&](const slots_type& slots, row_range range) {
      for (std::size_t row = range.begin; row < range.end; ++row) {
        evaluate_pack(slots, row, values);
        for (std::size_t k = 0; k < outputs; ++k) {
          const double value = values[k * pack_width];
          if (k == features || std::isfinite(value)) continue;
          const std::string what = k < features ? "feature '" + std::string(Features::names[k]) + "'"
                                                : "the label of target '" + std::string(data_.target_name()) + "'";
          throw fit_error(what + " is " + (std::isnan(value) ? "not a number" : "infinite") + " on " +
                          place_of_row(data_, row));
        }
      }
    });
  }

  // As a design: the second pass of a solver that needs to see the rows.
  std::size_t rows() const override { return rows_.size(); }
  std::size_t columns() const override { return features; }
  void for_each_block(block_visitor visit) const override { for_each_block(rows_, visit); }
  RAFTER_HOT void for_each_block(const row_set& of, block_visitor visit) const {
    constexpr std::size_t height = 256;
    std::vector<double> x(features * (height + pack_width));
    std::vector<double> y(height + pack_width);
    std::vector<double> weight(Objective::weighted ? height + pack_width : 0);
    constexpr std::size_t stride = height + pack_width;
    alignas(64) double values[outputs * pack_width];
    evaluation_.for_each_run(of, [&](const slots_type& slots, row_range range) {
      for (std::size_t at = range.begin; at < range.end; at += height) {
        const std::size_t count = std::min(height, range.end - at);
        for (std::size_t i = 0; i < count; i += pack_width) {
          evaluate_pack(slots, at + i, values);
          for (std::size_t k = 0; k < features; ++k) {
            std::copy_n(values + k * pack_width, pack_width, x.data() + k * stride + i);
          }
          std::copy_n(values + label * pack_width, pack_width, y.data() + i);
          for (std::size_t lane = 0; Objective::weighted && lane < pack_width; ++lane) {
            weight[i + lane] = values[root_weight * pack_width + lane] * values[root_weight * pack_width + lane];
          }
        }
        visit(design_block{.rows = count,
                           .x = x.data(),
                           .stride = stride,
                           .y = y.data(),
                           .weight = Objective::weighted ? weight.data() : nullptr});
      }
    });
  }

 private:
  using sums = moments<varying + 2>;
  static constexpr std::size_t no_deployment = static_cast<std::size_t>(-1);
  /// About 16 KB of tile: it stays in the first-level cache beside the columns that feed it.
  static constexpr std::size_t tile_packs =
      std::max<std::size_t>(1, std::size_t{16384} / (sums::tile_stride * sizeof(double)));

  static std::array<double, features> uniform_values(const slots_type& slots) {
    std::array<double, features> values{};
    [&]<std::size_t... K>(std::index_sequence<K...>) {
      ((values[K] = uniform(K)                                                 ? run::template operand < double,
        uniform(K) ? plan_type::tape.outputs[K] : -1 > (slots.data(), nullptr) : 0.0),
       ...);
    }
    (std::make_index_sequence<features>{});
    return values;
  }

  // Outputs of the plan after the features.
  static constexpr std::size_t label = features + 1;
  static constexpr std::size_t root_weight = features + 2;
  static constexpr std::size_t outputs = features + 3;

  /// All outputs of one pack of rows, [output][lane]: off the hot path, compiled once.
  RAFTER_HOT void evaluate_pack(const slots_type& slots, std::size_t row, double* to) const {
    evaluation_.template rows<pack>(slots, row, [&](auto index, pack value) RAFTER_INLINE_LAMBDA {
      store(to + static_cast<std::size_t>(decltype(index)::value) * pack_width, value);
    });
  }

  RAFTER_ALWAYS_INLINE void fill_pack(double* to, const slots_type& slots, std::size_t row, std::size_t end) const {
    pack values[outputs];
    evaluation_.template rows<pack>(slots, row, [&](auto index, pack value) RAFTER_INLINE_LAMBDA {
      values[static_cast<std::size_t>(decltype(index)::value)] = value;
    });
    const pack weight = Objective::weighted ? values[root_weight] : broadcast<pack>(1.0);
    store(to, weight);
    [&]<std::size_t... K>(std::index_sequence<K...>) RAFTER_INLINE_LAMBDA {
      const auto put = [&](auto index) RAFTER_INLINE_LAMBDA {
        constexpr std::size_t k = decltype(index)::value;
        if constexpr (k == features || !uniform(k < features ? k : 0)) {
          const pack shifted = values[k == features ? label : k] - shift_[k];
          constexpr std::size_t at = k == features ? varying + 1 : 1 + place(k < features ? k : 0);
          store(to + at * pack_width, Objective::weighted ? shifted * weight : shifted);
        }
      };
      (put(std::integral_constant<std::size_t, K>{}), ...);
    }
    (std::make_index_sequence<features + 1>{});
    if (row + pack_width > end) [[unlikely]] {  // lanes of other rows, or of padding
      for (std::size_t column = 0; column < varying + 2; ++column) {
        for (std::size_t lane = end - row; lane < pack_width; ++lane) to[column * pack_width + lane] = 0.0;
      }
    }
  }

  /// Adds one deployment's sums to the whole: a uniform feature's products follow from the column of ones.
  void add(normal_equations& total, const sums& of, const std::array<double, features>& constants,
           std::size_t rows_added) const {
    constexpr std::size_t small = varying + 2;
    constexpr std::size_t size = features + 2;
    std::array<double, small * small> gram;
    of.copy_to(gram.data());
    // Column j of the whole is factor[j] times column from[j] of the small matrix.
    std::array<std::size_t, size> from{};
    std::array<double, size> factor;
    factor.fill(1.0);
    from[size - 1] = small - 1;
    for (std::size_t k = 0; k < features; ++k) {
      if (uniform(k)) {
        factor[k + 1] = constants[k] - shift_[k];
      } else {
        from[k + 1] = 1 + place_[k];
      }
    }
    for (std::size_t i = 0; i < size; ++i) {
      for (std::size_t j = 0; j < size; ++j) {
        total.gram[i * size + j] += factor[i] * factor[j] * gram[from[i] * small + from[j]];
      }
    }
    total.rows += rows_added;
  }
  static std::vector<double> largest_of(const normal_equations& sums_of) {
    std::vector<double> largest(sums_of.size());
    for (std::size_t i = 0; i < largest.size(); ++i) largest[i] = std::abs(sums_of(i, i));
    return largest;
  }

  static constexpr std::array<std::size_t, features> place_ = [] {
    std::array<std::size_t, features> places{};
    for (std::size_t k = 0; k < features; ++k) places[k] = place(k);
    return places;
  }();

  const dataset<Schema>& data_;
  row_set rows_;
  evaluation evaluation_;
  std::vector<double> shift_;
};

/// What in the features, or in the base that predictions are relative to, identifies groups of an axis.
template <class Features, class Objective> constexpr std::string_view identity_read_by(group axis) {
  const std::string_view of_features = Features::identity_feature(name_of(axis));
  return of_features.empty() ? first_identity_of<std::remove_cvref_t<decltype(Objective::base())>>(name_of(axis))
                             : of_features;
}

/// Can a record or schema feed the features and the base that the objective's predictions are relative to?
template <class Features, class Objective, class Binding> struct linear_needs {
  using base_type = std::remove_cvref_t<decltype(Objective::base())>;
  /// The first observable that is lacking, or an empty view.
  static constexpr std::string_view missing() {
    const std::string_view of_features = Features::template missing_on<Binding>();
    return of_features.empty() ? first_missing<base_type, Binding>() : of_features;
  }
  static constexpr void require() {
    if constexpr (!Features::template missing_on<Binding>().empty()) {
      Features::template require_on<Binding>();
    } else if constexpr (!first_missing<base_type, Binding>().empty()) {
      Binding::template refuse<name_constant<missing_name<base_type, Binding>>, "the base of the objective">();
    }
  }
};

/// The rows of one fold of a wider design.
template <class Rows> class fold_rows final : public design {
 public:
  fold_rows(const Rows& all, const row_set& rows) : all_(all), rows_(rows) {}
  std::size_t rows() const override { return rows_.size(); }
  std::size_t columns() const override { return all_.columns(); }
  void for_each_block(block_visitor visit) const override { all_.for_each_block(rows_, visit); }

 private:
  const Rows& all_;
  const row_set& rows_;
};

}  // namespace detail

template <auto Features, linear_solver Solver, class Objective> struct linear;

/// A linear predictor bound to one deployment and to a type of step records: what depends on the deployment alone is
/// folded into the intercept. Predicts without allocating; the same bits as the predictor's column evaluation.
template <class Features, class Objective, class Deployment, class Record> class bound_linear {
  using binding = detail::record_binding<Deployment, Record>;
  using plan_type = typename Features::template plan_with<binding, std::remove_cvref_t<decltype(Objective::base())>>;
  using run = detail::executor<plan_type>;

 public:
  bound_linear(const std::array<double, Features::size>& coefficients, double intercept, const Deployment& deployment)
      : coefficients_(coefficients), offset_(intercept) {
    run::bind(slots_.data(), deployment);
    [&]<std::size_t... K>(std::index_sequence<K...>) {
      ((uniform(K) ? void(offset_ += coefficients_[K] * run::template operand < double,
                          uniform(K) ? plan_type::tape.outputs[K] : -1 > (slots_.data(), nullptr))
                   : void()),
       ...);
    }
    (std::make_index_sequence<Features::size>{});
  }

  seconds operator()(const Record& record) const {
    double partial[4] = {0.0, 0.0, 0.0, 0.0};
    double base = 1.0;
    run::step(slots_.data(), record, [&](auto index, double value) RAFTER_INLINE_LAMBDA {
      constexpr std::size_t k = static_cast<std::size_t>(decltype(index)::value);
      if constexpr (k == Features::size) {
        base = value;
      } else if constexpr (!uniform(k)) {
        partial[k % 4] += coefficients_[k] * value;
      }
    });
    return seconds{Objective::predict(offset_ + ((partial[0] + partial[1]) + (partial[2] + partial[3])), base)};
  }

 private:
  static constexpr bool uniform(std::size_t k) { return detail::uniform_output<plan_type>(k); }

  std::array<double, Features::size> coefficients_;
  double offset_;
  typename run::slot_array slots_{};
};

/// A fitted linear model over a feature set.
template <class Features, class Objective> class linear_predictor {
 public:
  /// @param choice  what the fit chose by itself (a penalty), in words; may be empty
  linear_predictor(linear_solution solution, bool has_intercept, std::string choice = {})
      : solution_(std::move(solution)), has_intercept_(has_intercept), choice_(std::move(choice)) {
    std::copy_n(solution_.coefficients.begin(), Features::size, coefficients_.begin());
  }

  /// Coefficients in raw units with standard errors, rank, status, path: everything that the solver said.
  const linear_solution& solution() const { return solution_; }
  bool has_intercept() const { return has_intercept_; }
  static constexpr const auto& feature_names() { return Features::names; }

  fit_summary summary() const {
    const std::size_t intercepts = has_intercept_ ? 1 : 0;
    return {.rows = solution_.rows,
            .parameters = Features::size + intercepts,
            .identifiable = solution_.rank + intercepts,
            .healthy = solution_.status == fit_status::ok || solution_.status == fit_status::refined,
            .status = std::string(text_of(solution_.status)) + (choice_.empty() ? "" : "; " + choice_)};
  }

  /// Predicts rows of a dataset [s]; the features are not stored. @param out  rows.size() values
  template <class Schema>
  RAFTER_HOT void predict(const dataset<Schema>& data, const row_set& rows, std::span<double> out) const {
    using binding = detail::dataset_binding<Schema>;
    using needs = detail::linear_needs<Features, Objective, binding>;
    needs::require();
    if constexpr (needs::missing().empty()) {
      using plan_type = detail::linear_plan<Features, Objective, Schema>;
      const column_evaluation<plan_type, Schema> evaluation(data, rows);
      std::size_t at = 0;
      evaluation.for_each_run(rows, [&](const auto& slots, row_range range) {
        using run = detail::executor<plan_type>;
        double offset = solution_.intercept;
        [&]<std::size_t... K>(std::index_sequence<K...>) {
          ((uniform<plan_type>(K)
                ? void(offset += coefficients_[K] * run::template operand < double,
                       uniform<plan_type>(K) ? plan_type::tape.outputs[K] : -1 > (slots.data(), nullptr))
                : void()),
           ...);
        }
        (std::make_index_sequence<Features::size>{});
        for (std::size_t row = range.begin; row < range.end; row += pack_width) {
          pack partial[4] = {pack{}, pack{}, pack{}, pack{}};
          pack base = broadcast<pack>(1.0);
          evaluation.template rows<pack>(slots, row, [&](auto index, pack value) RAFTER_INLINE_LAMBDA {
            constexpr std::size_t k = static_cast<std::size_t>(decltype(index)::value);
            if constexpr (k == Features::size) {
              base = value;
            } else if constexpr (k < Features::size && !uniform<plan_type>(k)) {
              partial[k % 4] = partial[k % 4] + coefficients_[k] * value;
            }
          });
          const pack sum = offset + ((partial[0] + partial[1]) + (partial[2] + partial[3]));
          const pack predicted = Objective::predict(sum, base);
          const std::size_t count = std::min(pack_width, range.end - row);
          for (std::size_t lane = 0; lane < count; ++lane) out[at++] = predicted[lane];
        }
      });
    }
  }

  /// Everything that depends on the deployment computed once; the result predicts records of type `Record`.
  template <class Record, class Deployment> auto bind(const Deployment& deployment) const {
    using binding = detail::record_binding<Deployment, Record>;
    using needs = detail::linear_needs<Features, Objective, binding>;
    needs::require();
    if constexpr (needs::missing().empty()) {
      return bound_linear<Features, Objective, Deployment, Record>(coefficients_, solution_.intercept, deployment);
    }
  }
  /// One step of one deployment.
  template <class Record, class Deployment>
  seconds predict(const Record& record, const Deployment& deployment) const {
    return bind<Record>(deployment)(record);
  }

 private:
  template <class Plan> static constexpr bool uniform(std::size_t k) { return detail::uniform_output<Plan>(k); }

  linear_solution solution_;
  std::array<double, Features::size> coefficients_{};
  bool has_intercept_;
  std::string choice_;
};

/// A linear model: target = intercept + Σ coefficient · feature (or its logarithm, or relative to a base: see
/// `Objective`), fitted by `Solver` from sums of products that are streamed from the columns.
///
///   using ridge30 = linear<catalog::study30, ridge<1>>;
template <auto Features, linear_solver Solver, class Objective = objective::squared> struct linear {
  using features = typename std::remove_cvref_t<decltype(Features)>::set_type;
  using objective_type = Objective;
  static_assert(
      !objective::detail::beyond_linear<Objective>,
      "rafter: robust, weighted, balanced and stacked objectives are for nonlinear<model, objective>, whose "
      "model may well be linear in its parameters");

  static std::string name() {
    std::string text = Solver{}.name() + " on " + std::to_string(features::size) + " features";
    if (Objective::name != objective::squared::name) text += ", " + std::string(Objective::name);
    return text;
  }
  static constexpr std::string_view reads_identity(group axis) {
    return detail::identity_read_by<features, Objective>(axis);
  }
  static constexpr bool fitted_per(group) { return false; }
  /// The first observable that a schema lacks for this estimator, or an empty view.
  template <class Schema> static constexpr std::string_view missing_on() {
    return detail::linear_needs<features, Objective, detail::dataset_binding<Schema>>::missing();
  }

  /// @throws fit_error on no rows, or a feature that is not a finite number (named, with the row)
  template <class Schema> RAFTER_COLD static auto fit(const dataset<Schema>& data, const row_set& rows) {
    require<Schema>();
    if constexpr (missing_on<Schema>().empty()) {
      const detail::linear_rows<features, Objective, Schema> all(data, rows);
      const normal_equations equations = all.equations(rows);
      all.refuse_non_finite(equations, rows);
      return solve(equations, all);
    }
  }

  /// One fit per set of training rows, from one pass over the data where the sets allow it: when what each set leaves
  /// out is disjoint from what the others leave out, every fit's sums are the sum of the others' parts. Parts are
  /// added, never subtracted, so no digits are lost to a part that dominates.
  template <class Schema>
  RAFTER_COLD static auto fit_each(const dataset<Schema>& data, const std::vector<row_set>& trainings) {
    require<Schema>();
    if constexpr (missing_on<Schema>().empty()) {
      using predictor = linear_predictor<features, Objective>;
      std::vector<predictor> fitted;
      fitted.reserve(trainings.size());
      row_set any;
      for (const row_set& rows : trainings) any = any | rows;
      std::vector<row_set> left_out;
      row_set seen;
      bool disjoint = trainings.size() > 2;
      for (const row_set& rows : trainings) {
        left_out.push_back(any & rows.complement(data.size()));
        disjoint = disjoint && !rows.empty() && (seen & left_out.back()).empty();
        seen = seen | left_out.back();
      }
      if (!disjoint) {
        for (const row_set& rows : trainings) fitted.push_back(fit(data, rows));
        return fitted;
      }
      const detail::linear_rows<features, Objective, Schema> all(data, any);
      // Each set's sums are those of all parts but its own, plus what all sets share. Blocks of about √n parts: sums of
      // the blocks before and after, then of the parts before and after within the block.
      const std::size_t count = trainings.size();
      std::size_t height = 1;
      while (height * height < count) ++height;
      const std::size_t blocks = (count + height - 1) / height;
      std::vector<normal_equations> part(count);
      std::vector<normal_equations> of_block(blocks + 1);  // later: of this block and all after it
      of_block[blocks] = all.equations(any & seen.complement(data.size()));
      for (std::size_t b = 0; b < blocks; ++b) {
        for (std::size_t i = b * height; i < std::min(count, (b + 1) * height); ++i) {
          part[i] = all.equations(left_out[i]);
          i == b* height ? void(of_block[b] = part[i]) : void(of_block[b] += part[i]);
        }
      }
      std::vector<normal_equations> block = of_block;
      for (std::size_t b = blocks; b-- > 0;) of_block[b] += of_block[b + 1];
      normal_equations before(of_block[blocks].shift);
      std::vector<normal_equations> after(height + 1);
      for (std::size_t b = 0; b < blocks; ++b) {
        const std::size_t begin = b * height;
        const std::size_t size = std::min(count, begin + height) - begin;
        after[size] = before + of_block[b + 1];
        for (std::size_t i = size; i-- > 1;) {
          after[i] = part[begin + i];
          after[i] += after[i + 1];
        }
        normal_equations earlier(before.shift);
        for (std::size_t i = 0; i < size; ++i) {
          after[i + 1] += earlier;
          all.refuse_non_finite(after[i + 1], trainings[begin + i]);
          fitted.push_back(solve(after[i + 1], detail::fold_rows(all, trainings[begin + i])));
          earlier += part[begin + i];
        }
        before += block[b];
      }
      return fitted;
    }
  }

 private:
  template <class Schema> static constexpr void require() {
    detail::linear_needs<features, Objective, detail::dataset_binding<Schema>>::require();
  }
  RAFTER_COLD static auto solve(const normal_equations& equations, const design& rows) {
    const Solver solver{};
    linear_solution solution = solver.solve(equations, &rows);
    bool intercept = true;
    if constexpr (requires { solver.intercept; }) intercept = static_cast<bool>(solver.intercept);
    std::string choice;
    if constexpr (requires { solver.choice(solution); }) choice = solver.choice(solution);
    return linear_predictor<features, Objective>(std::move(solution), intercept, std::move(choice));
  }
};

}  // namespace rafter
