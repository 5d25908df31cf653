// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: compiles the training of trees; for those who ask what a feature is good for.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "rafter/config.hpp"
#include "rafter/estimator/linear.hpp"
#include "rafter/estimator/trees.hpp"
#include "rafter/evaluation/diagnostics/ablation_result.hpp"
#include "rafter/evaluation/evaluate.hpp"
#include "rafter/metrics/percentage_error.hpp"
#include "rafter/validation/fold.hpp"

/// What a feature, or a group of features, is good for: the error without it, after a fit without it. Nothing is
/// compiled per feature: columns are left out of what the solver is given.
namespace rafter {

/// Features that are dropped together.
struct feature_group {
  std::string name;
  std::vector<std::string> features;
};
/// All of a feature set, to be dropped from a larger one: `group_of("physics", catalog::physics)`.
template <class Features> feature_group group_of(std::string name, const Features&) {
  return {std::move(name), {Features::names.begin(), Features::names.end()}};
}

namespace detail {

/// A design without some of its columns.
class design_without final : public design {
 public:
  design_without(const design& all, const std::vector<std::size_t>& kept) : all_(all), kept_(kept) {}
  std::size_t rows() const override { return all_.rows(); }
  std::size_t columns() const override { return kept_.size(); }
  void for_each_block(block_visitor visit) const override {
    std::vector<double> x, low;
    all_.for_each_block([&](const design_block& block) {
      design_block fewer = block;
      const auto gather = [&](const double* from, std::vector<double>& to) -> const double* {
        if (from == nullptr) return nullptr;
        to.resize(kept_.size() * block.stride);
        for (std::size_t j = 0; j < kept_.size(); ++j) {
          std::copy_n(from + kept_[j] * block.stride, block.rows, to.data() + j * block.stride);
        }
        return to.data();
      };
      fewer.x = gather(block.x, x);
      fewer.x_low = gather(block.x_low, low);
      visit(fewer);
    });
  }

 private:
  const design& all_;
  const std::vector<std::size_t>& kept_;
};

/// Sums of products without some of the columns.
RAFTER_COLD inline normal_equations equations_without(const normal_equations& all,
                                                      const std::vector<std::size_t>& kept) {
  std::vector<std::size_t> from{0};  // the column of ones, those kept, the target
  std::vector<double> shift;
  for (const std::size_t k : kept) {
    from.push_back(k + 1);
    shift.push_back(all.shift[k]);
  }
  from.push_back(all.columns + 1);
  shift.push_back(all.shift[all.columns]);
  normal_equations made(std::move(shift));
  made.rows = all.rows;
  for (std::size_t i = 0; i < from.size(); ++i) {
    for (std::size_t j = 0; j < from.size(); ++j) {
      made.gram[i * from.size() + j] = all.gram[from[i] * (all.columns + 2) + from[j]];
    }
    made.largest[i] = all.largest[from[i]];
  }
  return made;
}

/// Which estimator of the library a (derived) type is.
template <auto Features, class Solver, class Objective>
std::type_identity<linear<Features, Solver, Objective>> ablatable(const linear<Features, Solver, Objective>*);
template <auto Features, class Objective, class Policy>
std::type_identity<trees<Features, Objective, Policy>> ablatable(const trees<Features, Objective, Policy>*);

/// Fits of one fold with any columns left out: what does not depend on them is made once.
template <class Estimator, class Schema> class fits_without;

template <auto Features, class Solver, class Objective, class Schema>
class fits_without<linear<Features, Solver, Objective>, Schema> {
  using features = typename std::remove_cvref_t<decltype(Features)>::set_type;

 public:
  fits_without(const dataset<Schema>& data, const row_set& train)
      : rows_(data, train), equations_(rows_.equations(train)) {
    rows_.refuse_non_finite(equations_, train);
  }
  linear_predictor<features, Objective> fit(const std::vector<std::size_t>& kept) const {
    const Solver solver{};
    const design_without fewer(rows_, kept);
    linear_solution solution = kept.size() == features::size
                                   ? solver.solve(equations_, &rows_)
                                   : solver.solve(equations_without(equations_, kept), &fewer);
    std::vector<double> coefficients(features::size, 0.0);
    for (std::size_t j = 0; j < kept.size(); ++j) coefficients[kept[j]] = solution.coefficients[j];
    solution.coefficients = std::move(coefficients);
    return linear_predictor<features, Objective>(std::move(solution), true);
  }

 private:
  linear_rows<features, Objective, Schema> rows_;
  normal_equations equations_;
};

template <auto Features, class Objective, class Policy, class Schema>
class fits_without<trees<Features, Objective, Policy>, Schema> {
  using features = typename std::remove_cvref_t<decltype(Features)>::set_type;

