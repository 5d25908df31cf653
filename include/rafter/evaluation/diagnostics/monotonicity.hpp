// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: by name, or all diagnoses with rafter/evaluation/diagnose.hpp.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rafter/config.hpp"
#include "rafter/core/random.hpp"
#include "rafter/evaluation/diagnostics/tested_errors.hpp"
#include "rafter/evaluation/section.hpp"
#include "rafter/evaluation/text.hpp"

/// Does a step that has more to do ever take less time, in the eyes of a predictor?
namespace rafter {

/// Probes whose names begin so make a batch heavier: see load_probes.
inline constexpr std::string_view load_probe_prefix = "load: ";

/// A prediction that falls by no more than this, relatively, does not fall: rounding.
inline constexpr double fall_tolerance = 1e-9;

/// One predictor's answers to one way of making steps heavier.
struct probe_falls {
  std::string probe;
  std::size_t pairs = 0, falls = 0;
  double largest = 0.0;  ///< largest fall / prediction of the lighter step
  std::size_t row = 0;   ///< where that was
  std::string fold;
  double lighter = 0.0, heavier = 0.0;  ///< [s], predicted there
  std::vector<std::string> refused;     ///< of folds that were not answered: which, and why

  double share() const { return pairs == 0 ? 0.0 : static_cast<double>(falls) / static_cast<double>(pairs); }
};

/// Of each load probe of a result, over all folds. Pairs in which one of the predictions is not finite count as falls
/// of no size.
RAFTER_COLD inline std::vector<probe_falls> falls_of_probes(const predictor_result& result,
                                                            std::string_view prefix = load_probe_prefix) {
  std::vector<probe_falls> made;
  for (const fold_result& part : result.folds) {
    for (const probe_predictions& probe : part.probes) {
      if (!std::string_view(probe.probe).starts_with(prefix)) continue;
      auto found =
          std::find_if(made.begin(), made.end(), [&](const probe_falls& one) { return one.probe == probe.probe; });
      if (found == made.end()) {
        made.emplace_back().probe = probe.probe;
        found = made.end() - 1;
      }
      if (!probe.refused.empty()) {
        found->refused.push_back("refused in fold " + part.held_out + ": " + probe.refused);
        continue;
      }
      // The probed rows are some of the tested ones, both ascending.
      std::vector<std::size_t> tested = part.predictions.rows.to_vector();
      std::size_t at = 0, asked = 0;
      probe.rows.for_each([&](std::size_t row) {
        while (at < tested.size() && tested[at] < row) ++at;
        if (at == tested.size() || tested[at] != row || at >= part.predictions.predicted.size()) {
          ++asked;
          return;
        }
        const double lighter = part.predictions.predicted[at], heavier = probe.predicted[asked++];
        ++found->pairs;
        if (heavier >= lighter - fall_tolerance * std::fabs(lighter)) return;
        ++found->falls;
        const double fall = (lighter - heavier) / std::fabs(lighter);
        if (fall > found->largest) {
          found->largest = fall;
          found->row = row;
          found->fold = part.held_out;
          found->lighter = lighter;
          found->heavier = heavier;
        }
      });
    }
  }
  return made;
}

/// Two steps of one deployment of which the second has no less of anything and more of something.
struct dominance_pair {
  std::size_t lighter = 0, heavier = 0;  ///< rows
};

/// What a step may have more of: the counts whose rise never makes a step lighter.
inline constexpr std::array<std::string_view, 8> load_columns{
    "prefill_tokens", "decode_tokens",           "prefill_requests", "decode_requests",
    "kv_sum",         "prefill_attention_pairs", "prefill_kv_sum",   "kv_max"};

struct dominance_options {
  std::size_t pairs = 20000;  ///< of a fold set, at most
  std::size_t draws = 400000;
  std::uint64_t seed = 1;
};

/// Seeded pairs of tested rows of each fold, whose predictions thus come from one fit; folds in turn get as many
/// draws as they have rows of the total. @returns pairs of each fold
RAFTER_COLD inline std::vector<std::vector<dominance_pair>> dominance_pairs(const predictor_result& result,
                                                                            const step_view& view,
                                                                            const dominance_options& options = {}) {
  std::vector<const std::vector<double>*> columns;
  for (const std::string_view name : load_columns) {
    if (const std::vector<double>* values = view.find(name)) columns.push_back(values);
  }
  std::vector<std::vector<dominance_pair>> made(result.folds.size());
  if (columns.empty()) return made;
  std::size_t total = 0;
  for (const fold_result& one : result.folds) total += one.predictions.actual.size();
  detail::seeded_numbers random(options.seed);
  for (std::size_t f = 0; f < result.folds.size(); ++f) {
    const fold_predictions& from = result.folds[f].predictions;
    if (from.actual.size() < 2) continue;
    // Rows of one deployment stand together.
    std::vector<std::size_t> rows = from.rows.to_vector();
    std::stable_sort(rows.begin(), rows.end(),
                     [&](std::size_t a, std::size_t b) { return view.deployment[a] < view.deployment[b]; });
    std::vector<std::pair<std::size_t, std::size_t>> span(rows.size());
    for (std::size_t begin = 0; begin < rows.size();) {
      std::size_t end = begin;
      while (end < rows.size() && view.deployment[rows[end]] == view.deployment[rows[begin]]) ++end;
      for (std::size_t i = begin; i < end; ++i) span[i] = {begin, end};
      begin = end;
    }
    const double part = static_cast<double>(rows.size()) / static_cast<double>(total);
    const auto draws = static_cast<std::size_t>(part * static_cast<double>(options.draws));
    const auto most = static_cast<std::size_t>(part * static_cast<double>(options.pairs));
    for (std::size_t draw = 0; draw < draws && made[f].size() < most; ++draw) {
      const std::size_t i = random.below(rows.size());
      const std::size_t j = span[i].first + random.below(span[i].second - span[i].first);
      std::size_t lighter = rows[i], heavier = rows[j];
      bool up = false, down = false;
      for (const std::vector<double>* of : columns) {
        up = up || (*of)[heavier] > (*of)[lighter];
        down = down || (*of)[heavier] < (*of)[lighter];
      }
      if (up == down) continue;  // equal, or neither has all of the other
      if (down) std::swap(lighter, heavier);
      made[f].push_back({lighter, heavier});
    }
  }
  return made;
}

/// How often the heavier step of a pair is predicted, and was measured, to take less time.
struct dominance_report {
  std::string predictor;
  std::size_t pairs = 0, falls = 0, measured_falls = 0;
  double largest = 0.0;           ///< largest predicted fall / prediction of the lighter step
  double largest_measured = 0.0;  ///< the same of the measured times
  dominance_pair worst;           ///< of the predictions
  std::string fold;
  double lighter = 0.0, heavier = 0.0;  ///< [s], predicted there

