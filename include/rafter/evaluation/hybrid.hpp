// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: compiles the training of trees; for those who fit them.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "rafter/core/error.hpp"
#include "rafter/core/math.hpp"
#include "rafter/estimator/estimator.hpp"
#include "rafter/estimator/feature_tiles.hpp"
#include "rafter/estimator/fit_memo.hpp"
#include "rafter/estimator/trees.hpp"
#include "rafter/feature/feature_set.hpp"
#include "rafter/step/load_direction.hpp"
#include "rafter/validation/fold.hpp"
#include "rafter/validation/k_fold.hpp"
#include "rafter/validation/split_policy.hpp"
#include "rafter/validation/subset_view.hpp"

namespace rafter {

/// Each model left out, or sixteen parts of whole models where there are more; where there is one model, five
/// consecutive parts of the rows.
struct folds_of_models {
  static constexpr std::string_view name = "folds_of_models";
  static constexpr std::array<group, 0> held_out = no_group;
  static constexpr std::optional<group> fits_one_per{};
  static constexpr bool is_random = false;

  template <splittable Data> std::vector<fold> folds(const Data& data) const {
    const std::size_t models = data.has_group(group::model) ? data.groups(group::model).count() : 0;
    if (models >= 2) return grouped_k_fold<group::model>{.k = std::min<std::size_t>(16, models)}.folds(data);
    return k_fold{.k = std::min<std::size_t>(5, data.size()), .shuffle = false}.folds(data);
  }
};
static_assert(split_policy<folds_of_models>);

/// Trees that correct a physical model: few, and each leaf by many rows.
struct correcting_boosting {
  static boosting_options options() {
    boosting_options made;
    made.rounds = 60;
    made.max_depth = 6;
    made.learning_rate = 0.1;
    made.min_child_weight = 50.0;
    made.subsample = 0.8;
    made.columns_per_tree = 0.8;
    made.seed = 1;
    return made;
  }
};
/// The same with monotone constraints: what the features' form shows to rise when the batch becomes heavier may only
/// raise the correction, so that it never makes a heavier batch faster. Each feature must have a direction.
struct monotone_boosting : correcting_boosting {
  static constexpr bool monotone_under_load = true;
};

template <fixed_string Feature> struct neither_rises_nor_falls_under_load;

namespace detail {

template <class Features> struct directions_of_features;
template <class... Features> struct directions_of_features<feature_set<Features...>> {
  static constexpr std::array<direction, sizeof...(Features)> value{
      direction_of(typename Features::expression_type{})...};
};
template <class Features, std::size_t K> struct feature_name_at {
  static constexpr std::string_view value = Features::names[K];
};

template <class Features, std::size_t... K> constexpr void require_directions(std::index_sequence<K...>) {
  const auto require = []<std::size_t At>(std::integral_constant<std::size_t, At>) {
    if constexpr (directions_of_features<Features>::value[At] == direction::unknown) {
      static_assert(satisfied<neither_rises_nor_falls_under_load<name_constant<feature_name_at<Features, At>>>>,
                    "rafter: a monotone correction needs features that rise, fall or stay as batches become heavier");
    }
  };
  (require(std::integral_constant<std::size_t, K>{}), ...);
}

/// How much of a correction counts for a row, by where its features lie in the ranges of the training rows: all of it
/// inside, none of it a tenth of a range beyond, in proportion between; of several features the least.
class domain_gate {
 public:
  static constexpr double margin = 0.1;

  /// @param x         column by column, `rows` of each feature
  /// @param of_range  whether a feature's range counts, or only whether it was ever missing; empty: each one's does
  domain_gate(const std::vector<float>& x, std::size_t rows, const std::vector<bool>& of_range = {})
      : least_(rows == 0 ? 0 : x.size() / rows) {
    most_ = least_;
    missing_.resize(least_.size());
    for (std::size_t k = 0; k < least_.size(); ++k) {
      least_[k] = std::numeric_limits<double>::infinity();
      most_[k] = -least_[k];
      for (std::size_t i = 0; i < rows; ++i) {
        const auto value = static_cast<double>(x[k * rows + i]);
        if (std::isnan(value)) {
          missing_[k] = true;
        } else {
          least_[k] = std::min(least_[k], value);
          most_[k] = std::max(most_[k], value);
        }
      }
      if (!of_range.empty() && !of_range[k]) {
        least_[k] = -std::numeric_limits<double>::infinity();
        most_[k] = -least_[k];
      }
    }
  }
  /// @param x  one value for each feature, `stride` apart
  double operator()(const double* x, std::size_t stride = 1) const {
    double weight = 1.0;
    for (std::size_t k = 0; k < least_.size(); ++k) {
      const double value = static_cast<double>(static_cast<float>(x[k * stride]));
      if (std::isnan(value)) {
        if (!missing_[k]) return 0.0;
        continue;
      }
      const double beyond = std::max(least_[k] - value, value - most_[k]);
      if (!(beyond > 0.0)) continue;
      const double width = margin * (most_[k] - least_[k]);
      if (!(beyond < width)) return 0.0;
      weight = std::min(weight, 1.0 - beyond / width);
    }
    return weight;
  }
  double least(std::size_t feature) const { return least_[feature]; }
  double most(std::size_t feature) const { return most_[feature]; }

