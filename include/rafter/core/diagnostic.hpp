// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rafter/core/fixed_string.hpp"

namespace rafter {

/// Always false, but prints its tags: `static_assert(satisfied<needs_observable<"kv_sum">, …>, "rafter: …")` makes
/// both compilers show the tags, so that the first line of an error names the fact, the place and the type.
template <class... Tags> inline constexpr bool satisfied = sizeof...(Tags) == ~std::size_t{0};

// The vocabulary of the tags. Declared, never defined: they exist to be read in a message.
template <fixed_string Name> struct needs_observable;
template <fixed_string Name> struct in_feature;
template <class StepRecord> struct which_step_type_does_not_provide;
template <class Schema> struct which_dataset_schema_does_not_provide;
template <fixed_string Name> struct observed_only_after_the_step;
template <fixed_string Name> struct identifies_the_held_out_axis;
template <fixed_string Name> struct two_features_have_the_name;
template <class Split> struct under_split;
template <class Estimator> struct in_estimator;
template <fixed_string Dimension> struct left_has_dimension;
template <fixed_string Dimension> struct right_has_dimension;
template <fixed_string Left, fixed_string Right> struct two_observables_share_a_name;

}  // namespace rafter
