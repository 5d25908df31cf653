// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <random>
#include <string>
#include <string_view>
#include <utility>

#include "rafter/step/dataset.hpp"
#include "support/tiny.hpp"

/// Small schemas and datasets for the tests of the core.
namespace tiny {

/// Token counts, request counts and a target; no lists.
struct aggregated {
  static constexpr std::string_view name = "aggregated";
  using columns = rafter::column_list<rafter::prefill_tokens_t, rafter::decode_tokens_t, rafter::prefill_requests_t,
                                      rafter::decode_requests_t, rafter::kv_usage_ratio_t, rafter::gpu_step_time_t>;
  using targets = rafter::column_list<rafter::gpu_step_time_t>;
  static constexpr bool lists_requests = false;
  using deployment_type = rafter::deployment;
};

/// Requests, some of what follows from them, the state of the pool and a target.
struct listed {
  static constexpr std::string_view name = "listed";
  using columns = rafter::column_list<rafter::prefill_tokens_t, rafter::decode_tokens_t, rafter::kv_sum_t,
                                      rafter::kv_usage_ratio_t, rafter::gpu_step_time_t>;
  using targets = rafter::column_list<rafter::gpu_step_time_t>;
  static constexpr bool lists_requests = true;
  using deployment_type = rafter::deployment;
};

/// Adds one row of seeded requests.
inline void add_random_row(rafter::dataset_builder<listed>& build, std::mt19937_64& random, std::size_t deployment,
                           std::size_t line) {
  std::uniform_real_distribution<double> share(0.0, 1.0);
  build.begin_row(deployment, line);
  for (const rafter::request& one : random_step(random).requests) build.add(one);
  build.set(rafter::kv_usage_ratio, share(random)).set(rafter::gpu_step_time, 1e-3 + share(random));
  build.end_row();
}

}  // namespace tiny
