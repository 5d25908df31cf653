// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "rafter/evaluation/evaluate.hpp"

namespace rafter {

/// Fits one estimator on all rows of one dataset and tests it on all rows of another of the same schema (other
/// hardware, another rig, another day): one fold, named after the test data's source.
/// @throws evaluation_error when a fit or a prediction cannot be made, or rows lack the selected target
template <class Estimator, dataset_schema Schema>
auto evaluate_transfer(const dataset<Schema>& training, const dataset<Schema>& test) {
  using predictor = std::remove_cvref_t<decltype(Estimator::fit(training, row_set{}))>;
  for (const dataset<Schema>* data : {&training, &test}) {
    if (data->empty() || data->rows_with_target() != data->size()) {
      throw evaluation_error(data->source() + ": not every row has the target '" + std::string(data->target_name()) + "'");
    }
  }
  evaluated<predictor> outcome;
  outcome.result.predictor = detail::label_of<Estimator>();
  outcome.result.description = Estimator::name();
  try {
    outcome.fitted.push_back(Estimator::fit(training, row_set::all(training.size())));
    std::vector<double> predicted(test.size());
    outcome.fitted[0].predict(test, row_set::all(test.size()), std::span<double>(predicted));
    outcome.result.folds.push_back({.held_out = test.source(),
                                    .train_rows = training.size(),
                                    .rows = test.size(),
                                    .fit = outcome.fitted[0].summary(),
                                    .errors = summarize_errors(test.target(), predicted)});
  } catch (const fit_error& why) {
    throw evaluation_error("predictor '" + outcome.result.predictor + "' on " + test.source() + ": " + why.what());
  }
  return outcome;
}

}  // namespace rafter
