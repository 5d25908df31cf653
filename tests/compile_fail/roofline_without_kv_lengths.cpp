// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: (?s)(?=.*rafter: this feature reads an observable that the dataset's schema does not carry)(?=.*needs_observable<[^\n]*"(kv_sum|requests|prefill_attention_pairs)")
#include "rafter/analytical/corrected.hpp"
#include "rafter/estimator/nonlinear.hpp"
#include "rafter/io/blis_steps.hpp"

using namespace rafter;

void study(const dataset<blis_schema>& data) {
#ifdef FIXED
  (void)nonlinear<analytical::roofline9<analytical::study_reading>>::fit(data, row_set::all(data.size()));
#else
  (void)nonlinear<analytical::roofline9<analytical::physical_reading>>::fit(data, row_set::all(data.size()));
#endif
}
