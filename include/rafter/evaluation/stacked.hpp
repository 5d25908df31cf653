// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "rafter/core/error.hpp"
#include "rafter/estimator/composed.hpp"
#include "rafter/evaluation/evaluate.hpp"
#include "rafter/validation/nested.hpp"
#include "rafter/validation/split_policy.hpp"

namespace rafter {

namespace detail {

/// The weights ≥ 0 that sum to one and make wᵀHw least, for H = Σ eeᵀ of the parts' errors: the minimum over the
/// simplex is the minimum over the affine hull of some of the parts, w ∝ H⁻¹1 there. All sets of parts are tried (at
/// most 1023); of equally good ones the first, so that parts with the same errors do not share a weight.
/// @param h  count × count, row-major, symmetric, positive semidefinite
RAFTER_COLD inline std::vector<double> simplex_weights(const std::vector<double>& h, std::size_t count) {
  std::vector<double> best(count, 0.0);
  double least = std::numeric_limits<double>::infinity();
  std::vector<std::size_t> some;
  for (unsigned chosen = 1; chosen < (1U << count); ++chosen) {
    some.clear();
    for (std::size_t i = 0; i < count; ++i) {
      if ((chosen >> i & 1U) != 0) some.push_back(i);
    }
    const std::size_t n = some.size();
    std::vector<double> weights(n, 1.0);
    if (n > 1) {  // Cholesky of the unit-diagonal matrix; dependent errors: a smaller set does as well
      std::vector<double> l(n * n, 0.0);
      std::vector<double> unit(n);
      bool independent = true;
      for (std::size_t i = 0; i < n && independent; ++i) {
        const double diagonal = h[some[i] * count + some[i]];
        independent = diagonal > 0.0;
        unit[i] = 1.0 / std::sqrt(diagonal);
        for (std::size_t j = 0; j <= i && independent; ++j) {
          double value = h[some[i] * count + some[j]] * unit[i] * unit[j];
          for (std::size_t k = 0; k < j; ++k) value -= l[i * n + k] * l[j * n + k];
          if (i == j) independent = value > 1e-12;
          l[i * n + j] = i == j ? std::sqrt(value) : value / l[j * n + j];
        }
      }
      if (!independent) continue;
      for (std::size_t i = 0; i < n; ++i) {
        weights[i] = unit[i];
        for (std::size_t k = 0; k < i; ++k) weights[i] -= l[i * n + k] * weights[k];
        weights[i] /= l[i * n + i];
      }
      double total = 0.0;
      for (std::size_t i = n; i-- > 0;) {
        for (std::size_t k = i + 1; k < n; ++k) weights[i] -= l[k * n + i] * weights[k];
        weights[i] /= l[i * n + i];
      }
      for (std::size_t i = 0; i < n; ++i) total += weights[i] *= unit[i];
      for (double& weight : weights) weight /= total;
      if (std::any_of(weights.begin(), weights.end(), [](double w) { return !(w >= 0.0); })) continue;
    }
    double squares = 0.0;
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) squares += weights[i] * weights[j] * h[some[i] * count + some[j]];
    }
    if (!(squares < least)) continue;
    least = squares;
    std::fill(best.begin(), best.end(), 0.0);
    for (std::size_t i = 0; i < n; ++i) best[some[i]] = weights[i];
  }
  return best;
}

}  // namespace detail

