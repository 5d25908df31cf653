// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <string_view>
#include <type_traits>

#include "rafter/expression/availability.hpp"
#include "rafter/step/record.hpp"

namespace rafter {

/// The observables that a dataset carries as columns, in order.
template <class... Leaves> struct column_list {
  static constexpr std::size_t size = sizeof...(Leaves);
  static constexpr std::array<std::string_view, size> names{Leaves::name...};
  template <class Leaf> static constexpr bool has = (std::is_same_v<Leaf, Leaves> || ...);

  template <class Leaf> static constexpr std::size_t index_of() {
    std::size_t index = 0;
    std::size_t at = 0;
    ((std::is_same_v<Leaf, Leaves> ? void(index = at++) : void(++at)), ...);
    return index;
  }
  template <class Visitor> static constexpr void each(Visitor&& visitor) {
    (visitor.template operator()<Leaves>(), ...);
  }
};

/// The static schema of a dataset:
///
///   struct my_schema {
///     static constexpr std::string_view name = "my_steps";
///     using columns = column_list<prefill_tokens_t, decode_tokens_t, gpu_step_time_t>;   // per-step numbers
///     using targets = column_list<gpu_step_time_t>;          // those that a model may be asked to predict, > 0
///     static constexpr bool lists_requests = true;           // ragged (new_tokens, context_tokens, decode) per step
///     using deployment_type = rafter::deployment;            // what is uniform over an engine's steps
///     static constexpr bool partial_targets = false;         // optional: rows may lack targets; see for_target
///   };
///
/// With `lists_requests`, columns that have a definition (kv_sum, prefill_tokens, …) are computed from the lists when
/// the dataset is built, and checked where the source gives them too.
template <class Schema>
concept dataset_schema = requires {
  { Schema::name } -> std::convertible_to<std::string_view>;
  { Schema::lists_requests } -> std::convertible_to<bool>;
  typename Schema::columns;
  typename Schema::targets;
  typename Schema::deployment_type;
};

namespace detail {
/// May a row lack some of the targets? (`static constexpr bool partial_targets = true` in the schema.)
template <class Schema>
inline constexpr bool partial_targets = [] {
  if constexpr (requires { Schema::partial_targets; }) {
    return bool(Schema::partial_targets);
  } else {
    return false;
  }
}();
}  // namespace detail

/// The observable that a dataset is asked to explain: whichever of the schema's targets is selected. Estimators read
/// this one, so that they are compiled once per schema and not once per target.
struct target_t : observable<"target", units::second, level::step, provenance::observed_after_step> {};
inline constexpr target_t selected_target{};

template <dataset_schema Schema> class dataset;
template <dataset_schema Schema> class row_view;

namespace detail {

/// Binds plans to the columns, lists and deployments of a dataset.
template <class Schema> struct dataset_binding {
  using deployment_type = typename Schema::deployment_type;
  struct reader_type {
    double (*deployment)(const deployment_type&) = nullptr;
    double (*request)(const rafter::request&) = nullptr;
    std::size_t column = 0;

    RAFTER_ALWAYS_INLINE double step(const row_view<Schema>& row) const { return row.value(column); }
  };

  template <class Leaf>
  static constexpr bool reads = Leaf::operation_v == operation::constant ||
                                (Leaf::level_v == level::deployment && readable_from<Leaf, deployment_type>) ||
                                (Leaf::level_v == level::step &&
                                 (Schema::columns::template has<Leaf> || std::is_same_v<Leaf, target_t>)) ||
                                (Leaf::level_v == level::request && Schema::lists_requests &&
                                 readable_from<Leaf, rafter::request>);
  static constexpr bool lists(request_domain) { return Schema::lists_requests; }

  template <class Leaf> static constexpr reader_type reader() {
    reader_type made;
    if constexpr (Leaf::level_v == level::deployment) {
      made.deployment = [](const deployment_type& from) -> double { return read_from<Leaf>(from); };
    } else if constexpr (std::is_same_v<Leaf, target_t>) {
      made.column = Schema::columns::size;  // one past the columns: the selected target
    } else if constexpr (Leaf::level_v == level::step) {
      made.column = Schema::columns::template index_of<Leaf>();
    } else {
      made.request = [](const rafter::request& from) -> double { return read_from<Leaf>(from); };
    }
    return made;
  }

  template <fixed_string Observable, fixed_string Feature> static constexpr void refuse() {
    static_assert(
        satisfied<needs_observable<Observable>, in_feature<Feature>, which_dataset_schema_does_not_provide<Schema>>,
        "rafter: this feature reads an observable that the dataset's schema does not carry");
  }

  RAFTER_ALWAYS_INLINE static auto requests(const row_view<Schema>& row) { return row.requests(); }
  template <request_domain Domain> RAFTER_ALWAYS_INLINE static constexpr bool in_domain(const rafter::request& one) {
    return Domain == request_domain::all || one.decode == (Domain == request_domain::decode);
  }
};

}  // namespace detail
}  // namespace rafter
