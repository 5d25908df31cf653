// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: (?s)(?=.*rafter: this feature reads an observable that the step record .or deployment. does not carry)(?=.*needs_observable<[^\n]*"kv_max"[^\n]*in_feature<[^\n]*"kv_pressure"[^\n]*which_step_type_does_not_provide<log_row>)
#include "rafter/feature/feature_set.hpp"

using namespace rafter;
using namespace rafter::literals;

/// The example of the style guide: drop kv_lengths and what reads decode attention stops compiling.
struct log_row {
  double prefill_tokens, decode_tokens;
#ifdef FIXED
  double kv_lengths[3];
#endif
};
struct engine {};
constexpr auto features =
    feature_set{"tokens"_f = scheduled_tokens, "kv_pressure"_f = max(kv_length) * count(decode)};

#ifdef FIXED
const log_row row{10, 3, {4, 5, 6}};
#else
const log_row row{10, 3};
#endif
double pressure() { return features.evaluate(row, engine{})[1]; }
