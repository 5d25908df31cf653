// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "rafter/expression/evaluate.hpp"
#include "rafter/feature/feature.hpp"
#include "rafter/step/record.hpp"

namespace rafter {

template <class... Features> struct feature_set;

/// Stands for a deployment where nothing is read from one.
struct no_deployment {};

namespace detail {

struct feature_set_base {};

/// The first name that two features share, or an empty view. Names are compared by a hash first: a set of hundreds stays
/// within what compilers allow a constant expression.
template <class... Features> constexpr std::string_view first_duplicate() {
  constexpr std::array<std::string_view, sizeof...(Features)> names{Features::name...};
  std::array<std::uint64_t, sizeof...(Features)> hashes{};
  for (std::size_t i = 0; i < names.size(); ++i) {
    std::uint64_t hash = 0xCBF29CE484222325ULL;
    for (const char c : names[i]) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
    hashes[i] = hash;
    for (std::size_t j = 0; j < i; ++j) {
      if (hashes[j] == hash && names[j] == names[i]) return names[i];
    }
  }
  return {};
}
template <class... Features> struct duplicate_name {
  static constexpr std::string_view value = first_duplicate<Features...>();
};

/// Refuses the first feature that the binding cannot provide; one mistake gives one error.
template <class Binding> constexpr void require_available() {}
template <class Binding, class Feature, class... Rest> constexpr void require_available() {
  using E = typename Feature::expression_type;
  if constexpr (!first_missing<E, Binding>().empty()) {
    Binding::template refuse<name_constant<missing_name<E, Binding>>, Feature::name_v>();
  } else {
    require_available<Binding, Rest...>();
  }
}

template <class Set, class Binding> inline constexpr bool evaluable_set = false;
template <class... Features, class Binding>
inline constexpr bool evaluable_set<feature_set<Features...>, Binding> =
    (first_missing<typename Features::expression_type, Binding>().empty() && ...);

}  // namespace detail

/// A feature set: an empty type whose value is written as a list of named expressions. It knows its names, dimensions
/// and formulas, and one plan that shares the features' common sub-expressions.
template <class... Features> struct feature_set : detail::feature_set_base {
  using set_type = feature_set;
  static constexpr std::size_t size = sizeof...(Features);
  static constexpr std::array<std::string_view, size> names{Features::name...};
  static constexpr std::array<dimension, size> dimensions{Features::dimension_v...};
  static constexpr std::array<std::string_view, size> formulas{formula(typename Features::expression_type{})...};

  constexpr feature_set() = default;
  constexpr feature_set(Features...) requires(size > 0) {}

  static constexpr bool check() {
    if constexpr (!detail::first_duplicate<Features...>().empty()) {
      static_assert(satisfied<two_features_have_the_name<detail::name_constant<detail::duplicate_name<Features...>>>>,
                    "rafter: two features of a set have one name");
    }
    return true;
  }
  static_assert(check());

  /// The features lowered together for a binding (see expression/tape.hpp).
  template <class Binding> using plan_for = plan<Binding, typename Features::expression_type...>;
  /// The same with more expressions after the features (a target, a weight).
  template <class Binding, class... More>
  using plan_with = plan<Binding, typename Features::expression_type..., More...>;

  /// Instructions of the plan as written, and nodes of the expression trees that it shares.
  static constexpr std::size_t plan_size = plan<as_written, typename Features::expression_type...>::size;
  static constexpr std::size_t tree_size =
      static_cast<std::size_t>((detail::tree_size<typename Features::expression_type>() + ... + 0));

  static constexpr std::size_t index_of(std::string_view name) {
    for (std::size_t i = 0; i < size; ++i) {
      if (names[i] == name) return i;
    }
    return size;
  }

  /// Name of the first feature that identifies a group of `axis`, or an empty view.
  static constexpr std::string_view identity_feature([[maybe_unused]] std::string_view axis) {
    std::string_view found;
    ((found = found.empty() && !detail::first_identity_of<typename Features::expression_type>(axis).empty()
                  ? Features::name
                  : found),
     ...);
    return found;
  }

  /// Refuses, in the user's words, what the binding's record or schema does not provide.
  template <class Binding> static constexpr void require_on() { detail::require_available<Binding, Features...>(); }
  /// The first observable that the binding lacks for some feature, or an empty view.
  template <class Binding> static constexpr std::string_view missing_on() {
    std::string_view missing;
    ((missing = missing.empty() ? detail::first_missing<typename Features::expression_type, Binding>() : missing),
     ...);
    return missing;
  }
  template <class Binding> static constexpr bool evaluable = detail::evaluable_set<feature_set, Binding>;

  /// Computes what depends on the deployment alone, once; the result evaluates steps of type `Record` without looking
  /// at the deployment again.
  template <class Record, class Deployment> static constexpr auto bind(const Deployment& deployment);

  /// The features of one step, where none of them reads the deployment.
  template <class Record> static constexpr std::array<double, size> evaluate(const Record& record) {
    return evaluate(record, no_deployment{});
  }
  /// The features of one step of one deployment, in order.
  template <class Record, class Deployment>
  static constexpr std::array<double, size> evaluate(const Record& record, const Deployment& deployment) {
    return bind<Record>(deployment)(record);
  }
};

template <class... Features> feature_set(Features...) -> feature_set<Features...>;

template <class Set>
concept feature_set_type = std::is_base_of_v<detail::feature_set_base, std::remove_cvref_t<Set>>;

/// A feature set whose deployment-level parts are computed, for step records of one type. Holds numbers only: no
/// reference to the deployment.
template <class Set, class Deployment, class Record> class bound_feature_set {
  using binding = detail::record_binding<Deployment, Record>;
  using run = detail::executor<typename Set::template plan_for<binding>>;

 public:
  constexpr explicit bound_feature_set(const Deployment& deployment) { run::bind(slots_.data(), deployment); }

  /// The features of one step, in order. Does not allocate.
  constexpr std::array<double, Set::size> operator()(const Record& record) const {
    std::array<double, Set::size> values{};
    run::step(slots_.data(), record, [&](auto index, double value) RAFTER_INLINE_LAMBDA {
      values[static_cast<std::size_t>(decltype(index)::value)] = value;
    });
    return values;
  }

 private:
  typename run::slot_array slots_{};
};

template <class... Features>
template <class Record, class Deployment>
constexpr auto feature_set<Features...>::bind(const Deployment& deployment) {
  using binding = detail::record_binding<Deployment, Record>;
  require_on<binding>();
  if constexpr (evaluable<binding>) {
    return bound_feature_set<feature_set, Deployment, Record>(deployment);
  } else {
    return [](const Record&) { return std::array<double, size>{}; };  // refused above: one mistake, one error
  }
}

// ---------------------------------------------------------------------------------------------------------------
// Set algebra
// ---------------------------------------------------------------------------------------------------------------

namespace detail {
template <class... A, class... B> constexpr auto join(feature_set<A...>, feature_set<B...>) {
  return feature_set<A..., B...>{};
}
template <class Set> constexpr typename std::remove_cvref_t<Set>::set_type plain(Set) { return {}; }

template <bool Keep, class Feature> constexpr auto keep_if() {
  if constexpr (Keep) {
    return feature_set<Feature>{};
  } else {
    return feature_set<>{};
  }
}
constexpr feature_set<> join_all() { return {}; }
template <class First, class... Rest> constexpr auto join_all(First first, Rest... rest) {
  if constexpr (sizeof...(Rest) == 0) {
    return first;
  } else {
    return join(first, join_all(rest...));
  }
}

template <fixed_string... Names> constexpr bool named(std::string_view name) {
  return ((name == Names.view()) || ...);
}
template <fixed_string... Names, class... Features> constexpr auto without(feature_set<Features...>) {
  return join_all(keep_if<!named<Names...>(Features::name), Features>()...);
}
template <class Set, fixed_string Name> constexpr auto select_one(Set) {
  return [&]<class... Features>(feature_set<Features...>) {
    return join_all(keep_if<(Features::name == Name.view()), Features>()...);
  }(Set{});
}
template <fixed_string Axis, class... Features> constexpr auto without_identity(feature_set<Features...>) {
  return join_all(keep_if<first_identity_of<typename Features::expression_type>(Axis.view()).empty(), Features>()...);
}
template <class A, class... B> constexpr auto cross_one(feature_set<B...>) {
  return feature_set<
      feature<A::name_v + "*" + B::name_v,
              std::remove_cvref_t<decltype(typename A::expression_type{} * typename B::expression_type{})>>...>{};
}
template <class... A, class Right> constexpr auto cross(feature_set<A...>, Right right) {
  return join_all(cross_one<A>(right)...);
}
}  // namespace detail

/// Both sets' features; one name in both does not compile.
template <feature_set_type A, feature_set_type B> constexpr auto operator|(A a, B b) {
  return detail::join(detail::plain(a), detail::plain(b));
}
/// The set without the named features; a name that it does not have does not compile.
template <fixed_string... Names, feature_set_type Set> constexpr auto without(Set set) {
  static_assert(((Set::index_of(Names.view()) < Set::size) && ...), "rafter: the set has no feature of that name");
  return detail::without<Names...>(detail::plain(set));
}
/// Only the named features, in the order given.
template <fixed_string... Names, feature_set_type Set> constexpr auto only(Set set) {
  static_assert(((Set::index_of(Names.view()) < Set::size) && ...), "rafter: the set has no feature of that name");
  using plain = decltype(detail::plain(set));
  return detail::join_all(detail::select_one<plain, Names>(plain{})...);
}
/// The set without the features that identify groups of an axis: what may be used when that axis is held out.
template <fixed_string Axis, feature_set_type Set> constexpr auto without_identity(Set set) {
  return detail::without_identity<Axis>(detail::plain(set));
}
/// All products of a feature of one set and a feature of the other, named `a*b`.
template <feature_set_type A, feature_set_type B> constexpr auto cross(A a, B b) {
  return detail::cross(detail::plain(a), detail::plain(b));
}

}  // namespace rafter
