// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rafter/analytical/roofline.hpp"
#include "rafter/config.hpp"
#include "rafter/feature/matrix.hpp"
#include "rafter/step/dataset.hpp"

namespace rafter {

/// What a step is made of. `idle` steps process no token.
enum class step_phase : std::uint8_t { idle, pure_prefill, pure_decode, mixed };

constexpr std::string_view name_of(step_phase phase) {
  constexpr std::array<std::string_view, 4> names{"idle", "pure prefill", "pure decode", "mixed"};
  return names[static_cast<std::size_t>(phase)];
}

/// One number per row that a diagnosis may break errors down by.
struct step_column {
  std::string name;
  std::vector<double> values;  ///< base units: tokens, bytes, seconds
};

/// What is known of the rows of a dataset before they run, whatever its schema: diagnoses are compiled once, not once per
/// schema. Columns that a schema cannot provide are not there; nothing is made up in their place.
struct step_view {
  std::string source;
  std::size_t rows = 0;
  std::string target;
  std::vector<double> times;  ///< the selected target [s]; NaN where a row has none
  std::vector<step_column>
      columns;  ///< observables of the batch, in the schema's order, then `batch_size` (requests),
                ///< `scheduled_tokens`, and what the formulas give: `flops`, `bytes` (of one rank, GEMM
                ///< and, where the schema knows the KV lengths, attention), `floor_time`
  bool attention_counted = false;  ///< do flops and bytes count attention?
  std::vector<step_phase> phases;  ///< empty when the schema has no token counts
  std::array<std::optional<group_column>, group_axes> groups;
  std::vector<double> step_ids;         ///< empty: the data has no order
  std::vector<std::int64_t> start_ns;   ///< empty: unknown
  std::vector<std::size_t> deployment;  ///< of each row: an index into the next three
  std::vector<double> peak_flops;       ///< [FLOP/s] of one device at the deployment's precision; empty: unknown
  std::vector<double> hbm_bandwidth;    ///< [byte/s]; empty: unknown
  std::vector<std::string> device;      ///< label of group `hardware` of the deployment's first row, or empty

  /// @returns null when there is no such column
  const std::vector<double>* find(std::string_view name) const {
    for (const step_column& one : columns) {
      if (one.name == name) return &one.values;
    }
    return nullptr;
  }
  const group_column* labels(group axis) const {
    const auto& found = groups[static_cast<std::size_t>(axis)];
    return found ? &*found : nullptr;
  }
};

namespace detail {

/// One expression on every row, or nothing when the schema cannot feed it.
template <expression E, class Schema> std::vector<double> values_of(const E&, const dataset<Schema>& data) {
  using set = feature_set<feature<"value", E>>;
  if constexpr (set::template evaluable<dataset_binding<Schema>>) {
    const feature_values found = feature_matrix(set{}, data, row_set::all(data.size()));
    return {found.data(), found.data() + data.size()};
  } else {
    return {};
  }
}

}  // namespace detail

template <dataset_schema Schema> RAFTER_COLD step_view step_view_of(const dataset<Schema>& data) {
  using analytical::decode_attention, analytical::prefill_attention, analytical::step_gemm;
  step_view made;
  made.source = data.source();
  made.rows = data.size();
  made.target = std::string(data.target_name());
  made.times.assign(data.target().begin(), data.target().end());
  Schema::columns::each([&]<class Leaf>() {
    if constexpr (Leaf::provenance_v == provenance::known_before_step) {
      const auto values = data.column(Leaf{});
      made.columns.push_back({std::string(Leaf::name), {values.begin(), values.end()}});
    }
  });
  const auto add = [&](const char* name, std::vector<double> values) {
    if (!values.empty()) made.columns.push_back({name, std::move(values)});
  };
  add("batch_size", detail::values_of(prefill_requests + decode_requests, data));
  add("scheduled_tokens", detail::values_of(scheduled_tokens, data));
  constexpr auto work = step_gemm + prefill_attention + decode_attention;
  std::vector<double> operations = detail::values_of(work.flops, data), moved = detail::values_of(work.bytes, data);
  made.attention_counted = !operations.empty();
  if (operations.empty()) {
    operations = detail::values_of(step_gemm.flops, data);
    moved = detail::values_of(step_gemm.bytes, data);
  }
  add("flops", std::move(operations));
  add("bytes", std::move(moved));
  add("floor_time", detail::values_of(analytical::floor_time, data));

  const std::vector<double>*prompts = made.find("prefill_tokens"), *decodes = made.find("decode_tokens");
  if (prompts != nullptr && decodes != nullptr) {
    made.phases.reserve(made.rows);
    for (std::size_t row = 0; row < made.rows; ++row) {
      const bool prefills = (*prompts)[row] > 0.0, decoding = (*decodes)[row] > 0.0;
      made.phases.push_back(prefills && decoding ? step_phase::mixed
                            : prefills           ? step_phase::pure_prefill
                            : decoding           ? step_phase::pure_decode
                                                 : step_phase::idle);
    }
  }
  for (std::size_t axis = 0; axis < group_axes; ++axis) {
    if (data.has_group(static_cast<group>(axis))) made.groups[axis] = data.groups(static_cast<group>(axis));
  }
  made.step_ids.assign(data.step_ids().begin(), data.step_ids().end());
  made.start_ns.assign(data.start_ns().begin(), data.start_ns().end());

  made.deployment.resize(made.rows);
  made.device.resize(data.deployment_count());
  std::vector<std::size_t> first(data.deployment_count(), made.rows);
  for (const deployment_run& run : data.runs()) {
    std::fill(made.deployment.begin() + static_cast<std::ptrdiff_t>(run.rows.begin),
              made.deployment.begin() + static_cast<std::ptrdiff_t>(run.rows.end), run.deployment);
    first[run.deployment] = std::min(first[run.deployment], run.rows.begin);
  }
  const auto of_deployments = [&](const auto& quantity) {
    std::vector<double> found;
    if (const std::vector<double> of_rows = detail::values_of(quantity, data); !of_rows.empty()) {
      for (const std::size_t row : first) found.push_back(row < made.rows ? of_rows[row] : 0.0);
    }
    return found;
  };
  made.peak_flops = of_deployments(hardware::peak_flops);
  made.hbm_bandwidth = of_deployments(hardware::hbm_bandwidth);
  if (const group_column* labels = made.labels(group::hardware)) {
    for (std::size_t i = 0; i < first.size(); ++i) {
      if (first[i] < made.rows) made.device[i] = labels->name(first[i]);
    }
  }
  return made;
}

}  // namespace rafter
