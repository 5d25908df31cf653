// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/expression/parameter.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <string_view>
#include <type_traits>

#include "rafter/architecture/quantities.hpp"
#include "rafter/expression/formula.hpp"
#include "rafter/expression/tape.hpp"
#include "rafter/step/observables.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;

constexpr double infinite = std::numeric_limits<double>::infinity();

constexpr bounded<"mfu", 0.01_c, 0.5_c, 1_c> mfu{};
constexpr bounded<"overhead", 0_c, 50e-6_c, 1_c, units::second> overhead{};
constexpr positive<"rate", 2_c> rate{};
constexpr unbounded<"offset", -(3_c)> offset{};
constexpr fixed<"known", 7_c> known{};

template <class E> constexpr const parameter_fact& fact_of(E) { return E::fact; }
template <class E> constexpr bool linear(E) { return linear_in_parameters<E>; }
template <class E> constexpr bool mentions_one(E) { return parametric<E>; }
template <class A, class B> constexpr bool same_type(A, B) { return std::is_same_v<A, B>; }

TEST(Parameter, KnowsItsNameUnitBoundsAndStart) {
  EXPECT_EQ(mfu.fact.name, "mfu");
  EXPECT_EQ(mfu.fact.lower, 0.01);
  EXPECT_EQ(mfu.fact.start, 0.5);
  EXPECT_EQ(mfu.fact.upper, 1.0);
  EXPECT_EQ(mfu.fact.unit, units::none);
  EXPECT_EQ(mfu.fact.axis, "");
  EXPECT_EQ(overhead.fact.unit, units::second);
  EXPECT_EQ(overhead.fact.start, 50e-6);
}

TEST(Parameter, MayLackBounds) {
  EXPECT_EQ(rate.fact.lower, 0.0);
  EXPECT_EQ(rate.fact.upper, infinite);
  EXPECT_EQ(offset.fact.lower, -infinite);
  EXPECT_EQ(offset.fact.start, -3.0);
  EXPECT_EQ(offset.fact.upper, infinite);
  constexpr parameter<"below", no_bound, constant<1, 0>, constant<2, 0>> below{};
  EXPECT_EQ(below.fact.lower, -infinite);
  EXPECT_EQ(below.fact.upper, 2.0);
}

TEST(Parameter, IsFixedWhereItsBoundsAreOneNumber) {
  EXPECT_TRUE(known.fact.fixed());
  EXPECT_EQ(known.fact.start, 7.0);
  EXPECT_FALSE(mfu.fact.fixed());
  EXPECT_FALSE(offset.fact.fixed());
}

TEST(Parameter, IsMeasuredByItsLogarithmWhereItMustBePositive) {
  EXPECT_TRUE(mfu.fact.by_logarithm());
  EXPECT_FALSE(rate.fact.by_logarithm());  // 0 is allowed
  EXPECT_FALSE(offset.fact.by_logarithm());
}

TEST(Parameter, TakesBoundsAsQuantitiesOfItsDimension) {
  constexpr bounded<"delay", 0_c, with_unit<units::second>(0.25_c), 1_c, units::second> delay{};
  EXPECT_EQ(delay.fact.start, 0.25);
  static_assert(!detail::number_of<constant<1, 0, units::token>, units::second>);
  static_assert(detail::number_of<constant<1, 0, units::second>, units::second>);
}

TEST(Parameter, HasPriorAxisAndPoolingInAnyOrder) {
  constexpr auto all = partially_pooled<4_c>(per_label<"model">(with_prior<0.6_c, 10_c>(mfu)));
  EXPECT_EQ(all.fact.prior, 0.6);
  EXPECT_EQ(all.fact.prior_weight, 10.0);
  EXPECT_EQ(all.fact.axis, "model");
  EXPECT_EQ(all.fact.pooling, 4.0);
  constexpr auto other = with_prior<0.6_c, 10_c>(partially_pooled<4_c>(per_label<"model">(mfu)));
  EXPECT_EQ(other.fact.prior_weight, 10.0);
  EXPECT_EQ(other.fact.pooling, 4.0);
  EXPECT_EQ(other.fact.lower, 0.01);
  EXPECT_EQ(other.fact.name, "mfu");
}

TEST(Parameter, OfOneAxisTwiceIsTheSame) {
  constexpr auto once = per_label<"model">(mfu);
  static_assert(same_type(once, per_label<"model">(once)));
}

