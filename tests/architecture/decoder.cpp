// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/architecture/decoder.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "rafter/architecture/catalog/llama2.hpp"
#include "rafter/architecture/catalog/llama3.hpp"
#include "rafter/architecture/catalog/mixtral.hpp"

namespace {

using namespace rafter;

/// Small enough to count by hand.
decoder tiny() {
  return {.name = "tiny",
          .layers = 1,
          .hidden = 4,
          .heads = 2,
          .kv_heads = 1,
          .head_dim = 3,
          .intermediate = 5,
          .vocabulary = 7};
}

TEST(Decoder, ReadsTypesAndRecordsAlike) {
  const decoder record = decoder_of<mixtral_8x7b>();
  EXPECT_EQ(record.name, "mixtral-8x7b");
  EXPECT_EQ(weight_count(record), weight_count(mixtral_8x7b{}));
  EXPECT_EQ(kv_bytes_per_token(record), kv_bytes_per_token(mixtral_8x7b{}));
  EXPECT_TRUE(same_shape(record, mixtral_8x7b{}));
  EXPECT_EQ(decoder_of(record), record);
}

// Q 4·6, K and V 2·4·3, O 6·4, MLP 3·4·5, norms 2·4; final norm 4; two tables of 7·4.
TEST(Decoder, CountsTheWeightsOfATinyModelAsByHand) {
  EXPECT_EQ(weight_count(tiny()), 24 + 24 + 24 + 60 + 8 + 4 + 56);
  decoder a = tiny();
  a.tied_embeddings = true;
  EXPECT_EQ(weight_count(a), weight_count(tiny()) - 28);
  a = tiny();
  a.qkv_bias = true;
  EXPECT_EQ(weight_count(a), weight_count(tiny()) + 6 + 3 + 3);
  a = tiny();
  a.qk_norm = true;
  EXPECT_EQ(weight_count(a), weight_count(tiny()) + 3 + 3);
}

TEST(Decoder, CountsAllExpertsAsWeightsAndTheRoutedOnesAsActive) {
  decoder a = tiny();
  a.experts = 4;
  a.experts_per_token = 2;
  EXPECT_EQ(weight_count(a), weight_count(tiny()) + 3 * 60 + 4 * 4);     // three more experts, and a router of d·E
  EXPECT_EQ(active_weight_count(a), weight_count(tiny()) + 60 + 4 * 4);  // one more
  a.shared_intermediate = 2;
  EXPECT_EQ(active_weight_count(a), weight_count(tiny()) + 60 + 16 + 3 * 4 * 2 + 4);
  EXPECT_EQ(active_weight_count(tiny()), weight_count(tiny()));
}

TEST(Decoder, WeighsAndCachesByElementSize) {
  decoder a = tiny();
  a.bytes_per_weight = 0.5;
  EXPECT_EQ(weight_bytes(a).value, 0.5 * weight_count(a));
  a.bytes_per_kv = 1;
  EXPECT_EQ(kv_bytes_per_token(a).value, 2 * 1 * 1 * 3);
}

TEST(Decoder, NamesTheAttentionShapeOfOneRank) {
  EXPECT_EQ(attention_shape_name(llama2_70b{}, 8), "q8-kv1-d128");
  EXPECT_EQ(attention_shape_name(llama2_70b{}, 4), "q16-kv2-d128");
  EXPECT_EQ(attention_shape_name(llama2_7b{}, 1), "q32-kv32-d128");
  EXPECT_EQ(attention_shape_name(llama2_70b{}, 16), "q4-kv1-d128") << "KV heads are replicated beyond one per rank";
  EXPECT_THROW(attention_shape_name(llama2_70b{}, 3), architecture_error);
  EXPECT_THROW(attention_shape_name(llama2_70b{}, 0), architecture_error);
}

TEST(Decoder, FindsEqualShapesAcrossNamesAndVocabularies) {
  EXPECT_TRUE(same_shape(llama2_70b{}, llama3_70b{}));
  EXPECT_FALSE(same_shape(llama2_7b{}, llama3_8b{}));
}

TEST(Decoder, TellsMixturesOfExperts) {
  EXPECT_TRUE(is_mixture_of_experts(mixtral_8x7b{}));
  EXPECT_FALSE(is_mixture_of_experts(llama2_7b{}));
}

TEST(Decoder, CheckNamesTheFieldAndItsValue) {
  EXPECT_NO_THROW(check(tiny()));
  const auto refusal = [](auto change) -> std::string {
    decoder a = tiny();
    change(a);
    try {
      check(a);
    } catch (const architecture_error& failure) {
      return failure.what();
    }
    return "accepted";
  };
  EXPECT_EQ(refusal([](decoder& a) { a.layers = 0; }), "architecture 'tiny': layers = 0 is not positive");
  EXPECT_EQ(refusal([](decoder& a) { a.vocabulary = -1; }), "architecture 'tiny': vocabulary = -1 is not positive");
  EXPECT_EQ(refusal([](decoder& a) { a.heads = 3, a.kv_heads = 2; }),
            "architecture 'tiny': heads = 3 is not a multiple of kv_heads = 2");
  EXPECT_EQ(refusal([](decoder& a) { a.experts = 2, a.experts_per_token = 3; }),
            "architecture 'tiny': experts_per_token = 3 is more than experts = 2");
  EXPECT_EQ(refusal([](decoder& a) { a.shared_intermediate = -1; }),
            "architecture 'tiny': shared_intermediate = -1 is negative");
  for (const double bad : {0.0, -2.0, 16.0, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_NE(refusal([&](decoder& a) { a.bytes_per_kv = bad; }).find("bytes_per_kv"), std::string::npos) << bad;
  }
  EXPECT_NE(refusal([](decoder& a) { a = decoder{}; }), "accepted");
}

}  // namespace
