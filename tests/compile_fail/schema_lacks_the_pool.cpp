// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: (?s)(?=.*rafter: this feature reads an observable that the dataset's schema does not carry)(?=.*needs_observable<[^\n]*"kv_usage_ratio"[^\n]*in_feature<[^\n]*"pool"[^\n]*which_dataset_schema_does_not_provide<schema>)
#include "rafter/feature/feature_set.hpp"
#include "rafter/step/dataset.hpp"

using namespace rafter;
using namespace rafter::literals;

struct engine {};
struct schema {
  static constexpr std::string_view name = "schema";
#ifdef FIXED
  using columns = column_list<prefill_tokens_t, kv_usage_ratio_t, gpu_step_time_t>;
#else
  using columns = column_list<prefill_tokens_t, gpu_step_time_t>;
#endif
  using targets = column_list<gpu_step_time_t>;
  static constexpr bool lists_requests = false;
  using deployment_type = engine;
};
constexpr auto features = feature_set{"pool"_f = kv_usage_ratio};

#ifdef FIXED
inline constexpr bool has_the_pool = true;
#else
inline constexpr bool has_the_pool = false;
#endif

int main() {
  features.require_on<dataset<schema>::binding_type>();
  return has_the_pool ? 0 : 1;
}
