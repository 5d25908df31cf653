// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rafter/step/groups.hpp"
#include "rafter/validation/fold.hpp"
#include "rafter/validation/split_policy.hpp"
#include "rafter/validation/time_order.hpp"

namespace rafter {

/// Forecasting from several moments: in each experiment of n steps by step id, the last `origins` blocks of
/// n / (origins + 1) steps (whole numbers) are tested in turn, each by what was learnt from the steps before it.
/// Steps next to a tested block can be left out of training: the `embargo_rows` rows just before it, and any whose
/// step id is not more than `embargo_steps` below its first one (rows of a sampled log can be many steps apart).
/// Source of the blocks: Hyndman and Athanasopoulos, "Forecasting", §5.10; the same as scikit-learn's
/// TimeSeriesSplit.
struct rolling_origin {
  static constexpr std::string_view name = "rolling_origin";
  static constexpr std::string_view title = "the next steps of the same experiment, from several moments";
  static constexpr std::array<group, 0> held_out = no_group;
  static constexpr std::optional<group> fits_one_per = group::experiment;
  static constexpr bool is_random = false;

  std::size_t origins = 4;
  std::size_t embargo_rows = 0;
  double embargo_steps = 0.0;  ///< in units of the step id; 0 asks for nothing

  template <splittable Data> std::vector<fold> folds(const Data& data) const {
    if (origins == 0 || !(embargo_steps >= 0.0)) {
      throw validation_error("rolling_origin needs at least one origin and an embargo that is not negative");
    }
    const std::span<const double> step_ids = data.step_ids();
    std::vector<fold> result;
    for (const auto& [experiment, rows] : in_time_order(data, name)) {
      const std::size_t block = rows.size() / (origins + 1);
      for (std::size_t origin = 1; origin <= origins; ++origin) {
        fold part{.held_out = experiment + " / " + of_origins(origin), .train = {}, .validation = {}, .test = {}};
        if (block == 0) throw too_few(part, rows.size());
        const std::size_t test_begin = rows.size() - (origins - origin + 1) * block;
        std::size_t train_end = test_begin > embargo_rows ? test_begin - embargo_rows : 0;
        if (embargo_steps > 0.0) {
          const double last_id = step_ids[rows[test_begin]] - embargo_steps;
          while (train_end > 0 && !(step_ids[rows[train_end - 1]] < last_id)) --train_end;
        }
        if (train_end == 0) throw too_few(part, rows.size());
        const auto at = [&](std::size_t i) { return rows.begin() + static_cast<std::ptrdiff_t>(i); };
        part.train = row_set::of({at(0), at(train_end)});
        part.test = row_set::of({at(test_begin), at(test_begin + block)});
        result.push_back(std::move(part));
      }
    }
    return result;
  }

  /// All experiments at once: one fold per origin, of the blocks with the same number in each.
  template <splittable Data> std::vector<fold> pooled_folds(const Data& data) const {
    std::vector<fold> pooled(origins);
    std::size_t i = 0;
    for (const fold& part : folds(data)) {
      fold& together = pooled[i++ % origins];
      together.train = together.train | part.train;
      together.test = together.test | part.test;
    }
    for (std::size_t origin = 1; origin <= origins; ++origin) pooled[origin - 1].held_out = of_origins(origin);
    return pooled;
  }

 private:
  std::string of_origins(std::size_t origin) const {
    return "block " + std::to_string(origin) + " of " + std::to_string(origins);
  }
  static validation_error too_few(const fold& part, std::size_t steps) {
    return validation_error("fold '" + part.held_out + "' of rolling_origin: too few steps (" +
                            std::to_string(steps) + "), none is left to train on");
  }
};
static_assert(split_policy<rolling_origin>);

}  // namespace rafter
