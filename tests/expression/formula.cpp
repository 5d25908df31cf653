// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/expression/formula.hpp"

#include <gtest/gtest.h>

#include "rafter/step/observables.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;

constexpr auto a = kv_sum;
constexpr auto b = kv_max;
constexpr auto c = kv_min;
constexpr auto x = kv_usage_ratio;

TEST(Formula, OperatorsAndTheirPrecedence) {
  EXPECT_EQ(formula(a + b * x), "kv_sum + kv_max*kv_usage_ratio");
  EXPECT_EQ(formula((a + b) * x), "(kv_sum + kv_max)*kv_usage_ratio");
  EXPECT_EQ(formula(a / (b / c)), "kv_sum/(kv_max/kv_min)");
  EXPECT_EQ(formula(a / b / c), "kv_sum/kv_max/kv_min");
  EXPECT_EQ(formula(a - (b - c)), "kv_sum - (kv_max - kv_min)");
  EXPECT_EQ(formula(-(a + b)), "-(kv_sum + kv_max)");
  EXPECT_EQ(formula(-a + b), "-kv_sum + kv_max");
  EXPECT_EQ(formula(-square(x)), "-kv_usage_ratio^2");
  EXPECT_EQ(formula(square(-x)), "(-kv_usage_ratio)^2");
  EXPECT_EQ(formula(pow<-2>(a + b)), "(kv_sum + kv_max)^(-2)");
  EXPECT_EQ(formula(!(a < b) && a != c), "!(kv_sum < kv_max) && kv_sum != kv_min");
  EXPECT_EQ(formula((a < b || a > c) && b == c), "(kv_sum < kv_max || kv_sum > kv_min) && kv_max == kv_min");
}

TEST(Formula, ParenthesesShowTheOrderOfEvaluation) {
  EXPECT_EQ(formula((a + b) + c), "kv_sum + kv_max + kv_min");
  EXPECT_EQ(formula(a + (b + c)), "kv_sum + (kv_max + kv_min)");
}

TEST(Formula, FunctionsAndReductions) {
  EXPECT_EQ(formula(log1p(exp(sqrt(log(x))))), "log1p(exp(sqrt(log(kv_usage_ratio))))");
  EXPECT_EQ(formula(select(a > b, a, b)), "select(kv_sum > kv_max, kv_sum, kv_max)");
  EXPECT_EQ(formula(ratio(a, b, 0_c)), "ratio(kv_sum, kv_max, 0)");
  EXPECT_EQ(formula(min(a, max(b, c))), "min(kv_sum, max(kv_max, kv_min))");
  EXPECT_EQ(formula(sum(kv_length) / count(decode)), "kv_sum/decode_requests");
  EXPECT_EQ(formula(mean(context_tokens * new_tokens)), "mean(context_tokens*new_tokens)");
  EXPECT_EQ(formula(standard_deviation(context_tokens, prefill)), "standard_deviation(context_tokens; prefill)");
  EXPECT_EQ(formula(count(every_request)), "count(all)");
}

TEST(Formula, DimensionsAndLevelsAreNotShown) {
  EXPECT_EQ(formula(log(magnitude(a))), "log(kv_sum)");
  EXPECT_EQ(formula(sum(context_tokens - for_each_request(a))), "sum(context_tokens - kv_sum)");
  EXPECT_EQ(formula(with_unit<units::token>(x * 2_c) + a), "kv_usage_ratio*2 + kv_sum");
}

TEST(Formula, NumbersAsTheyAreWritten) {
  EXPECT_EQ(formula(0.82_c), "0.82");
  EXPECT_EQ(formula(1.05_c), "1.05");
  EXPECT_EQ(formula(0.005_c), "0.005");
  EXPECT_EQ(formula(12.5_c), "12.5");
  EXPECT_EQ(formula(3_c), "3");
  EXPECT_EQ(formula(1000000_c), "1000000");
  EXPECT_EQ(formula(989.5e12_c), "9895e11");
  EXPECT_EQ(formula(1e-9_c), "1e-9");
  EXPECT_EQ(formula(-(0.5_c)), "-0.5");
  EXPECT_EQ(formula(constant<-25, -2>{}), "-0.25");
}

TEST(Formula, IsAConstantOfTheProgram) {
  static constexpr auto text = formula(a / b);
  static_assert(text == "kv_sum/kv_max");
  EXPECT_EQ(text.data()[text.size()], '\0');
}

}  // namespace
