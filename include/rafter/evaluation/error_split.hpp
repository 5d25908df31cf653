// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "rafter/estimator/estimator.hpp"
#include "rafter/estimator/fitted_parameters.hpp"
#include "rafter/evaluation/report.hpp"
#include "rafter/step/dataset.hpp"
#include "rafter/validation/fold.hpp"

namespace rafter {

/// Has parameters with names, and something to say of them.
template <class P>
concept parametric_predictor = requires(const P& fitted) {
  { fitted.parameters() } -> std::convertible_to<std::vector<fitted_parameter>>;
  { fitted.findings() } -> std::convertible_to<std::vector<std::string>>;
};

namespace detail {

/// An estimator whose form can be evaluated with every parameter at its start.
template <class Estimator, class Predictor>
concept splits_errors = parametric_predictor<Predictor> && requires(parameter_layout layout) {
  Estimator::facts();
  Predictor(std::move(layout), nonlinear_solution{}, identifiability{}, std::size_t{}, std::vector<std::string>{});
};

/// @param times  of all rows; @param predicted  one for each of `rows`
RAFTER_COLD inline error_summary errors_on(std::span<const double> times, const row_set& rows,
                                           std::span<const double> predicted) {
  std::vector<double> actual;
  actual.reserve(predicted.size());
  rows.for_each([&](std::size_t row) { actual.push_back(times[row]); });
  return summarize_errors(actual, predicted);
}

template <class Predictor, dataset_schema Schema>
RAFTER_COLD error_summary errors_of(const Predictor& fitted, const dataset<Schema>& data, const row_set& rows) {
  std::vector<double> predicted(rows.size());
  fitted.predict(data, rows, std::span<double>(predicted));
  return errors_on(data.target(), rows, predicted);
}

}  // namespace detail

/// Splits the error of a parametric model on a fold's test rows. With E the mean absolute percentage error there,
///
///   E(fitted on the training rows) = E(the same form fitted on the test rows)    the form's own error: its backbone
///                                  + the rest                                    what did not transfer
///
/// and beside them E with every parameter at its start: the backbone that nothing corrects. The fit on the test rows
/// is a diagnosis and nothing else: it is discarded here, no prediction and no other figure of an evaluation ever
/// sees it.
///
/// @param data, tested  the datasets that the fold's training and test rows are of, often the same
/// @param fitted  what the estimator learned from the training rows
/// @throws fit_error where the form cannot predict the test rows; that it cannot be fitted on them is `refused`
template <class Estimator, dataset_schema Schema, class Predictor>
requires detail::splits_errors<Estimator, Predictor> RAFTER_COLD error_split
split_errors(const dataset<Schema>& data, const dataset<Schema>& tested, const fold& part, const Predictor& fitted) {
  error_split made;
  made.held_out = part.held_out;
  made.rows = part.test.size();
  made.transferred = detail::errors_of(fitted, tested, part.test);
  parameter_layout layout(Estimator::facts(), data, part.train);
  nonlinear_solution start;
  start.parameters = layout.start();
  const Predictor backbone(std::move(layout), std::move(start), {}, part.train.size(), {});
  made.uncorrected = detail::errors_of(backbone, tested, part.test);
  try {
    made.refitted = detail::errors_of(Estimator::fit(tested, part.test), tested, part.test);
  } catch (const fit_error& why) {
    made.refused = why.what();
  }
  return made;
}

/// The same on one dataset, with the fit on the training rows made here.
template <class Estimator, dataset_schema Schema>
RAFTER_COLD error_split split_errors(const dataset<Schema>& data, const fold& part) {
  return split_errors<Estimator>(data, data, part, Estimator::fit(data, part.train));
}

}  // namespace rafter
