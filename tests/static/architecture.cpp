// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/architecture.hpp"

namespace rafter_static_tests {

using namespace rafter;
using namespace rafter::literals;

static_assert(kv_bytes_per_token(llama2_70b{}) == 327680_B);
static_assert(weight_count(llama2_7b{}) == 6738415616.0);
static_assert(weight_bytes(llama2_7b{}) == 13476831232_B);
static_assert(kv_bytes_per_token(deepseek_v3{}) == 70272_B);
static_assert(same_shape(llama2_70b{}, llama3_70b{}));
static_assert(is_mixture_of_experts(mixtral_8x7b{}) && !is_mixture_of_experts(llama2_70b{}));

static_assert(static_architecture<mixtral_8x7b>);
static_assert(decoder_architecture<decoder> && !static_architecture<decoder>);
static_assert(!decoder_architecture<deepseek_v3> && sizable_architecture<deepseek_v3>);
static_assert(sizable_architecture<decoder> && sizable_architecture<llama2_7b>);
static_assert(!decoder_architecture<int> && !sizable_architecture<int>);

/// A mixture must say how many experts it has.
struct forgetful : moe_decoder {
  static constexpr std::string_view name = "forgetful";
  static constexpr int layers = 1, hidden = 4, heads = 2, kv_heads = 1, head_dim = 3, intermediate = 5,
                       vocabulary = 7;
};
static_assert(!decoder_architecture<forgetful>);

/// A decoder that stores only its window: a hidden friend replaces the generic formula, and only that one.
struct windowed : llama2_7b {
  friend constexpr bytes kv_bytes_per_token(const windowed&) { return 5_B; }
};
static_assert(decoder_architecture<windowed>);
static_assert(kv_bytes_per_token(windowed{}) == 5_B);
static_assert(weight_count(windowed{}) == weight_count(llama2_7b{}));

/// A type that is nothing but its cache (the example of the style guide).
struct latent_attention {
  int layers = 61, latent_dim = 576;
  friend constexpr bytes kv_bytes_per_token(const latent_attention& a) { return 2_B * a.layers * a.latent_dim; }
};
static_assert(kv_bytes_per_token(latent_attention{}) == 70272_B);

}  // namespace rafter_static_tests
