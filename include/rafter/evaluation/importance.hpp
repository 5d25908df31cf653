// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: compiles the training of trees; for those who ask which features matter.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
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
#include "rafter/evaluation/evaluate.hpp"
#include "rafter/evaluation/hybrid.hpp"
#include "rafter/evaluation/section.hpp"
#include "rafter/evaluation/table.hpp"
#include "rafter/metrics/accurate_sum.hpp"
#include "rafter/metrics/correlation.hpp"
#include "rafter/metrics/percentage_error.hpp"
#include "rafter/solver/tree_importance.hpp"
#include "rafter/validation/fold.hpp"

/// Which features matter to a predictor, fold by fold, and whether the folds agree.
namespace rafter {

/// What the splits of trees say; names as XGBoost's get_score (there, `splits` is "weight"). Gains are in squared units of
/// the label, covers in rows (sums of hessians).
enum class split_measure : std::uint8_t { gain, total_gain, cover, total_cover, splits };

constexpr std::string_view name_of(split_measure of) {
  constexpr std::array<std::string_view, 5> names{"gain", "total gain", "cover", "total cover", "splits"};
  return names[static_cast<std::size_t>(of)];
}

/// One number for each feature in each fold; larger: it matters more.
struct importance_by_fold {
  std::string measure;
  std::vector<std::string> features;
  std::vector<std::string> folds;           ///< what each holds out
  std::vector<std::vector<double>> values;  ///< [fold][feature]
};

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
  for (std::size_t i = 0; i < base.size(); ++i) {
    std::array<double, F::size> row;
    for (std::size_t k = 0; k < F::size; ++k) row[k] = x[k * base.size() + i];
    const double counts = predictor.strength() * predictor.gate()(row.data());
    out[i] = base[i] * rafter::exp(counts * predictor.correction().margin(row.data()));
  }
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

// ---------------------------------------------------------------------------------------------------------------
// Do the folds agree?
// ---------------------------------------------------------------------------------------------------------------

/// A statistic of two rankings over all pairs of folds; NaN where no pair has it (a fold whose features all matter alike).
struct ranking_agreement {
  double mean = std::numeric_limits<double>::quiet_NaN(), worst = std::numeric_limits<double>::quiet_NaN();
  std::size_t pairs = 0;  ///< that have it
};

/// How much the folds agree on which features matter. 1: the same ranking in all; 0: no agreement; -1: reversed.
struct importance_stability_result {
  struct feature_rank {
    std::string name;
    double mean = 0.0, best = 0.0, worst = 0.0;  ///< rank over the folds; 1 matters most; ties share the mean rank
    double share = 0.0;     ///< mean over the folds of value / sum of the fold's values; values below 0 count as 0
    std::size_t among = 0;  ///< folds in which it is among the first k
  };
  std::string measure;
  std::size_t folds = 0, k = 0;
  ranking_agreement spearman, kendall, overlap;
  std::vector<feature_rank> features;  ///< by mean rank

  /// The features by mean rank. @param most  rows; the others are left out
  text_table table(std::size_t most = static_cast<std::size_t>(-1)) const {
    text_table made({"<feature", "mean rank", "best", "worst", "share %", "<first " + std::to_string(k)});
    for (std::size_t i = 0; i < std::min(most, features.size()); ++i) {
      const feature_rank& one = features[i];
      made.add({one.name, fmt::format("{:.2f}", one.mean), fmt::format("{:g}", one.best),
                fmt::format("{:g}", one.worst), fmt::format("{:.1f}", 100.0 * one.share),
                "in " + std::to_string(one.among) + " of " + std::to_string(folds)});
    }
    return made;
  }
  /// The three statistics over the pairs of folds.
  text_table agreement() const {
    text_table made({"<folds agree by", "mean", "worst", "pairs"});
    const auto add = [&](std::string what, const ranking_agreement& of) {
      const auto number = [](double value) { return std::isnan(value) ? "-" : fmt::format("{:.3f}", value); };
      made.add({std::move(what), number(of.mean), number(of.worst), std::to_string(of.pairs)});
    };
    add("Spearman rho", spearman);
    add("Kendall tau-b", kendall);
    add("overlap of the first " + std::to_string(k), overlap);
    return made;
  }
};

namespace detail {

/// The k features with the largest values among those above 0; of equal ones the first.
inline std::vector<std::size_t> first_of(const std::vector<double>& values, std::size_t k) {
  std::vector<std::size_t> order;
  for (std::size_t j = 0; j < values.size(); ++j) {
    if (values[j] > 0.0) order.push_back(j);
  }
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return values[a] > values[b]; });
  order.resize(std::min(k, order.size()));
  std::sort(order.begin(), order.end());
  return order;
}

template <class Statistic> ranking_agreement over_pairs(std::size_t folds, Statistic statistic) {
  ranking_agreement made;
  accurate_sum sum;
  for (std::size_t a = 0; a < folds; ++a) {
    for (std::size_t b = a + 1; b < folds; ++b) {
      const double value = statistic(a, b);
      if (std::isnan(value)) continue;
      sum.add(value);
      made.worst = made.pairs++ == 0 ? value : std::min(made.worst, value);
    }
  }
  if (made.pairs > 0) made.mean = sum.value() / static_cast<double>(made.pairs);
  return made;
}

}  // namespace detail

