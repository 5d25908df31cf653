// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rafter/units/dimension.hpp"
#include "rafter/units/quantity.hpp"
