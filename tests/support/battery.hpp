// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "rafter/analytical/roofline.hpp"
#include "rafter/expression/formula.hpp"
#include "support/tiny.hpp"

/// Expressions of every kind, and their values by walking the type as a tree: no plan, no sharing, no phases.
namespace tiny {

/// Requests and two numbers of the engine's state.
struct state_step {
  std::vector<rafter::request> requests;
  double kv_usage_ratio = 0.0;
  double queue_running = 0.0;
};

/// Same bits, or both not a number (which bits a NaN carries is the processor's choice).
inline bool same(double a, double b) {
  return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b) || (std::isnan(a) && std::isnan(b));
}

template <class E> double walk(const state_step& step, const rafter::request* one, const rafter::deployment& engine);

inline double naive_power(double x, int n) {
  if (n < 0) return 1.0 / naive_power(x, -n);
  if (n == 0) return 1.0;
  if (n == 1) return x;
  const double half = naive_power(x, n / 2);
  return n % 2 == 0 ? half * half : half * half * x;
}

template <class Visitor, class... Es> void each_of(Visitor&& visitor, rafter::expression_list<Es...>) {
  (visitor.template operator()<Es>(), ...);
}
template <class E, class Visitor> void each_argument(Visitor&& visitor) { each_of(visitor, typename E::arguments{}); }

template <class E>
double walk_leaf(const state_step& step, const rafter::request* one, const rafter::deployment& engine) {
  using rafter::level;
  if constexpr (E::operation_v == rafter::operation::constant) {
    return std::strtod((std::to_string(E::mantissa) + "e" + std::to_string(E::exponent)).c_str(), nullptr);
  } else if constexpr (E::level_v == level::deployment) {
    return E::read(engine);
  } else if constexpr (E::level_v == level::step && requires { E::read(step); }) {
    return E::read(step);
  } else if constexpr (E::level_v == level::request && requires { E::read(*one); }) {
    return E::read(*one);
  } else {
    return walk<typename E::definition>(step, one, engine);
  }
}

template <class E> double walk_reduction(const state_step& step, const rafter::deployment& engine) {
  using enum rafter::operation;
  std::vector<double> values;
  for (const rafter::request& one : step.requests) {
    if (E::reduces_over == rafter::request_domain::prefill && one.decode) continue;
    if (E::reduces_over == rafter::request_domain::decode && !one.decode) continue;
    each_argument<E>([&]<class A>() { values.push_back(walk<A>(step, &one, engine)); });
  }
  const double n = static_cast<double>(values.size());
  if constexpr (E::operation_v == reduce_count) return n;
  if (values.empty()) return 0.0;
  double sum = 0.0;
  for (const double v : values) sum += v;
  if constexpr (E::operation_v == reduce_sum) return sum;
  if constexpr (E::operation_v == reduce_mean) return sum / n;
  if constexpr (E::operation_v == reduce_minimum) return *std::min_element(values.begin(), values.end());
  if constexpr (E::operation_v == reduce_maximum) return *std::max_element(values.begin(), values.end());
  double shifted = 0.0;
  double squares = 0.0;
  for (const double v : values) {
    shifted += v - values[0];
    squares += (v - values[0]) * (v - values[0]);
  }
  const double variance = (squares - shifted * shifted / n) / n;
  return variance > 0.0 ? std::sqrt(variance) : 0.0;
}

template <class E> double walk(const state_step& step, const rafter::request* one, const rafter::deployment& engine) {
  using enum rafter::operation;
  if constexpr (rafter::detail::leaf<E>) {
    return walk_leaf<E>(step, one, engine);
  } else if constexpr (rafter::is_reduction(E::operation_v)) {
    return walk_reduction<E>(step, engine);
  } else {
    double x[3] = {};
    int given = 0;
    each_argument<E>([&]<class A>() { x[given++] = walk<A>(step, one, engine); });
    switch (E::operation_v) {
      case relabel:
        return x[0];
      case negate:
        return -x[0];
      case square_root:
        return std::sqrt(x[0]);
      case logarithm:
        return rafter::log(x[0]);
      case logarithm_1p:
        return rafter::log1p(x[0]);
      case exponential:
        return rafter::exp(x[0]);
      case round_up:
        return std::ceil(x[0]) + 0.0;  // a zero is +0
      case integer_power:
        return naive_power(x[0], E::detail_v);
      case logical_not:
        return x[0] != 0.0 ? 0.0 : 1.0;
      case add:
        return x[0] + x[1];
      case subtract:
        return x[0] - x[1];
      case multiply:
        return x[0] * x[1];
      case divide:
        return x[0] / x[1];
      case minimum:
        return std::min(x[0], x[1]);
      case maximum:
        return std::max(x[0], x[1]);
      case less:
        return x[0] < x[1] ? 1.0 : 0.0;
      case less_equal:
        return x[0] <= x[1] ? 1.0 : 0.0;
      case greater:
        return x[0] > x[1] ? 1.0 : 0.0;
      case greater_equal:
        return x[0] >= x[1] ? 1.0 : 0.0;
      case equal:
        return x[0] == x[1] ? 1.0 : 0.0;
      case not_equal:
        return x[0] != x[1] ? 1.0 : 0.0;
      case logical_and:
        return x[0] != 0.0 && x[1] != 0.0 ? 1.0 : 0.0;
      case logical_or:
        return x[0] != 0.0 || x[1] != 0.0 ? 1.0 : 0.0;
      case select:
        return x[0] != 0.0 ? x[1] : x[2];
      case ratio:
        return x[1] == 0.0 ? x[2] : x[0] / x[1];
      default:
        std::abort();
    }
  }
}

