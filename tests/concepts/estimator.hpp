// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "concepts/predictor.hpp"
#include "rafter/estimator/estimator.hpp"

namespace rafter::testing {

/// What any estimator must satisfy; a line for each promise broken. `fitted_on` and the rest of the rows need each have
/// what it takes to fit (every label of the axes that it is fitted per, say).
///
///     EXPECT_EQ(check_estimator<ridge30>(data, rows, [](auto rows) { return data_with_other_values_outside(rows); }), …);
///
/// @param elsewhere_changed  called with the fitted rows: the same data with other numbers on all other rows
template <class Estimator, class Data, class Change>
requires estimator_on<Estimator, Data> std::vector<std::string> check_estimator(const Data& data,
                                                                                const row_set& fitted_on,
                                                                                Change elsewhere_changed) {
  static_assert(std::is_empty_v<Estimator>, "an estimator is an empty type");
  std::vector<std::string> violations;
  if (std::string(Estimator::name()).empty()) violations.push_back("the estimator has no name");
  if (!Estimator::template missing_on<typename Data::schema_type>().empty()) {
    violations.push_back("it lacks an observable of data that it is fitted on");
  }
  const auto fitted = Estimator::fit(data, fitted_on);
  for (std::string& one : check_predictor(fitted, data)) violations.push_back(std::move(one));
  if (fitted.summary().rows != fitted_on.size())
    violations.push_back("the summary counts other rows than were given");

  const row_set all = row_set::all(data.size());
  std::vector<double> first(data.size()), second(data.size());
  fitted.predict(data, all, std::span<double>(first));
  Estimator::fit(data, fitted_on).predict(data, all, std::span<double>(second));
  if (first != second) violations.push_back("a second fit on the same rows predicts something else");

  const Data changed = elsewhere_changed(fitted_on);
  Estimator::fit(changed, fitted_on).predict(data, all, std::span<double>(second));
  if (first != second) violations.push_back("the fit depends on rows that it was not given");
  return violations;
}

}  // namespace rafter::testing
