// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: compiles the training of trees; for those who explain predictions.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "rafter/analytical/kernel_models.hpp"
#include "rafter/core/math.hpp"
#include "rafter/core/nearest_name.hpp"
#include "rafter/estimator/analytical_model.hpp"
#include "rafter/estimator/feature_tiles.hpp"
#include "rafter/estimator/linear.hpp"
#include "rafter/estimator/nonlinear.hpp"
#include "rafter/estimator/per.hpp"
#include "rafter/estimator/pmnf.hpp"
#include "rafter/estimator/trees.hpp"
#include "rafter/evaluation/evaluate.hpp"
#include "rafter/evaluation/hybrid.hpp"
#include "rafter/evaluation/table.hpp"
#include "rafter/expression/formula.hpp"
#include "rafter/metrics/accurate_sum.hpp"
#include "rafter/solver/tree_attribution.hpp"

/// What a prediction is made of: a base and named contributions that add up to it, exactly but for rounding.
namespace rafter {

/// What adds up: the time itself [s], or log(time / 1 s), where each contribution stands for a factor.
enum class attribution_scale : std::uint8_t { time_in_seconds, log_of_seconds };

/// base + Σ contributions = the predicted time [s], or its logarithm.
struct attribution {
  attribution_scale scale = attribution_scale::time_in_seconds;
  double base = 0.0;
  std::vector<std::string> names;
  std::vector<double> contributions;  ///< one for each name, in the units of the scale

  /// What is explained, in the units of the scale.
  double explained() const {
    accurate_sum sum;
    sum.add(base);
    for (const double one : contributions) sum.add(one);
    return sum.value();
  }
  seconds time() const {
    return seconds{scale == attribution_scale::time_in_seconds ? explained() : rafter::exp(explained())};
  }
  /// @throws evaluation_error, with the nearest name, when there is none of that name
  double operator[](std::string_view name) const {
    for (std::size_t k = 0; k < names.size(); ++k) {
      if (names[k] == name) return contributions[k];
    }
    throw evaluation_error("nothing is attributed to '" + std::string(name) + "'" + did_you_mean(name, names));
  }
  /// The base, the `most` largest contributions, what the others come to, and the sum: in milliseconds, or as logarithms
  /// and factors.
  text_table table(std::size_t most = static_cast<std::size_t>(-1)) const {
    const bool logs = scale == attribution_scale::log_of_seconds;
    text_table made(logs ? std::vector<std::string>{"<what", "log", "factor"}
                         : std::vector<std::string>{"<what", "ms"});
    const auto add = [&](const std::string& name, double value, bool factor) {
      const std::string number = fmt::format("{:+.4f}", logs ? value : 1e3 * value);
      made.add({name, number, factor && logs ? fmt::format("{:.4f}", std::exp(value)) : ""});
    };
    std::vector<std::size_t> order(contributions.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return std::abs(contributions[a]) > std::abs(contributions[b]);
    });
    add("base", base, false);
    const std::size_t shown = std::min(most, order.size());
    for (std::size_t i = 0; i < shown; ++i) add(names[order[i]], contributions[order[i]], true);
    double rest = 0.0;
    for (std::size_t i = shown; i < order.size(); ++i) rest += contributions[order[i]];
    if (shown < order.size()) add(std::to_string(order.size() - shown) + " others", rest, true);
    add("sum", explained(), false);
    if (logs) made.add({"time [ms]", fmt::format("{:.4f}", 1e3 * time().value), ""});
    return made;
  }
};

/// The same for rows of a dataset.
struct attribution_table {
  attribution_scale scale = attribution_scale::time_in_seconds;
  std::vector<std::string> names;
  std::vector<double> base;           ///< one for each row
  std::vector<double> contributions;  ///< row after row, one for each name

  std::size_t rows() const { return base.size(); }
  std::size_t columns() const { return names.size(); }
  double operator()(std::size_t row, std::size_t column) const { return contributions[row * columns() + column]; }
  attribution operator[](std::size_t row) const {
    const auto first = contributions.begin() + static_cast<std::ptrdiff_t>(row * columns());
    return {.scale = scale,
            .base = base[row],
            .names = names,
            .contributions = {first, first + static_cast<std::ptrdiff_t>(columns())}};
  }
  /// Mean over the rows of each contribution's size; NaN where there are none.
  std::vector<double> mean_absolute() const {
    std::vector<double> made(columns());
    for (std::size_t k = 0; k < columns(); ++k) {
      accurate_sum sum;
      for (std::size_t i = 0; i < rows(); ++i) sum.add(std::abs((*this)(i, k)));
      made[k] = sum.value() / static_cast<double>(rows());
    }
    return made;
  }
};

