// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include <cstdio>

#include "rafter/rafter.hpp"

int main() { std::printf("rafter %s\n", RAFTER_VERSION); }
