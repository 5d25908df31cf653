// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/core/math.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace {

using rafter::pack;
using rafter::pack_width;

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double smallest = std::numeric_limits<double>::denorm_min();
constexpr double smallest_normal = std::numeric_limits<double>::min();
constexpr double largest = std::numeric_limits<double>::max();

struct log_function {
  template <class V> static V apply(V x) { return rafter::log(x); }
  static long double reference(long double x) { return std::log(x); }
};
struct log1p_function {
  template <class V> static V apply(V x) { return rafter::log1p(x); }
  static long double reference(long double x) { return std::log1p(x); }
};
struct exp_function {
  template <class V> static V apply(V x) { return rafter::exp(x); }
  static long double reference(long double x) { return std::exp(x); }
};
struct sqrt_function {
  template <class V> static V apply(V x) { return rafter::sqrt(x); }
  static long double reference(long double x) { return std::sqrt(x); }
};

struct ceil_function {
  template <class V> static V apply(V x) { return rafter::ceil(x); }
};

/// Distance from the reference in units of the last place of a double of the reference's size (at least the subnormal
/// one).
double ulps(double value, long double reference) {
  if (static_cast<long double>(value) == reference) return 0.0;
  const int exponent = std::max(std::ilogb(reference), -1022);
  return static_cast<double>(std::fabs(static_cast<long double>(value) - reference) /
                             std::ldexp(1.0L, exponent - 52));
}

constexpr std::array<double, 30> specials = {0.0,
                                             -0.0,
                                             1.0,
                                             -1.0,
                                             inf,
                                             -inf,
                                             nan,
                                             -nan,
                                             smallest,
                                             -smallest,
                                             smallest_normal,
                                             -smallest_normal,
                                             largest,
                                             -largest,
                                             0.5,
                                             2.0,
                                             0x1p-54,
                                             -0x1p-54,
                                             0x1p-1074,
                                             709.782712893384,
                                             709.7827128933841,
                                             -745.1332191019411,
                                             -745.1332191019412,
                                             -708.4,
                                             0x1.6a09e667f3bccp-1,
                                             0x1.6a09e667f3bcdp+0,
                                             -0x1.fffffffffffffp-1,
                                             0x1.fffffffffffffp-1,
                                             1e308,
                                             -746.5};

/// Every bit pattern has the same chance, so subnormal, huge and NaN values occur; then values around one and around
/// zero.
std::vector<double> any_doubles(std::size_t count) {
  std::mt19937_64 random(20250101);
  const auto uniform = [](auto& bits) { return static_cast<double>(bits() >> 11) * 0x1p-52 - 1.0; };
  std::vector<double> values(specials.begin(), specials.end());
  while (values.size() < count) {
    values.push_back(std::bit_cast<double>(random()));
    values.push_back(uniform(random) * 750.0);
    values.push_back(1.0 + uniform(random));
    const double fraction = uniform(random);
    values.push_back(std::ldexp(fraction, static_cast<int>(random() % 60) - 60));
  }
  return values;
}

template <class Function> double largest_error(double from, double to, std::size_t count, bool logarithmic) {
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> uniform(logarithmic ? std::log(from) : from,
                                                 logarithmic ? std::log(to) : to);
  double worst = 0.0;
  for (std::size_t i = 0; i < count; ++i) {
    const double drawn = uniform(random);
    const double x = logarithmic ? std::exp(drawn) : drawn;
    worst = std::max(worst, ulps(Function::apply(x), Function::reference(x)));
  }
  return worst;
}

/// Whether this build fuses a multiplication and an addition into one rounding.
bool contracts() {
  const volatile double x = 1.0 + 0x1p-30;
  const double a = x;
  return a * a - (1.0 + 0x1p-29) != 0.0;
}

