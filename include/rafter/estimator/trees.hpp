// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: compiles the training of trees; for those who fit them.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "rafter/core/nearest_name.hpp"
#include "rafter/estimator/estimator.hpp"
#include "rafter/estimator/feature_tiles.hpp"
#include "rafter/estimator/linear.hpp"
#include "rafter/estimator/objective.hpp"
#include "rafter/feature/feature_set.hpp"
#include "rafter/solver/boosted_trees.hpp"
#include "rafter/solver/tree_layout.hpp"
#include "rafter/units/quantity.hpp"

namespace rafter {

namespace objective {

/// Another objective with a loss that grows like |r| beyond `Delta`, in units of the label: δ²(√(1 + (r/δ)²) − 1). Unless
/// the policy sets `max_leaf_step` (0: no bound, as in XGBoost), no round moves a prediction by more than 2δ.
template <class Base, auto Delta> struct pseudo_huber : Base {
  static_assert(std::remove_cvref_t<decltype(Delta)>::value > 0.0,
                "rafter: delta of a pseudo-Huber loss is positive");
  static constexpr std::string_view name = "pseudo-Huber";
  static tree_loss tree_loss_of_rows() {
    return tree_loss::pseudo_huber(std::remove_cvref_t<decltype(Delta)>::value);
  }
};

/// Another objective with the pinball loss: what is predicted is the `Q`-quantile, `quantile<log_target, 0.9_c>`.
template <class Base, auto Q> struct quantile : Base {
  static constexpr double level = std::remove_cvref_t<decltype(Q)>::value;
  static_assert(level > 0.0 && level < 1.0, "rafter: a quantile is between 0 and 1");
  static_assert(!Base::weighted, "rafter: the quantile of weighted rows is not that of the time");
  static constexpr std::string_view name = "quantile";
  static tree_loss tree_loss_of_rows() { return tree_loss::quantile(level); }
};

/// Deviance of a gamma distribution whose mean is predicted: errors in proportion to the time; always positive.
struct gamma_deviance : squared {
  static constexpr std::string_view name = "gamma deviance";
  static tree_loss tree_loss_of_rows() { return tree_loss::gamma(); }
};
/// Deviance of a Poisson distribution whose mean is predicted, of the time in microseconds; always positive.
struct poisson_deviance : squared {
  static constexpr std::string_view name = "Poisson deviance";
  static constexpr auto label(expression auto target) { return magnitude(target) * constant<1'000'000, 0>{}; }
  template <class V> static constexpr V predict(V value, V) { return value * 1e-6; }
  static tree_loss tree_loss_of_rows() { return tree_loss::poisson(); }
};

}  // namespace objective

/// How trees are grown: an empty type with a static `options()`, in which gains are those of the label, squared (and
/// `alpha` is of the label): of a logarithm, or of microseconds where the label is the time itself. It may also name the features that the prediction must
/// not fall (+1) or not rise (-1) with, and stop early by rows held out of the fit:
///
///   struct careful {
///     static boosting_options options() { return {.rounds = 500, .learning_rate = 0.05, .early_stopping_rounds = 20}; }
///     static std::vector<tree_constraint> constraints() { return {{"kv_mean", +1}}; }
///     static constexpr double validation_share = 0.2;   // the last rows of each experiment
///   };
template <class O>
concept boosting_policy = requires {
  { O::options() } -> std::convertible_to<boosting_options>;
};

/// A feature that the prediction must not fall with (+1) or not rise with (-1), all others held.
struct tree_constraint {
  std::string_view feature;
  int direction = 0;
};

/// XGBoost's defaults: 100 trees of depth 6, rate 0.3, λ = 1.
struct default_boosting {
  static boosting_options options() { return {}; }
};
/// The public study's: 100 trees of depth `Depth`, rate 0.05, children of at least 5 rows, 80 % of rows and features each.
template <std::size_t Depth = 4> struct study_boosting {
  static boosting_options options() {
    boosting_options made;
    made.rounds = 100;
    made.max_depth = Depth;
    made.learning_rate = 0.05;
    made.min_child_weight = 5.0;
    made.subsample = 0.8;
    made.columns_per_tree = 0.8;
    made.seed = 42;
    return made;
  }
};

namespace detail {

template <class Features> std::vector<std::string> names_of() {
  return {Features::names.begin(), Features::names.end()};
}

template <class Objective> tree_loss loss_of_rows() {
  if constexpr (requires { Objective::tree_loss_of_rows(); }) {
    return Objective::tree_loss_of_rows();
  } else {
    return tree_loss::squared();
  }
}

/// The solver's smallest gain is in squared units of the label, and a step's seconds are small: microseconds count.
template <class Objective> constexpr bool labels_are_seconds() {
  return !Objective::weighted && std::is_same_v<std::remove_cvref_t<decltype(Objective::label(target_t{}))>,
                                                std::remove_cvref_t<decltype(magnitude(target_t{}))>>;
}

/// The options of a policy for the features of a set. @throws fit_error for a constraint on a feature that it lacks
template <class Features, class Objective, class Policy> boosting_options options_for() {
  boosting_options made = Policy::options();
  const tree_loss loss = loss_of_rows<Objective>();
  const bool robust = loss.kind == tree_loss_kind::pseudo_huber;
  if (labels_are_seconds<Objective>() && (robust || loss.kind == tree_loss_kind::squared)) {
    made.least_gain *= 1e-12;
    made.gamma *= 1e-12;
    made.alpha *= 1e-6;
  }
  // Beyond delta the curvature vanishes and Newton's steps overshoot. A row that moves by at most 2 delta in a round
  // comes closer in each: from further than delta by the bound, from within because the step is below twice the residual.
  if (robust && !made.max_leaf_step && made.learning_rate > 0.0) {
    made.max_leaf_step = 2.0 * loss.parameter / made.learning_rate;
  }
  if constexpr (requires { Policy::constraints(); }) {
    made.monotone.assign(Features::size, 0);
    for (const tree_constraint& one : Policy::constraints()) {
      const std::size_t at = Features::index_of(one.feature);
      if (at == Features::size) {
        throw fit_error("a constraint names the feature '" + std::string(one.feature) +
                        "', which is not among those " + "of the trees" +
                        did_you_mean(one.feature, names_of<Features>()));
      }
      made.monotone[at] = static_cast<std::int8_t>(std::clamp(one.direction, -2, 2));  // the solver refuses ±2
    }
  }
  return made;
}

inline tree_training_data training_data(const labelled_columns& from, const std::vector<std::string>& names) {
  return {.x = feature_columns(from.x.data(), from.rows, names.size()),
          .labels = from.labels,
          .weights = from.weights,
          .names = names};
}
/// @param held  rows for early stopping; may have none
/// @throws fit_error for what the solver refuses
RAFTER_COLD inline boosted_trees_fit boost(const labelled_columns& from, const labelled_columns& held,
                                           const tree_loss& loss, const boosting_options& options,
                                           const std::vector<std::string>& names) {
  const tree_training_data training = training_data(from, names), validation = training_data(held, names);
  try {
    boosted_trees_fit made =
        fit_boosted_trees(training, loss, options, {.validation = held.rows > 0 ? &validation : nullptr});
    made.ensemble.feature_names = names;
    return made;
  } catch (const solver_error& why) {
    throw fit_error(why.what());
  }
}

/// The last rows of each experiment (of all rows where there are none): `share` of them, at least one of each and not all.
template <class Schema> row_set last_rows(const dataset<Schema>& data, const row_set& rows, double share) {
  const auto last = [share](const row_set& of) {
    const auto size = static_cast<double>(of.size());
    const auto from = static_cast<std::size_t>(std::max(1.0, size - std::max(1.0, size * share)));
    std::vector<std::size_t> all = of.to_vector();
    return row_set::of({all.begin() + static_cast<std::ptrdiff_t>(from), all.end()});
  };
  if (!data.has_group(group::experiment)) return rows.size() > 1 ? last(rows) : row_set{};
  row_set held;
  const group_column& runs = data.groups(group::experiment);
  for (std::uint32_t code = 0; code < runs.count(); ++code) {
    const row_set own = rows & runs.rows_of(code);
    if (own.size() > 1) held = held | last(own);
  }
  return held;
}

}  // namespace detail

/// A trees predictor bound to one deployment and a type of step records. It refers to the predictor, which must outlive it.
template <class Features, class Objective, class Deployment, class Record, class Layout> class bound_trees {
  using binding = detail::record_binding<Deployment, Record>;
  using plan_type = typename Features::template plan_with<binding, std::remove_cvref_t<decltype(Objective::base())>>;
  using run = detail::executor<plan_type>;

 public:
  bound_trees(const Layout& trees, const Deployment& deployment) : trees_(&trees) {
    run::bind(slots_.data(), deployment);
  }
  /// Does not allocate.
  seconds operator()(const Record& record) const {
    std::array<double, Features::size + 1> values;
    run::step(slots_.data(), record, [&](auto index, double value) RAFTER_INLINE_LAMBDA {
      values[static_cast<std::size_t>(decltype(index)::value)] = value;
    });
    return seconds{Objective::predict(trees_->predict(values.data()), values[Features::size])};
  }

 private:
  const Layout* trees_;
  typename run::slot_array slots_{};
};

/// Fitted boosted trees over a feature set.
template <class Features, class Objective, class Layout = tree_layout> class trees_predictor {
 public:
  trees_predictor(boosted_trees_fit fitted, std::size_t rows)
      : fitted_(std::move(fitted)), rows_(rows), layout_(fitted_.ensemble) {}
  /// An ensemble from elsewhere, e.g. a model of XGBoost's, over these features in this order.
  /// @throws fit_error when it has another number of features, or names them otherwise
  explicit trees_predictor(tree_ensemble ensemble) : layout_(ensemble) {
    if (ensemble.features != Features::size) {
      throw fit_error("the ensemble has " + std::to_string(ensemble.features) + " features, the feature set " +
                      std::to_string(Features::size));
    }
    for (std::size_t k = 0; k < ensemble.feature_names.size(); ++k) {
      if (ensemble.feature_names[k] == Features::names[k]) continue;
      throw fit_error("feature " + std::to_string(k) + " of the ensemble is '" + ensemble.feature_names[k] +
                      "', of the feature set '" + std::string(Features::names[k]) + "'");
    }
    fitted_.ensemble = std::move(ensemble);
  }

  const tree_ensemble& ensemble() const { return fitted_.ensemble; }
  /// Losses by round, the round that was kept.
  const boosted_trees_fit& fit() const { return fitted_; }
  const Layout& layout() const { return layout_; }
  static constexpr const auto& feature_names() { return Features::names; }

  /// Each leaf is a parameter; the rows that reach it determine it.
  fit_summary summary() const {
    const std::size_t leaves = fitted_.ensemble.leaves();
    return {.rows = rows_,
            .parameters = leaves,
            .identifiable = leaves,
            .status = std::to_string(fitted_.ensemble.trees.size()) + " trees" +
                      (fitted_.stopped_early ? ", stopped early" : "")};
  }

  /// Predicts rows of a dataset [s]. @param out  rows.size() values
  template <class Schema>
  void predict(const dataset<Schema>& data, const row_set& rows, std::span<double> out) const {
    using needs = detail::linear_needs<Features, Objective, detail::dataset_binding<Schema>>;
    needs::require();
    if constexpr (needs::missing().empty()) {
      using base_type = std::remove_cvref_t<decltype(Objective::base())>;
      detail::for_each_feature_tile<Features, base_type>(data, rows, [&](const detail::feature_tile& tile) {
        double* const to = out.data() + tile.first;
        layout_.predict(tile.values, tile.stride, tile.rows, to);
        const double* const base = tile.column(Features::size);
        for (std::size_t i = 0; i < tile.rows; ++i) to[i] = Objective::predict(to[i], base[i]);
      });
    }
  }

  /// Everything that depends on the deployment computed once; refers to this predictor.
  template <class Record, class Deployment> auto bind(const Deployment& deployment) const {
    using needs = detail::linear_needs<Features, Objective, detail::record_binding<Deployment, Record>>;
    needs::require();
    if constexpr (needs::missing().empty()) {
      return bound_trees<Features, Objective, Deployment, Record, Layout>(layout_, deployment);
    }
  }
  /// One step of one deployment.
  template <class Record, class Deployment>
  seconds predict(const Record& record, const Deployment& deployment) const {
    return bind<Record>(deployment)(record);
  }

 private:
  boosted_trees_fit fitted_;
  std::size_t rows_ = 0;
  Layout layout_;
};

/// Gradient-boosted regression trees over a feature set (Friedman 2001; second order and histograms as in Chen and
/// Guestrin 2016). NaN features are missing values: each split learns where they go.
///
///   using forest = trees<catalog::study30, objective::log_target, study_boosting<4>>;
///
/// What it predicts lies between the training targets: it does not extrapolate. Features that identify a model do not
/// compile under a split that holds models out, as for every estimator.
template <auto Features, class Objective = objective::log_target, boosting_policy Policy = default_boosting>
struct trees {
  using features = typename std::remove_cvref_t<decltype(Features)>::set_type;
  using objective_type = Objective;
  static_assert(features::size > 0, "rafter: trees need a feature");

