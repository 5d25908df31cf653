// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

/// Quantiles of conformal prediction: how large a score a new row may have, from the scores of rows that the predictor
/// was not fitted on. A score is large where a prediction is bad; the interval of a new row is all values whose score is
/// not above the quantile. `alpha` is the share of new rows that may lie outside: 0.1 for intervals of level 90 %.

namespace rafter {

/// Which of n + 1 exchangeable scores, counted from the smallest, is not below a share 1 - alpha of them:
/// k = ⌈(n + 1)(1 - alpha)⌉ (Vovk, Gammerman and Shafer 2005; Lei et al. 2018, "Distribution-free predictive inference
/// for regression"). k > n means that n scores say nothing at this alpha. Products that are an integer but for rounding
/// (within 1e-9) count as that integer. @returns 0 … n + 1
inline std::size_t conformal_rank(std::size_t scores, double alpha) {
  const double rank = std::ceil(static_cast<double>(scores + 1) * (1.0 - alpha) - 1e-9);
  return static_cast<std::size_t>(std::clamp(rank, 0.0, static_cast<double>(scores + 1)));
}

/// The conformal quantile of n scores: the k-th smallest, infinite when k > n, minus infinite when k is 0 (alpha of
/// 1: nothing need be covered), NaN when a score is NaN.
///
/// Guarantee: a new score that is exchangeable with these is at most this with probability ≥ 1 - alpha, and, where no
/// two scores are equal, ≤ 1 - alpha + 1 / (n + 1). It fails for a new row of another group, or of another time, than
/// the calibrated ones.
inline double conformal_quantile(std::vector<double> scores, double alpha) {
  if (std::any_of(scores.begin(), scores.end(), [](double s) { return std::isnan(s); }) || std::isnan(alpha)) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  const std::size_t k = conformal_rank(scores.size(), alpha);
  if (k > scores.size()) return std::numeric_limits<double>::infinity();
  if (k == 0) return -std::numeric_limits<double>::infinity();
  const auto place = scores.begin() + static_cast<std::ptrdiff_t>(k - 1);
  std::nth_element(scores.begin(), place, scores.end());
  return *place;
}

/// How the scores of calibrated rows become one quantile, where rows come in groups (models, experiments).
enum class conformal_rule : std::uint8_t {
  as_predicted,    ///< nothing is calibrated: the quantile is 0, the band of a quantile predictor stands as it is
  pooled,          ///< conformal_quantile of all rows alike: for a new row of the groups that were calibrated
  pooled_cdfs,     ///< pooled_cdf_quantile: for a row of a new group, on average over groups, when groups are many
  groups_alike,    ///< group_quantile: the same for any number of groups, at a price in width when they are few
  worst_of_groups  ///< quantile_of_group_quantiles: for most rows of most new groups
};
constexpr std::string_view name_of(conformal_rule rule) {
  constexpr std::string_view names[]{"as predicted", "pooled", "pooled CDFs", "groups alike", "worst of groups"};
  return names[static_cast<std::size_t>(rule)];
}

namespace detail {
/// The codes of the groups, which may be any, as 0 … G - 1 in their order.
struct compact_groups {
  std::vector<std::uint32_t> code;
  std::size_t count = 0;

  explicit compact_groups(std::span<const std::uint32_t> codes) {
    std::vector<std::uint32_t> known(codes.begin(), codes.end());
    std::sort(known.begin(), known.end());
    known.erase(std::unique(known.begin(), known.end()), known.end());
    count = known.size();
    code.reserve(codes.size());
    for (const std::uint32_t one : codes) {
      code.push_back(static_cast<std::uint32_t>(std::lower_bound(known.begin(), known.end(), one) - known.begin()));
    }
  }
};

/// The least score up to which each group's share of scores, added over the G groups that have any, is at least
/// (G + unknown) (1 - alpha); infinite when no score is, NaN when one is NaN.
inline double quantile_of_groups(std::span<const double> scores, std::span<const std::uint32_t> groups, double alpha,
                                 std::size_t unknown) {
  const compact_groups compact(groups);
  const std::size_t present = compact.count;
  std::vector<std::size_t> rows(present, 0);
  for (const std::uint32_t code : compact.code) ++rows[code];
  std::vector<std::pair<double, std::uint32_t>> order;
  order.reserve(scores.size());
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (std::isnan(scores[i])) return std::numeric_limits<double>::quiet_NaN();
    order.emplace_back(scores[i], compact.code[i]);
  }
  std::sort(order.begin(), order.end());
  const double needed = static_cast<double>(present + unknown) * (1.0 - alpha) - 1e-9;
  if (present == 0 || needed > static_cast<double>(present)) return std::numeric_limits<double>::infinity();
  if (!(needed > 0.0)) return -std::numeric_limits<double>::infinity();
  double below = 0.0;
  for (const auto& [score, code] : order) {
    below += 1.0 / static_cast<double>(rows[code]);
    if (below >= needed) return score;
  }
  return order.back().first;  // needed is all groups, but for rounding
}
}  // namespace detail

