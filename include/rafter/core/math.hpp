// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "rafter/config.hpp"
#include "rafter/core/pack.hpp"

#if defined(__FAST_MATH__)
#error \
    "rafter: core/math.hpp needs IEEE arithmetic; compile without -ffast-math (its rounding steps would be folded away)"
#endif

/// Elementary functions written once for `double` and for `pack`: the same operations in the same order, so that a
/// value computed for one row and the same value computed in a pack are the same bits, on every compiler and vector
/// width (build with -ffp-contract=off). Nothing here calls the C library, whose results differ between versions.
/// All are branch-free, never set errno, take every IEEE value, and may be used in constant expressions on `double`.
/// Round-to-nearest is assumed. Largest errors seen in the sweep of tests/core/math.cpp are stated per function.

namespace rafter {

/// What a value of one row (`double`) or of several rows (`pack`) has in common.
template <class V>
concept lane_value = std::same_as<V, double> || is_pack<V>;

namespace detail {

typedef std::uint64_t pack_words __attribute__((vector_size(pack_width * sizeof(double))));

/// Unsigned, because a logical shift of 64-bit lanes is one instruction everywhere and an arithmetic one is not.
template <lane_value V> using words_of = std::conditional_t<is_pack<V>, pack_words, std::uint64_t>;

inline constexpr double infinity = std::numeric_limits<double>::infinity();
inline constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
inline constexpr double ln2_high = 0x1.62e42feep-1;       // 32 bits: k * ln2_high is exact for |k| < 2^21
inline constexpr double ln2_low = 0x1.a39ef35793c76p-33;  // ln 2 - ln2_high
inline constexpr std::uint64_t mantissa_bits = 0x000fffffffffffff;
inline constexpr std::uint64_t bits_of_sqrt_half = 0x3fe6a09e00000000;  // 1/sqrt(2), rounded down to 20 bits
inline constexpr std::uint64_t exponent_shift = 0x3ff0000000000000 - bits_of_sqrt_half;

template <lane_value V> struct split_number {
  V exponent;  ///< k, an integer
  V mantissa;  ///< m in [1/sqrt(2), sqrt(2)), x = 2^k m
};

/// For positive, normal, finite x; any other lane gives a finite value without meaning.
template <lane_value V> RAFTER_ALWAYS_INLINE constexpr split_number<V> split(V x) {
  const words_of<V> shifted = std::bit_cast<words_of<V>>(x) + exponent_shift;
  // 2^52 + e as bits: an integer below 2^52 becomes a double without a conversion instruction.
  const V biased = std::bit_cast<V>((shifted >> 52) | std::uint64_t{0x4330000000000000});
  return {biased - (0x1p52 + 1023.0), std::bit_cast<V>((shifted & mantissa_bits) + bits_of_sqrt_half)};
}

/// s·(f²/2 + R) of log(1+f) = f - f²/2 + s·(f²/2 + R), s = f/(2+f); the minimax R is fdlibm's (e_log.c, |error| <
/// 2^-58.45).
template <lane_value V> RAFTER_ALWAYS_INLINE constexpr V log_tail(V f, V half_square) {
  const V s = f / (f + 2.0);
  const V z = s * s;
  const V w = z * z;
  const V odd = w * (w * (w * 1.531383769920937332e-01 + 2.222219843214978396e-01) + 3.999999999940941908e-01);
  const V even = z * (w * (w * (w * 1.479819860511658591e-01 + 1.818357216161805012e-01) + 2.857142874366239149e-01) +
                      6.666666666666735130e-01);
  return s * (half_square + (odd + even));
}

/// Square root bit by bit (fdlibm e_sqrt.c), correctly rounded: only for constant expressions, of positive finite x.
constexpr double sqrt_by_digits(double x) {
  std::uint64_t bits = std::bit_cast<std::uint64_t>(x);
  int exponent = static_cast<int>(bits >> 52) - 1023;
  std::uint64_t rest = bits & mantissa_bits;
  if (exponent == -1023) {
    ++exponent;
    while ((rest >> 52) == 0) {
      rest <<= 1;
      --exponent;
    }
  } else {
    rest |= mantissa_bits + 1;
  }
  if (exponent % 2 != 0) {
    rest <<= 1;
    --exponent;
  }
  rest <<= 1;
  std::uint64_t root = 0;  // twice the root: 54 bits, the last one for rounding
  std::uint64_t taken = 0;
  for (std::uint64_t digit = std::uint64_t{1} << 53; digit != 0; digit >>= 1) {
    const std::uint64_t trial = taken + digit;
    if (trial <= rest) {
      taken = trial + digit;
      rest -= trial;
      root += digit;
    }
    rest <<= 1;
  }
  root += root & 1;  // a square root is never half-way between two doubles
  const std::uint64_t half = static_cast<std::uint64_t>(exponent / 2 + 1022);
  return std::bit_cast<double>((root >> 1) + (half << 52));
}

/// One instruction where there is one: a loop over __builtin_sqrt stays scalar as long as errno is honoured.
template <class V> RAFTER_ALWAYS_INLINE V sqrt_of_lanes(V x) {
#if defined(__AVX512F__) && defined(__clang__)
  return __builtin_ia32_sqrtpd512(x, 4);
#elif defined(__AVX512F__)
  return __builtin_ia32_sqrtpd512_mask(x, x, static_cast<char>(-1), 4);
#elif defined(__AVX__)
  return __builtin_ia32_sqrtpd256(x);
#elif defined(__SSE2__)
  return __builtin_ia32_sqrtpd(x);
#else
  V root;
  for (std::size_t lane = 0; lane < pack_width; ++lane) root[lane] = __builtin_sqrt(x[lane]);
  return root;
#endif
}

}  // namespace detail

/// Square root, correctly rounded. Negative x gives NaN.
template <lane_value V> RAFTER_ALWAYS_INLINE constexpr V sqrt(V x) {
  if constexpr (is_pack<V>) {
    return detail::sqrt_of_lanes(x);
  } else {
    if (std::is_constant_evaluated()) {
      if (!(x >= 0.0)) return detail::not_a_number;
      return x == 0.0 || x == detail::infinity ? x : detail::sqrt_by_digits(x);
    }
    return __builtin_sqrt(x);
  }
}

/// Smallest integer that is not less than x, exact; a zero is always +0.
template <lane_value V> RAFTER_ALWAYS_INLINE constexpr V ceil(V x) {
  // Adding and subtracting 2^52, away from zero, rounds to the nearest integer; from 2^52 on all doubles are integers.
  const V away = choose(x < 0.0, broadcast<V>(-0x1p52), broadcast<V>(0x1p52));
  const V nearest = (x + away) - away;
  const V up = nearest + choose(nearest < x, broadcast<V>(1.0), broadcast<V>(0.0));
  return choose(x < 0x1p52, choose(x > -0x1p52, up, x), x);
}

/// Natural logarithm (fdlibm's e_log.c without its branches).
template <lane_value V> RAFTER_ALWAYS_INLINE constexpr V log(V x) {
  const auto subnormal = x < std::numeric_limits<double>::min();
  const auto [k, m] = detail::split(x * choose(subnormal, broadcast<V>(0x1p54), broadcast<V>(1.0)));
  const V exponent = k - choose(subnormal, broadcast<V>(54.0), broadcast<V>(0.0));
  const V f = m - 1.0;
  const V half_square = f * f * 0.5;
  const V tail = detail::log_tail(f, half_square) + exponent * detail::ln2_low;
  const V result = exponent * detail::ln2_high - ((half_square - tail) - f);
  const V below = choose(x == 0.0, broadcast<V>(-detail::infinity), broadcast<V>(detail::not_a_number));
  return choose(x < detail::infinity, choose(x > 0.0, result, below), x + x);
}

/// log(1 + x), accurate for small x; log1p(-1) = -inf, below NaN, log1p(-0) = -0 (fdlibm's s_log1p.c without its
/// branches).
template <lane_value V> RAFTER_ALWAYS_INLINE constexpr V log1p(V x) {
  if constexpr (!is_pack<V>) {
    // A compiler refuses 0/0 and inf - inf in a constant expression, even where `choose` discards them.
    if (std::is_constant_evaluated() && !(x > -1.0 && x < detail::infinity)) return log(x + 1.0);
  }
  const V u = x + 1.0;
  const auto [exponent, m] = detail::split(u);
  // What the rounding of 1 + x lost, exactly (Fast2Sum), relative to u. Not needed where u itself is not used.
  const V lost = choose(x < 1.0, x - (u - 1.0), 1.0 - (u - x));
  const auto direct = exponent == 0.0;
  const V f = choose(direct, x, m - 1.0);
  const V correction = choose(direct, broadcast<V>(0.0), lost / u);
  const V half_square = f * f * 0.5;
  const V tail = detail::log_tail(f, half_square) + (exponent * detail::ln2_low + correction);
  const V result = exponent * detail::ln2_high - ((half_square - tail) - f);
  const V below = choose(x == -1.0, broadcast<V>(-detail::infinity), broadcast<V>(detail::not_a_number));
  return choose(x < detail::infinity, choose(x > -1.0, choose(x == 0.0, x, result), below), x + x);
}

/// e^x: 2^k e^r with |r| <= ln(2)/2, the Taylor series to r^13 (remainder below 0.05 ulp), r carried in two parts.
/// Overflows to inf above 709.78, passes through the subnormal numbers (one more rounding) to 0 below -745.13.
template <lane_value V> RAFTER_ALWAYS_INLINE constexpr V exp(V x) {
  // What is far below the smallest number is set to 0 at the end and computed from 0 here: a product that underflows
  // costs 150 cycles of microcode, and a plan computes both branches of a select.
  const auto vanishes = x < -746.0;
  const V low = choose(vanishes, broadcast<V>(0.0), x);
  const V clamped = choose(low > 710.0, broadcast<V>(710.0), low);
  // Adding 1.5·2^52 rounds to an integer and leaves it in the low bits.
  const V shifted = clamped * 0x1.71547652b82fep+0 + 0x1.8p52;
  const V k = shifted - 0x1.8p52;
  const V high = clamped - k * detail::ln2_high;
  const V lost = k * detail::ln2_low;
  const V r = high - lost;
  const V remainder = (high - r) - lost;
  V series = r * (1.0 / 6227020800.0) + 1.0 / 479001600.0;
  series = series * r + 1.0 / 39916800.0;
  series = series * r + 1.0 / 3628800.0;
  series = series * r + 1.0 / 362880.0;
  series = series * r + 1.0 / 40320.0;
  series = series * r + 1.0 / 5040.0;
  series = series * r + 1.0 / 720.0;
  series = series * r + 1.0 / 120.0;
  series = series * r + 1.0 / 24.0;
  series = series * r + 1.0 / 6.0;
  series = series * r + 0.5;
  const V sum = r + 1.0;
  const V value = sum + (series * (r * r) + (remainder + (r - (sum - 1.0))));
  // 2^k as a product of two powers, because k reaches from -1076 to 1024.
  const auto biased = std::bit_cast<detail::words_of<V>>(shifted) - std::uint64_t{0x4338000000000000 - 2048};
  const auto first = biased >> 1;
  const auto second = biased - first;
  const V scale_first = std::bit_cast<V>((first - std::uint64_t{1}) << 52);
  const V scale_second = std::bit_cast<V>((second - std::uint64_t{1}) << 52);
  if constexpr (!is_pack<V>) {
    // A compiler refuses overflow in a constant expression, even where the result is inf by definition.
    if (std::is_constant_evaluated() && x > 0x1.62e42fefa39efp+9) return detail::infinity;
  }
  const V result = choose(x == x, value * scale_first * scale_second, x + x);
  return choose(vanishes, broadcast<V>(0.0), result);
}

/// x^N by repeated squaring, one fixed order of multiplications; 1 / x^-N for negative N, 1 for N = 0.
template <int N, lane_value V> RAFTER_ALWAYS_INLINE constexpr V integer_power(V x) {
  if constexpr (N == 0) {
    return broadcast<V>(1.0);
  } else if constexpr (N < 0) {
    return 1.0 / integer_power<-N>(x);
  } else if constexpr (N == 1) {
    return x;
  } else {
    const V half = integer_power<N / 2>(x);
    if constexpr (N % 2 == 0) {
      return half * half;
    } else {
      return half * half * x;
    }
  }
}

}  // namespace rafter
