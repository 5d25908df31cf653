// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/feature/catalog/blackbox.hpp"
#include "rafter/feature/catalog/kv_proxies.hpp"
#include "rafter/feature/catalog/scale_free.hpp"
#include "rafter/feature/catalog/study30.hpp"
#include "rafter/step/schema.hpp"

namespace rafter_static_tests {

using namespace rafter;
using namespace rafter::literals;

/// The example of the style guide.
inline constexpr auto physics = feature_set{
    "prefill_tokens"_f = prefill_tokens,
    "prefill_fraction"_f = prefill_tokens / scheduled_tokens,
    "arithmetic_intensity"_f = analytical::step_gemm.flops / analytical::step_gemm.bytes,
    "compute_bound"_f =
        indicator(analytical::step_gemm.flops / analytical::step_gemm.bytes > hardware::machine_balance),
    "kv_pressure"_f = max(kv_length) * count(decode),
    "prefill_decode_overlap"_f = prefill_tokens * (sum(kv_length) / count(decode)),
};
static_assert(physics.names[4] == "kv_pressure");
static_assert(physics.plan_size < physics.tree_size);
static_assert(physics.dimensions[2] == units::flop_per_byte && physics.dimensions[3] == units::none);
static_assert(without<"prefill_decode_overlap">(physics).size == 5);
static_assert(cross(catalog::kv_statistics, catalog::batch_tokens).size == 25);
static_assert(std::is_empty_v<decltype(physics)>);

static_assert(catalog::study30_t::size == 30 && catalog::kv_proxies_t::size == 30 && catalog::blackbox_t::size == 2);
static_assert(catalog::study30_t::plan_size * 4 < catalog::study30_t::tree_size);
static_assert(catalog::study30_t::identity_feature("model") == "model_code");
static_assert(catalog::scale_free_t::identity_feature("model").empty());
static_assert(without_identity<"model">(catalog::study30).size == 29);

struct lists {
  static constexpr std::string_view name = "lists";
  using columns = column_list<gpu_step_time_t>;
  using targets = column_list<gpu_step_time_t>;
  static constexpr bool lists_requests = true;
  using deployment_type = deployment;
};
struct aggregates : lists {
  using columns = column_list<prefill_tokens_t, decode_tokens_t, gpu_step_time_t>;
  static constexpr bool lists_requests = false;
};
static_assert(dataset_schema<lists> && dataset_schema<aggregates> && !dataset_schema<int>);
static_assert(catalog::study30_t::evaluable<detail::dataset_binding<lists>>);
static_assert(!catalog::study30_t::evaluable<detail::dataset_binding<aggregates>>);
static_assert(catalog::blackbox_t::evaluable<detail::dataset_binding<aggregates>>);
static_assert(!catalog::kv_proxies_t::evaluable<detail::dataset_binding<lists>>);

}  // namespace rafter_static_tests