/// Pairwise agreement of the folds' rankings: Spearman's ρ and Kendall's τ-b of the values (metrics/correlation.hpp), and
/// the share that the first k features of two folds have in common, |A ∩ B| / max(|A|, |B|). A feature with a value of 0
/// or below is not among the first.
/// @throws evaluation_error for fewer than two folds, k = 0, folds of different length, or a value that is not finite
inline importance_stability_result importance_stability(const importance_by_fold& of, std::size_t k = 5) {
  if (of.values.size() < 2) throw evaluation_error("agreement of rankings takes two folds or more");
  if (k == 0) throw evaluation_error("the first 0 features have nothing in common");
  const std::size_t features = of.features.size();
  for (std::size_t f = 0; f < of.values.size(); ++f) {
    const std::string where = f < of.folds.size() ? " in fold '" + of.folds[f] + "'" : "";
    if (of.values[f].size() != features) {
      throw evaluation_error(std::to_string(of.values[f].size()) + " values for " + std::to_string(features) +
                             " features" + where);
    }
    for (std::size_t j = 0; j < features; ++j) {
      if (!std::isfinite(of.values[f][j])) {
        throw evaluation_error("the importance of '" + of.features[j] + "' is not a finite number" + where);
      }
    }
  }
  importance_stability_result made;
  made.measure = of.measure;
  made.folds = of.values.size();
  made.k = std::min(k, features);
  const auto column = [&](std::size_t f) { return std::span<const double>(of.values[f]); };
  made.spearman = detail::over_pairs(
      made.folds, [&](std::size_t a, std::size_t b) { return spearman::evaluate(column(a), column(b)); });
  made.kendall = detail::over_pairs(
      made.folds, [&](std::size_t a, std::size_t b) { return kendall_tau_b::evaluate(column(a), column(b)); });
  std::vector<std::vector<std::size_t>> first;
  for (const std::vector<double>& values : of.values) first.push_back(detail::first_of(values, made.k));
  made.overlap = detail::over_pairs(made.folds, [&](std::size_t a, std::size_t b) {
    std::vector<std::size_t> both;
    std::set_intersection(first[a].begin(), first[a].end(), first[b].begin(), first[b].end(),
                          std::back_inserter(both));
    return static_cast<double>(both.size()) / static_cast<double>(std::max(first[a].size(), first[b].size()));
  });
  for (const std::string& name : of.features) made.features.emplace_back().name = name;
  for (std::size_t f = 0; f < made.folds; ++f) {
    const std::vector<double> ascending = average_ranks(column(f));
    double sum = 0.0;
    for (const double value : of.values[f]) sum += std::max(value, 0.0);
    for (std::size_t j = 0; j < features; ++j) {
      importance_stability_result::feature_rank& one = made.features[j];
      const double rank = static_cast<double>(features) + 1.0 - ascending[j];
      one.best = f == 0 ? rank : std::min(one.best, rank);
      one.worst = f == 0 ? rank : std::max(one.worst, rank);
      one.mean += rank;
      if (sum > 0.0) one.share += std::max(of.values[f][j], 0.0) / sum;
    }
    for (const std::size_t j : first[f]) ++made.features[j].among;
  }
  for (importance_stability_result::feature_rank& one : made.features) {
    one.mean /= static_cast<double>(made.folds);
    one.share /= static_cast<double>(made.folds);
  }
  std::stable_sort(made.features.begin(), made.features.end(),
                   [](const auto& a, const auto& b) { return a.mean < b.mean; });
  return made;
}

/// From when on folds are said to agree on what matters.
struct stability_rule {
  double least_spearman = 0.8;  ///< mean over the pairs of folds
  double least_overlap = 0.6;   ///< of the first k, mean over the pairs: three of five
};

enum class stability_verdict : std::uint8_t { not_known, unstable, stable };

/// Stable where both means reach the rule; not known where no pair of folds has a rank correlation.
inline stability_verdict verdict_of(const importance_stability_result& result, const stability_rule& rule = {}) {
  if (result.spearman.pairs == 0 || result.overlap.pairs == 0) return stability_verdict::not_known;
  return result.spearman.mean >= rule.least_spearman && result.overlap.mean >= rule.least_overlap
             ? stability_verdict::stable
             : stability_verdict::unstable;
}

/// The rankings of one or more predictors (or measures) over the folds, and whether they are stable.
/// @param named  what each result is of, e.g. "trees30, rise of MAPE when shuffled"
/// @param most   features that stand in a table
inline report_section importance_section(
    const std::vector<std::pair<std::string, importance_stability_result>>& named, std::size_t most = 10,
    const stability_rule& rule = {}) {
  report_section made{"importance", "Which features matter, and whether the folds agree", "", {}};
  if (named.empty()) {
    made.blocks.push_back(paragraph{"Not made: no importance was computed."});
    return made;
  }
  made.blocks.push_back(
      paragraph{fmt::format("Rankings are called stable when, averaged over the pairs of folds, Spearman's rho is at "
                            "least {:g} and the first "
                            "features have a share of at least {:g} in common.",
                            rule.least_spearman, rule.least_overlap)});
  for (const auto& [name, result] : named) {
    const stability_verdict verdict = verdict_of(result, rule);
    const std::string sentence =
        verdict == stability_verdict::not_known
            ? fmt::format(
                  "{}: whether the ranking is stable is not known, for no two folds have rankings to compare.", name)
            : fmt::format(
                  "{}: the ranking is {} over {} folds (mean rho {:.2f}, {:.0f} % of the first {} in common).", name,
                  verdict == stability_verdict::stable ? "stable" : "not stable", result.folds, result.spearman.mean,
                  100.0 * result.overlap.mean, result.k);
    if (made.summary.empty()) made.summary = sentence;
    made.blocks.push_back(paragraph{sentence});
    made.blocks.push_back(captioned_table{
        name +
            (result.features.size() > most ? fmt::format(": {} of {} features", most, result.features.size()) : ""),
        result.table(most)});
    made.blocks.push_back(captioned_table{name + ": agreement of the folds", result.agreement(), true});
  }
  return made;
}

}  // namespace rafter
