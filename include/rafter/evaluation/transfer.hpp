// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "rafter/evaluation/evaluate.hpp"

namespace rafter {

namespace detail {
/// The one fold of a transfer, named after the test data's source.
template <dataset_schema Schema>
RAFTER_COLD std::vector<fold> transfer_folds(const dataset<Schema>& training, const dataset<Schema>& test) {
  for (const dataset<Schema>* data : {&training, &test}) {
    if (data->empty() || data->rows_with_target() != data->size()) {
      throw evaluation_error(data->source() + ": not every row has the target '" + std::string(data->target_name()) +
                             "'");
    }
  }
  if (training.target_name() != test.target_name()) {
    throw evaluation_error(test.source() + ": its target '" + std::string(test.target_name()) +
                           "' is not the target '" + std::string(training.target_name()) + "' of " +
                           training.source());
  }
  return {{.held_out = test.source(),
           .train = row_set::all(training.size()),
           .validation = {},
           .test = row_set::all(test.size())}};
}
}  // namespace detail

/// Fits one estimator on all rows of one dataset and tests it on all rows of another of the same schema (other
/// hardware, another rig, another day): one fold, named after the test data's source.
/// @throws evaluation_error when a fit or a prediction cannot be made, or rows lack the selected target
template <class Estimator, dataset_schema Schema>
auto evaluate_transfer(const dataset<Schema>& training, const dataset<Schema>& test,
                       const evaluate_options& options = {}, const std::vector<probe<Schema>>& probes = {}) {
  return detail::evaluate_folds<Estimator>(training, test, detail::transfer_folds(training, test), options, probes);
}

}  // namespace rafter
