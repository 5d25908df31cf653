// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: rafter: a relative error and a share are compared with a percentage: write 20_pct
#include "rafter/evaluation/hypothesis/measure.hpp"

using namespace rafter::hypotheses;

#ifdef FIXED
const row_test test = mape < 20_pct;
#else
const row_test test = mape < 20;
#endif
