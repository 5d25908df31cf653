// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: compiles the training of trees; for those who fit them.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "rafter/estimator/estimator.hpp"
#include "rafter/estimator/feature_tiles.hpp"
#include "rafter/estimator/linear.hpp"
#include "rafter/estimator/trees.hpp"
#include "rafter/units/quantity.hpp"

namespace rafter {

namespace detail {

/// Of ascending levels: one half if it is there, else the middle one (of two the lower).
template <std::size_t Count> constexpr std::size_t middle_level(const std::array<double, Count>& levels) {
  for (std::size_t k = 0; k < Count; ++k) {
    if (levels[k] == 0.5) return k;
  }
  return (Count - 1) / 2;
}

}  // namespace detail

/// Fitted trees of several quantiles. Those of one row are sorted: each level alone may cross another (see quantile_trees).
template <class Features, class Objective, auto... Levels> class quantile_trees_predictor {
  using parts_type = std::tuple<trees_predictor<Features, objective::quantile<Objective, Levels>>...>;
  using base_type = std::remove_cvref_t<decltype(Objective::base())>;

 public:
  static constexpr std::array<double, sizeof...(Levels)> levels{std::remove_cvref_t<decltype(Levels)>::value...};
  static constexpr std::size_t middle = detail::middle_level(levels);

  explicit quantile_trees_predictor(parts_type parts) : parts_(std::move(parts)) {}

  /// The trees of one level, as they were fitted.
  template <std::size_t K> const auto& part() const { return std::get<K>(parts_); }

  fit_summary summary() const {
    fit_summary made = part<0>().summary();
    made.parameters = made.identifiable = 0;
    std::apply(
        [&](const auto&... each) {
          ((made.parameters += each.summary().parameters, made.identifiable += each.summary().identifiable), ...);
        },
        parts_);
    made.status = std::to_string(levels.size()) + " levels, each of them boosted trees";
    return made;
  }

  /// All levels [s]. @param out  row by row, `levels.size()` ascending values of each of the rows
  template <class Schema>
  void predict_quantiles(const dataset<Schema>& data, const row_set& rows, std::span<double> out) const {
    for_each_row(data, rows, [&](std::size_t i, const std::array<double, levels.size()>& sorted) {
      std::copy(sorted.begin(), sorted.end(), out.begin() + static_cast<std::ptrdiff_t>(i * levels.size()));
    });
  }
  /// The median, or the middle one of the levels [s].
  template <class Schema>
  void predict(const dataset<Schema>& data, const row_set& rows, std::span<double> out) const {
    for_each_row(data, rows,
                 [&](std::size_t i, const std::array<double, levels.size()>& sorted) { out[i] = sorted[middle]; });
  }

  /// All levels of one step of one deployment [s], ascending.
  template <class Record, class Deployment>
  std::array<double, levels.size()> predict_quantiles(const Record& record, const Deployment& deployment) const {
    std::array<double, levels.size()> made = std::apply(
        [&](const auto&... each) { return std::array{each.predict(record, deployment).value...}; }, parts_);
    std::sort(made.begin(), made.end());
    return made;
  }
  template <class Record, class Deployment>
  seconds predict(const Record& record, const Deployment& deployment) const {
    return seconds{predict_quantiles(record, deployment)[middle]};
  }

 private:
  parts_type parts_;

  template <class Schema, class Visit>
  void for_each_row(const dataset<Schema>& data, const row_set& rows, Visit visit) const {
    using needs = detail::linear_needs<Features, Objective, detail::dataset_binding<Schema>>;
    needs::require();
    if constexpr (needs::missing().empty()) {
      std::array<std::vector<double>, levels.size()> values;
      detail::for_each_feature_tile<Features, base_type>(data, rows, [&](const detail::feature_tile& tile) {
        std::size_t level = 0;
        const auto fill = [&](const auto& of_level) {
          std::vector<double>& own = values[level++];
          own.resize(tile.rows);
          of_level.layout().predict(tile.values, tile.stride, tile.rows, own.data());
        };
        std::apply([&](const auto&... each) { (fill(each), ...); }, parts_);
        std::array<double, levels.size()> sorted;
        for (std::size_t i = 0; i < tile.rows; ++i) {
          for (std::size_t k = 0; k < levels.size(); ++k) {
            sorted[k] = Objective::predict(values[k][i], tile.column(Features::size)[i]);
          }
          std::sort(sorted.begin(), sorted.end());
          visit(tile.first + i, sorted);
        }
      });
    }
  }
};

/// Boosted trees for several quantiles of the time, an ensemble for each level. Ensembles fitted apart can cross; the
/// values of a row are therefore sorted, which never takes them further from the true quantiles (Chernozhukov,
/// Fernández-Val and Galichon 2010, "Quantile and probability curves without crossing", Econometrica 78).
///
///   using band = quantile_trees<catalog::study30, objective::log_target, study_boosting<4>, 0.1_c, 0.5_c, 0.9_c>;
///   band::fit(data, rows).predict_quantiles(data, test, out);   // three values a row
///
/// As an estimator it predicts the median, or the middle one of the levels.
template <auto Features, class Objective, boosting_policy Policy, auto... Levels> struct quantile_trees {
  static_assert(sizeof...(Levels) > 0, "rafter: quantile_trees needs a level");
  template <auto Level> using of_level = trees<Features, objective::quantile<Objective, Level>, Policy>;
  using features = typename std::remove_cvref_t<decltype(Features)>::set_type;
  using predictor_type = quantile_trees_predictor<features, Objective, Levels...>;
  static constexpr auto levels = predictor_type::levels;
  static_assert(std::is_sorted(levels.begin(), levels.end(), [](double a, double b) { return a <= b; }),
                "rafter: the levels of quantile_trees ascend, each once");

  static std::string name() {
    std::string text;
    for (const double level : levels) text += (text.empty() ? "" : ", ") + detail::number_text(level);
    return first::name() + " " + text;
  }
  static constexpr std::string_view reads_identity(group axis) { return first::reads_identity(axis); }
  static constexpr bool fitted_per(group) { return false; }
  template <class Schema> static constexpr std::string_view missing_on() {
    return first::template missing_on<Schema>();
  }

  /// @throws fit_error as trees::fit
  template <class Schema> RAFTER_COLD static auto fit(const dataset<Schema>& data, const row_set& rows) {
    detail::linear_needs<features, Objective, detail::dataset_binding<Schema>>::require();
    if constexpr (missing_on<Schema>().empty()) {
      return predictor_type(std::tuple{of_level<Levels>::fit(data, rows)...});
    }
  }

 private:
  using first = of_level<std::get<0>(std::tuple{Levels...})>;
};

}  // namespace rafter