 private:
  std::vector<double> least_, most_;
  std::vector<bool> missing_;
};

inline double plain_mean(const std::vector<double>& values) {
  double sum = 0.0;
  for (const double one : values) sum += one;
  return sum / static_cast<double>(values.size());
}

/// Do the inner folds speak against a correction? If it does not lower the mean of their errors; and fewer than five say
/// little of what was never seen: if it raises the error of any.
inline bool does_harm(const std::vector<double>& without, const std::vector<double>& with) {
  if (with.empty() || !(plain_mean(with) < plain_mean(without))) return true;
  bool any_worse = false;
  for (std::size_t i = 0; i < with.size(); ++i) any_worse = any_worse || with[i] > without[i];
  return with.size() < 5 && any_worse;
}

}  // namespace detail

/// What the inner folds said of one strength of the correction.
struct strength_score {
  double strength = 0.0;
  std::vector<double> inner_mape;  ///< of each inner fold (fraction); [0] of `scores()` is the physics alone

  double mean() const { return detail::plain_mean(inner_mape); }
  double worst() const {
    return inner_mape.empty() ? mean() : *std::max_element(inner_mape.begin(), inner_mape.end());
  }
};

/// A fitted physical model and the trees that correct it.
template <class Physics, class Features, class Layout = tree_layout> class hybrid_predictor {
 public:
  hybrid_predictor(Physics physics, tree_ensemble trees, detail::domain_gate gate, std::vector<strength_score> scores,
                   std::size_t chosen, std::string_view inner_name, std::size_t rows, std::size_t without_work)
      : physics_(std::move(physics)),
        trees_(std::move(trees)),
        layout_(trees_),
        gate_(std::move(gate)),
        scores_(std::move(scores)),
        chosen_(chosen),
        inner_name_(inner_name),
        rows_(rows),
        without_work_(without_work) {}

  const Physics& physics() const { return physics_; }
  const tree_ensemble& correction() const { return trees_; }
  /// How much of the correction counts for a row's features: gate()(x), 0 … 1.
  const detail::domain_gate& gate() const { return gate_; }
  /// Which share of the trees' logarithm counts, and what the inner folds said of each that was tried.
  double strength() const { return scores_[chosen_].strength; }
  const std::vector<strength_score>& scores() const { return scores_; }

  fit_summary summary() const {
    fit_summary made = physics_.summary();
    made.rows = rows_;
    if (strength() > 0.0) {
      made.parameters += trees_.leaves();
      made.identifiable += trees_.leaves();
    }
    return made;
  }
  std::vector<std::string> findings() const {
    const strength_score &alone = scores_.front(), &with = scores_.back();
    std::vector<std::string> found;
    std::size_t worse = 0;
    for (std::size_t f = 0; f < with.inner_mape.size(); ++f) worse += with.inner_mape[f] > alone.inner_mape[f];
    const std::string told = std::to_string(worse) + " of " + std::to_string(with.inner_mape.size()) +
                             " inner folds (" + std::string(inner_name_) + ") get worse with it, " +
                             detail::percent_text(alone.mean()) + " -> " + detail::percent_text(with.mean()) +
                             " in the mean, " + detail::percent_text(alone.worst()) + " -> " +
                             detail::percent_text(with.worst()) + " in the worst";
    if (alone.inner_mape.empty()) {
      found.push_back("the correction is not used: no inner fold has rows to judge it by");
    } else if (chosen_ == 0) {
      found.push_back("the correction is not used" +
                      std::string(alone.inner_mape == with.inner_mape ? ", for it changes nothing there: " : ": ") +
                      told);
    } else {
      found.push_back("correction at strength " + detail::number_text(strength()) + ": " + told);
    }
    if (without_work_ > 0) {
      found.push_back(std::to_string(without_work_) + " of " + std::to_string(rows_) +
                      " rows teach the correction nothing: the physics predicts no time for them");
    }
    return found;
  }

  /// @param out  [s], rows.size() values
  template <class Schema>
  void predict(const dataset<Schema>& data, const row_set& rows, std::span<double> out) const {
    physics_.predict(data, rows, out);
    if (strength() == 0.0) return;
    std::vector<double> margins;
    detail::for_each_feature_tile<Features>(data, rows, [&](const detail::feature_tile& tile) {
      margins.resize(tile.rows);
      layout_.margins(tile.values, tile.stride, tile.rows, margins.data());
      for (std::size_t i = 0; i < tile.rows; ++i) {
        out[tile.first + i] *= factor(margins[i], gate_(tile.values + i, tile.stride));
      }
    });
  }
  /// The correction of physical times from columns of features: column k begins at x + k·stride.
  void correct(const double* x, std::size_t stride, std::span<const double> physical, std::span<double> out) const {
    if (strength() == 0.0) {
      std::copy(physical.begin(), physical.end(), out.begin());
      return;
    }
    std::vector<double> margins(physical.size());
    layout_.margins(x, stride, physical.size(), margins.data());
    for (std::size_t i = 0; i < physical.size(); ++i) {
      out[i] = physical[i] * factor(margins[i], gate_(x + i, stride));
    }
  }
  /// Everything that depends on the deployment computed once; refers to this predictor. Does not allocate when it predicts.
  template <class Record, class Deployment>
  auto bind(const Deployment& deployment) const requires requires(const Physics& physics) {
    physics.template bind<Record>(deployment);
  }
  {
    return [this, physics = physics_.template bind<Record>(deployment),
            features = Features::template bind<Record>(deployment)](const Record& record) {
      return strength() == 0.0 ? physics(record) : corrected(physics(record), features(record));
    };
  }
  /// One step of one deployment.
  template <class Record, class Deployment>
  seconds predict(const Record& record, const Deployment& deployment) const {
    const seconds physical = physics_.predict(record, deployment);
    return strength() == 0.0 ? physical : corrected(physical, Features::evaluate(record, deployment));
  }

 private:
  seconds corrected(seconds physical, const std::array<double, Features::size>& x) const {
    return seconds{physical.value * factor(layout_.margin(x.data()), gate_(x.data()))};
  }
  double factor(double margin, double weight) const { return rafter::exp(strength() * weight * margin); }

  Physics physics_;
  tree_ensemble trees_;
  Layout layout_;
  detail::domain_gate gate_;
  std::vector<strength_score> scores_;
  std::size_t chosen_;
  std::string_view inner_name_;
  std::size_t rows_, without_work_;
};

/// physics × exp(s · g · trees): a physical model, and boosted trees on features without a scale of their own for what
/// it leaves. Three things keep the trees from spoiling what the physics carries over to what was never seen:
///
/// - They learn log(time / physics) out of fold: of rows that the physics was not fitted on (`InnerSplit` within the
///   training rows), so that they see its errors of transfer, not those of its fit.
/// - The strength s is one half, or 0, the physics alone, where the inner folds speak against it: where it does not lower
///   their mean error, or any of fewer than five gets worse. Each is predicted by physics and trees that were fitted
///   without it (the labels of those trees come from physics fitted without the label's row). Trees at full strength
///   win a little more where they interpolate, and lose it where they do not (docs/learned_models.md).
/// - The gate g is 1 inside the ranges of the training rows' features and 0 a tenth of a range beyond (domain_gate).
///
/// With `Policy::monotone_under_load` the correction never makes a heavier batch faster. The gate then asks only for
/// the features that a heavier batch leaves as they are: closing beyond the heaviest training batch it would take back
/// what the trees add there, and a batch would get faster by growing. Beyond the ranges of load the correction stays
/// what it was at their border.
///
/// `InnerSplit` is to ask what the predictor will be asked: whole models left out by default; `lowo` where the models are
/// known and a workload is not.
///
///   using corrected = hybrid<predictors::best, catalog::correction>;
template <class Physics, auto Features, boosting_policy Policy = correcting_boosting,
          split_policy InnerSplit = folds_of_models>
struct hybrid {
  using features = typename std::remove_cvref_t<decltype(Features)>::set_type;
  static constexpr std::array strengths{0.0, 0.5};

