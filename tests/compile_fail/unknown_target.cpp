// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: rafter: this observable is no target of the dataset's schema
#include "rafter/io/blis_steps.hpp"

using namespace rafter;

dataset<blis_schema> select(const dataset<blis_schema>& data) {
#ifdef FIXED
  return data.for_target(step_interval);
#else
  return data.for_target(gpu_step_time);  // vLLM's log has no time on the GPU
#endif
}
