// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// opt-in: by name, or all diagnoses with rafter/evaluation/diagnose.hpp.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <map>
#include <numeric>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "rafter/config.hpp"
#include "rafter/evaluation/diagnostics/tested_errors.hpp"
#include "rafter/evaluation/section.hpp"
#include "rafter/evaluation/text.hpp"
#include "rafter/validation/fold.hpp"

namespace rafter {

/// In what way a tested row may be known from training.
enum class overlap_kind : std::uint8_t {
  copied_step,          ///< a training row has the same deployment, equal columns and the same measured time
  duplicated_step,      ///< a training row has the same deployment and equal columns
  equal_work,           ///< a training row of whatever deployment has equal columns, FLOP, bytes and device figures
  gemm_measurement,     ///< a training row rests on the same measurement
  prefill_measurement,  ///< the same of prefill attention
  decode_measurement,   ///< the same of decode attention
  experiment,           ///< a training row is of the same experiment
  neighbouring_step     ///< the nearest row before or after it in the same experiment is a training row
};
inline constexpr std::size_t overlap_kinds = 8;

constexpr std::string_view name_of(overlap_kind kind) {
  constexpr std::array<std::string_view, overlap_kinds> names{"copied step",
                                                              "duplicated step",
                                                              "equal work",
                                                              "GEMM measurement",
                                                              "prefill attention measurement",
                                                              "decode attention measurement",
                                                              "experiment",
                                                              "neighbouring step"};
  return names[static_cast<std::size_t>(kind)];
}

enum class overlap_verdict : std::uint8_t { not_known, none, by_design, leak };

constexpr std::string_view name_of(overlap_verdict verdict) {
  constexpr std::array<std::string_view, 4> names{"not known", "none", "shared by design", "leak"};
  return names[static_cast<std::size_t>(verdict)];
}

struct fold_overlap {
  std::string held_out;
  std::size_t rows = 0;  ///< tested
  std::array<std::size_t, overlap_kinds> affected{};

  double share(overlap_kind kind) const {
    return rows == 0 ? 0.0
                     : static_cast<double>(affected[static_cast<std::size_t>(kind)]) / static_cast<double>(rows);
  }
};

/// What the folds of a split share between training (and tuning) and test.
struct overlap_report {
  std::vector<fold_overlap> folds;
  std::array<bool, overlap_kinds> known{};  ///< does the data tell?
  std::array<overlap_verdict, overlap_kinds> verdicts{};
  std::vector<std::string> held_out_axes;  ///< group axes of which no fold has a label on both sides
  overlap_verdict verdict = overlap_verdict::none;
  std::string training, tested;         ///< the sources, when they are two files; empty: the folds are of one
  std::vector<std::string> not_common;  ///< columns of one of two files, which were not compared

