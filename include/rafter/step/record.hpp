// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <ranges>
#include <type_traits>
#include <utility>

#include "rafter/expression/evaluate.hpp"
#include "rafter/step/observables.hpp"

namespace rafter {

/// One request's part in a step. `decode` when it produces its next token from one new token, else prefill.
struct request {
  double new_tokens = 0.0;      ///< processed by the step [token]
  double context_tokens = 0.0;  ///< in the KV cache before the step [token]
  bool decode = false;

  /// One more token for a request that has `context` tokens in the cache.
  static constexpr request decoding(double context) { return {1.0, context, true}; }
  /// A chunk of `tokens` of a prompt of which `context` are in the cache.
  static constexpr request prefilling(double tokens, double context = 0.0) { return {tokens, context, false}; }
};

/// Decode requests of a record that carries only their KV lengths.
struct kv_only_request {
  double kv_length = 0.0;
};

namespace detail {
/// The requests of a record: a member range or a member function that returns one.
template <class Record>
requires requires(const Record& record) { std::ranges::begin(record.requests()); }
constexpr auto requests_of(const Record& record) { return record.requests(); }
template <class Record>
requires requires(const Record& record) { std::ranges::begin(record.requests); }
constexpr const auto& requests_of(const Record& record) { return record.requests; }
}  // namespace detail

/// A record that lists its requests: a range `requests` (or a function returning one) of things with new_tokens,
/// context_tokens and decode.
template <class Record>
concept has_requests = requires(const Record& record) {
  { (*std::ranges::begin(detail::requests_of(record))).new_tokens } -> std::convertible_to<double>;
  { (*std::ranges::begin(detail::requests_of(record))).context_tokens } -> std::convertible_to<double>;
  { (*std::ranges::begin(detail::requests_of(record))).decode } -> std::convertible_to<bool>;
};

/// A record that lists the KV lengths of its decode requests (its own new token included): a range `kv_lengths`.
template <class Record>
concept has_kv_lengths = has_requests<Record> || requires(const Record& record) {
  { *std::ranges::begin(record.kv_lengths) } -> std::convertible_to<double>;
};

/// Any type that carries at least the token counts of a step, as members or through its requests.
/// Archetype: `struct { double prefill_tokens, decode_tokens; }`.
template <class Record>
concept step_record = has_requests<Record> || requires(const Record& record) {
  { record.prefill_tokens } -> std::convertible_to<double>;
  { record.decode_tokens } -> std::convertible_to<double>;
};

namespace detail {

/// Views `kv_lengths` as requests.
template <class Lengths> struct kv_only_view {
  const Lengths& lengths;
  struct iterator {
    decltype(std::ranges::begin(std::declval<const Lengths&>())) at;
    constexpr kv_only_request operator*() const { return {static_cast<double>(*at)}; }
    constexpr iterator& operator++() {
      ++at;
      return *this;
    }
    constexpr bool operator!=(const iterator& other) const { return at != other.at; }
  };
  constexpr iterator begin() const { return {std::ranges::begin(lengths)}; }
  constexpr iterator end() const { return {std::ranges::end(lengths)}; }
};

struct no_requests {};

template <class Record> constexpr auto request_type_of() {
  if constexpr (has_requests<Record>) {
    return std::type_identity<
        std::remove_cvref_t<decltype(*std::ranges::begin(requests_of(std::declval<const Record&>())))>>{};
  } else if constexpr (has_kv_lengths<Record>) {
    return std::type_identity<kv_only_request>{};
  } else {
    return std::type_identity<no_requests>{};
  }
}

/// Reads an observable: by the member that the observable names, else through the record's own `get<Leaf>()`.
template <class Leaf, class From>
requires requires(const From& from) { Leaf::read(from); }
constexpr double read_from(const From& from) { return Leaf::read(from); }
template <class Leaf, class From>
requires(
    requires(const From& from) { from.template get<Leaf>(); } &&
    !requires(const From& from) { Leaf::read(from); }) constexpr double read_from(const From& from) {
  return from.template get<Leaf>();
}
template <class Leaf, class From>
concept readable_from = requires(const From& from) {
  { read_from<Leaf>(from) } -> std::convertible_to<double>;
};

/// Binds plans to a user's record type and a deployment type.
template <class Deployment, class Record> struct record_binding {
  using request_type = typename decltype(request_type_of<Record>())::type;
  struct reader_type {
    double (*deployment)(const Deployment&) = nullptr;
    double (*step)(const Record&) = nullptr;
    double (*request)(const request_type&) = nullptr;
  };

  template <class Leaf>
  static constexpr bool reads = Leaf::operation_v == operation::constant ||
                                (Leaf::level_v == level::deployment && readable_from<Leaf, Deployment>) ||
                                (Leaf::level_v == level::step && readable_from<Leaf, Record>) ||
                                (Leaf::level_v == level::request && readable_from<Leaf, request_type>);
  /// Can a reduction over these requests be made from the record's lists?
  static constexpr bool lists(request_domain domain) {
    return has_requests<Record> || (has_kv_lengths<Record> && domain == request_domain::decode);
  }

  template <class Leaf> static constexpr reader_type reader() {
    reader_type made;
    if constexpr (Leaf::level_v == level::deployment) {
      made.deployment = [](const Deployment& from) -> double { return read_from<Leaf>(from); };
    } else if constexpr (Leaf::level_v == level::step) {
      made.step = [](const Record& from) -> double { return read_from<Leaf>(from); };
    } else {
      made.request = [](const request_type& from) -> double { return read_from<Leaf>(from); };
    }
    return made;
  }

  template <fixed_string Observable, fixed_string Feature> static constexpr void refuse() {
    static_assert(
        satisfied<needs_observable<Observable>, in_feature<Feature>, which_step_type_does_not_provide<Record>>,
        "rafter: this feature reads an observable that the step record (or deployment) does not carry");
  }

  RAFTER_ALWAYS_INLINE static constexpr decltype(auto) requests(const Record& record) {
    if constexpr (has_requests<Record>) {
      return requests_of(record);
    } else {
      return kv_only_view<std::remove_cvref_t<decltype(record.kv_lengths)>>{record.kv_lengths};
    }
  }
  template <request_domain Domain> RAFTER_ALWAYS_INLINE static constexpr bool in_domain(const request_type& one) {
    if constexpr (Domain == request_domain::all || std::same_as<request_type, kv_only_request>) {
      return true;
    } else {
      return static_cast<bool>(one.decode) == (Domain == request_domain::decode);
    }
  }
};

}  // namespace detail
}  // namespace rafter
