// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: rafter: a correlation, a ratio and a count are compared with a plain number
#include "rafter/evaluation/hypothesis/measure.hpp"

using namespace rafter::hypotheses;

#ifdef FIXED
const row_test test = mape < 20_pct && pearson > 0.9;
#else
const row_test test = mape < 20_pct && pearson > 90_pct;
#endif