/// Stacked generalisation (Wolpert 1992; Breiman 1996, with weights that are not negative and sum to one): inside the
/// training rows every estimator predicts the rows that `InnerSplit` holds out; the weights make the squared relative
/// error of the weighted predictions least there; then all estimators are fitted again on all training rows. The rows
/// that an outer split tests are never looked at.
///
///   using both = stacked<lomo, predictors::best, predictors::ridge_scale_free>;
///
/// Costs one fit of each estimator per inner fold and one more. An estimator that identifies, or is fitted per, what
/// the inner split holds out does not compile.
template <split_policy InnerSplit, class... Estimators> struct stacked : detail::parts_facts<Estimators...> {
  static_assert(sizeof...(Estimators) <= 10, "rafter: stacked takes at most ten estimators");
  static constexpr std::size_t size = sizeof...(Estimators);

  static std::string name() {
    return "weights by nested " + std::string(InnerSplit::name) + " of " +
           detail::parts_facts<Estimators...>::names(", ");
  }

  /// What is chosen by looking at errors, and on which rows.
  static std::string tuned() {
    return "weights of the parts, on " + std::string(InnerSplit::name) + " inside the training rows";
  }

  /// @throws fit_error when the inner split cannot be made of the rows, or naming the estimator that cannot be fitted,
  ///         cannot predict or predicts no finite number inside
  template <class Schema> RAFTER_COLD static auto fit(const dataset<Schema>& data, const row_set& rows) {
    (detail::refuse_leaks<Estimators, InnerSplit>(), ...);
    if constexpr ((transfers_under<Estimators, InnerSplit> && ...)) {
      const std::vector<fold> inner = inner_folds(data, rows);
      std::vector<double> squares(size * size, 0.0);
      std::size_t tested = 0;
      for (const fold& part : inner) add_errors(squares, data, part), tested += part.test.size();
      const std::vector<double> found = detail::simplex_weights(squares, size);
      std::array<double, size> weights;
      std::copy_n(found.begin(), size, weights.begin());
      std::string alone =
          "error on rows held out by nested " + std::string(InnerSplit::name) + " (root mean square):";
      double together = 0.0;
      for (std::size_t i = 0; i < size; ++i) {
        alone += percent(squares[i * size + i], tested) + " " + names()[i] + ",";
        for (std::size_t j = 0; j < size; ++j) together += weights[i] * weights[j] * squares[i * size + j];
      }
      alone += percent(std::max(0.0, together), tested) + " weighted";
      return weighted_predictor<std::remove_cvref_t<decltype(Estimators::fit(data, rows))>...>(
          std::tuple{detail::fit_part<Estimators>(data, rows, detail::label_of<Estimators>())...}, weights, names(),
          {alone});
    }
  }

 private:
  static std::array<std::string, size> names() { return {detail::label_of<Estimators>()...}; }
  static std::string percent(double squares, std::size_t rows) {
    char text[32];
    std::snprintf(text, sizeof text, " %.2f %%", 100.0 * std::sqrt(squares / static_cast<double>(rows)));
    return text;
  }

  template <class Schema> static std::vector<fold> inner_folds(const dataset<Schema>& data, const row_set& rows) {
    if (rows.empty()) throw fit_error("no rows to fit on");
    try {
      std::vector<fold> folds = folds_inside(fold{"of the outer split", rows, {}, {}}, InnerSplit{}, data);
      check_folds(folds, data.size());
      check_held_out<InnerSplit>(folds, data);
      return folds;
    } catch (const error& why) {
      throw fit_error("cannot stack: the " + std::to_string(rows.size()) + " training rows cannot be split by " +
                      std::string(InnerSplit::name) + ": " + why.what());
    }
  }

  /// Adds the products of the parts' relative errors on one inner fold's test rows.
  template <class Schema>
  static void add_errors(std::vector<double>& squares, const dataset<Schema>& data, const fold& part) {
    const std::size_t rows = part.test.size();
    std::vector<double> errors(size * rows);
    std::size_t at = 0;
    const auto predict = [&]<class Estimator>() {
      const std::span<double> own(errors.data() + at++ * rows, rows);
      const std::string label = detail::label_of<Estimator>() + ", inner fold '" + part.held_out + "'";
      try {
        Estimator::fit(data, part.train).predict(data, part.test, own);
      } catch (const fit_error& why) {
        throw fit_error(label + ": " + why.what());
      }
      std::size_t i = 0;
      part.test.for_each([&](std::size_t row) {
        own[i] = own[i] / data.target()[row] - 1.0;
        if (!std::isfinite(own[i++])) {
          throw fit_error(label + ": the relative error on row " + std::to_string(row) + " (" + data.source() + ":" +
                          std::to_string(data.line(row)) + ") is not a finite number");
        }
      });
    };
    (predict.template operator()<Estimators>(), ...);
    for (std::size_t i = 0; i < size; ++i) {
      for (std::size_t j = 0; j < size; ++j) {
        for (std::size_t row = 0; row < rows; ++row)
          squares[i * size + j] += errors[i * rows + row] * errors[j * rows + row];
      }
    }
  }
};

}  // namespace rafter
