// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "rafter/config.hpp"

namespace rafter {

// The natural vector width of the translation unit's target. Two translation units that are built for different
// targets must not share inline functions over packs (ODR), hence the inline namespace.
#if defined(__AVX512F__)
inline namespace isa_8 {
inline constexpr std::size_t pack_width = 8;
#elif defined(__AVX__)
inline namespace isa_4 {
inline constexpr std::size_t pack_width = 4;
#else
inline namespace isa_2 {
inline constexpr std::size_t pack_width = 2;
#endif

/// `pack_width` doubles that the compiler keeps in one vector register; arithmetic and comparison are per lane.
typedef double pack __attribute__((vector_size(pack_width * sizeof(double))));
/// The result of comparing packs: all bits set where true.
typedef std::int64_t pack_bits __attribute__((vector_size(pack_width * sizeof(double))));

template <class T> inline constexpr bool is_pack = std::is_same_v<std::remove_cvref_t<T>, pack>;

/// How many rows a value type carries: 1 for `double`, `pack_width` for `pack`.
template <class T> inline constexpr std::size_t lanes = is_pack<T> ? pack_width : 1;

/// Reads `lanes<V>` consecutive doubles (no alignment needed).
template <class V> RAFTER_ALWAYS_INLINE V load(const double* from) {
  V value;
  std::memcpy(&value, from, sizeof(V));
  return value;
}

template <class V> RAFTER_ALWAYS_INLINE void store(double* to, V value) { std::memcpy(to, &value, sizeof(V)); }

/// The same value in every lane.
template <class V> RAFTER_ALWAYS_INLINE constexpr V broadcast(double value) {
  if constexpr (is_pack<V>) {
    return value - V{};
  } else {
    return value;
  }
}

/// Lane by lane: `condition ? yes : no`, where condition came from comparing two `V`.
template <class Condition, class V> RAFTER_ALWAYS_INLINE constexpr V choose(Condition condition, V yes, V no) {
  return condition ? yes : no;
}

/// Sum of the lanes, always in the order 0, 1, 2, …
RAFTER_ALWAYS_INLINE double horizontal_sum(double value) { return value; }
RAFTER_ALWAYS_INLINE double horizontal_sum(pack value) {
  double sum = 0.0;
  for (std::size_t lane = 0; lane < pack_width; ++lane) sum += value[lane];
  return sum;
}

}  // namespace isa_8/4/2

}  // namespace rafter
