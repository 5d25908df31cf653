// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: rafter: the base of a log ratio reads an observable that is known only after the step
#include "rafter/estimator/objective.hpp"
#include "rafter/step/observables.hpp"

using namespace rafter;

#ifdef FIXED
using base = objective::log_target;
#else
using base = objective::log_ratio_to<wall_time + gpu_step_time>;
#endif
static_assert(!base::weighted);
