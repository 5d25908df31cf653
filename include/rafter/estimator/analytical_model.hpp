// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "rafter/estimator/estimator.hpp"
#include "rafter/expression/availability.hpp"
#include "rafter/feature/feature_set.hpp"
#include "rafter/step/columns.hpp"
#include "rafter/units/quantity.hpp"

namespace rafter {

/// A step time that is a formula without parameters.
template <class Expression> class analytical_predictor {
  using set = feature_set<feature<"step_time", Expression>>;

 public:
  explicit analytical_predictor(std::size_t rows) : rows_(rows) {}

  fit_summary summary() const {
    return {.rows = rows_, .parameters = 0, .identifiable = 0, .status = "nothing fitted"};
  }

  template <class Schema>
  RAFTER_HOT void predict(const dataset<Schema>& data, const row_set& rows, std::span<double> out) const {
    using binding = detail::dataset_binding<Schema>;
    set::template require_on<binding>();
    if constexpr (set::template evaluable<binding>) {
      const column_evaluation<typename set::template plan_for<binding>, Schema> evaluation(data, rows);
      std::size_t at = 0;
      evaluation.for_each_run(rows, [&](const auto& slots, row_range range) {
        for (std::size_t row = range.begin; row < range.end; row += pack_width) {
          evaluation.template rows<pack>(slots, row, [&](auto, pack value) {
            const std::size_t count = std::min(pack_width, range.end - row);
            for (std::size_t lane = 0; lane < count; ++lane) out[at++] = value[lane];
          });
        }
      });
    }
  }
  template <class Record, class Deployment>
  static constexpr seconds predict(const Record& record, const Deployment& deployment) {
    return seconds{set::evaluate(record, deployment)[0]};
  }

 private:
  std::size_t rows_;
};

/// A formula as an estimator: nothing is fitted; its parameters, if it has any, are held. `analytical_model<analytical::roofline_step_time>` is `roofline0`.
template <auto Expression> struct analytical_model {
  using expression_type = std::remove_cvref_t<decltype(Expression)>;
  static_assert(expression_type::dimension_v == units::second,
                "rafter: a step-time model is an expression in seconds");
  static_assert(detail::first_observed_after<expression_type>().empty(),
                "rafter: a step-time model reads an observable that is known only after the step");
  static_assert(!parametric<expression_type>,
                "rafter: this expression has free parameters: fit them with nonlinear<...>");

  static std::string name() { return "formula, nothing fitted"; }
  static constexpr std::string_view reads_identity(group axis) {
    return detail::first_identity_of<expression_type>(name_of(axis));
  }
  static constexpr bool fitted_per(group) { return false; }
  template <class Schema> static constexpr std::string_view missing_on() {
    return detail::first_missing<expression_type, detail::dataset_binding<Schema>>();
  }

  template <class Schema>
  static analytical_predictor<expression_type> fit(const dataset<Schema>&, const row_set& rows) {
    return analytical_predictor<expression_type>(rows.size());
  }
};

}  // namespace rafter