  /// The fold with the largest share; null without folds.
  const fold_overlap* worst(overlap_kind kind) const {
    const fold_overlap* found = nullptr;
    for (const fold_overlap& one : folds) {
      if (found == nullptr || one.share(kind) > found->share(kind)) found = &one;
    }
    return found;
  }
  /// Is it more than `limit` of all tested rows, or of those of one fold and there more than `few` rows?
  bool exceeds(overlap_kind kind, double limit, std::size_t few) const {
    return share(kind) > limit || std::any_of(folds.begin(), folds.end(), [&](const fold_overlap& one) {
             return one.share(kind) > limit && one.affected[static_cast<std::size_t>(kind)] > few;
           });
  }
  /// Of all tested rows.
  double share(overlap_kind kind) const {
    std::size_t rows = 0, affected = 0;
    for (const fold_overlap& one : folds) {
      rows += one.rows;
      affected += one.affected[static_cast<std::size_t>(kind)];
    }
    return rows == 0 ? 0.0 : static_cast<double>(affected) / static_cast<double>(rows);
  }
};

/// Up to this share of tested rows, of all and of each fold (there: or one row), that have an equal step of equal time in training are chance.
inline constexpr double chance_share = 0.01;

/// Up to this share of tested rows beside a training row, of all and of each fold (there: or two rows, the ends of one
/// stretch), is the seam of a split in time; more is no split in time.
inline constexpr double seam_share = 0.05;

namespace detail {

/// Rows that are equal in all columns share a number below the count of rows.
RAFTER_COLD inline std::vector<std::uint32_t> equal_rows(const std::vector<const std::vector<double>*>& columns,
                                                         std::size_t rows) {
  std::vector<std::uint64_t> hashes(rows, 0x9e3779b97f4a7c15U);
  for (const std::vector<double>* column : columns) {
    for (std::size_t row = 0; row < rows; ++row) {
      std::uint64_t z = hashes[row] ^ std::bit_cast<std::uint64_t>((*column)[row] + 0.0);  // -0 is 0
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
      z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
      hashes[row] = (z ^ (z >> 31)) + 0x9e3779b97f4a7c15U;
    }
  }
  std::vector<std::uint32_t> order(rows);
  std::iota(order.begin(), order.end(), 0U);
  std::sort(order.begin(), order.end(),
            [&](std::uint32_t a, std::uint32_t b) { return hashes[a] != hashes[b] ? hashes[a] < hashes[b] : a < b; });
  const auto same = [&](std::uint32_t a, std::uint32_t b) {
    return hashes[a] == hashes[b] && std::all_of(columns.begin(), columns.end(),
                                                 [&](const std::vector<double>* of) { return (*of)[a] == (*of)[b]; });
  };
  std::vector<std::uint32_t> number(rows);
  for (std::size_t i = 0; i < rows; ++i) {
    number[order[i]] = order[i];
    // Rows of one hash are neighbours; unequal ones among them (a collision) each look back over those.
    for (std::size_t back = i; back-- > 0 && hashes[order[back]] == hashes[order[i]];) {
      if (same(order[back], order[i])) {
        number[order[i]] = number[order[back]];
        break;
      }
    }
  }
  return number;
}

/// How many tested rows have a key that a training row has. @param keys  one a row, below `count`; no_class: none
class shared_keys {
 public:
  shared_keys(const std::vector<std::uint32_t>& keys, std::size_t count) : keys_(keys), seen_(count, 0) {}
  std::size_t count(const fold& part) {
    ++stamp_;
    const auto mark = [&](std::size_t row) {
      if (keys_[row] != no_class) seen_[keys_[row]] = stamp_;
    };
    part.train.for_each(mark);
    part.validation.for_each(mark);
    std::size_t found = 0;
    part.test.for_each(
        [&](std::size_t row) { found += keys_[row] != no_class && seen_[keys_[row]] == stamp_ ? 1U : 0U; });
    return found;
  }

