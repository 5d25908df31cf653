// five-hypotheses: which features trees use. SPDX-License-Identifier: Apache-2.0
#include "more.hpp"
#include "rafter/evaluation/importance.hpp"
#include "rafter/evaluation/tree_predictors.hpp"
#include "rafter/validation/leave_one_group_out.hpp"

namespace five {
namespace {

using namespace rafter;

template <class Schema> hypotheses::importance_agreement of_trees(const dataset<Schema>& data) {
  const auto folds = checked_folds(data, lomo{});
  const auto trees = evaluate_on_folds<predictors::trees30_anonymous>(data, folds);
  return hypotheses::agreement_of(importance_stability(split_importance(trees.fitted, folds)));
}

}  // namespace

hypotheses::importance_agreement tree_importances(const dataset<kernel_schema>& data) { return of_trees(data); }
hypotheses::importance_agreement tree_importances(const dataset<rafter_schema>& data) { return of_trees(data); }

}  // namespace five
