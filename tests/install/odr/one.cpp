// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#include <cstdio>

#include "rafter/rafter.hpp"

const char* version_of_the_other();

int main() { std::printf("rafter %s and %s\n", RAFTER_VERSION, version_of_the_other()); }