 private:
  const std::vector<std::uint32_t>& keys_;
  std::vector<std::uint32_t> seen_;
  std::uint32_t stamp_ = 0;
};

}  // namespace detail

/// For each fold the tested rows that training (or tuning) rows have something in common with, and a verdict:
///
/// * copied steps are a leak from `chance_share` on: what was learned can be looked up (a few are chance: a state
///   that recurs, and a clock of finite resolution);
/// * duplicated steps are a leak when the split holds a group axis out, else a state of the engine that recurs;
/// * equal work under another label (models of one shape) is a leak when the split holds a group out, for then the
///   group is not new;
/// * shared measurements are by design when the split holds a group axis out (a model is new though the attention
///   kernel of its shape was measured once for all), and a leak when it holds out none;
/// * neighbouring steps (the nearest rows in use before and after, however many steps were not logged between) on the
///   other side are the seam of a split in time up to `seam_share`, and else a leak;
/// * shared experiments are by design where neighbours say that the split is one in time, or where it holds a group
///   axis out and nothing tells the order; else their rows were drawn at random, a leak.
///
/// Shares are judged over all tested rows and in each fold, so that one bad fold does not hide among many. Steps are
/// ordered by id, else by start time; without labels of experiments, within a deployment.
/// @param view  of the dataset that the folds are of
RAFTER_COLD inline overlap_report overlap_audit(const std::vector<fold>& folds, const step_view& view) {
  overlap_report made;
  for (const fold& part : folds) made.folds.push_back({part.held_out, part.test.size(), {}});
  constexpr std::array own{group::experiment, group::model,           group::workload, group::hardware,
                           group::tp,         group::attention_shape, group::routing,  group::rig};
  for (std::size_t i = 0; i < group_axes; ++i) {
    const auto axis = static_cast<group>(i);
    const group_column* labels = view.labels(axis);
    if (labels == nullptr || labels->count() < 2) continue;
    const bool shared = std::any_of(folds.begin(), folds.end(),
                                    [&](const fold& part) { return shared_label(part, *labels).has_value(); });
    if (shared) continue;
    made.held_out_axes.emplace_back(name_of(axis));
  }
  const bool holds_out = std::any_of(own.begin(), own.end(), [&](group axis) {
    return std::find(made.held_out_axes.begin(), made.held_out_axes.end(), name_of(axis)) != made.held_out_axes.end();
  });

  const auto count = [&](overlap_kind kind, const std::vector<std::uint32_t>& keys, std::size_t different) {
    const auto at = static_cast<std::size_t>(kind);
    made.known[at] = true;
    detail::shared_keys shared(keys, different);
    for (std::size_t f = 0; f < folds.size(); ++f) made.folds[f].affected[at] = shared.count(folds[f]);
  };
  std::vector<double> deployments(view.deployment.begin(), view.deployment.end());
  std::vector<const std::vector<double>*> columns;
  for (const step_column& one : view.columns) columns.push_back(&one.values);
  if (!columns.empty()) {
    std::vector<const std::vector<double>*> with_deployment = columns;
    with_deployment.push_back(&deployments);
    count(overlap_kind::duplicated_step, detail::equal_rows(with_deployment, view.rows), view.rows);
    with_deployment.push_back(&view.times);
    count(overlap_kind::copied_step, detail::equal_rows(with_deployment, view.rows), view.rows);
    if (view.find("flops") != nullptr && !view.peak_flops.empty() && !view.hbm_bandwidth.empty()) {
      std::vector<double> peak(view.rows), bandwidth(view.rows);
      for (std::size_t row = 0; row < view.rows; ++row) {
        peak[row] = view.peak_flops[view.deployment[row]];
        bandwidth[row] = view.hbm_bandwidth[view.deployment[row]];
      }
      columns.push_back(&peak);
      columns.push_back(&bandwidth);
      count(overlap_kind::equal_work, detail::equal_rows(columns, view.rows), view.rows);
    }
  }
  const auto count_labels = [&](overlap_kind kind, group axis) {
    const group_column* labels = view.labels(axis);
    if (labels == nullptr) return;
    std::vector<std::uint32_t> keys = labels->codes();
    for (std::size_t code = 0; code < labels->count(); ++code) {
      if (labels->names()[code] != no_measurement) continue;
      std::replace(keys.begin(), keys.end(), static_cast<std::uint32_t>(code), no_class);
    }
    count(kind, keys, labels->count());
  };
  count_labels(overlap_kind::gemm_measurement, group::gemm_measurement);
  count_labels(overlap_kind::prefill_measurement, group::prefill_attention_measurement);
  count_labels(overlap_kind::decode_measurement, group::decode_attention_measurement);
  count_labels(overlap_kind::experiment, group::experiment);
  if (!view.step_ids.empty() || !view.start_ns.empty()) {
    const auto at = static_cast<std::size_t>(overlap_kind::neighbouring_step);
    made.known[at] = true;
    const group_column* experiments = view.labels(group::experiment);
    const auto experiment = [&](std::size_t row) {
      return experiments != nullptr ? std::size_t{experiments->code(row)} : view.deployment[row];
    };
    std::vector<std::size_t> order(view.rows);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      if (experiment(a) != experiment(b)) return experiment(a) < experiment(b);
      return view.step_ids.empty() ? view.start_ns[a] < view.start_ns[b] : view.step_ids[a] < view.step_ids[b];
    });
    enum class use : std::uint8_t { none, trained, tested };
    std::vector<use> uses;
    for (std::size_t f = 0; f < folds.size(); ++f) {
      uses.assign(view.rows, use::none);
      folds[f].test.for_each([&](std::size_t row) { uses[row] = use::tested; });
      const auto mark = [&](std::size_t row) { uses[row] = use::trained; };
      folds[f].train.for_each(mark);
      folds[f].validation.for_each(mark);
      // Rows in use, one after the other: each tested one is asked about the one before and the one after.
      const std::size_t no_row = view.rows;
      std::size_t before = no_row;
      bool beside_before = false;  // is `before` tested, and was it counted?
      for (const std::size_t row : order) {
        if (uses[row] == use::none) continue;
        const bool together = before != no_row && experiment(before) == experiment(row);
        bool counted = false;
        if (together && uses[row] != uses[before]) {
          counted = uses[row] == use::tested;
          if (counted || !beside_before) ++made.folds[f].affected[at];
        }
        before = row;
        beside_before = counted;
      }
    }
  }

  for (std::size_t at = 0; at < overlap_kinds; ++at) {
    const auto kind = static_cast<overlap_kind>(at);
    overlap_verdict& verdict = made.verdicts[at];
    const double share = made.share(kind);
    if (!made.known[at]) {
      verdict = overlap_verdict::not_known;
    } else if (share == 0.0) {
      verdict = overlap_verdict::none;
    } else if (kind == overlap_kind::copied_step) {
      verdict = made.exceeds(kind, chance_share, 1) ? overlap_verdict::leak : overlap_verdict::by_design;
    } else if (kind == overlap_kind::duplicated_step || kind == overlap_kind::equal_work) {
      verdict = holds_out ? overlap_verdict::leak : overlap_verdict::by_design;
    } else if (kind == overlap_kind::neighbouring_step) {
      verdict = made.exceeds(kind, seam_share, 2) ? overlap_verdict::leak : overlap_verdict::by_design;
    } else if (kind == overlap_kind::experiment) {
      constexpr auto neighbour = overlap_kind::neighbouring_step;
      const bool random =
          made.known[static_cast<std::size_t>(neighbour)] ? made.exceeds(neighbour, seam_share, 2) : !holds_out;
      verdict = random ? overlap_verdict::leak : overlap_verdict::by_design;
    } else {
      verdict = holds_out ? overlap_verdict::by_design : overlap_verdict::leak;
    }
    if (verdict > made.verdict) made.verdict = verdict;
  }
  return made;
}

