// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: rafter: the dataset's schema lists no requests
#include "rafter/step/dataset.hpp"

using namespace rafter;
using namespace rafter::literals;

struct engine {};
struct schema {
  static constexpr std::string_view name = "schema";
  using columns = column_list<prefill_tokens_t, gpu_step_time_t>;
  using targets = column_list<gpu_step_time_t>;
#ifdef FIXED
  static constexpr bool lists_requests = true;
#else
  static constexpr bool lists_requests = false;
#endif
  using deployment_type = engine;
};

#ifdef FIXED
inline constexpr double tokens = 2.0;
#else
inline constexpr double tokens = 1.0;
#endif
void fill(dataset_builder<schema>& build) { build.add(request::prefilling(tokens)); }
