// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: compiles the training of trees; for those who fit them.
#pragma once

#include <string_view>

#include "rafter/estimator/identity_allowed.hpp"
#include "rafter/estimator/predictors.hpp"
#include "rafter/estimator/trees.hpp"
#include "rafter/evaluation/hybrid.hpp"
#include "rafter/feature/catalog/correction.hpp"
#include "rafter/feature/catalog/kv_proxies.hpp"
#include "rafter/feature/catalog/study30.hpp"

/// The predictors that learn trees, by the names that programs and reports use.
namespace rafter::predictors {

/// Boosted trees on the 30 features, log target, with the study's hyper-parameters. Reads `model_code`.
struct trees30 : rafter::trees<catalog::study30, objective::log_target, study_boosting<4>> {
  static constexpr std::string_view label = "trees";
};
/// The 29 features that do not identify the model, for splits that hold models out.
struct trees30_anonymous
    : rafter::trees<without_identity<"model">(catalog::study30), objective::log_target, study_boosting<4>> {
  static constexpr std::string_view label = "trees";
};
/// The study's own: the squared error of the time itself, so that long steps decide.
struct trees_study : rafter::trees<catalog::study30, objective::squared, study_boosting<4>> {
  static constexpr std::string_view label = "trees_study";
};
struct trees_study_anonymous
    : rafter::trees<without_identity<"model">(catalog::study30), objective::squared, study_boosting<4>> {
  static constexpr std::string_view label = "trees_study";
};
/// The study's mistake, on purpose: `model_code` under splits that hold models out.
struct trees_identity : identity_allowed<rafter::trees<catalog::study30, objective::squared, study_boosting<4>>> {
  static constexpr std::string_view label = "trees_identity";
};
/// Trees on scale-free features, on log(time / roofline).
struct trees_scale_free
    : rafter::trees<catalog::scale_free, objective::log_ratio_to<catalog::scaled::total>, study_boosting<4>> {
  static constexpr std::string_view label = "trees_scale_free";
};

/// The same where the KV pool's state stands in for per-request lengths. For one experiment the study took depth 8.
struct trees_proxies : rafter::trees<catalog::kv_proxies, objective::log_target, study_boosting<4>> {
  static constexpr std::string_view label = "trees";
};
struct trees_proxies_anonymous
    : rafter::trees<without_identity<"model">(catalog::kv_proxies), objective::log_target, study_boosting<4>> {
  static constexpr std::string_view label = "trees";
};
struct trees_study_proxies : rafter::trees<catalog::kv_proxies, objective::squared, study_boosting<4>> {
  static constexpr std::string_view label = "trees_study";
};
struct trees_study_proxies_anonymous
    : rafter::trees<without_identity<"model">(catalog::kv_proxies), objective::squared, study_boosting<4>> {
  static constexpr std::string_view label = "trees_study";
};
struct trees_study_proxies_deep : rafter::trees<catalog::kv_proxies, objective::squared, study_boosting<8>> {
  static constexpr std::string_view label = "trees_study_deep";
};
struct trees_study_proxies_deep_anonymous
    : rafter::trees<without_identity<"model">(catalog::kv_proxies), objective::squared, study_boosting<8>> {
  static constexpr std::string_view label = "trees_study_deep";
};
struct trees_identity_proxies
    : identity_allowed<rafter::trees<catalog::kv_proxies, objective::squared, study_boosting<4>>> {
  static constexpr std::string_view label = "trees_identity";
};

/// `best`, and trees for what it leaves: for steps of a serving engine, for sums of kernels, for logs without KV lengths.
struct hybrid_of_serving : rafter::hybrid<best, catalog::correction> {
  static constexpr std::string_view label = "hybrid";
};
struct hybrid_of_kernels : rafter::hybrid<best_of_kernels, catalog::correction> {
  static constexpr std::string_view label = "hybrid";
};
struct hybrid_of_pool_state : rafter::hybrid<best_of_pool_state, catalog::pool_correction> {
  static constexpr std::string_view label = "hybrid";
};
/// The same with a correction that never makes a heavier batch faster.
struct hybrid_monotone : rafter::hybrid<best, catalog::monotone_correction, monotone_boosting> {
  static constexpr std::string_view label = "hybrid_monotone";
};
struct hybrid_monotone_of_kernels : rafter::hybrid<best_of_kernels, catalog::monotone_correction, monotone_boosting> {
  static constexpr std::string_view label = "hybrid_monotone";
};

}  // namespace rafter::predictors