namespace detail {

/// How a model's value becomes what is explained: `factor · value + shift`.
struct value_scale {
  attribution_scale scale;
  double factor, shift;
};

/// @throws evaluation_error for an objective whose predictions are neither proportional to the value nor to its exponential
template <class Objective> value_scale scale_of_values(bool exponential_link) {
  const auto predict = [](double value, double base) { return static_cast<double>(Objective::predict(value, base)); };
  const double zero = predict(0.0, 1.0), one = predict(1.0, 1.0), two = predict(2.0, 1.0);
  const auto near = [](double a, double b) { return std::abs(a - b) <= 1e-12 * std::abs(b); };
  const bool proportional = zero == 0.0 && near(two, 2.0 * one) && near(predict(1.0, 2.0), one);
  const bool exponential = zero > 0.0 && near(one, zero * std::exp(1.0)) && near(two, zero * std::exp(2.0)) &&
                           near(predict(0.0, 2.0), 2.0 * zero);
  if (proportional && !exponential_link) return {attribution_scale::time_in_seconds, one, 0.0};
  if (proportional) return {attribution_scale::log_of_seconds, 1.0, std::log(one)};
  if (exponential && !exponential_link) return {attribution_scale::log_of_seconds, 1.0, std::log(zero)};
  throw evaluation_error("predictions under the objective '" + std::string(Objective::name) +
                         "' are no sum, nor the exponential of one");
}

/// Is a prediction relative to a time of its own for each step?
template <class Objective>
inline constexpr bool has_own_base = !std::is_same_v<std::remove_cvref_t<decltype(Objective::base())>,
                                                     std::remove_cvref_t<decltype(objective::detail::one_second)>>;

template <class Features, bool Based> std::vector<std::string> names_of_contributions() {
  std::vector<std::string> made;
  if (Based) made.push_back("base of the objective");
  for (const std::string_view name : Features::names) made.emplace_back(name);
  return made;
}

/// The features of one step, and the base of the objective after them.
template <class Features, class Objective, class Record, class Deployment>
auto features_and_base(const Record& record, const Deployment& deployment) {
  using binding = record_binding<Deployment, Record>;
  using base_type = std::remove_cvref_t<decltype(Objective::base())>;
  using run = executor<typename Features::template plan_with<binding, base_type>>;
  std::array<double, Features::size + 1> values{};
  typename run::slot_array slots{};
  run::bind(slots.data(), deployment);
  run::step(slots.data(), record,
            [&](auto index, double value) { values[static_cast<std::size_t>(decltype(index)::value)] = value; });
  return values;
}

/// The features of a tile's rows, row after row.
template <std::size_t Features> void rows_of_tile(const feature_tile& tile, std::vector<double>& x) {
  x.resize(tile.rows * Features);
  for (std::size_t k = 0; k < Features; ++k) {
    const double* const from = tile.column(k);
    for (std::size_t i = 0; i < tile.rows; ++i) x[i * Features + k] = from[i];
  }
}

/// What explainers of features share. `Own` gives `contributions(x, rows, to)`, row after row in units of the model's
/// value, and `base_value()`.
template <class Own, class Features, class Objective> class explainer_of_features {
 public:
  static constexpr bool based = has_own_base<Objective>;
  static constexpr std::size_t columns = Features::size + (based ? 1 : 0);

  attribution_scale scale() const { return scale_.scale; }

  template <class Schema> attribution_table table(const dataset<Schema>& data, const row_set& rows) const {
    attribution_table made = empty(rows.size());
    using needs = linear_needs<Features, Objective, dataset_binding<Schema>>;
    needs::require();
    if constexpr (needs::missing().empty()) {
      using base_type = std::remove_cvref_t<decltype(Objective::base())>;
      std::vector<double> x;
      for_each_feature_tile<Features, base_type>(data, rows, [&](const feature_tile& tile) {
        rows_of_tile<Features::size>(tile, x);
        explain_rows(x.data(), tile.column(Features::size), tile.rows, tile.first, made);
      });
    }
    return made;
  }
  /// One step of one deployment.
  template <class Record, class Deployment>
  attribution operator()(const Record& record, const Deployment& deployment) const {
    attribution_table made = empty(1);
    const auto x = features_and_base<Features, Objective>(record, deployment);
    explain_rows(x.data(), x.data() + Features::size, 1, 0, made);
    return made[0];
  }

 protected:
  explicit explainer_of_features(value_scale scale) : scale_(scale) {}

 private:
  attribution_table empty(std::size_t rows) const {
    return {.scale = scale_.scale,
            .names = names_of_contributions<Features, based>(),
            .base = std::vector<double>(rows),
            .contributions = std::vector<double>(rows * columns)};
  }
  void explain_rows(const double* x, const double* bases, std::size_t rows, std::size_t first,
                    attribution_table& to) const {
    const Own& own = static_cast<const Own&>(*this);
    std::vector<double> phi(rows * Features::size);
    own.contributions(x, rows, phi.data());
    for (std::size_t i = 0; i < rows; ++i) {
      double* out = to.contributions.data() + (first + i) * columns;
      to.base[first + i] = scale_.factor * own.base_value() + scale_.shift;
      if (based) *out++ = std::log(bases[i]);
      for (std::size_t k = 0; k < Features::size; ++k) out[k] = scale_.factor * phi[i * Features::size + k];
    }
  }

  value_scale scale_;
};

}  // namespace detail

