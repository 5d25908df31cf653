// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: needs_observable<.*"prefill_attention_pairs".*in_feature<.*"the base of the objective".*dataset_schema_does_not_provide<.*blis_schema>
#include "rafter/analytical/roofline.hpp"
#include "rafter/estimator/linear.hpp"
#include "rafter/feature/catalog/blackbox.hpp"
#include "rafter/io/blis_steps.hpp"
#include "rafter/solver/ordinary_least_squares.hpp"

using namespace rafter;

#ifdef FIXED
using relative_to = objective::log_ratio_to<analytical::floor_time>;
#else
using relative_to = objective::log_ratio_to<analytical::roofline_step_time>;  // needs the requests' lengths
#endif
auto fit(const dataset<blis_schema>& data) {
  return linear<catalog::blackbox, ordinary_least_squares, relative_to>::fit(data, row_set::all(data.size()));
}
