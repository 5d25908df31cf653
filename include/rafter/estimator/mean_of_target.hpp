// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rafter/estimator/estimator.hpp"

namespace rafter {

/// The constant prediction that everything else must beat.
class mean_predictor {
 public:
  struct entry {
    double sum = 0.0;
    std::size_t rows = 0;
    double mean() const { return sum / static_cast<double>(rows); }
  };

  /// Mean over all training rows [s], and the number of experiments that have their own.
  double overall() const { return overall_.mean(); }
  std::size_t experiments() const { return per_experiment_.size(); }

  fit_summary summary() const {
    const std::size_t parameters = per_experiment_.empty() ? 1 : per_experiment_.size();
    return {.rows = overall_.rows, .parameters = parameters, .identifiable = parameters, .status = "ok"};
  }

  template <class Schema>
  void predict(const dataset<Schema>& data, const row_set& rows, std::span<double> out) const {
    std::size_t at = 0;
    const group_column* experiments =
        !per_experiment_.empty() && data.has_group(group::experiment) ? &data.groups(group::experiment) : nullptr;
    rows.for_each([&](std::size_t row) {
      double value = overall();
      if (experiments != nullptr) {
        const std::string& label = experiments->name(row);
        for (const auto& [name, own] : per_experiment_) {
          if (name == label) value = own.mean();
        }
      }
      out[at++] = value;
    });
  }

 private:
  friend struct mean_of_target;
  entry overall_;
  std::vector<std::pair<std::string, entry>> per_experiment_;
};

/// Mean of the training target: of the row's experiment where training saw it, else of all training rows.
struct mean_of_target {
  static std::string name() { return "mean of the training target"; }
  static constexpr std::string_view reads_identity(group) { return {}; }
  static constexpr bool fitted_per(group) { return false; }
  template <class Schema> static constexpr std::string_view missing_on() { return {}; }

  template <class Schema> static mean_predictor fit(const dataset<Schema>& data, const row_set& rows) {
    if (rows.empty()) throw fit_error("no rows to fit on");
    mean_predictor fitted;
    const auto target = data.target();
    const bool experiments = data.has_group(group::experiment);
    std::vector<std::optional<std::size_t>> slot(experiments ? data.groups(group::experiment).count() : 0);
    rows.for_each([&](std::size_t row) {
      fitted.overall_.sum += target[row];
      ++fitted.overall_.rows;
      if (!experiments) return;
      const group_column& labels = data.groups(group::experiment);
      auto& place = slot[labels.code(row)];
      if (!place) {
        place = fitted.per_experiment_.size();
        fitted.per_experiment_.emplace_back(labels.name(row), mean_predictor::entry{});
      }
      auto& own = fitted.per_experiment_[*place].second;
      own.sum += target[row];
      ++own.rows;
    });
    return fitted;
  }
};

}  // namespace rafter
