// rafter-study: what there is by name: the split policies, the targets. SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <type_traits>
#include <utility>

#include "../common/command_line.hpp"
#include "rafter/core/nearest_name.hpp"
#include "rafter/io/error.hpp"
#include "rafter/validation.hpp"
#include "study.hpp"

namespace study {
namespace {

constexpr std::pair<std::string_view, std::string_view> target_columns[] = {{"duration_us", "logged_duration"},
                                                                            {"interval_us", "step_interval"},
                                                                            {"total_us", "gpu_step_time"},
                                                                            {"gpu_time_us", "gpu_step_time"},
                                                                            {"wall_time_us", "wall_time"}};

/// Calls `visit(split)` for each split policy that the program knows.
template <class Visit> void each_split(Visit visit) {
  using namespace rafter;
  visit(temporal{});
  visit(lomo{});
  visit(lowo{});
  visit(loeo{});
  visit(loho{});
  visit(leave_one_attention_shape_out{});
  visit(leave_one_routing_out{});
  visit(whole_measurements{});
  visit(k_fold{});
  visit(rolling_origin{});
  visit(pooled{temporal{}});
  visit(shared{temporal{}});
  visit(lomo{} * temporal{});
  visit(lowo{} * temporal{});
}

template <class Split, std::size_t... Axis>
constexpr std::array<bool, rafter::group_axes> axes_held_out(std::index_sequence<Axis...>) {
  return {rafter::holds_out<Split, static_cast<rafter::group>(Axis)>...};
}

}  // namespace

void require_known(std::string_view kind, std::string_view name, const std::vector<std::string>& known) {
  if (std::find(known.begin(), known.end(), name) != known.end()) return;
  throw programs::usage_error("unknown " + std::string(kind) + " '" + rafter::printable(name) + "'" +
                              rafter::did_you_mean(name, known) + " (see --list)");
}

std::string observable_of(std::string_view target) {
  for (const auto& [column, observable] : target_columns) {
    if (target == column) return std::string(observable);
  }
  return std::string(target);
}

std::vector<std::string> target_names(const offer& offered) {
  std::vector<std::string> names;
  for (const std::string& target : offered.targets) {
    std::string columns;
    for (const auto& [column, observable] : target_columns) {
      if (target == observable) columns += (columns.empty() ? "" : " or ") + std::string(column);
    }
    names.push_back(columns.empty() ? target : target + " (" + columns + ")");
  }
  return names;
}

void require_offered(const request& asked, const offer& offered) {
  for (auto name = asked.predictors.begin(); name != asked.predictors.end(); ++name) {
    require_known("predictor", *name, offered.predictors);
    if (std::find(asked.predictors.begin(), name, *name) != name) {
      throw programs::usage_error("predictor '" + *name + "' is named twice");
    }
  }
  if (!asked.reference.empty()) {
    require_known("reference", asked.reference, asked.predictors.empty() ? offered.predictors : asked.predictors);
  }
  if (!asked.split.empty()) require_known("split", asked.split, split_names());
  if (asked.target.empty()) return;
  std::vector<std::string> targets = offered.targets;
  for (const auto& [column, observable] : target_columns) {
    if (std::find(offered.targets.begin(), offered.targets.end(), observable) != offered.targets.end()) {
      targets.emplace_back(column);
    }
  }
  require_known("target", asked.target, targets);
}

const rafter::group_column& split_view::groups(rafter::group axis) const {
  if (!has_group(axis)) {
    throw rafter::dataset_error("the data has no group '" + std::string(rafter::name_of(axis)) + "'");
  }
  return *groups_[static_cast<std::size_t>(axis)];
}

std::vector<std::string> split_names() {
  std::vector<std::string> names;
  each_split([&](const auto& split) { names.emplace_back(std::remove_cvref_t<decltype(split)>::name); });
  return names;
}

chosen_split choose_split(std::string_view name, const split_view& data) {
  require_known("split", name, split_names());
  chosen_split chosen;
  each_split([&]<class Split>(const Split& split) {
    if (Split::name != name) return;
    chosen.name = Split::name;
    chosen.title = rafter::title_of<Split>;
    chosen.holds_out = axes_held_out<Split>(std::make_index_sequence<rafter::group_axes>{});
    if (std::is_same_v<Split, rafter::leave_one_attention_shape_out>) {
      // A model all of whose rows have one shape leaves with it.
      chosen.holds_out[static_cast<std::size_t>(rafter::group::model)] = true;
    }
    try {
      chosen.folds = split.folds(data);
      rafter::check_folds(chosen.folds, data.size());
      rafter::check_held_out<Split>(chosen.folds, data);
    } catch (const rafter::dataset_error& why) {
      throw programs::usage_error(data.source() + ": split " + chosen.name + ": " + why.what());
    } catch (const rafter::validation_error& why) {  // names the split itself
      throw programs::usage_error(data.source() + ": " + why.what());
    }
  });
  return chosen;
}

}  // namespace study
