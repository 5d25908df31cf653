// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/expression/operators.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <type_traits>

#include "rafter/step/observables.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;

TEST(Constant, IsTheNumberThatAStringReads) {
  EXPECT_EQ((0.82_c).value, 0.82);
  EXPECT_EQ((989.5e12_c).value, 989.5e12);
  EXPECT_EQ((1e-6_c).value, 1e-6);
  EXPECT_EQ((1e22_c).value, 1e22);
  EXPECT_EQ((0.1_c).value, std::strtod("0.1", nullptr));
  EXPECT_EQ((123456789012345_c).value, 123456789012345.0);
  EXPECT_EQ((1'000_c).value, 1000.0);
  EXPECT_EQ((0_c).value, 0.0);
  EXPECT_EQ((0.00_c).value, 0.0);
  EXPECT_EQ(static_cast<double>(2.5E+1_c), 25.0);
}

TEST(Constant, OneNumberIsOneTypeHoweverWritten) {
  EXPECT_TRUE((std::is_same_v<decltype(1000_c), decltype(1e3_c)>));
  EXPECT_TRUE((std::is_same_v<decltype(0.50_c), decltype(5e-1_c)>));
  EXPECT_TRUE((std::is_same_v<decltype(0_c), decltype(0.0e5_c)>));
}

TEST(Operators, DimensionsMultiplyAndDivide) {
  constexpr auto bytes_of_tokens = kv_sum * with_unit<units::byte_per_token>(2_c);
  EXPECT_EQ(bytes_of_tokens.dimension_v, units::byte);
  EXPECT_EQ((kv_sum / kv_max).dimension_v, units::none);
  EXPECT_EQ(pow<3>(kv_sum).dimension_v, power(units::token, 3));
  EXPECT_EQ(pow<-1>(kv_sum).dimension_v, units::per_token);
  EXPECT_EQ(sqrt(kv_sum * kv_max).dimension_v, units::token);
  EXPECT_EQ(sqrt(square(kv_sum / with_unit<units::second>(1_c))).dimension_v, units::token / units::second);
  EXPECT_EQ(magnitude(kv_sum).dimension_v, units::none);
  EXPECT_EQ(ratio(kv_sum, with_unit<units::second>(1_c), with_unit<units::token / units::second>(0_c)).dimension_v,
            units::token / units::second);
  EXPECT_EQ(select(kv_sum > kv_max, kv_sum, kv_max).dimension_v, units::token);
  EXPECT_EQ((kv_sum > kv_max).dimension_v, units::none);
}

TEST(Operators, LevelsAreThatOfTheFastestChangingPart) {
  EXPECT_EQ((2_c * 3_c).level_v, level::constant);
  EXPECT_EQ((kv_sum * 3_c).level_v, level::step);
  EXPECT_EQ((new_tokens * context_tokens).level_v, level::request);
  EXPECT_EQ(sum(new_tokens * context_tokens).level_v, level::step);
  EXPECT_EQ(for_each_request(kv_sum).level_v, level::request);
}

TEST(Operators, ReductionsWithANameAreThatObservable) {
  EXPECT_TRUE((std::is_same_v<decltype(sum(kv_length)), kv_sum_t>));
  EXPECT_TRUE((std::is_same_v<decltype(max(kv_length, decode)), kv_max_t>));
  EXPECT_TRUE((std::is_same_v<decltype(mean(kv_length)), kv_mean_t>));
  EXPECT_TRUE((std::is_same_v<decltype(min(kv_length)), kv_min_t>));
  EXPECT_TRUE((std::is_same_v<decltype(standard_deviation(kv_length)), kv_deviation_t>));
  EXPECT_TRUE((std::is_same_v<decltype(sum(new_tokens, prefill)), prefill_tokens_t>));
  EXPECT_TRUE((std::is_same_v<decltype(sum(new_tokens, decode)), decode_tokens_t>));
  EXPECT_TRUE((std::is_same_v<decltype(count(decode)), decode_requests_t>));
  EXPECT_TRUE((std::is_same_v<decltype(count(prefill)), prefill_requests_t>));
  EXPECT_FALSE((std::is_same_v<decltype(sum(new_tokens)), prefill_tokens_t>));
}

TEST(Operators, AReductionTakesTheDomainOfItsArgument) {
  constexpr auto squares = sum(kv_length * context_tokens);
  EXPECT_EQ(squares.reduces_over, request_domain::decode);
  EXPECT_EQ(sum(context_tokens).reduces_over, request_domain::all);
  EXPECT_EQ(sum(context_tokens, prefill).reduces_over, request_domain::prefill);
  EXPECT_EQ(squares.domain_v, request_domain::all);
}

TEST(Operators, AConditionLiftedToRequestsIsAConditionAndOneWithAUnitIsNot) {
  constexpr auto busy = kv_usage_ratio > 0.5_c;
  EXPECT_TRUE(condition<decltype(busy)>);
  EXPECT_TRUE(condition<decltype(for_each_request(busy))>);
  EXPECT_TRUE(condition<decltype(busy && !busy)>);
  EXPECT_FALSE(condition<decltype(with_unit<units::byte>(busy))>);
  EXPECT_FALSE(condition<decltype(busy + busy)>);
  EXPECT_FALSE(condition<kv_usage_ratio_t>);
}

}  // namespace