TEST(Parameter, CanBeHeldWhateverItsPriorIs) {
  constexpr auto held_offset = held<0.5_c>(with_prior<0_c, 1_c>(offset));
  EXPECT_TRUE(held_offset.fact.fixed());
  EXPECT_EQ(held_offset.fact.start, 0.5);
  EXPECT_EQ(held_offset.fact.name, "offset");
  static_assert(fact_of(held<-(2_c)>(offset)).lower == -2.0);
}

// Bounds are part of the type: a start outside of them is no parameter. (That the message says so: compile_fail.)
static_assert(fact_of(bounded<"x", 1_c, 1_c, 2_c>{}).start == 1.0 &&
              fact_of(bounded<"x", 1_c, 2_c, 2_c>{}).start == 2.0);

TEST(Parameter, HasADimensionLikeAnyQuantity) {
  static_assert(!addable<decltype(overhead), prefill_tokens_t>);
  static_assert(!addable<decltype(mfu), decltype(overhead)>);
  static_assert(addable<decltype(overhead), gpu_step_time_t>);
  static_assert(dimensionless<decltype(mfu)>);
  static_assert(dimension_of<overhead * prefill_tokens> == units::second * units::token);
  static_assert(dimension_of<mfu * overhead> == units::second);
  static_assert(mixable<decltype(mfu), context_tokens_t> && mixable<decltype(mfu), prefill_tokens_t>);
  SUCCEED();
}

TEST(Parameter, IsPrintedByItsName) {
  EXPECT_EQ(formula(rate * magnitude(prefill_tokens) + offset), "rate*prefill_tokens + offset");
  EXPECT_EQ(formula(ceil(kv_usage_ratio / mfu)), "ceil(kv_usage_ratio/mfu)");
  EXPECT_EQ(formula(held<0.7_c>(mfu) * overhead), "mfu*overhead");
  EXPECT_EQ(formula(per_label<"model">(rate) * known), "rate*known");
}

// -- rewriting ----------------------------------------------------------------------------------------------------

struct twice {
  template <class P> constexpr auto operator()(P) const { return typename P::template renamed<P::name_v + "2">{}; }
};

/// An expression with every kind of node around parameters.
constexpr auto every_node = select(rate * kv_usage_ratio > 1_c && !(kv_usage_ratio == 0_c),
                                   -pow<3>(mfu) + log(exp(offset)) / sqrt(rate) - log1p(mfu),
                                   min(mfu, max(ceil(rate), ratio(rate, mfu, offset)))) *
                            magnitude(sum(mfu * context_tokens, decode)) *
                            mean(with_unit<units::second>(magnitude(context_tokens)) + overhead);

TEST(Rewriting, ReachesParametersThroughEveryKindOfNode) {
  EXPECT_EQ(formula(map_parameters(every_node, twice{})),
            "select(rate2*kv_usage_ratio > 1 && !(kv_usage_ratio == 0), -mfu2^3 + log(exp(offset2))/sqrt(rate2) - "
            "log1p(mfu2), min(mfu2, max(ceil(rate2), ratio(rate2, mfu2, offset2))))*sum(mfu2*context_tokens; "
            "decode)*mean(context_tokens + overhead2)");
  static_assert(dimension_of<map_parameters(every_node, twice{})> == dimension_of<every_node>);
}

TEST(Rewriting, ByTheSameParametersGivesTheSameType) {
  constexpr auto identity = []<class P>(P p) { return p; };
  static_assert(same_type(map_parameters(every_node, identity), every_node));
  static_assert(same_type(map_parameters(prefill_tokens / 2_c, identity), prefill_tokens / 2_c));
  SUCCEED();
}

// Opaque names keep types in messages short; a rewritten expression is what they stand for.
struct gemm_time : std::remove_cvref_t<decltype(with_unit<units::second>(rate * kv_usage_ratio))> {};
struct squared_rate : std::remove_cvref_t<decltype(pow<2>(rate))> {};
struct total_context : std::remove_cvref_t<decltype(sum(mfu * context_tokens))> {};
struct named_overhead : std::remove_cvref_t<decltype(overhead)> {};
struct named_constant : std::remove_cvref_t<decltype(2_c)> {};
struct outer : std::remove_cvref_t<decltype(gemm_time{} * squared_rate{} / named_constant{} + named_overhead{})> {};