namespace detail {

/// The rows of two views, one after the other, with the columns and labels that both have. Steps of one deployment are
/// those whose labels of model, hardware, TP and rig (where both have them) and whose device figures are equal.
RAFTER_COLD inline step_view joined(const step_view& first, const step_view& second,
                                    std::vector<std::string>& not_common) {
  step_view made;
  made.rows = first.rows + second.rows;
  const auto both = [](auto to, const auto& more) {
    to.insert(to.end(), more.begin(), more.end());
    return to;
  };
  made.times = both(first.times, second.times);
  for (const step_column& one : first.columns) {
    if (const std::vector<double>* other = second.find(one.name)) {
      made.columns.push_back({one.name, both(one.values, *other)});
    } else {
      not_common.push_back(one.name);
    }
  }
  for (const step_column& one : second.columns) {
    if (first.find(one.name) == nullptr) not_common.push_back(one.name);
  }
  for (std::size_t i = 0; i < group_axes; ++i) {
    const auto axis = static_cast<group>(i);
    const group_column *a = first.labels(axis), *b = second.labels(axis);
    if (a == nullptr || b == nullptr) continue;
    group_column labels = *a;
    for (std::size_t row = 0; row < second.rows; ++row) labels.push_back(b->name(row));
    made.groups[i] = std::move(labels);
  }
  // Without experiments in both, nothing says that a step of one file is beside a step of the other.
  if (made.labels(group::experiment) != nullptr) {
    if (!first.step_ids.empty() && !second.step_ids.empty()) {
      made.step_ids = both(first.step_ids, second.step_ids);
    } else if (!first.start_ns.empty() && !second.start_ns.empty()) {
      made.start_ns = both(first.start_ns, second.start_ns);
    }
  }
  const bool figures = !first.peak_flops.empty() && !second.peak_flops.empty() && !first.hbm_bandwidth.empty() &&
                       !second.hbm_bandwidth.empty();
  std::map<std::tuple<std::array<std::uint32_t, 4>, double, double>, std::size_t> known;
  for (std::size_t row = 0; row < made.rows; ++row) {
    const step_view& of = row < first.rows ? first : second;
    const std::size_t own = of.deployment[row < first.rows ? row : row - first.rows];
    std::array<std::uint32_t, 4> labels{};
    constexpr std::array axes{group::model, group::hardware, group::tp, group::rig};
    for (std::size_t k = 0; k < axes.size(); ++k) {
      if (const group_column* label = made.labels(axes[k])) labels[k] = label->code(row);
    }
    const double peak = figures ? of.peak_flops[own] : 0.0, bandwidth = figures ? of.hbm_bandwidth[own] : 0.0;
    const auto found = known.try_emplace({labels, peak, bandwidth}, known.size());
    if (found.second && figures) {
      made.peak_flops.push_back(peak);
      made.hbm_bandwidth.push_back(bandwidth);
    }
    made.deployment.push_back(found.first->second);
  }
  return made;
}

}  // namespace detail

