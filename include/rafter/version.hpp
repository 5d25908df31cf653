// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#define RAFTER_VERSION_MAJOR 0
#define RAFTER_VERSION_MINOR 1
#define RAFTER_VERSION_PATCH 0
#define RAFTER_VERSION "0.1.0"
