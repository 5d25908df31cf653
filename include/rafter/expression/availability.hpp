// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string_view>

#include "rafter/expression/node.hpp"

namespace rafter::detail {

// Every fact is a variable per expression type, so that a part shared by many features is looked at once.

constexpr std::string_view first_name() { return {}; }
template <class... Rest> constexpr std::string_view first_name(std::string_view first, Rest... rest) {
  if constexpr (sizeof...(Rest) == 0) {
    return first;
  } else {
    return first.empty() ? first_name(rest...) : first;
  }
}

template <class E, class Binding> constexpr std::string_view find_missing();

/// The name of the first observable that `Binding` cannot provide for expression E, or an empty view. A binding
/// provides an observable that it reads, or whose definition it can provide, and a reduction whose requests it lists.
template <class E, class Binding> inline constexpr std::string_view missing_in = find_missing<E, Binding>();

template <class Binding, class... Es> constexpr std::string_view missing_in_any(expression_list<Es...>) {
  return first_name(missing_in<Es, Binding>...);
}

template <class E, class Binding> constexpr std::string_view find_missing() {
  if constexpr (leaf<E>) {
    if constexpr (E::operation_v == operation::constant || E::operation_v == operation::parameter) {
      return {};
    } else if constexpr (Binding::template reads<E>) {
      return {};
    } else if constexpr (has_definition<E>) {
      return missing_in<typename E::definition, Binding>.empty() ? std::string_view{} : E::name;
    } else {
      return E::name;
    }
  } else if constexpr (is_reduction(E::operation_v)) {
    return Binding::lists(E::reduces_over) ? missing_in_any<Binding>(typename E::arguments{}) : "requests";
  } else {
    return missing_in_any<Binding>(typename E::arguments{});
  }
}

template <class E, class Binding> constexpr std::string_view first_missing() { return missing_in<E, Binding>; }
template <class E, class Binding> struct missing_name {
  static constexpr std::string_view value = missing_in<E, Binding>;
};

template <class E> constexpr std::string_view find_observed_after();
/// The first observable of E that is known only after the step, or an empty view.
template <class E> inline constexpr std::string_view observed_after_in = find_observed_after<E>();
template <class... Es> constexpr std::string_view observed_after_in_any(expression_list<Es...>) {
  return first_name(observed_after_in<Es>...);
}
template <class E> constexpr std::string_view find_observed_after() {
  if constexpr (!leaf<E>) {
    return observed_after_in_any(typename E::arguments{});
  } else if constexpr (E::operation_v == operation::leaf) {
    // A definition hides nothing that is known only after the step.
    if constexpr (E::provenance_v == provenance::observed_after_step) {
      return E::name;
    } else if constexpr (has_definition<E>) {
      return observed_after_in<typename E::definition>;
    } else {
      return {};
    }
  } else {
    return {};
  }
}
template <class E> constexpr std::string_view first_observed_after() { return observed_after_in<E>; }
template <class E> struct observed_after_name { static constexpr std::string_view value = observed_after_in<E>; };

/// The first observable of E that identifies a group, and of which axis; empty views when none does.
struct identity_found {
  std::string_view name;
  std::string_view axis;
};
/// An expression may identify several axes; the first few are kept.
inline constexpr std::size_t identities_kept = 8;
struct identities {
  identity_found found[identities_kept];
  std::size_t count = 0;

  constexpr void add(identity_found one) {
    for (std::size_t i = 0; i < count; ++i) {
      if (found[i].axis == one.axis) return;
    }
    if (count < identities_kept) found[count++] = one;
  }
};

template <class E> constexpr identities find_identities();
template <class E> inline constexpr identities identities_in = find_identities<E>();
template <class... Es> constexpr identities identities_in_any(expression_list<Es...>) {
  identities all;
  const auto add = [&](const identities& some) {
    for (std::size_t i = 0; i < some.count; ++i) all.add(some.found[i]);
  };
  (add(identities_in<Es>), ...);
  return all;
}
template <class E> constexpr identities find_identities() {
  if constexpr (!leaf<E>) {
    return identities_in_any(typename E::arguments{});
  } else {
    identities own;
    if constexpr (E::operation_v == operation::leaf) {
      if (E::provenance_v == provenance::identity) own.add({E::name, E::identity_of});
      if constexpr (has_definition<E>) {
        for (std::size_t i = 0; i < identities_in<typename E::definition>.count; ++i) {
          own.add(identities_in<typename E::definition>.found[i]);
        }
      }
    }
    return own;
  }
}
/// The first observable of E that identifies a group of `axis`, or an empty view.
template <class E> constexpr std::string_view first_identity_of(std::string_view axis) {
  for (std::size_t i = 0; i < identities_in<E>.count; ++i) {
    if (identities_in<E>.found[i].axis == axis) return identities_in<E>.found[i].name;
  }
  return {};
}

}  // namespace rafter::detail

namespace rafter {

/// Can expression E be evaluated on what `Binding` binds?
template <class E, class Binding>
concept evaluable_on = expression<E> && detail::first_missing<std::remove_cvref_t<E>, Binding>()
.empty();

}  // namespace rafter