TEST(Rewriting, FindsParametersBehindOpaqueNames) {
  EXPECT_EQ(formula(map_parameters(outer{}, twice{})), "rate2*kv_usage_ratio*rate2^2/2 + overhead2");
  EXPECT_EQ(formula(map_parameters(total_context{}, twice{})), "sum(mfu2*context_tokens)");
  EXPECT_EQ(dimension_of<map_parameters(outer{}, twice{})>, units::second);
  static_assert(linear_in_parameters<gemm_time> && !linear_in_parameters<squared_rate> &&
                !linear_in_parameters<outer>);
  EXPECT_EQ((formula(with_held<"rate", 3_c>(outer{}))), formula(outer{}));
}

TEST(Rewriting, HoldsOneParameter) {
  constexpr auto model = mfu * kv_usage_ratio + rate * mfu;
  constexpr auto at_half = with_held<"mfu", 0.5_c>(model);
  EXPECT_EQ(parameter_count<model>, 2U);
  EXPECT_EQ(parameter_count<at_half>, 1U);
  EXPECT_EQ(parameters_of<decltype(at_half)>.size(), 2U);
  EXPECT_EQ(formula(at_half), formula(model));
  static_assert(!linear(model) && linear(at_half));
  static_assert(!parametric<decltype(with_held<"rate", 1_c>(at_half))>);
}

TEST(Rewriting, GivesEveryParameterOneValuePerLabel) {
  constexpr auto model = with_parameters_per<"workload">(mfu * kv_usage_ratio + known * rate);
  for (const parameter_fact& one : parameters_of<decltype(model)>) EXPECT_EQ(one.axis, "workload");
  EXPECT_EQ(parameter_count<model>, 2U);
}

TEST(Rewriting, SplitsParametersByACondition) {
  constexpr auto model = rate * kv_usage_ratio + with_prior<1_c, 5_c>(mfu);
  constexpr auto split = with_parameters_by<"_moe", "_dense">(architecture::experts > 1_c, model);
  EXPECT_EQ(formula(split),
            "select(experts > 1, rate_moe, rate_dense)*kv_usage_ratio + select(experts > 1, mfu_moe, mfu_dense)");
  EXPECT_EQ(parameter_count<split>, 4U);
  constexpr const auto& facts = parameters_of<decltype(split)>;
  EXPECT_EQ(facts[2].name, "mfu_moe");
  EXPECT_EQ(facts[2].upper, 1.0);
  EXPECT_EQ(facts[2].prior_weight, 5.0);
  static_assert(linear(split) && split.level_v == level::step);
}

TEST(Rewriting, MakesAChangeOfUnitVaryWithWhatReplacesTheParameter) {
  constexpr auto time = with_unit<units::second>(rate);
  static_assert(time.level_v == level::deployment);
  constexpr auto split = with_parameters_by<"_busy", "_idle">(kv_usage_ratio > 0.5_c, time);
  static_assert(split.level_v == level::step);
  constexpr auto by_request = with_parameters_by<"_long", "_short">(context_tokens > one_token, magnitude(time));
  static_assert(by_request.level_v == level::request);
  SUCCEED();
}

// -- how a model depends on its parameters ------------------------------------------------------------------------

