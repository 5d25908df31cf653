// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/feature/feature_set.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string_view>
#include <vector>

#include "support/tiny.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;

constexpr auto overlap = feature_set{
    "prefill_fraction"_f = prefill_tokens / scheduled_tokens,
    "kv_pressure"_f = max(kv_length) * count(decode),
    "prefill_decode_overlap"_f = prefill_tokens * (sum(kv_length) / count(decode)),
    "code"_f = model_code + tensor_parallel,
};
using names = std::vector<std::string_view>;
template <class Set> names names_of(const Set&) { return {Set::names.begin(), Set::names.end()}; }

/// A record that is known to the compiler.
struct counted {
  double prefill_tokens, decode_tokens, kv_max, decode_requests, kv_sum;
};
struct coded {
  double model_code = 3.0, tensor_parallel = 2.0;
};

TEST(FeatureSet, KnowsNamesDimensionsAndFormulas) {
  EXPECT_EQ(names_of(overlap), (names{"prefill_fraction", "kv_pressure", "prefill_decode_overlap", "code"}));
  EXPECT_EQ(overlap.dimensions[0], units::none);
  EXPECT_EQ(overlap.dimensions[1], units::token);
  EXPECT_EQ(overlap.dimensions[2], power(units::token, 2));
  EXPECT_EQ(overlap.formulas[0], "prefill_tokens/(prefill_tokens + decode_tokens)");
  EXPECT_EQ(overlap.formulas[1], "kv_max*decode_requests");
  EXPECT_EQ(overlap.index_of("kv_pressure"), 1U);
  EXPECT_EQ(overlap.index_of("absent"), overlap.size);
}

TEST(FeatureSet, EvaluatesAStepInOrder) {
  const counted step{10, 30, 7, 30, 90};
  EXPECT_EQ(overlap.evaluate(step, coded{}), (std::array<double, 4>{0.25, 210.0, 30.0, 5.0}));
  EXPECT_EQ(overlap.bind<counted>(coded{1.0, 4.0})(step)[3], 5.0);
}

TEST(FeatureSet, NeedsNoDeploymentWhereNothingReadsOne) {
  constexpr auto pressure = only<"kv_pressure", "prefill_fraction">(overlap);
  EXPECT_EQ(pressure.evaluate(counted{10, 30, 7, 30, 90}), (std::array<double, 2>{210.0, 0.25}));
}

TEST(FeatureSet, EvaluatesInConstantExpressions) {
  static constexpr auto values = overlap.evaluate(counted{10, 30, 7, 30, 90}, coded{});
  EXPECT_EQ(values[2], 30.0);
}

TEST(FeatureSet, ABoundSetServesRecordsOfItsType) {
  const auto lists = overlap.bind<tiny::step>(coded{});
  const tiny::step step{{request::prefilling(10), request::decoding(2), request::decoding(6)}};
  EXPECT_EQ(lists(step), (std::array<double, 4>{10.0 / 12.0, 14.0, 50.0, 5.0}));
  const auto members = overlap.bind<counted>(coded{});
  EXPECT_EQ(members(counted{10, 30, 7, 30, 90})[0], 0.25);
}

TEST(FeatureSet, AnEmptySetHasNoFeatures) {
  constexpr feature_set<> none{};
  EXPECT_EQ(none.size, 0U);
  EXPECT_EQ(none.tree_size, 0U);
  EXPECT_EQ((none | overlap).size, overlap.size);
}

TEST(FeatureSet, UnionKeepsTheOrder) {
  constexpr auto more = feature_set{"tokens"_f = scheduled_tokens};
  EXPECT_EQ(names_of(overlap | more).back(), "tokens");
  EXPECT_EQ(names_of(more | overlap).front(), "tokens");
  EXPECT_EQ((more | overlap).size, 5U);
}

TEST(FeatureSet, WithoutAndOnlySelectByName) {
  EXPECT_EQ((names_of(without<"kv_pressure", "code">(overlap))),
            (names{"prefill_fraction", "prefill_decode_overlap"}));
  EXPECT_EQ((names_of(only<"code", "prefill_fraction">(overlap))), (names{"code", "prefill_fraction"}));
  EXPECT_EQ((without<"prefill_fraction", "kv_pressure", "prefill_decode_overlap", "code">(overlap).size), 0U);
}

TEST(FeatureSet, IdentityIsFoundAndRemoved) {
  EXPECT_EQ(overlap.identity_feature("model"), "code");
  EXPECT_EQ(overlap.identity_feature("hardware"), "");
  EXPECT_EQ(without_identity<"model">(overlap).size, 3U);
  EXPECT_EQ(without_identity<"workload">(overlap).size, 4U);
}

TEST(FeatureSet, CrossMakesEveryProduct) {
  constexpr auto tokens = feature_set{"p"_f = prefill_tokens, "d"_f = decode_tokens};
  constexpr auto lengths = feature_set{"max"_f = kv_max, "sum"_f = kv_sum};
  constexpr auto products = cross(tokens, lengths);
  EXPECT_EQ(names_of(products), (names{"p*max", "p*sum", "d*max", "d*sum"}));
  EXPECT_EQ(products.evaluate(counted{2, 3, 5, 3, 7}, coded{}), (std::array<double, 4>{10, 14, 15, 21}));
}

TEST(FeatureSet, ANamedTypeDerivedFromASetIsASet) {
  struct named : decltype(feature_set{"tokens"_f = scheduled_tokens}) {};
  EXPECT_TRUE(feature_set_type<named>);
  EXPECT_EQ((named{} | overlap).size, 5U);
  EXPECT_EQ(without<"tokens">(named{}).size, 0U);
}

TEST(FeatureSet, KnowsWhereItCanBeEvaluated) {
  struct counts {
    double prefill_tokens, decode_tokens;
  };
  EXPECT_TRUE((decltype(overlap)::evaluable<detail::record_binding<coded, counted>>));
  EXPECT_FALSE((decltype(overlap)::evaluable<detail::record_binding<coded, counts>>));
  EXPECT_TRUE((std::remove_cvref_t<decltype(only<"prefill_fraction">(
                   overlap))>::evaluable<detail::record_binding<coded, counts>>));
}

}  // namespace
