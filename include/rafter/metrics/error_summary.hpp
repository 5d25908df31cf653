// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "rafter/metrics/absolute_error.hpp"
#include "rafter/metrics/accurate_sum.hpp"
#include "rafter/metrics/correlation.hpp"
#include "rafter/metrics/log_ratio.hpp"
#include "rafter/metrics/metric.hpp"
#include "rafter/metrics/percentage_error.hpp"
#include "rafter/metrics/quantile.hpp"

namespace rafter {

/// Everything a report says about one set of predictions: the counts first, so that no row disappears unseen, then
/// the values of the metrics of the same names (fractions, not percentages; bit for bit what `M::evaluate` returns).
struct error_summary {
  std::size_t rows = 0;
  std::size_t zero_actual = 0;   ///< rows without a percentage error (a = 0), left out of the percentage errors
  std::size_t not_finite = 0;    ///< rows with NaN or inf in a or p; a single one makes every value below NaN
  std::size_t not_positive = 0;  ///< rows without a log ratio (a <= 0 or p <= 0); one makes the log-ratio values NaN

  double mape = detail::undefined;
  double mean_signed_percentage_error = detail::undefined;
  double cancellation = detail::undefined;  ///< share of the absolute percentage error that the signed mean hides
  double median_ape = detail::undefined;
  double p90_ape = detail::undefined;
  double p99_ape = detail::undefined;
  double max_ape = detail::undefined;
  double share_above_half = detail::undefined;
  double smape = detail::undefined;
  double wape = detail::undefined;

  double rmse = detail::undefined;  ///< unit of the target, as mae, bias, max_error
  double mae = detail::undefined;
  double bias = detail::undefined;
  double max_error = detail::undefined;

  double r2 = detail::undefined;
  double pearson = detail::undefined;
  double spearman = detail::undefined;  ///< NaN also when it was not asked for

  double log_ratio_rmse = detail::undefined;
  double geometric_mean_ratio = detail::undefined;
};

/// What to leave out of a summary.
struct summary_options {
  bool spearman = true;  ///< sorts both columns: most of the time of a summary
};

/// @param actual, predicted  one value per row, in the unit of the target; @throws metric_error when lengths differ
inline error_summary summarize_errors(std::span<const double> actual, std::span<const double> predicted,
                                      summary_options options = {}) {
  error_summary summary;
  const bool defined = detail::comparable("error_summary", actual, predicted);
  summary.rows = actual.size();
  const double rows = static_cast<double>(actual.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    summary.not_finite += std::isfinite(actual[i]) && std::isfinite(predicted[i]) ? 0U : 1U;
  }
  summary.zero_actual = zero_actual_rows(actual);
  summary.not_positive = non_positive_rows(actual, predicted);
  if (!defined) return summary;

  accurate_sum absolute;
  accurate_sum squared;
  accurate_sum signed_sum;
  accurate_sum total;
  accurate_sum symmetric;
  double worst = 0.0;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    const double error = predicted[i] - actual[i];
    absolute.add(std::fabs(error));
    squared.add(error * error);
    signed_sum.add(error);
    total.add(std::fabs(actual[i]));
    symmetric.add(rafter::smape::of_row(actual[i], predicted[i]));
    worst = std::fmax(worst, std::fabs(error));
  }
  summary.mae = absolute.value() / rows;
  summary.rmse = std::sqrt(squared.value() / rows);
  summary.bias = signed_sum.value() / rows;
  summary.smape = symmetric.value() / rows;
  summary.max_error = worst;
  if (total.value() != 0.0) summary.wape = absolute.value() / total.value();
  summary.r2 = rafter::r2::of_mean_square(actual, squared.value() / rows);
  summary.pearson = detail::product_moment(actual, predicted);
  if (options.spearman) summary.spearman = rafter::spearman::evaluate(actual, predicted);

  std::vector<double> errors = detail::signed_percentage_errors(actual, predicted);
  if (!errors.empty()) {
    summary.mape = detail::mean_absolute(errors);
    summary.mean_signed_percentage_error = accurate_mean(errors);
    summary.cancellation = detail::cancelled_share(summary.mean_signed_percentage_error, summary.mape);
    errors = detail::sorted_absolute(std::move(errors));
    summary.median_ape = quantile_of_sorted(errors, 0.5);
    summary.p90_ape = quantile_of_sorted(errors, 0.9);
    summary.p99_ape = quantile_of_sorted(errors, 0.99);
    summary.max_ape = errors.back();
    summary.share_above_half = detail::share_above(errors, 0.5);
  }
  summary.log_ratio_rmse = rafter::log_ratio_rmse::evaluate(actual, predicted);
  summary.geometric_mean_ratio = rafter::geometric_mean_ratio::evaluate(actual, predicted);
  return summary;
}

}  // namespace rafter
