// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: by name, or all diagnoses with rafter/evaluation/diagnose.hpp.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "rafter/config.hpp"
#include "rafter/evaluation/section.hpp"
#include "rafter/evaluation/text.hpp"

namespace rafter {

struct ablated_features {
  std::string dropped;        ///< a feature, or the name of a group; empty: nothing was
  std::size_t features = 0;   ///< dropped
  std::vector<double> mapes;  ///< of each fold
  double mean_mape = std::numeric_limits<double>::quiet_NaN(), worst_mape = mean_mape;
  double mean_change = 0.0, worst_change = 0.0;  ///< against nothing dropped; above 0: it was good for something
  std::size_t worse_folds = 0;                   ///< folds that err more without it
  std::string refused;                           ///< why it could not be fitted without
};

struct ablation_result {
  std::string predictor;
  std::vector<std::string> folds;
  ablated_features baseline;                       ///< nothing dropped
  std::vector<ablated_features> groups, features;  ///< the largest rise of the mean first, unknown ones last
};

/// @param most  features that stand in the table of a terminal
RAFTER_COLD inline report_section ablation_section(const std::vector<ablation_result>& results,
                                                   std::size_t most = 10) {
  using namespace detail;
  report_section made{"ablation", "Without a feature", "", {}};
  if (results.empty()) {
    made.blocks.push_back(paragraph{"Not made: no estimator was fitted without its features."});
    return made;
  }
  made.blocks.push_back(paragraph{
      "Errors after a fit without a feature, or without a group of them; changes in points of MAPE against the "
      "fit with all. Above 0: the feature was good for something that the others cannot say. Near 0: it is "
      "useless, or others say the same. Below 0: it hurts on what was held out."});
  std::vector<std::string> refused;
  const auto points = [](double change) { return table_cell(signed_percent(change), 100.0 * change); };
  for (const ablation_result& result : results) {
    const auto tabulate = [&](const std::vector<ablated_features>& all, const char* what, std::size_t rows) {
      text_table table(
          {std::string("<") + what, "features", "mean MAPE %", "change", "worst fold %", "change", "worse in"});
      std::size_t shown = 0;
      for (const ablated_features& one : all) {
        if (!one.refused.empty()) continue;
        if (shown++ == rows) break;
        table.add(
            {one.dropped,
             {std::to_string(one.features), static_cast<double>(one.features)},
             {percent(one.mean_mape), 100.0 * one.mean_mape},
             points(one.mean_change),
             {percent(one.worst_mape), 100.0 * one.worst_mape},
             points(one.worst_change),
             {fmt::format("{} of {}", one.worse_folds, one.mapes.size()), static_cast<double>(one.worse_folds)}});
      }
      return table;
    };
    for (const std::vector<ablated_features>* all : {&result.groups, &result.features}) {
      for (const ablated_features& one : *all) {
        if (!one.refused.empty())
          refused.push_back(result.predictor + " without " + one.dropped + ": " + one.refused);
      }
    }
    const std::string with_all = fmt::format("{}: mean {} %, worst fold {} % with all", result.predictor,
                                             percent(result.baseline.mean_mape), percent(result.baseline.worst_mape));
    if (!result.groups.empty()) {
      made.blocks.push_back(
          captioned_table{with_all, tabulate(result.groups, "without the group", result.groups.size())});
    }
    if (!result.features.empty()) {
      made.blocks.push_back(captioned_table{result.features.size() > most
                                                ? fmt::format("{}; the {} features that matter most", with_all, most)
                                                : with_all,
                                            tabulate(result.features, "without", most)});
      if (result.features.size() > most) {
        made.blocks.push_back(captioned_table{result.predictor + ": every feature",
                                              tabulate(result.features, "without", result.features.size()), true});
      }
    }
  }
  const auto first =
      std::find_if(results.front().features.begin(), results.front().features.end(),
                   [](const ablated_features& one) { return one.refused.empty() && !std::isnan(one.mean_change); });
  if (first != results.front().features.end()) {
    made.summary = fmt::format("{} loses most without {}: {} points of mean MAPE.", results.front().predictor,
                               first->dropped, signed_percent(first->mean_change));
  }
  if (!refused.empty()) made.blocks.push_back(bullet_list{std::move(refused)});
  return made;
}

}  // namespace rafter
