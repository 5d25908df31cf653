// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <random>

#include "rafter/io/kernel_steps.hpp"
#include "support/tiny.hpp"

namespace tiny {

/// Steps of two engines with their requests. Rows outside `kept` get other times.
inline rafter::dataset<rafter::kernel_schema> kernel_like_steps(const rafter::row_set* kept = nullptr) {
  using namespace rafter;
  std::mt19937_64 random(3);
  dataset_builder<kernel_schema> build("listed");
  build.add_deployment(deployment_of(static_deployment<dense, memory_bound>{}));
  build.add_deployment(deployment_of(static_deployment<moe, compute_bound, 2>{}));
  for (std::size_t row = 0; row < 160; ++row) {
    const std::size_t engine = row / 40 % 2;
    build.begin_row(engine);
    auto step = random_step(random);
    step.requests.push_back(request::decoding(static_cast<double>(random() % 500)));
    for (const request& one : step.requests) build.add(one);
    const bool changed = kept != nullptr && !kept->contains(row);
    const double time =
        changed ? 1e4 : 1.0 + static_cast<double>(step.requests.size()) + static_cast<double>(row * row % 11);
    build.set(gpu_step_time, time).set(gemm_time, 0).set(moe_time, 0).set(other_time, 0);
    build.set(prefill_attention_time, 0).set(decode_attention_time, 0);
    build.label(group::model, engine == 0 ? "dense" : "moe").label(group::workload, row % 2 == 0 ? "a" : "b");
    build.end_row();
  }
  return build.finish();
}

}  // namespace tiny
