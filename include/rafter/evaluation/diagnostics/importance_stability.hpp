// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: by name, or all diagnoses with rafter/evaluation/diagnose.hpp.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "rafter/evaluation/evaluate.hpp"
#include "rafter/evaluation/section.hpp"
#include "rafter/evaluation/table.hpp"
#include "rafter/metrics/accurate_sum.hpp"
#include "rafter/metrics/correlation.hpp"

/// Do the folds agree on which features matter? What measures that is in evaluation/importance.hpp.
namespace rafter {

/// One number for each feature in each fold; larger: it matters more.
struct importance_by_fold {
  std::string measure;
  std::vector<std::string> features;
  std::vector<std::string> folds;           ///< what each holds out
  std::vector<std::vector<double>> values;  ///< [fold][feature]
};

/// A statistic of two rankings over all pairs of folds; NaN where no pair has it (a fold whose features all matter alike).
struct ranking_agreement {
  double mean = std::numeric_limits<double>::quiet_NaN(), worst = std::numeric_limits<double>::quiet_NaN();
  std::size_t pairs = 0;  ///< that have it
};

/// How much the folds agree on which features matter. 1: the same ranking in all; 0: no agreement; -1: reversed.
struct importance_stability_result {
  struct feature_rank {
    std::string name;
    double mean = 0.0, best = 0.0, worst = 0.0;  ///< rank over the folds; 1 matters most; ties share the mean rank
    double share = 0.0;     ///< mean over the folds of value / sum of the fold's values; values below 0 count as 0
    std::size_t among = 0;  ///< folds in which it is among the first k
  };
  std::string measure;
  std::size_t folds = 0, k = 0;
  ranking_agreement spearman, kendall;
  ranking_agreement overlap;  ///< of the first k; nothing when they are all features, for then it says nothing
  std::vector<feature_rank> features;  ///< by mean rank

  /// The features by mean rank. @param most  rows; the others are left out
  text_table table(std::size_t most = static_cast<std::size_t>(-1)) const {
    text_table made({"<feature", "mean rank", "best", "worst", "share %", "<first " + std::to_string(k)});
    for (std::size_t i = 0; i < std::min(most, features.size()); ++i) {
      const feature_rank& one = features[i];
      made.add({one.name, fmt::format("{:.2f}", one.mean), fmt::format("{:g}", one.best),
                fmt::format("{:g}", one.worst), fmt::format("{:.1f}", 100.0 * one.share),
                "in " + std::to_string(one.among) + " of " + std::to_string(folds)});
    }
    return made;
  }
  /// The three statistics over the pairs of folds.
  text_table agreement() const {
    text_table made({"<folds agree by", "mean", "worst", "pairs"});
    const auto add = [&](std::string what, const ranking_agreement& of) {
      const auto number = [](double value) { return std::isnan(value) ? "-" : fmt::format("{:.3f}", value); };
      made.add({std::move(what), number(of.mean), number(of.worst), std::to_string(of.pairs)});
    };
    add("Spearman rho", spearman);
    add("Kendall tau-b", kendall);
    add("overlap of the first " + std::to_string(k), overlap);
    return made;
  }
};

namespace detail {

/// The k features with the largest values among those above 0; of equal ones the first.
inline std::vector<std::size_t> first_of(const std::vector<double>& values, std::size_t k) {
  std::vector<std::size_t> order;
  for (std::size_t j = 0; j < values.size(); ++j) {
    if (values[j] > 0.0) order.push_back(j);
  }
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return values[a] > values[b]; });
  order.resize(std::min(k, order.size()));
  std::sort(order.begin(), order.end());
  return order;
}

template <class Statistic> ranking_agreement over_pairs(std::size_t folds, Statistic statistic) {
  ranking_agreement made;
  accurate_sum sum;
  for (std::size_t a = 0; a < folds; ++a) {
    for (std::size_t b = a + 1; b < folds; ++b) {
      const double value = statistic(a, b);
      if (std::isnan(value)) continue;
      sum.add(value);
      made.worst = made.pairs++ == 0 ? value : std::min(made.worst, value);
    }
  }
  if (made.pairs > 0) made.mean = sum.value() / static_cast<double>(made.pairs);
  return made;
}

}  // namespace detail