template <class Function> void expect_the_same_bits_in_every_lane() {
  const std::vector<double> values = any_doubles(100000);
  std::size_t different = 0;
  for (std::size_t i = 0; i + pack_width <= values.size(); i += pack_width) {
    std::array<double, pack_width> packed;
    rafter::store(packed.data(), Function::apply(rafter::load<pack>(values.data() + i)));
    for (std::size_t lane = 0; lane < pack_width; ++lane) {
      const double single = Function::apply(values[i + lane]);
      if (std::bit_cast<std::uint64_t>(single) != std::bit_cast<std::uint64_t>(packed[lane])) {
        if (++different < 5)
          ADD_FAILURE() << values[i + lane] << ": " << single << " alone, " << packed[lane] << " in a pack";
      }
    }
  }
  EXPECT_EQ(different, 0U);
}

/// FNV-1a over the bits of all finite or infinite results.
template <class Function> std::uint64_t digest() {
  std::uint64_t hash = 14695981039346656037U;
  for (const double x : any_doubles(50000)) {
    const double value = Function::apply(x);
    hash = (hash ^ (value == value ? std::bit_cast<std::uint64_t>(value) : 1U)) * 1099511628211U;
  }
  return hash;
}

TEST(Math, LogIsWithinOneUlp) {
  const double worst = std::max({largest_error<log_function>(smallest_normal, largest, 60000, true),
                                 largest_error<log_function>(0.5, 2.0, 90000, false),
                                 largest_error<log_function>(0.99, 1.01, 50000, false)});
  RecordProperty("largest_error_ulp", std::to_string(worst));
  EXPECT_LT(worst, 1.0);
}

TEST(Math, LogOfSubnormalNumbersIsWithinOneUlp) {
  double worst = 0.0;
  for (std::uint64_t bits = 1; bits < 0x0010000000000000; bits += 0x0010000000000000 / 20000) {
    const double x = std::bit_cast<double>(bits);
    worst = std::max(worst, ulps(rafter::log(x), std::log(static_cast<long double>(x))));
  }
  EXPECT_LT(worst, 1.0);
}

TEST(Math, LogTakesEverySpecialValue) {
  EXPECT_EQ(rafter::log(0.0), -inf);
  EXPECT_EQ(rafter::log(-0.0), -inf);
  EXPECT_EQ(rafter::log(inf), inf);
  EXPECT_EQ(rafter::log(1.0), 0.0);
  EXPECT_FALSE(std::signbit(rafter::log(1.0)));
  for (const double x : {-1.0, -smallest, -inf, nan}) EXPECT_TRUE(std::isnan(rafter::log(x))) << x;
}

TEST(Math, Log1pIsWithinOneAndAHalfUlp) {
  const double worst = std::max({largest_error<log1p_function>(-1.0 + 0x1p-53, 3.0, 150000, false),
                                 largest_error<log1p_function>(1e-300, 1e300, 60000, true),
                                 largest_error<log1p_function>(-1e-3, 1e-3, 40000, false)});
  RecordProperty("largest_error_ulp", std::to_string(worst));
  EXPECT_LT(worst, 1.5);
}

TEST(Math, Log1pOfATinyNumberIsThatNumber) {
  for (const double x : {1e-17, -1e-17, 1e-300, smallest, -smallest}) EXPECT_EQ(rafter::log1p(x), x) << x;
}

TEST(Math, Log1pTakesEverySpecialValue) {
  EXPECT_EQ(rafter::log1p(-1.0), -inf);
  EXPECT_EQ(rafter::log1p(inf), inf);
  EXPECT_TRUE(std::signbit(rafter::log1p(-0.0)));
  EXPECT_FALSE(std::signbit(rafter::log1p(0.0)));
  EXPECT_LT(ulps(rafter::log1p(largest), std::log1p(static_cast<long double>(largest))), 1.0);
  for (const double x : {-1.5, -inf, nan}) EXPECT_TRUE(std::isnan(rafter::log1p(x))) << x;
}

