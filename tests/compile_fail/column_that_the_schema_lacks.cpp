// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: rafter: the dataset's schema has no such column
#include "rafter/step/dataset.hpp"

using namespace rafter;
using namespace rafter::literals;

struct engine {};
struct schema {
  static constexpr std::string_view name = "schema";
  using columns = column_list<prefill_tokens_t, gpu_step_time_t>;
  using targets = column_list<gpu_step_time_t>;
  static constexpr bool lists_requests = false;
  using deployment_type = engine;
};

void fill(dataset_builder<schema>& build) {
#ifdef FIXED
  build.set(prefill_tokens, 1.0);
#else
  build.set(decode_tokens, 1.0);
#endif
}
