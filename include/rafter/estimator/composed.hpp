// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdio>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "rafter/estimator/estimator.hpp"
#include "rafter/units/quantity.hpp"

namespace rafter {

namespace detail {

/// What all compositions of estimators know of their parts.
template <class... Estimators> struct parts_facts {
  static_assert(sizeof...(Estimators) > 0, "rafter: a composition has at least one part");

  static std::string names(std::string_view between) {
    std::string text;
    ((text += (text.empty() ? "" : std::string(between)) + label_of<Estimators>()), ...);
    return text;
  }
  static constexpr std::string_view reads_identity(group axis) {
    std::string_view found;
    ((found = found.empty() ? std::string_view(Estimators::reads_identity(axis)) : found), ...);
    return found;
  }
  static constexpr bool fitted_per(group axis) { return (Estimators::fitted_per(axis) || ...); }
  template <class Schema> static constexpr std::string_view missing_on() {
    std::string_view missing;
    ((missing = missing.empty() ? std::string_view(Estimators::template missing_on<Schema>()) : missing), ...);
    return missing;
  }
};

/// Can a fitted part predict records, and be bound to a deployment for them?
template <class Predictor, class Record, class Deployment>
concept predicts_records = requires(const Predictor& fitted, const Record& record, const Deployment& deployment) {
  { fitted.predict(record, deployment) } -> std::convertible_to<seconds>;
};
template <class Predictor, class Record, class Deployment>
concept binds = requires(const Predictor& fitted, const Deployment& deployment) {
  fitted.template bind<Record>(deployment);
};

/// Adds what a part says of its fit to what the whole says; rows are counted by the whole.
inline void add_summary(fit_summary& whole, const std::string& part, const fit_summary& of) {
  whole.parameters += of.parameters;
  whole.identifiable += of.identifiable;
  if (!of.healthy && whole.healthy) {
    whole.healthy = false;
    whole.status = part + ": " + of.status;
  }
}
/// The part's findings, each after the part's name.
template <class Predictor>
void add_findings(std::vector<std::string>& lines, const std::string& part, const Predictor& fitted) {
  if constexpr (requires { fitted.findings(); }) {
    for (const std::string& line : fitted.findings()) lines.push_back(part + ": " + line);
  }
}

/// Fits a part, or says which part could not be fitted.
template <class Estimator, class Schema>
auto fit_part(const dataset<Schema>& data, const row_set& rows, const std::string& part) {
  try {
    return Estimator::fit(data, rows);
  } catch (const fit_error& why) {
    throw fit_error(part + ": " + why.what());
  }
}

struct as_sum {
  static constexpr std::string_view sign = " + ";
  static constexpr std::string_view left = " - ";
  static double combine(double first, double second) { return first + second; }
  static double rest(double target, double first) { return target - first; }
};
struct as_product {
  static constexpr std::string_view sign = " * ";
  static constexpr std::string_view left = " / ";
  static double combine(double first, double second) { return first * second; }
  static double rest(double target, double first) { return target / first; }
};

template <class As, class First, class Second> struct composed;

}  // namespace detail

/// Two fitted predictors whose predictions are added or multiplied.
template <class As, class First, class Second> class composed_predictor {
 public:
  composed_predictor(First first, Second second, std::array<std::string, 2> names)
      : first_(std::move(first)), second_(std::move(second)), names_(std::move(names)) {}

  const First& first() const { return first_; }
  const Second& second() const { return second_; }

  fit_summary summary() const {
    fit_summary whole{.rows = first_.summary().rows, .status = "ok"};
    detail::add_summary(whole, names_[0], first_.summary());
    detail::add_summary(whole, names_[1], second_.summary());
    return whole;
  }
  /// What the parts say of their fits, each line after the part's name.
  std::vector<std::string> findings() const {
    std::vector<std::string> lines;
    detail::add_findings(lines, names_[0], first_);
    detail::add_findings(lines, names_[1], second_);
    return lines;
  }

  /// Predicts rows of a dataset [s]. @param out  rows.size() values
  template <class Schema>
  void predict(const dataset<Schema>& data, const row_set& rows, std::span<double> out) const {
    std::vector<double> second(rows.size());
    first_.predict(data, rows, out);
    second_.predict(data, rows, std::span<double>(second));
    for (std::size_t i = 0; i < second.size(); ++i) out[i] = As::combine(out[i], second[i]);
  }
  /// Both parts bound to a deployment, where both can be. The result predicts records without allocating.
  template <class Record, class Deployment>
  auto bind(const Deployment& deployment)
      const requires detail::binds<First, Record, Deployment> && detail::binds<Second, Record, Deployment> {
    return [first = first_.template bind<Record>(deployment), second = second_.template bind<Record>(deployment)](
               const Record& record) { return seconds{As::combine(first(record).value, second(record).value)}; };
  }
  /// One step of one deployment, where both parts can say it.
  template <class Record, class Deployment>
  seconds predict(const Record& record, const Deployment& deployment) const requires
      detail::predicts_records<First, Record, Deployment> && detail::predicts_records<Second, Record, Deployment> {
    return seconds{As::combine(first_.predict(record, deployment).value, second_.predict(record, deployment).value)};
  }

 private:
  First first_;
  Second second_;
  std::array<std::string, 2> names_;
};

namespace detail {

/// The first part is fitted to the target, the second to what the first leaves of it on the training rows. Other rows
/// have no such target (NaN): the second part cannot look at them.
template <class As, class First, class Second> struct composed : parts_facts<First, Second> {
  static std::string name() { return label_of<First>() + std::string(As::sign) + label_of<Second>(); }

  /// @throws fit_error naming the part that cannot be fitted, or the row on which the first leaves nothing finite
  template <class Schema> RAFTER_COLD static auto fit(const dataset<Schema>& data, const row_set& rows) {
    if (rows.empty()) throw fit_error("no rows to fit on");
    auto first = fit_part<First>(data, rows, label_of<First>());
    std::vector<double> predicted(rows.size());
    first.predict(data, rows, std::span<double>(predicted));
    std::vector<double> rest(data.size(), std::numeric_limits<double>::quiet_NaN());
    const std::string left_name =
        std::string(data.target_name()) + std::string(As::left) + "prediction of " + label_of<First>();
    std::size_t at = 0;
    rows.for_each([&](std::size_t row) {
      rest[row] = As::rest(data.target()[row], predicted[at++]);
      if (!std::isfinite(rest[row])) {
        throw fit_error(left_name + " is not a finite number on row " + std::to_string(row) + " (" + data.source() +
                        ":" + std::to_string(data.line(row)) + ")");
      }
    });
    auto second = fit_part<Second>(data.with_target(std::move(rest), left_name), rows, label_of<Second>());
    return composed_predictor<As, decltype(first), decltype(second)>(std::move(first), std::move(second),
                                                                     {label_of<First>(), label_of<Second>()});
  }
};

}  // namespace detail

/// `product_of<roofline9, correction>`: the second is fitted to target / (prediction of the first) on the training
/// rows, and the predictions are multiplied. The target of the second is a pure number around 1. Of more than two, each
/// is fitted to what the product of those before leaves.
template <class First, class... Rest> struct product_of;
template <class First, class Second>
struct product_of<First, Second> : detail::composed<detail::as_product, First, Second> {};
template <class First, class Second, class... Rest>
struct product_of<First, Second, Rest...> : detail::composed<detail::as_product, First, product_of<Second, Rest...>> {
};

/// `sum_of<roofline9, ridge30>`: the second is fitted to target − (prediction of the first), boosting in stages of one
/// pass each. What is left is negative on some rows: the second part's objective must allow that (plain squares do;
/// relative errors and log ratios of a target ≤ 0 are refused by the fit). What the first part has overfitted on its
/// training rows the second cannot see.
template <class First, class... Rest> struct sum_of;
template <class First, class Second>
struct sum_of<First, Second> : detail::composed<detail::as_sum, First, Second> {};
template <class First, class Second, class... Rest>
struct sum_of<First, Second, Rest...> : detail::composed<detail::as_sum, First, sum_of<Second, Rest...>> {};

/// Predictors that are averaged with weights ≥ 0 that sum to one.
template <class... Predictors> class weighted_predictor {
 public:
  static constexpr std::size_t size = sizeof...(Predictors);
  weighted_predictor(std::tuple<Predictors...> parts, std::array<double, size> weights,
                     std::array<std::string, size> names, std::vector<std::string> notes = {})
      : parts_(std::move(parts)), weights_(weights), names_(std::move(names)), notes_(std::move(notes)) {}

  const std::array<double, size>& weights() const { return weights_; }
  template <std::size_t Index> const auto& part() const { return std::get<Index>(parts_); }

  fit_summary summary() const {
    fit_summary whole{.rows = std::get<0>(parts_).summary().rows, .status = "ok"};
    each([&](std::size_t i, const auto& part) { detail::add_summary(whole, names_[i], part.summary()); });
    return whole;
  }
  /// The weights, then what the parts say of their fits, each line after the part's name.
  std::vector<std::string> findings() const {
    std::string weights = "weights:";
    for (std::size_t i = 0; i < size; ++i) {
      char text[32];
      std::snprintf(text, sizeof text, " %.3f ", weights_[i]);
      weights += (i == 0 ? "" : ",") + std::string(text) + names_[i];
    }
    std::vector<std::string> lines{weights};
    lines.insert(lines.end(), notes_.begin(), notes_.end());
    each([&](std::size_t i, const auto& part) { detail::add_findings(lines, names_[i], part); });
    return lines;
  }

  /// Predicts rows of a dataset [s]. Parts of weight 0 are not asked. @param out  rows.size() values
  template <class Schema>
  void predict(const dataset<Schema>& data, const row_set& rows, std::span<double> out) const {
    std::vector<double> own(rows.size());
    std::fill_n(out.begin(), own.size(), 0.0);
    each([&](std::size_t i, const auto& part) {
      if (weights_[i] == 0.0) return;
      part.predict(data, rows, std::span<double>(own));
      for (std::size_t row = 0; row < own.size(); ++row) out[row] += weights_[i] * own[row];
    });
  }
  /// All parts bound to a deployment, where all can be. The result predicts records without allocating.
  template <class Record, class Deployment>
  auto bind(const Deployment& deployment) const requires(detail::binds<Predictors, Record, Deployment>&&...) {
    return std::apply(
        [&](const auto&... part) {
          return [weights = weights_,
                  bound = std::tuple(part.template bind<Record>(deployment)...)](const Record& record) {
            return std::apply(
                [&](const auto&... one) {
                  double sum = 0.0;
                  std::size_t i = 0;
                  ((weights[i] != 0.0 ? void(sum += weights[i] * one(record).value) : void(), ++i), ...);
                  return seconds{sum};
                },
                bound);
          };
        },
        parts_);
  }
  /// One step of one deployment, where all parts can say it.
  template <class Record, class Deployment>
  seconds predict(const Record& record, const Deployment& deployment) const
      requires(detail::predicts_records<Predictors, Record, Deployment>&&...) {
    double sum = 0.0;
    each([&](std::size_t i, const auto& part) {
      if (weights_[i] != 0.0) sum += weights_[i] * part.predict(record, deployment).value;
    });
    return seconds{sum};
  }

 private:
  template <class Visit> void each(Visit&& visit) const {
    std::apply(
        [&](const auto&... part) {
          std::size_t i = 0;
          (visit(i++, part), ...);
        },
        parts_);
  }

  std::tuple<Predictors...> parts_;
  std::array<double, size> weights_;
  std::array<std::string, size> names_;
  std::vector<std::string> notes_;
};

/// The mean of the predictions of estimators that are fitted independently on the same rows.
template <class... Estimators> struct averaged : detail::parts_facts<Estimators...> {
  static std::string name() { return "mean of " + detail::parts_facts<Estimators...>::names(", "); }

  /// @throws fit_error naming the part that cannot be fitted
  template <class Schema> RAFTER_COLD static auto fit(const dataset<Schema>& data, const row_set& rows) {
    std::array<double, sizeof...(Estimators)> weights;
    weights.fill(1.0 / static_cast<double>(sizeof...(Estimators)));
    return weighted_predictor<std::remove_cvref_t<decltype(Estimators::fit(data, rows))>...>(
        std::tuple{detail::fit_part<Estimators>(data, rows, detail::label_of<Estimators>())...}, weights,
        {detail::label_of<Estimators>()...});
  }
};

}  // namespace rafter