/// Explains a linear predictor: the base is the prediction at the background's mean features, a feature contributes
/// coefficient · (feature − mean), in seconds or as logarithms by the objective. For features that are independent these
/// are its Shapley values. An objective with a base of its own (log ratio to a roofline) adds that base's logarithm.
template <class Features, class Objective>
class linear_explainer
    : public detail::explainer_of_features<linear_explainer<Features, Objective>, Features, Objective> {
  using shared = detail::explainer_of_features<linear_explainer, Features, Objective>;

 public:
  /// @throws evaluation_error when the background has no rows
  template <class Schema>
  linear_explainer(const linear_predictor<Features, Objective>& predictor, const dataset<Schema>& data,
                   const row_set& background)
      : shared(detail::scale_of_values<Objective>(false)), coefficients_(predictor.solution().coefficients) {
    if (background.empty()) throw evaluation_error("a background of no rows has no mean features");
    std::vector<accurate_sum> sums(Features::size);
    detail::for_each_feature_tile<Features>(data, background, [&](const detail::feature_tile& tile) {
      for (std::size_t k = 0; k < Features::size; ++k) {
        for (std::size_t i = 0; i < tile.rows; ++i) sums[k].add(tile.column(k)[i]);
      }
    });
    accurate_sum at_means;
    at_means.add(predictor.solution().intercept);
    for (std::size_t k = 0; k < Features::size; ++k) {
      means_.push_back(sums[k].value() / static_cast<double>(background.size()));
      at_means.add(coefficients_[k] * means_[k]);
    }
    base_ = at_means.value();
  }
  /// Mean of each feature over the background.
  std::vector<double> means() const { return means_; }

  void contributions(const double* x, std::size_t rows, double* to) const {
    for (std::size_t i = 0; i < rows * Features::size; ++i) {
      const std::size_t k = i % Features::size;
      to[i] = coefficients_[k] * (x[i] - means_[k]);
    }
  }
  double base_value() const { return base_; }

 private:
  std::vector<double> coefficients_, means_;
  double base_ = 0.0;
};

/// Explains boosted trees: path-dependent Shapley values of the features (solver/tree_attribution.hpp), in seconds, or
/// as logarithms where the objective or the ensemble's link makes the prediction an exponential.
template <class Features, class Objective>
class trees_explainer
    : public detail::explainer_of_features<trees_explainer<Features, Objective>, Features, Objective> {
  using shared = detail::explainer_of_features<trees_explainer, Features, Objective>;

 public:
  /// @throws tree_error when splits have no covers
  template <class Layout>
  explicit trees_explainer(const trees_predictor<Features, Objective, Layout>& predictor)
      : shared(detail::scale_of_values<Objective>(predictor.ensemble().link == tree_link::exponential)),
        trees_(explain(predictor.ensemble())) {}

  void contributions(const double* x, std::size_t rows, double* to) const {
    auto work = trees_.make_workspace();
    trees_.explain(x, rows, to, work);
  }
  double base_value() const { return trees_.expected(); }

 private:
  tree_attributions trees_;
};

/// Explains trees against rows of a background instead of the covers of their nodes (interventional Shapley values): the
/// base is the mean over the background, a feature outside a coalition takes its value from there. Costs a walk through
/// every tree for each row of the background: some hundred rows are enough.
template <class Features, class Objective>
class background_trees_explainer
    : public detail::explainer_of_features<background_trees_explainer<Features, Objective>, Features, Objective> {
  using shared = detail::explainer_of_features<background_trees_explainer, Features, Objective>;

 public:
  /// @throws evaluation_error when the background has no rows
  template <class Layout, class Schema>
  background_trees_explainer(const trees_predictor<Features, Objective, Layout>& predictor,
                             const dataset<Schema>& data, const row_set& background)
      : shared(detail::scale_of_values<Objective>(predictor.ensemble().link == tree_link::exponential)),
        trees_(against(predictor.ensemble(), data, background)) {}

  void contributions(const double* x, std::size_t rows, double* to) const {
    auto work = trees_.make_workspace();
    for (std::size_t i = 0; i < rows; ++i) trees_.explain(x + i * Features::size, to + i * Features::size, work);
  }
  double base_value() const { return trees_.expected(); }

 private:
  template <class Schema>
  static interventional_attributions against(const tree_ensemble& ensemble, const dataset<Schema>& data,
                                             const row_set& background) {
    if (background.empty()) throw evaluation_error("trees are explained against a background of no rows");
    std::vector<double> rows, x;
    detail::for_each_feature_tile<Features>(data, background, [&](const detail::feature_tile& tile) {
      detail::rows_of_tile<Features::size>(tile, x);
      rows.insert(rows.end(), x.begin(), x.end());
    });
    return {ensemble, rows.data(), background.size()};
  }

  interventional_attributions trees_;
};

