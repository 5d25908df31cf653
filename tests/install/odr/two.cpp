// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include "rafter/rafter.hpp"

const char* version_of_the_other();
const char* version_of_the_other() { return RAFTER_VERSION; }
