// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "rafter/estimator/composed.hpp"
#include "rafter/estimator/estimator.hpp"
#include "rafter/expression/formula.hpp"
#include "rafter/expression/parameter.hpp"
#include "rafter/feature/feature_set.hpp"
#include "rafter/feature/matrix.hpp"
#include "rafter/units/quantity.hpp"

namespace rafter {

/// The estimator of the rows that no condition before takes.
template <class Estimator> struct otherwise { using estimator = Estimator; };
/// One more condition of `routed`, and the estimator of its rows.
template <auto Condition, class Estimator> struct when;

namespace detail {

/// The rows on which a condition holds (is not 0), and the others.
template <class Condition, class Schema>
RAFTER_COLD std::pair<row_set, row_set> rows_by(const dataset<Schema>& data, const row_set& rows) {
  const feature_values values = feature_matrix(feature_set<feature<"condition", Condition>>{}, data, rows);
  std::vector<std::size_t> held;
  std::vector<std::size_t> other;
  std::size_t at = 0;
  rows.for_each([&](std::size_t row) {
    const double value = values(at++, 0);
    if (std::isnan(value)) {
      throw fit_error("the condition of the branches is not a number on " + place_of_row(data, row));
    }
    (value != 0.0 ? held : other).push_back(row);
  });
  return {row_set::of(std::move(held)), row_set::of(std::move(other))};
}

template <class... Rest> struct rest_of_routes;
template <class Estimator> struct rest_of_routes<otherwise<Estimator>> { using type = Estimator; };

}  // namespace detail

/// Two fitted predictors, one for the steps on which a condition holds and one for the others.
template <class Condition, class Held, class Other> class routed_predictor {
  using set = feature_set<feature<"condition", Condition>>;

 public:
  routed_predictor(std::optional<Held> held, std::optional<Other> other, std::array<std::string, 2> names)
      : held_(std::move(held)), other_(std::move(other)), names_(std::move(names)) {}

  /// What was fitted on the rows where the condition holds, and on the others; empty: there were no such rows.
  const std::optional<Held>& held() const { return held_; }
  const std::optional<Other>& other() const { return other_; }

  fit_summary summary() const {
    fit_summary whole{.status = "ok"};
    const auto add = [&](const auto& part, const std::string& name) {
      if (!part) return;
      const fit_summary own = part->summary();
      whole.rows += own.rows;
      detail::add_summary(whole, name, own);
    };
    add(held_, names_[0]);
    add(other_, names_[1]);
    return whole;
  }
  /// What the branches say of their fits, each line after the branch; and which branch had no rows.
  std::vector<std::string> findings() const {
    std::vector<std::string> lines;
    const auto add = [&](const auto& part, const std::string& name) {
      part ? detail::add_findings(lines, name, *part) : lines.push_back(name + ": no training rows");
    };
    add(held_, names_[0]);
    add(other_, names_[1]);
    return lines;
  }

  /// Predicts rows of a dataset [s]. @param out  rows.size() values
  /// @throws fit_error naming the branch that nothing was fitted for, or a row whose condition is not a number
  template <class Schema>
  void predict(const dataset<Schema>& data, const row_set& rows, std::span<double> out) const {
    const auto [held, other] = detail::rows_by<Condition>(data, rows);
    predict_branch(held_, names_[0], data, held, rows, out);
    predict_branch(other_, names_[1], data, other, rows, out);
  }
  /// One step of one deployment, where both branches can say it. @throws fit_error as for rows
  template <class Record, class Deployment>
  seconds predict(const Record& record, const Deployment& deployment) const requires
      detail::predicts_records<Held, Record, Deployment> && detail::predicts_records<Other, Record, Deployment> {
    const double condition = set::evaluate(record, deployment)[0];
    if (std::isnan(condition)) throw fit_error("the condition of the branches is not a number");
    if (condition != 0.0) {
      if (!held_) nothing_fitted(names_[0]);
      return held_->predict(record, deployment);
    }
    if (!other_) nothing_fitted(names_[1]);
    return other_->predict(record, deployment);
  }

 private:
  [[noreturn]] static void nothing_fitted(const std::string& name) {
    throw fit_error("nothing was fitted for steps " + name + ": no training row is one");
  }
  template <class Part, class Schema>
  static void predict_branch(const std::optional<Part>& part, const std::string& name, const dataset<Schema>& data,
                             const row_set& own, const row_set& rows, std::span<double> out) {
    if (own.empty()) return;
    if (!part) nothing_fitted(name);
    std::vector<double> values(own.size());
    part->predict(data, own, std::span<double>(values));
    std::size_t at = 0;
    std::size_t next = 0;
    rows.for_each([&](std::size_t row) {
      if (next < values.size() && own.contains(row)) out[at] = values[next++];
      ++at;
    });
  }

  std::optional<Held> held_;
  std::optional<Other> other_;
  std::array<std::string, 2> names_;
};

/// Different estimators for different steps: `routed<architecture::is_moe, roofline9, otherwise<roofline9>>`. The
/// condition is an expression without unit, of what is known before the step; where it is not 0 it holds. Each
/// estimator is fitted on its rows alone. More conditions are tried in turn:
/// `routed<is_moe, A, when<decode_only, B>, otherwise<C>>`. A branch without training rows has nothing to say: a
/// prediction that needs it is a fit_error.
template <auto Condition, class Estimator, class... Rest> struct routed {
  using condition = std::remove_cvref_t<decltype(Condition)>;
  using other = typename detail::rest_of_routes<Rest...>::type;
  static_assert(expression<condition> && dimensionless<condition>,
                "rafter: the condition of routed is an expression without unit, such as an indicator");
  static_assert(detail::first_observed_after<condition>().empty(),
                "rafter: the condition of routed reads an observable that is known only after the step");
  static_assert(!parametric<condition>, "rafter: the condition of routed has free parameters");

  static std::string name() {
    return detail::label_of<Estimator>() + " " + where(true) + "; " + detail::label_of<other>() + " " + where(false);
  }
  static constexpr std::string_view reads_identity(group axis) {
    const std::string_view of_condition = detail::first_identity_of<condition>(name_of(axis));
    return of_condition.empty() ? facts::reads_identity(axis) : of_condition;
  }
  static constexpr bool fitted_per(group axis) { return facts::fitted_per(axis); }
  template <class Schema> static constexpr std::string_view missing_on() {
    constexpr std::string_view of_condition = detail::first_missing<condition, detail::dataset_binding<Schema>>();
    return of_condition.empty() ? facts::template missing_on<Schema>() : of_condition;
  }

  /// @throws fit_error on no rows, or naming the branch that cannot be fitted
  template <class Schema> RAFTER_COLD static auto fit(const dataset<Schema>& data, const row_set& rows) {
    if (rows.empty()) throw fit_error("no rows to fit on");
    using held_type = std::remove_cvref_t<decltype(Estimator::fit(data, rows))>;
    using other_type = std::remove_cvref_t<decltype(other::fit(data, rows))>;
    const auto [of_held, of_other] = detail::rows_by<condition>(data, rows);
    std::optional<held_type> held;
    std::optional<other_type> rest;
    if (!of_held.empty()) held.emplace(detail::fit_part<Estimator>(data, of_held, where(true)));
    if (!of_other.empty()) rest.emplace(detail::fit_part<other>(data, of_other, where(false)));
    return routed_predictor<condition, held_type, other_type>(std::move(held), std::move(rest),
                                                              {where(true), where(false)});
  }

 private:
  using facts = detail::parts_facts<Estimator, other>;
  static std::string where(bool holds) {
    return std::string(holds ? "where " : "where not ") + std::string(formula(condition{}));
  }
};

namespace detail {
template <auto Condition, class Estimator, class... Rest> struct rest_of_routes<when<Condition, Estimator>, Rest...> {
  using type = routed<Condition, Estimator, Rest...>;
};
}  // namespace detail

}  // namespace rafter