/// Explains a hybrid as the product that it is: log(time) = strength · gate · expected correction + log(physics) +
/// Σ strength · gate · Shapley value of the feature. `physics` is the first name; explainer(predictor.physics()) splits it,
/// in seconds. Refers to the predictor, which must outlive it.
template <class Physics, class Features, class Layout> class hybrid_explainer {
 public:
  explicit hybrid_explainer(const hybrid_predictor<Physics, Features, Layout>& predictor)
      : predictor_(&predictor), trees_(explain(predictor.correction())) {}

  static constexpr attribution_scale scale() { return attribution_scale::log_of_seconds; }

  template <class Schema> attribution_table table(const dataset<Schema>& data, const row_set& rows) const {
    attribution_table made = empty(rows.size());
    std::vector<double> physical(rows.size()), x;
    predictor_->physics().predict(data, rows, std::span<double>(physical));
    detail::for_each_feature_tile<Features>(data, rows, [&](const detail::feature_tile& tile) {
      detail::rows_of_tile<Features::size>(tile, x);
      explain_rows(x.data(), physical.data() + tile.first, tile.rows, tile.first, made);
    });
    return made;
  }
  template <class Record, class Deployment>
  attribution operator()(const Record& record, const Deployment& deployment) const {
    attribution_table made = empty(1);
    const auto x = Features::evaluate(record, deployment);
    const double physical = predictor_->physics().predict(record, deployment).value;
    explain_rows(x.data(), &physical, 1, 0, made);
    return made[0];
  }

 private:
  static attribution_table empty(std::size_t rows) {
    attribution_table made{.scale = scale(),
                           .names = {"physics"},
                           .base = std::vector<double>(rows),
                           .contributions = std::vector<double>(rows * (Features::size + 1))};
    made.names.insert(made.names.end(), Features::names.begin(), Features::names.end());
    return made;
  }
  void explain_rows(const double* x, const double* physical, std::size_t rows, std::size_t first,
                    attribution_table& to) const {
    std::vector<double> phi(rows * Features::size);
    auto work = trees_.make_workspace();
    trees_.explain(x, rows, phi.data(), work);
    for (std::size_t i = 0; i < rows; ++i) {
      const double counts = predictor_->strength() * predictor_->gate()(x + i * Features::size);
      double* const out = to.contributions.data() + (first + i) * (Features::size + 1);
      to.base[first + i] = counts * trees_.expected();
      out[0] = std::log(physical[i]);
      for (std::size_t k = 0; k < Features::size; ++k) out[k + 1] = counts * phi[i * Features::size + k];
    }
  }

  const hybrid_predictor<Physics, Features, Layout>* predictor_;
  tree_attributions trees_;
};

/// Explains a formula in performance-model normal form: the base is its constant, each term contributes its value, in
/// seconds. Refers to the predictor, which must outlive it.
template <class Metrics, class Options> class pmnf_explainer {
 public:
  explicit pmnf_explainer(const pmnf_predictor<Metrics, Options>& predictor) : form_(&predictor.form()) {}

  static constexpr attribution_scale scale() { return attribution_scale::time_in_seconds; }

  template <class Schema> attribution_table table(const dataset<Schema>& data, const row_set& rows) const {
    attribution_table made = empty(rows.size());
    std::vector<double> x;
    detail::for_each_feature_tile<Metrics>(data, rows, [&](const detail::feature_tile& tile) {
      detail::rows_of_tile<Metrics::size>(tile, x);
      for (std::size_t i = 0; i < tile.rows; ++i) explain_row(x.data() + i * Metrics::size, tile.first + i, made);
    });
    return made;
  }
  template <class Record, class Deployment>
  attribution operator()(const Record& record, const Deployment& deployment) const {
    attribution_table made = empty(1);
    explain_row(Metrics::evaluate(record, deployment).data(), 0, made);
    return made[0];
  }

 private:
  attribution_table empty(std::size_t rows) const {
    attribution_table made{.scale = scale(),
                           .names = {},
                           .base = std::vector<double>(rows, form_->constant),
                           .contributions = std::vector<double>(rows * form_->terms.size())};
    for (const normal_form_term& term : form_->terms) made.names.push_back(text_of(term, Metrics::names));
    return made;
  }
  void explain_row(const double* x, std::size_t row, attribution_table& to) const {
    for (std::size_t k = 0; k < to.columns(); ++k) {
      to.contributions[row * to.columns() + k] = form_->coefficients[k] * form_->terms[k].value(x);
    }
  }

  const normal_form* form_;
};

