// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: compiles the training of trees; for those who ask which features matter.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "rafter/estimator/feature_tiles.hpp"
#include "rafter/estimator/linear.hpp"
#include "rafter/estimator/trees.hpp"
#include "rafter/evaluation/attribution.hpp"
#include "rafter/evaluation/diagnostics/importance_stability.hpp"
#include "rafter/evaluation/evaluate.hpp"
#include "rafter/evaluation/hybrid.hpp"
#include "rafter/metrics/percentage_error.hpp"
#include "rafter/solver/tree_importance.hpp"
#include "rafter/validation/fold.hpp"

/// Which features matter to a predictor, fold by fold; whether the folds agree: diagnostics/importance_stability.hpp.
namespace rafter {

/// What the splits of trees say; names as XGBoost's get_score (there, `splits` is "weight"). Gains are in squared units of
/// the label, covers in rows (sums of hessians).
enum class split_measure : std::uint8_t { gain, total_gain, cover, total_cover, splits };

constexpr std::string_view name_of(split_measure of) {
  constexpr std::array<std::string_view, 5> names{"gain", "total gain", "cover", "total cover", "splits"};
  return names[static_cast<std::size_t>(of)];
}

namespace detail {

template <class F, class O, class L> const tree_ensemble& ensemble_of(const trees_predictor<F, O, L>& predictor) {
  return predictor.ensemble();
}
template <class P, class F, class L> const tree_ensemble& ensemble_of(const hybrid_predictor<P, F, L>& predictor) {
  return predictor.correction();
}
template <class F, class O, class L> std::vector<std::string> features_of(const trees_predictor<F, O, L>&) {
  return names_of<F>();
}
template <class P, class F, class L> std::vector<std::string> features_of(const hybrid_predictor<P, F, L>&) {
  return names_of<F>();
}
template <class F, class O> std::vector<std::string> features_of(const linear_predictor<F, O>&) {
  return names_of<F>();
}

template <class Predictor>
concept has_ensemble = requires(const Predictor& predictor) {
  detail::ensemble_of(predictor);
};
template <class Predictor>
concept has_features = requires(const Predictor& predictor) {
  detail::features_of(predictor);
};

/// Features of rows, column after column, and what else a prediction needs of each row.
struct predicted_columns {
  std::vector<double> x;
  std::vector<double> base;  ///< base of the objective, or the physics [s]
};
template <class Features, expression... More, class Schema>
predicted_columns columns_of(const dataset<Schema>& data, const row_set& rows) {
  const std::size_t count = rows.size();
  predicted_columns made{std::vector<double>(Features::size * count), std::vector<double>(count)};
  for_each_feature_tile<Features, More...>(data, rows, [&](const feature_tile& tile) {
    for (std::size_t k = 0; k < Features::size + sizeof...(More); ++k) {
      double* const to = k < Features::size ? made.x.data() + k * count : made.base.data();
      std::copy_n(tile.column(k), tile.rows, to + tile.first);
    }
  });
  return made;
}

// Predictions [s] from columns of features, some of them shuffled.
template <class F, class O, class L, class Schema>
predicted_columns columns_for(const trees_predictor<F, O, L>&, const dataset<Schema>& data, const row_set& rows) {
  return columns_of<F, std::remove_cvref_t<decltype(O::base())>>(data, rows);
}
template <class F, class O, class Schema>
predicted_columns columns_for(const linear_predictor<F, O>&, const dataset<Schema>& data, const row_set& rows) {
  return columns_of<F, std::remove_cvref_t<decltype(O::base())>>(data, rows);
}
template <class P, class F, class L, class Schema>
predicted_columns columns_for(const hybrid_predictor<P, F, L>& predictor, const dataset<Schema>& data,
                              const row_set& rows) {
  predicted_columns made = columns_of<F>(data, rows);
  predictor.physics().predict(data, rows, std::span<double>(made.base));
  return made;
}

template <class F, class O, class L>
void predict_columns(const trees_predictor<F, O, L>& predictor, std::span<const double> x,
                     const std::vector<double>& base, std::span<double> out) {
  predictor.layout().predict(x.data(), base.size(), base.size(), out.data());
  for (std::size_t i = 0; i < base.size(); ++i) out[i] = O::predict(out[i], base[i]);
}
template <class F, class O>
void predict_columns(const linear_predictor<F, O>& predictor, std::span<const double> x,
                     const std::vector<double>& base, std::span<double> out) {
  for (std::size_t i = 0; i < base.size(); ++i) {
    double sum = predictor.solution().intercept;
    for (std::size_t k = 0; k < F::size; ++k) sum += predictor.solution().coefficients[k] * x[k * base.size() + i];
    out[i] = O::predict(sum, base[i]);
  }
}
template <class P, class F, class L>
void predict_columns(const hybrid_predictor<P, F, L>& predictor, std::span<const double> x,
                     const std::vector<double>& base, std::span<double> out) {
  predictor.correct(x.data(), base.size(), base, out);
}

template <class Predictor, class Measure>
importance_by_fold importance_of_each(const std::vector<Predictor>& fitted, const std::vector<fold>& folds,
                                      std::string measure, Measure values_of) {
  if (fitted.size() != folds.size()) {
    throw evaluation_error(std::to_string(fitted.size()) + " predictors for " + std::to_string(folds.size()) +
                           " folds");
  }
  importance_by_fold made;
  made.measure = std::move(measure);
  for (std::size_t f = 0; f < folds.size(); ++f) {
    if (f == 0) made.features = features_of(fitted[f]);
    made.folds.push_back(folds[f].held_out);
    made.values.push_back(values_of(fitted[f], folds[f]));
  }
  return made;
}

}  // namespace detail

/// What the splits of the trees of each fold's predictor say: trees, or the correction of a hybrid, whether it is used or
/// not. Splits that were chosen by chance count too; the other two importances do not have that fault.
/// @param fitted  in the order of the folds, as of evaluate_on_folds
/// @throws evaluation_error when there are other numbers of predictors and folds
template <detail::has_ensemble Predictor>
importance_by_fold split_importance(const std::vector<Predictor>& fitted, const std::vector<fold>& folds,
                                    split_measure of = split_measure::total_gain) {
  return detail::importance_of_each(fitted, folds, std::string(name_of(of)), [&](const auto& predictor, const fold&) {
    std::vector<double> values;
    for (const tree_importance& one : importance(detail::ensemble_of(predictor))) {
      values.push_back(of == split_measure::gain          ? one.gain()
                       : of == split_measure::total_gain  ? one.total_gain
                       : of == split_measure::cover       ? one.cover()
                       : of == split_measure::total_cover ? one.total_cover
                                                          : static_cast<double>(one.weight));
    }
    return values;
  });
}

/// Mean size of what each feature contributes to the predictions of a fold's test rows, in seconds or as logarithms (see
/// attributions). Of trees, hybrids (0 where the correction is not used) and linear predictors, these against the mean
/// features of the training rows.
/// @throws evaluation_error as above, and where a fold tests no rows
template <detail::has_features Predictor, class Schema>
importance_by_fold attribution_importance(const std::vector<Predictor>& fitted, const dataset<Schema>& data,
                                          const std::vector<fold>& folds) {
  return detail::importance_of_each(fitted, folds, "mean |attribution|",
                                    [&](const auto& predictor, const fold& part) {
                                      if (part.test.empty())
                                        throw evaluation_error("fold '" + part.held_out + "' has no rows to explain");
                                      const attribution_table made = [&] {
                                        if constexpr (detail::has_ensemble<Predictor>) {
                                          return attributions(predictor, data, part.test);
                                        } else {
                                          return attributions(predictor, data, part.test, part.train);
                                        }
                                      }();
                                      // The features stand last: what is before them is the physics, or the base of the objective.
                                      const std::size_t features = detail::features_of(predictor).size();
                                      std::vector<double> sizes = made.mean_absolute();
                                      sizes.erase(sizes.begin(), sizes.end() - static_cast<std::ptrdiff_t>(features));
                                      return sizes;
                                    });
}

/// By how much the error on a fold's test rows rises when one feature is shuffled among them (solver/tree_importance.hpp):
/// the mean over the repeats, in units of the error. A base of the objective and the physics of a hybrid stay as they are.
/// @tparam Error  a metric of time and prediction
/// @throws evaluation_error as above; tree_error for no rows or no repeats
template <metric Error = mape, detail::has_features Predictor, class Schema>
importance_by_fold permuted_importance(const std::vector<Predictor>& fitted, const dataset<Schema>& data,
                                       const std::vector<fold>& folds, const permutation_options& options = {}) {
  const std::string measure = "rise of " + std::string(Error::label) + " when shuffled";
  return detail::importance_of_each(fitted, folds, measure, [&](const auto& predictor, const fold& part) {
    const detail::predicted_columns columns = detail::columns_for(predictor, data, part.test);
    std::vector<double> times;
    part.test.for_each([&](std::size_t row) { times.push_back(data.target()[row]); });
    const permutation_result rises = permutation_importance(
        std::span<const double>(columns.x), part.test.size(),
        [&](std::span<const double> x, std::span<double> out) {
          detail::predict_columns(predictor, x, columns.base, out);
        },
        [&](std::span<const double> predicted) {
          return distance_from_ideal<Error>(Error::evaluate(std::span<const double>(times), predicted));
        },
        options);
    std::vector<double> values;
    for (const permutation_increase& one : rises.columns) values.push_back(one.mean);
    return values;
  });
}

}  // namespace rafter