  double share() const { return pairs == 0 ? 0.0 : static_cast<double>(falls) / static_cast<double>(pairs); }
  double measured_share() const {
    return pairs == 0 ? 0.0 : static_cast<double>(measured_falls) / static_cast<double>(pairs);
  }
};

RAFTER_COLD inline dominance_report dominance(const predictor_result& result, const step_view& view,
                                              const std::vector<std::vector<dominance_pair>>& pairs) {
  dominance_report made;
  made.predictor = result.predictor;
  std::vector<std::size_t> place(view.rows, 0);
  for (std::size_t f = 0; f < std::min(result.folds.size(), pairs.size()); ++f) {
    const fold_predictions& from = result.folds[f].predictions;
    std::size_t i = 0;
    from.rows.for_each([&](std::size_t row) { place[row] = i++; });
    for (const dominance_pair& pair : pairs[f]) {
      const std::size_t light = place[pair.lighter], heavy = place[pair.heavier];
      ++made.pairs;
      const double before = from.predicted[light], after = from.predicted[heavy];
      if (!(after >= before - fall_tolerance * std::fabs(before))) {
        ++made.falls;
        const double fall = (before - after) / std::fabs(before);
        if (fall > made.largest) {
          made.largest = fall;
          made.worst = pair;
          made.fold = result.folds[f].held_out;
          made.lighter = before;
          made.heavier = after;
        }
      }
      if (from.actual[heavy] < from.actual[light]) {
        ++made.measured_falls;
        made.largest_measured =
            std::max(made.largest_measured, (from.actual[light] - from.actual[heavy]) / from.actual[light]);
      }
    }
  }
  return made;
}

/// Falls under load probes, where there are any, and among pairs of real steps with the measured times beside them.
RAFTER_COLD inline report_section monotonicity_section(const evaluation_report& report, const step_view& view,
                                                       const dominance_options& options = {}) {
  using namespace detail;
  report_section made{"monotonicity", "Monotonicity", "", {}};
  const std::vector<const predictor_result*> results = results_with_predictions(report);
  if (results.empty()) {
    made.blocks.push_back(paragraph{no_predictions_kept});
    return made;
  }
  const auto count = [](std::size_t n) { return table_cell(grouped(n), static_cast<double>(n)); };
  const auto share = [](double fraction) { return table_cell(percent(fraction), 100.0 * fraction); };
  text_table probes({"<predictor", "<more of", "pairs", "falls", "share %", "largest fall %", "<in fold", "row", "us",
                     "us with more"});
  text_table totals({"<predictor", "pairs", "falls", "share %", "largest fall %", "<by"});
  std::vector<std::string> refused;
  bool probed = false;
  for (const predictor_result* result : results) {
    std::size_t pairs = 0, falls = 0;
    const std::vector<probe_falls> found = falls_of_probes(*result);
    const probe_falls* worst = nullptr;
    for (const probe_falls& one : found) {
      probed = true;
      for (const std::string& why : one.refused) {
        refused.push_back(result->predictor + ", " + one.probe + ": " + why);
      }
      if (one.pairs == 0 && !one.refused.empty()) continue;
      pairs += one.pairs;
      falls += one.falls;
      if (one.falls > 0 && (worst == nullptr || one.largest > worst->largest)) worst = &one;
      const std::string more = one.probe.substr(load_probe_prefix.size());
      if (one.falls == 0) {
        probes.add({result->predictor, more, count(one.pairs), count(0), share(0.0), "-", "-", "-", "-", "-"});
      } else {
        probes.add({result->predictor,
                    more,
                    count(one.pairs),
                    count(one.falls),
                    share(one.share()),
                    share(one.largest),
                    one.fold,
                    count(one.row),
                    {microseconds(one.lighter), 1e6 * one.lighter},
                    {microseconds(one.heavier), 1e6 * one.heavier}});
      }
    }
    if (pairs == 0) continue;
    const double all = static_cast<double>(falls) / static_cast<double>(pairs);
    totals.add({result->predictor, count(pairs), count(falls), share(all),
                worst == nullptr ? table_cell("-") : share(worst->largest),
                worst == nullptr ? "-" : worst->probe.substr(load_probe_prefix.size())});
  }
  if (probed) {
    made.blocks.push_back(
        paragraph{"Steps made heavier by one thing: a prediction that falls says that more work takes less time."});
    made.blocks.push_back(captioned_table{"falls when a step gets more to do", std::move(totals)});
    made.blocks.push_back(captioned_table{"by what it gets more of", std::move(probes), true});
    if (!refused.empty()) made.blocks.push_back(bullet_list{std::move(refused)});
  } else {
    made.blocks.push_back(paragraph{"Steps with more to do were not asked for (no load probes in this evaluation)."});
  }

  std::string by;
  for (const std::string_view name : load_columns) {
    if (view.find(name) != nullptr) by += (by.empty() ? "" : ", ") + std::string(name);
  }
  if (by.empty()) {
    made.blocks.push_back(paragraph{"Pairs of steps are not compared: the schema has no counts of load."});
    return made;
  }
  text_table table({"<predictor", "pairs", "falls", "share %", "measured %", "largest fall %", "measured %"});
  std::vector<std::vector<dominance_pair>> pairs;
  const predictor_result* drawn_for = nullptr;
  std::string worst_by;
  double worst = -1.0, measured = 0.0, least_measured = 0.0, most_measured = 0.0;
  for (const predictor_result* result : results) {
    const bool same = drawn_for != nullptr && drawn_for->folds.size() == result->folds.size() &&
                      std::equal(drawn_for->folds.begin(), drawn_for->folds.end(), result->folds.begin(),
                                 [](const fold_result& a, const fold_result& b) {
                                   return a.predictions.rows == b.predictions.rows;
                                 });
    if (!same) pairs = dominance_pairs(*result, view, options);
    drawn_for = result;
    const dominance_report one = dominance(*result, view, pairs);
    if (one.pairs == 0) continue;
    table.add({one.predictor, count(one.pairs), count(one.falls), share(one.share()), share(one.measured_share()),
               share(one.largest), share(one.largest_measured)});
    least_measured = worst < 0.0 ? one.measured_share() : std::min(least_measured, one.measured_share());
    most_measured = std::max(most_measured, one.measured_share());
    if (one.share() > worst) {
      worst = one.share();
      worst_by = one.predictor;
      measured = one.measured_share();
    }
  }
  if (table.empty()) {
    made.blocks.push_back(
        paragraph{"Pairs of steps are not compared: no two tested steps of a deployment and fold "
                  "are ordered in all of " +
                  by + "."});
    return made;
  }
  // Predictors that were tested on other rows have other pairs.
  const std::string spread = percent(least_measured) == percent(most_measured)
                                 ? percent(most_measured)
                                 : percent(least_measured) + " to " + percent(most_measured);
  made.summary =
      worst == 0.0
          ? fmt::format(
                "Of pairs of steps of which one has more to do, no predictor predicts the heavier one shorter; "
                "{} % were measured so.",
                spread)
          : fmt::format(
                "Of pairs of steps of which one has more to do, {} predicts the heavier one shorter in {} % "
                "(the most of all predictors); {} % of the same pairs were measured so.",
                worst_by, percent(worst), percent(measured));
  made.blocks.push_back(paragraph{
      fmt::format("Pairs of tested steps of one deployment and fold, a seeded sample, of which the heavier has "
                  "no less of {} and more of one. Measured times that fall are noise, or something that "
                  "these counts do not say: a predictor need not beat them.",
                  by)});
  made.blocks.push_back(captioned_table{"falls among pairs of real steps", std::move(table)});
  return made;
}

}  // namespace rafter