// ---------------------------------------------------------------------------------------------------------------
// Physics: the summands of a model
// ---------------------------------------------------------------------------------------------------------------

namespace detail {

template <class... A, class... B>
constexpr expression_list<A..., B...> joined(expression_list<A...>, expression_list<B...>) {
  return {};
}

/// The summands of a time: sums and differences taken apart, and what multiplies or divides a sum of times, each summand.
template <class E> constexpr auto summands_of();

template <class... Es> constexpr auto negated(expression_list<Es...>) {
  return expression_list<node<operation::negate, Es>...>{};
}
template <class Factor, class... Es> constexpr auto times(expression_list<Es...>) {
  return expression_list<node<operation::multiply, Factor, Es>...>{};
}
template <operation Op, class By, class... Es> constexpr auto each_by(expression_list<Es...>) {
  return expression_list<node<Op, Es, By>...>{};
}
template <class E, class A> constexpr auto summands_within(expression_list<A>) {
  if constexpr (E::operation_v == operation::negate) {
    return negated(summands_of<A>());
  } else {
    return expression_list<E>{};
  }
}
template <class E, class A, class B> constexpr auto summands_within(expression_list<A, B>) {
  using enum operation;
  constexpr bool of_time = A::dimension_v == units::second;
  if constexpr (E::operation_v == add) {
    return joined(summands_of<A>(), summands_of<B>());
  } else if constexpr (E::operation_v == subtract) {
    return joined(summands_of<A>(), negated(summands_of<B>()));
  } else if constexpr (E::operation_v == multiply && of_time) {
    return each_by<multiply, B>(summands_of<A>());
  } else if constexpr (E::operation_v == multiply && B::dimension_v == units::second) {
    return times<A>(summands_of<B>());
  } else if constexpr (E::operation_v == divide && of_time) {
    return each_by<divide, B>(summands_of<A>());
  } else {
    return expression_list<E>{};
  }
}
template <class E, class... Es> constexpr auto summands_within(expression_list<Es...>) {
  return expression_list<E>{};
}
template <class E> constexpr auto summands_of() {
  if constexpr (leaf<E>) {
    return expression_list<E>{};
  } else {
    return summands_within<E>(typename E::arguments{});
  }
}

template <class... Es> constexpr std::size_t length_of(expression_list<Es...>) { return sizeof...(Es); }

template <class E> void add_parameter_names(std::vector<std::string_view>& to);
template <class... Es> void add_parameter_names_of(std::vector<std::string_view>& to, expression_list<Es...>) {
  (add_parameter_names<Es>(to), ...);
}
template <class E> void add_parameter_names(std::vector<std::string_view>& to) {
  if constexpr (leaf<E>) {
    if constexpr (parameter_leaf<E>) {
      if (std::find(to.begin(), to.end(), E::name) == to.end()) to.push_back(E::name);
    }
  } else {
    add_parameter_names_of(to, typename E::arguments{});
  }
}
/// The formula, or where it is longer than a line's worth the parameters that it mentions.
template <class E> std::string short_name_of() {
  constexpr std::size_t longest = 48;
  const std::string_view text = formula(E{});
  if (text.size() <= longest) return std::string(text);
  std::vector<std::string_view> parameters;
  add_parameter_names<E>(parameters);
  if (parameters.empty()) return std::string(text);
  std::string name;
  for (const std::string_view one : parameters) name += (name.empty() ? "" : ", ") + std::string(one);
  return name;
}

template <class E>
inline constexpr bool is_best_model =
    std::is_same_v<E, std::remove_cvref_t<decltype(analytical::best<analytical::serving_conditions>)>> ||
    std::is_same_v<E, std::remove_cvref_t<decltype(analytical::best<analytical::benchmark_conditions>)>>;

}  // namespace detail

/// The summands of a model in seconds as a list of expressions, in the order of the formula: of `layers * (a + b) + c`,
/// `layers * a`, `layers * b` and `c`. Only sums of times are taken apart, never what a time is multiplied by.
template <expression Model> using summands = decltype(detail::summands_of<std::remove_cvref_t<Model>>());

/// A named part of a model: `"gemm"_part = gemm_factor * roofline(step_gemm)`.
template <fixed_string Name, expression E> struct model_part {
  static_assert(E::dimension_v == units::second, "rafter: a part of a step-time model is an expression in seconds");
  using expression_type = E;
  static constexpr auto name_v = Name;
};
template <fixed_string Name> struct part_name {
  template <expression E> constexpr model_part<Name, std::remove_cvref_t<E>> operator=(E) const { return {}; }
};
namespace literals {
template <fixed_string Name> constexpr part_name<Name> operator""_part() { return {}; }
}  // namespace literals

