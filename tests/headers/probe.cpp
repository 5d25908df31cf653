// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
// Its command line is what check.py and tests/compile_fail/run.py compile with.
#include "rafter/rafter.hpp"
