// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rafter/step/groups.hpp"
#include "rafter/validation/fold.hpp"
#include "rafter/validation/split_policy.hpp"
#include "rafter/validation/time_order.hpp"

namespace rafter {

namespace detail {

/// The nearest whole number to a non-negative value, halves to the even one, whatever the rounding mode.
inline double round_half_to_even(double value) {
  const double below = std::floor(value);
  const double rest = value - below;
  if (rest < 0.5) return below;
  if (rest > 0.5) return below + 1.0;
  return std::fmod(below, 2.0) == 0.0 ? below : below + 1.0;
}

}  // namespace detail

/// Early steps train, later ones validate, the last ones test: `temporal{0.6, 0.2}`. One fold per experiment, in
/// which the first round(train·n) of its n steps by step id are fitted, the next round(validation·n) are for tuning
/// and the rest is tested (halves round to the even number). A part that was asked for and comes out empty is an
/// error.
struct temporal {
  static constexpr std::string_view name = "temporal";
  static constexpr std::string_view title = "later steps of the same experiment";
  static constexpr std::array<group, 0> held_out = no_group;
  static constexpr std::optional<group> fits_one_per = group::experiment;
  static constexpr bool is_random = false;

  double train = 0.6;       ///< share of an experiment's steps, in (0, 1)
  double validation = 0.2;  ///< share in [0, 1); train + validation < 1

  template <splittable Data> std::vector<fold> folds(const Data& data) const {
    if (!(train > 0.0) || !(validation >= 0.0) || !(train + validation < 1.0)) {
      throw validation_error("temporal{" + std::to_string(train) + ", " + std::to_string(validation) +
                             "}: the shares must be positive and leave something to test");
    }
    std::vector<fold> result;
    for (time_ordered_rows& experiment : in_time_order(data, name)) {
      const auto steps = static_cast<double>(experiment.rows.size());
      const auto train_end = static_cast<std::ptrdiff_t>(detail::round_half_to_even(train * steps));
      const auto validation_end =
          train_end + static_cast<std::ptrdiff_t>(detail::round_half_to_even(validation * steps));
      const auto first = experiment.rows.begin();
      fold part{std::move(experiment.experiment), row_set::of({first, first + train_end}),
                row_set::of({first + train_end, first + validation_end}),
                row_set::of({first + validation_end, experiment.rows.end()})};
      if (part.train.empty() || part.test.empty() || (validation > 0.0 && part.validation.empty())) {
        throw validation_error("fold '" + part.held_out + "' of temporal: too few steps (" +
                               std::to_string(experiment.rows.size()) + "), none is left to " +
                               (part.train.empty()  ? "train on"
                                : part.test.empty() ? "test on"
                                                    : "validate on"));
      }
      result.push_back(std::move(part));
    }
    return result;
  }

  /// All experiments at once: one fold that trains on the early steps of each and tests on the late ones of each.
  template <splittable Data> std::vector<fold> pooled_folds(const Data& data) const {
    fold pooled{.held_out = "later steps", .train = {}, .validation = {}, .test = {}};
    for (const fold& part : folds(data)) {
      pooled.train = pooled.train | part.train;
      pooled.validation = pooled.validation | part.validation;
      pooled.test = pooled.test | part.test;
    }
    return {std::move(pooled)};
  }
};
static_assert(split_policy<temporal>);

}  // namespace rafter
