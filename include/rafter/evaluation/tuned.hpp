// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rafter/core/error.hpp"
#include "rafter/estimator/linear.hpp"
#include "rafter/metrics/percentage_error.hpp"
#include "rafter/solver/ridge.hpp"
#include "rafter/validation/fold.hpp"
#include "rafter/validation/split_policy.hpp"
#include "rafter/validation/subset_view.hpp"

namespace rafter {

/// Which inner error a penalty is chosen by.
enum class tuning_criterion { mean_fold, worst_fold };

/// What one penalty scored on the inner folds.
struct tuning_score {
  double alpha = 0.0;
  double score = 0.0;              ///< the criterion: mean or worst inner MAPE (fraction); NaN where one is undefined
  std::vector<double> inner_mape;  ///< per inner fold, in the order of the inner split
};

/// A ridge fit with the penalty that its training rows chose.
template <class Features, class Objective> class tuned_predictor : public linear_predictor<Features, Objective> {
 public:
  tuned_predictor(linear_predictor<Features, Objective> fitted, std::vector<tuning_score> scores)
      : linear_predictor<Features, Objective>(std::move(fitted)), scores_(std::move(scores)) {}

  double alpha() const { return this->solution().alpha; }
  /// All penalties tried, ascending.
  const std::vector<tuning_score>& scores() const { return scores_; }

 private:
  std::vector<tuning_score> scores_;
};

namespace detail {

/// The sums of each training set. Where what the sets leave out is disjoint, each part is summed once and added, never
/// subtracted (see linear::fit_each); else each set is summed by itself.
template <class Rows>
std::vector<normal_equations> equations_of_each(const Rows& all, const std::vector<row_set>& trainings,
                                                std::size_t size) {
  row_set any;
  for (const row_set& rows : trainings) any = any | rows;
  std::vector<row_set> left_out;
  row_set seen;
  bool disjoint = trainings.size() > 2;
  for (const row_set& rows : trainings) {
    left_out.push_back(any & rows.complement(size));
    disjoint = disjoint && (seen & left_out.back()).empty();
    seen = seen | left_out.back();
  }
  std::vector<normal_equations> each;
  if (!disjoint) {
    for (const row_set& rows : trainings) each.push_back(all.equations(rows));
    return each;
  }
  const std::size_t count = trainings.size();
  std::vector<normal_equations> part;
  for (const row_set& rows : left_out) part.push_back(all.equations(rows));
  std::vector<normal_equations> after(count + 1);
  after[count] = all.equations(any & seen.complement(size));
  for (std::size_t i = count; i-- > 0;) after[i] = after[i + 1] + part[i];
  normal_equations before(after[count].shift);
  for (std::size_t i = 0; i < count; ++i) {
    each.push_back(before + after[i + 1]);
    before += part[i];
  }
  return each;
}

}  // namespace detail

/// Ridge regression whose penalty (1e-3 … 1e3 by decades) is chosen inside the training rows: they are split by
/// `InnerSplit`, each penalty is fitted on every inner training set and tested on its inner test rows, and the one
/// with the least MAPE (mean or worst inner fold; the first of equals) is fitted again on all training rows. The rows
/// that an outer split tests are never looked at.
///
///   using ridge_tuned = tuned_ridge<catalog::scale_free, lomo, objective::log_target>;
///
/// Costs one pass over the training rows for all sums, and per penalty one small solve and one prediction per fold.
template <auto Features, split_policy InnerSplit, class Objective = objective::squared,
          tuning_criterion Criterion = tuning_criterion::mean_fold>
struct tuned_ridge {
 private:
  using untuned = linear<Features, ridge<1>, Objective>;

 public:
  using features = typename untuned::features;
  static constexpr std::array<double, 7> grid{1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3};

