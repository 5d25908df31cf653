// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "support/gradient_cases.hpp"

namespace {

using namespace tiny::gradients;

constexpr auto of_one_step = std::tuple{
    same_as(-(a * busy), []<class T>(T p, T, T, const seen& s) -> T { return -(p * s.busy); }),
    same_as(a + b * busy - c / b, []<class T>(T p, T q, T r, const seen& s) -> T { return p + q * s.busy - r / q; }),
    same_as(busy / (a * b), []<class T>(T p, T q, T, const seen& s) -> T { return s.busy / (p * q); }),
    same_as(a* a* a + a / b - a, []<class T>(T p, T q, T, const seen&) -> T { return p * p * p + p / q - p; }),
    same_as(sqrt(a* busy + b), []<class T>(T p, T q, T, const seen& s) -> T { return sqrt(p * s.busy + q); }),
    same_as(log(a* busy + b), []<class T>(T p, T q, T, const seen& s) -> T { return log(p * s.busy + q); }),
    same_as(log((a * busy + b) / (c + running)),
            []<class T>(T p, T q, T r, const seen& s) -> T { return log((p * s.busy + q) / (r + s.running)); }),
    same_as((a + busy) / c * log((a + busy) / c),  // the quotient is used beside its logarithm
            []<class T>(T p, T, T r, const seen& s) -> T { return (p + s.busy) / r * log((p + s.busy) / r); }),
    same_as(log1p(a* b* busy), []<class T>(T p, T q, T, const seen& s) -> T { return log(1.0 + p * q * s.busy); }),
    same_as(exp(-(a* busy)) * exp(b),
            []<class T>(T p, T q, T, const seen& s) -> T { return exp(-(p * s.busy)) * exp(q); }),
    same_as(pow<0>(a) + pow<1>(a * busy) + pow<2>(b + busy) + pow<3>(c),
            []<class T>(T p, T q, T r, const seen& s) -> T {
              return 1.0 + p * s.busy + (q + s.busy) * (q + s.busy) + r * r * r;
            }),
    same_as(pow<7>(a + busy),
            []<class T>(T p, T, T, const seen& s) -> T {
              const T x = p + s.busy;
              return x * x * x * x * x * x * x;
            }),
    same_as(pow<-1>(a + busy) + pow<-2>(b + busy) * pow<-5>(c),
            []<class T>(T p, T q, T r, const seen& s) -> T {
              return 1.0 / (p + s.busy) + 1.0 / ((q + s.busy) * (q + s.busy) * (r * r * r * r * r));
            }),
    same_as(ceil(a * 3_c + busy) * b,
            []<class T>(T p, T q, T, const seen& s) -> T { return ceil(p * 3.0 + s.busy) * q; }),
    same_as(magnitude(with_unit<units::byte>(a* busy) * with_unit<units::second>(b)),
            []<class T>(T p, T q, T, const seen& s) -> T { return p * s.busy * q; }),
    same_as(
        layers* exp(a - b) / (c + layers) * busy,  // all but the last factor is the same for all steps
        []<class T>(T p, T q, T r, const seen& s) -> T { return s.layers * exp(p - q) / (r + s.layers) * s.busy; }),
};

constexpr auto of_choices = std::tuple{
    same_as(min(a * busy, b / 3_c),
            []<class T>(T p, T q, T, const seen& s) -> T { return smaller<T>(p * s.busy, q / 3.0); }),
    same_as(max(a* busy, max(b / 3_c, c / 2_c)),
            []<class T>(T p, T q, T r, const seen& s) -> T {
              return larger<T>(p * s.busy, larger<T>(q / 3.0, r / 2.0));
            }),
    same_as(max(a, busy) + min(0.7_c, b* busy) + max(1_c, 2_c),  // one side without a parameter
            []<class T>(T p, T q, T, const seen& s) -> T {
              return larger<T>(p, T(s.busy)) + smaller<T>(T(0.7), q * s.busy) + 2.0;
            }),
    same_as(select(busy < 0.5_c, a* b, a / b) * c,
            []<class T>(T p, T q, T r, const seen& s) -> T { return (s.busy < 0.5 ? T(p * q) : T(p / q)) * r; }),
    same_as(select(a* busy < b, square(a), log(c)),
            []<class T>(T p, T q, T r, const seen& s) -> T { return p * s.busy < q ? T(p * p) : T(log(r)); }),
    same_as(ratio(a + busy, b* running, c),
            []<class T>(T p, T q, T r, const seen& s) -> T {
              return s.running == 0.0 ? r : T((p + s.busy) / (q * s.running));
            }),
    same_as(log(ratio(a* busy, running, 1_c)),  // how a part of a step that was not measured is left out
            []<class T>(T p, T, T, const seen& s) -> T {
              return s.running == 0.0 ? T(0.0) : T(log(p * s.busy / s.running));
            }),
    // Where nothing runs a branch or side is infinite or not a number: it is not taken, and must leave no trace.
    same_as(select(running > 0_c, a* busy / running * b, c),
            []<class T>(T p, T q, T r, const seen& s) -> T {
              return s.running > 0.0 ? T(p * s.busy / s.running * q) : r;
            }),
    same_as(select(running > 0_c, b* log(a* running), 0_c),
            []<class T>(T p, T q, T, const seen& s) -> T {
              return s.running > 0.0 ? T(q * log(p * s.running)) : T(0.0);
            }),
    same_as(min(b* exp(sqrt(a / running)), 2_c * c),
            []<class T>(T p, T q, T r, const seen& s) -> T {
              return s.running > 0.0 ? smaller<T>(q * exp(sqrt(p / s.running)), 2.0 * r) : T(2.0 * r);
            }),
    same_as(select(running > 0_c, -(log(a* running)), b) + select(running > 0_c, square(log(a* running)), b),
            []<class T>(T p, T q, T, const seen& s) -> T {
              return s.running > 0.0 ? T(-log(p * s.running) + log(p * s.running) * log(p * s.running)) : T(2.0 * q);
            }),
    same_as(select(running > 0_c, log(a* running), b) + select(running > 1_c, pow<-1>(log(a* running) + 9_c), c),
            []<class T>(T p, T q, T r, const seen& s) -> T {
              const T one = s.running > 0.0 ? T(log(p * s.running)) : q;
              return one + (s.running > 1.0 ? T(1.0 / (log(p * s.running) + 9.0)) : r);
            }),
    same_as(select(running > 0_c, a / running, b* busy) * select(running > 0_c, c, a),
            []<class T>(T p, T q, T r, const seen& s) -> T {
              return s.running > 0.0 ? T(p / s.running * r) : T(q * s.busy * p);
            }),
    same_as(select(layers > 2_c, busy* log(a*(layers - 2_c)), b),  // one condition for all steps of an engine
            []<class T>(T p, T q, T, const seen& s) -> T {
              return s.layers > 2.0 ? T(s.busy * log(p * (s.layers - 2.0))) : q;
            }),
};

constexpr auto of_requests = std::tuple{
    same_as(sum(a * fresh + b * sqrt(context)),
            []<class T>(T p, T q, T, const seen& s) -> T {
              return s.sum([&](const request& r) -> T { return p * r.new_tokens + q * std::sqrt(r.context_tokens); });
            }),
    same_as(mean(log(a* context + b), prefill) * c,
            []<class T>(T p, T q, T r, const seen& s) -> T {
              return s.mean([&](const request& o) -> T { return log(p * o.context_tokens + q); }, prefills) * r;
            }),
    same_as(sum(max(a* fresh, b* context / 100_c), decode) / 1000_c,
            []<class T>(T p, T q, T, const seen& s) -> T {
              return s.sum(
                         [&](const request& r) -> T {
                           return larger<T>(p * r.new_tokens, q * r.context_tokens / 100.0);
                         },
                         decodes) /
                     1000.0;
            }),
    same_as(sum(a* layers) + mean(b, decode) * busy,  // nothing inside that varies by request
            []<class T>(T p, T q, T, const seen& s) -> T {
              return s.sum([&](const request&) -> T { return p * s.layers; }) +
                     s.mean([&](const request&) -> T { return q; }, decodes) * s.busy;
            }),
    same_as(sum(fresh* for_each_request(exp(-(a* busy)) * b) * pow<2>(c)),  // of the step, and of parameters alone
            []<class T>(T p, T q, T r, const seen& s) -> T {
              return s.sum([&](const request& o) -> T { return o.new_tokens * exp(-(p * s.busy)) * q * r * r; });
            }),
    same_as(sum(fresh* for_each_request(mean(a* context / 1000_c + b))) * c,  // a reduction inside
            []<class T>(T p, T q, T r, const seen& s) -> T {
              const T inside = s.mean([&](const request& o) -> T { return p * o.context_tokens / 1000.0 + q; });
              return s.sum([&](const request& o) -> T { return o.new_tokens * inside; }) * r;
            }),
    same_as(mean(sqrt(a* context + for_each_request(sum(b * fresh)))) +
                mean(fresh / for_each_request(1_c + sum(b * fresh)), decode),  // inside two others
            []<class T>(T p, T q, T, const seen& s) -> T {
              const T inside = s.sum([&](const request& o) -> T { return q * o.new_tokens; });
              return s.mean([&](const request& o) -> T { return sqrt(p * o.context_tokens + inside); }) +
                     s.mean([&](const request& o) -> T { return o.new_tokens / (1.0 + inside); }, decodes);
            }),
    same_as(select(busy < 0.5_c, a, b) * sum(ratio(c * context, fresh - 1_c, a)) / 1000_c,
            []<class T>(T p, T q, T r, const seen& s) -> T {
              return (s.busy < 0.5 ? p : q) * s.sum([&](const request& o) -> T {
                return o.new_tokens == 1.0 ? p : T(r * o.context_tokens / (o.new_tokens - 1.0));
              }) / 1000.0;
            }),
    same_as(max(sum(a* context), b * 20000_c) / max(count(decode), 1_c),
            []<class T>(T p, T q, T, const seen& s) -> T {
              const T all = s.sum([&](const request& o) -> T { return p * o.context_tokens; });
              const double n = s.sum([](const request&) { return 1.0; }, decodes);
              return larger<T>(all, q * 20000.0) / std::max(n, 1.0);
            }),
};

using steps = checks<decltype(of_one_step)>;
using choices = checks<decltype(of_choices)>;
using requests = checks<decltype(of_requests)>;

TEST(Gradient, OfEveryOperationIsThatOfAutomaticDifferentiation) { steps::expect_automatic(of_one_step); }
TEST(Gradient, OfEveryChoiceIsThatOfAutomaticDifferentiation) { choices::expect_automatic(of_choices); }
TEST(Gradient, ThroughReductionsIsThatOfAutomaticDifferentiation) { requests::expect_automatic(of_requests); }

TEST(Gradient, IsThatOfCentralDifferences) {
  steps::expect_central_differences();
  choices::expect_central_differences();
  requests::expect_central_differences();
}

TEST(Gradient, LeavesTheValuesAsTheyAreBitForBit) {
  steps::expect_values_unchanged();
  choices::expect_values_unchanged();
  requests::expect_values_unchanged();
}

TEST(Gradient, OfColumnsIsThatOfStepsBitForBit) {
  steps::expect_columns_are_steps();
  choices::expect_columns_are_steps();
  requests::expect_columns_are_steps();
}

// -- one model, by hand -------------------------------------------------------------------------------------------

inline constexpr auto two_parameters = a * busy + exp(-(b * busy)) * running;
using binding = rafter::detail::record_binding<deployment, tiny::state_step>;
template <class... Es> using gradient_of = gradient_plan<binding, 1, Es...>;

template <class Plan> std::vector<double> at(const tiny::state_step& step, std::vector<double> parameters) {
  return evaluated<Plan>(step, engines[0], parameters.data());
}

TEST(Gradient, OfAModelOfTwoParametersIsTheFormulaByHandBitForBit) {
  using plan_type = gradient_of<std::remove_cvref_t<decltype(two_parameters)>>;
  ASSERT_EQ(plan_type::parameters, 2U);
  EXPECT_EQ(plan_type::tape.parameters[0].name, "a");
  std::mt19937_64 random(5);
  std::uniform_real_distribution<double> draw(0.1, 3.9);
  for (int i = 0; i < 100; ++i) {
    tiny::state_step step = tiny::random_state_step(random);
    const double p = draw(random), q = draw(random), x = step.kv_usage_ratio, r = step.queue_running;
    const double decay = rafter::exp(-(q * x));
    const std::vector<double> got = at<plan_type>(step, {p, q});
    EXPECT_EQ(got, (std::vector<double>{p * x + decay * r, x, -(r * decay) * x}));
  }
}

TEST(Gradient, SharesWhatItCanWithTheValue) {
  // The value has 2 parameters, 2 observables, 2 products, minus, exp, product, sum: 10. The derivative by a is x, that
  // by b adds a minus and a product.
  using value = plan<binding, std::remove_cvref_t<decltype(two_parameters)>>;
  using both = gradient_of<std::remove_cvref_t<decltype(two_parameters)>>;
  EXPECT_EQ(value::size, 10U);
  EXPECT_EQ(both::size, 12U);
  constexpr const instruction& by_a = both::tape.code[static_cast<std::size_t>(both::tape.outputs[1])];
  EXPECT_EQ(by_a.op, operation::leaf);
}

template <class Plan> int instructions(level varies) {
  int count = 0;
  for (const instruction& one : Plan::tape.code) count += one.varies == varies;
  return count;
}

TEST(Gradient, WhatIsTheSameForAllStepsOfADeploymentIsComputedOnce) {
  // Value and derivatives of f(a, b, L)·x: one product per step each.
  constexpr auto model = layers * exp(a - b) / (b + layers) * busy;
  using plan_type = gradient_of<std::remove_cvref_t<decltype(model)>>;
  EXPECT_EQ(instructions<plan_type>(level::step), 1 + 3);  // x, the value, two derivatives
  EXPECT_GE(instructions<plan_type>(level::deployment), 8);
  EXPECT_EQ(plan_type::tape.phases, 0);
}

TEST(Gradient, DividesByWhatIsTheSameForAllStepsThroughOneReciprocal) {
  constexpr auto model = log(busy + a) / b;
  using plan_type = gradient_of<std::remove_cvref_t<decltype(model)>>;
  int divisions_per_step = 0;
  for (const instruction& one : plan_type::tape.code) {
    divisions_per_step += one.op == operation::divide && one.varies == level::step;
  }
  EXPECT_EQ(divisions_per_step, 2);  // the value, and by a: (1/b) / (x + a); by b it is value · (1/b)
}

TEST(Gradient, ByAHeldParameterIsZeroAndAddsNoInstruction) {
  constexpr auto model = a * busy + exp(-(held<2_c>(b) * busy)) * running;
  using plan_type = gradient_of<std::remove_cvref_t<decltype(model)>>;
  using value = plan<binding, std::remove_cvref_t<decltype(model)>>;
  ASSERT_EQ(plan_type::parameters, 2U);
  EXPECT_EQ(plan_type::size, value::size + 1);  // the zero
  const tiny::state_step step{{}, 0.25, 3.0};
  // What is passed for a held parameter is not read.
  EXPECT_EQ(at<plan_type>(step, {1.5, 77.0}),
            (std::vector<double>{1.5 * 0.25 + rafter::exp(-(2.0 * 0.25)) * 3.0, 0.25, 0.0}));
}

TEST(Gradient, AModelOfHeldParametersNeedsNoParameters) {
  constexpr auto model = held<0.5_c>(a) * busy + sum(held<2_c>(b) * fresh);
  using plan_type = plan<binding, std::remove_cvref_t<decltype(model)>>;
  static_assert(!plan_type::tape.parametric_reductions);
  const tiny::state_step step{{request::decoding(9), request::prefilling(4, 2)}, 0.25, 3.0};
  EXPECT_EQ(evaluated<plan_type>(step, engines[0], nullptr), (std::vector<double>{0.125 + 2.0 * 1.0 + 2.0 * 4.0}));
}

TEST(Gradient, AHeldParameterMayStandInsideAMaximumOverRequests) {
  constexpr auto model = a * max(held<2_c>(b) * fresh);
  using plan_type = gradient_of<std::remove_cvref_t<decltype(model)>>;
  const tiny::state_step step{{request::decoding(9), request::prefilling(4, 2)}, 0.25, 3.0};
  EXPECT_EQ(at<plan_type>(step, {3.0, 2.0}), (std::vector<double>{24.0, 8.0, 0.0}));
}

TEST(Gradient, AtAKinkIsThatOfTheSideThatGivesTheValue) {
  constexpr auto lower = min(a, b * busy);
  constexpr auto upper = max(a, b * busy);
  const tiny::state_step step{{}, 0.5, 0.0};
  using of_lower = gradient_of<std::remove_cvref_t<decltype(lower)>>;
  using of_upper = gradient_of<std::remove_cvref_t<decltype(upper)>>;
  EXPECT_EQ(at<of_lower>(step, {1.0, 2.0}), (std::vector<double>{1.0, 1.0, 0.0}));  // the first of equals
  EXPECT_EQ(at<of_upper>(step, {1.0, 2.0}), (std::vector<double>{1.0, 1.0, 0.0}));
}

TEST(Gradient, ComesAfterAllExpressionsAndOnlyOfTheFirst) {
  using plan_type =
      gradient_plan<binding, 1, std::remove_cvref_t<decltype(a * busy)>, std::remove_cvref_t<decltype(b * running)>>;
  const tiny::state_step step{{}, 0.5, 4.0};
  EXPECT_EQ(at<plan_type>(step, {3.0, 2.0}), (std::vector<double>{1.5, 8.0, 0.5, 0.0}));
}

TEST(Gradient, ReductionsThatParametersChangeAreMarked) {
  const auto marked = []<class E>(E) { return gradient_of<E>::tape.parametric_reductions; };
  EXPECT_TRUE(marked(sum(a * fresh)));
  EXPECT_TRUE(marked(sum(fresh * for_each_request(sqrt(a)))));
  EXPECT_FALSE(marked(a * sum(fresh)));
  EXPECT_FALSE(marked(sqrt(a * mean(context))));
}

TEST(Gradient, OfMoreExpressionsThanTheFirstTapeHoldsIsThatOfOne) {
  // Sixteen formulas of three parameters need more than the 256 instructions that are tried first.
  constexpr auto formula_of = []<int N>(std::integral_constant<int, N>) {
    return pow<N + 2>(a * busy + b) * log(c * running + with_unit<units::none>(constant<N + 1, 0>{})) /
           (exp(-(a * busy)) + sqrt(b + c * constant<N + 1, 0>{}));
  };
  const auto of = [&]<int... N>(std::integer_sequence<int, N...>) {
    using all = gradient_plan<binding, static_cast<int>(sizeof...(N)),
                              std::remove_cvref_t<decltype(formula_of(std::integral_constant<int, N>{}))>...>;
    static_assert(all::size > 256);
    const tiny::state_step step{{}, 0.5, 4.0};
    const std::vector<double> got = at<all>(step, {1.5, 0.5, 2.5});
    using last = gradient_of<std::remove_cvref_t<decltype(formula_of(std::integral_constant<int, 15>{}))>>;
    const std::vector<double> expected = at<last>(step, {1.5, 0.5, 2.5});
    EXPECT_EQ(got[15], expected[0]);
    for (std::size_t j = 0; j < 3; ++j) EXPECT_EQ(got[16 + 15 * 3 + j], expected[1 + j]);
  };
  of(std::make_integer_sequence<int, 16>{});
}

}  // namespace
