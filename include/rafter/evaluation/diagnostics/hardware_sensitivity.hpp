// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: by name, or all diagnoses with rafter/evaluation/diagnose.hpp.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rafter/config.hpp"
#include "rafter/evaluation/diagnostics/tested_errors.hpp"
#include "rafter/evaluation/section.hpp"
#include "rafter/evaluation/text.hpp"

namespace rafter {

/// Probes of one figure by a tenth more and less have names of this beginning, and end in " x1.1" and " x0.9".
inline constexpr std::string_view hardware_probe_prefix = "hardware: ";

/// What predictions do when one figure is a tenth larger and a tenth smaller.
struct sensitivity {
  std::string figure;         ///< "peak_flops", "hbm_bandwidth", a parameter
  std::size_t rows = 0;       ///< with finite positive predictions for both
  std::size_t undefined = 0;  ///< without
  double elasticity =
      std::numeric_limits<double>::quiet_NaN();  ///< mean d ln t / d ln x: (ln t+ - ln t-) / (ln 1.1 - ln 0.9)
  double lowest = std::numeric_limits<double>::quiet_NaN(), highest = std::numeric_limits<double>::quiet_NaN();
  double mean_change = std::numeric_limits<double>::quiet_NaN();  ///< mean of |t± / t - 1|
  double mape = std::numeric_limits<double>::quiet_NaN();         ///< of these rows with the figure as it is
  double mape_more = std::numeric_limits<double>::quiet_NaN(), mape_less = std::numeric_limits<double>::quiet_NaN();
  std::vector<std::string> refused;  ///< of folds that are not counted: which, and why

  /// The larger change of the MAPE.
  double mape_change() const {
    const double more = mape_more - mape, less = mape_less - mape;
    return std::fabs(more) >= std::fabs(less) ? more : less;
  }
};

struct sensitivity_report {
  std::string predictor;
  std::vector<sensitivity> figures;
};

namespace detail {

/// Sums over rows of which a sensitivity is made.
struct sensitivity_sums {
  double elasticity = 0.0, change = 0.0, error = 0.0, error_more = 0.0, error_less = 0.0;
  std::size_t timed = 0;

