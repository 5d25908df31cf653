// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rafter/core/progress.hpp"
#include "rafter/solver/dense.hpp"
#include "rafter/solver/tree_bins.hpp"
#include "rafter/solver/tree_ensemble.hpp"
#include "rafter/solver/tree_loss.hpp"

namespace rafter {

/// Which leaf is split next: all of a level before any of the next, or the one that gains most.
enum class tree_growth : std::uint8_t { depth_wise, loss_guided };

/// Names, defaults and meaning are XGBoost's where it has the option; docs/solver/boosted_trees.md says what it calls it.
struct boosting_options {
  std::size_t rounds = 100;
  double learning_rate = 0.3;     ///< of each leaf; > 0
  double lambda = 1.0;            ///< L2 penalty of a leaf, >= 0
  double alpha = 0.0;             ///< L1 penalty of a leaf, >= 0
  double gamma = 0.0;             ///< what a split must gain, >= 0
  double least_gain = 1e-6;       ///< a split gains more than this: XGBoost's constant, in squared units of the label
  double min_child_weight = 1.0;  ///< sum of hessians on each side of a split, >= 0
  std::size_t max_depth = 6;      ///< 0: no limit
  std::size_t max_leaves = 0;     ///< 0: no limit
  tree_growth growth = tree_growth::depth_wise;
  std::size_t max_bins = 256;  ///< 2 … 256
  double subsample = 1.0;      ///< the chance of a row to count in a tree, in (0, 1]
  double columns_per_tree = 1.0, columns_per_level = 1.0, columns_per_node = 1.0;  ///< fractions of features, nested
  std::uint64_t seed = 0;
  std::optional<double> base_score =
      {};  ///< prediction before any tree; none: from the labels, tree_loss::base_margin
  std::optional<double> max_leaf_step = {};  ///< bound of a leaf before the learning rate; 0: none. Default 0.7 where
                                             ///< the margin is a logarithm, else none
  std::vector<std::int8_t> monotone = {};    ///< per feature: 1 rising, -1 falling, 0 either; or empty
  std::vector<std::vector<std::size_t>> interactions = {};  ///< features that may stand on one path; empty: any may
  std::size_t early_stopping_rounds = 0;  ///< stop when the validation metric was not better for so long; 0: never
  std::size_t threads = 1;                ///< 0: all of the machine. The result does not depend on it
};

/// Everything belongs to the caller.
struct tree_training_data {
  feature_columns x;                     ///< NaN: missing
  std::span<const double> labels;        ///< one for each row
  std::span<const double> weights = {};  ///< one for each row, >= 0; or empty: 1 each
  std::vector<std::string> names = {};   ///< of the features, or empty
};

struct boosting_inputs {
  const tree_training_data* validation = nullptr;  ///< a metric after each round, and what early stopping looks at
  const tree_ensemble* start = nullptr;            ///< trees to go on from: its base and link stay
  const tree_cuts* cuts = nullptr;                 ///< instead of find_tree_cuts
  progress_callback progress = {};                 ///< stage "boosting"
};

/// Wall clock [s].
struct boosting_times {
  double binning = 0.0;
  double gradients = 0.0;   ///< derivatives, metrics, margins
  double histograms = 0.0;  ///< and the search for splits in them
  double partition = 0.0;   ///< of the rows of a node to its children
};

struct boosted_trees_fit {
  tree_ensemble ensemble;                 ///< with early stopping: only the best rounds
  std::vector<double> train_metric;       ///< after each round that was trained
  std::vector<double> validation_metric;  ///< likewise; empty without validation
  std::string metric;                     ///< what these are, tree_loss::metric_name
  std::size_t best_round = 0;             ///< new rounds that the ensemble holds
  bool stopped_early = false;
  boosting_times times;
};

/// Gradient-boosted regression trees: second-order boosting on histograms (Chen and Guestrin 2016, "XGBoost: a scalable
/// tree boosting system"), with XGBoost's `hist` as the model for every choice between equal splits.
///
/// Gradients are rounded to fixed point, at least 20 bits below their mean, and summed as integers: sums are exact, so
/// that the result depends neither on the order of the rows within a node nor on the number of threads.
/// @throws solver_error for input that makes no sense, naming the row, feature or option. At most 2³¹ - 1 rows.
RAFTER_NUMERICS_FUNCTION boosted_trees_fit fit_boosted_trees(const tree_training_data& data, const tree_loss& loss,
                                                             const boosting_options& options = {},
                                                             const boosting_inputs& more = {});

}  // namespace rafter

#if !defined(RAFTER_COMPILED_NUMERICS)
#include "rafter/solver/boosted_trees.ipp"
#endif
