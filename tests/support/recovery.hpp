// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstddef>
#include <functional>
#include <random>
#include <string_view>
#include <vector>

#include "rafter/analytical/work.hpp"
#include "rafter/step/dataset.hpp"
#include "support/kernel_formulas.hpp"

/// Steps whose truth is known: times by the formulas by hand with multiplicative log-normal noise.
namespace by_hand {

struct schema {
  static constexpr std::string_view name = "synthetic";
  using columns =
      rafter::column_list<rafter::prefill_tokens_t, rafter::decode_tokens_t, rafter::prefill_requests_t,
                          rafter::decode_requests_t, rafter::kv_sum_t, rafter::prefill_attention_pairs_t,
                          rafter::prefill_kv_sum_t, rafter::elementwise_counted_t, rafter::gpu_step_time_t>;
  using targets = rafter::column_list<rafter::gpu_step_time_t>;
  static constexpr bool lists_requests = true;
  using deployment_type = rafter::deployment;
};

/// Steps in all regimes: prompts alone, chunks over long pasts, small and large decode batches, mixtures.
inline std::vector<step> varied_steps(std::size_t count, unsigned seed) {
  using rafter::request;
  std::mt19937_64 random(seed);
  const auto between = [&](double low, double high) {  // by the logarithm
    return std::floor(low * std::pow(high / low, static_cast<double>(random() % 10001) / 1e4));
  };
  std::vector<step> made(count);
  for (std::size_t i = 0; i < count; ++i) {
    std::vector<request>& requests = made[i].requests;
    made[i].elementwise_counted = random() % 2 == 0 ? 1.0 : 0.0;
    const std::size_t kind = i % 5;
    if (kind == 0) {
      for (std::size_t n = 1 + random() % 3; n > 0; --n) requests.push_back(request::prefilling(between(20, 4000)));
    }
    if (kind == 1) requests.push_back(request::prefilling(between(8, 64), between(10000, 120000)));
    const double decodes = kind == 2   ? between(1, 30)
                           : kind == 3 ? between(100, 800)
                           : kind == 4 ? between(10, 200)
                                       : 0;
    const double kv = between(50, kind == 3 ? 600 : 6000);
    for (double n = 0; n < decodes; ++n) requests.push_back(request::decoding(between(0.5 * kv, 2 * kv)));
    if (kind == 4) requests.push_back(request::prefilling(between(20, 2000)));
  }
  return made;
}

/// @param engine_of  which deployment each step runs on
inline rafter::dataset<schema> noisy(const std::vector<step>& steps, const std::vector<rafter::deployment>& engines,
                                     const std::function<double(const rank&, const step&)>& time, double noise,
                                     unsigned seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  rafter::dataset_builder<schema> build("synthetic.csv");
  for (const rafter::deployment& engine : engines) build.add_deployment(engine);
  std::vector<rank> ranks(engines.begin(), engines.end());
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const std::size_t engine = i * engines.size() / steps.size();
    build.begin_row(engine, i + 2).set(rafter::elementwise_counted, steps[i].elementwise_counted);
    for (const rafter::request& one : steps[i].requests) build.add(one);
    build.set(rafter::gpu_step_time, time(ranks[engine], steps[i]) * std::exp(noise * normal(random)));
    build.end_row();
  }
  return build.finish();
}

/// How often intervals covered the truth, against what they promise.
struct coverage {
  int covered = 0, tried = 0;
  void count(double low, double truth, double high) {
    covered += low <= truth && truth <= high;
    ++tried;
  }
  /// Within three standard deviations of a binomial.
  bool as_stated(double confidence = 0.95) const {
    const double expected = confidence * tried;
    return std::abs(covered - expected) <= 3.0 * std::sqrt(tried * confidence * (1.0 - confidence));
  }
};

}  // namespace by_hand
