// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rafter/step/groups.hpp"
#include "rafter/validation/splittable.hpp"

namespace rafter::testing {

/// A working model of `splittable`: axes that are added exist, the others throw.
///
///     any_dataset data(5);
///     data.set(group::model, {"a", "a", "b", "b", "b"}).set_step_ids({1, 2, 3, 4, 5});
class any_dataset {
 public:
  explicit any_dataset(std::size_t size) : size_(size) {}

  any_dataset& set(group axis, const std::vector<std::string>& labels) {
    group_column column;
    for (const std::string& label : labels) column.push_back(label);
    columns_[static_cast<std::size_t>(axis)] = std::move(column);
    return *this;
  }
  any_dataset& merge(group axis, const std::vector<std::pair<std::string, std::string>>& aliases) {
    auto& column = columns_[static_cast<std::size_t>(axis)];
    column = column.value().merged(aliases);
    return *this;
  }
  any_dataset& set_step_ids(std::vector<double> ids) {
    step_ids_ = std::move(ids);
    return *this;
  }

  std::size_t size() const { return size_; }
  bool has_group(group axis) const { return columns_[static_cast<std::size_t>(axis)].has_value(); }
  const group_column& groups(group axis) const {
    if (!has_group(axis)) throw dataset_error("no column gives the " + std::string(name_of(axis)));
    return *columns_[static_cast<std::size_t>(axis)];
  }
  std::span<const double> step_ids() const { return step_ids_; }

 private:
  std::size_t size_;
  std::array<std::optional<group_column>, group_axes> columns_;
  std::vector<double> step_ids_;
};
static_assert(splittable<any_dataset>);

/// Runs of 2-4 models x 2-3 workloads, each with 20-60 steps with gaps in their ids, all rows shuffled together.
inline any_dataset random_dataset(std::uint64_t seed) {
  std::mt19937_64 generator(seed);
  const auto draw = [&](std::size_t from, std::size_t to) { return from + generator() % (to - from + 1); };
  struct row {
    std::string experiment, model, workload, hardware;
    double step_id;
  };
  std::vector<row> rows;
  const std::size_t models = draw(2, 4);
  const std::size_t workloads = draw(2, 3);
  for (std::size_t model = 0; model < models; ++model) {
    for (std::size_t workload = 0; workload < workloads; ++workload) {
      const std::string m = "m" + std::to_string(model);
      const std::string w = "w" + std::to_string(workload);
      double step_id = static_cast<double>(draw(0, 1000));
      for (std::size_t left = draw(20, 60); left > 0; --left) {
        step_id += static_cast<double>(draw(1, 20));
        rows.push_back({m + "-" + w, m, w, model % 2 == 0 ? "h100" : "h200", step_id});
      }
    }
  }
  for (std::size_t left = rows.size(); left > 1; --left) std::swap(rows[left - 1], rows[generator() % left]);
  std::vector<std::string> experiment, model, workload, hardware;
  std::vector<double> step_ids;
  for (const row& r : rows) {
    experiment.push_back(r.experiment);
    model.push_back(r.model);
    workload.push_back(r.workload);
    hardware.push_back(r.hardware);
    step_ids.push_back(r.step_id);
  }
  any_dataset data(rows.size());
  data.set(group::experiment, experiment).set(group::model, model).set(group::workload, workload);
  data.set(group::hardware, hardware).set_step_ids(std::move(step_ids));
  return data;
}

}  // namespace rafter::testing
