// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rafter/step/groups.hpp"
#include "rafter/validation/composed_name.hpp"
#include "rafter/validation/fold.hpp"
#include "rafter/validation/split_policy.hpp"

namespace rafter {

/// A policy that makes its folds inside each label of `fits_one_per`, and can also make them over all labels at once
/// (`pooled_folds`): `temporal` fits each experiment's early steps, or the early steps of all experiments.
template <class Split>
concept poolable_split = split_policy<Split> &&
    requires(const Split& split, const detail::splittable_archetype& data) {
  { split.pooled_folds(data) } -> std::same_as<std::vector<fold>>;
};

namespace detail {

struct word_pooled {
  static constexpr std::string_view name = "pooled_";
};
struct word_shared {
  static constexpr std::string_view name = "shared_";
};
struct word_nothing {
  static constexpr std::string_view name = "";
};
struct word_and {
  static constexpr std::string_view name = "_x_";
};

template <auto Left, auto Right> constexpr auto united_axes() {
  constexpr auto is_new = [](group axis) {
    for (const group known : Left) {
      if (known == axis) return false;
    }
    return true;
  };
  constexpr std::size_t added = [&] {
    std::size_t count = 0;
    for (const group axis : Right) count += is_new(axis) ? 1U : 0U;
    return count;
  }();
  std::array<group, Left.size() + added> axes{};
  std::size_t at = 0;
  for (const group axis : Left) axes[at++] = axis;
  for (const group axis : Right) {
    if (is_new(axis)) axes[at++] = axis;
  }
  return axes;
}

/// True when `Inside` fits within one label of an axis whose tested labels `Outside` never trains on: no row could be
/// trained on by both.
template <split_policy Inside, split_policy Outside>
inline constexpr bool hides = [] {
  if constexpr (poolable_split<Inside> || !Inside::fits_one_per.has_value()) {
    return false;
  } else {
    return holds_out<Outside, *Inside::fits_one_per>;
  }
}();

/// The folds of a factor of a product.
template <split_policy Split, splittable Data>
std::vector<fold> folds_over_all(const Split& split, const Data& data) {
  if constexpr (poolable_split<Split>) {
    return split.pooled_folds(data);
  } else {
    return split.folds(data);
  }
}

}  // namespace detail

/// `pooled{temporal{0.6, 0.2}}`: one fit to the early steps of all experiments, tested on the late ones of all.
template <poolable_split Split> struct pooled {
  static constexpr std::string_view name =
      detail::composed_name<detail::word_pooled, detail::word_nothing, Split>.view();
  static constexpr auto held_out = Split::held_out;
  static constexpr std::optional<group> fits_one_per{};
  static constexpr bool is_random = Split::is_random;
  static constexpr bool tests_every_row = rafter::tests_every_row<Split>;

  Split split{};

  template <splittable Data> std::vector<fold> folds(const Data& data) const { return split.pooled_folds(data); }
};
template <class Split> pooled(Split) -> pooled<Split>;

/// `shared{temporal{0.6, 0.2}}`: one fit to the early steps of all experiments, as `pooled`, but each experiment's late
/// steps are a fold of their own: what one model for all of them costs each.
template <poolable_split Split> struct shared {
  static constexpr std::string_view name =
      detail::composed_name<detail::word_shared, detail::word_nothing, Split>.view();
  static constexpr auto held_out = Split::held_out;
  static constexpr std::optional<group> fits_one_per{};
  static constexpr bool is_random = Split::is_random;
  static constexpr bool tests_every_row = rafter::tests_every_row<Split>;

  Split split{};

  template <splittable Data> std::vector<fold> folds(const Data& data) const {
    const std::vector<fold> together = split.pooled_folds(data);
    std::vector<fold> each = split.folds(data);
    for (fold& part : each) {
      const auto whole = std::find_if(together.begin(), together.end(),
                                      [&](const fold& one) { return (part.test & one.test) == part.test; });
      if (whole == together.end()) {
        throw validation_error("fold '" + part.held_out + "' of " + std::string(name) +
                               ": no fit over all tests its rows");
      }
      part.train = whole->train;
      part.validation = whole->validation;
    }
    return each;
  }
};
template <class Split> shared(Split) -> shared<Split>;

/// Both at once, `lomo{} * temporal{0.6, 0.2}`: a model never seen, in its later steps. Each fold of the one with
/// each of the other: rows train, or test, where both say so; rows validate where neither tests them and at least one
/// only validates. A factor that fits one experiment at a time takes part as its pooled form (else no row could be
/// both trained on by the one and of another group than those tested by the other). Folds are named "left x right". A
/// combination that the data does not contain, hence without rows to test, is no fold; one with rows to test and none
/// to train on is an error, as is a product without folds.
template <split_policy Left, split_policy Right> struct split_product {
  static_assert(!detail::hides<Left, Right> && !detail::hides<Right, Left>,
                "rafter: one split fits within a single group of an axis that the other holds out");

  static constexpr std::string_view name = detail::composed_name<Left, detail::word_and, Right>.view();
  static constexpr auto held_out = detail::united_axes<Left::held_out, Right::held_out>();
  static constexpr std::optional<group> fits_one_per = [] {
    std::optional<group> axis;
    if constexpr (!poolable_split<Left>) axis = Left::fits_one_per;
    if constexpr (!poolable_split<Right>) {
      if (!axis.has_value()) axis = Right::fits_one_per;
    }
    return axis;
  }();
  static constexpr bool is_random = Left::is_random || Right::is_random;
  static constexpr bool tests_every_row = rafter::tests_every_row<Left> && rafter::tests_every_row<Right>;

  Left left{};
  Right right{};

  template <splittable Data> std::vector<fold> folds(const Data& data) const {
    const std::vector<fold> ours = detail::folds_over_all(left, data);
    const std::vector<fold> theirs = detail::folds_over_all(right, data);
    std::vector<fold> result;
    for (const fold& one : ours) {
      for (const fold& other : theirs) {
        fold both{one.held_out + " x " + other.held_out, one.train & other.train,
                  ((one.train | one.validation) & other.validation) | (one.validation & other.train),
                  one.test & other.test};
        if (both.test.empty()) continue;
        if (both.train.empty()) {
          throw validation_error("fold '" + both.held_out + "' of " + std::string(name) + ": no rows to train on");
        }
        result.push_back(std::move(both));
      }
    }
    if (result.empty()) throw validation_error(std::string(name) + ": no row is tested by both splits");
    return result;
  }
};

template <split_policy Left, split_policy Right>
constexpr split_product<Left, Right> operator*(Left left, Right right) {
  return {std::move(left), std::move(right)};
}

}  // namespace rafter
