// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <optional>
#include <string_view>
#include <type_traits>
#include <vector>

#include "rafter/config.hpp"
#include "rafter/step/groups.hpp"
#include "rafter/validation/fold.hpp"
#include "rafter/validation/splittable.hpp"

namespace rafter {

/// A rule that divides the rows of any dataset into rows to fit on, to tune with and to test on: an empty or tiny
/// type whose static facts let others refuse, at compile time, what would leak or could never be predicted.
///
///     struct my_split {
///       static constexpr std::string_view name = "my_split";      // as in `--split my_split`
///       static constexpr std::array held_out{group::model};       // axes whose tested labels are never trained on
///       static constexpr std::optional<group> fits_one_per{};     // set: each fold is inside one label of the axis
///       static constexpr bool is_random = false;                  // the folds depend on a seed
///       std::vector<fold> folds(const splittable auto& data) const;
///     };
///
/// Axioms: the folds pass `check_folds`; they are a pure function of the policy and the data; for every axis of
/// `held_out`, no label among the test rows occurs among the train or validation rows of that fold (`holds_out` adds
/// what follows from it); when `fits_one_per` is set, all rows of a fold carry one label of that axis.
/// Optional facts: `title` (for people), `tests_every_row` (each row is tested in exactly one fold).
template <class Split>
concept split_policy = requires {
  { Split::name } -> std::convertible_to<std::string_view>;
  { Split::is_random } -> std::convertible_to<bool>;
  { Split::fits_one_per } -> std::convertible_to<std::optional<group>>;
  requires std::same_as<typename std::remove_cvref_t<decltype(Split::held_out)>::value_type, group>;
}
&&requires(const Split& split, const detail::splittable_archetype& data) {
  { split.folds(data) } -> std::same_as<std::vector<fold>>;
};

/// True when each label of `finer` belongs to one label of `coarser`, whatever the data: an experiment is one run of
/// one engine, hence has one model, workload, hardware, tp, rig and attention shape, and a model is dense or a mixture
/// of experts. Nothing else is certain: one model runs at many tp (so a rank's attention shape does not follow from it),
/// one rig measures many models.
constexpr bool determines(group finer, group coarser) {
  if (finer == group::experiment && coarser < group::gemm_measurement) return true;
  return finer == coarser || (finer == group::model && coarser == group::routing);
}

/// True when no label of `Axis` under test was seen in training: the axis is in `Split::held_out`, or its labels
/// cannot be shared because those of a coarser, held-out axis are not (leaving a model out leaves its experiments
/// out; leaving an experiment out does not leave its model out: another run may have it).
template <class Split, group Axis>
inline constexpr bool holds_out = [] {
  for (const group held : Split::held_out) {
    if (determines(Axis, held)) return true;
  }
  return false;
}();

/// True when all rows of a fold, trained and tested, carry the same label of `Axis`: what is constant per label is
/// constant per fit.
template <class Split, group Axis>
inline constexpr bool fits_within = [] {
  const std::optional<group> one_per = Split::fits_one_per;
  return one_per.has_value() && determines(*one_per, Axis);
}();

/// The policy in words, for reports: its `title`, or its `name` where it has none.
template <class Split>
inline constexpr std::string_view title_of = [] {
  if constexpr (requires { Split::title; }) {
    return std::string_view(Split::title);
  } else {
    return std::string_view(Split::name);
  }
}();

/// True when the policy promises that each row is tested in exactly one fold.
template <class Split>
inline constexpr bool tests_every_row = [] {
  if constexpr (requires { Split::tests_every_row; }) {
    return bool(Split::tests_every_row);
  } else {
    return false;
  }
}();

/// What a policy holds out when it holds nothing out.
inline constexpr std::array<group, 0> no_group{};

/// Throws `validation_error` when the data belies `holds_out`: names the fold, the axis and the label that is both
/// trained on and tested. Axes that the data lacks are not looked at.
template <class Split, splittable Data>
RAFTER_COLD void check_held_out(const std::vector<fold>& folds, const Data& data) {
  const auto check = [&](group axis) {
    if (!data.has_group(axis)) return;
    for (const fold& part : folds) {
      if (const auto label = shared_label(part, data.groups(axis))) {
        throw validation_error("fold '" + part.held_out + "' of " + std::string(Split::name) + ": the " +
                               std::string(name_of(axis)) + " '" + *label + "' is in training and under test");
      }
    }
  };
  for (std::size_t i = 0; i < group_axes; ++i) {
    for (const group held : Split::held_out) {
      if (determines(static_cast<group>(i), held)) {
        check(static_cast<group>(i));
        break;
      }
    }
  }
}

}  // namespace rafter
