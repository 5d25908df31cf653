// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rafter/step/groups.hpp"
#include "rafter/validation/composed_name.hpp"
#include "rafter/validation/fold.hpp"
#include "rafter/validation/split_policy.hpp"
#include "rafter/validation/subset_view.hpp"

namespace rafter {

namespace detail {

struct word_within {
  static constexpr std::string_view name = "_within_";
};
template <group Axis> struct word_of_axis { static constexpr std::string_view name = name_of(Axis); };

}  // namespace detail

/// The split made anew inside each group of the axis, as if the rest of the data did not exist:
/// `within<group::workload, lomo>` leaves each model out among the runs of one workload. Fold names are
/// "group / fold of the split". Throws what the split throws, naming the group, when it cannot split one of them.
template <group Axis, split_policy Split> struct within {
  static_assert(
      !holds_out<Split, Axis>,
      "rafter: within<axis, split> has one label of the axis in each fold, so the split cannot hold it out");

  static constexpr std::string_view name =
      detail::composed_name<Split, detail::word_within, detail::word_of_axis<Axis>>.view();
  static constexpr auto held_out = Split::held_out;
  /// The split's own axis where it has one and that is the finer (an experiment within a model is an experiment).
  static constexpr std::optional<group> fits_one_per = fits_within<Split, Axis> ? Split::fits_one_per : Axis;
  static constexpr bool is_random = Split::is_random;
  static constexpr bool tests_every_row = rafter::tests_every_row<Split>;

  Split split{};

  template <splittable Data> std::vector<fold> folds(const Data& data) const {
    const group_column& labels = data.groups(Axis);
    std::vector<fold> result;
    for (std::uint32_t code = 0; code < labels.count(); ++code) {
      const std::string& label = labels.names()[code];
      const subset_view inside(data, labels.rows_of(code));
      try {
        for (const fold& part : split.folds(inside)) {
          result.push_back(inside.in_dataset(part));
          result.back().held_out = label + " / " + part.held_out;
        }
      } catch (const validation_error& problem) {
        throw validation_error("within the " + std::string(name_of(Axis)) + " '" + label + "': " + problem.what());
      }
    }
    return result;
  }
};

}  // namespace rafter