/// The quantile for a row of a new group, groups being many: the least score up to which the mean of the groups'
/// distribution functions is at least 1 - alpha (CDF pooling of Dunn, Wasserman and Ramdas 2022, "Distribution-free
/// prediction sets for two-layer hierarchical models"). Infinite without scores.
///
/// Guarantee: when groups are exchangeable with the new one, a row of the new group is covered with a probability that
/// tends to 1 - alpha, on average over new groups, as G grows; with G groups it may be less by order 1 / G. One new group
/// may have any coverage. It fails as group_quantile does.
/// @param groups  of each score: any codes. @returns NaN when a score is NaN
inline double pooled_cdf_quantile(std::span<const double> scores, std::span<const std::uint32_t> groups,
                                  double alpha) {
  return detail::quantile_of_groups(scores, groups, alpha, 0);
}

/// The quantile for a row of a new group, whatever the number of groups: each of the G groups with a score has weight
/// 1 / (G + 1), spread evenly over its rows, and the new group has the rest, at infinity; the least score up to which
/// the weights add up to 1 - alpha. Infinite when G / (G + 1) < 1 - alpha: level 90 % needs 9 groups. With one row in
/// each group it is conformal_quantile.
///
/// This is hierarchical conformal prediction (Lee, Barber and Willett 2023, "Distribution-free inference with
/// hierarchical data"): pooled_cdf_quantile at the level (1 - alpha)(G + 1) / G.
/// Guarantee: when groups are exchangeable with the new one, and rows within a group with each other, a row of the new
/// group is covered with probability ≥ 1 - alpha, on average over new groups; that may be up to about
/// 1 - alpha + 2 / (G + 1), and the intervals are as wide as that asks for. One new group may have any coverage. It
/// fails when the new group is not like the others: the only mixture of experts after dense models.
/// @param groups  of each score: any codes. @returns NaN when a score is NaN
inline double group_quantile(std::span<const double> scores, std::span<const std::uint32_t> groups, double alpha) {
  return detail::quantile_of_groups(scores, groups, alpha, 1);
}

/// Of the groups' own conformal quantiles at `alpha_of_rows`, the conformal_rank(G, alpha_of_groups)-th smallest: the
/// worst group for fewer than 2 / alpha_of_groups - 1 groups. Infinite when there are too few groups, or when that
/// group has too few rows.
///
/// Guarantee: with probability ≥ 1 - alpha_of_groups a new group that is exchangeable with the others has its own
/// quantile at most here, which then covers a share 1 - alpha_of_rows of its rows; so a row of a new group is covered
/// with probability ≥ 1 - alpha_of_rows - alpha_of_groups (double conformal prediction of Dunn, Wasserman and Ramdas
/// 2022 is this with both halved). Wide: it pays for the worst group everywhere. It fails as group_quantile does.
/// @param groups  of each score: any codes. @returns NaN when a score is NaN
inline double quantile_of_group_quantiles(std::span<const double> scores, std::span<const std::uint32_t> groups,
                                          double alpha_of_rows, double alpha_of_groups) {
  const detail::compact_groups compact(groups);
  std::vector<std::vector<double>> own(compact.count);
  for (std::size_t i = 0; i < scores.size(); ++i) own[compact.code[i]].push_back(scores[i]);
  std::vector<double> quantiles;
  for (std::vector<double>& group : own) quantiles.push_back(conformal_quantile(std::move(group), alpha_of_rows));
  return conformal_quantile(std::move(quantiles), alpha_of_groups);
}

/// One of the rules. `worst_of_groups` takes alpha for rows and for groups.
inline double conformal_quantile(conformal_rule rule, std::span<const double> scores,
                                 std::span<const std::uint32_t> groups, double alpha) {
  switch (rule) {
    case conformal_rule::as_predicted:
      return 0.0;
    case conformal_rule::pooled:
      return conformal_quantile(std::vector<double>(scores.begin(), scores.end()), alpha);
    case conformal_rule::pooled_cdfs:
      return pooled_cdf_quantile(scores, groups, alpha);
    case conformal_rule::groups_alike:
      return group_quantile(scores, groups, alpha);
    case conformal_rule::worst_of_groups:
      return quantile_of_group_quantiles(scores, groups, alpha, alpha);
  }
  return std::numeric_limits<double>::quiet_NaN();
}

/// A score, and the values whose score is not above a quantile q: [lower, upper], closed. `scale` is how hard a row is,
/// in the units of the score; quantiles of absolute and normalised scores are not negative.
struct absolute_score {
  static constexpr std::string_view name = "absolute";
  static double of(double actual, double predicted, double = 1.0) { return std::abs(actual - predicted); }
  static double lower(double predicted, double q, double = 1.0) { return predicted - q; }
  static double upper(double predicted, double q, double = 1.0) { return predicted + q; }
};
struct normalised_score {
  static constexpr std::string_view name = "normalised";
  static double of(double actual, double predicted, double scale) { return std::abs(actual - predicted) / scale; }
  static double lower(double predicted, double q, double scale) { return predicted - q * scale; }
  static double upper(double predicted, double q, double scale) { return predicted + q * scale; }
};
/// |log(actual / predicted)|: a factor either way. For positive values; NaN else.
struct log_ratio_score {
  static constexpr std::string_view name = "log_ratio";
  static double of(double actual, double predicted, double scale = 1.0) {
    return std::abs(std::log(actual / predicted)) / scale;
  }
  static double lower(double predicted, double q, double scale = 1.0) { return predicted * std::exp(-q * scale); }
  static double upper(double predicted, double q, double scale = 1.0) { return predicted * std::exp(q * scale); }
};

}  // namespace rafter