  static std::string name() {
    const boosting_options options = Policy::options();
    return std::to_string(options.rounds) + " boosted trees" +
           (options.max_depth > 0 ? " of depth " + std::to_string(options.max_depth) : std::string()) + " on " +
           std::to_string(features::size) + " features, " + std::string(Objective::name);
  }
  /// What is chosen by looking at errors, and on which rows; empty: nothing.
  static std::string tuned() {
    if (Policy::options().early_stopping_rounds == 0) return {};
    return "the number of trees, on training rows held out of the fit";
  }
  static constexpr std::string_view reads_identity(group axis) {
    return detail::identity_read_by<features, Objective>(axis);
  }
  static constexpr bool fitted_per(group) { return false; }
  template <class Schema> static constexpr std::string_view missing_on() {
    return detail::linear_needs<features, Objective, detail::dataset_binding<Schema>>::missing();
  }

  /// @throws fit_error on no rows, an infinite feature, a label that is not finite or outside the loss's domain, options
  ///         that make no sense
  template <class Schema> RAFTER_COLD static auto fit(const dataset<Schema>& data, const row_set& rows) {
    detail::linear_needs<features, Objective, detail::dataset_binding<Schema>>::require();
    if constexpr (missing_on<Schema>().empty()) {
      if (rows.empty()) throw fit_error("no rows to fit on");
      row_set held;
      if constexpr (requires { Policy::validation_share; }) {
        static_assert(Policy::validation_share > 0.0 && Policy::validation_share < 1.0);
        held = detail::last_rows(data, rows, Policy::validation_share);
      }
      const row_set fitted_on = rows & held.complement(data.size());
      return trees_predictor<features, Objective>(
          detail::boost(
              detail::columns_to_fit<features, Objective>(data, fitted_on),
              held.empty() ? detail::labelled_columns{} : detail::columns_to_fit<features, Objective>(data, held),
              detail::loss_of_rows<Objective>(), detail::options_for<features, Objective, Policy>(),
              detail::names_of<features>()),
          rows.size());
    }
  }
};

}  // namespace rafter
