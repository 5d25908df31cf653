// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>

#include "rafter/core/error.hpp"
#include "rafter/step/dataset.hpp"
#include "rafter/step/groups.hpp"
#include "rafter/step/rows.hpp"

namespace rafter {

/// A fit that cannot be made: no rows, a feature that is not a finite number on some row, an unseen group.
struct fit_error : error {
  using error::error;
};

/// What a fit says of itself. Numerical trouble is told here, never thrown.
struct fit_summary {
  std::size_t rows = 0;
  std::size_t parameters = 0;    ///< nominal: what the model's form has
  std::size_t identifiable = 0;  ///< what the training rows determine
  bool healthy = true;           ///< false: read `status` before believing the predictions
  std::string status = "ok";
};

/// What `fit` returns: never changes. Predicting rows of a dataset may need scratch memory, and throws fit_error where it
/// has nothing to say of a row's group; the loop of a scheduler binds a deployment and predicts records, without either.
/// Axioms: `predict` is a pure function of its arguments; the prediction for a row does not depend on the other rows.
template <class P, class Data>
concept predictor_on = requires(const P& fitted, const Data& data, const row_set& rows, std::span<double> out) {
  { fitted.summary() } -> std::same_as<fit_summary>;
  fitted.predict(data, rows, out);  // out[i]: seconds, for the i-th row of the set, ascending
};

/// An empty type whose static `fit(data, rows)` learns from those rows, and from nothing else, to predict the data's
/// selected target. `reads_identity(axis)` names what in it identifies groups of an axis (empty: nothing),
/// `fitted_per(axis)` is true when it can say nothing of a label that it was not fitted on, and `missing_on<Schema>()`
/// names the first observable that it needs and a schema lacks (empty: nothing).
/// Archetype: `mean_of_target`.
template <class E, class Data>
concept estimator_on = requires(const Data& data, const row_set& rows) {
  { E::name() } -> std::convertible_to<std::string>;
  { E::fit(data, rows) } -> predictor_on<Data>;
  { E::reads_identity(group::model) } -> std::convertible_to<std::string_view>;
  { E::fitted_per(group::model) } -> std::convertible_to<bool>;
  { E::template missing_on<typename Data::schema_type>() } -> std::convertible_to<std::string_view>;
};

namespace detail {
/// "row 17 (steps.csv:19)".
template <class Schema> std::string place_of_row(const dataset<Schema>& data, std::size_t row) {
  return "row " + std::to_string(row) + " (" + data.source() + ":" + std::to_string(data.line(row)) + ")";
}
/// "3.53 %" of 0.0353.
inline std::string percent_text(double fraction) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f %%", 100.0 * fraction);
  return text;
}

/// The short name that programs and reports use: `label` where the estimator has one, else its description.
template <class E> std::string label_of() {
  if constexpr (requires { E::label; }) {
    return std::string(E::label);
  } else {
    return E::name();
  }
}
}  // namespace detail

}  // namespace rafter
