// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: part of rafter/evaluation/uncertainty/conformal.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "rafter/architecture/quantities.hpp"
#include "rafter/config.hpp"
#include "rafter/evaluation/uncertainty/interval_calibration.hpp"
#include "rafter/expression/availability.hpp"
#include "rafter/feature/matrix.hpp"
#include "rafter/step/dataset.hpp"
#include "rafter/step/groups.hpp"
#include "rafter/step/observables.hpp"
#include "rafter/validation/composed_name.hpp"

/// Partitions of steps whose quantiles (Mondrian) or whose spreads (normalised) are their own, and how hard a step is.
/// A partition has a `name`, `missing_on<Schema>()`, `of(data, rows)`: the cell of each row, and, where cells do not
/// depend on the data, their number `cells` and `of_record(record, deployment)`: neither allocates nor throws.
namespace rafter {

/// All steps alike.
struct one_cell {
  static constexpr std::string_view name = "all rows";
  static constexpr std::size_t cells = 1;
  template <class Schema> static constexpr std::string_view missing_on() { return {}; }
  template <class Schema> static row_cells of(const dataset<Schema>&, const row_set& rows) {
    return {{std::string(name)}, std::vector<std::uint32_t>(rows.size(), 0)};
  }
  template <class Record, class Deployment> static constexpr std::size_t of_record(const Record&, const Deployment&) {
    return 0;
  }
};

/// Idle, pure prefill, pure decode, mixed: as step_phase.
struct by_phase {
  static constexpr std::string_view name = "phase";
  static constexpr std::size_t cells = 4;
  template <class Schema> static constexpr std::string_view missing_on() {
    return detail::first_missing<decltype(prefill_tokens + decode_tokens), detail::dataset_binding<Schema>>();
  }
  template <class Schema> RAFTER_COLD static row_cells of(const dataset<Schema>& data, const row_set& rows) {
    const feature_values tokens = feature_matrix(set{}, data, rows);
    row_cells made{{"idle", "pure prefill", "pure decode", "mixed"}, {}};
    for (std::size_t i = 0; i < tokens.rows(); ++i) {
      made.codes.push_back(static_cast<std::uint32_t>(code(tokens(i, 0), tokens(i, 1))));
    }
    return made;
  }
  template <class Record, class Deployment>
  static constexpr std::size_t of_record(const Record& record, const Deployment& deployment) {
    const auto tokens = set::evaluate(record, deployment);
    return code(tokens[0], tokens[1]);
  }

 private:
  using set = feature_set<feature<"prefill", std::remove_cvref_t<decltype(prefill_tokens)>>,
                          feature<"decode", std::remove_cvref_t<decltype(decode_tokens)>>>;
  static constexpr std::size_t code(double prompts, double decodes) {
    return prompts > 0.0 ? (decodes > 0.0 ? 3 : 1) : (decodes > 0.0 ? 2 : 0);
  }
};

/// Dense models and mixtures of experts.
struct by_routing {
  static constexpr std::string_view name = "routing";
  static constexpr std::size_t cells = 2;
  template <class Schema> static constexpr std::string_view missing_on() {
    return detail::first_missing<std::remove_cvref_t<decltype(architecture::is_moe)>,
                                 detail::dataset_binding<Schema>>();
  }
  template <class Schema> RAFTER_COLD static row_cells of(const dataset<Schema>& data, const row_set& rows) {
    const feature_values moe = feature_matrix(set{}, data, rows);
    row_cells made{{"dense", "mixture of experts"}, {}};
    for (std::size_t i = 0; i < moe.rows(); ++i) made.codes.push_back(moe(i, 0) != 0.0 ? 1U : 0U);
    return made;
  }
  template <class Record, class Deployment>
  static constexpr std::size_t of_record(const Record& record, const Deployment& deployment) {
    return set::evaluate(record, deployment)[0] != 0.0 ? 1 : 0;
  }