/// The parts of a model, given by its author; that they add up to it is checked on each row that is explained.
template <class... Parts> struct model_parts {
  constexpr explicit model_parts(Parts...) {}
};

/// Names for the summands of a model, in order; those of one name count as one part.
using summand_names = std::vector<std::string>;

namespace detail {

/// What the parts of the best transferring model are called: four matrix products of three summands each (floor, work,
/// what spills from the cache), and one summand for each of the others.
inline summand_names names_of_best() {
  summand_names made;
  for (const char* product : {"qkv projection", "output projection", "up and gate projection", "down projection"}) {
    made.insert(made.end(), 3, product);
  }
  made.insert(made.end(), {"shared expert", "routing", "elementwise", "prefill attention", "decode attention"});
  return made;
}

template <class Model, class... Es> summand_names names_of_summands(expression_list<Es...>) {
  if constexpr (is_best_model<Model>) {
    static_assert(sizeof...(Es) == 17, "rafter: names_of_best names other summands than the model has");
    return names_of_best();
  } else {
    return {short_name_of<Es>()...};
  }
}

/// A fitted parametric model's numbers, and none of a formula's.
template <class Model, class Objective>
const nonlinear_predictor<Model, Objective>* fitted_in(const nonlinear_predictor<Model, Objective>& predictor) {
  return &predictor;
}
struct nothing_fitted {};
template <class Model> const nothing_fitted* fitted_in(const analytical_predictor<Model>&) { return nullptr; }

}  // namespace detail

