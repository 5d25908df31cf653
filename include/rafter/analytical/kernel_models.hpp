// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rafter/analytical/roofline.hpp"
#include "rafter/expression/parameter.hpp"

/// Step time as the sum of a layer's kernels: its four matrix products, attention of the prompts, attention of the decode
/// requests, and the elementwise kernels where the time counts them. Parameters are global: no model, no workload and no
/// device has numbers of its own; what differs between them is read from architecture and hardware.
namespace rafter {

/// Query–key work of the most loaded tile of prompt attention, max of min(128, n)·(c + n) over the prefill requests: a
/// kernel cannot end before its longest tile does [token²]. A step record may carry it; else it is reduced.
struct longest_prefill_tile_t : observable<"longest_prefill_tile", dimension{.token = 2}, level::step> {
  using definition =
      reduction<operation::reduce_maximum, request_domain::prefill,
                decltype(min(new_tokens, constant<128, 0, units::token>{}) * (context_tokens + new_tokens))>;
  template <class Record>
  requires requires(const Record& record) { record.longest_prefill_tile; }
  static constexpr double read(const Record& record) { return static_cast<double>(record.longest_prefill_tile); }
};
inline constexpr longest_prefill_tile_t longest_prefill_tile{};
template <> struct detail::named_aggregate<longest_prefill_tile_t::definition> {
  using type = longest_prefill_tile_t;
};

/// (a^P + b^P)^(1/P), P = Twice/2, of two quantities >= 0: the larger one where they differ much, up to 2^(1/P) times
/// it where they are equal. Time that is bound by neither compute nor memory alone.
template <int Twice, expression A, expression B> constexpr auto smooth_max(A a, B b) {
  static_assert(Twice >= 2, "rafter: the power of smooth_max is at least 1");
  detail::require_same_dimension<A, B>();
  const auto share = ratio(min(a, b), max(a, b), constant<0, 0>{});
  const auto powered = [&] {
    if constexpr (Twice % 2 == 0) {
      return pow<Twice / 2>(share);
    } else {
      // Where the smaller one is 0 the root has no derivative, and the product does: 0.
      return select(share > constant<0, 0>{}, pow<Twice / 2>(share) * sqrt(share), constant<0, 0>{});
    }
  }();
  return max(a, b) * exp(log1p(powered) * (constant<2, 0>{} / constant<Twice, 0>{}));
}

namespace analytical {

/// Where the times were measured. A benchmark of single kernels spreads tokens evenly over the experts and runs each
/// kernel again and again, so that a small KV set stays in the cache; a serving engine does neither.
struct benchmark_conditions {
  static constexpr bool even_routing = true;
  static constexpr bool resident_kv = true;
};
struct serving_conditions {
  static constexpr bool even_routing = false;
  static constexpr bool resident_kv = false;
};

namespace kernels {
using namespace symbols;

inline constexpr constant<0, 0, units::second> no_time{};
inline constexpr auto present(expression auto count_or_tokens) {
  return indicator(magnitude(count_or_tokens) > number<0>);
}
inline constexpr auto counted = indicator(elementwise_counted > number<0>);

// Widths on one rank: query and KV heads, intermediate.
inline constexpr auto query_width = (heads / tensor_parallel) * head_dim;
inline constexpr auto kv_heads_here = max(kv_heads / tensor_parallel, number<1>);
inline constexpr auto kv_width = kv_heads_here * head_dim;
inline constexpr auto expert_width = intermediate / tensor_parallel;
inline constexpr auto shared_width = shared_intermediate / tensor_parallel;
inline constexpr auto tokens = scheduled_tokens * per_token;

/// Experts that a layer's tokens touch: min(E, T·k) when they are spread evenly, else the expectation of random routing.
template <class Conditions> constexpr auto touched() {
  if constexpr (Conditions::even_routing) {
    return select(experts > number<1>, min(experts, tokens * experts_per_token), number<1>);
  } else {
    return experts_touched(scheduled_tokens);
  }
}

/// One matrix product per layer, T·copies rows by inner by outer, over `matrices` weight matrices.
template <class Outer, class Inner, class Copies, class Matrices> struct matrix_product {
  [[no_unique_address]] Outer outer;
  [[no_unique_address]] Inner inner;
  [[no_unique_address]] Copies copies;
  [[no_unique_address]] Matrices matrices;

  constexpr auto compute() const {
    return two_flop_per_token * (outer * inner * copies) / hardware::peak_flops * scheduled_tokens;
  }
  constexpr auto weights() const { return bytes_per_weight * (outer * inner) * matrices / hardware::hbm_bandwidth; }
  constexpr auto activations() const { return bytes_per_activation * ((outer + inner) * copies) * tokens; }
  /// In whole waves of tiles of x by x: all multiprocessors wait for the last wave.
  template <int X> constexpr auto in_waves() const {
    constexpr constant<2 * X * X, 0, units::flop> tile{};
    const auto tiles = ceil(tokens / number<X>) * ceil(outer / number<X>);
    return ceil(tiles / hardware::multiprocessors) *
           (hardware::multiprocessors * tile * inner / hardware::peak_flops);
  }
};
template <class Outer, class Inner, class Copies, class Matrices>
matrix_product(Outer, Inner, Copies, Matrices) -> matrix_product<Outer, Inner, Copies, Matrices>;

/// Sum of `time(product)` over a layer's products: QKV, O, gate and up, down, and those of a shared expert.
template <class Conditions> constexpr auto sum_over_products(auto time) {
  const auto matrices = touched<Conditions>();
  const auto one = number<1>;
  const auto own = time(matrix_product{query_width + number<2> * kv_width, hidden, one, one}) +
                   time(matrix_product{hidden, query_width, one, one}) +
                   time(matrix_product{number<2> * expert_width, hidden, experts_per_token, matrices}) +
                   time(matrix_product{hidden, expert_width, experts_per_token, matrices});
  return own + select(shared_intermediate > number<0>,
                      time(matrix_product{number<2> * shared_width, hidden, one, one}) +
                          time(matrix_product{hidden, shared_width, one, one}),
                      no_time);
}
}  // namespace kernels

/// Nine global parameters on rooflines of single kernels, the reference to beat: a factor each for matrix products of
/// steps with prompts and of pure decode steps, prompt and decode attention; a floor per layer, always, with prompts and
/// with decodes; elementwise traffic and its floor where the time counts them.
namespace kernel9_parameters {
template <fixed_string Name>
inline constexpr bounded<Name + "_factor", constant<1, -1>{}, constant<1, 0>{}, constant<100, 0>{}> factor{};
template <fixed_string Name>
inline constexpr bounded<Name + "_floor", constant<1, -9>{}, constant<10, -6>{}, constant<1, -2>{}, units::second>
    floor{};
inline constexpr bounded<"elementwise_factor", constant<1, -3>{}, constant<1, 0>{}, constant<100, 0>{}>
    elementwise_factor{};
}  // namespace kernel9_parameters

inline constexpr auto kernel9 = [] {
  using namespace kernels;
  namespace own = kernel9_parameters;
  const auto products = layers * sum_over_products<serving_conditions>([](auto g) {
                          return max(g.compute(), g.weights() + g.activations() / hardware::hbm_bandwidth);
                        });
  const auto elementwise = layers * bytes_per_activation *
                           (number<7> * hidden + number<2> * (query_width + kv_width) + number<3> * expert_width) *
                           tokens / hardware::hbm_bandwidth;
  return select(prefill_tokens > constant<0, 0, units::token>{}, own::factor<"gemm_prefill">,
                own::factor<"gemm_decode">) *
             products +
         own::factor<"prefill_attention"> * roofline(prefill_attention) +
         own::factor<"decode_attention"> * roofline(decode_attention) +
         layers *
             (own::floor<"layer"> + present(prefill_tokens) * own::floor<"prefill_attention"> +
              present(decode_requests) * own::floor<"decode_attention">)+counted *
             (own::elementwise_factor * elementwise + layers * own::floor<"elementwise">);
}();

/// The parameters of `best`. Each is a property of kernels on a device, near 1 or microseconds, and starts at a round one.
namespace best_parameters {
inline constexpr bounded<"gemm_compute", constant<8, -1>{}, constant<1, 0>{}, constant<4, 0>{}> gemm_compute{};
inline constexpr bounded<"weight_read", constant<8, -1>{}, constant<1, 0>{}, constant<3, 0>{}> weight_read{};
inline constexpr bounded<"kernel_floor", constant<1, -7>{}, constant<5, -6>{}, constant<50, -6>{}, units::second>
    kernel_floor{};
inline constexpr bounded<"wave_compute", constant<3, -1>{}, constant<1, 0>{}, constant<3, 0>{}> wave_compute{};
inline constexpr bounded<"routing_time", constant<1, -7>{}, constant<10, -6>{}, constant<2, -4>{}, units::second>
    routing_time{};
inline constexpr bounded<"activation_traffic", constant<1, -1>{}, constant<1, 0>{}, constant<20, 0>{}>
    activation_traffic{};
inline constexpr bounded<"prefill_math", constant<1, -1>{}, constant<1, 0>{}, constant<5, 0>{}> prefill_math{};
inline constexpr bounded<"attention_floor", constant<5, -7>{}, constant<10, -6>{}, constant<50, -6>{}, units::second>
    attention_floor{};
inline constexpr bounded<"kv_read", constant<5, -1>{}, constant<1, 0>{}, constant<4, 0>{}> kv_read{};
inline constexpr bounded<"kv_head_wave", constant<5, -8>{}, constant<5, -6>{}, constant<20, -6>{}, units::second>
    kv_head_wave{};
inline constexpr bounded<"ungrouped_heads", constant<5, -2>{}, constant<1, 0>{}, constant<5, 0>{}> ungrouped_heads{};
inline constexpr bounded<"split_growth", constant<1, -8>{}, constant<1, -6>{}, constant<20, -6>{}, units::second>
    split_growth{};

/// On-chip cache bandwidth of one multiprocessor: 5.5 TB/s over the 132 of an H100.
inline constexpr constant<41'667, 6, units::byte_per_second> cache_bandwidth{};
/// Exponentials of one multiprocessor: 16 a clock at 1.755 GHz.
inline constexpr constant<28'080, 6, units::per_second> exponential_rate{};
}  // namespace best_parameters

/// The best transferring model found: twelve global parameters. Matrix products cross over smoothly between compute and
/// memory, activations move through the cache and spill beyond it, each kernel has a floor; prompt attention is its
/// arithmetic and exponentials over all multiprocessors or its longest tile; decode attention is reading the KV cache
/// or handling (request × KV head) items, whichever is slower. docs/study.md shows what each term is worth.
template <class Conditions>
inline constexpr auto best = [] {
  using namespace kernels;
  using namespace best_parameters;
  const auto cache = cache_bandwidth * hardware::multiprocessors;
  const auto products = sum_over_products<Conditions>([&](auto g) {
    constexpr auto four_thirds = number<4> / number<3>;
    const auto waves = min(g.template in_waves<128>(), four_thirds * g.template in_waves<64>());
    const auto compute = select(gemm_in_waves > number<0>, wave_compute * waves, g.compute());
    const auto memory = weight_read * g.weights() + activation_traffic * (g.activations() / cache);
    const auto spilled = max(g.activations() - hardware::cache_capacity, constant<0, 0, units::byte>{});
    return kernel_floor + smooth_max<6>(gemm_compute * compute, memory) +
           weight_read * (spilled / hardware::hbm_bandwidth);
  });
  const auto routing =
      routing_time +
      activation_traffic *
          (bytes_per_activation * (experts_per_token * (number<3> * expert_width + hidden) + number<2> * hidden) *
           tokens / cache);
  const auto elementwise_bytes =
      bytes_per_activation * (number<7> * hidden + number<2> * (query_width + kv_width) + number<3> * expert_width) *
      tokens;
  const auto elementwise =
      sqrt(square(number<5> * kernel_floor) + square(activation_traffic * (elementwise_bytes / cache)));

  const auto pair_time = (four_flop_per_pair * head_dim) / hardware::peak_flops +
                         number<1> * per_token * per_token / (exponential_rate * hardware::multiprocessors);
  const auto pairs = sqrt(square((heads / tensor_parallel) * prefill_attention_pairs) +
                          square(hardware::multiprocessors * longest_prefill_tile));
  const auto prefill = attention_floor + prefill_math * (pair_time * pairs) +
                       activation_traffic * (analytical::prefill_attention.bytes / layers / cache);

  const auto kv_bytes = number<2> * kv_width * bytes_per_kv * (kv_sum * per_token);
  const auto from_memory = kv_read * (kv_bytes / hardware::hbm_bandwidth);
  const auto reading = [&] {
    if constexpr (Conditions::resident_kv) {
      return select(kv_bytes <= hardware::cache_capacity, kv_bytes / cache, from_memory);
    } else {
      return from_memory;
    }
  }();
  const auto items = kv_head_wave * select(heads == kv_heads, ungrouped_heads, number<1>) *
                     (decode_requests * kv_heads_here / hardware::multiprocessors);
  const auto mean_kv = ratio(kv_sum * per_token, decode_requests, number<0>);
  const auto decode =
      attention_floor + smooth_max<3>(items, reading) + split_growth * log1p(mean_kv * head_dim / number<16'384>);

  return layers * (products + select(experts > number<1>, routing, no_time) + counted * elementwise +
                   select(prefill_tokens > constant<0, 0, units::token>{}, prefill, no_time) +
                   select(decode_requests > number<0>, decode, no_time));
}();

}  // namespace analytical
}  // namespace rafter