  static std::string name() {
    std::string text = Physics::name() + ", corrected by " + std::to_string(Policy::options().rounds) +
                       " boosted trees on " + std::to_string(features::size) + " features";
    if constexpr (monotone()) text += ", monotone under load";
    return text;
  }
  /// What is chosen by looking at errors, and on which rows.
  static std::string tuned() {
    std::string text = "whether the correction counts (strength 0 or 1/2), on " + std::string(InnerSplit::name) +
                       " inside the training rows";
    if constexpr (requires { Physics::tuned(); }) text += "; of its physics " + Physics::tuned();
    return text;
  }
  static constexpr std::string_view reads_identity(group axis) {
    const std::string_view of_physics = Physics::reads_identity(axis);
    return of_physics.empty() ? features::identity_feature(name_of(axis)) : of_physics;
  }
  static constexpr bool fitted_per(group axis) { return Physics::fitted_per(axis); }
  template <class Schema> static constexpr std::string_view missing_on() {
    const std::string_view of_physics = Physics::template missing_on<Schema>();
    return of_physics.empty() ? features::template missing_on<detail::dataset_binding<Schema>>() : of_physics;
  }

  /// The physics of inner folds, which an outer fold's inner folds share with other outer folds' inner folds.
  template <class Schema> using shared_fits = fit_memo<Physics, Schema>;

