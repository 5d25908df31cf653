// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <type_traits>

#include "rafter/core/diagnostic.hpp"
#include "rafter/expression/availability.hpp"
#include "rafter/expression/formula.hpp"
#include "rafter/expression/operators.hpp"
#include "rafter/expression/parameter.hpp"

namespace rafter {

/// A named per-step expression. Write `"kv_pressure"_f = max(kv_length) * count(decode)`.
template <fixed_string Name, expression E> struct feature {
  using expression_type = E;
  static constexpr auto name_v = Name;
  static constexpr std::string_view name = name_v.view();
  static constexpr dimension dimension_v = E::dimension_v;

  static constexpr bool check() {
    if constexpr (E::level_v == level::request) {
      static_assert(satisfied<in_feature<Name>>,
                    "rafter: a feature is one number per step; reduce this per-request "
                    "expression with sum, mean, max, ...");
    }
    if constexpr (!detail::first_observed_after<E>().empty()) {
      static_assert(satisfied<observed_only_after_the_step<detail::name_constant<detail::observed_after_name<E>>>,
                              in_feature<Name>>,
                    "rafter: this feature reads an observable that is known only after the step");
    }
    if constexpr (parametric<E>) {
      static_assert(satisfied<in_feature<Name>>,
                    "rafter: this expression has free parameters: fit them with nonlinear<...>");
    }
    return true;
  }
  static_assert(check());
};

template <fixed_string Name> struct feature_name {
  template <expression E> constexpr feature<Name, std::remove_cvref_t<E>> operator=(E) const { return {}; }
  template <class N>
  requires std::is_arithmetic_v<N>
  constexpr auto operator=(N) const {
    detail::refuse_number<N>();
    return feature<Name, constant<0, 0>>{};
  }
};

namespace literals {
/// `"name"_f = expression` names a feature.
template <fixed_string Name> constexpr feature_name<Name> operator""_f() { return {}; }
}  // namespace literals

}  // namespace rafter