TEST(Math, ExpIsWithinOneUlpInTheNormalRange) {
  const double worst = std::max({largest_error<exp_function>(-708.39, 709.78, 90000, false),
                                 largest_error<exp_function>(-1.0, 1.0, 90000, false),
                                 largest_error<exp_function>(1e-300, 1.0, 20000, true)});
  RecordProperty("largest_error_ulp", std::to_string(worst));
  EXPECT_LT(worst, 1.0);
}

TEST(Math, ExpUnderflowsThroughSubnormalNumbers) {
  EXPECT_LT(largest_error<exp_function>(-745.13, -708.4, 20000, false), 1.2);
  EXPECT_EQ(rafter::exp(-745.13), smallest);
  EXPECT_EQ(rafter::exp(-745.2), 0.0);
  EXPECT_EQ(rafter::exp(-inf), 0.0);
  EXPECT_EQ(rafter::exp(-largest), 0.0);
}

TEST(Math, ExpOverflowsOnlyAboveTheLogarithmOfTheLargestDouble) {
  EXPECT_LT(ulps(rafter::exp(709.78271), std::exp(static_cast<long double>(709.78271))), 1.0);
  EXPECT_LT(rafter::exp(0x1.62e42fefa39efp+9), inf);
  EXPECT_EQ(rafter::exp(std::nextafter(0x1.62e42fefa39efp+9, inf)), inf);
  EXPECT_EQ(rafter::exp(inf), inf);
  EXPECT_EQ(rafter::exp(largest), inf);
  EXPECT_TRUE(std::isnan(rafter::exp(nan)));
  EXPECT_EQ(rafter::exp(0.0), 1.0);
  EXPECT_EQ(rafter::exp(-0.0), 1.0);
}

TEST(Math, SqrtIsCorrectlyRounded) {
  for (const double x : any_doubles(50000)) {
    if (!(x >= 0.0)) continue;
    EXPECT_EQ(std::bit_cast<std::uint64_t>(rafter::sqrt(x)), std::bit_cast<std::uint64_t>(std::sqrt(x))) << x;
  }
  EXPECT_TRUE(std::isnan(rafter::sqrt(-1.0)));
  EXPECT_TRUE(std::signbit(rafter::sqrt(-0.0)));
}

TEST(Math, SqrtByDigitsAgreesWithTheProcessor) {
  for (const double x : any_doubles(50000)) {
    if (!(x > 0.0 && x < inf)) continue;
    ASSERT_EQ(rafter::detail::sqrt_by_digits(x), std::sqrt(x)) << x;
  }
}

TEST(Math, CeilIsThatOfTheCLibrary) {
  for (const double x : any_doubles(50000)) {
    if (std::isnan(x)) continue;
    EXPECT_EQ(rafter::ceil(x), std::ceil(x)) << x;
  }
  std::mt19937_64 random(9);
  for (int exponent = -3; exponent < 56; ++exponent) {  // around halves and integers of every size
    for (int i = 0; i < 200; ++i) {
      const double integer = std::ldexp(static_cast<double>(random() >> 11) * 0x1p-53, exponent);
      for (const double near : {std::floor(integer), std::floor(integer) + 0.5, integer}) {
        for (const double x : {near, std::nextafter(near, inf), std::nextafter(near, -inf)}) {
          ASSERT_EQ(rafter::ceil(x), std::ceil(x)) << x;
          ASSERT_EQ(rafter::ceil(-x), std::ceil(-x)) << -x;
        }
      }
    }
  }
}

