// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: (?s)(?=.*rafter: this feature reads an observable that the dataset's schema does not carry)(?=.*needs_observable<[^\n]*"kv_sum"[^\n]*which_dataset_schema_does_not_provide<rafter::blis_schema>)
#include "rafter/analytical/corrected.hpp"
#include "rafter/estimator/nonlinear.hpp"
#include "rafter/io/blis_steps.hpp"

using namespace rafter;

#ifdef FIXED
using reading = analytical::study_reading;  // has put 0 there, which the fit reports as dead parameters
#else
using reading = analytical::physical_reading;
#endif
inline constexpr auto step_time = analytical::corrected<reading, "decode_gemm">(reading::decode_gemm) +
                                  analytical::corrected<reading, "decode_attention">(reading::decode_attention) +
                                  analytical::overhead;

/// A log without the requests' KV lengths cannot feed decode attention.
void study(const dataset<blis_schema>& log) { (void)nonlinear<step_time>::fit(log, row_set::all(log.size())); }