/// Explains a parametric model, or a formula: its parts at the fitted parameters, in seconds; the base is 0. A part is
/// named by its formula or, where that is long, by the parameters that it mentions. Refers to the predictor, which must
/// outlive it.
template <class Model, class Predictor, class... Parts> class physics_explainer {
 public:
  /// @param names    one for each part; parts of one name count as one
  /// @param checked  whether parts must be shown to add up to the prediction on each row
  /// @throws evaluation_error when there are more or fewer names than parts
  physics_explainer(const Predictor& predictor, const summand_names& names, bool checked)
      : predictor_(&predictor), checked_(checked) {
    if (names.size() != sizeof...(Parts)) {
      throw evaluation_error(std::to_string(names.size()) + " names for the " + std::to_string(sizeof...(Parts)) +
                             " parts of a model");
    }
    const std::array<std::string_view, sizeof...(Parts)> texts{formula(Parts{})...};
    for (std::size_t k = 0; k < names.size(); ++k) {
      const auto at = static_cast<std::size_t>(std::find(names_.begin(), names_.end(), names[k]) - names_.begin());
      if (at == names_.size()) {
        names_.push_back(names[k]);
        formulas_.emplace_back();
      }
      column_[k] = at;
      formulas_[at] += (formulas_[at].empty() ? "" : " + ") + std::string(texts[k]);
    }
  }

  static constexpr attribution_scale scale() { return attribution_scale::time_in_seconds; }
  std::vector<std::string> names() const { return names_; }
  /// What each name stands for.
  std::vector<std::string> formulas() const { return formulas_; }

  /// @throws fit_error naming a label that nothing was fitted for; evaluation_error naming the first row on which parts
  ///         given by the author do not add up to the prediction, to 1e-9 of it
  template <class Schema> attribution_table table(const dataset<Schema>& data, const row_set& rows) const {
    attribution_table made = empty(rows.size());
    if (rows.empty()) return made;
    using plan_type = plan<detail::dataset_binding<Schema>, Parts...>;
    column_evaluation<plan_type, Schema> evaluation(data, rows);
    const auto* const fitted = detail::fitted_in(*predictor_);
    std::vector<group> axes;
    if constexpr (is_fitted) axes = fitted->layout().axes();
    const std::vector<label_cell> cells = label_cells(data, rows, axes);
    std::vector<std::size_t> place(data.size());
    std::size_t count = 0;
    rows.for_each([&](std::size_t row) { place[row] = count++; });
    for (const label_cell& cell : cells) {
      std::vector<std::size_t> places;
      if constexpr (is_fitted) places = fitted->layout().places(data, cell.rows.ranges().front().begin);
      const auto values = values_for<plan_type>(places);
      if constexpr (plan_type::tape.parametric_reductions) evaluation.reduce(cell.rows, values.data());
      evaluation.for_each_run(
          cell.rows,
          [&](const auto& slots, row_range range) {
            for (std::size_t row = range.begin; row < range.end; ++row) {
              double* const to = made.contributions.data() + place[row] * names_.size();
              evaluation.template rows<double>(slots, row, [&](auto index, double value) {
                to[column_[static_cast<std::size_t>(decltype(index)::value)]] += value;
              });
            }
          },
          values.data());
    }
    if (checked_) {
      std::vector<double> predicted(rows.size());
      predictor_->predict(data, rows, std::span<double>(predicted));
      for (std::size_t i = 0; i < predicted.size(); ++i) {
        check(made[i], predicted[i], " on " + detail::place_of_row(data, detail::nth_row(rows, i)));
      }
    }
    return made;
  }
  /// One step of one deployment. @param labels  as of nonlinear_predictor::bind
  template <class Record, class Deployment>
  attribution operator()(const Record& record, const Deployment& deployment,
                         const std::vector<std::string>& labels = {}) const {
    using plan_type = plan<detail::record_binding<Deployment, Record>, Parts...>;
    using run = detail::executor<plan_type>;
    std::vector<std::size_t> places;
    if constexpr (is_fitted) places = detail::fitted_in(*predictor_)->layout().places_of(labels);
    const auto values = values_for<plan_type>(places);
    typename run::slot_array slots{};
    run::bind(slots.data(), deployment, values.data());
    attribution made = empty(1)[0];
    run::step(slots.data(), record, [&](auto index, double value) {
      made.contributions[column_[static_cast<std::size_t>(decltype(index)::value)]] += value;
    });
    if (checked_) {
      if constexpr (is_fitted) {
        check(made, predictor_->template bind<Record>(deployment, labels)(record).value, "");
      } else {
        check(made, predictor_->predict(record, deployment).value, "");
      }
    }
    return made;
  }

 private:
  static constexpr bool is_fitted = !std::is_same_v<Predictor, analytical_predictor<Model>>;

  attribution_table empty(std::size_t rows) const {
    return {.scale = scale(),
            .names = names_,
            .base = std::vector<double>(rows),
            .contributions = std::vector<double>(rows * names_.size())};
  }
  void check(const attribution& made, double predicted, const std::string& where) const {
    const double sum = made.explained();
    if (std::abs(sum - predicted) <= 1e-9 * std::abs(predicted)) return;
    throw evaluation_error(fmt::format("the parts of the model add up to {:.17g} s where it predicts {:.17g} s{}",
                                       sum, predicted, where));
  }
  template <class Plan> auto values_for([[maybe_unused]] const std::vector<std::size_t>& places) const {
    constexpr const auto& facts = Plan::tape.parameters;
    std::array<double, facts.size() + 1> values{};
    for (std::size_t k = 0; k < facts.size(); ++k) {
      if (facts[k].fixed()) {
        values[k] = facts[k].start;
        continue;
      }
      if constexpr (is_fitted) {
        const auto& fitted = *detail::fitted_in(*predictor_);
        std::size_t at = 0;
        while (at < fitted.layout().facts().size() && fitted.layout().facts()[at].name != facts[k].name) ++at;
        if (at == fitted.layout().facts().size()) {
          throw evaluation_error("a part mentions the parameter '" + std::string(facts[k].name) +
                                 "', which the model has not");
        }
        values[k] = fitted.solution().parameters[places[at]];
      } else {
        throw evaluation_error("a part mentions the parameter '" + std::string(facts[k].name) +
                               "', and nothing was fitted");
      }
    }
    return values;
  }

  const Predictor* predictor_;
  bool checked_;
  std::vector<std::string> names_, formulas_;
  std::array<std::size_t, sizeof...(Parts)> column_{};
};

namespace detail {
template <class Model, class Predictor, class... Es>
physics_explainer<Model, Predictor, Es...> explainer_of_summands(const Predictor& predictor,
                                                                 const summand_names& names, expression_list<Es...>) {
  return {predictor, names, false};
}
template <class Model, class Predictor, class... Parts>
physics_explainer<Model, Predictor, typename Parts::expression_type...> explainer_of_parts(const Predictor& predictor,
                                                                                           model_parts<Parts...>) {
  return {predictor, {std::string(Parts::name_v.view())...}, true};
}
}  // namespace detail

// ---------------------------------------------------------------------------------------------------------------
// explainer(predictor): made once, then .table(data, rows) or (record, deployment); attributions(predictor, data, rows)
// ---------------------------------------------------------------------------------------------------------------

