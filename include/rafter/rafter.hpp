// rafter: composable models of LLM-inference step time. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rafter/config.hpp"
#include "rafter/core.hpp"
#include "rafter/step.hpp"
#include "rafter/units.hpp"
#include "rafter/version.hpp"