constexpr auto x = kv_usage_ratio;
// Linear: sums, differences, multiples, quotients by what mentions none, choices on what mentions none.
static_assert(linear(x) && linear(2_c) && linear(mfu) && linear(-mfu) && linear(+mfu));
static_assert(linear(mfu * x) && linear(x * mfu) && linear(mfu / x) && linear(2_c * mfu / x));
static_assert(linear(mfu + x) && linear(mfu - rate) && linear(mfu * x - rate * log(x) + offset));
static_assert(linear(ratio(mfu, x, rate)) && linear(ratio(x, x, rate)));
static_assert(linear(select(x > 0.5_c, mfu, rate* x)));
static_assert(linear(magnitude(with_unit<units::second>(mfu))));
static_assert(linear(sum(mfu * context_tokens)) && linear(mean(magnitude(context_tokens) * mfu, decode)));
static_assert(linear(count(decode) * mfu) && linear(for_each_request(mfu) * context_tokens));
static_assert(linear(known * mfu) && linear(mfu / known) && linear(pow<2>(known) * mfu) && linear(max(known, x)));
static_assert(linear(max(sum(context_tokens), kv_sum)) && linear(sqrt(x) + ceil(x) + exp(x)));
// Not linear: everything else.
static_assert(!linear(mfu * rate) && !linear(mfu * mfu) && !linear(mfu * (rate + x)) && !linear((mfu * rate) * x));
static_assert(!linear(x / mfu) && !linear(mfu / rate) && !linear(ratio(x, mfu, 1_c)));
static_assert(!linear(min(mfu, x)) && !linear(max(x, mfu)) && !linear(select(mfu > x, 1_c, 2_c)));
static_assert(!linear(sqrt(mfu)) && !linear(log(rate)) && !linear(log1p(rate)) && !linear(exp(rate)));
static_assert(!linear(ceil(rate)) && !linear(pow<2>(rate)) && !linear(pow<-1>(rate)));
static_assert(!linear(mfu < x) && !linear(mfu > x && x > 0_c) && !linear(!(mfu == x)));
static_assert(!linear(max(mfu * context_tokens)) && !linear(min(mfu * context_tokens)));
static_assert(!linear(standard_deviation(mfu * context_tokens)) && !linear(sum(mfu * rate * context_tokens)));
static_assert(!linear(-(mfu * rate)) && !linear(magnitude(with_unit<units::second>(exp(mfu)))) &&
              !linear(every_node));

static_assert(mentions_one(mfu) && mentions_one(exp(mfu) + x) && mentions_one(sum(mfu * context_tokens)));
static_assert(mentions_one(mfu < x) && mentions_one(every_node));
static_assert(!mentions_one(x) && !mentions_one(known) && !mentions_one(exp(known) * x) && !mentions_one(1_c));

TEST(ParameterCount, CountsEachParameterThatIsNotHeldOnce) {
  EXPECT_EQ(parameter_count<x>, 0U);
  EXPECT_EQ(parameter_count<mfu>, 1U);
  EXPECT_EQ((parameter_count<mfu * x + rate / mfu + known>), 2U);
  EXPECT_EQ(parameter_count<every_node>, 4U);
}

TEST(ParameterCount, ParametersComeInTheOrderOfFirstMention) {
  constexpr auto model = rate * x + mfu * rate + known;
  constexpr const auto& facts = parameters_of<decltype(model)>;
  ASSERT_EQ(facts.size(), 3U);
  EXPECT_EQ(facts[0].name, "rate");
  EXPECT_EQ(facts[1].name, "mfu");
  EXPECT_EQ(facts[2].name, "known");
  EXPECT_TRUE(facts[2].fixed());
}

template <class... Es> constexpr bool ambiguous(Es...) {
  constexpr detail::lowered_tape<as_written, 256, 0, Es...> lowered;
  return lowered.built.ambiguous_parameter;
}

TEST(ParameterCount, TwoParametersOfOneNameAreTold) {
  static_assert(!ambiguous(mfu * x, rate * mfu));
  static_assert(!ambiguous(mfu * x, bounded<"mfu", 0.01_c, 0.5_c, 1_c>{}));  // the same, written again
  static_assert(ambiguous(mfu * x, bounded<"mfu", 0.01_c, 0.4_c, 1_c>{}));
  static_assert(ambiguous(mfu * x, bounded<"mfu", 0.02_c, 0.5_c, 1_c>{}));
  static_assert(ambiguous(mfu * overhead, bounded<"mfu", 0.01_c, 0.5_c, 1_c, units::second>{}));
  static_assert(ambiguous(mfu * x + held<0.5_c>(mfu)));
  static_assert(ambiguous(mfu * x + per_label<"model">(mfu)));
  static_assert(ambiguous(mfu * x + with_prior<1_c, 1_c>(mfu)));
  SUCCEED();
}

TEST(ParameterCount, LongNamesAreToldApartByTheirLastLetters) {
  constexpr positive<"a_parameter_whose_name_is_far_longer_than_any_message_would_print_one", 1_c> one{};
  constexpr positive<"a_parameter_whose_name_is_far_longer_than_any_message_would_print_two", 1_c> two{};
  EXPECT_EQ((parameter_count<one * x + two>), 2U);
}

}  // namespace