  /// @throws fit_error where the physics does, when the training rows cannot be split, when the physics predicts no
  ///         positive time for one of them, and for an infinite feature
  template <class Schema> static auto fit(const dataset<Schema>& data, const row_set& rows) {
    shared_fits<Schema> physics(data);
    return fit(data, rows, physics);
  }
  /// The same with the physics' fits kept for fits to other rows of the same data.
  template <class Schema>
  RAFTER_COLD static auto fit(const dataset<Schema>& data, const row_set& rows, shared_fits<Schema>& physics) {
    if constexpr (monotone()) {
      detail::require_directions<features>(std::make_index_sequence<features::size>{});
    }
    features::template require_on<detail::dataset_binding<Schema>>();
    using physics_predictor = std::remove_cvref_t<decltype(Physics::fit(data, rows))>;
    if (rows.empty()) throw fit_error("no rows to fit on");
    const std::vector<fold> inner = inner_folds(data, rows);
    const lessons learned = residuals_out_of_fold(data, rows, inner, physics);
    const boosting_options options = options_of_trees();
    std::vector<strength_score> scores = tried(learned, inner, options);
    const std::size_t chosen = detail::does_harm(scores[0].inner_mape, scores[1].inner_mape) ? 0 : 1;
    const detail::labelled_columns taught = some(learned.all, learned.teaching);
    boosted_trees_fit correction =
        detail::boost(taught, {}, tree_loss::squared(), options, detail::names_of<features>());
    return hybrid_predictor<physics_predictor, features>(physics.fit(rows), std::move(correction.ensemble),
                                                         gate_of(taught), std::move(scores), chosen, InnerSplit::name,
                                                         rows.size(), rows.size() - taught.rows);
  }

 private:
  static constexpr bool monotone() {
    return requires { Policy::monotone_under_load; };
  }
  static boosting_options options_of_trees() {
    boosting_options options = detail::options_for<features, objective::log_target, Policy>();
    if (!options.base_score) options.base_score = 0.0;  // a correction begins with none
    if constexpr (monotone()) {
      static_assert(
          !requires { Policy::constraints(); }, "rafter: a correction monotone under load has its constraints");
      options.monotone.assign(features::size, 0);
      constexpr auto& directions = detail::directions_of_features<features>::value;
      for (std::size_t k = 0; k < features::size; ++k) {
        if (directions[k] == direction::rising) options.monotone[k] = 1;
        if (directions[k] == direction::falling) options.monotone[k] = -1;
      }
    }
    return options;
  }

  static detail::domain_gate gate_of(const detail::labelled_columns& training) {
    std::vector<bool> of_range;
    if constexpr (monotone()) {
      for (const direction way : detail::directions_of_features<features>::value) {
        of_range.push_back(way == direction::constant);
      }
    }
    return {training.x, training.rows, of_range};
  }

  /// Folds of places among the training rows, ascending.
  template <class Schema> static std::vector<fold> inner_folds(const dataset<Schema>& data, const row_set& rows) {
    try {
      const subset_view training(data, rows);
      std::vector<fold> folds = InnerSplit{}.folds(training);
      check_folds(folds, rows.size());
      row_set tested;
      for (const fold& part : folds) tested = tested | part.test;
      if (tested != row_set::all(rows.size())) {
        throw validation_error(std::string(InnerSplit::name) + " does not test every row");
      }
      return folds;
    } catch (const error& why) {
      throw fit_error("no residuals out of fold: the " + std::to_string(rows.size()) +
                      " training rows cannot be split by " + std::string(InnerSplit::name) + ": " + why.what());
    }
  }