 public:
  fits_without(const dataset<Schema>& data, const row_set& train) {
    if (train.empty()) throw fit_error("no rows to fit on");
    row_set held;
    if constexpr (requires { Policy::validation_share; }) held = last_rows(data, train, Policy::validation_share);
    training_ = columns_to_fit<features, Objective>(data, train & held.complement(data.size()));
    if (!held.empty()) held_ = columns_to_fit<features, Objective>(data, held);
  }
  trees_predictor<features, Objective> fit(const std::vector<std::size_t>& kept) const {
    const boosting_options all = options_for<features, Objective, Policy>();
    boosting_options options = all;
    const std::vector<std::string> names = names_of<features>();
    std::vector<std::string> kept_names;
    std::vector<std::size_t> place(features::size, features::size);
    for (std::size_t j = 0; j < kept.size(); ++j) {
      kept_names.push_back(names[kept[j]]);
      place[kept[j]] = j;
    }
    if (!all.monotone.empty()) {
      options.monotone.clear();
      for (const std::size_t k : kept) options.monotone.push_back(all.monotone[k]);
    }
    for (std::vector<std::size_t>& set : options.interactions) {
      std::vector<std::size_t> fewer;
      for (const std::size_t k : set) {
        if (place[k] < features::size) fewer.push_back(place[k]);
      }
      set = std::move(fewer);
    }
    options.interactions.erase(std::remove_if(options.interactions.begin(), options.interactions.end(),
                                              [](const auto& set) { return set.empty(); }),
                               options.interactions.end());
    boosted_trees_fit made =
        boost(without(training_, kept), without(held_, kept), loss_of_rows<Objective>(), options, kept_names);
    // As an ensemble over all features that asks for the kept ones only.
    for (regression_tree& tree : made.ensemble.trees) {
      for (tree_node& node : tree.nodes) {
        if (node.feature >= 0) node.feature = static_cast<std::int32_t>(kept[static_cast<std::size_t>(node.feature)]);
      }
    }
    made.ensemble.features = features::size;
    made.ensemble.feature_names = names;
    return trees_predictor<features, Objective>(std::move(made), training_.rows + held_.rows);
  }

 private:
  static labelled_columns without(const labelled_columns& all, const std::vector<std::size_t>& kept) {
    labelled_columns fewer;
    fewer.rows = all.rows;
    fewer.labels = all.labels;
    fewer.weights = all.weights;
    fewer.x.reserve(kept.size() * all.rows);
    for (const std::size_t k : kept) {
      const auto from = all.x.begin() + static_cast<std::ptrdiff_t>(k * all.rows);
      if (all.rows > 0) fewer.x.insert(fewer.x.end(), from, from + static_cast<std::ptrdiff_t>(all.rows));
    }
    return fewer;
  }

