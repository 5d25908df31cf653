// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "rafter/analytical/corrected.hpp"
#include "rafter/analytical/kernel_models.hpp"
#include "rafter/analytical/pool_state.hpp"
#include "rafter/analytical/roofline.hpp"
#include "rafter/estimator/analytical_model.hpp"
#include "rafter/estimator/linear.hpp"
#include "rafter/estimator/mean_of_target.hpp"
#include "rafter/estimator/nonlinear.hpp"
#include "rafter/estimator/per.hpp"
#include "rafter/estimator/pmnf.hpp"
#include "rafter/feature/catalog/blackbox.hpp"
#include "rafter/feature/catalog/kv_proxies.hpp"
#include "rafter/feature/catalog/scale_free.hpp"
#include "rafter/feature/catalog/study30.hpp"
#include "rafter/feature/catalog/work_metrics.hpp"
#include "rafter/solver/non_negative_least_squares.hpp"
#include "rafter/solver/ordinary_least_squares.hpp"
#include "rafter/solver/ridge.hpp"

/// The public study's predictors and their neighbours, by the names that programs and reports use.
namespace rafter::predictors {

/// Mean of the training target, per experiment where training saw the experiment.
struct mean : mean_of_target {
  static constexpr std::string_view label = "mean";
};

/// Intercept, prefill tokens, decode tokens by ordinary least squares.
struct blackbox : linear<catalog::blackbox, ordinary_least_squares> {
  static constexpr std::string_view label = "blackbox";
};
/// Non-negative least squares with the intercept held non-negative too: no negative time for any batch.
struct non_negative_throughout {
  static constexpr bool needs_rows = false;
  static constexpr non_negative_least_squares solver{.intercept = true, .non_negative_intercept = true};
  std::string name() const { return solver.name(); }
  linear_solution solve(const normal_equations& equations, const design* second_pass = nullptr) const {
    return solver.solve(equations, second_pass);
  }
};

/// The same with coefficients and intercept that are not negative.
struct blackbox_nnls : linear<catalog::blackbox, non_negative_throughout> {
  static constexpr std::string_view label = "blackbox_nnls";
};
/// The same black box fitted to relative errors, so that long steps do not decide alone.
struct blackbox_relative : linear<catalog::blackbox, ordinary_least_squares, objective::relative> {
  static constexpr std::string_view label = "blackbox_relative";
};

/// 30 features, standardised, penalty 1, the time itself as the target. Reads `model_code`.
struct ridge30 : linear<catalog::study30, ridge<1>> {
  static constexpr std::string_view label = "ridge30";
};
/// The 29 of them that do not identify the model, for splits that hold models out.
struct ridge30_anonymous : linear<without_identity<"model">(catalog::study30), ridge<1>> {
  static constexpr std::string_view label = "ridge30";
};
/// The 30 features where the KV pool's state stands in for per-request lengths.
struct ridge30_proxies : linear<catalog::kv_proxies, ridge<1>> {
  static constexpr std::string_view label = "ridge30";
};
struct ridge30_proxies_anonymous : linear<without_identity<"model">(catalog::kv_proxies), ridge<1>> {
  static constexpr std::string_view label = "ridge30";
};

/// Scale-free features on log(time / roofline): what is learned is a correction to the physics.
struct ridge_scale_free : linear<catalog::scale_free, ridge<1>, objective::log_ratio_to<catalog::scaled::total>> {
  static constexpr std::string_view label = "ridge_scale_free";
};

/// Every component at its roofline, nothing fitted.
struct roofline0 : analytical_model<analytical::roofline_step_time> {
  static constexpr std::string_view label = "roofline0";
};

/// Corrected rooflines (analytical/corrected.hpp), fitted to log ratios: nine parameters; sixteen, by regime; eighteen,
/// nine for dense models and nine for mixtures of experts; nine for each model, 36 on the study's four.
struct roofline9 : nonlinear<analytical::roofline9<analytical::physical_reading>> {
  static constexpr std::string_view label = "roofline9";
};
struct roofline16 : nonlinear<analytical::roofline16<analytical::physical_reading>> {
  static constexpr std::string_view label = "roofline16";
};
struct roofline18 : nonlinear<analytical::roofline18<analytical::physical_reading>> {
  static constexpr std::string_view label = "roofline18";
};
struct roofline36 : per<group::model, nonlinear<analytical::roofline9<analytical::physical_reading>>> {
  static constexpr std::string_view label = "roofline36";
};
/// The same in the study's reading, which leaves most of the parameters undetermined.
struct roofline9_study : nonlinear<analytical::roofline9<analytical::study_reading>> {
  static constexpr std::string_view label = "roofline9_study";
};
struct roofline16_study : nonlinear<analytical::roofline16<analytical::study_reading>> {
  static constexpr std::string_view label = "roofline16_study";
};
struct roofline18_study : nonlinear<analytical::roofline18<analytical::study_reading>> {
  static constexpr std::string_view label = "roofline18_study";
};
struct roofline36_study : per<group::model, nonlinear<analytical::roofline9<analytical::study_reading>>> {
  static constexpr std::string_view label = "roofline36_study";
};

/// Nine global parameters over rooflines of single kernels (analytical/kernel_models.hpp).
struct kernel9 : nonlinear<analytical::kernel9> {
  static constexpr std::string_view label = "kernel9";
};
/// Twelve global parameters, the best transferring model found: for steps of a serving engine.
struct best : nonlinear<analytical::best<analytical::serving_conditions>> {
  static constexpr std::string_view label = "best";
  /// What was chosen by looking at errors, and on which rows.
  static std::string tuned() {
    return "its terms and five constants by its authors, on kernel_steps, errors in view";
  }
};
/// The same for sums of kernels that were measured one by one: experts evenly loaded, small KV sets in the cache.
struct best_of_kernels : nonlinear<analytical::best<analytical::benchmark_conditions>> {
  static constexpr std::string_view label = "best";
  /// What was chosen by looking at errors, and on which rows.
  static std::string tuned() {
    return "its terms and five constants by its authors, on kernel_steps, errors in view";
  }
};

/// Six parameters over the state of the KV pool, for logs without KV lengths (analytical/pool_state.hpp). Intervals
/// between steps hold stalls that no model explains, so large residuals count less than their squares.
struct best_of_pool_state
    : nonlinear<analytical::pool_state_step_time,
                objective::robust<objective::log_ratio, loss_kind::soft_l1, constant<5, -2>{}>> {
  static constexpr std::string_view label = "best";
};

/// A formula of the work's least times, searched (estimator/pmnf.hpp): for steps whose requests are known, and for logs
/// of the KV pool's state.
struct pmnf_of_work : rafter::pmnf<catalog::work_metrics> {
  static constexpr std::string_view label = "pmnf";
};
struct pmnf_of_pool_state : rafter::pmnf<catalog::pool_metrics> {
  static constexpr std::string_view label = "pmnf";
};

}  // namespace rafter::predictors
