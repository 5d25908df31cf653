// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "rafter/core/error.hpp"
#include "rafter/step/rows.hpp"

namespace rafter {

/// What a dataset, a split policy or a `per<…>` estimator can group rows by.
/// `rig` is the measuring set-up; `attention_shape` is (query heads, KV heads, head dimension) of one rank; `routing` is
/// dense or a mixture of experts. The last three are for steps that were composed from kernels measured one by one: they
/// name the measurement of each part that a row rests on, and rows that rest on none have the label `no_measurement`.
enum class group : std::uint8_t {
  experiment,
  model,
  workload,
  hardware,
  tp,
  rig,
  attention_shape,
  routing,
  gemm_measurement,
  prefill_attention_measurement,
  decode_attention_measurement
};

inline constexpr std::size_t group_axes = 11;
inline constexpr std::string_view no_measurement = "none";

constexpr std::string_view name_of(group axis) {
  constexpr std::array<std::string_view, group_axes> names{"experiment",
                                                           "model",
                                                           "workload",
                                                           "hardware",
                                                           "tp",
                                                           "rig",
                                                           "attention_shape",
                                                           "routing",
                                                           "gemm_measurement",
                                                           "prefill_attention_measurement",
                                                           "decode_attention_measurement"};
  return names[static_cast<std::size_t>(axis)];
}

/// The axis of a name, if there is one.
constexpr std::optional<group> find_group(std::string_view name) {
  for (std::size_t i = 0; i < group_axes; ++i) {
    if (name_of(static_cast<group>(i)) == name) return static_cast<group>(i);
  }
  return std::nullopt;
}

/// Bad data, named by row and field, when a dataset is built or asked for something that it does not hold.
struct dataset_error : error {
  using error::error;
};

/// The labels of one axis: `names[code[row]]`. Labels that are aliases of each other share a code.
class group_column {
 public:
  group_column() = default;

  /// Appends a row. Codes are given in the order of first appearance.
  void push_back(std::string_view label) { code_.push_back(intern(label)); }
  void reserve(std::size_t rows) { code_.reserve(rows); }

  std::size_t size() const { return code_.size(); }
  std::size_t count() const { return names_.size(); }
  std::uint32_t code(std::size_t row) const { return code_[row]; }
  const std::vector<std::uint32_t>& codes() const { return code_; }
  const std::vector<std::string>& names() const { return names_; }
  const std::string& name(std::size_t row) const { return names_[code_[row]]; }
  row_set rows_of(std::uint32_t code) const {
    return row_set::where(size(), [&](std::size_t row) { return code_[row] == code; });
  }

  /// The same rows with labels merged: every label of `aliases` (alias → canonical) counts as its canonical one,
  /// which is what a split that holds whole groups out must see. Chains are followed; unknown aliases are ignored.
  group_column merged(const std::vector<std::pair<std::string, std::string>>& aliases) const {
    group_column result;
    result.reserve(size());
    std::vector<std::string> target = names_;
    for (std::string& name : target) {
      for (std::size_t hop = 0; hop <= aliases.size(); ++hop) {
        bool moved = false;
        for (const auto& [alias, to] : aliases) {
          if (name == alias && alias != to) {
            name = to;
            moved = true;
            break;
          }
        }
        if (!moved) break;
        if (hop == aliases.size()) throw dataset_error("group aliases form a cycle at '" + name + "'");
      }
    }
    for (const std::uint32_t code : code_) result.push_back(target[code]);
    return result;
  }

  friend bool operator==(const group_column&, const group_column&) = default;

 private:
  std::uint32_t intern(std::string_view label) {
    if (!code_.empty() && names_[code_.back()] == label) return code_.back();
    const auto [place, added] = code_of_.try_emplace(std::string(label), static_cast<std::uint32_t>(names_.size()));
    if (added) names_.emplace_back(label);
    return place->second;
  }

  std::vector<std::uint32_t> code_;
  std::vector<std::string> names_;
  std::unordered_map<std::string, std::uint32_t> code_of_;  // of a name
};

}  // namespace rafter
