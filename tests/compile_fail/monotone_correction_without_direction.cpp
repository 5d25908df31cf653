// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: neither_rises_nor_falls_under_load<.*"kv_mean"
#include "rafter/analytical/roofline.hpp"
#include "rafter/estimator/analytical_model.hpp"
#include "rafter/evaluation/hybrid.hpp"
#include "rafter/io/kernel_steps.hpp"

using namespace rafter;
using namespace rafter::literals;

struct batch_t : decltype(feature_set{"decode_requests"_f = decode_requests, "kv_mean"_f = kv_mean}) {};
inline constexpr batch_t batch{};
using physics = analytical_model<analytical::roofline_step_time>;

void study(const dataset<kernel_schema>& data) {
#ifdef FIXED
  (void)hybrid<physics, batch>::fit(data, row_set::all(data.size()));
#else
  // A short request that joins lowers the mean, so nothing says which way the correction may go with it.
  (void)hybrid<physics, batch, monotone_boosting>::fit(data, row_set::all(data.size()));
#endif
}
