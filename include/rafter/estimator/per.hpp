// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rafter/estimator/estimator.hpp"

namespace rafter {

/// One fitted predictor per label of an axis.
template <group Axis, class Predictor> class per_predictor {
 public:
  void add(std::string label, Predictor fitted) { parts_.emplace_back(std::move(label), std::move(fitted)); }
  const std::vector<std::pair<std::string, Predictor>>& parts() const { return parts_; }

  fit_summary summary() const {
    fit_summary total{.status = "ok"};
    for (const auto& [label, part] : parts_) {
      const fit_summary one = part.summary();
      total.rows += one.rows;
      total.parameters += one.parameters;
      total.identifiable += one.identifiable;
      if (!one.healthy && total.healthy) {
        total.healthy = false;
        total.status = label + ": " + one.status;
      }
    }
    return total;
  }

  /// The parts' parameters, named `parameter[label]`, where the parts have parameters.
  auto parameters() const requires requires(const Predictor& part) { part.parameters(); }
  {
    decltype(std::declval<const Predictor&>().parameters()) all;
    for (const auto& [label, part] : parts_) {
      for (auto one : part.parameters()) {
        one.name += "[" + label + "]";
        all.push_back(std::move(one));
      }
    }
    return all;
  }
  /// What the parts' fits say, each with its label; what all of them say is said once.
  std::vector<std::string> findings() const requires requires(const Predictor& part) { part.findings(); }
  {
    std::vector<std::string> all;
    std::vector<std::vector<std::string>> each;
    for (const auto& [label, part] : parts_) each.push_back(part.findings());
    const auto everywhere = [&](const std::string& text) {
      return std::all_of(each.begin(), each.end(), [&](const auto& found) {
        return std::find(found.begin(), found.end(), text) != found.end();
      });
    };
    for (std::size_t i = 0; i < each.size(); ++i) {
      for (const std::string& text : each[i]) {
        if (!everywhere(text)) {
          all.push_back(parts_[i].first + ": " + text);
        } else if (i == 0) {
          all.push_back(text);
        }
      }
    }
    return all;
  }

  /// @throws fit_error naming a label that no part was fitted on
  template <class Schema>
  void predict(const dataset<Schema>& data, const row_set& rows, std::span<double> out) const {
    const group_column& labels = data.groups(Axis);
    std::vector<std::vector<std::size_t>> members(labels.count());
    std::vector<std::vector<std::size_t>> places(labels.count());
    std::size_t at = 0;
    rows.for_each([&](std::size_t row) {
      members[labels.code(row)].push_back(row);
      places[labels.code(row)].push_back(at++);
    });
    std::vector<double> values;
    for (std::size_t code = 0; code < members.size(); ++code) {
      if (members[code].empty()) continue;
      const Predictor& part = part_of(labels.names()[code]);
      values.resize(members[code].size());
      part.predict(data, row_set::of(members[code]), std::span<double>(values));
      for (std::size_t i = 0; i < values.size(); ++i) out[places[code][i]] = values[i];
    }
  }

 private:
  const Predictor& part_of(const std::string& label) const {
    for (const auto& [name, part] : parts_) {
      if (name == label) return part;
    }
    throw fit_error("nothing was fitted for " + std::string(name_of(Axis)) + " '" + label + "'");
  }

  std::vector<std::pair<std::string, Predictor>> parts_;
};

/// The same estimator fitted separately on the rows of each label of an axis: `per<group::model, ridge30>`. It can say
/// nothing of a label that it was not fitted on, so it does not compile under a split that holds that axis out.
template <group Axis, class Estimator> struct per {
  static std::string name() { return Estimator::name() + ", one per " + std::string(name_of(Axis)); }
  static constexpr std::string_view reads_identity(group axis) {
    return axis == Axis ? std::string_view{} : Estimator::reads_identity(axis);
  }
  static constexpr bool fitted_per(group axis) { return axis == Axis || Estimator::fitted_per(axis); }
  template <class Schema> static constexpr std::string_view missing_on() {
    return Estimator::template missing_on<Schema>();
  }

  /// @throws fit_error on no rows, or naming the label whose fit cannot be made
  template <class Schema> static auto fit(const dataset<Schema>& data, const row_set& rows) {
    if (rows.empty()) throw fit_error("no rows to fit on");
    using predictor = decltype(Estimator::fit(data, rows));
    per_predictor<Axis, predictor> fitted;
    const group_column& labels = data.groups(Axis);
    for (std::uint32_t code = 0; code < labels.count(); ++code) {
      const row_set own = rows & labels.rows_of(code);
      if (own.empty()) continue;
      try {
        fitted.add(labels.names()[code], Estimator::fit(data, own));
      } catch (const fit_error& why) {
        throw fit_error(std::string(name_of(Axis)) + " '" + labels.names()[code] + "': " + why.what());
      }
    }
    return fitted;
  }
};

}  // namespace rafter