namespace written {
using namespace rafter;
using namespace rafter::literals;

inline constexpr auto busy = kv_usage_ratio;
inline constexpr auto tokens = magnitude(scheduled_tokens);
inline constexpr auto kv = magnitude(kv_length);
inline constexpr auto fresh = magnitude(new_tokens);
inline constexpr auto context = magnitude(context_tokens);
inline constexpr auto L = architecture::layers;
inline constexpr auto E = architecture::experts;
inline constexpr auto above_mean = context_tokens - for_each_request(mean(context_tokens));

/// Every operation, every reduction over every selection, each level, and reductions of reductions.
inline constexpr auto battery = std::tuple{
    // arithmetic on steps, deployments and constants
    busy,
    -busy,
    +busy,
    busy + 1_c,
    1_c - busy,
    busy* busy,
    busy / queue_running,
    queue_running / busy,
    2_c * 3_c + 0.5_c,
    1_c / 3_c,
    -(2_c),
    1_c / 0_c,
    tokens + L* E,
    L* E + tokens,
    (tokens + L) + E,
    tokens + (L + E),
    min(busy, 0.5_c),
    max(busy, 0.5_c),
    min(queue_running, tokens),
    max(0_c, 1_c),
    // functions
    sqrt(tokens),
    log(tokens),
    log1p(busy),
    exp(-busy),
    pow<2>(busy),
    pow<3>(queue_running),
    pow<-1>(queue_running),
    pow<-3>(busy),
    pow<0>(busy),
    pow<7>(busy),
    square(L),
    log(2_c),
    exp(1_c),
    sqrt(L),
    log1p(-(0.5_c)),
    ceil(tokens / 64_c),
    ceil(-busy),
    ceil(busy) * ceil(1.5_c),
    // conditions
    busy<0.5_c, busy <= 0.5_c, busy> 0.5_c,
    busy >= 0.5_c,
    queue_running == 3_c,
    queue_running != 3_c,
    busy<0.5_c && queue_running> 2_c,
    busy<0.5_c || queue_running> 2_c,
    !(busy < 0.5_c),
    indicator(prefill_requests > 0_c && !(decode_requests == 0_c)),
    select(busy < 0.5_c, queue_running, -queue_running),
    select(E > 1_c, tokens, busy),
    select(busy < 0.5_c, select(queue_running > 2_c, 1_c, L), select(E > 1_c, 2_c, busy)),
    ratio(busy, queue_running, -(1_c)),
    ratio(busy, L - L, 7_c),
    ratio(tokens, tokens, L),
    ratio(1_c, 0_c, 2_c),
    magnitude(with_unit<units::byte>(busy) * 3_c),
    // reductions that have names, and that have none
    prefill_tokens,
    decode_tokens,
    prefill_requests,
    decode_requests,
    kv_sum,
    kv_mean,
    kv_max,
    kv_min,
    kv_deviation,
    prefill_attention_pairs,
    prefill_kv_sum,
    count(every_request),
    sum(new_tokens),
    sum(context_tokens, prefill),
    mean(context_tokens),
    mean(context_tokens, prefill),
    min(context_tokens),
    min(context_tokens, prefill),
    max(context_tokens),
    max(context_tokens, prefill),
    max(new_tokens, decode),
    standard_deviation(context_tokens),
    standard_deviation(context_tokens, prefill),
    standard_deviation(new_tokens, decode),
    sum(L),
    mean(1_c, decode),
    // reductions of expressions of requests
    sum(sqrt(context)),
    sum(ceil(context / 16_c) * 16_c, decode),
    sum(log1p(context), decode),
    mean(exp(-(context / 1000_c)), prefill),
    sum(pow<2>(fresh), prefill),
    sum(select(new_tokens > with_unit<units::token>(1_c), context, fresh)),
    max(ratio(context, fresh - 1_c, 0_c)),
    sum(indicator(kv > 100_c && kv <= 5000_c)),
    min(max(fresh, 64_c), prefill),
    sum(fresh* context* L),
    sum(-context),
    // reductions of reductions: two and three passes
    sum(square(above_mean), decode) / max(decode_requests, 1_c),
    max(above_mean),
    sum(indicator(above_mean > new_tokens)),
    sum(for_each_request(busy)),
    sum(for_each_request(kv_max)),
    mean(kv - for_each_request(magnitude(kv_mean))),
    sum(select(for_each_request(busy < 0.5_c), context, for_each_request(tokens))),
    max(context_tokens - for_each_request(mean(above_mean + context_tokens))),
    standard_deviation(context / for_each_request(1_c + tokens) + for_each_request(magnitude(kv_deviation))),
    sum(ratio(fresh, for_each_request(magnitude(max(new_tokens, prefill))), 1_c), prefill),
    // whole models
    analytical::roofline_step_time,
    analytical::floor_time,
    analytical::all_reduce_time,
    analytical::experts_touched(scheduled_tokens),
    analytical::lm_head(decode_requests).flops,
};

// -- random expressions: the tree is drawn by the compiler from a seed --------------------------------------------

constexpr std::uint64_t mixed(std::uint64_t x) {  // splitmix64
  x += 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

/// A pure number per step (or, within a reduction, per request) of the given depth.
template <std::uint64_t Seed, int Depth, bool PerRequest> constexpr auto drawn() {
  constexpr std::uint64_t s = mixed(Seed);
  constexpr auto sub = []<int K>(std::integral_constant<int, K>) {
    return drawn<s + static_cast<std::uint64_t>(K), Depth - 1, PerRequest>();
  };
  constexpr std::integral_constant<int, 1> one{};
  constexpr std::integral_constant<int, 2> two{};
  constexpr std::integral_constant<int, 3> three{};
  constexpr int kind = static_cast<int>((s >> 20) % (Depth == 0 ? 6 : 20));
  if constexpr (Depth == 0) {
    if constexpr (PerRequest) {
      if constexpr (kind == 0 || kind == 1)
        return context;
      else if constexpr (kind == 2 || kind == 3)
        return fresh;
      else if constexpr (kind == 4)
        return for_each_request(busy);
      else
        return E;
    } else {
      if constexpr (kind == 0)
        return busy;
      else if constexpr (kind == 1)
        return queue_running;
      else if constexpr (kind == 2)
        return tokens;
      else if constexpr (kind == 3)
        return magnitude(kv_sum);
      else if constexpr (kind == 4)
        return L;
      else
        return 0.25_c;
    }
  } else if constexpr (kind == 0 || kind == 18)
    return sub(one) + sub(two);
  else if constexpr (kind == 1 || kind == 19)
    return sub(one) - sub(two);
  else if constexpr (kind == 2)
    return sub(one) * sub(two);
  else if constexpr (kind == 3)
    return sub(one) / sub(two);
  else if constexpr (kind == 4)
    return min(sub(one), sub(two));
  else if constexpr (kind == 5)
    return max(sub(one), sub(two));
  else if constexpr (kind == 6)
    return select(sub(one) < sub(two), sub(three), sub(one));
  else if constexpr (kind == 7)
    return ratio(sub(one), sub(two), sub(three));
  else if constexpr (kind == 8)
    return sqrt(sub(one));
  else if constexpr (kind == 9)
    return log1p(square(sub(one)));
  else if constexpr (kind == 10)
    return exp(-square(sub(one)));
  else if constexpr (kind == 11)
    return pow<-2>(sub(one));
  else if constexpr (kind == 12)
    return indicator(sub(one) >= sub(two) || !(sub(two) != sub(three)));
  else if constexpr (PerRequest) {
    if constexpr (kind < 16)
      return for_each_request(drawn<s + 9, Depth - 1, false>());
    else
      return -sub(one);
  } else {
    constexpr auto of_requests = drawn<s + 9, Depth - 1, true>();
    if constexpr (kind == 13)
      return sum(of_requests, decode);
    else if constexpr (kind == 14)
      return mean(of_requests, prefill);
    else if constexpr (kind == 15)
      return min(of_requests);
    else if constexpr (kind == 16)
      return max(of_requests, decode);
    else
      return standard_deviation(of_requests);
  }
}

template <std::size_t... Seed> constexpr auto drawn_tuple(std::index_sequence<Seed...>) {
  return std::tuple{drawn<1000 + Seed, 4, false>()...};
}
inline constexpr auto random_battery = drawn_tuple(std::make_index_sequence<24>{});

}  // namespace written

template <class Tuple> struct expressions_of;
template <class... Es> struct expressions_of<std::tuple<Es...>> {
  static constexpr std::size_t size = sizeof...(Es);
  template <class Binding> using plan = rafter::plan<Binding, Es...>;
  static std::vector<double> walked(const state_step& step, const rafter::deployment& engine) {
    return {walk<Es>(step, nullptr, engine)...};
  }
  static std::vector<std::string> formulas() { return {std::string(rafter::formula(Es{}))...}; }
};

inline state_step random_state_step(std::mt19937_64& random) {
  std::uniform_real_distribution<double> share(0.0, 1.0);
  std::uniform_int_distribution<int> running(0, 5);
  return {random_step(random).requests, share(random), static_cast<double>(running(random))};
}

}  // namespace tiny
