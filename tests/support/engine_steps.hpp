// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "rafter/feature/feature_set.hpp"
#include "support/steps.hpp"

/// Seeded steps of several engines with all their labels, and a feature set on them that is easily written again by hand.
namespace tiny {
using namespace rafter::literals;

struct mixture_t : decltype(rafter::feature_set{
                       "prefill_tokens"_f = rafter::prefill_tokens,
                       "layers"_f = rafter::architecture::layers,  // uniform over an engine's steps
                       "kv_usage_ratio"_f = rafter::kv_usage_ratio,
                       "decode_tokens"_f = rafter::decode_tokens,
                       "tensor_parallel"_f = rafter::tensor_parallel,
                       "prefill_tokens*kv_usage_ratio"_f = rafter::prefill_tokens * rafter::kv_usage_ratio,
                   }) {};
inline constexpr mixture_t mixture{};

/// What a test knows of one step.
struct engine_step {
  double prefill_tokens = 0, decode_tokens = 0, prefill_requests = 0, decode_requests = 0, kv_usage_ratio = 0;
  std::size_t engine = 0;
  std::string workload;
};

inline const std::vector<rafter::deployment>& engines() {
  static const std::vector<rafter::deployment> all = [] {
    std::vector<rafter::deployment> made;
    for (int i = 0; i < 4; ++i) {
      made.push_back(rafter::deployment_of(rafter::static_deployment<dense, memory_bound>{}));
      made.back().architecture.layers = 2 + 3 * i;
      made.back().tensor_parallel = i == 1 ? 2.0 : 1.0;
      made.back().model_code = i;
    }
    return made;
  }();
  return all;
}

/// The features of `mixture`, written again.
inline std::array<double, 6> mixture_of(const engine_step& s) {
  const rafter::deployment& engine = engines()[s.engine];
  return {s.prefill_tokens,       static_cast<double>(engine.architecture.layers),
          s.kv_usage_ratio,       s.decode_tokens,
          engine.tensor_parallel, s.prefill_tokens * s.kv_usage_ratio};
}

inline std::vector<engine_step> random_engine_steps(std::size_t count, unsigned seed, std::size_t engine_count = 4) {
  std::mt19937_64 random(seed);
  const auto draw = [&](std::size_t most) { return static_cast<double>(random() % (most + 1)); };
  std::vector<engine_step> steps;
  std::size_t engine = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (i > 0 && random() % 7 == 0) engine = random() % engine_count;  // runs of a few rows
    engine_step s;
    s.prefill_requests = draw(2);
    s.prefill_tokens = s.prefill_requests > 0 ? s.prefill_requests + draw(500) : 0;
    s.decode_requests = s.decode_tokens = 1 + draw(60);
    s.kv_usage_ratio = 0.01 + 0.98 * draw(1000) / 1000.0;
    s.engine = engine;
    s.workload = random() % 2 == 0 ? "chat" : "batch";
    steps.push_back(s);
  }
  return steps;
}

/// @param time  seconds of the i-th step
inline rafter::dataset<aggregated> dataset_of(const std::vector<engine_step>& steps,
                                              const std::function<double(const engine_step&, std::size_t)>& time) {
  rafter::dataset_builder<aggregated> build("made.csv");
  for (const rafter::deployment& engine : engines()) build.add_deployment(engine);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const engine_step& s = steps[i];
    const std::string model = "model-" + std::to_string(s.engine);
    build.begin_row(s.engine, i + 2)
        .set(rafter::prefill_tokens, s.prefill_tokens)
        .set(rafter::decode_tokens, s.decode_tokens)
        .set(rafter::prefill_requests, s.prefill_requests)
        .set(rafter::decode_requests, s.decode_requests)
        .set(rafter::kv_usage_ratio, s.kv_usage_ratio)
        .set(rafter::gpu_step_time, time(s, i))
        .label(rafter::group::model, model)
        .label(rafter::group::workload, s.workload)
        .label(rafter::group::experiment, model + "-" + s.workload)
        .step_id(static_cast<double>(i));
    build.end_row();
  }
  return build.finish();
}

/// 1 ms and what the tokens cost, with noise of `noise` of that.
inline rafter::dataset<aggregated> noisy_steps(std::size_t count, unsigned seed, double noise = 0.2,
                                               std::size_t engine_count = 4) {
  std::mt19937_64 random(seed + 1);
  std::normal_distribution<double> normal;
  return dataset_of(random_engine_steps(count, seed, engine_count), [&](const engine_step& s, std::size_t) {
    const double clean =
        1e-3 + 2e-5 * s.prefill_tokens + 1e-5 * s.decode_tokens + 1e-4 * static_cast<double>(s.engine);
    return clean * std::exp(noise * normal(random));
  });
}

}  // namespace tiny
