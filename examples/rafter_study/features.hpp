// rafter-study: which features matter, for the translation units whose predictors have features.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "rafter/evaluation/diagnostics/ablation.hpp"
#include "rafter/evaluation/importance.hpp"
#include "rafter/feature/catalog/study30.hpp"
#include "run.hpp"

namespace study {

/// The study's six groups of features, those of them that the estimator has.
template <class E> std::vector<rafter::feature_group> groups_of_features() {
  namespace catalog = rafter::catalog;
  std::vector<rafter::feature_group> groups;
  for (rafter::feature_group one :
       {rafter::group_of("batch tokens", catalog::batch_tokens),
        rafter::group_of("KV statistics", catalog::kv_statistics), rafter::group_of("phase", catalog::phase),
        rafter::group_of("physics", catalog::physics), rafter::group_of("architecture", catalog::model_architecture),
        rafter::group_of("interactions", catalog::interactions)}) {
    const auto& names = E::features::names;
    const bool some = std::any_of(one.features.begin(), one.features.end(), [&](const std::string& name) {
      return std::find(names.begin(), names.end(), name) != names.end();
    });
    if (some) groups.push_back(std::move(one));
  }
  return groups;
}

template <class E, class Predictor>
requires rafter::detail::has_features<Predictor>
struct measures_of_features<E, Predictor> {
  template <class Schema>
  static void add(const task<Schema>& what, const rafter::evaluated<Predictor>& outcome, more_results& to) {
    using namespace rafter;
    const std::vector<fold>& folds = what.split.folds;
    const std::string& name = outcome.result.predictor;
    if (folds.size() > 1) {
      const importance_by_fold found = permuted_importance(outcome.fitted, what.data, folds);
      to.importances.emplace_back(name + ", " + found.measure, importance_stability(found));
    }
    if constexpr (ablatable_estimator<E>) {
      if (what.ablation) {
        to.ablations.push_back(ablation<E>(what.data, folds, groups_of_features<E>(),
                                           {.progress = what.options.progress, .threads = what.options.threads}));
      }
    }
  }
};

}  // namespace study
