// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <random>
#include <string_view>
#include <type_traits>
#include <vector>

#include "rafter/analytical/deployment.hpp"
#include "rafter/architecture/dense.hpp"
#include "rafter/architecture/moe.hpp"
#include "rafter/expression/availability.hpp"
#include "rafter/step/record.hpp"

/// What the tests of the core share: decoders so small that their work is counted by hand, steps, one expression's value.
namespace tiny {

/// L=2, d=4, H=2, K=1, h=2, f=6, V=10.
struct dense : rafter::dense_decoder {
  static constexpr std::string_view name = "tiny-dense";
  static constexpr int layers = 2, hidden = 4, heads = 2, kv_heads = 1, head_dim = 2, intermediate = 6,
                       vocabulary = 10;
};
/// The same with E=4 experts, k=2.
struct moe : rafter::moe_decoder {
  static constexpr std::string_view name = "tiny-moe";
  static constexpr int layers = 2, hidden = 4, heads = 2, kv_heads = 1, head_dim = 2, intermediate = 6,
                       vocabulary = 10;
  static constexpr int experts = 4, experts_per_token = 2;
};

/// 100 FLOP/s, 10 B/s; the link 8 B/s in both directions together.
struct memory_bound {
  static constexpr std::string_view name = "memory-bound";
  static constexpr std::string_view source = "none: made up";
  static constexpr rafter::peak_table peak_flops{{rafter::precision::bf16, rafter::flop_per_second{100.0}}};
  static constexpr rafter::byte_per_second hbm_bandwidth{10.0};
  static constexpr rafter::bytes hbm_capacity{1e6};
  static constexpr rafter::byte_per_second link_bandwidth{8.0};
};
/// 10 FLOP/s, 100 B/s.
struct compute_bound : memory_bound {
  static constexpr std::string_view name = "compute-bound";
  static constexpr rafter::peak_table peak_flops{{rafter::precision::bf16, rafter::flop_per_second{10.0}}};
  static constexpr rafter::byte_per_second hbm_bandwidth{100.0};
};

struct step {
  std::vector<rafter::request> requests;
};

/// The value of one expression.
template <rafter::expression E, class Record, class Deployment>
double value(E, const Record& record, const Deployment& deployment) {
  using binding = rafter::detail::record_binding<Deployment, Record>;
  static_assert(rafter::evaluable_on<E, binding>);
  using run = rafter::detail::executor<rafter::plan<binding, E>>;
  typename run::slot_array slots{};
  run::bind(slots.data(), deployment);
  double result = 0.0;
  run::step(slots.data(), record, [&](auto, double v) { result = v; });
  return result;
}

/// A seeded step of up to `most` requests, about `decode_share` of them in decode; may be empty.
inline step random_step(std::mt19937_64& random, std::size_t most = 12, double decode_share = 0.7) {
  step made;
  std::uniform_int_distribution<std::size_t> how_many(0, most);
  std::uniform_int_distribution<int> tokens(1, 600);
  std::uniform_int_distribution<int> context(0, 9000);
  std::bernoulli_distribution decodes(decode_share);
  for (std::size_t n = how_many(random); n > 0; --n) {
    made.requests.push_back(decodes(random) ? rafter::request::decoding(context(random))
                                            : rafter::request::prefilling(tokens(random), context(random)));
  }
  return made;
}

}  // namespace tiny
