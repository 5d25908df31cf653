// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "rafter/expression/node.hpp"

namespace rafter::detail {

/// The name of the first observable that `Binding` cannot provide for expression E, or an empty view. A binding
/// provides an observable that it reads, or whose definition it can provide, and a reduction whose requests it lists.
template <class E, class Binding>
constexpr std::string_view first_missing() {
  if constexpr (leaf<E>) {
    if constexpr (E::operation_v == operation::constant) {
      return {};
    } else if constexpr (Binding::template reads<E>) {
      return {};
    } else if constexpr (has_definition<E>) {
      return first_missing<typename E::definition, Binding>().empty() ? std::string_view{} : E::name;
    } else {
      return E::name;
    }
  } else if constexpr (is_reduction(E::operation_v)) {
    if (!Binding::lists(E::reduces_over)) return "requests";
    std::string_view missing;
    E::each_argument([&]<class A>() { missing = first_missing<A, Binding>(); });
    return missing;
  } else {
    std::string_view missing;
    E::each_argument([&]<class A>() {
      if (missing.empty()) missing = first_missing<A, Binding>();
    });
    return missing;
  }
}

template <class E, class Binding>
struct missing_name {
  static constexpr std::string_view value = first_missing<E, Binding>();
};

/// The first observable of E that is known only after the step, or an empty view.
template <class E>
constexpr std::string_view first_observed_after() {
  std::string_view found;
  each_leaf<E>([&]<class L>() {
    if constexpr (L::operation_v == operation::leaf) {
      if (found.empty() && L::provenance_v == provenance::observed_after_step) found = L::name;
    }
  });
  return found;
}
template <class E>
struct observed_after_name {
  static constexpr std::string_view value = first_observed_after<E>();
};

/// The first observable of E that identifies a group of `axis`, or an empty view.
template <class E>
constexpr std::string_view first_identity_of(std::string_view axis) {
  std::string_view found;
  each_leaf<E>([&]<class L>() {
    if constexpr (L::operation_v == operation::leaf) {
      if (found.empty() && L::provenance_v == provenance::identity && L::identity_of == axis) found = L::name;
    }
  });
  return found;
}

}  // namespace rafter::detail

namespace rafter {

/// Can expression E be evaluated on what `Binding` binds?
template <class E, class Binding>
concept evaluable_on = expression<E> && detail::first_missing<std::remove_cvref_t<E>, Binding>().empty();

}  // namespace rafter
