// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "rafter/estimator/estimator.hpp"

namespace rafter::testing {

/// What any predictor must satisfy on data whose every row it can predict; a line for each promise broken:
///
///     EXPECT_EQ(check_predictor(fitted, data), std::vector<std::string>{});
template <class Predictor, class Data>
requires predictor_on<Predictor, Data> std::vector<std::string> check_predictor(const Predictor& fitted,
                                                                                const Data& data) {
  std::vector<std::string> violations;
  const std::size_t size = data.size();
  const row_set all = row_set::all(size);
  std::vector<double> whole(size, -1.0);
  fitted.predict(data, all, std::span<double>(whole));
  for (std::size_t row = 0; row < size; ++row) {
    if (!std::isfinite(whole[row]))
      violations.push_back("the prediction of row " + std::to_string(row) + " is not finite");
  }
  std::vector<double> again(size, -2.0);
  fitted.predict(data, all, std::span<double>(again));
  if (again != whole) violations.push_back("a second call predicted something else");
  const Predictor copy = fitted;
  copy.predict(data, all, std::span<double>(again));
  if (again != whole) violations.push_back("a copy predicts something else");

  for (const std::size_t period : {std::size_t{2}, std::size_t{3}, std::size_t{11}}) {
    const row_set some = row_set::where(size, [&](std::size_t row) { return row % period == 1; });
    std::vector<double> part(some.size() + 2, 12345.0);
    fitted.predict(data, some, std::span<double>(part.data(), some.size()));
    std::size_t at = 0;
    bool same = true;
    some.for_each([&](std::size_t row) { same = same && part[at++] == whole[row]; });
    if (!same) violations.push_back("the prediction of a row depends on which other rows are asked for");
    if (part[at] != 12345.0) violations.push_back("wrote past the rows asked for");
  }
  fitted.predict(data, row_set{}, std::span<double>());

  const fit_summary summary = fitted.summary();
  if (summary.rows == 0) violations.push_back("the summary says that no row was fitted");
  if (summary.identifiable > summary.parameters)
    violations.push_back("more parameters are identifiable than there are");
  if (summary.status.empty()) violations.push_back("the summary has no status");
  return violations;
}

}  // namespace rafter::testing
