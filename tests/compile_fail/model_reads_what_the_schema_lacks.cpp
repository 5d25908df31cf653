// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: (?s)(?=.*rafter: this feature reads an observable that the dataset's schema does not carry)(?=.*needs_observable<[^\n]*"(kv_sum|requests)")
#include "rafter/estimator/nonlinear.hpp"
#include "rafter/io/blis_steps.hpp"

using namespace rafter;
using namespace rafter::literals;

inline constexpr positive<"time_per_token", 1e-6_c, units::second / units::token> time_per_token{};

void study(const dataset<blis_schema>& data) {
#ifdef FIXED
  (void)nonlinear<time_per_token * prefill_tokens>::fit(data, row_set::all(data.size()));
#else
  (void)nonlinear<time_per_token*(prefill_tokens + kv_sum)>::fit(data, row_set::all(data.size()));
#endif
}
