// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: rafter: of which rows\?
#include "rafter/evaluation/hypothesis/condition.hpp"

using namespace rafter::hypotheses;

#ifdef FIXED
const condition good = every_fold(mape < 20_pct);
#else
const condition good = mape < 20_pct;
#endif