/// Pairwise agreement of the folds' rankings: Spearman's ρ and Kendall's τ-b of the values (metrics/correlation.hpp), and
/// the share that the first k features of two folds have in common, |A ∩ B| / max(|A|, |B|), which is not there when k is not below the number of features. A feature with a value of 0
/// or below is not among the first.
/// @throws evaluation_error for fewer than two folds, k = 0, folds of different length, or a value that is not finite
inline importance_stability_result importance_stability(const importance_by_fold& of, std::size_t k = 5) {
  if (of.values.size() < 2) throw evaluation_error("agreement of rankings takes two folds or more");
  if (k == 0) throw evaluation_error("the first 0 features have nothing in common");
  const std::size_t features = of.features.size();
  for (std::size_t f = 0; f < of.values.size(); ++f) {
    const std::string where = f < of.folds.size() ? " in fold '" + of.folds[f] + "'" : "";
    if (of.values[f].size() != features) {
      throw evaluation_error(std::to_string(of.values[f].size()) + " values for " + std::to_string(features) +
                             " features" + where);
    }
    for (std::size_t j = 0; j < features; ++j) {
      if (!std::isfinite(of.values[f][j])) {
        throw evaluation_error("the importance of '" + of.features[j] + "' is not a finite number" + where);
      }
    }
  }
  importance_stability_result made;
  made.measure = of.measure;
  made.folds = of.values.size();
  made.k = std::min(k, features);
  const auto column = [&](std::size_t f) { return std::span<const double>(of.values[f]); };
  made.spearman = detail::over_pairs(
      made.folds, [&](std::size_t a, std::size_t b) { return spearman::evaluate(column(a), column(b)); });
  made.kendall = detail::over_pairs(
      made.folds, [&](std::size_t a, std::size_t b) { return kendall_tau_b::evaluate(column(a), column(b)); });
  std::vector<std::vector<std::size_t>> first;
  for (const std::vector<double>& values : of.values) first.push_back(detail::first_of(values, made.k));
  made.overlap = detail::over_pairs(made.folds, [&](std::size_t a, std::size_t b) {
    if (made.k == features) return std::numeric_limits<double>::quiet_NaN();
    std::vector<std::size_t> both;
    std::set_intersection(first[a].begin(), first[a].end(), first[b].begin(), first[b].end(),
                          std::back_inserter(both));
    return static_cast<double>(both.size()) / static_cast<double>(std::max(first[a].size(), first[b].size()));
  });
  for (const std::string& name : of.features) made.features.emplace_back().name = name;
  for (std::size_t f = 0; f < made.folds; ++f) {
    const std::vector<double> ascending = average_ranks(column(f));
    double sum = 0.0;
    for (const double value : of.values[f]) sum += std::max(value, 0.0);
    for (std::size_t j = 0; j < features; ++j) {
      importance_stability_result::feature_rank& one = made.features[j];
      const double rank = static_cast<double>(features) + 1.0 - ascending[j];
      one.best = f == 0 ? rank : std::min(one.best, rank);
      one.worst = f == 0 ? rank : std::max(one.worst, rank);
      one.mean += rank;
      if (sum > 0.0) one.share += std::max(of.values[f][j], 0.0) / sum;
    }
    for (const std::size_t j : first[f]) ++made.features[j].among;
  }
  for (importance_stability_result::feature_rank& one : made.features) {
    one.mean /= static_cast<double>(made.folds);
    one.share /= static_cast<double>(made.folds);
  }
  std::stable_sort(made.features.begin(), made.features.end(),
                   [](const auto& a, const auto& b) { return a.mean < b.mean; });
  return made;
}

/// From when on folds are said to agree on what matters.
struct stability_rule {
  double least_spearman = 0.8;  ///< mean over the pairs of folds
  double least_overlap = 0.6;   ///< of the first k, mean over the pairs: three of five
};

enum class stability_verdict : std::uint8_t { not_known, unstable, stable };

/// Stable where both means reach the rule, or rho where the first k are all features; not known where no pair of folds
/// has what is asked.
inline stability_verdict verdict_of(const importance_stability_result& result, const stability_rule& rule = {}) {
  const bool by_overlap = result.k < result.features.size();
  if (result.spearman.pairs == 0 || (by_overlap && result.overlap.pairs == 0)) return stability_verdict::not_known;
  return result.spearman.mean >= rule.least_spearman && (!by_overlap || result.overlap.mean >= rule.least_overlap)
             ? stability_verdict::stable
             : stability_verdict::unstable;
}

/// The rankings of one or more predictors (or measures) over the folds, and whether they are stable.
/// @param named  what each result is of, e.g. "trees30, rise of MAPE when shuffled"
/// @param most   features that stand in a table
inline report_section importance_section(
    const std::vector<std::pair<std::string, importance_stability_result>>& named, std::size_t most = 10,
    const stability_rule& rule = {}) {
  report_section made{"importance", "Which features matter, and whether the folds agree", "", {}};
  if (named.empty()) {
    made.blocks.emplace_back(paragraph{"Not made: no importance was computed."});
    return made;
  }
  made.blocks.emplace_back(
      paragraph{fmt::format("Rankings are called stable when, averaged over the pairs of folds, Spearman's rho is at "
                            "least {:g} and the first "
                            "features have a share of at least {:g} in common.",
                            rule.least_spearman, rule.least_overlap)});
  std::size_t stable = 0;
  std::string unstable, not_known;
  for (const auto& [name, result] : named) {
    const stability_verdict verdict = verdict_of(result, rule);
    const std::string first =
        result.k < result.features.size()
            ? fmt::format("{:.0f} % of the first {} in common", 100.0 * result.overlap.mean, result.k)
            : fmt::format("judged by rho alone, for there are {} features", result.features.size());
    const std::string sentence =
        verdict == stability_verdict::not_known
            ? fmt::format(
                  "{}: whether the ranking is stable is not known, for no two folds have rankings to compare.", name)
            : fmt::format("{}: the ranking is {} over {} folds (mean rho {:.2f}, {}).", name,
                          verdict == stability_verdict::stable ? "stable" : "not stable", result.folds,
                          result.spearman.mean, first);
    stable += verdict == stability_verdict::stable ? 1U : 0U;
    if (verdict != stability_verdict::stable) {
      std::string& to = verdict == stability_verdict::unstable ? unstable : not_known;
      to += (to.empty() ? "" : "; ") + name;
    }
    made.blocks.emplace_back(paragraph{sentence});
    made.blocks.emplace_back(captioned_table{
        name +
            (result.features.size() > most ? fmt::format(": {} of {} features", most, result.features.size()) : ""),
        result.table(most)});
    made.blocks.emplace_back(captioned_table{name + ": agreement of the folds", result.agreement(), true});
  }
  made.summary = fmt::format("{} of {} rankings {} stable over the folds.", stable, named.size(),
                             named.size() == 1 ? "is" : "are");
  if (named.size() <= 3) {  // else the section names them
    if (!unstable.empty()) made.summary += " Not stable: " + unstable + ".";
    if (!not_known.empty()) made.summary += " Not known: " + not_known + ".";
  }
  return made;
}

}  // namespace rafter