  static std::string name() {
    std::string text = "ridge, alpha by nested " + std::string(InnerSplit::name) +
                       (Criterion == tuning_criterion::worst_fold ? " (worst fold)" : "") + " on " +
                       std::to_string(features::size) + " features";
    if (Objective::name != objective::squared::name) text += ", " + std::string(Objective::name);
    return text;
  }
  /// What is chosen by looking at errors, and on which rows.
  static std::string tuned() {
    return "alpha, by the " +
           std::string(Criterion == tuning_criterion::worst_fold ? "worst fold" : "mean over folds") + " of " +
           std::string(InnerSplit::name) + " inside the training rows";
  }
  static constexpr std::string_view reads_identity(group axis) { return untuned::reads_identity(axis); }
  static constexpr bool fitted_per(group) { return false; }
  template <class Schema> static constexpr std::string_view missing_on() {
    return untuned::template missing_on<Schema>();
  }

  /// @throws fit_error when the inner split cannot be made of the rows (one group only, too few), when no penalty
  ///         predicts the inner folds with finite numbers, and as `linear` does
  template <class Schema> static auto fit(const dataset<Schema>& data, const row_set& rows) {
    detail::linear_needs<features, Objective, detail::dataset_binding<Schema>>::require();
    if constexpr (missing_on<Schema>().empty()) {
      using fitted = linear_predictor<features, Objective>;
      const std::vector<fold> inner = inner_folds(data, rows);
      const detail::linear_rows<features, Objective, Schema> all(data, rows);
      const normal_equations whole = all.equations(rows);
      all.refuse_non_finite(whole, rows);
      std::vector<row_set> trainings;
      for (const fold& part : inner) trainings.push_back(part.train);
      const std::vector<normal_equations> sums = detail::equations_of_each(all, trainings, data.size());

      std::vector<tuning_score> scores;
      for (const double alpha : grid) scores.push_back({alpha, 0.0, {}});
      std::vector<double> actual;
      std::vector<double> predicted;
      for (std::size_t f = 0; f < inner.size(); ++f) {
        actual.clear();
        inner[f].test.for_each([&](std::size_t row) { actual.push_back(data.target()[row]); });
        predicted.resize(actual.size());
        const detail::fold_rows second_pass(all, inner[f].train);
        for (tuning_score& one : scores) {
          const fitted candidate(
              ridge_with{.alpha = one.alpha, .standard_errors = false}.solve(sums[f], &second_pass), true);
          candidate.predict(data, inner[f].test, std::span<double>(predicted));
          one.inner_mape.push_back(mape::evaluate(actual, predicted));
        }
      }
      const tuning_score* best = nullptr;
      for (tuning_score& one : scores) {
        one.score = score_of(one.inner_mape);
        if (std::isfinite(one.score) && (best == nullptr || one.score < best->score)) best = &one;
      }
      if (best == nullptr)
        throw fit_error("no penalty predicts the inner folds of " + inner_name() + " with finite numbers");
      const double alpha = best->alpha;
      std::string choice = "alpha " + detail::number_text(alpha) + " by nested " + inner_name();
      if (alpha == grid.front() || alpha == grid.back()) choice += ", the end of the grid";
      return tuned_predictor<features, Objective>(
          fitted(ridge_with{.alpha = alpha}.solve(whole, &all), true, std::move(choice)), std::move(scores));
    }
  }

 private:
  static std::string inner_name() { return std::string(InnerSplit::name); }

  template <class Schema> static std::vector<fold> inner_folds(const dataset<Schema>& data, const row_set& rows) {
    if (rows.empty()) throw fit_error("no rows to fit on");
    try {
      const subset_view training(data, rows);
      std::vector<fold> folds = InnerSplit{}.folds(training);
      for (fold& part : folds) part = training.in_dataset(part);
      check_folds(folds, data.size());
      check_held_out<InnerSplit>(folds, data);
      return folds;
    } catch (const error& why) {
      throw fit_error("cannot tune: the " + std::to_string(rows.size()) + " training rows cannot be split by " +
                      inner_name() + ": " + why.what());
    }
  }
  static double score_of(const std::vector<double>& mapes) {
    double total = 0.0;
    double worst = 0.0;
    for (const double one : mapes) {
      if (std::isnan(one)) return one;
      total += one / static_cast<double>(mapes.size());
      worst = std::max(worst, one);
    }
    return Criterion == tuning_criterion::worst_fold ? worst : total;
  }
};

}  // namespace rafter
