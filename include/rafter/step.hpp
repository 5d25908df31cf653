// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rafter/step/groups.hpp"
#include "rafter/step/rows.hpp"