  /// The features of all rows, and as labels log(time / physics fitted without the row's fold) where that predicts a time.
  struct lessons {
    detail::labelled_columns all;
    row_set teaching;  ///< places of the rows with a label
  };
  template <class Schema>
  static lessons residuals_out_of_fold(const dataset<Schema>& data, const row_set& rows,
                                       const std::vector<fold>& inner, shared_fits<Schema>& physics) {
    detail::labelled_columns all;
    all.rows = rows.size();
    all.x.resize(features::size * all.rows);
    all.labels.resize(all.rows);
    detail::for_each_feature_tile<features>(data, rows, [&](const detail::feature_tile& tile) {
      detail::take_features<features>(all, tile, data, rows);
    });
    const std::vector<std::size_t> numbers = rows.to_vector();
    const auto in_dataset = [&](const row_set& places) {
      std::vector<std::size_t> made;
      places.for_each([&](std::size_t place) { made.push_back(numbers[place]); });
      return row_set::of(std::move(made));
    };
    std::vector<double> predicted;
    std::vector<std::size_t> teaching;
    for (const fold& part : inner) {
      predicted.resize(part.test.size());
      const row_set tested = in_dataset(part.test);
      try {
        physics.fit(in_dataset(part.train)).predict(data, tested, std::span<double>(predicted));
      } catch (const fit_error& why) {
        throw fit_error("inner fold '" + part.held_out + "': " + why.what());
      }
      std::size_t at = 0;
      part.test.for_each([&](std::size_t place) {
        const double physical = predicted[at++], time = data.target()[numbers[place]];
        if (physical == 0.0) return;  // a step without work: no factor corrects it
        if (!(physical > 0.0) || !std::isfinite(physical) || !(time > 0.0)) {
          throw fit_error((time > 0.0 ? "the physics predicts " + detail::number_text(physical) + " s on "
                                      : "the time is not positive on ") +
                          detail::place_of_row(data, numbers[place]));
        }
        all.labels[place] = rafter::log(time / physical);
        teaching.push_back(place);
      });
    }
    if (teaching.empty()) throw fit_error("the physics predicts no time for any of the rows");
    return {std::move(all), row_set::of(std::move(teaching))};
  }

  static detail::labelled_columns some(const detail::labelled_columns& all, const row_set& places) {
    detail::labelled_columns made;
    made.rows = places.size();
    made.x.reserve(features::size * made.rows);
    for (std::size_t k = 0; k < features::size; ++k) {
      places.for_each([&](std::size_t place) { made.x.push_back(all.x[k * all.rows + place]); });
    }
    places.for_each([&](std::size_t place) { made.labels.push_back(all.labels[place]); });
    return made;
  }

  /// The error of each strength on each inner fold, corrected by trees of the others.
  static std::vector<strength_score> tried(const lessons& of, const std::vector<fold>& inner,
                                           const boosting_options& options) {
    std::vector<strength_score> scores;
    for (const double strength : strengths) scores.push_back({strength, {}});
    const detail::labelled_columns& all = of.all;
    std::array<double, features::size> x;
    for (const fold& part : inner) {
      const row_set taught = part.train & of.teaching, tested = part.test & of.teaching;
      if (taught.empty() || tested.empty()) continue;
      const detail::labelled_columns training = some(all, taught);
      const boosted_trees_fit fitted =
          detail::boost(training, {}, tree_loss::squared(), options, detail::names_of<features>());
      const tree_layout trees(fitted.ensemble);
      const detail::domain_gate gate = gate_of(training);
      std::array<double, strengths.size()> sum{};
      tested.for_each([&](std::size_t place) {
        for (std::size_t k = 0; k < features::size; ++k) x[k] = static_cast<double>(all.x[k * all.rows + place]);
        const double correction = trees.margin(x.data()) * gate(x.data());
        for (std::size_t s = 0; s < strengths.size(); ++s) {
          sum[s] += std::abs(rafter::exp(strengths[s] * correction - all.labels[place]) - 1.0);
        }
      });
      for (std::size_t s = 0; s < strengths.size(); ++s) {
        scores[s].inner_mape.push_back(sum[s] / static_cast<double>(tested.size()));
      }
    }
    return scores;
  }
};

}  // namespace rafter
