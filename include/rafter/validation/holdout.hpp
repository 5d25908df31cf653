// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rafter/step/groups.hpp"
#include "rafter/validation/fold.hpp"
#include "rafter/validation/split_policy.hpp"

namespace rafter {

/// One fold of given rows, as when a file is fitted and another is tested: `holdout{train, test}`. Axes that are
/// known not to be shared can be stated, `holdout<group::hardware>{h100_rows, h200_rows}`, and are then checked.
/// Throws `validation_error` when the rows overlap, a part is empty or outside the data, or a stated axis is shared.
template <group... Axes> struct holdout {
  static constexpr std::string_view name = "holdout";
  static constexpr std::string_view title = "rows held out by hand";
  static constexpr std::array<group, sizeof...(Axes)> held_out{Axes...};
  static constexpr std::optional<group> fits_one_per{};
  static constexpr bool is_random = false;

  row_set train;
  row_set test;
  row_set validation{};
  std::string label = "held-out rows";

  template <splittable Data> std::vector<fold> folds(const Data& data) const {
    std::vector<fold> result{{label, train, validation, test}};
    check_folds(result, data.size());
    for (const group axis : held_out) {
      if (const auto shared = shared_label(result.front(), data.groups(axis))) {
        throw validation_error("fold '" + label + "' of holdout: the " + std::string(name_of(axis)) + " '" + *shared +
                               "' is in training and under test");
      }
    }
    return result;
  }
};
holdout(row_set, row_set)->holdout<>;
holdout(row_set, row_set, row_set)->holdout<>;
holdout(row_set, row_set, row_set, std::string)->holdout<>;
static_assert(split_policy<holdout<>>);

}  // namespace rafter
