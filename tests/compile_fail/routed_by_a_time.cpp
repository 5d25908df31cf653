// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: the condition of routed is an expression without unit
#include "rafter/estimator/predictors.hpp"
#include "rafter/estimator/routed.hpp"

using namespace rafter;
using predictors::blackbox;

#ifdef FIXED
using by_phase = routed<indicator(prefill_tokens > one_token), blackbox, otherwise<predictors::mean>>;
#else
using by_phase = routed<prefill_tokens, blackbox, otherwise<predictors::mean>>;  // is one token a yes?
#endif
const std::string name = by_phase::name();
