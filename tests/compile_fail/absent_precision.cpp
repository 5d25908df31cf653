// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// expect: rafter: this device has no peak for that precision
#include "rafter/hardware/a100.hpp"

#ifdef FIXED
constexpr auto balance = rafter::machine_balance_of<rafter::a100_sxm_80gb, rafter::precision::bf16>;
#else
constexpr auto balance = rafter::machine_balance_of<rafter::a100_sxm_80gb, rafter::precision::fp8>;
#endif
static_assert(balance.value > 0.0);
