// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "rafter/core/random.hpp"
#include "rafter/solver/tree_ensemble.hpp"

namespace rafter {

/// What the splits of an ensemble say of one feature, as XGBoost's get_score.
struct tree_importance {
  std::size_t weight = 0;    ///< splits that ask it
  double total_gain = 0.0;   ///< sum of their gains
  double total_cover = 0.0;  ///< sum of their covers

  /// Means over the splits; 0 for a feature that no split asks, which XGBoost leaves out of its list.
  double gain() const { return weight == 0 ? 0.0 : total_gain / static_cast<double>(weight); }
  double cover() const { return weight == 0 ? 0.0 : total_cover / static_cast<double>(weight); }
};

/// One for each feature. Gains say how much the training loss fell, so a feature with many distinct values gains by
/// chance alone: permutation_importance on rows that were held out does not.
inline std::vector<tree_importance> importance(const tree_ensemble& ensemble) {
  ensemble.check();
  std::vector<tree_importance> made(ensemble.features);
  for (const regression_tree& tree : ensemble.trees) {
    for (const tree_node& node : tree.nodes) {
      if (node.leaf()) continue;
      tree_importance& one = made[static_cast<std::size_t>(node.feature)];
      ++one.weight;
      one.total_gain += node.gain;
      one.total_cover += node.cover;
    }
  }
  return made;
}

struct permutation_options {
  std::size_t repeats = 10;
  std::uint64_t seed = 1;
};

/// By how much the loss rises when one column is shuffled: it keeps its values and says nothing of the target.
struct permutation_increase {
  double mean = 0.0;       ///< over the repeats
  double deviation = 0.0;  ///< standard deviation between repeats (divisor repeats - 1; NaN for a single one)
  /// Standard error of the mean: what other seeds would change. Other rows would change more.
  double error(std::size_t repeats) const { return deviation / std::sqrt(static_cast<double>(repeats)); }
};

struct permutation_result {
  double loss = 0.0;  ///< with all columns as they are
  std::vector<permutation_increase> columns;
};

/// Permutation importance of any predictor (Breiman 2001, as in Fisher, Rudin and Dominici 2019): each column in turn
/// is shuffled `repeats` times by random numbers that depend on the seed and the column's index only.
/// A shuffle is a uniformly random permutation (Fisher and Yates); an importance may come out negative.
/// @param x        rows × columns numbers, column after column
/// @param predict  void(std::span<const double> x, std::span<double> predictions): x as above
/// @param loss     double(std::span<const double> predictions), such as the mean absolute percentage error
/// @throws tree_error when sizes disagree, or nothing is to be repeated
template <class Predict, class Loss>
permutation_result permutation_importance(std::span<const double> x, std::size_t rows, Predict&& predict, Loss&& loss,
                                          const permutation_options& options = {}) {
  if (rows == 0 || x.size() % rows != 0) {
    throw tree_error(std::to_string(x.size()) + " numbers are no columns of " + std::to_string(rows) + " rows");
  }
  if (options.repeats == 0) throw tree_error("permutation importance needs at least one repeat");
  const std::size_t columns = x.size() / rows;
  std::vector<double> shuffled(x.begin(), x.end()), predictions(rows), rises(options.repeats);
  const auto loss_now = [&] {
    predict(std::span<const double>(shuffled), std::span<double>(predictions));
    return static_cast<double>(loss(std::span<const double>(predictions)));
  };
  permutation_result made;
  made.loss = loss_now();
  made.columns.resize(columns);
  for (std::size_t j = 0; j < columns; ++j) {
    detail::seeded_numbers random(options.seed + 0x9e3779b97f4a7c15U * (2 * j + 1));
    double* const column = shuffled.data() + j * rows;
    double sum = 0.0;
    for (double& rise : rises) {
      for (std::size_t i = rows; i > 1; --i) std::swap(column[i - 1], column[random.below(i)]);
      rise = loss_now() - made.loss;
      sum += rise;
    }
    for (std::size_t i = 0; i < rows; ++i) column[i] = x[j * rows + i];
    const double mean = sum / static_cast<double>(options.repeats);
    double square = 0.0;
    for (const double rise : rises) square += (rise - mean) * (rise - mean);
    made.columns[j] = {mean, std::sqrt(square / (static_cast<double>(options.repeats) - 1.0))};
  }
  return made;
}

}  // namespace rafter