 private:
  using set = feature_set<feature<"is_moe", std::remove_cvref_t<decltype(architecture::is_moe)>>>;
};

/// The labels of an axis, for rows of datasets: records have none. A label that was not calibrated has no interval.
template <group Axis> struct by_label {
  static constexpr std::string_view name = name_of(Axis);
  template <class Schema> static constexpr std::string_view missing_on() { return {}; }
  /// @throws dataset_error when the data lacks the axis
  template <class Schema> RAFTER_COLD static row_cells of(const dataset<Schema>& data, const row_set& rows) {
    const group_column& labels = data.groups(Axis);
    row_cells made{labels.names(), {}};
    made.codes.reserve(rows.size());
    rows.for_each([&](std::size_t row) { made.codes.push_back(labels.code(row)); });
    return made;
  }
};

namespace detail {
struct word_crossed_with {
  static constexpr std::string_view name = " and ";
};
}  // namespace detail

/// Each pair of cells of two partitions.
template <class First, class Second> struct crossed {
  static constexpr auto words = detail::composed_name<First, detail::word_crossed_with, Second>;
  static constexpr std::string_view name = words.view();
  template <class Schema> static constexpr std::string_view missing_on() {
    constexpr std::string_view first = First::template missing_on<Schema>();
    return first.empty() ? Second::template missing_on<Schema>() : first;
  }
  template <class Schema> RAFTER_COLD static row_cells of(const dataset<Schema>& data, const row_set& rows) {
    const row_cells first = First::of(data, rows), second = Second::of(data, rows);
    row_cells made;
    for (const std::string& a : first.names) {
      for (const std::string& b : second.names) made.names.push_back(a + ", " + b);
    }
    const auto width = static_cast<std::uint32_t>(second.names.size());
    for (std::size_t i = 0; i < first.codes.size(); ++i) {
      made.codes.push_back(first.codes[i] * width + second.codes[i]);
    }
    return made;
  }
  template <class Record, class Deployment>
  static constexpr std::size_t of_record(const Record& record, const Deployment& deployment) requires requires {
    First::of_record(record, deployment), Second::of_record(record, deployment);
  }
  { return First::of_record(record, deployment) * Second::cells + Second::of_record(record, deployment); }
};

/// Scores as they are.
struct no_difficulty {
  static constexpr bool fits_spread = false;
  using spread = one_cell;
  static std::string text() { return {}; }
  template <class Schema> static constexpr std::string_view missing_on() { return {}; }
  template <class Schema> static std::vector<double> of(const dataset<Schema>&, const row_set&) { return {}; }
  template <class Record, class Deployment> static constexpr double of_record(const Record&, const Deployment&) {
    return 1.0;
  }
};
/// Scores over the mean error of their cell among the calibrated rows, each group alike: one quantile for all cells, so
/// that few groups do, and widths that follow the cell. What is fitted here has seen the calibrated rows but not the new
/// one; with G groups this costs coverage of order 1 / G.
template <class Cells> struct spread_by : no_difficulty {
  static constexpr bool fits_spread = true;
  using spread = Cells;
  static std::string text() { return "errors over the mean one of their " + std::string(Cells::name); }
  template <class Schema> static constexpr std::string_view missing_on() {
    return Cells::template missing_on<Schema>();
  }
};
/// Scores over an expression of the step that is given, not fitted: no coverage is lost. Not positive: no interval.
template <auto Expression> struct scaled_by : no_difficulty {
  static std::string text() { return "errors over a given scale"; }
  template <class Schema> static constexpr std::string_view missing_on() {
    return detail::first_missing<std::remove_cvref_t<decltype(Expression)>, detail::dataset_binding<Schema>>();
  }
  template <class Schema>
  RAFTER_COLD static std::vector<double> of(const dataset<Schema>& data, const row_set& rows) {
    const feature_values values = feature_matrix(set{}, data, rows);
    return {values.data(), values.data() + values.rows()};
  }
  template <class Record, class Deployment>
  static constexpr double of_record(const Record& record, const Deployment& deployment) {
    return set::evaluate(record, deployment)[0];
  }

 private:
  using set = feature_set<feature<"scale", std::remove_cvref_t<decltype(Expression)>>>;
};

}  // namespace rafter
