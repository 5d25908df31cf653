// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rafter/step/groups.hpp"
#include "rafter/validation/fold.hpp"
#include "rafter/validation/k_fold.hpp"
#include "rafter/validation/random_order.hpp"
#include "rafter/validation/split_policy.hpp"

namespace rafter {

/// For steps that were composed of kernels measured one by one: no sum of matrix products (one model, tp and token
/// count) and no attention measurement of a tested row is in any row trained on, while models are on both sides. Each measurement falls into one of k parts by
/// the seed; a fold tests the rows all of whose measurements are in its part, and trains on the rows none of whose are.
/// Rows that have some but not all of theirs in the part do neither, so the folds do not test every row.
/// Throws `dataset_error` when the data has no measurements, `validation_error` when a measurement axis has fewer than k.
struct whole_measurements {
  static constexpr std::string_view name = "whole_measurements";
  static constexpr std::string_view title = "whole measurements held out, models seen";
  static constexpr std::array<group, 0> held_out = no_group;  // `no_measurement` is a label on both sides
  static constexpr std::optional<group> fits_one_per{};
  static constexpr bool is_random = true;
  static constexpr std::array axes{group::gemm_measurement, group::prefill_attention_measurement,
                                   group::decode_attention_measurement};

  std::size_t k = 5;  ///< 2 or more
  std::uint64_t seed = 0;

  template <splittable Data> std::vector<fold> folds(const Data& data) const {
    if (k < 2) throw validation_error(std::string(name) + " needs k of 2 or more; k is " + std::to_string(k));
    std::array<std::vector<std::size_t>, axes.size()> part_of;  // of each label; k: rests on no measurement
    for (std::size_t a = 0; a < axes.size(); ++a) {
      const group_column& labels = data.groups(axes[a]);
      std::vector<std::size_t> measured;
      for (std::size_t code = 0; code < labels.count(); ++code) {
        if (labels.names()[code] != no_measurement) measured.push_back(code);
      }
      if (measured.size() < k) {
        throw validation_error(std::string(name) + " needs " + std::to_string(k) + " or more of each measurement; " +
                               std::string(name_of(axes[a])) + " has " + std::to_string(measured.size()));
      }
      part_of[a].assign(labels.count(), k);
      const std::vector<std::size_t> order = random_order(measured.size(), seed + a);
      for (std::size_t part = 0; part < k; ++part) {
        for (std::size_t at = detail::begin_of_part(part, k, order.size());
             at < detail::begin_of_part(part + 1, k, order.size()); ++at) {
          part_of[a][measured[order[at]]] = part;
        }
      }
    }
    std::vector<fold> result;
    for (std::size_t part = 0; part < k; ++part) {
      const auto count = [&](std::size_t row, bool inside) {
        std::size_t found = 0;
        for (std::size_t a = 0; a < axes.size(); ++a) {
          const std::size_t of = part_of[a][data.groups(axes[a]).code(row)];
          found += of != k && (of == part) == inside;
        }
        return found;
      };
      result.push_back({"part " + std::to_string(part + 1) + " of " + std::to_string(k),
                        row_set::where(data.size(), [&](std::size_t row) { return count(row, true) == 0; }),
                        {},
                        row_set::where(data.size(), [&](std::size_t row) { return count(row, false) == 0; })});
    }
    return result;
  }
};
static_assert(split_policy<whole_measurements>);

}  // namespace rafter
