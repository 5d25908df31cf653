// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rafter/validation/composed_name.hpp"
#include "rafter/validation/fold.hpp"
#include "rafter/validation/split_policy.hpp"
#include "rafter/validation/subset_view.hpp"

namespace rafter {

namespace detail {

struct word_tuned_by {
  static constexpr std::string_view name = "_tuned_by_";
};

}  // namespace detail

/// The folds of `inner` among the training rows of `outer` alone, with rows numbered as in the dataset: what a search
/// over penalties or terms may look at while the outer test stays unseen. Throws what `inner` throws, naming `outer`.
template <split_policy Inner, splittable Data>
std::vector<fold> folds_inside(const fold& outer, const Inner& inner, const Data& data) {
  const subset_view training(data, outer.train);
  try {
    std::vector<fold> result = inner.folds(training);
    for (fold& part : result) part = training.in_dataset(part);
    return result;
  } catch (const validation_error& problem) {
    throw validation_error("inside the training rows of fold '" + outer.held_out + "': " + problem.what());
  }
}

/// `nested{lomo{}, lomo{}}`: the outer split is the one reported; inside each of its folds, tuning uses
/// `inner_folds(outer_fold, data)`, made of that fold's training rows only.
template <split_policy Outer, split_policy Inner> struct nested {
  static constexpr std::string_view name = detail::composed_name<Outer, detail::word_tuned_by, Inner>.view();
  static constexpr auto held_out = Outer::held_out;
  static constexpr auto fits_one_per = Outer::fits_one_per;
  static constexpr bool is_random = Outer::is_random || Inner::is_random;
  static constexpr bool tests_every_row = rafter::tests_every_row<Outer>;

  Outer outer{};
  Inner inner{};

  template <splittable Data> std::vector<fold> folds(const Data& data) const { return outer.folds(data); }
  template <splittable Data> std::vector<fold> inner_folds(const fold& outer_fold, const Data& data) const {
    return folds_inside(outer_fold, inner, data);
  }
};
template <class Outer, class Inner> nested(Outer, Inner) -> nested<Outer, Inner>;

}  // namespace rafter