/// The same of predictors that were fitted on one file and tested on another: rows are compared by the columns that both
/// have, labels by their names (an experiment of one name in both is one experiment).
RAFTER_COLD inline overlap_report overlap_audit(const step_view& training, const step_view& tested) {
  std::vector<std::string> not_common;
  const step_view both = detail::joined(training, tested, not_common);
  const row_set first = row_set::all(training.rows);
  overlap_report made = overlap_audit({{"all", first, {}, first.complement(both.rows)}}, both);
  made.training = training.source.empty() ? "the training data" : training.source;
  made.tested = tested.source.empty() ? "the tested data" : tested.source;
  made.not_common = std::move(not_common);
  return made;
}

/// @param split  the name of the split that made the folds; not looked at when the audit is of two files
RAFTER_COLD inline report_section overlap_section(const overlap_report& audit, std::string_view split) {
  using namespace detail;
  report_section made{"overlap-audit", "What training and test share", "", {}};
  std::string leaks, shared;
  text_table table({"<in common", "tested rows %", "<worst fold", "its rows %", "<verdict"});
  for (std::size_t at = 0; at < overlap_kinds; ++at) {
    const auto kind = static_cast<overlap_kind>(at);
    if (!audit.known[at]) {
      table.add({std::string(name_of(kind)), "-", "-", "-", "not known"});
      continue;
    }
    const fold_overlap* worst = audit.worst(kind);
    const double share = audit.share(kind), of_worst = worst == nullptr ? 0.0 : worst->share(kind);
    table.add({std::string(name_of(kind)),
               {percent(share), 100.0 * share},
               worst == nullptr || of_worst == 0.0 ? "-" : worst->held_out,
               {percent(of_worst), 100.0 * of_worst},
               std::string(name_of(audit.verdicts[at]))});
    std::string& to = audit.verdicts[at] == overlap_verdict::leak ? leaks : shared;
    if (audit.verdicts[at] >= overlap_verdict::by_design) {
      to += fmt::format("{}{} ({} % of the tested rows", to.empty() ? "" : ", ", name_of(kind), percent(share));
      if (audit.folds.size() > 1 && of_worst > share) {
        to += fmt::format("; worst fold, {}: {} %", worst->held_out, percent(of_worst));
      }
      to += ")";
    }
  }
  std::string held_out;
  for (const std::string& axis : audit.held_out_axes) held_out += (held_out.empty() ? "" : ", ") + axis;
  const bool two_files = !audit.tested.empty();
  const std::string what = two_files ? fmt::format("Trained on {}, tested on {}", audit.training, audit.tested)
                                     : fmt::format("Split {}", split);
  const bool compared = std::find(audit.known.begin(), audit.known.end(), true) != audit.known.end();
  made.summary = !compared         ? what + ": what they share is not known, for there is nothing to compare them by."
                 : !leaks.empty()  ? fmt::format("{}: leak by {}.", what, leaks)
                 : !shared.empty() ? fmt::format("{}: nothing leaks; shared by design: {}.", what, shared)
                                   : what + ": training and test have nothing in common.";
  made.blocks.push_back(
      paragraph{made.summary + (held_out.empty() ? " No label of any group axis is held out."
                                                 : " Labels held out of training: " + held_out + ".")});
  if (two_files) {
    std::string text =
        "Two files are compared by the columns that both have, and by labels of the same name: an experiment of one "
        "name in both is taken for one experiment.";
    if (!audit.not_common.empty()) text += fmt::format(" Only one has: {}.", fmt::join(audit.not_common, ", "));
    made.blocks.push_back(paragraph{std::move(text)});
  }
  made.blocks.push_back(captioned_table{
      "tested rows that training or tuning rows have something in common with; not known: the data does not tell",
      std::move(table)});
  text_table folds({"<held out", "tested", "copied %", "duplicated %", "equal work %", "GEMM %", "prefill attn %",
                    "decode attn %", "experiment %", "neighbour %"});
  for (const fold_overlap& one : audit.folds) {
    std::vector<table_cell> cells{one.held_out, {grouped(one.rows), static_cast<double>(one.rows)}};
    for (std::size_t at = 0; at < overlap_kinds; ++at) {
      const double share = one.share(static_cast<overlap_kind>(at));
      cells.push_back(audit.known[at] ? table_cell(percent(share), 100.0 * share) : table_cell("-"));
    }
    folds.add(std::move(cells));
  }
  made.blocks.push_back(captioned_table{"fold by fold", std::move(folds), true});
  return made;
}

}  // namespace rafter