template <class Features, class Objective, class Schema>
auto explainer(const linear_predictor<Features, Objective>& predictor, const dataset<Schema>& data,
               const row_set& background) {
  return linear_explainer<Features, Objective>(predictor, data, background);
}
template <class Features, class Objective, class Layout>
auto explainer(const trees_predictor<Features, Objective, Layout>& predictor) {
  return trees_explainer<Features, Objective>(predictor);
}
/// Against rows of a background, interventional.
template <class Features, class Objective, class Layout, class Schema>
auto explainer(const trees_predictor<Features, Objective, Layout>& predictor, const dataset<Schema>& data,
               const row_set& background) {
  return background_trees_explainer<Features, Objective>(predictor, data, background);
}
template <class Physics, class Features, class Layout>
auto explainer(const hybrid_predictor<Physics, Features, Layout>& predictor) {
  return hybrid_explainer<Physics, Features, Layout>(predictor);
}
template <class Metrics, class Options> auto explainer(const pmnf_predictor<Metrics, Options>& predictor) {
  return pmnf_explainer<Metrics, Options>(predictor);
}
/// By the summands of the model, named by formula or, for the best transferring model, by kernel.
template <class Model, class Objective> auto explainer(const nonlinear_predictor<Model, Objective>& predictor) {
  return detail::explainer_of_summands<Model>(predictor, detail::names_of_summands<Model>(summands<Model>{}),
                                              summands<Model>{});
}
template <class Model> auto explainer(const analytical_predictor<Model>& predictor) {
  return detail::explainer_of_summands<Model>(predictor, detail::names_of_summands<Model>(summands<Model>{}),
                                              summands<Model>{});
}
/// By the summands of the model under names of one's own. @throws evaluation_error unless there is one for each
template <class Model, class Objective>
auto explainer(const nonlinear_predictor<Model, Objective>& predictor, const summand_names& names) {
  return detail::explainer_of_summands<Model>(predictor, names, summands<Model>{});
}
template <class Model> auto explainer(const analytical_predictor<Model>& predictor, const summand_names& names) {
  return detail::explainer_of_summands<Model>(predictor, names, summands<Model>{});
}
/// By parts of one's own: `explainer(fitted, model_parts{"gemm"_part = …, "the rest"_part = …})`.
template <class Model, class Objective, class... Parts>
auto explainer(const nonlinear_predictor<Model, Objective>& predictor, model_parts<Parts...> parts) {
  return detail::explainer_of_parts<Model>(predictor, parts);
}
template <class Model, class... Parts>
auto explainer(const analytical_predictor<Model>& predictor, model_parts<Parts...> parts) {
  return detail::explainer_of_parts<Model>(predictor, parts);
}

/// Explains rows of a dataset. Of a linear predictor against the mean features of these rows, or of `background`.
template <class Features, class Objective, class Schema>
attribution_table attributions(const linear_predictor<Features, Objective>& predictor, const dataset<Schema>& data,
                               const row_set& rows, const std::optional<row_set>& background = {}) {
  return explainer(predictor, data, background ? *background : rows).table(data, rows);
}
template <class Predictor, class Schema>
requires requires(const Predictor& predictor) { explainer(predictor); }
attribution_table attributions(const Predictor& predictor, const dataset<Schema>& data, const row_set& rows) {
  return explainer(predictor).table(data, rows);
}

/// Of one predictor per label: each row by its label's own. Linear ones against the mean features of the label's rows.
/// @throws fit_error naming a label that no part was fitted on; evaluation_error where parts attribute to different things
template <group Axis, class Part, class Schema>
attribution_table attributions(const per_predictor<Axis, Part>& predictor, const dataset<Schema>& data,
                               const row_set& rows) {
  const group_column& labels = data.groups(Axis);
  std::vector<std::size_t> place(data.size());
  std::size_t count = 0;
  rows.for_each([&](std::size_t row) { place[row] = count++; });
  attribution_table made;
  bool first = true;
  for (std::uint32_t code = 0; code < labels.count(); ++code) {
    const row_set own = rows & labels.rows_of(code);
    if (own.empty()) continue;
    const std::string& label = labels.names()[code];
    const auto part = std::find_if(predictor.parts().begin(), predictor.parts().end(),
                                   [&](const auto& each) { return each.first == label; });
    if (part == predictor.parts().end()) {
      throw fit_error("nothing was fitted for " + std::string(name_of(Axis)) + " '" + label + "'");
    }
    const attribution_table of_part = attributions(part->second, data, own);
    if (first) {
      made = {.scale = of_part.scale,
              .names = of_part.names,
              .base = std::vector<double>(count),
              .contributions = std::vector<double>(count * of_part.columns())};
      first = false;
    }
    if (of_part.names != made.names || of_part.scale != made.scale) {
      throw evaluation_error("the predictor of " + std::string(name_of(Axis)) + " '" + label +
                             "' attributes to other things than the first");
    }
    std::size_t i = 0;
    own.for_each([&](std::size_t row) {
      made.base[place[row]] = of_part.base[i];
      for (std::size_t k = 0; k < made.columns(); ++k) {
        made.contributions[place[row] * made.columns() + k] = of_part(i, k);
      }
      ++i;
    });
  }
  return made;
}

}  // namespace rafter