TEST(Math, CeilTakesEverySpecialValue) {
  for (const double x : {0.0, 1.0, -1.0, 7.0, -1e6, 0x1p51, -0x1p51, 0x1p52, -0x1p52, 0x1p53 + 2.0, 1e300, -1e300,
                         inf, -inf, largest, -largest}) {
    EXPECT_EQ(rafter::ceil(x), x);
  }
  EXPECT_EQ(rafter::ceil(0.5), 1.0);
  EXPECT_EQ(rafter::ceil(-0.5), 0.0);
  EXPECT_EQ(rafter::ceil(0x1p51 + 0.5), 0x1p51 + 1.0);
  EXPECT_EQ(rafter::ceil(-0x1p51 - 0.5), -0x1p51);
  EXPECT_EQ(rafter::ceil(0x1p52 - 0.5), 0x1p52);
  EXPECT_EQ(rafter::ceil(smallest), 1.0);
  EXPECT_EQ(rafter::ceil(1.0 + 0x1p-52), 2.0);
  EXPECT_EQ(rafter::ceil(1.0 - 0x1p-53), 1.0);
  EXPECT_TRUE(std::isnan(rafter::ceil(nan)));
  for (const double x : {-0.3, -0.0, -smallest, -1.0 + 0x1p-53}) {
    EXPECT_EQ(rafter::ceil(x), 0.0) << x;
    EXPECT_FALSE(std::signbit(rafter::ceil(x))) << x;  // unlike the C library: one zero
  }
}

TEST(Math, PacksGiveTheBitsOfSingleValues) {
  if (contracts())
    GTEST_SKIP() << "skipped: g++ fuses differently in packs and alone (-ffp-contract=off was not given)";
  expect_the_same_bits_in_every_lane<log_function>();
  expect_the_same_bits_in_every_lane<log1p_function>();
  expect_the_same_bits_in_every_lane<exp_function>();
  expect_the_same_bits_in_every_lane<sqrt_function>();
  expect_the_same_bits_in_every_lane<ceil_function>();
}

TEST(Math, EveryCompilerAndTargetGivesTheSameBits) {
  if (contracts())
    GTEST_SKIP() << "skipped: this build fuses multiplications and additions (-ffp-contract=off was not given)";
  EXPECT_EQ(digest<log_function>(), 3434267933393447779U);
  EXPECT_EQ(digest<log1p_function>(), 16367437737646180548U);
  EXPECT_EQ(digest<exp_function>(), 16206930297642764779U);
}

TEST(Math, WorksInConstantExpressions) {
  constexpr std::array<double, 8> values = {rafter::log(2.0),  rafter::log1p(1e-20),  rafter::exp(1.0),
                                            rafter::sqrt(2.0), rafter::exp(1000.0),   rafter::exp(-800.0),
                                            rafter::log(0.0),  rafter::sqrt(smallest)};
  EXPECT_EQ(values, (std::array<double, 8>{0.69314718055994530942, 1e-20, 2.7182818284590452354,
                                           1.4142135623730950488, inf, 0.0, -inf, 0x1p-537}));
  static_assert(rafter::log(-1.0) != rafter::log(-1.0) && rafter::sqrt(-1.0) != rafter::sqrt(-1.0));
  static_assert(rafter::exp(inf) == inf && rafter::log(inf) == inf && rafter::log1p(inf) == inf &&
                rafter::sqrt(inf) == inf);
  static_assert(rafter::log(smallest) == -744.44007192138126231);
  static_assert(rafter::ceil(2.5) == 3.0 && rafter::ceil(-2.5) == -2.0 && rafter::ceil(-0.3) == 0.0 &&
                rafter::ceil(1e300) == 1e300 && rafter::ceil(inf) == inf && rafter::ceil(-inf) == -inf &&
                rafter::ceil(0x1p51 + 0.5) == 0x1p51 + 1.0);
}

TEST(Math, IntegerPowerMultipliesInAFixedOrder) {
  static_assert(rafter::integer_power<10>(2.0) == 1024.0);
  static_assert(rafter::integer_power<-2>(4.0) == 0.0625);
  static_assert(rafter::integer_power<0>(0.0) == 1.0);
  const double x = 1.1;
  EXPECT_EQ(rafter::integer_power<5>(x), ((x * x) * (x * x)) * x);
  EXPECT_NEAR(rafter::integer_power<7>(x), std::pow(x, 7), 1e-15);
  const pack many = rafter::integer_power<-3>(rafter::broadcast<pack>(x));
  for (std::size_t lane = 0; lane < pack_width; ++lane) EXPECT_EQ(many[lane], rafter::integer_power<-3>(x));
}

}  // namespace