  void add(sensitivity& to, double actual, double as_is, double more, double less) {
    if (!(as_is > 0.0 && more > 0.0 && less > 0.0 && std::isfinite(as_is) && std::isfinite(more) &&
          std::isfinite(less))) {
      ++to.undefined;
      return;
    }
    const double one = std::log(more / less) / std::log(1.1 / 0.9);
    to.lowest = to.rows == 0 ? one : std::min(to.lowest, one);
    to.highest = to.rows == 0 ? one : std::max(to.highest, one);
    ++to.rows;
    elasticity += one;
    change += 0.5 * (std::fabs(more / as_is - 1.0) + std::fabs(less / as_is - 1.0));
    if (!(actual > 0.0)) return;
    ++timed;
    error += std::fabs(as_is - actual) / actual;
    error_more += std::fabs(more - actual) / actual;
    error_less += std::fabs(less - actual) / actual;
  }
  void finish(sensitivity& to) const {
    if (to.rows > 0) {
      to.elasticity = elasticity / static_cast<double>(to.rows);
      to.mean_change = change / static_cast<double>(to.rows);
    }
    if (timed > 0) {
      to.mape = error / static_cast<double>(timed);
      to.mape_more = error_more / static_cast<double>(timed);
      to.mape_less = error_less / static_cast<double>(timed);
    }
  }
};

}  // namespace detail

/// The sensitivities that a result's hardware probes show, over the probed rows of all folds.
RAFTER_COLD inline sensitivity_report hardware_sensitivity(const predictor_result& result,
                                                           std::string_view prefix = hardware_probe_prefix) {
  constexpr std::string_view more_by = " x1.1", less_by = " x0.9";
  sensitivity_report made;
  made.predictor = result.predictor;
  std::vector<detail::sensitivity_sums> sums;
  for (const fold_result& part : result.folds) {
    const std::vector<std::size_t> tested = part.predictions.rows.to_vector();
    for (const probe_predictions& more : part.probes) {
      const std::string_view name = more.probe;
      if (!name.starts_with(prefix) || !name.ends_with(more_by)) continue;
      const std::string figure(name.substr(prefix.size(), name.size() - prefix.size() - more_by.size()));
      const auto less = std::find_if(part.probes.begin(), part.probes.end(), [&](const probe_predictions& one) {
        return one.probe == std::string(prefix) + figure + std::string(less_by);
      });
      if (less == part.probes.end()) continue;
      std::size_t at = 0;
      while (at < made.figures.size() && made.figures[at].figure != figure) ++at;
      if (at == made.figures.size()) {
        made.figures.emplace_back().figure = figure;
        sums.emplace_back();
      }
      if (!more.refused.empty() || !less->refused.empty()) {
        made.figures[at].refused.push_back("refused in fold " + part.held_out + ": " +
                                           (more.refused.empty() ? less->refused : more.refused));
        continue;
      }
      std::size_t place = 0, asked = 0;
      more.rows.for_each([&](std::size_t row) {
        while (place < tested.size() && tested[place] < row) ++place;
        const std::size_t i = asked++;
        if (place == tested.size() || tested[place] != row || place >= part.predictions.predicted.size() ||
            i >= less->predicted.size()) {
          return;
        }
        sums[at].add(made.figures[at], part.predictions.actual[place], part.predictions.predicted[place],
                     more.predicted[i], less->predicted[i]);
      });
    }
  }
  for (std::size_t at = 0; at < sums.size(); ++at) sums[at].finish(made.figures[at]);
  return made;
}

/// @param parameters  of parametric predictors, where they were asked for: see parameter_sensitivity
RAFTER_COLD inline report_section hardware_sensitivity_section(
    const evaluation_report& report, const std::vector<sensitivity_report>& parameters = {}) {
  using namespace detail;
  report_section made{"hardware-sensitivity", "Sensitivity to hardware figures", "", {}};
  const auto cells = [](const std::string& predictor, const sensitivity& one) {
    const auto share = [](double fraction) {
      return std::isnan(fraction) ? table_cell("n/a") : table_cell(percent(fraction), 100.0 * fraction);
    };
    const auto real = [](double value) {
      return std::isnan(value) ? table_cell("n/a") : table_cell(fmt::format("{:+.3f}", value), value);
    };
    return std::vector<table_cell>{
        predictor,
        one.figure,
        {grouped(one.rows), static_cast<double>(one.rows)},
        real(one.elasticity),
        std::isnan(one.lowest) ? table_cell("n/a")
                               : table_cell(fmt::format("{:+.2f} .. {:+.2f}", one.lowest, one.highest)),
        share(one.mean_change),
        share(one.mape),
        std::isnan(one.mape) ? table_cell("n/a")
                             : table_cell(signed_percent(one.mape_change()), 100.0 * one.mape_change())};
  };
  text_table table({"<predictor", "<figure", "steps", "elasticity", "range", "|change| %", "MAPE %", "MAPE change"});
  std::vector<std::string> left_out;
  std::size_t without_error = 0;
  const sensitivity* largest = nullptr;
  std::string by;
  std::vector<sensitivity_report> all;
  for (const predictor_result* result : results_with_predictions(report))
    all.push_back(hardware_sensitivity(*result));
  for (const sensitivity_report& of : all) {
    for (const sensitivity& one : of.figures) {
      without_error += one.undefined;
      for (const std::string& why : one.refused) left_out.push_back(of.predictor + ", " + one.figure + ": " + why);
      if (one.rows + one.undefined == 0 && !one.refused.empty()) continue;
      table.add(cells(of.predictor, one));
      if (std::isnan(one.mape_change())) continue;
      if (largest == nullptr || std::fabs(one.mape_change()) > std::fabs(largest->mape_change())) {
        largest = &one;
        by = of.predictor;
      }
    }
  }
  if (table.empty() && !left_out.empty()) {
    made.blocks.push_back(paragraph{"No predictor answered for other hardware."});
  } else if (table.empty()) {
    made.blocks.push_back(paragraph{"Other hardware was not asked for (no hardware probes in this evaluation)."});
  } else {
    made.blocks.push_back(
        paragraph{"Predictions for the same steps on a device whose peak, or memory bandwidth, is a tenth more and a "
                  "tenth less. "
                  "Elasticity is d ln t / d ln x: -1 where a step is bound by that figure, 0 where a predictor does "
                  "not look at it, and its range over the steps. The "
                  "last column is "
                  "the larger change of the MAPE, in points."});
    made.blocks.push_back(captioned_table{"", std::move(table)});
    made.summary =
        largest == nullptr ? "What a tenth of a hardware figure does to errors is not known: no answer was a time."
        : std::fabs(largest->mape_change()) < 5e-5
            ? "No predictor's error depends on the hardware figures."
            : fmt::format(
                  "A tenth of {} more or less moves the error of {} by {} points, the most of all predictors.",
                  largest->figure, by, signed_percent(largest->mape_change()));
  }
  text_table of_parameters(
      {"<predictor", "<parameter", "steps", "elasticity", "range", "|change| %", "MAPE %", "MAPE change"});
  for (const sensitivity_report& of : parameters) {
    for (const sensitivity& one : of.figures) {
      without_error += one.undefined;
      of_parameters.add(cells(of.predictor, one));
    }
  }
  if (!of_parameters.empty()) {
    made.blocks.push_back(paragraph{
        "The same for fitted parameters. An MFU stands beside the peak as their product, so that a tenth of "
        "either is the same to the work that it bounds."});
    made.blocks.push_back(captioned_table{"fitted parameters a tenth more and less", std::move(of_parameters), true});
  }
  if (without_error > 0) {
    made.blocks.push_back(paragraph{
        fmt::format("{} predictions are not finite and positive, and are not counted.", grouped(without_error))});
  }
  if (!left_out.empty()) made.blocks.push_back(bullet_list{std::move(left_out)});
  return made;
}

}  // namespace rafter
