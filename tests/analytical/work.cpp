// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/analytical/work.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "rafter/architecture/catalog.hpp"
#include "rafter/hardware/h100.hpp"
#include "support/tiny.hpp"

namespace {

using namespace rafter;
using namespace rafter::literals;
using tiny::value;

template <class Architecture, int Ranks = 1> using on = static_deployment<Architecture, tiny::memory_bound, Ranks>;

/// One prefill chunk of n = 2 after c = 1, decodes with 3 and 6 tokens in the cache: T = 4, Σkv = 4 + 7 = 11.
const tiny::step mixed{{request::prefilling(2, 1), request::decoding(3), request::decoding(6)}};
const tiny::step empty{};

constexpr auto three_tokens = constant<3, 0, units::token>{};
constexpr auto no_tokens = constant<0, 0, units::token>{};

void expect_close(double expected, double got, double relative = 4e-16) {
  EXPECT_NEAR(expected, got, relative * std::abs(expected));
}

// d·Hh + 2d·Kh + Hh·d = 4·4 + 2·4·2 + 4·4 = 48; 3d·f = 3·4·6 = 72.
TEST(Work, ProjectionsAndMlpOfADenseLayerCountedByHand) {
  const auto work = analytical::projections_and_mlp(three_tokens);
  // L·2T·(48 + 72) = 2·6·120
  EXPECT_EQ(value(work.flops, mixed, on<tiny::dense>{}), 1440.0);
  EXPECT_EQ(value(work.flops, mixed, on<tiny::dense, 2>{}), 720.0);
  // weights L·b·120 = 480; activations of the four GEMMs per token and layer, in + out:
  // QKV 4 + 8, O 4 + 4, gate and up 4 + 12, down 6 + 4 = 46 elements; 46·L·T·a = 46·2·3·2 = 552
  EXPECT_EQ(value(work.bytes, mixed, on<tiny::dense>{}), 480.0 + 552.0);
  // tp = 2: weights 240; the hidden vectors whole (4 · 4 = 16), the rest halved (30 / 2 = 15): 31·2·3·2 = 372
  EXPECT_EQ(value(work.bytes, mixed, on<tiny::dense, 2>{}), 240.0 + 372.0);
}

TEST(Work, ProjectionsAndMlpOfAMixtureCountedByHand) {
  const auto work = analytical::projections_and_mlp(three_tokens);
  // L·2T·(48 + 72·2) = 2·6·192
  EXPECT_EQ(value(work.flops, mixed, on<tiny::moe>{}), 2304.0);
  EXPECT_EQ(value(work.flops, mixed, on<tiny::moe, 2>{}), 1152.0);
  // E*(3) = 4·(1 − (1/2)³) = 3.5: weights 2·2·(48 + 72·3.5) = 1200
  // activations: QKV 12, O 8, then for both experts of a token 4 + 24 and 12 + 4: 4·4 + 12 + 3·6·2 = 64; 64·12 = 768
  expect_close(1200.0 + 768.0, value(work.bytes, mixed, on<tiny::moe>{}), 1e-15);
  expect_close(600.0 + 12.0 * (16.0 + 24.0), value(work.bytes, mixed, on<tiny::moe, 2>{}), 1e-15);
}

TEST(Work, NothingIsMovedWithoutTokens) {
  const auto work = analytical::projections_and_mlp(no_tokens);
  EXPECT_EQ(value(work.flops, empty, on<tiny::moe>{}), 0.0);
  EXPECT_EQ(value(work.bytes, empty, on<tiny::moe>{}), 0.0);
  EXPECT_EQ(value(work.bytes, empty, on<tiny::dense>{}), 0.0);
  EXPECT_EQ(value(analytical::prefill_attention.flops + analytical::decode_attention.flops, empty, on<tiny::dense>{}),
            0.0);
  EXPECT_EQ(
      value(analytical::prefill_attention.bytes + analytical::decode_attention.bytes + analytical::kv_write.bytes,
            empty, on<tiny::dense>{}),
      0.0);
}

TEST(Work, ExpertsTouched) {
  const auto at = [](double tokens, const auto& deployment) {
    const tiny::step one{{request::prefilling(tokens)}};
    return value(analytical::experts_touched(prefill_tokens), one, deployment);
  };
  EXPECT_EQ(at(1, on<tiny::dense>{}), 1.0);
  EXPECT_EQ(at(100000, on<tiny::dense>{}), 1.0);
  EXPECT_EQ(value(analytical::experts_touched(scheduled_tokens), empty, on<tiny::dense>{}), 1.0);
  EXPECT_EQ(value(analytical::experts_touched(scheduled_tokens), empty, on<tiny::moe>{}), 0.0);
  expect_close(2.0, at(1, on<tiny::moe>{}));    // k
  expect_close(3.0, at(2, on<tiny::moe>{}));    // 4·(1 − 1/4)
  expect_close(3.75, at(4, on<tiny::moe>{}));   // 4·(1 − 1/16)
  EXPECT_EQ(at(100000, on<tiny::moe>{}), 4.0);  // all of them
  // The architecture's own formula, by std::pow.
  for (const double tokens : {1.0, 2.0, 7.0, 64.0, 500.0}) {
    expect_close(experts_touched(mixtral_8x7b{}, tokens), at(tokens, on<mixtral_8x7b>{}), 2e-15);
  }
}

TEST(Work, ExpertsThatEveryTokenTouchesAreAllTouched) {
  deployment all = deployment_of(on<tiny::moe>{});
  all.architecture.experts_per_token = 4;  // k = E: log(1 − k/E) is −inf
  EXPECT_EQ(value(analytical::experts_touched(scheduled_tokens), mixed, all), 4.0);
  EXPECT_FALSE(std::isnan(value(analytical::experts_touched(scheduled_tokens), empty, all)));
}

TEST(Work, SharedExpertsRunForEveryToken) {
  deployment shared = deployment_of(on<tiny::moe>{});
  shared.architecture.shared_intermediate = 5;  // 3·4·5 = 60 more weights a layer
  const auto work = analytical::projections_and_mlp(three_tokens);
  EXPECT_EQ(value(work.flops, mixed, shared), 2.0 * 6.0 * (192.0 + 60.0));
  expect_close(1200.0 + 4.0 * 60.0 + 12.0 * (64.0 + 15.0), value(work.bytes, mixed, shared), 1e-15);
  EXPECT_EQ(value(analytical::least_weight_bytes, mixed, shared), 4.0 * (192.0 + 60.0));
}

// n = 2, c = 1: the first new token sees 2 tokens, the second 3: 5 pairs.
TEST(Work, PrefillAttentionCountedByHand) {
  EXPECT_EQ(value(prefill_attention_pairs, mixed, on<tiny::dense>{}), 5.0);
  EXPECT_EQ(value(prefill_kv_sum, mixed, on<tiny::dense>{}), 3.0);
  EXPECT_EQ(value(analytical::prefill_attention.flops, mixed, on<tiny::dense>{}), 4.0 * 2 * (2 * 2) * 5);  // 160
  EXPECT_EQ(value(analytical::prefill_attention.flops, mixed, on<tiny::dense, 2>{}), 80.0);
  // L·[2n·Hh·a + 2(c + n)·Kh·c] = 2·[2·2·4·2 + 2·3·2·2] = 2·(32 + 24)
  EXPECT_EQ(value(analytical::prefill_attention.bytes, mixed, on<tiny::dense>{}), 112.0);
  EXPECT_EQ(value(analytical::prefill_attention.bytes, mixed, on<tiny::dense, 2>{}), 56.0);
}

TEST(Work, DecodeAttentionCountedByHand) {
  EXPECT_EQ(value(analytical::decode_attention.flops, mixed, on<tiny::dense>{}), 4.0 * 2 * (2 * 2) * 11);  // 352
  EXPECT_EQ(value(analytical::decode_attention.flops, mixed, on<tiny::dense, 2>{}), 176.0);
  // L·Σ[2Kh·c·kv + 2Hh·a] = 2·[(8·4 + 16) + (8·7 + 16)] = 2·(48 + 72)
  EXPECT_EQ(value(analytical::decode_attention.bytes, mixed, on<tiny::dense>{}), 240.0);
  EXPECT_EQ(value(analytical::decode_attention.bytes, mixed, on<tiny::dense, 2>{}), 120.0);
}

TEST(Work, KvWriteCountedByHand) {
  EXPECT_EQ(value(analytical::kv_write.bytes, mixed, on<tiny::dense>{}), 2.0 * 2 * (1 * 2) * 2 * 4);  // 64
  EXPECT_EQ(value(analytical::kv_write.bytes, mixed, on<tiny::dense, 2>{}), 32.0);
  EXPECT_EQ(value(analytical::kv_write.flops, mixed, on<tiny::dense>{}), 0.0);
}

TEST(Work, LmHeadCountedByHand) {
  const auto three = analytical::lm_head(3_c);
  EXPECT_EQ(value(three.flops, mixed, on<tiny::dense>{}), 2.0 * 3 * 4 * 10);  // 240
  EXPECT_EQ(value(three.bytes, mixed, on<tiny::dense>{}), 2.0 * 4 * 10);      // 80
  EXPECT_EQ(value(three.flops, mixed, on<tiny::dense, 2>{}), 120.0);
  EXPECT_EQ(value(three.bytes, mixed, on<tiny::dense, 2>{}), 40.0);
  const auto none = analytical::lm_head(prefill_requests - prefill_requests);
  EXPECT_EQ(value(none.flops, mixed, on<tiny::dense>{}), 0.0);
  EXPECT_EQ(value(none.bytes, mixed, on<tiny::dense>{}), 0.0);
}

TEST(Work, AllReduceBytesCountedByHand) {
  EXPECT_EQ(value(analytical::all_reduce_bytes, mixed, on<tiny::dense>{}), 0.0);
  // 2 a layer, message T·d·a = 4·4·2 = 32 bytes, ring 2(tp − 1)/tp: 4·32·1 and 4·32·1.5
  EXPECT_EQ(value(analytical::all_reduce_bytes, mixed, on<tiny::dense, 2>{}), 128.0);
  EXPECT_EQ(value(analytical::all_reduce_bytes, mixed, on<tiny::dense, 4>{}), 192.0);
}

TEST(Work, LeastWeightBytesAreEveryProjectionAndKExperts) {
  EXPECT_EQ(value(analytical::least_weight_bytes, mixed, on<tiny::dense>{}), 2.0 * 2 * 120);
  EXPECT_EQ(value(analytical::least_weight_bytes, mixed, on<tiny::moe>{}), 2.0 * 2 * 192);
  // Never more than the decoder has: embeddings, LM head and norms are not in it.
  EXPECT_LT(value(analytical::least_weight_bytes, mixed, on<llama2_70b>{}), weight_bytes(llama2_70b{}).value);
  EXPECT_GT(value(analytical::least_weight_bytes, mixed, on<llama2_70b>{}), 0.98 * weight_bytes(llama2_70b{}).value);
}

TEST(Work, WorkAdds) {
  const auto both = analytical::prefill_attention + analytical::decode_attention;
  EXPECT_EQ(value(both.flops, mixed, on<tiny::dense>{}), 160.0 + 352.0);
  EXPECT_EQ(value(both.bytes, mixed, on<tiny::dense>{}), 112.0 + 240.0);
  expect_close(512.0 / 352.0, value(analytical::arithmetic_intensity(both), mixed, on<tiny::dense>{}));
}

// The second count: layer by layer, matrix by matrix, head by head and token by token, in integers.
struct counted {
  double gemm_flops = 0, gemm_weights = 0, gemm_activations = 0, prefill_flops = 0, prefill_bytes = 0,
         decode_flops = 0, decode_bytes = 0, written = 0;
};
counted count_by_loops(const decoder& a, int tp, const tiny::step& step) {
  counted all;
  double tokens = 0;
  for (const request& r : step.requests) tokens += r.new_tokens;
  const double heads = static_cast<double>(a.heads) / tp;
  const double kv_heads = static_cast<double>(a.kv_heads) / tp;
  for (int layer = 0; layer < a.layers; ++layer) {
    struct matrix {
      double in, out;            // of the whole layer
      bool in_split, out_split;  // over the ranks
      double run, stored;        // how many of them a token runs, how many are read
    };
    const double touched = experts_touched(a, tokens);
    const double d = a.hidden, wide = static_cast<double>(a.heads) * a.head_dim, f = a.intermediate,
                 k = a.experts_per_token;
    const matrix matrices[] = {{d, wide + 2.0 * a.kv_heads * a.head_dim, false, true, 1, 1},
                               {wide, d, true, false, 1, 1},
                               {d, 2 * f, false, true, k, touched},
                               {f, d, true, false, k, touched}};
    for (const matrix& m : matrices) {
      const double weights = m.in * m.out / tp;
      all.gemm_flops += 2.0 * tokens * weights * m.run;
      if (tokens > 0) all.gemm_weights += a.bytes_per_weight * weights * m.stored;
      // The hidden vector goes in and out once, whatever k is; what is inside an expert counts for each.
      const double moved = (m.in_split ? m.in * m.run / tp : m.in) + (m.out_split ? m.out * m.run / tp : m.out);
      all.gemm_activations += tokens * a.bytes_per_activation * moved;
    }
    for (const request& r : step.requests) {
      if (r.decode) {
        const double length = r.context_tokens + 1;
        all.decode_flops += heads * (2.0 * a.head_dim * length + 2.0 * length * a.head_dim);  // QKᵀ, then AV
        all.decode_bytes += kv_heads * length * (2.0 * a.head_dim * a.bytes_per_kv);          // K and V
        all.decode_bytes += 2.0 * heads * a.head_dim * a.bytes_per_activation;                // Q and O
      } else {
        for (double token = 0; token < r.new_tokens; ++token) {
          const double seen = r.context_tokens + token + 1;
          all.prefill_flops += heads * (2.0 * a.head_dim * seen + 2.0 * seen * a.head_dim);
          all.prefill_bytes += 2.0 * heads * a.head_dim * a.bytes_per_activation;
        }
        for (double key = 0; key < r.context_tokens + r.new_tokens; ++key) {
          all.prefill_bytes += 2.0 * kv_heads * a.head_dim * a.bytes_per_kv;
        }
      }
      all.written += r.new_tokens * 2.0 * kv_heads * a.head_dim * a.bytes_per_kv;
    }
  }
  return all;
}

void expect_same_count(const deployment& engine, const tiny::step& step) {
  const counted by_loops = count_by_loops(engine.architecture, static_cast<int>(engine.tensor_parallel), step);
  const double tolerance = 1e-12;
  const auto gemm = analytical::projections_and_mlp(scheduled_tokens);
  expect_close(by_loops.gemm_flops, value(gemm.flops, step, engine), tolerance);
  expect_close(by_loops.gemm_weights + by_loops.gemm_activations, value(gemm.bytes, step, engine), tolerance);
  expect_close(by_loops.prefill_flops, value(analytical::prefill_attention.flops, step, engine), tolerance);
  expect_close(by_loops.prefill_bytes, value(analytical::prefill_attention.bytes, step, engine), tolerance);
  expect_close(by_loops.decode_flops, value(analytical::decode_attention.flops, step, engine), tolerance);
  expect_close(by_loops.decode_bytes, value(analytical::decode_attention.bytes, step, engine), tolerance);
  expect_close(by_loops.written, value(analytical::kv_write.bytes, step, engine), tolerance);
}

TEST(Work, EqualsACountOverLayersHeadsAndTokens) {
  std::mt19937_64 random(7);
  deployment quantised = deployment_of(static_deployment<qwen3_8b, h100_sxm, 2>{});
  quantised.architecture.bytes_per_weight = 0.5;
  quantised.architecture.bytes_per_kv = 1.0;
  const deployment engines[] = {deployment_of(on<tiny::dense>{}), deployment_of(on<tiny::moe, 2>{}), quantised,
                                deployment_of(static_deployment<llama2_70b, h100_sxm, 4>{}),
                                deployment_of(static_deployment<mixtral_8x7b, h100_sxm, 2>{})};
  for (int i = 0; i < 10; ++i) {
    const tiny::step step = tiny::random_step(random, 8);
    for (const deployment& engine : engines) expect_same_count(engine, step);
  }
}

}  // namespace