  labelled_columns training_, held_;
};

RAFTER_COLD inline void finish_ablation(ablation_result& made) {
  const auto finish = [&](ablated_features& one) {
    double sum = 0.0;
    for (std::size_t f = 0; f < one.mapes.size(); ++f) {
      sum += one.mapes[f];
      one.worst_mape = f == 0 || std::isnan(one.mapes[f]) ? one.mapes[f] : std::max(one.worst_mape, one.mapes[f]);
      one.worse_folds += one.mapes[f] > made.baseline.mapes[f] ? 1U : 0U;
    }
    if (one.mapes.empty()) return;
    one.mean_mape = sum / static_cast<double>(one.mapes.size());
    one.mean_change = one.mean_mape - made.baseline.mean_mape;
    one.worst_change = one.worst_mape - made.baseline.worst_mape;
  };
  finish(made.baseline);
  made.baseline.mean_change = made.baseline.worst_change = 0.0;
  for (std::vector<ablated_features>* all : {&made.groups, &made.features}) {
    for (ablated_features& one : *all) finish(one);
    std::stable_sort(all->begin(), all->end(), [](const ablated_features& a, const ablated_features& b) {
      if (std::isnan(a.mean_change) || std::isnan(b.mean_change))
        return std::isnan(a.mean_change) < std::isnan(b.mean_change);
      return a.mean_change > b.mean_change;
    });
  }
}

}  // namespace detail

/// Linear and tree estimators, whose features can be left out.
template <class E>
concept ablatable_estimator = requires(const E* one) {
  detail::ablatable(one);
};

struct ablation_options {
  bool each_feature = true;  ///< not only the groups
  progress_callback progress = {};
  std::size_t threads = 1;  ///< that fit folds; 0: all of the machine. Results do not depend on it
};

/// Fits and tests an estimator on the folds with each feature left out, and each group of features: trees without the
/// columns, linear models without their rows and columns in the sums of products, which are made once for a fold.
/// With nothing dropped it is the ordinary evaluation (linear: to rounding, for `fit_each` adds its sums in another
/// order). Features of a group that the estimator does not have are passed over; a group of which it has none, or
/// all, is refused.
/// @throws evaluation_error naming the fold that cannot be fitted even with nothing dropped
template <ablatable_estimator Estimator, dataset_schema Schema>
RAFTER_COLD ablation_result ablation(const dataset<Schema>& data, const std::vector<fold>& folds,
                                     const std::vector<feature_group>& groups = {},
                                     const ablation_options& options = {}) {
  using form = typename decltype(detail::ablatable(static_cast<const Estimator*>(nullptr)))::type;
  constexpr std::size_t count = Estimator::features::size;
  const std::vector<std::string> names = detail::names_of<typename Estimator::features>();
  ablation_result made;
  made.predictor = detail::label_of<Estimator>();
  struct task {
    ablated_features* to;
    std::vector<std::size_t> kept;
  };
  std::vector<task> tasks;
  std::vector<std::size_t> everything;
  for (std::size_t k = 0; k < count; ++k) everything.push_back(k);
  made.groups.resize(groups.size());
  made.features.resize(options.each_feature && count > 1 ? count : 0);
  tasks.push_back({&made.baseline, everything});
  for (std::size_t g = 0; g < groups.size(); ++g) {
    made.groups[g].dropped = groups[g].name;
    task one{&made.groups[g], {}};
    for (std::size_t k = 0; k < count; ++k) {
      const auto& of = groups[g].features;
      if (std::find(of.begin(), of.end(), names[k]) == of.end()) one.kept.push_back(k);
    }
    made.groups[g].features = count - one.kept.size();
    if (one.kept.size() == count) {
      made.groups[g].refused = "none of its features is among the estimator's";
    } else if (one.kept.empty()) {
      made.groups[g].refused = "no feature is left without it";
    } else {
      tasks.push_back(std::move(one));
    }
  }
  for (std::size_t k = 0; k < made.features.size(); ++k) {
    made.features[k].dropped = names[k];
    made.features[k].features = 1;
    task one{&made.features[k], everything};
    one.kept.erase(one.kept.begin() + static_cast<std::ptrdiff_t>(k));
    tasks.push_back(std::move(one));
  }
  const std::string stage = made.predictor + " without features";
  struct outcome {
    std::vector<double> mapes;  // of each task; NaN where it was refused
    std::vector<std::string> refused;
    std::exception_ptr failed;
  };
  std::vector<outcome> of_folds(folds.size());
  const auto one_fold = [&](std::size_t f) {
    const fold& part = folds[f];
    outcome& of = of_folds[f];
    of.mapes.assign(tasks.size(), std::numeric_limits<double>::quiet_NaN());
    of.refused.resize(tasks.size());
    try {
      std::vector<double> actual, predicted(part.test.size());
      part.test.for_each([&](std::size_t row) { actual.push_back(data.target()[row]); });
      const detail::fits_without<form, Schema> fits(data, part.train);
      for (std::size_t t = 0; t < tasks.size(); ++t) {
        try {
          fits.fit(tasks[t].kept).predict(data, part.test, std::span<double>(predicted));
          of.mapes[t] = mape::evaluate(actual, predicted);
        } catch (const fit_error& why) {
          if (t == 0) throw;
          of.refused[t] = "fold '" + part.held_out + "': " + why.what();
        }
      }
    } catch (const fit_error& why) {
      of.failed = std::make_exception_ptr(evaluation_error("predictor '" + made.predictor + "', fold '" +
                                                           part.held_out + "': cannot be fitted: " + why.what()));
    }
  };
  if (options.progress) options.progress(stage, 0, folds.size());
  detail::for_each_fold(folds.size(), options.threads, one_fold, [&](std::size_t f) {
    if (of_folds[f].failed != nullptr) std::rethrow_exception(of_folds[f].failed);
    if (options.progress) options.progress(stage, f + 1, folds.size());
  });
  for (std::size_t f = 0; f < folds.size(); ++f) {
    made.folds.push_back(folds[f].held_out);
    for (std::size_t t = 0; t < tasks.size(); ++t) {
      ablated_features& to = *tasks[t].to;
      if (to.refused.empty()) to.refused = of_folds[f].refused[t];
      to.mapes.push_back(of_folds[f].mapes[t]);
    }
  }
  for (const task& one : tasks) {
    if (!one.to->refused.empty()) one.to->mapes.clear();  // a mean over fewer folds is another mean
  }
  detail::finish_ablation(made);
  return made;
}

}  // namespace rafter
